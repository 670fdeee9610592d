"""What is remembered of a person: listed, searched by words, and forgotten."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from wtai.ai.memory import facts
from wtai.ai.memory.model import Fact
from wtai.ai.memory.reading import question
from wtai.ai.memory.search import search
from wtai.ai.memory.writing import forget as forget_fact
from wtai.ai.memory_views_store import fact_rows, person_of_fact
from wtai.db.tx import OwnerTx
from wtai.errors import NotFound
from wtai.web.api.call import Call
from wtai.web.api.end_users import customer
from wtai.web.api.models import Id, Identified, Page, Paging, at
from wtai.web.api.route import ROOT, Route
from wtai.web.problems import NOT_FOUND

_TAG = "memories"
_PATH = f"{ROOT}/memories"


class ListMemories(Paging):
    """Of whom, and which. With ``q`` the best come first, on one page."""

    user: Annotated[Id, Field(description="The person.")]
    q: Annotated[str | None, Field(min_length=1, max_length=500, description="A question, or words.")] = None


class MemoryView(Identified):
    """A fact. ``superseded``: a newer one holds instead. ``score`` tells how well it fits a question."""

    text: str
    kind: str
    entity: str | None
    attribute: str | None
    superseded: bool
    observed_at: datetime
    score: float | None = None


async def list_memories(call: Call[None, ListMemories]) -> Page[MemoryView]:
    """The newest first, or those that fit ``q``."""
    if call.query.q is not None:
        return Page[MemoryView](items=await call.read(_searched, call.query.user, call.query.q, call.limit), next=None)

    def work(tx: OwnerTx, before: tuple[int, ...] | None) -> list[Fact]:
        behind = (before[0], before[1]) if before else None
        return fact_rows(tx, customer(tx, call.query.user).id, before=behind, limit=call.limit + 1)

    rows = await call.read(work, call.after(2))
    return call.page(Page[MemoryView], rows, _shown, lambda row: (row.observed_at, row.id))


async def forget(call: Call[None, None]) -> None:
    """The fact, what it superseded, and the summaries that mention it."""

    def work(tx: OwnerTx) -> None:
        user_id = person_of_fact(tx, call.ids["memory"])
        fact = facts.by_public_id(tx, user_id, call.ids["memory"])
        if fact is None:
            raise NotFound("the fact has gone")
        forget_fact(tx, user_id, fact)

    await call.commit(work)


def _searched(tx: OwnerTx, user: str, words: str, limit: int) -> list[MemoryView]:
    found = search(tx, customer(tx, user).id, question(words), "", None)
    return [_shown(one.fact, score=round(one.score, 4)) for one in found[:limit]]


def _shown(fact: Fact, *, score: float | None = None) -> MemoryView:
    return MemoryView(
        id=fact.public_id,
        text=fact.text,
        kind=fact.kind,
        entity=fact.entity,
        attribute=fact.attribute,
        superseded=fact.superseded_by is not None,
        observed_at=at(fact.observed_at),
        score=score,
    )


ROUTES = (
    Route(
        "GET",
        _PATH,
        list_memories,
        "List or search what is remembered of a person",
        _TAG,
        {200: Page[MemoryView]},
        action="memories.read",
        problems=(NOT_FOUND,),
        query=ListMemories,
    ),
    Route("DELETE", f"{_PATH}/{{memory}}", forget, "Forget a fact", _TAG, {204: None}, action="memories.delete"),
)
