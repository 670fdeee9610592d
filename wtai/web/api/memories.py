"""What is remembered of a person: listed, searched by words, and forgotten."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from wtai.ai.memory.reading import question
from wtai.ai.memory.search import search
from wtai.ai.memory.writing import forget as forget_fact
from wtai.ai.memory_views_store import FactRow, fact_row, fact_rows
from wtai.db.tx import OwnerTx
from wtai.web.api.call import Call
from wtai.web.api.end_users import customer
from wtai.web.api.errors import wrong
from wtai.web.api.models import Id, Identified, Page, Paging, at
from wtai.web.api.route import ROOT, Route
from wtai.web.problems import NOT_FOUND

_TAG = "memories"
_PATH = f"{ROOT}/memories"
_ONE = f"{_PATH}/{{memory}}"


class ListMemories(Paging):
    """Of whom, and which. With ``q`` the best come first, on one page."""

    user: Annotated[Id | None, Field(description="The person.")] = None
    q: Annotated[str | None, Field(min_length=1, max_length=500, description="A question, or words; of one person.")] = None


class MemoryView(Identified):
    """A fact about ``user``. ``superseded``: a newer one holds instead. ``score`` tells how well it fits a question."""

    user: str
    text: str
    kind: str
    entity: str | None
    attribute: str | None
    superseded: bool
    observed_at: datetime
    score: float | None = None


async def list_memories(call: Call[None, ListMemories]) -> Page[MemoryView]:
    """The newest first, or those that fit ``q``."""
    query = call.query
    if query.q is not None:
        if query.user is None:
            raise wrong("user", "name the person whose memories `q` is asked of")
        return Page[MemoryView](items=await call.read(_searched, query.user, query.q, call.limit), next=None)

    def work(tx: OwnerTx, before: tuple[int, ...] | None) -> list[FactRow]:
        behind = (before[0], before[1]) if before else None
        person = customer(tx, query.user).id if query.user is not None else None
        return fact_rows(tx, person, before=behind, limit=call.limit + 1)

    rows = await call.read(work, call.after(2))
    return call.page(Page[MemoryView], rows, _shown, lambda row: (row.fact.observed_at, row.fact.id))


async def read_memory(call: Call[None, None]) -> MemoryView:
    """One of them."""
    return _shown(await call.read(fact_row, call.ids["memory"]))


async def forget(call: Call[None, None]) -> None:
    """The fact, what it superseded, and the summaries that mention it."""

    def work(tx: OwnerTx) -> None:
        row = fact_row(tx, call.ids["memory"])
        forget_fact(tx, row.user_id, row.fact)

    await call.commit(work)


def _searched(tx: OwnerTx, user: str, words: str, limit: int) -> list[MemoryView]:
    person = customer(tx, user)
    found = search(tx, person.id, question(words), "", None)
    return [_shown(FactRow(one.fact, person.id, user), score=round(one.score, 4)) for one in found[:limit]]


def _shown(row: FactRow, *, score: float | None = None) -> MemoryView:
    fact = row.fact
    return MemoryView(
        id=fact.public_id,
        user=row.user,
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
        "List what is remembered of people, or search what is of one",
        _TAG,
        {200: Page[MemoryView]},
        action="memories.read",
        problems=(NOT_FOUND,),
        query=ListMemories,
    ),
    Route("GET", _ONE, read_memory, "Read a fact", _TAG, {200: MemoryView}, action="memories.read"),
    Route("DELETE", _ONE, forget, "Forget a fact", _TAG, {204: None}, action="memories.delete"),
)
