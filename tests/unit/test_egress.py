"""Requests to foreign addresses go where the operator allows, as they are, and take in no more than they may."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from pydantic import ValidationError

from wtai.egress import Egress, EgressRefused, EgressUnavailable, Response
from wtai.settings import Egress as Allowed


async def ask(url: str, *allowed: str, seconds: float = 5.0, max_bytes: int = 65_536) -> Response:
    egress = Egress(allowed)
    try:
        return await egress.request("POST", url, headers={}, body=b"{}", seconds=seconds, max_bytes=max_bytes)
    finally:
        await egress.close()


class Receiver:
    """A host that the operator allowed."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []
        self.answer: Callable[[], web.StreamResponse] = lambda: web.json_response({"ok": True})
        self.wait = 0.0
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        self.server = TestServer(app, host="127.0.0.1")

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server.port}"

    @property
    def url(self) -> str:
        return f"http://{self.host}/hook?x=a%2Fb"

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((request.method, request.raw_path, dict(request.headers), await request.read()))
        await asyncio.sleep(self.wait)
        return self.answer()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    fake = Receiver()
    await fake.server.start_server()
    yield fake
    await fake.server.close()


async def test_a_host_that_the_operator_allows_gets_the_request_as_it_is(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    answer = await ask(receiver.url, receiver.host)
    assert (answer.status, answer.headers["content-type"].partition(";")[0], answer.body) == (
        200,
        "application/json",
        b'{"ok": true}',
    )
    [(method, path, headers, body)] = receiver.asked
    assert (method, path, body) == ("POST", "/hook?x=a%2Fb", b"{}")
    assert headers["Accept-Encoding"] == "identity"
    assert "aiohttp" not in headers["User-Agent"]
    assert not headers.keys() & {"Authorization", "Cookie", "Proxy-Authorization"}


async def test_a_host_may_be_allowed_on_all_its_ports_or_on_one(receiver: Receiver) -> None:
    assert (await ask(receiver.url, "127.0.0.1")).status == 200
    for other in ("127.0.0.1:1", "localhost", "127.0.0.2"):
        with pytest.raises(EgressRefused):
            await ask(receiver.url, other)
    assert len(receiver.asked) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_an_answer_and_is_not_followed(receiver: Receiver, status: int) -> None:
    location = f"http://{receiver.host}/elsewhere"
    receiver.answer = lambda: web.Response(status=status, headers={"Location": location})
    answer = await ask(receiver.url, "127.0.0.1")
    assert (answer.status, answer.headers["Location"]) == (status, location)
    assert len(receiver.asked) == 1


@pytest.mark.parametrize("announced", [True, False])
async def test_more_bytes_than_allowed_are_not_taken_in(receiver: Receiver, announced: bool) -> None:
    def answer() -> web.Response:
        response = web.Response(body=b"x" * 10_001)
        if not announced:
            response.enable_chunked_encoding()
        return response

    receiver.answer = answer
    with pytest.raises(EgressRefused, match="more than 10000 bytes") as refused:
        await ask(receiver.url, receiver.host, max_bytes=10_000)
    assert refused.value.received
    assert len((await ask(receiver.url, receiver.host, max_bytes=10_001)).body) == 10_001


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "gzip, identity"])
async def test_a_compressed_answer_is_refused_and_not_inflated(receiver: Receiver, encoding: str) -> None:
    bomb = gzip.compress(b"\0" * 10_000_000)
    receiver.answer = lambda: web.Response(body=bomb, headers={"Content-Encoding": encoding})
    with pytest.raises(EgressRefused, match="compressed"):
        await ask(receiver.url, receiver.host)


async def test_an_answer_that_does_not_come_in_time_may_come_another_time(receiver: Receiver) -> None:
    receiver.wait = 5.0
    with pytest.raises(EgressUnavailable) as late:
        await ask(receiver.url, receiver.host, seconds=1.0)
    assert late.value.received


class Trickle(asyncio.Protocol):
    """Answers with a byte every 50 ms."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()

    def __call__(self) -> "Trickle":
        return self

    def connection_made(self, transport: Any) -> None:
        transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        self._drip(transport)

    def connection_lost(self, _error: Exception | None) -> None:
        self.ended.set()

    def _drip(self, transport: asyncio.Transport) -> None:
        if not self.ended.is_set():
            transport.write(b"x")
            asyncio.get_running_loop().call_later(0.05, self._drip, transport)


async def test_an_answer_that_trickles_ends_with_the_time_for_all_of_it() -> None:
    loop, trickle = asyncio.get_running_loop(), Trickle()
    server = await loop.create_server(trickle, "127.0.0.1", 0)
    host = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    started = loop.time()
    with pytest.raises(EgressUnavailable):
        await ask(f"http://{host}/", host, seconds=0.3)
    assert loop.time() - started < 5
    await trickle.ended.wait()
    server.close()
    await server.wait_closed()


async def test_an_unreachable_host_certainly_got_nothing(free_port: int) -> None:
    with pytest.raises(EgressUnavailable) as unreachable:
        await ask(f"http://127.0.0.1:{free_port}/secret-path", "127.0.0.1")
    assert not unreachable.value.received
    assert "secret-path" not in str(unreachable.value)


class HangUp(asyncio.Protocol):
    """Ends the connection as soon as it got something."""

    def connection_made(self, transport: Any) -> None:
        self._transport: asyncio.Transport = transport

    def data_received(self, _data: bytes) -> None:
        self._transport.abort()


async def test_a_host_that_hangs_up_may_have_got_it() -> None:
    server = await asyncio.get_running_loop().create_server(HangUp, "127.0.0.1", 0)
    host = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    with pytest.raises(EgressUnavailable) as broken:
        await ask(f"http://{host}/", host)
    assert broken.value.received
    server.close()
    await server.wait_closed()


async def test_a_url_is_checked_without_the_network() -> None:
    egress = Egress(["crm.internal:8080"])
    for fine in ("https://example.com/hook?a=b", "https://example.com:443", "https://8.8.8.8/", "http://crm.internal:8080/x"):
        egress.check(fine)
    for wrong in (
        "http://example.com/",
        "https://example.com:8443/",
        "https://10.0.0.1/",
        "http://crm.internal/",
        "https://[::1]/",
    ):
        with pytest.raises(EgressRefused):
            egress.check(wrong)


@pytest.mark.parametrize(
    "entry", ["", "http://crm", "crm/x", "user@crm:80", "crm:0", "crm:99999", "crm:x", "fd00::5", " crm", "fe80::1%eth0"]
)
def test_a_setting_that_is_no_host_is_refused(entry: str) -> None:
    with pytest.raises(ValidationError, match="host:port"):
        Allowed(allowed_private_hosts=(entry,))


def test_a_setting_allows_a_host() -> None:
    Egress(Allowed(allowed_private_hosts=("CRM.internal:8080",)).allowed_private_hosts).check("http://crm.internal:8080/x")
    Egress(Allowed(allowed_private_hosts=("[fd00::5]",)).allowed_private_hosts).check("http://[FD00::5]:99/x")
