"""The job that fills the index, away from where messages are taken: a few at a time, a transaction each."""

from typing import Final

from wtai.db.tx import Database
from wtai.jobs.queue import Job
from wtai.search.index_store import fill_messages, fill_people, fill_transcripts

INDEX: Final = "sweep_index"
"""The kind of job; no payload."""

_BATCH: Final = 50
"""Takes some milliseconds, for so long messages wait that come in meanwhile."""


class Indexing:
    """Takes in what is new. A power cut may undo some of it, which is then taken in again."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def handle(self, _job: Job) -> None:
        """Take in all that there is."""
        for fill in (fill_messages, fill_transcripts, fill_people):
            while await self._database.system_write_relaxed(fill, limit=_BATCH) == _BATCH:
                pass
