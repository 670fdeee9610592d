"""The counters are what a recount finds, whatever happens while they are moved forward."""

import asyncio
import random
from collections import Counter as Counts
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime
from math import ceil
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import ManualClock
from tests.store.rollup_world import BASE, HOURS, NOW, RollupWorld, no_position, open_minutes, recounted, waits
from wtai.clock import DAY, HOUR, MINUTE
from wtai.db.migrate import migrate
from wtai.db.sqlite import SqliteDatabase
from wtai.db.tx import OwnerTx
from wtai.identity.audit_store import OPERATOR
from wtai.identity.preferences import Preferences
from wtai.jobs.queue import Job
from wtai.privacy.eraser import Eraser
from wtai.privacy.tombstones import AddressDigests
from wtai.rollups import store
from wtai.rollups.counting import hours_from
from wtai.rollups.model import bucket, quantiles
from wtai.rollups.rollups import ROLLUPS, Rollups, catch_up
from wtai.secrets import Key, Sealer

JOB = Job(1, 0, ROLLUPS, None, "{}", 1, 0, 0)
WAITS = {"agent": "ai_wait", "staff": "human_wait"}


@pytest.fixture
async def world(data_dir: Path) -> AsyncIterator[RollupWorld]:
    migrate(data_dir / "wtai.db")
    database = await SqliteDatabase.open(data_dir / "wtai.db", readers=2)
    made = RollupWorld(data_dir / "wtai.db", database, random.Random(20270115))
    await made.found()
    yield made
    await database.close()


class Dying:
    """A database whose process dies at about every third write: before it, or once it is done."""

    def __init__(self, database: SqliteDatabase, chance: random.Random) -> None:
        self._database, self._chance = database, chance
        self.deaths = 0

    async def system_read(self, *args: Any, **kwargs: Any) -> Any:
        return await self._database.system_read(*args, **kwargs)

    async def system_write_relaxed(self, *args: Any, **kwargs: Any) -> Any:
        dies = self._chance.choice(("before", "after", "never"))
        if dies != "before":
            await self._database.system_write_relaxed(*args, **kwargs)
        if dies != "never":
            self.deaths += 1
            raise ConnectionAbortedError


def without_waits(counted: dict[tuple[Any, ...], int]) -> dict[tuple[Any, ...], int]:
    return {key: count for key, count in counted.items() if key[2] not in WAITS.values()}


def assert_counted_once(world: RollupWorld, *, now: int = NOW) -> None:
    assert without_waits(world.counted("day")) == recounted(world, "day")
    kept = {key: count for key, count in recounted(world, "hour").items() if key[1] >= hours_from(now)}
    assert {key: count for key, count in without_waits(world.counted("hour")).items() if key[1] >= hours_from(now)} == kept
    for author, measure in WAITS.items():
        expected: Counts[tuple[int, str]] = Counts()
        for owner, since, to in waits(world, author):
            in_hours = owner == world.owners[1] and author == "staff"
            expected[(owner, bucket(HOURS.open_ms(since, to) if in_hours else to - since))] += 1
        found: Counts[tuple[int, str]] = Counts()
        for (owner, _, of, _, key), count in world.counted("day").items():
            if of == measure:
                found[(owner, key)] += count
        assert found == expected


async def test_the_counters_of_a_random_world_are_what_sql_counts(world: RollupWorld) -> None:
    await world.live(300)
    await Rollups(world.database, BASE, ManualClock(NOW)).handle(JOB)
    assert sum(world.counted("day").values()) > 3_000
    assert_counted_once(world)


async def test_counted_in_pieces_while_the_world_goes_on_it_is_the_same(world: RollupWorld) -> None:
    for part in range(1, 9):
        await world.live(40, until=NOW - 40 * DAY + part * 5 * DAY)
        await catch_up(world.database, BASE, now=world.clock, batches=1)
    while not await catch_up(world.database, BASE, now=NOW):
        pass
    assert_counted_once(world)


async def test_who_dies_in_the_middle_counts_once(world: RollupWorld) -> None:
    await world.live(200)
    dying = Dying(world.database, random.Random(3))
    whole = False
    while not whole:
        with suppress(ConnectionAbortedError):
            whole = await catch_up(dying, BASE, now=NOW, batches=1)  # type: ignore[arg-type]
    assert dying.deaths > 3
    assert_counted_once(world)


async def test_two_who_count_at_once_count_once(world: RollupWorld) -> None:
    await world.live(200)
    await asyncio.gather(*[catch_up(world.database, BASE, now=NOW) for _ in range(4)])
    while not await catch_up(world.database, BASE, now=NOW):
        pass
    assert_counted_once(world)


async def test_without_a_position_it_would_count_twice(world: RollupWorld) -> None:
    await world.live(20)
    await catch_up(world.database, BASE, now=NOW)
    await world.database.system_write(no_position)
    await catch_up(world.database, BASE, now=NOW)
    with pytest.raises(AssertionError):
        assert_counted_once(world)


async def test_it_can_be_made_anew_from_nothing(world: RollupWorld) -> None:
    await world.live(100)
    await catch_up(world.database, BASE, now=NOW)
    before = world.counted("day")
    await world.database.system_write(store.forget)
    assert world.counted("day") == {}
    while not await catch_up(world.database, BASE, now=NOW):
        pass
    assert world.counted("day") == before


async def test_what_still_changes_is_put_right(world: RollupWorld) -> None:
    await world.live(30)
    await catch_up(world.database, BASE, now=NOW)
    await world.database.system_write(lambda tx: tx.run("UPDATE usage SET cost = cost + 7 WHERE day = '2027-01-15'"))
    late = (
        "UPDATE messages SET status = CASE status WHEN 'failed' THEN 'delivered' ELSE 'failed' END WHERE direction = 'outbound'"
    )
    await world.database.system_write(lambda tx: tx.run(f"{late} AND created_at > :since", since=NOW - DAY))
    await catch_up(world.database, BASE, now=NOW + 5_000)
    assert_counted_once(world)


async def test_hours_of_long_ago_are_forgotten(world: RollupWorld) -> None:
    await world.live(30)
    await catch_up(world.database, BASE, now=NOW)
    assert min(key[1] for key in world.counted("hour")) >= hours_from(NOW)
    world.clock = later = NOW + 10 * DAY
    for owner in world.owners:
        await world.database.write(owner, world.talk, 1)
    await catch_up(world.database, BASE, now=later)
    assert min(key[1] for key in world.counted("hour")) >= hours_from(later)


async def test_an_owner_reads_its_own_counters(world: RollupWorld) -> None:
    await world.live(60)
    await catch_up(world.database, BASE, now=NOW)

    def read(tx: OwnerTx) -> int:
        found = store.counted(tx, "day", "2026-01-01", "2027-12-31", feature=None)
        return sum(count for counts in found["messages"].values() for count in counts.values())

    for owner in world.owners:
        written = world.rows("SELECT count(*) AS n FROM messages WHERE owner_id = :owner", owner=owner)[0]["n"]
        assert await world.database.read(owner, read) == written
    assert await world.database.read(0, read) == 0


async def test_of_an_erased_person_the_sums_stay_and_nothing_else(world: RollupWorld) -> None:
    world.clock = NOW - 30 * DAY
    await world.live(40, until=NOW - 10 * DAY)
    await catch_up(world.database, BASE, now=NOW)
    before = world.counted("day")
    people = world.rows("SELECT owner_id, public_id FROM users ORDER BY id LIMIT 10")
    folder = world.path.parent
    eraser = Eraser(
        world.database, AddressDigests(Sealer(Key("key00000", b"k" * 32))), ManualClock(NOW), media=folder, backups=folder
    )
    for person in people:
        await eraser.erase_user(person["owner_id"], person["public_id"], OPERATOR)
    assert len(world.rows("SELECT id FROM messages")) < sum(n for key, n in before.items() if key[2] == "messages")
    await catch_up(world.database, BASE, now=NOW + HOUR)
    assert world.counted("day") == before


def test_a_quantile_is_exact_to_a_fifth() -> None:
    chance = random.Random(5)
    for _ in range(200):
        waited = sorted(round(chance.lognormvariate(9, 2)) + 1 for _ in range(chance.randrange(1, 400)))
        shares = (0.5, 0.9)
        for share, found in zip(shares, quantiles(Counts(map(bucket, waited)), *shares), strict=True):
            exact = waited[ceil(share * len(waited)) - 1]
            assert found is not None
            assert 0.84 <= found / exact <= 1.19
    assert quantiles({}, 0.5, 0.9) == [None, None]


@pytest.mark.parametrize(
    ("start", "end", "hours"),
    [
        ("2027-01-15T12:00", "2027-01-15T13:30", 1.5),  # Friday, 09:00 to 10:30
        ("2027-01-15T20:30", "2027-01-18T12:15", 0.75),  # over the weekend: until 18:00, and from Monday 09:00
        ("2027-01-16T12:00", "2027-01-17T12:00", 0),
        ("2027-01-11T00:00", "2027-01-18T00:00", 45),
    ],
)
def test_waits_for_people_count_business_hours(start: str, end: str, hours: float) -> None:
    first, last = (round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000) for text in (start, end))
    assert HOURS.open_ms(first, last) == hours * HOUR
    assert Preferences().open_ms(first, last) == last - first


def test_business_hours_are_those_counted_minute_by_minute() -> None:
    chance = random.Random(9)
    for _ in range(40):
        start = NOW + chance.randrange(30 * DAY)
        end = start + chance.randrange(5 * DAY)
        assert abs(HOURS.open_ms(start, end) / MINUTE - open_minutes(start, end)) <= 10


def test_shifts_that_overlap_or_end_at_midnight_count_once() -> None:
    shifts = [
        {"days": ["friday"], "start": "09:00", "end": "18:00"},
        {"days": ["friday"], "start": "16:00", "end": "00:00"},
        {"days": ["saturday"], "start": "00:00", "end": "02:00"},
    ]
    chosen = Preferences.model_validate({"time_zone": "UTC", "business_hours": shifts})
    friday = NOW // DAY * DAY
    assert chosen.open_ms(friday, friday + 2 * DAY) == 17 * HOUR
