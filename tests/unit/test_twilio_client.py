"""What a call to Twilio's API says of a message is what happened: refused, accepted, or not known. Nothing is sent twice."""

import asyncio
import base64
import importlib.util
import json
import socket
import struct
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from email.utils import formatdate
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from wtai.channels.channel import Account, Channel, Outgoing
from wtai.channels.twilio.client import MAX_PAGES, TwilioChannel
from wtai.channels.twilio.form import MalformedPost
from wtai.errors import SendError, SendRejected, SendThrottled, SendUnknown, SettingsError

SHARED = Path(__file__).parents[3] / "shared"
AC = "AC" + "0a" * 16
SM = "SM" + "1b" * 16
TOKEN = "f00dfacef00dfacef00dfacef00dface"
ACCOUNT = Account(owner_id=1, account_sid=AC, tokens=(TOKEN, "the-next-one"))
MESSAGE = Outgoing("msg_5f0c", "whatsapp:+14155238886", "whatsapp:+5511987654321", "Olá, são R$ 10,00 + frete 😀")
MESSAGES = f"/2010-04-01/Accounts/{AC}/Messages.json"

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Twilio:
    """A server that answers what a test tells it to, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, list[tuple[str, str]]]] = []
        self.headers: list[dict[str, str]] = []
        self.answer: Answer = answering(201, {"sid": SM, "status": "queued"})
        self.server = TestServer(self._app())

    def _app(self) -> web.Application:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        return app

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        text = request.query_string if request.method == "GET" else await request.text()
        self.asked.append((request.method, request.path, parse_qsl(text, keep_blank_values=True)))
        self.headers.append(dict(request.headers))
        return await self.answer(request)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.port}"

    def channel(self, **more: Any) -> TwilioChannel:
        return TwilioChannel(base_url=self.url, messaging_url=self.url, public_url="https://bot.example.com/", **more)


def answering(status: int, body: object = None, **headers: str) -> Answer:
    async def answer(request: web.Request) -> web.Response:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(status=status, body=raw, headers={"Content-Type": "application/json", **named})

    return answer


@pytest.fixture
async def twilio() -> AsyncIterator[Twilio]:
    fake = Twilio()
    await fake.server.start_server()
    yield fake
    await fake.server.close()


@pytest.fixture
async def channel(twilio: Twilio) -> AsyncIterator[TwilioChannel]:
    channel = twilio.channel()
    yield channel
    await channel.close()


async def failure(channel: Channel) -> SendError:
    """The error of a send, after a look that it tells nothing that is secret or personal."""
    with pytest.raises(SendError) as caught:
        await channel.send(ACCOUNT, MESSAGE)
    told = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    for secret in (TOKEN, AC, "5511987654321", "14155238886", "frete", "Basic "):
        assert secret not in told
    return caught.value


def problems(spec: str, method: str, path: str, form: list[tuple[str, str]] | tuple[()]) -> list[str]:
    """What Twilio's published description has against a request; skipped where it is not at hand."""
    tool = SHARED / "tools" / "twilio_openapi_check.py"
    if not tool.exists():
        pytest.skip("Twilio's OpenAPI description is not part of the repository")
    loader = importlib.util.spec_from_file_location("twilio_openapi_check", tool)
    assert loader is not None and loader.loader is not None
    oracle = importlib.util.module_from_spec(loader)
    loader.loader.exec_module(oracle)
    found: list[str] = oracle.Oracle(str(SHARED / "data" / "twilio-openapi" / spec)).request(method, path, form)
    return found


async def test_a_message_is_created_with_its_own_callback(twilio: Twilio, channel: TwilioChannel) -> None:
    assert await channel.send(ACCOUNT, MESSAGE) == SM
    callback = "https://bot.example.com/webhooks/twilio/status?m=msg_5f0c"
    expected = [("To", MESSAGE.recipient), ("From", MESSAGE.sender), ("Body", MESSAGE.body), ("StatusCallback", callback)]
    assert twilio.asked == [("POST", MESSAGES, expected)]
    assert twilio.headers[0]["Authorization"] == f"Basic {base64.b64encode(f'{AC}:{TOKEN}'.encode()).decode()}"


async def test_without_a_public_url_no_callback_is_asked_for(twilio: Twilio) -> None:
    channel = TwilioChannel(base_url=twilio.url)
    await channel.send(ACCOUNT, MESSAGE)
    await channel.close()
    assert "StatusCallback" not in dict(twilio.asked[0][2])


@pytest.mark.filterwarnings("ignore:open file:ResourceWarning", "ignore:unclosed file:ResourceWarning")
async def test_requests_are_what_twilios_description_says(twilio: Twilio, channel: TwilioChannel) -> None:
    await channel.send(ACCOUNT, MESSAGE)
    twilio.answer = answering(200, {"messages": [], "next_page_uri": None, "success": True})
    await channel.typing(ACCOUNT, SM)
    await channel.listing(ACCOUNT, MESSAGE.sender, MESSAGE.recipient, 0)
    (_, path, form), (_, typing_path, typing_form), (method, list_path, query) = twilio.asked
    assert problems("twilio_api_v2010.strict.json", "POST", path, form) == []
    assert problems("twilio_messaging_v2.strict.json", "POST", typing_path, typing_form) == []
    assert problems("twilio_api_v2010.strict.json", method, list_path, ()) == []
    assert query == [("To", MESSAGE.recipient), ("From", MESSAGE.sender), ("PageSize", "50")]
    assert typing_form == [("channel", "whatsapp"), ("messageId", SM)]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"code": 21610, "message": "To +5511987654321 unsubscribed", "status": 400}, 21610),
        ({"type": "about:blank", "title": "no", "status": 400, "code": 63003}, 63003),
        (b"<html>Bad Request</html>", None),
        (b"", None),
        (b"[1]", None),
        ({"code": "x"}, None),
    ],
)
async def test_a_4xx_is_a_refusal_with_twilios_code(
    twilio: Twilio, channel: TwilioChannel, body: object, code: int | None
) -> None:
    twilio.answer = answering(400, body)
    error = await failure(channel)
    assert type(error) is SendRejected
    assert error.code == code


async def test_a_refused_login_of_a_trial_account_says_so(twilio: Twilio, channel: TwilioChannel) -> None:
    twilio.answer = answering(401, {"code": 20003, "message": "This feature is not available on a Trial account"})
    error = await failure(channel)
    assert type(error) is SendRejected
    assert "trial account" in str(error)


async def test_a_token_that_is_refused_gives_way_to_the_next_one(twilio: Twilio, channel: TwilioChannel) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        _, token = base64.b64decode(request.headers["Authorization"].removeprefix("Basic ")).decode().split(":")
        if token != ACCOUNT.tokens[1]:
            return web.json_response({"code": 20003, "message": "Authenticate"}, status=401)
        return web.json_response({"sid": SM, "status": "queued"}, status=201)

    twilio.answer = answer
    assert await channel.send(ACCOUNT, MESSAGE) == SM
    assert len(twilio.asked) == 2


async def test_while_no_token_is_taken_a_message_waits_for_the_right_one(twilio: Twilio, channel: TwilioChannel) -> None:
    twilio.answer = answering(401, {"code": 20003, "message": "Authenticate"})
    error = await failure(channel)
    assert isinstance(error, SendThrottled)
    assert error.retry_after_ms == 600_000
    assert len(twilio.asked) == 2


@pytest.mark.parametrize("status", [400, 429])
async def test_a_message_beyond_the_allowance_of_a_day_waits_for_hours(
    twilio: Twilio, channel: TwilioChannel, status: int
) -> None:
    twilio.answer = answering(status, {"code": 63038})
    error = await failure(channel)
    assert isinstance(error, SendThrottled)
    assert error.retry_after_ms == 6 * 3_600_000


@pytest.mark.parametrize(
    ("status", "body", "headers", "wait"),
    [
        (429, {"code": 20429, "status": 429}, {"Retry_After": "7"}, 7_000),
        (429, b"slow down", {}, None),
        (429, b"", {"Retry_After": formatdate(1_000_030, usegmt=True), "Date": formatdate(1_000_000, usegmt=True)}, 30_000),
        (429, b"", {"Retry_After": formatdate(900_000, usegmt=True), "Date": formatdate(1_000_000, usegmt=True)}, 0),
        (429, b"", {"Retry_After": "999999999"}, 86_400_000),
        (429, b"", {"Retry_After": "soon"}, None),
        (400, {"code": 20429}, {"Retry_After": "1"}, 1_000),
        (400, {"code": 21611}, {}, 120_000),
    ],
)
async def test_what_is_throttled_may_be_sent_again_after_a_wait(
    twilio: Twilio, channel: TwilioChannel, status: int, body: object, headers: dict[str, str], wait: int | None
) -> None:
    twilio.answer = answering(status, body, **headers)
    error = await failure(channel)
    assert isinstance(error, SendThrottled)
    assert error.retry_after_ms == wait


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, {"code": 20500, "message": "Internal Server Error"}),
        (502, b"<html><h1>Bad Gateway</h1></html>"),
        (503, {"code": 20429}),
        (408, b""),
        (303, b""),
        (201, b"not json"),
        (201, b""),
        (201, {"status": "queued"}),
        (201, {"sid": "XX"}),
        (204, b""),
        (200, b"x" * (5 * 1024 * 1024)),
    ],
)
async def test_what_may_have_been_accepted_is_unknown(twilio: Twilio, channel: TwilioChannel, status: int, body: object) -> None:
    twilio.answer = answering(status, body)
    assert type(await failure(channel)) is SendUnknown
    assert len(twilio.asked) == 1


async def test_a_redirect_is_not_followed(twilio: Twilio, channel: TwilioChannel) -> None:
    elsewhere = Twilio()
    await elsewhere.server.start_server()
    for status in (301, 302, 307, 308):
        twilio.answer = answering(status, b"", Location=f"{elsewhere.url}{MESSAGES}")
        assert type(await failure(channel)) is SendUnknown
    await elsewhere.server.close()
    assert (len(twilio.asked), elsewhere.asked) == (4, [])


async def test_a_refused_connection_was_certainly_not_accepted(free_port: int) -> None:
    channel = TwilioChannel(base_url=f"http://127.0.0.1:{free_port}")
    assert type(await failure(channel)) is SendThrottled
    await channel.close()


async def test_a_name_that_is_not_found_was_certainly_not_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    def not_found(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", not_found)
    channel = TwilioChannel(base_url="https://api.twilio.com")
    assert type(await failure(channel)) is SendThrottled
    await channel.close()


async def test_a_connection_that_is_not_made_in_time_was_certainly_not_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(*_: object, **__: object) -> None:
        time.sleep(0.3)
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    channel = TwilioChannel(base_url="https://api.twilio.com", connect_seconds=0.1)
    assert type(await failure(channel)) is SendThrottled
    await channel.close()


async def test_a_failed_tls_handshake_was_certainly_not_accepted(twilio: Twilio) -> None:
    channel = TwilioChannel(base_url=twilio.url.replace("http:", "https:"))
    assert type(await failure(channel)) is SendThrottled
    await channel.close()
    assert twilio.asked == []


async def reset(request: web.Request) -> web.StreamResponse:
    """Ends the connection with RST, as a crashed proxy does."""
    transport = request.transport
    assert transport is not None
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
    return web.Response()


async def reset_after_headers(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(status=201, headers={"Content-Length": "500", "Content-Type": "application/json"})
    await response.prepare(request)
    await response.write(b'{"sid": "SM')
    return await reset(request)


async def close_without_a_word(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.close()
    return web.Response()


@pytest.mark.parametrize("answer", [reset, reset_after_headers, close_without_a_word])
async def test_a_connection_lost_after_the_request_is_unknown(twilio: Twilio, channel: TwilioChannel, answer: Answer) -> None:
    twilio.answer = answer
    assert type(await failure(channel)) is SendUnknown
    assert len(twilio.asked) == 1


async def test_a_kept_connection_that_is_lost_does_not_send_twice(twilio: Twilio, channel: TwilioChannel) -> None:
    await channel.send(ACCOUNT, MESSAGE)
    twilio.answer = close_without_a_word
    assert type(await failure(channel)) is SendUnknown
    assert len(twilio.asked) == 2


@pytest.mark.parametrize("headers_first", [False, True])
async def test_a_time_out_after_acceptance_is_unknown(twilio: Twilio, headers_first: bool) -> None:
    async def late(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=201)
        if headers_first:
            await response.prepare(request)
        await asyncio.sleep(2.5)
        return response if headers_first else web.Response()

    twilio.answer = late
    channel = twilio.channel(send_seconds=1.0)
    assert type(await failure(channel)) is SendUnknown
    await channel.close()
    assert len(twilio.asked) == 1


async def test_a_refusal_whose_body_broke_off_is_still_a_refusal(twilio: Twilio, channel: TwilioChannel) -> None:
    async def broken(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=400, headers={"Content-Length": "500"})
        await response.prepare(request)
        await response.write(b'{"code": 21211')
        return await reset(request)

    twilio.answer = broken
    error = await failure(channel)
    assert type(error) is SendRejected
    assert error.code is None


def row(number: int, created: int, **more: object) -> dict[str, object]:
    sid = f"SM{number:032x}"
    return {
        "sid": sid,
        "status": "sent",
        "body": f"n{number}",
        "date_created": formatdate(created, usegmt=True),
        "error_code": None,
        **more,
    }


async def test_the_listing_reads_pages_until_they_are_older(twilio: Twilio, channel: TwilioChannel) -> None:
    pages = [
        {
            "messages": [row(5, 1_005), row(4, 1_004, status="undelivered", error_code=63016)],
            "next_page_uri": f"{MESSAGES}?Page=1&To=%2B1",
        },
        {"messages": [row(3, 1_003, status="queued", body=None), row(2, 999)], "next_page_uri": f"{MESSAGES}?Page=2"},
        {"messages": [row(1, 998)], "next_page_uri": f"{MESSAGES}?Page=3"},
    ]

    async def paged(request: web.Request) -> web.StreamResponse:
        return web.json_response(pages[int(request.query.get("Page", 0))])

    twilio.answer = paged
    found = await channel.listing(ACCOUNT, MESSAGE.sender, MESSAGE.recipient, 1_003_900)
    assert [(listed.body, listed.status, listed.created_at, listed.error_code) for listed in found] == [
        ("n5", "sent", 1_005_000, None),
        ("n4", "undelivered", 1_004_000, 63016),
        ("", "queued", 1_003_000, None),
    ]
    assert found[0].provider_sid == "SM" + "0" * 31 + "5"
    assert [query for _, _, query in twilio.asked][1:] == [[("Page", "1"), ("To", "+1")], [("Page", "2")]]


async def test_what_people_wrote_is_read_oldest_first_and_with_its_files(twilio: Twilio, channel: TwilioChannel) -> None:
    wrote = {"direction": "inbound", "from": MESSAGE.recipient, "num_media": "0"}
    files = {"media_list": [{"sid": "ME" + "2c" * 16, "content_type": "image/jpeg"}]}
    rows = [
        row(4, 1_004, **wrote, body=None) | {"num_media": "1"},
        row(3, 1_003, direction="outbound-api"),
        row(2, 1_002, **wrote),
        row(1, 1_002, **wrote, body="a+b & ção"),
        row(0, 999, **wrote),
    ]

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.json_response(files if "/Media" in request.path else {"messages": rows, "next_page_uri": None})

    twilio.answer = answer
    found = await channel.heard(ACCOUNT, MESSAGE.sender, 1_000_500)
    assert twilio.asked == [("GET", MESSAGES, [("To", MESSAGE.sender), ("DateSent>", "1970-01-01"), ("PageSize", "500")])]
    assert [(heard.body, heard.created_at) for heard in found] == [("a+b & ção", 1_002_000), ("n2", 1_002_000), ("", 1_004_000)]
    text, photo = await channel.fetch(ACCOUNT, found[0]), await channel.fetch(ACCOUNT, found[2])
    assert (text.provider_sid, text.our_address, text.reply_to) == (found[0].provider_sid, MESSAGE.sender, MESSAGE.recipient)
    assert (text.kind, text.body, text.channel, text.media) == ("text", "a+b & ção", "whatsapp", ())
    url = f"{twilio.url}/2010-04-01/Accounts/{AC}/Messages/{photo.provider_sid}/Media/ME{'2c' * 16}"
    assert (photo.kind, [(media.url, media.content_type) for media in photo.media]) == ("image", [(url, "image/jpeg")])
    nameless = replace(found[0], sender="")
    with pytest.raises(MalformedPost):
        await channel.fetch(ACCOUNT, nameless)


async def test_a_list_that_does_not_end_proves_nothing(twilio: Twilio, channel: TwilioChannel) -> None:
    twilio.answer = answering(200, {"messages": [row(1, 2_000)], "next_page_uri": f"{MESSAGES}?Page=1"})
    with pytest.raises(SendUnknown):
        await channel.listing(ACCOUNT, MESSAGE.sender, MESSAGE.recipient, 0)
    assert len(twilio.asked) == MAX_PAGES


@pytest.mark.parametrize("uri", ["https://evil.example/2010-04-01/", "//evil.example/2010-04-01/", "@evil.example/", "/other"])
async def test_credentials_do_not_follow_a_list_elsewhere(twilio: Twilio, channel: TwilioChannel, uri: str) -> None:
    twilio.answer = answering(200, {"messages": [], "next_page_uri": uri})
    with pytest.raises(SendUnknown):
        await channel.listing(ACCOUNT, MESSAGE.sender, MESSAGE.recipient, 0)
    assert len(twilio.asked) == 1


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (200, {"messages": [{"sid": SM}]}, SendUnknown),
        (200, {}, SendUnknown),
        (200, {"messages": [row(1, 1, date_created="yesterday")]}, SendUnknown),
        (500, {}, SendUnknown),
        (429, {}, SendThrottled),
        (401, {"code": 20003}, SendThrottled),
    ],
)
async def test_a_list_that_cannot_be_read_is_an_error_and_not_empty(
    twilio: Twilio, channel: TwilioChannel, status: int, body: object, error: type[SendError]
) -> None:
    twilio.answer = answering(status, body)
    with pytest.raises(error):
        await channel.listing(ACCOUNT, MESSAGE.sender, MESSAGE.recipient, 0)


async def test_typing_that_is_refused_says_so(twilio: Twilio, channel: TwilioChannel) -> None:
    twilio.answer = answering(400, {"code": 20001})
    with pytest.raises(SendRejected):
        await channel.typing(ACCOUNT, SM)


async def test_cookies_are_not_kept(twilio: Twilio) -> None:
    # By name: no cookie jar keeps cookies of a bare address.
    channel = TwilioChannel(base_url=twilio.url.replace("127.0.0.1", "localhost"))
    twilio.answer = answering(201, {"sid": SM}, Set_Cookie="a=b")
    await channel.send(ACCOUNT, MESSAGE)
    await channel.send(ACCOUNT, MESSAGE)
    await channel.close()
    assert "Cookie" not in twilio.headers[1]


async def test_a_text_with_a_lone_surrogate_is_sent_nevertheless(twilio: Twilio, channel: TwilioChannel) -> None:
    assert await channel.send(ACCOUNT, Outgoing("msg_1", MESSAGE.sender, MESSAGE.recipient, "a\ud800b")) == SM
    assert dict(twilio.asked[0][2])["Body"] == "a?b"


@pytest.mark.parametrize("url", ["api.twilio.com", "ftp://api.twilio.com", "https://"])
def test_a_base_url_that_is_none_is_refused_at_the_start(url: str) -> None:
    with pytest.raises(SettingsError, match=r"twilio\.base_url"):
        TwilioChannel(base_url=url)
