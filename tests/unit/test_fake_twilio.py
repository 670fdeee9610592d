"""The fake Twilio behaves as Twilio does: its REST API, its signatures, its callbacks, and the faults it is told to commit."""

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from twilio.request_validator import RequestValidator

from wtai.clock import SystemClock
from wtai.simulator.server import Listener
from wtai.simulator.twilio import FakeTwilio
from wtai.simulator.twilio_faults import TwilioFault
from wtai.simulator.twilio_webhooks import Overrides

SHARED = Path(__file__).resolve().parents[3] / "shared"
ACCOUNT = "AC" + "1" * 32
TOKEN = "f" * 32
NUMBER = "whatsapp:+551130000000"
ANA = "whatsapp:+5511987654321"
MESSAGES = f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json"


class Application:
    """The program under test, reduced to its webhook routes: keeps each form and says whether its signature is right."""

    def __init__(self) -> None:
        self.public_url = ""
        self.forms: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.valid: list[bool] = []
        self.answers: list[int] = []
        self.ports: set[int] = set()

    async def hook(self, request: web.Request) -> web.Response:
        form = await request.post()
        url = f"{self.public_url}{request.path_qs}"
        self.valid.append(RequestValidator(TOKEN).validate(url, form, request.headers["X-Twilio-Signature"]))
        self.forms.append({name: str(value) for name, value in form.items()})
        self.paths.append(request.path_qs)
        self.ports.add(request.transport.get_extra_info("peername")[1])
        return web.Response(text="<Response/>", content_type="text/xml", status=self.answers.pop() if self.answers else 200)

    def statuses(self) -> list[str]:
        return [form["MessageStatus"] for form in self.forms]


@pytest.fixture
async def application() -> AsyncIterator[Application]:
    application, listener, app = Application(), Listener(), web.Application()
    app.router.add_post("/{tail:.*}", application.hook)
    application.public_url = await listener.start(app, "127.0.0.1", 0)
    yield application
    await listener.close()


@pytest.fixture
async def twilio(application: Application) -> AsyncIterator[FakeTwilio]:
    async with FakeTwilio(SystemClock(), application.public_url) as twilio:
        twilio.add_account(ACCOUNT, TOKEN, numbers=(NUMBER,))
        yield twilio


@pytest.fixture
async def api(twilio: FakeTwilio) -> AsyncIterator[aiohttp.ClientSession]:
    headers = {"Authorization": aiohttp.encode_basic_auth(ACCOUNT, TOKEN)}
    async with aiohttp.ClientSession(twilio.url, headers=headers) as session:
        yield session


def form(**fields: str) -> dict[str, str]:
    return {"To": ANA, "From": NUMBER, "Body": "olá", **fields}


async def create(api: aiohttp.ClientSession, **fields: str) -> tuple[int, dict[str, object]]:
    async with api.post(MESSAGES, data=form(**fields)) as response:
        return response.status, await response.json()


async def test_a_customers_message_arrives_as_twilios_signed_form(twilio: FakeTwilio, application: Application) -> None:
    result = await twilio.send(ANA, NUMBER, " olá\r\n😀 & = +", profile_name="Ana", extra=(("ToCity", ""),))
    assert (result.status, result.text) == (200, "<Response/>")
    assert application.valid == [True]
    assert application.paths == ["/webhooks/twilio/inbound"]
    (fields,) = application.forms
    assert fields["Body"] == " olá\r\n😀 & = +"
    assert fields["MessageSid"] == fields["SmsSid"] == fields["SmsMessageSid"] == result.sid
    assert (fields["From"], fields["To"], fields["AccountSid"], fields["ApiVersion"]) == (ANA, NUMBER, ACCOUNT, "2010-04-01")
    assert (fields["WaId"], fields["ProfileName"], fields["NumMedia"], fields["MessageType"]) == (
        "5511987654321",
        "Ana",
        "0",
        "text",
    )
    assert (fields["SmsStatus"], fields["NumSegments"], fields["ReferralNumMedia"], fields["ToCity"]) == (
        "received",
        "1",
        "0",
        "",
    )
    assert re.fullmatch(r"whatsapp:BR\.[0-9]{16}", fields["ExternalUserId"])


async def test_a_customer_without_a_visible_phone_writes_from_the_business_scoped_id(
    twilio: FakeTwilio, application: Application
) -> None:
    await twilio.send("whatsapp:BR.1A2B3C", NUMBER, "oi")
    (fields,) = application.forms
    assert fields["From"] == fields["ExternalUserId"] == "whatsapp:BR.1A2B3C"
    assert "WaId" not in fields


async def test_the_signed_address_may_differ_from_the_one_connected_to(
    twilio: FakeTwilio, application: Application, api: aiohttp.ClientSession
) -> None:
    twilio.public_url = application.public_url = "https://wtai.example:8443"
    assert (await twilio.send(ANA, NUMBER, "oi")).status == 200
    await create(api, StatusCallback="https://wtai.example:8443/webhooks/twilio/status?m=msg_1")
    await twilio.until(lambda: len(application.forms) == 3)
    assert application.paths[1:] == ["/webhooks/twilio/status?m=msg_1"] * 2
    assert application.valid == [True] * 3


async def test_connections_are_kept_alive(twilio: FakeTwilio, application: Application) -> None:
    for _ in range(5):
        await twilio.send(ANA, NUMBER, "oi")
    assert len(application.ports) == 1


async def test_a_redelivery_is_the_same_form(twilio: FakeTwilio, application: Application) -> None:
    result = await twilio.send(ANA, NUMBER, "oi")
    assert (await twilio.redeliver(result.sid)).sid == result.sid
    assert application.forms[0] == application.forms[1]
    assert application.valid == [True, True]


async def test_raw_pairs_are_signed_and_a_signature_can_be_forged(twilio: FakeTwilio, application: Application) -> None:
    pairs = (("AccountSid", ACCOUNT), ("New", ""), ("MessageSid", "SM1"))
    await twilio.post(pairs)
    await twilio.post(pairs, signature="forged")
    assert application.valid == [True, False]


async def test_a_message_is_reported_sent_then_delivered_then_read(
    twilio: FakeTwilio, application: Application, api: aiohttp.ClientSession
) -> None:
    twilio.statuses = ("sent", "delivered", "read")
    _, message = await create(api, StatusCallback=twilio.webhook_url + "/status?m=msg_1")
    assert message["status"] == "queued"
    await twilio.until(lambda: len(application.forms) == 3)
    assert application.statuses() == ["sent", "delivered", "read"]
    assert application.valid == [True] * 3
    fields = application.forms[-1]
    assert (fields["MessageSid"], fields["ChannelPrefix"], fields["EventType"]) == (message["sid"], "whatsapp", "READ")
    async with api.get(str(message["uri"])) as response:
        assert (await response.json())["status"] == "read"


async def test_63016_is_accepted_first_and_undelivered_later(
    twilio: FakeTwilio, application: Application, api: aiohttp.ClientSession
) -> None:
    twilio.faults.arm(TwilioFault.OUTSIDE_WINDOW)
    status, _ = await create(api, StatusCallback=twilio.webhook_url + "/status")
    assert status == 201
    await twilio.until(lambda: len(application.forms) == 1)
    (fields,) = application.forms
    assert (fields["MessageStatus"], fields["ErrorCode"], fields["EventType"]) == ("undelivered", "63016", "UNDELIVERED")
    async with api.get(MESSAGES) as response:
        assert (await response.json())["messages"][0]["error_code"] == 63016


@pytest.mark.parametrize(
    ("fault", "reported"),
    [
        (TwilioFault.STATUS_DUPLICATED, ["sent", "sent", "delivered", "delivered"]),
        (TwilioFault.STATUS_REORDERED, ["delivered", "sent"]),
        (TwilioFault.STATUS_DROPPED, []),
    ],
)
async def test_callbacks_are_duplicated_reordered_or_dropped_on_demand(
    twilio: FakeTwilio, application: Application, api: aiohttp.ClientSession, fault: TwilioFault, reported: list[str]
) -> None:
    twilio.faults.arm(fault)
    await create(api, StatusCallback=twilio.webhook_url + "/status")
    await create(api, Body="after", StatusCallback=twilio.webhook_url + "/status")
    first, after = twilio.accepted
    await twilio.until(lambda: len(application.forms) == len(reported) + 2)
    assert [entry["MessageStatus"] for entry in application.forms if entry["MessageSid"] == first.sid] == reported
    assert [entry["MessageStatus"] for entry in application.forms if entry["MessageSid"] == after.sid] == ["sent", "delivered"]
    assert all(application.valid)


async def test_a_refusal_armed_for_two_requests_accepts_nothing_and_ends(twilio: FakeTwilio, api: aiohttp.ClientSession) -> None:
    twilio.faults.arm(TwilioFault.THROTTLED, times=2, retry_after="3")
    for _ in range(2):
        async with api.post(MESSAGES, data=form()) as response:
            assert (response.status, response.headers["Retry-After"], (await response.json())["code"]) == (429, "3", 20429)
    twilio.faults.arm(TwilioFault.ERROR_BEFORE)
    twilio.faults.arm(TwilioFault.OPTED_OUT)
    assert (await create(api))[0] == 500
    assert (await create(api))[1]["code"] == 21610
    assert twilio.accepted == []
    assert (await create(api))[0] == 201


@pytest.mark.parametrize("fault", [TwilioFault.ERROR_AFTER, TwilioFault.TIMEOUT_AFTER, TwilioFault.RESET_AFTER])
async def test_a_message_can_be_accepted_without_the_caller_learning_it(
    twilio: FakeTwilio, api: aiohttp.ClientSession, fault: TwilioFault
) -> None:
    twilio.faults.arm(fault)
    timeout = aiohttp.ClientTimeout(total=2.0)
    try:
        async with api.post(MESSAGES, data=form(), timeout=timeout) as response:
            outcome = str(response.status)
    except (TimeoutError, aiohttp.ServerDisconnectedError) as exc:
        outcome = "time-out" if isinstance(exc, TimeoutError) else "reset"
    assert (
        outcome
        == {TwilioFault.ERROR_AFTER: "500", TwilioFault.TIMEOUT_AFTER: "time-out", TwilioFault.RESET_AFTER: "reset"}[fault]
    )
    assert len(twilio.accepted) == 1
    await twilio.until(lambda: twilio.messages.all()[0].status == "delivered")


async def test_a_fault_can_be_limited_to_one_recipient(twilio: FakeTwilio, api: aiohttp.ClientSession) -> None:
    twilio.faults.arm(TwilioFault.ERROR_BEFORE, times=None, to=ANA)
    assert [(await create(api, To=to))[0] for to in (ANA, "whatsapp:+5511900000000", ANA)] == [500, 201, 500]


async def test_faults_by_chance_repeat_with_the_same_seed(application: Application) -> None:
    def outcomes(seed: int) -> list[bool]:
        faults = FakeTwilio(SystemClock(), seed=seed).faults
        faults.arm(TwilioFault.ERROR_BEFORE, times=None, probability=0.5)
        return [faults.take(TwilioFault.ERROR_BEFORE) is not None for _ in range(64)]

    assert outcomes(1) == outcomes(1) != outcomes(2)
    assert 16 < sum(outcomes(1)) < 48


async def test_a_webhook_is_posted_twice_on_demand(twilio: FakeTwilio, application: Application) -> None:
    twilio.faults.arm(TwilioFault.WEBHOOK_DUPLICATED)
    result = await twilio.send(ANA, NUMBER, "oi")
    assert [fields["MessageSid"] for fields in application.forms] == [result.sid, result.sid]


async def test_a_failing_webhook_is_retried_only_when_its_fragment_says_so(twilio: FakeTwilio, application: Application) -> None:
    application.answers = [503]
    assert (await twilio.send(ANA, NUMBER, "oi")).status == 503
    application.answers, twilio.inbound_fragment = [503, 503], "rc=3&rp=all"
    assert (await twilio.send(ANA, NUMBER, "oi")).status == 200
    assert len(application.forms) == 4
    assert all(application.valid)


async def test_an_application_that_is_down_gives_status_0_and_one_retry(twilio: FakeTwilio) -> None:
    twilio.webhook_url = "http://127.0.0.1:1"
    result = await twilio.send(ANA, NUMBER, "oi")
    assert (result.status, len(twilio.posted)) == (0, 2)
    assert result.text.startswith("no connection")


def test_retry_policies_are_read_from_the_fragment() -> None:
    plain = Overrides.of("https://example.org/hook?x=1")
    assert (plain.retry_on("ct"), plain.retry_on("rt"), plain.retry_on("5xx"), plain.retry_on("")) == (True, False, False, False)
    some = Overrides.of("https://example.org/hook#rc=2&rp=rt,5xx&rt=1000")
    assert (some.retries, some.read_ms, some.retry_on("5xx"), some.retry_on("ct")) == (2, 1000, True, False)


async def test_another_process_drives_and_inspects_it_over_json(
    twilio: FakeTwilio, application: Application, api: aiohttp.ClientSession
) -> None:
    async with api.post("/send", json={"from": ANA, "to": NUMBER, "voice": "que horas são"}) as response:
        heard = await response.json()
    assert heard["status"] == 200
    await api.post("/redeliver", json={"sid": heard["sid"]})
    assert [fields["MessageSid"] for fields in application.forms] == [heard["sid"]] * 2
    async with api.post("/faults", json={"kind": "500_after", "times": 1}) as response:
        assert response.status == 204
    await api.post("/settings", json={"statuses": ["sent"]})
    assert (await create(api))[0] == 500
    async with api.get("/ledger?after=0") as response:
        ledger = await response.json()
    assert (ledger["total"], ledger["accepted"][0]["from"], ledger["accepted"][0]["body"]) == (1, NUMBER, "olá")
    async with api.get("/webhooks") as response:
        assert f"--data-raw MediaContentType0=audio%2Fogg&SmsMessageSid={heard['sid']}" in (await response.json())[0][
            "curl"
        ].replace("'", "")
    for path, body in (
        ("/faults", {"kind": "flood"}),
        ("/send", {"from": ANA}),
        ("/redeliver", {"sid": "SMnone"}),
        ("/settings", {"color": "red"}),
    ):
        async with api.post(path, json=body) as response:
            assert response.status == 400


async def test_it_runs_in_a_process_of_its_own() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "wtai.simulator.twilio", "--account", f"{ACCOUNT}:{TOKEN}:{NUMBER}", stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        url = (await asyncio.wait_for(process.stdout.readline(), 10)).decode().strip()
        headers = {"Authorization": aiohttp.encode_basic_auth(ACCOUNT, TOKEN)}
        async with aiohttp.ClientSession(url, headers=headers) as api:
            assert (await create(api))[0] == 201
    finally:
        process.terminate()
    assert await asyncio.wait_for(process.wait(), 10) == 0


async def test_a_watcher_sees_every_step(twilio: FakeTwilio, api: aiohttp.ClientSession) -> None:
    seen: list[tuple[str, str]] = []
    twilio.watch(lambda message: seen.append((message.direction, message.status)))
    heard = await twilio.send(ANA, NUMBER, "oi")
    await api.post("/v2/Indicators/Typing.json", data={"channel": "whatsapp", "messageId": heard.sid})
    await create(api)
    await twilio.until(lambda: twilio.messages.all()[-1].status == "delivered")
    outbound = [("outbound-api", status) for status in ("queued", "sent", "delivered")]
    assert seen == [("inbound", "received"), ("inbound", "received"), *outbound]
