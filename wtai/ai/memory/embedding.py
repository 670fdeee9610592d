"""The job that gives facts their vectors."""

import structlog

from wtai.ai.memory.asking import later
from wtai.ai.memory.memories import Memories
from wtai.clock import Clock
from wtai.errors import BudgetReached, LlmRefused, LlmUnavailable
from wtai.jobs.queue import Job

log = structlog.get_logger(__name__)


class Embedding:
    """Gives the facts of ``memories`` their vectors."""

    def __init__(self, memories: Memories, clock: Clock) -> None:
        self._memories = memories
        self._clock = clock

    async def handle(self, job: Job) -> None:
        """The job EMBED. Retry while the embedder is unavailable or a budget has no room; where it refuses, and until then, words
        alone find the facts.
        """
        try:
            await self._memories.embed_missing(job.owner_id, job.argument("user_id"))
        except (LlmUnavailable, BudgetReached) as exc:
            raise later(exc, now=self._clock.now()) from exc
        except LlmRefused as exc:
            log.error("memory.not_embedded", code=exc.code)  # noqa: TRY400 - the code says it all
