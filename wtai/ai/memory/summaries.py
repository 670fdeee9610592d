"""Rolling summaries: what the turns before the window come to, made anew from the stored turns each time."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

import structlog

from wtai.ai.llm import Finish, LlmRequest, System, User
from wtai.ai.memory import conversations
from wtai.ai.memory.asking import FEATURE, NOT_NOW, later
from wtai.ai.memory.conversations import Bookmarks, Line
from wtai.ai.memory.guard import Unfit, cleaned, unfit
from wtai.ai.metering import Meter
from wtai.ai.usage_store import Budgets, budgets_of
from wtai.db.tx import Database, OwnerTx
from wtai.errors import LlmRefused
from wtai.identity.preferences import Preferences
from wtai.jobs.queue import Job
from wtai.jobs.store import BACKGROUND, enqueue

log = structlog.get_logger(__name__)

SUMMARIZE: Final = "summarize"
"""The kind of job; payload conversation_id and through, the message up to which is summed up."""

_WORTH_CHARS: Final = 400
"""Less than this is greetings. More that leaves the window is summed up at once: till then the model would know nothing of it."""

_MOST_CHARS: Final = 40_000
_MOST_LINE: Final = 2_000
_MAX_OUTPUT_TOKENS: Final = 1_024
_LONGEST_SUMMARY: Final = 2_500
_SAYS: Final = {"user": "USER", "agent": "AGENT", "staff": "STAFF", "system": "AGENT"}


@dataclass(frozen=True, slots=True)
class _Past:
    read: Bookmarks
    lines: tuple[Line, ...]
    budgets: Budgets


def owe_summary_of_past(tx: OwnerTx, conversation_id: int, window_after: int, *, now: int) -> None:
    """Have what lies before the window (up to message ``window_after``) summed up, if enough of it is in no summary yet."""
    read = conversations.bookmarks(tx, conversation_id)
    if read is None or window_after <= read.summary_through:
        return
    if conversations.said_between(tx, conversation_id, read.summary_through, window_after) > _WORTH_CHARS:
        _owe(tx, conversation_id, window_after, now=now)


def owe_summary_at_end(tx: OwnerTx, conversation_id: int, *, now: int) -> None:
    """Have a closed conversation summed up for the next one, if more was said than a greeting."""
    read = conversations.bookmarks(tx, conversation_id)
    if read is None:
        return
    if conversations.said_between(tx, conversation_id, read.summary_from, read.last_message_id) > _WORTH_CHARS:
        _owe(tx, conversation_id, read.last_message_id, now=now)


class Summarizing:
    """Sums up with ``model``, metered, for owners whose choices are over ``base``."""

    def __init__(self, database: Database, meter: Meter, *, base: Preferences, model: str | None) -> None:
        self._database = database
        self._meter = meter
        self._base = base
        self._model = model

    async def handle(self, job: Job) -> None:
        """The job SUMMARIZE: one call, over the stored turns and never over the summary before.

        Retry while there is no model, or no money for one.
        """
        conversation_id, through = job.argument("conversation_id"), job.argument("through")
        past = await self._database.read(job.owner_id, _past, conversation_id, through, self._base)
        if past is None or not past.lines:
            return
        summary = await self._asked(job.owner_id, past)
        if summary is not None:
            await self._database.write(job.owner_id, conversations.put_summary, conversation_id, past.read, summary, through)

    async def _asked(self, owner_id: int, past: _Past) -> str | None:
        request = LlmRequest(
            (System(_prompt()), User(_transcript(past.lines))), model=self._model, max_output_tokens=_MAX_OUTPUT_TOKENS
        )
        llm = self._meter.of(owner_id, past.read.user_id, FEATURE, past.budgets)
        try:
            reply = await llm.reply(request)
        except NOT_NOW as exc:
            raise later(exc, now=self._meter.clock.now()) from exc
        except LlmRefused as exc:
            log.warning("memory.not_summarized", code=exc.code)
            return None
        summary = cleaned(reply.text)[:_LONGEST_SUMMARY]
        if reply.finish is not Finish.STOP or not summary or any(unfit(part) in _NEVER for part in summary.split(". ")):
            log.warning("memory.not_summarized", code=reply.finish.value)
            return None
        return summary


_NEVER: Final = frozenset({Unfit.SECRET, Unfit.REFUSAL})


def _owe(tx: OwnerTx, conversation_id: int, through: int, *, now: int) -> None:
    ids = {"conversation_id": conversation_id, "through": through}
    unique = f"{conversation_id}:{through}"
    enqueue(tx, SUMMARIZE, ids, key=f"memory:{conversation_id}", unique_key=unique, priority=BACKGROUND, now=now)


def _past(tx: OwnerTx, conversation_id: int, through: int, base: Preferences) -> _Past | None:
    read = conversations.bookmarks(tx, conversation_id)
    if read is None or through <= read.summary_from or (read.summary_through >= through):
        return None
    lines = conversations.lines(tx, conversation_id, read.summary_from, through)
    taken: list[Line] = []
    left = _MOST_CHARS
    for line in reversed(lines):  # of too much, the end
        left -= min(len(line.text), _MOST_LINE)
        if left < 0 and taken:
            break
        taken.append(line)
    return _Past(read, tuple(reversed(taken)), budgets_of(tx, base))


def _transcript(lines: Sequence[Line]) -> str:
    return "\n".join(f"{_SAYS[line.author]}: {' '.join(line.text[:_MOST_LINE].split())}" for line in lines if line.text)


@cache
def _prompt() -> str:
    return (files("wtai.ai.memory") / "summary.md").read_text("utf-8").strip()
