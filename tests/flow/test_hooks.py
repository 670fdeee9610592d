"""The real program tells an owner's server of what happens: signed, at least once under one id, and no other owner's server."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from standardwebhooks import Webhook, WebhookVerificationError

from tests.program import Line, World, open_world, person
from wtai.app import Running, running
from wtai.clock import DAY, HOUR, SystemClock
from wtai.db.sqlite import SqliteDatabase
from wtai.egress import Egress
from wtai.events import Event
from wtai.hooks.deliveries_store import deliveries, replay, replay_failed
from wtai.hooks.endpoints_store import create_endpoint, endpoint, rotate_secret, update_endpoint
from wtai.hooks.model import SCHEDULE_MS, Delivery, Status
from wtai.identity.from_settings import sealer
from wtai.jobs.store import enqueue


class AheadClock(SystemClock):
    """The machine's clock, set ahead by a test."""

    def __init__(self) -> None:
        self.ahead = 0

    def now(self) -> int:
        return super().now() + self.ahead


@dataclass
class Heard:
    """One request that the official library vouched for."""

    id: str
    event: dict[str, Any]
    signatures: int


@dataclass
class Receiver:
    """An owner's server. It believes whoever the official library believes; ``ahead``: at the time that the request names."""

    secret: str = ""
    heard: list[Heard] = field(default_factory=list)
    refused: int = 0
    answer: Callable[[], web.StreamResponse] = lambda: web.Response(status=204)
    hangs: bool = False
    ahead: bool = False

    def __post_init__(self) -> None:
        app = web.Application()
        app.router.add_post("/hooks", self._hook)
        self.server = TestServer(app, host="127.0.0.1")

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server.port}"

    @property
    def url(self) -> str:
        return f"http://{self.host}/hooks?key=s3cr3t"

    def types(self) -> list[str]:
        return [heard.event["type"] for heard in self.heard]

    def bodies(self) -> list[str]:
        return [heard.event["data"]["body"] for heard in self.heard]

    async def _hook(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        signatures = request.headers["webhook-signature"].split()
        if not self._believes(request.headers, body, signatures):
            self.refused += 1
            return web.Response(status=401)
        self.heard.append(Heard(request.headers["webhook-id"], json.loads(body), len(signatures)))
        if self.hangs:
            await asyncio.Event().wait()
        return self.answer()

    def _believes(self, headers: Mapping[str, str], body: bytes, signatures: list[str]) -> bool:
        official = Webhook(self.secret)
        if self.ahead:
            at = datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)
            return official.sign(headers["webhook-id"], at, body.decode()) in signatures
        try:
            official.verify(body, dict(headers))
        except WebhookVerificationError:
            return False
        return True


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    built = Receiver()
    await built.server.start_server()
    yield built
    await built.server.close()


@pytest.fixture
async def world(data_dir: Path, receiver: Receiver) -> AsyncIterator[World]:
    async with open_world(data_dir, owners=2, egress={"allowed_private_hosts": [receiver.host]}) as opened:
        yield opened


@asynccontextmanager
async def database_of(world: World) -> AsyncIterator[SqliteDatabase]:
    database = await SqliteDatabase.open(world.settings().database_path)
    try:
        yield database
    finally:
        await database.close()


async def connect(world: World, receiver: Receiver, *events: Event, line: Line | None = None, url: str | None = None) -> str:
    """An endpoint at the receiver; returns its id."""
    settings = world.settings()
    egress = Egress(settings.egress.allowed_private_hosts)
    async with database_of(world) as database:
        issued = await database.write(
            (line or world.line).owner_id,
            create_endpoint,
            url or receiver.url,
            events or tuple(Event),
            sealer=sealer(settings),
            egress=egress,
            now=SystemClock().now(),
        )
    receiver.secret = issued.secret
    return issued.endpoint.public_id


async def owed(program: Running, owner_id: int) -> list[Delivery]:
    return await program.database.read(owner_id, deliveries, limit=100)


async def test_a_conversation_is_told_in_order_to_its_own_owner_alone(world: World, receiver: Receiver) -> None:
    await connect(world, receiver)
    other = world.lines[1]
    async with world.running() as program:
        await world.say(person(2), "do outro", line=other)
        await world.say(person(1), "oi")
        await world.answers_to(person(1), 1)
        await world.answers_to(person(2), 1)
        await world.until(lambda: "message.sent" in receiver.types())
        await world.at_rest()
        assert await owed(program, other.owner_id) == []
    assert receiver.types()[:2] == ["conversation.opened", "message.received"]
    told = {heard.event["type"]: heard.event["data"] for heard in receiver.heard}
    assert (told["message.received"]["body"], told["message.sent"]["body"]) == ("oi", "eco: oi")
    assert told["message.sent"]["conversation"] == told["conversation.opened"]["id"]
    assert "do outro" not in json.dumps([heard.event for heard in receiver.heard])
    assert len({heard.id for heard in receiver.heard}) == len(receiver.heard)
    assert receiver.refused == 0


@asynccontextmanager
async def at_a_time_of_its_own(world: World, receiver: Receiver) -> AsyncIterator[tuple[Running, AheadClock]]:
    """The program with a clock that the test sets ahead, which takes no lease from who still works."""
    clock, receiver.ahead = AheadClock(), True
    async with running(world.settings(worker={"lease_seconds": 600}), clock=clock) as program:
        world.twilio.webhook_url = program.url
        yield program, clock


async def test_what_fails_is_tried_again_under_the_same_id_until_it_arrives(world: World, receiver: Receiver) -> None:
    await connect(world, receiver, Event.MESSAGE_RECEIVED)
    receiver.answer = lambda: web.Response(status=500, text="x" * 2_000_000)
    async with at_a_time_of_its_own(world, receiver) as (program, clock):
        await world.say(person(1), "oi")
        for tries in (1, 2, 3):
            await world.until(lambda tries=tries: len(receiver.heard) == tries)
            await world.until(lambda tries=tries: world.value("SELECT attempts FROM webhook_deliveries") == tries)
            [one] = await owed(program, 1)
            assert (one.status, one.last_status) == ("failed", 500)
            clock.ahead += (one.next_at or 0) - clock.now()
        receiver.answer = lambda: web.Response(status=200)
        await world.until(lambda: world.value("SELECT status FROM webhook_deliveries") == "delivered")
    assert len(receiver.heard) in (4, 5)
    assert len({heard.id for heard in receiver.heard}) == 1


async def test_what_never_arrives_is_dead_after_days_and_can_be_replayed(world: World, receiver: Receiver) -> None:
    await connect(world, receiver, Event.MESSAGE_RECEIVED)
    receiver.answer = lambda: web.Response(status=500)
    async with at_a_time_of_its_own(world, receiver) as (program, clock):
        began = clock.now()
        await world.say(person(1), "oi")
        for tries in range(1, len(SCHEDULE_MS) + 1):
            await world.until(lambda tries=tries: world.value("SELECT attempts FROM webhook_deliveries") == tries)
            clock.ahead += DAY + 6 * HOUR
        await world.until(lambda: world.value("SELECT status FROM webhook_deliveries") == "dead")
        assert len(receiver.heard) == len(SCHEDULE_MS) + 1
        receiver.answer = lambda: web.Response(status=200)
        assert await program.database.write(1, replay_failed, since=began, now=clock.now()) == 1
        await world.until(lambda: world.value("SELECT status FROM webhook_deliveries") == "delivered")
        [one] = await owed(program, 1)
        await program.database.write(1, replay, one.public_id, now=clock.now())
        await world.until(lambda: len(receiver.heard) == len(SCHEDULE_MS) + 3)
    assert len({heard.id for heard in receiver.heard}) == 1


async def test_a_receiver_that_is_gone_is_told_nothing_more(world: World, receiver: Receiver) -> None:
    public = await connect(world, receiver, Event.MESSAGE_RECEIVED)
    receiver.answer = lambda: web.Response(status=410)
    async with world.running() as program:
        await world.say(person(1), "oi")
        await world.until(lambda: world.value("SELECT status FROM webhook_endpoints") == "disabled")
        await world.say(person(1), "tem alguém?")
        await world.at_rest()
        assert [one.status for one in await owed(program, 1)] == ["dead"]
        egress = Egress(world.settings().egress.allowed_private_hosts)
        now = SystemClock().now()
        await program.database.write(1, update_endpoint, public, active=True, egress=egress, now=now)
        receiver.answer = web.Response
        await world.say(person(1), "de novo")
        await world.until(lambda: receiver.bodies() == ["oi", "de novo"])
        await world.at_rest()


async def test_a_receiver_that_throttles_is_left_alone_for_as_long_as_it_asks(world: World, receiver: Receiver) -> None:
    await connect(world, receiver, Event.MESSAGE_RECEIVED)
    receiver.answer = lambda: web.Response(status=429, headers={"Retry-After": "3600"})
    async with at_a_time_of_its_own(world, receiver) as (_, clock):
        await world.say(person(1), "oi")
        await world.until(lambda: len(receiver.heard) == 1)
        await world.answers_to(person(1), 1)
        await world.say(person(1), "alô")
        await world.answers_to(person(1), 2)
        receiver.answer = web.Response
        clock.ahead += HOUR // 2
        await asyncio.sleep(1)
        assert receiver.bodies() == ["oi"]
        clock.ahead += HOUR
        await world.until(lambda: sorted(receiver.bodies()) == ["alô", "oi", "oi"])


async def test_while_a_secret_is_rotated_both_sign(world: World, receiver: Receiver) -> None:
    public = await connect(world, receiver, Event.MESSAGE_RECEIVED)
    old = receiver.secret
    async with world.running() as program:
        now = SystemClock().now()
        issued = await program.database.write(1, rotate_secret, public, sealer=sealer(world.settings()), now=now)
        for secret in (old, issued.secret):
            receiver.secret = secret
            await world.say(person(1), "oi")
            await world.at_rest()
        assert [heard.signatures for heard in receiver.heard] == [2, 2]
        assert (await program.database.read(1, endpoint, public)).version == 2


async def test_a_redirect_and_a_private_address_are_not_followed(world: World, receiver: Receiver) -> None:
    await connect(world, receiver, Event.MESSAGE_RECEIVED)
    receiver.answer = lambda: web.Response(status=302, headers={"Location": receiver.url})
    async with world.running() as program:
        await world.say(person(1), "oi")
        await world.until(lambda: world.value("SELECT attempts FROM webhook_deliveries") == 1)
        [one] = await owed(program, 1)
        assert (one.status, one.last_error) == ("failed", "HTTP status 302")
    assert len(receiver.heard) == 1
    async with world.running(egress={"allowed_private_hosts": []}) as program:
        await program.database.write(1, replay, one.public_id, now=SystemClock().now())
        await world.until(lambda: world.value("SELECT last_status IS NULL FROM webhook_deliveries") == 1)
        [again] = await owed(program, 1)
        assert again.last_error is not None and "https://" in again.last_error
        assert "s3cr3t" not in again.last_error
    assert len(receiver.heard) == 1, "the operator allows it no more"


async def test_a_receiver_that_hangs_holds_up_no_conversation(world: World, receiver: Receiver) -> None:
    await connect(world, receiver)
    receiver.hangs = True
    async with world.running(worker={"concurrency": 2, "shutdown_grace_seconds": 0.2}):
        for number in range(1, 7):
            await world.say(person(number), "oi")
        for number in range(1, 7):
            await world.answers_to(person(number), 1)
        await world.until(lambda: bool(receiver.heard))
        assert len(receiver.heard) == 1
        receiver.hangs = False


@pytest.mark.parametrize(
    ("failpoint", "times"), [("hook.before_call", 1), ("hook.after_call", 2), ("hook.after_commit", 1), ("ack.after_commit", 1)]
)
async def test_killed_on_the_way_an_event_arrives_under_one_id(
    world: World, receiver: Receiver, free_port: int, failpoint: str, times: int
) -> None:
    await connect(world, receiver, Event.MESSAGE_RECEIVED)
    egress = {"allowed_private_hosts": json.dumps([receiver.host])}
    async with world.process(free_port, failpoints=f"{failpoint}=1:kill", egress=egress) as process:
        await world.say(person(1), "oi")
        assert await process.exit_code() == -signal.SIGKILL
    async with world.process(free_port, egress=egress):
        await world.until(lambda: world.value("SELECT status FROM webhook_deliveries") == "delivered")
        await world.at_rest()
    assert [heard.event["data"]["body"] for heard in receiver.heard] == ["oi"] * times
    assert len({heard.id for heard in receiver.heard}) == 1


async def test_a_dead_job_is_told(world: World, receiver: Receiver) -> None:
    await connect(world, receiver, Event.JOB_DEAD)
    async with world.running() as program:
        await program.database.write(1, enqueue, "no_such_kind", {"message_id": 1}, now=SystemClock().now())
        await world.until(lambda: len(receiver.heard) == 1)
    assert receiver.heard[0].event["data"]["kind"] == "no_such_kind"


async def test_the_operator_connects_lists_and_replays_from_the_shell(world: World, receiver: Receiver) -> None:
    owner = world.line.owner
    (world.data_dir / "config.toml").write_text(f'[egress]\nallowed_private_hosts = ["{receiver.host}"]\n')
    arguments = ("--url", receiver.url, "--event", "message.received", "--json")
    made = json.loads(world.command("webhook", "create", owner, *arguments).stdout)
    receiver.secret = made["secret"]
    async with world.running():
        await world.say(person(1), "Quero um bolo")
        await world.at_rest()
    listed = world.command("webhook", "list", owner, "--json").stdout
    assert [one["id"] for one in json.loads(listed)] == [made["id"]]
    assert receiver.secret not in listed
    told = world.command("webhook", "deliveries", owner, "--json").stdout
    [one] = json.loads(told)
    assert (one["status"], one["event_type"]) == (Status.DELIVERED, "message.received")
    assert "bolo" not in told
    world.command("webhook", "replay", owner, "--delivery", one["public_id"])
    async with world.running():
        await world.until(lambda: len(receiver.heard) == 2)
    assert receiver.heard[0].id == receiver.heard[1].id
