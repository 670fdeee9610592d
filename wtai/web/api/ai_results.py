"""What is kept of the AI's turns: route, memories, calls, tokens and cost of each."""

import json
from datetime import datetime
from decimal import Decimal
from typing import Annotated

from pydantic import Field, JsonValue

from wtai.ai.pricing import MICROS
from wtai.ai.views_store import ResultRow, result_row, result_rows
from wtai.conversation.views_store import conversation_row
from wtai.db.tx import OwnerTx
from wtai.errors import NotFound
from wtai.web.api.call import Call
from wtai.web.api.models import Id, Identified, Page, Paging, at
from wtai.web.api.route import ROOT, Route

_TAG = "ai-results"
_PATH = f"{ROOT}/ai-results"


class ListResults(Paging):
    """Which turns."""

    conversation: Annotated[Id | None, Field(description="Of this conversation.")] = None


class ResultView(Identified):
    """A turn. ``calls`` are the model's calls, ``exchange`` its tool calls and their results, as they were. ``prompts`` are those
    that were used, by name and hash, ``prompt_id`` the last of them. ``stepped_down``: a budget asked for a smaller model, or a
    shorter answer.
    """

    conversation: str
    feature: str
    outcome: str
    model: str | None
    prompt_id: str | None
    prompts: list[str]
    stepped_down: bool
    route: JsonValue
    memories: JsonValue
    calls: JsonValue
    exchange: JsonValue
    requests: int
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    cost_usd: Decimal
    latency_ms: int
    created_at: datetime


async def list_results(call: Call[None, ListResults]) -> Page[ResultView]:
    """The newest first."""

    def work(tx: OwnerTx, before: tuple[int, ...] | None) -> list[ResultRow]:
        behind = before[0] if before else None
        if call.query.conversation is None:
            return result_rows(tx, before=behind, limit=call.limit + 1)
        try:
            of = conversation_row(tx, call.query.conversation)
        except NotFound:
            return []
        return result_rows(tx, conversation_id=of.id, before=behind, limit=call.limit + 1)

    rows = await call.read(work, call.after(1))
    return call.page(Page[ResultView], rows, _shown, lambda row: (row.id,))


async def read_result(call: Call[None, None]) -> ResultView:
    """One turn."""
    return _shown(await call.read(result_row, call.ids["result"]))


def _shown(row: ResultRow) -> ResultView:
    return ResultView(
        id=row.public_id,
        conversation=row.conversation,
        feature=row.feature,
        outcome=row.outcome,
        model=row.model or None,
        prompt_id=row.prompt_id or None,
        prompts=json.loads(row.prompts),
        stepped_down=row.stepped_down,
        route=json.loads(row.route),
        memories=json.loads(row.memories),
        calls=json.loads(row.calls),
        exchange=json.loads(row.exchange),
        requests=row.requests,
        prompt_tokens=row.prompt_tokens,
        cached_tokens=row.cached_tokens,
        completion_tokens=row.completion_tokens,
        cost_usd=dollars(row.cost),
        latency_ms=row.latency_ms,
        created_at=at(row.created_at),
    )


def dollars(micros: int) -> Decimal:
    """Millionths of a dollar as dollars."""
    return Decimal(micros) / MICROS


ROUTES = (
    Route(
        "GET",
        _PATH,
        list_results,
        "List the AI's turns, the newest first",
        _TAG,
        {200: Page[ResultView]},
        action="ai_results.read",
        query=ListResults,
    ),
    Route("GET", f"{_PATH}/{{result}}", read_result, "Read a turn", _TAG, {200: ResultView}, action="ai_results.read"),
)
