"""SQL of turns: what a turn needs to know, and what became of it."""

from dataclasses import dataclass
from itertools import takewhile

from wtai.conversation.model import Kind, Message, Status
from wtai.db.tx import OwnerTx
from wtai.ids import public_id

ANSWERED, CLOSED, ASKED, HANDED_OVER, INTERRUPTED = "answered", "closed", "asked", "handed_over", "interrupted"
NO_BUDGET, NO_QUOTA = "no_budget", "no_quota"
SETTLED = frozenset({ANSWERED, CLOSED, ASKED, HANDED_OVER, INTERRUPTED, NO_BUDGET, NO_QUOTA})
"""Outcomes that say nothing against the AI; every other one is the reason of a failure."""


@dataclass(frozen=True, slots=True)
class PastTurn:
    """An answered turn: ``exchange`` is the JSON of its tool calls and results."""

    id: int
    through_message_id: int
    exchange: str


@dataclass(frozen=True, slots=True)
class AiResult:
    """What is kept of a turn for the audit and for the turns after it. ``exchange``, ``calls``, ``route``, ``memories`` and
    ``prompts`` are JSON; ``cost`` is in millionths of a US dollar. ``prompt_id`` is the last of ``prompts``, which also names the
    router's and those of agents that handed over. ``stepped_down``: a budget asked for a smaller model, or a shorter answer.
    """

    feature: str
    outcome: str
    model: str
    prompt_id: str
    exchange: str = "[]"
    calls: str = "[]"
    requests: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    latency_ms: int = 0
    route: str = "{}"
    memories: str = "[]"
    cost: int = 0
    prompts: str = "[]"
    stepped_down: bool = False


def count_turns(tx: OwnerTx, conversation_id: int) -> int:
    """How many turns of the conversation were answered."""
    row = tx.one("SELECT count(*) AS n FROM ai_results WHERE owner_id = :owner AND conversation_id = :id", id=conversation_id)
    return int(row["n"]) if row else 0


def past_turns(tx: OwnerTx, conversation_id: int, *, skip: int) -> list[PastTurn]:
    """Answered turns, oldest first, without the first ``skip``."""
    rows = tx.all(
        """
        SELECT id, through_message_id, exchange FROM ai_results
        WHERE owner_id = :owner AND conversation_id = :id ORDER BY id LIMIT -1 OFFSET :skip
        """,
        id=conversation_id,
        skip=skip,
    )
    return [PastTurn(**dict(row)) for row in rows]


def messages_after(tx: OwnerTx, conversation_id: int, after: int) -> list[Message]:
    """The conversation's messages behind ``after``, in order."""
    rows = tx.all(
        """
        SELECT id, public_id, direction, author, kind, status, body, provider_sid, details, ai_result_id, created_at FROM messages
        WHERE owner_id = :owner AND conversation_id = :id AND id > :after ORDER BY id
        """,
        id=conversation_id,
        after=after,
    )
    return [Message(**{**dict(row), "kind": Kind(row["kind"]), "status": Status(row["status"])}) for row in rows]


def failed_turns(tx: OwnerTx, conversation_id: int) -> int:
    """How many of the latest turns in a row failed, since a person handed the conversation back if one did."""
    rows = tx.all(
        """
        SELECT outcome FROM ai_results
        WHERE owner_id = :owner AND conversation_id = :id AND created_at > coalesce((
            SELECT max(created_at) FROM conversation_events
            WHERE owner_id = :owner AND conversation_id = :id AND from_state = 'HANDOFF'
        ), 0)
        ORDER BY id DESC LIMIT 20
        """,
        id=conversation_id,
    )
    return len(list(takewhile(lambda row: row["outcome"] not in SETTLED, rows)))


def through_of_turn(tx: OwnerTx, conversation_id: int, number: int) -> int:
    """Up to which message the ``number``-th turn (from 1) answered; 0 for the time before the first."""
    if number == 0:
        return 0
    row = tx.one(
        """
        SELECT through_message_id FROM ai_results
        WHERE owner_id = :owner AND conversation_id = :id ORDER BY id LIMIT 1 OFFSET :skip
        """,
        id=conversation_id,
        skip=number - 1,
    )
    return int(row["through_message_id"]) if row else 0


def insert_result(tx: OwnerTx, conversation_id: int, through: int, result: AiResult, *, now: int) -> int | None:
    """Keep what became of a turn; None if the same messages were answered before. Returns the id."""
    rows = tx.all(
        """
        INSERT INTO ai_results (owner_id, public_id, conversation_id, through_message_id, feature, outcome, model, prompt_id,
            exchange, calls, requests, prompt_tokens, cached_tokens, completion_tokens, latency_ms, route, memories,
            cost, prompts, stepped_down, created_at)
        VALUES (:owner, :public_id, :conversation_id, :through, :feature, :outcome, :model, :prompt_id,
            :exchange, :calls, :requests, :prompt_tokens, :cached_tokens, :completion_tokens, :latency_ms, :route, :memories,
            :cost, :prompts, :stepped_down, :now)
        ON CONFLICT (owner_id, conversation_id, through_message_id) DO NOTHING
        RETURNING id
        """,
        public_id=public_id("air"),
        conversation_id=conversation_id,
        through=through,
        feature=result.feature,
        outcome=result.outcome,
        model=result.model,
        prompt_id=result.prompt_id,
        exchange=result.exchange,
        calls=result.calls,
        requests=result.requests,
        prompt_tokens=result.prompt_tokens,
        cached_tokens=result.cached_tokens,
        completion_tokens=result.completion_tokens,
        latency_ms=result.latency_ms,
        route=result.route,
        memories=result.memories,
        cost=result.cost,
        prompts=result.prompts,
        stepped_down=int(result.stepped_down),
        now=now,
    )
    return int(rows[0]["id"]) if rows else None
