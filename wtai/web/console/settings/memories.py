"""What is remembered of a person: seen, and forgotten."""

from typing import Final

from aiohttp import web

from wtai.ai.memory.writing import forget, forget_everything
from wtai.ai.memory_views_store import FactRow, fact_row, fact_rows
from wtai.db.tx import OwnerTx
from wtai.errors import NotFound
from wtai.identity.model import User
from wtai.identity.users_store import addresses_of
from wtai.web.api.end_users import customer
from wtai.web.console.page import Page, Visit
from wtai.web.console.settings.forms import key_of
from wtai.web.console.settings.frame import PEOPLE, over, show
from wtai.web.console.settings.people import ONE, label

_PATH: Final = f"{ONE}/memories"
_SHOWN: Final = 50


async def memories(visit: Visit) -> web.StreamResponse:
    """The newest first."""
    given = visit.request.query.get("before", "").partition(".")
    at, key = key_of(given[0]), key_of(given[2])
    before = None if at is None or key is None else (at, key)

    def work(tx: OwnerTx) -> tuple[User, list[str], list[FactRow]]:
        user = customer(tx, visit.ids["user"])
        return user, addresses_of(tx, user), fact_rows(tx, user.id, before=before, limit=_SHOWN + 1)

    user, addresses, rows = await visit.read(work)
    last = rows[_SHOWN - 1] if len(rows) > _SHOWN else None
    following = f"{last.fact.observed_at}.{last.fact.id}" if last is not None else None
    return show(
        visit,
        "memories.html",
        PEOPLE,
        person=user,
        label=label(user, addresses),
        facts=[row.fact for row in rows[:_SHOWN]],
        following=following,
    )


async def forget_one(visit: Visit) -> web.StreamResponse:
    """The fact, what it superseded, and the summaries that mention it."""
    public = visit.ids["memory"]

    def work(tx: OwnerTx) -> None:
        user = customer(tx, visit.ids["user"])
        row = fact_row(tx, public)
        if row.user_id != user.id:
            raise NotFound(f"no memory {public} of this person")
        forget(tx, user.id, row.fact)

    await visit.audited("memories.delete", public, work)
    return over(visit, f"{PEOPLE}/{visit.ids['user']}/memories", "forgotten")


async def forget_all(visit: Visit) -> web.StreamResponse:
    """Everything that is remembered of the person."""
    public = visit.ids["user"]

    def work(tx: OwnerTx) -> None:
        forget_everything(tx, customer(tx, public).id)

    await visit.audited("memories.delete", public, work)
    return over(visit, f"{PEOPLE}/{public}/memories", "forgotten")


PAGES = (
    Page("GET", _PATH, memories, "memories.read"),
    Page("POST", f"{_PATH}/forget", forget_all, "memories.delete"),
    Page("POST", f"{_PATH}/{{memory}}/forget", forget_one, "memories.delete"),
)
