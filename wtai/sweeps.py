"""The program's timers. Each tick only enqueues a uniquely keyed job, so that the durable table decides what runs."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from wtai.channels.missed import MISSED
from wtai.clock import HOUR, MINUTE, SECOND, Clock
from wtai.conversation.timeouts import TIMEOUTS
from wtai.db.tx import PLATFORM, Database
from wtai.errors import StorageUnavailable
from wtai.identity.upkeep import UPKEEP
from wtai.jobs.store import BACKGROUND, enqueue
from wtai.privacy.backups import BACKUP
from wtai.rollups.rollups import ROLLUPS
from wtai.search.indexing import INDEX

_AT_START: Final = (MISSED, 2 * MINUTE)

SWEEPS: Final = (
    (INDEX, 10 * SECOND),
    (TIMEOUTS, 30 * SECOND),
    (ROLLUPS, MINUTE),
    _AT_START,
    (BACKUP, 10 * MINUTE),
    (UPKEEP, HOUR),
)
"""Kinds of jobs and how often each is enqueued (ms)."""


@asynccontextmanager
async def sweeping(database: Database, clock: Clock) -> AsyncIterator[None]:
    """Tick inside ``async with``. A tick that could not be written is left to the next one.

    What was missed while the program was down is looked for at once.
    """

    async def tick(kind: str, every_ms: int) -> None:
        now = clock.now()
        unique_key = f"{kind}:{now // every_ms}"
        try:
            await database.write(PLATFORM, enqueue, kind, {}, key=kind, unique_key=unique_key, priority=BACKGROUND, now=now)
        except StorageUnavailable:
            return

    # The default grace time of one second silently drops a run that comes late.
    scheduler = AsyncIOScheduler(job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1}, timezone="UTC")
    for kind, every_ms in SWEEPS:
        scheduler.add_job(tick, "interval", args=(kind, every_ms), seconds=every_ms / 1000, id=kind)
    scheduler.start()
    await tick(*_AT_START)
    try:
        yield
    finally:
        scheduler.shutdown(wait=False)
