"""A person steps in while a turn or a send is between any two of its awaits: from that commit on nothing the AI wrote goes out.

Each round runs one handler and lets the takeover commit while it is suspended for the k-th time, before what it waits for is
there or after. A send whose ``sending`` was committed before the takeover counts as before it. Database, HTTP and the fakes are
those of the whole program.
"""

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.program import World, open_world, person
from wtai.ai import turn
from wtai.ai.context import STEPPED_IN
from wtai.ai.memory.embedder import HashedEmbedder
from wtai.ai.memory.memories import Memories
from wtai.ai.openai import OpenAiLlm
from wtai.ai.owed import Owed
from wtai.ai.thinking import Answer
from wtai.ai.tools.http import HttpTools
from wtai.ai.turn import Turns
from wtai.channels.accounts import Accounts
from wtai.channels.sender import Sender
from wtai.channels.twilio.client import TwilioChannel
from wtai.channels.typing import TypingIndicator
from wtai.clock import SystemClock
from wtai.conversation import handoff, inbox, outbox, store
from wtai.conversation.inbox import TURN
from wtai.conversation.model import Inbound, Kind, OutboundMessage
from wtai.conversation.outbox import SEND
from wtai.db.sqlite import SqliteDatabase
from wtai.db.tx import OwnerTx
from wtai.egress import Egress
from wtai.errors import Retry
from wtai.identity.from_settings import sealer
from wtai.identity.preferences import Preferences
from wtai.jobs.queue import Job
from wtai.simulator.twilio_faults import TwilioFault
from wtai.working import metered, thinker

BASE = Preferences(burst_quiet_ms=0)
MOST_AWAITS = 40


class NeverTwice(SystemClock):
    """A clock that tells no millisecond twice, so that each call to Twilio is known by when it began."""

    def __init__(self) -> None:
        self._last = 0

    def now(self) -> int:
        self._last = max(self._last + 1, super().now())
        return self._last


CLOCK = NeverTwice()


class SteppedInAt:
    """A coroutine that is suspended for the k-th time while ``step_in`` runs: at once, or ``late``, when it could go on."""

    def __init__(
        self, coroutine: Coroutine[Any, Any, object], k: int, step_in: Callable[[], Awaitable[None]], *, late: bool
    ) -> None:
        self._coroutine = coroutine
        self._k = k
        self._step_in = step_in
        self._late = late
        self.reached = False

    def __await__(self) -> Generator[Any, None, object]:
        steps = self._coroutine.__await__()
        send: Callable[[], Any] = lambda: next(steps)  # noqa: E731
        for wait in itertools.count(1):
            try:
                future = send()
            except StopIteration as end:
                return end.value
            reached = wait == self._k
            self.reached |= reached
            if reached and not self._late:
                yield from self._stepping_in(future)
            try:
                yield future
            except BaseException as exc:  # noqa: BLE001 - handed on into the coroutine
                error = exc
                send = lambda: steps.throw(error)  # noqa: E731, B023
            else:
                send = lambda: next(steps)  # noqa: E731
            if reached and self._late:
                yield from self._stepping_in()
        raise AssertionError

    def _stepping_in(self, suspended_on: Any = None) -> Generator[Any, None, None]:
        """What the coroutine waits for is told only afterwards that it is being waited for: asyncio looks for that mark."""
        if suspended_on is not None:
            suspended_on._asyncio_future_blocking = False
        yield from self._step_in().__await__()
        if suspended_on is not None:
            suspended_on._asyncio_future_blocking = True


@dataclass
class Desk:
    """The two handlers, and what surrounds them."""

    world: World
    database: SqliteDatabase
    turns: Turns
    sender: Sender
    rounds: int = 0

    async def round(self, *, sending: bool, k: int, late: bool, hands_back: bool, throttled: bool) -> "Round":
        """A new person writes; the turn, or the send of its answer, is stepped into at its k-th await."""
        self.rounds += 1
        who = person(self.rounds)
        conversation_id = await self._heard(who)
        one = Round(self, who, conversation_id, hands_back)
        if throttled:
            self.world.twilio.faults.arm(TwilioFault.THROTTLED, to=who, retry_after="0")
        think = self.turns.handle(self._job(TURN, {"conversation_id": conversation_id}))
        if sending:
            await think
            send = self._send(await self._unsent(conversation_id))
            step = SteppedInAt(send, k, one.step_in, late=late)
        else:
            step = SteppedInAt(think, k, one.step_in, late=late)
        await step
        one.reached = step.reached
        await self._rest(conversation_id)
        return one

    async def _heard(self, who: str) -> int:
        sid, ours = f"SM{self.rounds:032x}", self.world.line.number
        inbound = Inbound("whatsapp", sid, ours, who, (who,), (), Kind.TEXT, "quero pão")
        received = await self.database.write(self.world.line.owner_id, inbox.receive, inbound, BASE, now=CLOCK.now())
        assert received.conversation_id is not None
        return received.conversation_id

    async def _rest(self, conversation_id: int) -> None:
        """Whatever is still to be done: a turn that the person who handed back owes, and every send."""
        await self.turns.handle(self._job(TURN, {"conversation_id": conversation_id}))
        for message_id in await self._unsent(conversation_id):
            await self._send([message_id])

    async def _send(self, messages: list[int]) -> None:
        for message_id in messages:
            for _ in range(5):
                try:
                    await self.sender.handle(self._job(SEND, {"message_id": message_id}))
                except Retry:
                    continue
                break

    async def _unsent(self, conversation_id: int) -> list[int]:
        def read(tx: OwnerTx) -> list[int]:
            sql = "SELECT id FROM messages WHERE owner_id = :owner AND conversation_id = :id AND status IN ('queued', 'sending')"
            return [row["id"] for row in tx.all(f"{sql} ORDER BY id", id=conversation_id)]

        return await self.database.read(self.world.line.owner_id, read)

    def _job(self, kind: str, payload: dict[str, int]) -> Job:
        ((name, number),) = payload.items()
        return Job(1, self.world.line.owner_id, kind, None, f'{{"{name}":{number}}}', 1, 0, 0)


@dataclass
class Round:
    """One takeover; ``before`` are the calls for the AI's messages that had begun when it was committed: message and time."""

    desk: Desk
    who: str
    conversation_id: int
    hands_back: bool
    before: frozenset[tuple[int, int]] = frozenset()
    stepped_in: bool = False
    reached: bool = False

    async def step_in(self) -> None:
        await self.desk.database.write(self.desk.world.line.owner_id, self._step_in)
        self.stepped_in = True

    def _step_in(self, tx: OwnerTx) -> None:
        read = store.conversation(tx, self.conversation_id)
        assert read is not None
        sql = "SELECT id, sending_at FROM messages WHERE owner_id = :owner AND conversation_id = :id AND sending_at IS NOT NULL"
        self.before = frozenset((row["id"], row["sending_at"]) for row in tx.all(sql, id=read.id))
        taken = handoff.take_over(tx, read, now=CLOCK.now())
        if self.hands_back:
            handoff.resume(tx, taken, BASE, now=CLOCK.now())

    def leaks(self) -> list[str]:
        """What the AI wrote without knowing of the takeover, and a call to Twilio that began after it brought out."""
        world = self.desk.world
        rows = world.rows(
            """SELECT id, public_id, body, sending_at FROM messages
            WHERE conversation_id = :id AND author = 'agent' AND provider_sid IS NOT NULL""",
            id=self.conversation_id,
        )
        gone = [row for row in rows if self.stepped_in and (row["id"], row["sending_at"]) not in self.before]
        return [row["body"] for row in gone if STEPPED_IN not in row["body"]]


@asynccontextmanager
async def open_desk(data_dir: Path) -> AsyncIterator[Desk]:
    async with open_world(data_dir) as world, AsyncExitStack() as stack:
        settings = world.settings()
        database = await SqliteDatabase.open(settings.database_path)
        stack.push_async_callback(database.close)
        accounts = Accounts(database, sealer(settings), CLOCK)
        channel = TwilioChannel(
            base_url=world.twilio.url,
            messaging_url=world.twilio.url,
            public_url="http://127.0.0.1:9",
            send_seconds=2.0,
        )
        stack.push_async_callback(channel.close)
        llm = OpenAiLlm(base_url=f"{world.model.url}/v1", api_key="sk-test", api="chat", model="m", timeout_seconds=5.0)
        stack.push_async_callback(llm.close)
        world.twilio.statuses = ()
        channels = {"whatsapp": channel}
        typing = TypingIndicator(accounts, channels)
        http_tools = HttpTools(database, sealer(settings), Egress(), CLOCK)
        meter, memories = metered(settings, database, llm, CLOCK), Memories(database, HashedEmbedder())
        thinking = thinker(settings, database, meter, memories, http_tools, CLOCK)
        turns = Turns(database, thinking, CLOCK, base=BASE, show_typing=typing.show)
        yield Desk(world, database, turns, Sender(database, accounts, channels, CLOCK, reconcile_ms=0))


@pytest.fixture
async def desk(data_dir: Path) -> AsyncIterator[Desk]:
    async with open_desk(data_dir) as opened:
        yield opened


async def race(desk: Desk, rounds: int) -> tuple[list[str], int]:
    """What leaked in so many rounds, and in how many of them the takeover came in between."""
    leaked: list[str] = []
    between = 0
    ways = itertools.product((False, True), (False, True), (False, True), (False, True))
    for sending, late, hands_back, throttled in itertools.cycle(ways):
        for k in range(1, MOST_AWAITS):
            one = await desk.round(sending=sending, k=k, late=late, hands_back=hands_back, throttled=throttled)
            leaked += one.leaks()
            between += one.reached
            if desk.rounds == rounds:
                return leaked, between
            if not one.reached:
                break
    raise AssertionError


@pytest.mark.parametrize("drafts", [3, 1], ids=["drafts can be voided", "every draft is the last"])
@pytest.mark.parametrize("rounds", [160, pytest.param(1_000, marks=pytest.mark.slow)])
async def test_from_the_commit_of_a_takeover_nothing_goes_out_that_the_ai_wrote(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, rounds: int, drafts: int
) -> None:
    monkeypatch.setattr(turn, "_DRAFTS", drafts)
    leaked, between = await race(desk, rounds)
    assert leaked == []
    assert between > rounds * 0.8


# With a guard switched off


def the_turn_does_not_look_at_the_epoch(patch: pytest.MonkeyPatch) -> None:
    commit = turn._commit

    def without_epoch(tx: OwnerTx, owed: Owed, answer: Answer, *, final: bool, now: int) -> None:
        current = store.conversation(tx, owed.conversation.id)
        assert current is not None
        same = replace(owed.conversation, takeover_epoch=current.takeover_epoch)
        commit(tx, replace(owed, conversation=same), answer, final=final, now=now)

    patch.setattr(turn, "_commit", without_epoch)


def the_sender_does_not_look_at_the_epoch(patch: pytest.MonkeyPatch) -> None:
    hold_back = outbox._is_held_back

    def without_epoch(tx: OwnerTx, message: OutboundMessage, now: int) -> bool:
        return hold_back(tx, replace(message, takeover_epoch=0), now)

    patch.setattr(outbox, "_is_held_back", without_epoch)


@pytest.mark.parametrize("switch", [the_turn_does_not_look_at_the_epoch, the_sender_does_not_look_at_the_epoch])
async def test_without_the_epoch_it_is_found_out(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, switch: Callable[[pytest.MonkeyPatch], None]
) -> None:
    monkeypatch.setattr(turn, "_DRAFTS", 1)
    switch(monkeypatch)
    leaked, _ = await race(desk, 160)
    assert leaked
