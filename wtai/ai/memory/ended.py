"""The job that follows the end of a conversation: what is to be remembered of it is owed."""

from wtai.ai.memory.extraction import owe_extraction
from wtai.ai.memory.summaries import owe_summary_at_end
from wtai.clock import Clock
from wtai.db.tx import Database, OwnerTx
from wtai.jobs.queue import Job


class Ended:
    """Owes the facts and the summary of conversations that ended, however they did."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def handle(self, job: Job) -> None:
        """The job ENDED."""
        await self._database.write(job.owner_id, _owe, job.argument("conversation_id"), now=self._clock.now())


def _owe(tx: OwnerTx, conversation_id: int, *, now: int) -> None:
    owe_extraction(tx, conversation_id, now=now)
    owe_summary_at_end(tx, conversation_id, now=now)
