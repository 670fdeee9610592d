"""The job that keeps identity tidy: sessions that were over long ago are forgotten, subscriptions come to their next period."""

from typing import Final

from wtai.clock import DAY, Clock
from wtai.db.tx import Database
from wtai.identity.plans_store import roll_periods
from wtai.identity.sessions_store import prune_sessions
from wtai.jobs.queue import Job

UPKEEP: Final = "sweep_identity"
"""The kind of job; no payload."""

_SESSIONS_KEPT_MS: Final = 30 * DAY
_BATCH: Final = 500


class Upkeep:
    """Works in batches, a transaction each."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def handle(self, _job: Job) -> None:
        """Do what there is to do."""
        now = self._clock.now()
        before = now - _SESSIONS_KEPT_MS
        while await self._database.system_write_relaxed(prune_sessions, before=before, limit=_BATCH) == _BATCH:
            pass
        while await self._database.system_write_relaxed(roll_periods, limit=_BATCH, now=now) == _BATCH:
            pass
