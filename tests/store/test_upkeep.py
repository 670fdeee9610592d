"""What was over long ago is forgotten, and every subscription is in this month."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fakes import ManualClock
from tests.schema import new_database
from wtai.clock import DAY, HOUR
from wtai.db.sqlite import SqliteDatabase
from wtai.db.tx import Row, SystemTx
from wtai.identity.plans import month_of
from wtai.identity.store import create_owner
from wtai.identity.upkeep import UPKEEP, Upkeep
from wtai.jobs.queue import Job

NOW = 1_800_000_000_000
JOB = Job(1, 0, UPKEEP, None, "{}", 1, 0, 0)


@pytest.fixture
async def database(data_dir: Path) -> AsyncIterator[SqliteDatabase]:
    new_database(data_dir / "wtai.db")
    opened = await SqliteDatabase.open(data_dir / "wtai.db")
    await opened.system_write(create_owner, "Casa", "pt-BR", now=NOW)
    yield opened
    await opened.close()


def periods(tx: SystemTx) -> list[Row]:
    return list(tx.all("SELECT period_start, period_end FROM subscriptions"))


async def test_subscriptions_come_to_the_month_they_are_in(database: SqliteDatabase) -> None:
    later = NOW + 45 * DAY
    await Upkeep(database, ManualClock(later)).handle(JOB)
    assert [tuple(row) for row in await database.system_read(periods)] == [month_of(later)]


async def test_in_the_same_month_nothing_is_written(database: SqliteDatabase) -> None:
    before = [tuple(row) for row in await database.system_read(periods)]
    await Upkeep(database, ManualClock(NOW + HOUR)).handle(JOB)
    assert [tuple(row) for row in await database.system_read(periods)] == before
