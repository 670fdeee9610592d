"""The webhooks over HTTP: who is let in, what is refused with which answer, and that a refusal leaves nothing behind."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Mapping
from contextlib import closing
from io import BytesIO
from pathlib import Path
from urllib.parse import urlencode

import aiohttp
import pytest

from tests.program import World, open_world, person
from wtai.db.sqlite import connect
from wtai.simulator.twilio_messages import fresh_sid
from wtai.simulator.twilio_webhooks import sign

ANA = person(1)
INBOUND, STATUS = "/webhooks/twilio/inbound", "/webhooks/twilio/status"
FORM = "application/x-www-form-urlencoded"


@pytest.fixture
async def world(data_dir: Path) -> AsyncIterator[World]:
    async with open_world(data_dir) as opened, opened.running():
        yield opened


def message(world: World, **fields: str) -> dict[str, str]:
    form = {
        "MessageSid": fresh_sid("SM"),
        "AccountSid": world.line.account_sid,
        "From": ANA,
        "To": world.line.number,
        "Body": "oi",
    }
    return {name: value for name, value in {**form, **fields}.items() if value}


async def post(
    world: World,
    form: Mapping[str, str] | bytes,
    *,
    path: str = INBOUND,
    token: str | None = None,
    signed_url: str | None = None,
    method: str = "POST",
    **headers: str,
) -> tuple[int, str]:
    """Post ``form``, signed as the first owner's account would unless told otherwise; status and text of the answer."""
    pairs = tuple(form.items()) if isinstance(form, Mapping) else ()
    body = urlencode(pairs).encode() if isinstance(form, Mapping) else form
    signature = sign(signed_url or f"{world.twilio.webhook_url}{path}", pairs, world.line.token if token is None else token)
    all_headers = {"Content-Type": FORM, "X-Twilio-Signature": signature} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    url = f"{world.twilio.webhook_url}{path}"
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, url, data=body, headers=all_headers) as answer,
    ):
        return answer.status, await answer.text()


def kept(world: World) -> int:
    """Rows that a message would leave."""
    tables = ("messages", "users", "conversations", "jobs WHERE kind = 'turn'")
    counts = (world.value(f"SELECT count(*) FROM {table}") for table in tables)
    return sum(counts)


async def delivered(world: World) -> None:
    """The first answer has arrived, and nothing is under way any more."""
    await world.until(lambda: [row["status"] for row in world.outbound()] == ["delivered"])
    await world.at_rest()


async def test_a_signed_message_is_answered_with_empty_twiml_and_a_repeat_alike(world: World) -> None:
    form = message(world)
    first, again = await post(world, form), await post(world, form)
    assert first == again == (200, '<?xml version="1.0" encoding="UTF-8"?><Response/>')
    assert world.value("SELECT count(*) FROM messages WHERE direction = 'inbound'") == 1


async def test_fifty_repeats_at_once_are_one_message_and_one_answer(world: World) -> None:
    form = message(world)
    answers = await asyncio.gather(*(post(world, form) for _ in range(50)))
    assert {status for status, _ in answers} == {200}
    await world.at_rest()
    assert world.value("SELECT count(*) FROM messages WHERE direction = 'inbound'") == 1
    assert len(world.twilio.accepted) == 1


@pytest.mark.parametrize("path", [INBOUND, STATUS])
@pytest.mark.parametrize(
    ("fields", "token"),
    [
        ({}, ""),
        ({}, "another token"),
        ({"AccountSid": "AC" + "f" * 32}, None),
        ({"To": "whatsapp:+551139999999", "From": "whatsapp:+551139999999"}, None),
    ],
    ids=["empty token", "wrong token", "unknown account", "unknown number"],
)
async def test_who_is_not_known_or_not_signed_gets_one_and_the_same_403(
    world: World, path: str, fields: dict[str, str], token: str | None
) -> None:
    form = message(world, **fields) | ({"MessageStatus": "delivered"} if path == STATUS else {})
    assert await post(world, form, path=path, token=token) == (403, "signature or account not valid")
    assert kept(world) == 0


async def test_without_a_signature_nobody_is_let_in(world: World) -> None:
    async with aiohttp.ClientSession() as session:
        for path in (INBOUND, STATUS):
            async with session.post(f"{world.twilio.webhook_url}{path}", data=message(world)) as answer:
                assert answer.status == 403
    assert kept(world) == 0


@pytest.mark.parametrize("field", ["Body", "From", "MessageSid", "To"])
async def test_a_field_changed_on_the_way_breaks_the_signature(world: World, field: str) -> None:
    form = message(world)
    signature = sign(f"{world.twilio.webhook_url}{INBOUND}", tuple(form.items()), world.line.token)
    changed = {**form, field: form[field] + "0"}
    status, _ = await post(world, changed, X_Twilio_Signature=signature)
    assert (status, kept(world)) == (403, 0)


async def test_another_owners_token_does_not_open_an_account(data_dir: Path) -> None:
    async with open_world(data_dir, owners=2) as world, world.running():
        one, two = world.lines
        assert (await post(world, message(world), token=two.token))[0] == 403
        assert (await post(world, message(world, To=two.number), token=one.token))[0] == 403
        mixed = message(world, AccountSid=two.account_sid)
        assert (await post(world, mixed, token=two.token))[0] == 403
        assert kept(world) == 0


@pytest.mark.parametrize("missing", ["MessageSid", "AccountSid", "From", "To"])
async def test_a_field_that_every_message_has_is_missing_400_says_which(world: World, missing: str) -> None:
    status, text = await post(world, message(world, **{missing: ""}))
    assert (status, kept(world)) == (400, 0)
    assert missing in text


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"Body=%FF%FE&AccountSid=AC", FORM),
        (b"Body=\xff\xfe", FORM),
        (b'{"Body": "oi"}', "application/json"),
        (b"Body=oi", f"{FORM}; charset=latin-1"),
        (b"&".join(b"a%d=1" % number for number in range(1_001)), FORM),
        (b"", FORM),
    ],
    ids=["escaped bytes", "raw bytes", "json", "latin-1", "a thousand fields", "empty"],
)
async def test_what_is_no_form_in_utf_8_is_answered_400(world: World, body: bytes, content_type: str) -> None:
    status, text = await post(world, body, Content_Type=content_type)
    assert (status, kept(world)) == (400, 0)
    assert text


@pytest.mark.parametrize("path", [INBOUND, STATUS])
async def test_ten_megabytes_are_answered_413_however_they_come(world: World, path: str) -> None:
    body = b"Body=" + b"a" * 10_000_000

    async def in_chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 65_536):
            yield body[start : start + 65_536]

    url = f"{world.twilio.webhook_url}{path}"
    async with aiohttp.ClientSession() as session:
        for data, encoding in ((BytesIO(body), "identity"), (in_chunks(), "identity"), (gzip.compress(body), "gzip")):
            async with session.post(url, data=data, headers={"Content-Type": FORM, "Content-Encoding": encoding}) as answer:
                assert answer.status == 413, encoding
    assert kept(world) == 0
    assert (await post(world, message(world)))[0] == 200


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize("path", [INBOUND, STATUS])
async def test_only_post_is_allowed(world: World, method: str, path: str) -> None:
    assert (await post(world, message(world), path=path, method=method))[0] == 405


async def test_a_disabled_owner_gets_no_messages(world: World) -> None:
    with closing(connect(world.data_dir / "wtai.db")) as connection:
        connection.execute("UPDATE owners SET status = 'disabled'")
    assert (await post(world, message(world)))[0] == 403
    assert kept(world) == 0


async def test_the_signature_counts_against_the_public_address_whatever_the_headers_claim(data_dir: Path) -> None:
    public = "https://bot.example.com"
    claims = {"Host": "bot.example.com", "X_Forwarded_Host": "bot.example.com", "X_Forwarded_Proto": "https"}
    async with open_world(data_dir) as world, world.running(server={"public_url": public}):
        assert (await post(world, message(world), signed_url=f"{public}{INBOUND}"))[0] == 200
        assert (await post(world, message(world), signed_url=f"{public}:443{INBOUND}"))[0] == 200
        assert (await post(world, message(world)))[0] == 403
        for host in ("evil.example.com", "bot.example.com.evil.example.com"):
            spoofed = {name: value.replace("bot.example.com", host) for name, value in claims.items()}
            assert (await post(world, message(world), signed_url=f"https://{host}{INBOUND}", **spoofed))[0] == 403


async def test_forwarded_headers_do_not_replace_the_address_of_a_program_without_a_public_one(world: World) -> None:
    spoofed = {"X_Forwarded_Host": "evil.example.com", "X_Forwarded_Proto": "https", "Forwarded": "host=evil.example.com"}
    assert (await post(world, message(world), signed_url=f"https://evil.example.com{INBOUND}", **spoofed))[0] == 403


async def test_an_old_webhook_replayed_after_its_conversation_was_closed_has_no_effect(world: World) -> None:
    form = message(world)
    await post(world, form)
    await delivered(world)
    with closing(connect(world.data_dir / "wtai.db")) as connection:
        connection.execute("UPDATE conversations SET state = 'USER_CLOSED', closed_at = 1")
    before = world.rows("SELECT * FROM messages"), world.rows("SELECT * FROM conversations")
    assert (await post(world, form))[0] == 200
    await world.at_rest()
    assert (world.rows("SELECT * FROM messages"), world.rows("SELECT * FROM conversations")) == before
    assert len(world.twilio.accepted) == 1


async def test_a_status_callback_of_nobodys_message_is_taken_and_changes_nothing(data_dir: Path) -> None:
    async with open_world(data_dir, owners=2) as world, world.running():
        one, two = world.lines
        await world.say(ANA, "oi", line=two)
        await delivered(world)
        before = world.rows("SELECT * FROM messages")
        theirs = world.outbound()[0]
        for path, sid in ((STATUS, fresh_sid("SM")), (f"{STATUS}?m={theirs['public_id']}", theirs["provider_sid"])):
            form = message(world, From=one.number, To=ANA, MessageSid=sid, MessageStatus="failed", ErrorCode="30008")
            assert await post(world, form, path=path) == (204, "")
        assert world.rows("SELECT * FROM messages") == before


async def test_bodies_that_do_not_come_to_an_end_keep_nobody_out(data_dir: Path) -> None:
    async with open_world(data_dir, limits={"webhook_concurrency": 2}) as world, world.running():
        host, _, port = world.twilio.webhook_url.removeprefix("http://").partition(":")
        stalled = [await asyncio.open_connection(host, int(port)) for _ in range(4)]
        for _, writer in stalled:
            writer.write(
                f"POST {INBOUND} HTTP/1.1\r\nHost: x\r\nContent-Type: {FORM}\r\nContent-Length: 99\r\n\r\nBody=".encode()
            )
            await writer.drain()
        assert (await post(world, message(world)))[0] == 200
        answers = [await asyncio.wait_for(reader.read(100), 30) for reader, _ in stalled]
        assert all(answer.startswith(b"HTTP/1.1 408") for answer in answers)
        for _, writer in stalled:
            writer.close()
        await world.answers_to(ANA, 1)
        await world.at_rest()


async def test_more_webhooks_at_once_than_allowed_are_answered_503_and_none_is_lost(data_dir: Path) -> None:
    async with open_world(data_dir, limits={"webhook_concurrency": 20}) as world, world.running():
        forms = [message(world, Body=f"n{number}", From=person(number % 10)) for number in range(150)]
        first = await asyncio.gather(*(post(world, form) for form in forms))
        refused = [form for form, (status, _) in zip(forms, first, strict=True) if status == 503]
        assert {status for status, _ in first} == {200, 503}
        assert world.value("SELECT count(*) FROM messages WHERE direction = 'inbound'") == 150 - len(refused)
        for form in refused:
            assert (await post(world, form))[0] == 200
        assert world.value("SELECT count(*) FROM messages WHERE direction = 'inbound'") == 150
        await world.at_rest()


async def test_health_is_told_to_everybody_and_readiness_means_that_the_database_takes_a_write(world: World) -> None:
    async with aiohttp.ClientSession(world.twilio.webhook_url) as session:
        for path in ("/health", "/webhooks/twilio/health", "/ready"):
            async with session.get(path) as answer:
                assert answer.status == 200
                assert (await answer.json())["status"] in {"ok", "ready"}
