"""Back-ups of the running program: made by a job or a command, each with the tombstones beside it."""

import asyncio
from pathlib import Path
from typing import Final

import structlog

from wtai.clock import HOUR, Clock
from wtai.db.backup import DATABASE, Backup, found, one_at_a_time, pack, prune, workplace
from wtai.db.sqlite import SqliteDatabase
from wtai.jobs.queue import Job
from wtai.privacy import erasures_store
from wtai.privacy.tombstones import write_side_file

log = structlog.get_logger(__name__)

BACKUP: Final = "backup"
"""The kind of job that makes a back-up if one is due; no payload."""


class Backups:
    """Makes back-ups in ``directory`` and keeps the newest ``keep``. One is due ``every_hours`` after the last; 0: never."""

    def __init__(
        self, database: SqliteDatabase, clock: Clock, *, directory: Path, media: Path, every_hours: int = 0, keep: int
    ) -> None:
        self._database = database
        self._clock = clock
        self._directory = directory
        self._media = media
        self._every_ms = every_hours * HOUR
        self._keep = keep

    async def handle(self, _job: Job) -> None:
        """The job BACKUP. EnvironmentProblem where the directory cannot serve."""
        if self._every_ms and await asyncio.to_thread(self._is_due):
            await self.create(with_media=True)

    async def create(self, *, with_media: bool) -> Backup:
        """Make a back-up now, then remove those that are too many.

        EnvironmentProblem, BackupBroken or StorageUnavailable if there is none for it; what was there stays then.
        """
        with one_at_a_time(self._directory), workplace(self._directory) as folder:
            tombstones = await self._database.system_read(erasures_store.tombstones)
            await asyncio.to_thread(write_side_file, self._directory, tombstones)
            await self._database.copy_to(folder / DATABASE)
            media = self._media if with_media else None
            made = await asyncio.to_thread(pack, folder, self._directory, media, now=self._clock.now())
            gone = await asyncio.to_thread(prune, self._directory, self._keep)
        log.info("backup.made", file=made.path.name, size=made.size, removed=len(gone))
        return made

    def _is_due(self) -> bool:
        whole = [backup.manifest.created_at for backup in found(self._directory) if backup.manifest is not None]
        return not whole or self._clock.now() - max(whole) >= self._every_ms
