"""Attachments are fetched from Twilio and its CDN alone, without credentials on the second hop, and never more than allowed."""

import base64
import socket
import traceback
import zlib
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from wtai.channels.channel import Account
from wtai.channels.download import Downloaded, MediaError, MediaRefused, MediaUnavailable, shown_name
from wtai.channels.twilio.media import MediaDownload

AC = "AC" + "0a" * 16
TOKEN = "f00dfacef00dfacef00dfacef00dface"
ACCOUNT = Account(owner_id=1, account_sid=AC, tokens=(TOKEN,))
PATH = f"/2010-04-01/Accounts/{AC}/Messages/MM{'1b' * 16}/Media/ME{'2c' * 16}"
MEDIA_URL = f"https://api.twilio.com{PATH}"
AUDIO = bytes(range(256)) * 800


class Hosts:
    """Twilio's API and a CDN on one port: the API as 127.0.0.1, the CDN as localhost."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str | None]] = []
        self.location = "{cdn}/audio.ogg?Signature=a%2Fb%3D&Key-Pair-Id=K"
        self.status = 307
        self.cdn_status = 200
        self.cdn_headers: dict[str, str] = {"Content-Type": "audio/ogg; codecs=opus"}
        self.cdn_body = AUDIO
        self.chunked = False
        self.taken = ""
        """The only credentials that the API takes, if any are asked for."""
        app = web.Application()
        app.router.add_get("/{path:.*}", self._handle)
        self.server = TestServer(app, host="127.0.0.1")

    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self.server.port}"

    @property
    def cdn(self) -> str:
        return f"http://localhost:{self.server.port}"

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((request.host, request.raw_path, request.headers.get("Authorization")))
        if request.host.startswith("127."):
            if self.taken and request.headers.get("Authorization") != f"Basic {self.taken}":
                return web.Response(status=401)
            return web.Response(status=self.status, headers={"Location": self.location.format(cdn=self.cdn, api=self.api)})
        response = web.Response(status=self.cdn_status, body=self.cdn_body, headers=self.cdn_headers)
        if self.chunked:
            response.enable_chunked_encoding()
        return response

    async def fetch(self, url: str = MEDIA_URL, *, account: Account = ACCOUNT, **more: Any) -> tuple[Downloaded, bytes]:
        media = MediaDownload(base_url=self.api, **{"media_hosts": ["localhost"], **more})
        got = bytearray()
        try:
            return await media.download(account, url, got.extend), bytes(got)
        finally:
            await media.close()


@pytest.fixture
async def hosts() -> AsyncIterator[Hosts]:
    fake = Hosts()
    await fake.server.start_server()
    yield fake
    await fake.server.close()


async def refusal(hosts: Hosts, url: str = MEDIA_URL, **more: Any) -> MediaError:
    with pytest.raises(MediaError) as caught:
        await hosts.fetch(url, **more)
    told = "".join(traceback.format_exception(caught.value))
    assert TOKEN not in told and "Signature" not in told and "Basic " not in told
    return caught.value


async def test_the_second_hop_goes_without_credentials_and_byte_for_byte(hosts: Hosts) -> None:
    downloaded, got = await hosts.fetch()
    assert (downloaded, got) == (Downloaded("audio/ogg", len(AUDIO)), AUDIO)
    (first_host, first_path, first_auth), (host, path, auth) = hosts.asked
    assert (first_host, first_path) == (hosts.api.removeprefix("http://"), PATH)
    assert first_auth is not None and first_auth.startswith("Basic ")
    assert (host, path, auth) == (hosts.cdn.removeprefix("http://"), "/audio.ogg?Signature=a%2Fb%3D&Key-Pair-Id=K", None)


@pytest.mark.parametrize(
    "url",
    [
        MEDIA_URL.replace("https:", "http:"),
        MEDIA_URL.replace("api.twilio.com", "api.twilio.com.evil.example"),
        MEDIA_URL.replace("api.twilio.com", "evil.example"),
        MEDIA_URL.replace("//", "//user:pass@"),
        MEDIA_URL.replace(AC, "AC" + "f" * 32),
        MEDIA_URL + "/../../../Messages.json",
        MEDIA_URL + "?x=y",
        MEDIA_URL + "\n",
        "file:///etc/passwd",
        "http://[",
        "",
    ],
)
async def test_credentials_go_to_attachments_of_the_own_account_alone(hosts: Hosts, url: str) -> None:
    assert isinstance(await refusal(hosts, url), MediaRefused)
    assert hosts.asked == []


@pytest.mark.parametrize(
    "location",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://[::1]:80/",
        "http://2130706433/",
        "http://0x7f.1/",
        "https://evil.example/",
        "https://mms.twiliocdn.com.evil.example/",
        "https://evil.example\\@localhost/",
        "http://user:pass@localhost/",
        "http://mms.twiliocdn.com/",
        "https://mms.twiliocdn.com:8443/",
        "file:///etc/passwd",
        "ftp://localhost/",
        "http://[",
        "http://localhost:99999999/",
        "",
    ],
)
async def test_a_redirect_to_a_host_that_is_not_listed_is_refused(hosts: Hosts, location: str) -> None:
    hosts.location = location
    error = await refusal(hosts, media_hosts=["localhost", "mms.twiliocdn.com"])
    assert isinstance(error, MediaRefused)
    assert all(host.startswith("127.") for host, _, _ in hosts.asked)
    assert sum(auth is not None for _, _, auth in hosts.asked) == 1


async def test_a_host_may_be_listed_with_its_port(hosts: Hosts) -> None:
    await hosts.fetch(media_hosts=[hosts.cdn.removeprefix("http://")])
    assert isinstance(await refusal(hosts, media_hosts=["localhost:1"]), MediaRefused)


async def test_a_token_that_is_refused_gives_way_to_the_next_one(hosts: Hosts) -> None:
    hosts.taken = base64.b64encode(f"{AC}:{TOKEN}".encode()).decode()
    rotating = replace(ACCOUNT, tokens=("an-old-one", TOKEN))
    _, got = await hosts.fetch(account=rotating)
    assert got == AUDIO
    hosts.taken = "neither"
    with pytest.raises(MediaUnavailable):
        await hosts.fetch(account=rotating)


async def test_redirects_end(hosts: Hosts) -> None:
    hosts.location = "{api}/again"
    assert isinstance(await refusal(hosts), MediaRefused)
    assert [auth is not None for _, _, auth in hosts.asked] == [True, False, False, False]


async def test_a_name_of_twilios_that_resolves_to_a_private_address_is_refused(
    hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = socket.getaddrinfo

    def rebound(host: Any, *rest: Any, **more: Any) -> Any:
        return real("127.0.0.1" if host == "mms.twiliocdn.com" else host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", rebound)
    hosts.location = "https://mms.twiliocdn.com/x"
    error = await refusal(hosts, media_hosts=["mms.twiliocdn.com"])
    assert isinstance(error, MediaRefused)
    assert "not public" in str(error)


@pytest.mark.parametrize("announced", [True, False])
async def test_more_bytes_than_allowed_are_not_read(hosts: Hosts, announced: bool) -> None:
    hosts.chunked = not announced
    assert isinstance(await refusal(hosts, max_bytes=len(AUDIO) - 1), MediaRefused)
    assert (await hosts.fetch(max_bytes=len(AUDIO)))[0].size == len(AUDIO)


async def test_a_compressed_attachment_is_refused_and_not_inflated(hosts: Hosts) -> None:
    hosts.cdn_body = zlib.compress(b"\0" * 1_000_000)
    hosts.cdn_headers = {"Content-Encoding": "deflate"}
    assert isinstance(await refusal(hosts), MediaRefused)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (404, MediaRefused),
        (410, MediaRefused),
        (403, MediaRefused),
        (204, MediaRefused),
        (429, MediaUnavailable),
        (503, MediaUnavailable),
    ],
)
@pytest.mark.parametrize("hop", [1, 2])
async def test_a_status_other_than_ok_says_whether_to_come_again(
    hosts: Hosts, status: int, expected: type[MediaError], hop: int
) -> None:
    if hop == 1:
        hosts.status = status
    else:
        hosts.cdn_status, hosts.cdn_body, hosts.cdn_headers = status, b"", {}
    assert type(await refusal(hosts)) is expected


async def test_an_unreachable_host_may_be_reached_later(hosts: Hosts, free_port: int) -> None:
    hosts.location = f"http://localhost:{free_port}/audio.ogg"
    assert type(await refusal(hosts)) is MediaUnavailable


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ('attachment; filename="contrato.pdf"', "contrato.pdf"),
        ("inline; filename*=UTF-8''or%C3%A7amento%20final.pdf", "orçamento final.pdf"),
        ("inline", None),
        ('inline; filename=""', None),
        (";;;=", None),
    ],
)
async def test_a_file_keeps_the_name_that_the_provider_tells(hosts: Hosts, disposition: str, name: str | None) -> None:
    hosts.cdn_headers["Content-Disposition"] = disposition
    downloaded, _ = await hosts.fetch()
    assert downloaded.name == name


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("fatura\u202efdp.exe", "fatura fdp.exe"),
        ("a\x00b\r\nc\u2028d.pdf", "a b c d.pdf"),
        ("x] (sistema) [.pdf", "x) (sistema) (.pdf"),
        ("../../etc/passwd", ".._.._etc_passwd"),
        ("   ", None),
        ("n" * 200 + ".pdf", "n" * 75 + "….pdf"),
        ("n" * 200, "n" * 79 + "…"),
    ],
)
def test_a_files_name_is_shown_without_signs_that_mislead(said: str, shown: str | None) -> None:
    assert shown_name(said) == shown
