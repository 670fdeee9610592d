"""All that is known of one message: how it was sent, and of the AI's what led to it."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from aiohttp import web
from pydantic import BaseModel, ConfigDict, TypeAdapter

from wtai.ai.pricing import MICROS
from wtai.ai.trace_store import Judgement, judgement_of_message, judgement_of_turn, memory_texts
from wtai.ai.views_store import ResultRow, result_row
from wtai.conversation.thread_store import Line, line
from wtai.db.tx import OwnerTx
from wtai.identity.users_store import staff
from wtai.web.api.conversations import as_read
from wtai.web.console.conversation_details import details_of, variables_of
from wtai.web.console.conversation_forms import ONE
from wtai.web.console.conversation_words import author, delivery, outcome, provider_words
from wtai.web.console.page import Page, Visit


class _Kept(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Route(_Kept):
    """Which specialist answered, and how it was found."""

    agent: str = ""
    how: str = ""
    model: str = ""


class ToolUse(_Kept):
    """A tool's call as it was."""

    name: str
    arguments: str = ""
    result: str = ""
    failed: bool = False
    waits: bool = False
    milliseconds: int = 0


class Remembered(_Kept):
    """A memory that was shown to the model."""

    public_id: str
    score: float
    superseded: bool = False


_CALLS = TypeAdapter(list[ToolUse])
_MEMORIES = TypeAdapter(list[Remembered])
_PROMPTS = TypeAdapter(list[str])


@dataclass(frozen=True, slots=True)
class Trace:
    """A turn of the AI. ``memories`` come with their texts, None where one was forgotten."""

    result: ResultRow
    route: Route
    prompts: list[str]
    calls: list[ToolUse]
    memories: list[tuple[Remembered, str | None]]

    @property
    def dollars(self) -> Decimal:
        """What it cost."""
        return Decimal(self.result.cost) / MICROS


@dataclass(frozen=True, slots=True)
class Known:
    """A message with its trace, if the AI had a part in it, and how its words were judged."""

    line: Line
    trace: Trace | None
    judgement: Judgement | None
    names: Mapping[str, str]


async def message(visit: Visit) -> web.StreamResponse:
    """A sheet about one message. NotFound."""
    known = await visit.read(_known, visit.ids["conversation"], visit.ids["message"])
    of = known.line
    outbound = of.direction == "outbound"
    return visit.page(
        "conversation/message.html",
        known=known,
        line=of,
        trace=known.trace,
        judgement=known.judgement,
        outcome=outcome(visit.text, known.trace.result.outcome) if known.trace else "",
        by=author(visit.text, of.author, known.names.get(of.staff or "", "")) if outbound else "",
        delivery=delivery(visit.text, of) if outbound else None,
        provider_words=provider_words(of),
        details=details_of(of.details),
        variables=variables_of(of.content_variables),
    )


def _known(tx: OwnerTx, conversation: str, public: str) -> Known:
    read = as_read(tx, conversation, None)
    of = line(tx, read.id, public)
    names = {user.public_id: user.name or user.email or "" for user in staff(tx)}
    if of.ai_result is None:
        return Known(of, None, judgement_of_message(tx, of.id), names)
    result = result_row(tx, of.ai_result)
    memories = _MEMORIES.validate_json(result.memories)
    texts = memory_texts(tx, read.user_id, (memory.public_id for memory in memories))
    trace = Trace(
        result,
        Route.model_validate_json(result.route),
        _PROMPTS.validate_json(result.prompts),
        _CALLS.validate_json(result.calls),
        [(memory, texts.get(memory.public_id)) for memory in memories],
    )
    return Known(of, trace, judgement_of_turn(tx, result.id), names)


PAGES = (Page("GET", f"{ONE}/m/{{message}}", message, "ai_results.read"),)
