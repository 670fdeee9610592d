"""The fake Twilio's REST API answers, refuses and lists as Twilio's does."""

import asyncio
import importlib.util
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from types import ModuleType
from urllib.parse import parse_qs

import aiohttp
import pytest

from wtai.clock import SystemClock
from wtai.simulator import voice
from wtai.simulator.twilio import FakeTwilio

SHARED = Path(__file__).resolve().parents[3] / "shared"
ACCOUNT = "AC" + "1" * 32
TOKEN = "f" * 32
NUMBER = "whatsapp:+551130000000"
ANA = "whatsapp:+5511987654321"
MESSAGES = f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json"
NOBODY = "http://127.0.0.1:1"


@pytest.fixture
async def twilio() -> AsyncIterator[FakeTwilio]:
    async with FakeTwilio(SystemClock(), NOBODY) as twilio:
        twilio.add_account(ACCOUNT, TOKEN, numbers=(NUMBER,))
        yield twilio


@pytest.fixture
async def api(twilio: FakeTwilio) -> AsyncIterator[aiohttp.ClientSession]:
    headers = {"Authorization": aiohttp.encode_basic_auth(ACCOUNT, TOKEN)}
    async with aiohttp.ClientSession(twilio.url, headers=headers) as session:
        yield session


@pytest.fixture(scope="module")
def oracle() -> ModuleType:
    source = SHARED / "tools" / "twilio_openapi_check.py"
    if not source.exists():
        pytest.skip("Twilio's OpenAPI descriptions are not on this machine")
    spec = importlib.util.spec_from_file_location("twilio_openapi_check", source)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    wrote, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    spec.loader.exec_module(module)
    sys.dont_write_bytecode = wrote
    return module


def form(**fields: str) -> dict[str, str]:
    return {"To": ANA, "From": NUMBER, "Body": "olá", **fields}


async def create(api: aiohttp.ClientSession, **fields: str) -> tuple[int, dict[str, object]]:
    async with api.post(MESSAGES, data=form(**fields)) as response:
        return response.status, await response.json()


# The checker leaves its files to the garbage collector.
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
async def test_every_answer_fits_twilios_published_description(
    twilio: FakeTwilio, api: aiohttp.ClientSession, oracle: ModuleType
) -> None:
    core = oracle.Oracle(SHARED / "data/twilio-openapi/twilio_api_v2010.strict.json")
    messaging = oracle.Oracle(SHARED / "data/twilio-openapi/twilio_messaging_v2.strict.json")
    heard = await twilio.send(ANA, NUMBER, "", media=[("image/jpeg", b"jpeg")])
    await create(api)
    await twilio.until(lambda: twilio.messages.all()[-1].status == "delivered")
    inbound, one = twilio.messages.all()
    resource = MESSAGES.removesuffix(".json")
    for path in (
        MESSAGES,
        f"{resource}/{one.sid}.json",
        f"{resource}/{heard.sid}/Media.json",
        f"{resource}/{heard.sid}/Media/{inbound.media[0]}.json",
    ):
        async with api.get(path) as response:
            assert core.response("GET", path, response.status, await response.json()) == []
    for service in ({}, {"MessagingServiceSid": "MG" + "a" * 32}):
        async with api.post(MESSAGES, data=form(**service)) as response:
            assert core.response("POST", MESSAGES, response.status, await response.json()) == []
    typing = "/v2/Indicators/Typing.json"
    async with api.post(typing, data={"channel": "whatsapp", "messageId": heard.sid}) as response:
        assert response.status == 200
        assert messaging.response("POST", typing, response.status, await response.json()) == []
    assert list(twilio.typing) == [heard.sid]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"To": ""}, 21604),
        ({"From": ""}, 21603),
        ({"To": "whatsapp"}, 21211),
        ({"To": "+5511987654321"}, 21910),
        ({"Body": ""}, 21619),
        ({"Body": "a" * 1601}, 21617),
        ({"Body": "😀" * 801}, 21617),
        ({"StatusCallback": "not a url"}, 21609),
        ({"ContentSid": "x"}, 21655),
        ({"Idempotency": "1"}, 20001),
    ],
)
async def test_a_create_twilio_would_refuse_is_refused_with_its_code(
    twilio: FakeTwilio, api: aiohttp.ClientSession, fields: dict[str, str], code: int
) -> None:
    status, answer = await create(api, **fields)
    assert (status, answer["code"], answer["status"]) == (400, code, 400)
    assert twilio.accepted == []


async def test_1600_characters_counted_in_utf16_are_taken(twilio: FakeTwilio, api: aiohttp.ClientSession) -> None:
    assert (await create(api, Body="😀" * 800))[0] == 201


@pytest.mark.parametrize(
    "header", [None, "Basic !!!", aiohttp.encode_basic_auth(ACCOUNT, "wrong"), aiohttp.encode_basic_auth("AC" + "2" * 32, TOKEN)]
)
async def test_wrong_credentials_are_refused(twilio: FakeTwilio, header: str | None) -> None:
    async with aiohttp.ClientSession() as session:
        headers = {} if header is None else {"Authorization": header}
        async with session.post(twilio.url + MESSAGES, data=form(), headers=headers) as response:
            assert (response.status, (await response.json())["code"]) == (401, 20003)


async def test_one_account_does_not_see_anothers_messages(twilio: FakeTwilio, api: aiohttp.ClientSession) -> None:
    other = "AC" + "2" * 32
    twilio.add_account(other, TOKEN, numbers=("whatsapp:+551140000000",))
    _, mine = await create(api)
    headers = {"Authorization": aiohttp.encode_basic_auth(other, TOKEN)}
    async with aiohttp.ClientSession(twilio.url, headers=headers) as session:
        for path, status in ((MESSAGES, 401), (f"/2010-04-01/Accounts/{other}/Messages/{mine['sid']}.json", 404)):
            async with session.get(path) as response:
                assert response.status == status


async def test_the_ledger_and_the_request_log_keep_what_was_sent(twilio: FakeTwilio, api: aiohttp.ClientSession) -> None:
    _, message = await create(api, StatusCallback=twilio.webhook_url + "/cb")
    (accepted,) = twilio.accepted
    assert (accepted.sid, accepted.account, accepted.from_, accepted.to, accepted.body) == (
        message["sid"],
        ACCOUNT,
        NUMBER,
        ANA,
        "olá",
    )
    assert dict(accepted.form)["StatusCallback"].endswith("/cb")
    assert [(request.method, request.path, request.status) for request in twilio.requests] == [("POST", MESSAGES, 201)]
    assert twilio.requests[0].form == accepted.form


async def test_a_list_is_newest_first_filtered_and_paged_through(twilio: FakeTwilio, api: aiohttp.ClientSession) -> None:
    for number in range(5):
        await create(api, Body=str(number))
    await create(api, To="whatsapp:+5511900000000", Body="other")
    bodies, uri = [], f"{MESSAGES}?PageSize=2&To={ANA.replace('+', '%2B')}"
    while uri:
        async with api.get(uri) as response:
            page = await response.json()
        bodies.append([message["body"] for message in page["messages"]])
        uri = page["next_page_uri"]
    assert bodies == [["4", "3"], ["2", "1"], ["0"]]


async def test_a_list_filters_by_the_day_of_sending(twilio: FakeTwilio, api: aiohttp.ClientSession) -> None:
    await create(api)
    await twilio.until(lambda: twilio.messages.all()[0].status == "delivered")
    for query, found in (
        ("DateSent%3E=2020-01-01", 1),
        ("DateSent%3C=2020-01-01", 0),
        ("DateSent=2020-01-01", 0),
        ("DateSent%3E=2999-01-01", 0),
    ):
        async with api.get(f"{MESSAGES}?{query}") as response:
            assert (query, len((await response.json())["messages"])) == (query, found)
    async with api.get(f"{MESSAGES}?DateSent=yesterday") as response:
        assert response.status == 400


async def test_a_new_message_shows_up_in_lists_only_after_the_delay(twilio: FakeTwilio, api: aiohttp.ClientSession) -> None:
    twilio.listing_delay_seconds = 1.0
    await create(api)
    async with api.get(MESSAGES) as response:
        assert (await response.json())["messages"] == []
    await asyncio.sleep(1.2)
    async with api.get(MESSAGES) as response:
        assert len((await response.json())["messages"]) == 1


async def test_media_is_fetched_with_credentials_and_served_by_the_cdn_without(
    twilio: FakeTwilio, api: aiohttp.ClientSession
) -> None:
    note = voice.voice_note("gastei 30 reais")
    await twilio.send(ANA, NUMBER, "", media=[("audio/ogg", note)])
    fields = dict(twilio.posted[-1].webhook.form)
    assert (fields["NumMedia"], fields["MediaContentType0"], fields["MessageType"]) == ("1", "audio/ogg", "audio")
    async with aiohttp.ClientSession() as anonymous:
        async with anonymous.get(fields["MediaUrl0"]) as response:
            assert response.status == 401
        async with api.get(fields["MediaUrl0"], allow_redirects=False) as response:
            assert response.status == 307
            cdn = response.headers["Location"]
        assert {"Expires", "Signature", "Key-Pair-Id"} <= parse_qs(cdn.partition("?")[2]).keys()
        async with anonymous.get(cdn) as response:
            assert (response.status, await response.read(), response.content_type) == (200, note, "audio/ogg")
        async with anonymous.get(cdn.partition("?")[0]) as response:
            assert response.status == 403
        assert twilio.leaks == []
        async with api.get(cdn) as response:
            assert response.status == 400
        assert twilio.leaks == [cdn.partition("?")[0].removeprefix(twilio.url)]
        async with api.delete(fields["MediaUrl0"]) as response:
            assert response.status == 204
        async with anonymous.get(cdn) as response:
            assert response.status == 403
