"""Conversations end when their time is up: whose, when, with which words, and at what cost however many are open."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from tests.fakes import ManualClock
from tests.program import until
from tests.schema import new_database
from wtai.clock import DAY, HOUR, MINUTE
from wtai.conversation import handoff, inbox, lifecycle, store, timeouts
from wtai.conversation.model import Conversation, Inbound, Kind, State
from wtai.conversation.texts import texts
from wtai.conversation.timeouts import TIMEOUTS, Timeouts
from wtai.db.sqlite import SqliteDatabase, connect
from wtai.db.tx import PLATFORM, OwnerTx, Row, SystemTx
from wtai.identity.preferences import Preferences
from wtai.identity.store import choose, create_owner
from wtai.jobs.queue import Job
from wtai.jobs.store import enqueue
from wtai.sweeps import sweeping

BASE = Preferences()
MANY = 100_000
OURS = "whatsapp:+551130000001"
TICK = Job(1, PLATFORM, TIMEOUTS, TIMEOUTS, "{}", 1, 0, 0)


class House:
    """A database with owners, and the sweep over it."""

    def __init__(self, path: Path, database: SqliteDatabase) -> None:
        self.path = path
        self.database = database
        self.clock = ManualClock()
        self.owner = 0
        self._posts = 0

    async def found(self, locale: str = "pt-BR", **chosen: object) -> int:
        """One more owner, with its choices; the house's owner from now on."""
        owner = await self.database.system_write(create_owner, "Padaria", locale, now=0)
        await self.database.write(owner.id, choose, BASE, json.dumps(chosen))
        self.owner = owner.id
        return owner.id

    async def heard(self, text: str = "oi", *, person: int = 1) -> Conversation:
        """Somebody wrote; their open conversation."""
        self._posts += 1
        address = f"whatsapp:+55119{person:08}"
        inbound = Inbound("whatsapp", f"SM{self._posts:032x}", OURS, address, (address,), (), Kind.TEXT, text)
        return await self.database.write(self.owner, self._keep, inbound)

    def _keep(self, tx: OwnerTx, inbound: Inbound) -> Conversation:
        chosen = BASE.model_copy(update=json.loads(str(self._one(tx, "SELECT preferences FROM owners WHERE id = :owner"))))
        received = inbox.receive(tx, inbound, chosen, now=self.clock.now())
        assert received.conversation_id is not None
        return self._now(tx, received.conversation_id)

    async def brought_to(self, state: State, **heard: int) -> Conversation:
        """A conversation somebody opened, in ``state`` by the table's edges."""
        conversation = await self.heard(**heard)
        ways = {State.PROGRESS: [State.PROGRESS], State.WAITING_USER: [State.PROGRESS, State.WAITING_USER]}
        for to in ways.get(state, []):
            await self.database.write(self.owner, self._move, conversation.id, to)
        if state is State.HANDOFF:
            await self.database.write(self.owner, lambda tx: handoff.take_over(tx, conversation, now=self.clock.now()))
        return conversation

    def _move(self, tx: OwnerTx, conversation_id: int, to: State) -> None:
        idle_at = self.clock.now() + 60 * MINUTE if to is State.WAITING_USER else None
        read = self._now(tx, conversation_id)
        lifecycle.move(tx, read, to, actor="agent", reason="test", idle_at=idle_at, now=self.clock.now())
        store.mark_answered(tx, conversation_id, store.last_inbound_id(tx, conversation_id))

    async def sweep(self) -> None:
        await Timeouts(self.database, BASE, self.clock).handle(TICK)

    def rows(self, sql: str, **parameters: object) -> list[Row]:
        with closing(connect(self.path, read_only=True)) as connection:
            return [dict(row) for row in connection.execute(sql, parameters).fetchall()]

    def state(self, conversation: Conversation) -> str:
        (row,) = self.rows("SELECT state FROM conversations WHERE id = :id", id=conversation.id)
        return str(row["state"])

    def said(self) -> list[str]:
        return [row["body"] for row in self.rows("SELECT body FROM messages WHERE direction = 'outbound' ORDER BY id")]

    @staticmethod
    def _one(tx: OwnerTx, sql: str) -> object:
        row = tx.one(sql)
        assert row is not None
        (value,) = dict(row).values()
        return value

    @staticmethod
    def _now(tx: OwnerTx, conversation_id: int) -> Conversation:
        found = store.conversation(tx, conversation_id)
        assert found is not None
        return found


@pytest.fixture
async def house(data_dir: Path) -> AsyncIterator[House]:
    path = data_dir / "wtai.db"
    new_database(path)
    database = await SqliteDatabase.open(path)
    opened = House(path, database)
    await opened.found()
    yield opened
    await database.close()


OPEN = [State.PENDING, State.PROGRESS, State.WAITING_USER, State.HANDOFF]


@pytest.mark.parametrize("state", OPEN)
async def test_only_who_keeps_us_waiting_is_idle(house: House, state: State) -> None:
    conversation = await house.brought_to(state)
    house.clock.advance(60 * MINUTE - 1)
    await house.sweep()
    assert house.state(conversation) == state
    house.clock.advance(1)
    await house.sweep()
    assert house.state(conversation) == ("IDLE_TIMEOUT" if state is State.WAITING_USER else state)


async def test_who_writes_in_time_is_not_idle(house: House) -> None:
    conversation = await house.brought_to(State.WAITING_USER)
    house.clock.advance(60 * MINUTE)
    await house.heard("ainda estou aqui")
    await house.sweep()
    house.clock.advance(5 * HOUR)
    await house.sweep()
    assert house.state(conversation) == "PROGRESS"


@pytest.mark.parametrize("state", OPEN)
async def test_a_day_after_its_start_a_conversation_expires_unless_a_person_has_it(house: House, state: State) -> None:
    conversation = await house.brought_to(state)
    await house.database.write(house.owner, lambda tx: tx.run("UPDATE conversations SET idle_at = NULL"))
    house.clock.advance(DAY - 1)
    await house.sweep()
    assert house.state(conversation) == state
    house.clock.advance(1)
    await house.sweep()
    assert house.state(conversation) == ("HANDOFF" if state is State.HANDOFF else "EXPIRED")
    await house.sweep()
    assert len(house.rows("SELECT 1 FROM conversation_events WHERE to_state = 'EXPIRED'")) == (state is not State.HANDOFF)


async def test_what_a_person_has_expires_where_the_owner_chose_so(house: House) -> None:
    await house.found(expires_in_handoff=True, expire_minutes=10)
    conversation = await house.brought_to(State.HANDOFF)
    house.clock.advance(10 * MINUTE)
    await house.sweep()
    assert house.state(conversation) == "EXPIRED"


async def test_handed_back_after_its_day_a_conversation_has_a_day_again(house: House) -> None:
    conversation = await house.brought_to(State.HANDOFF)
    house.clock.advance(3 * DAY)
    await house.sweep()

    def resume(tx: OwnerTx) -> None:
        handoff.resume(tx, house._now(tx, conversation.id), BASE, now=house.clock.now())

    await house.database.write(house.owner, resume)
    house.clock.advance(DAY - 1)
    await house.sweep()
    assert house.state(conversation) == "PROGRESS"
    house.clock.advance(1)
    await house.sweep()
    assert house.state(conversation) == "EXPIRED"


async def test_each_owner_has_its_own_patience(house: House) -> None:
    patient, hasty = house.owner, await house.found(expire_minutes=5)
    short = await house.heard()
    house.owner = patient
    long = await house.heard()
    house.clock.advance(5 * MINUTE)
    await house.sweep()
    assert (house.state(short), house.state(long)) == ("EXPIRED", "PENDING")
    assert [row["owner_id"] for row in house.rows("SELECT owner_id FROM conversations WHERE state = 'EXPIRED'")] == [hasty]


@pytest.mark.parametrize("locale", ["pt-BR", "es", "en"])
async def test_the_farewell_is_said_in_the_owners_language_where_the_owner_wants_one(house: House, locale: str) -> None:
    await house.found(locale, farewell_on_timeout=True)
    await house.brought_to(State.WAITING_USER)
    house.clock.advance(HOUR)
    await house.sweep()
    await house.sweep()
    assert house.said() == [texts(locale).timed_out]


@pytest.mark.parametrize(
    ("chosen", "wait", "opted_out"),
    [({}, HOUR, False), ({"farewell_on_timeout": True}, DAY, False), ({"farewell_on_timeout": True}, HOUR, True)],
    ids=["not wanted", "outside the window", "opted out"],
)
async def test_no_farewell_where_none_is_wanted_or_allowed(
    house: House, chosen: Mapping[str, object], wait: int, opted_out: bool
) -> None:
    await house.found(**chosen)
    conversation = await house.brought_to(State.WAITING_USER)
    if opted_out:
        await house.heard("SAIR")
    house.clock.advance(wait)
    await house.sweep()
    assert house.state(conversation) in ("IDLE_TIMEOUT", "EXPIRED")
    assert house.said() == []


async def test_a_clock_that_jumps_ahead_and_back_strikes_once(house: House) -> None:
    await house.found(farewell_on_timeout=True)
    conversation = await house.brought_to(State.WAITING_USER)
    for jump in (2 * HOUR, -3 * HOUR, 30 * DAY, -60 * DAY, 61 * DAY):
        house.clock.advance(jump)
        await house.sweep()
    assert house.state(conversation) == "IDLE_TIMEOUT"
    ended = "SELECT 1 FROM conversation_events WHERE to_state IN ('IDLE_TIMEOUT', 'EXPIRED')"
    assert len(house.rows(ended)) == 1
    assert len(house.said()) == 1
    assert await house.heard("oi") != conversation


async def test_a_tick_only_enqueues_and_ticks_of_one_moment_are_one_job(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wtai.sweeps.SWEEPS", ((TIMEOUTS, 50),))
    conversation = await house.brought_to(State.WAITING_USER)
    house.clock.advance(HOUR)
    ticks = []
    monkeypatch.setattr("wtai.sweeps.enqueue", lambda *args, **kwargs: ticks.append(1) or enqueue(*args, **kwargs))
    async with sweeping(house.database, house.clock):
        await until(lambda: len(ticks) >= 3)
    (job,) = house.rows("SELECT owner_id, key, payload FROM jobs WHERE kind = :kind", kind=TIMEOUTS)
    assert job == {"owner_id": PLATFORM, "key": TIMEOUTS, "payload": "{}"}
    assert house.state(conversation) == "WAITING_USER"


# A hundred thousand of them


def crowd(tx: SystemTx, owner: int, idle_at: int, expires_at: int) -> None:
    """So many people, each with an open conversation that waits for them; every fiftieth is due."""
    tx.run(
        """
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :many)
        INSERT INTO users (id, owner_id, public_id, created_at) SELECT 1000 + i, :owner_id, 'usr' || i, 0 FROM n
        """,
        owner_id=owner,
        many=MANY,
    )
    tx.run(
        """
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :many)
        INSERT INTO conversations (owner_id, public_id, user_id, channel, address, user_address, state, opened_at, updated_at,
            last_inbound_at, idle_at, expires_at)
        SELECT :owner_id, 'cnv' || i, 1000 + i, 'whatsapp', :ours, 'whatsapp:+' || i, 'WAITING_USER', 0, 0, 0,
            :idle_at + CASE WHEN i % 50 THEN 1000 ELSE 0 END, :expires_at FROM n
        """,
        owner_id=owner,
        many=MANY,
        ours=OURS,
        idle_at=idle_at,
        expires_at=expires_at,
    )


class Explained:
    """Takes a query's plan instead of its rows."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.plan: list[str] = []

    def query(self, sql: str, parameters: Mapping[str, object]) -> Sequence[Row]:
        with closing(connect(self._path, read_only=True)) as connection:
            found = connection.execute(f"EXPLAIN QUERY PLAN {sql}", parameters).fetchall()
        self.plan += [row["detail"] for row in found if "conversations" in row["detail"]]
        return []

    def change(self, sql: str, parameters: Mapping[str, object]) -> int:
        raise NotImplementedError


async def steps_of(house: House, now: int, limit: int) -> int:
    """How many of SQLite's own steps it takes to find what is due."""
    counted = 0

    def count() -> None:
        nonlocal counted
        counted += 1

    await house.database._writer.call(lambda connection: connection.set_progress_handler(count, 1))
    await house.database.system_write(store.due, now=now, limit=limit)
    await house.database._writer.call(lambda connection: connection.set_progress_handler(None, 0))
    return counted


async def test_what_is_due_is_found_by_index_and_a_batch_costs_the_same_however_many_are_due(house: House) -> None:
    now = house.clock.now()
    await house.database.system_write(crowd, house.owner, now, now + HOUR)
    explained = Explained(house.path)
    store.due(SystemTx(explained, set()), now=now, limit=200)
    assert [plan.partition(" (")[0] for plan in explained.plan] == [
        "SEARCH conversations USING INDEX conversations_idle",
        "SEARCH conversations USING INDEX conversations_expiring",
    ]
    few, all_of_them = await steps_of(house, now, 200), await steps_of(house, now + DAY, 200)
    assert all_of_them < 2 * few + 10_000


async def test_of_a_hundred_thousand_those_due_end_in_bounded_batches_and_the_others_are_left(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = house.clock.now()
    await house.database.system_write(crowd, house.owner, now, now + HOUR)
    batches: list[int] = []
    strike = timeouts._strike

    def counted(tx: SystemTx, base: Preferences, *, now: int) -> int:
        batches.append(strike(tx, base, now=now))
        return batches[-1]

    monkeypatch.setattr(timeouts, "_strike", counted)
    await house.sweep()
    assert batches == [timeouts._BATCH] * (MANY // 50 // timeouts._BATCH) + [0]
    counts = house.rows("SELECT state, count(*) AS n FROM conversations GROUP BY state ORDER BY state")
    assert {row["state"]: row["n"] for row in counts} == {"IDLE_TIMEOUT": MANY // 50, "WAITING_USER": MANY - MANY // 50}


async def test_a_new_person_is_welcomed_at_the_same_cost_in_a_crowd(house: House) -> None:
    """What the webhook answers for must not grow with the number of conversations that were ever opened."""
    taken: dict[str, int] = {}
    for when in ("alone", "in a crowd"):
        steps = 0

        def count() -> None:
            nonlocal steps
            steps += 1

        await house.database._writer.call(lambda connection, count=count: connection.set_progress_handler(count, 1))
        await house.heard(person=len(taken) + 1)
        await house.database._writer.call(lambda connection: connection.set_progress_handler(None, 0))
        taken[when] = steps
        now = house.clock.now()
        if when == "alone":
            await house.database.system_write(crowd, house.owner, now, now + HOUR)
    assert taken["in a crowd"] < 2 * taken["alone"]
