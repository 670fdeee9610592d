"""The people who write: found, and one of them with all that there is to see."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from wtai.ai.memory_views_store import fact_rows
from wtai.conversation.views_store import ConversationRow, conversation_rows
from wtai.db.tx import OwnerTx
from wtai.identity.model import User
from wtai.identity.people_store import Person, people_who_write
from wtai.identity.users_store import addresses_of, rename_user
from wtai.search.index_store import NEWEST, people_called
from wtai.search.words import Question
from wtai.web.api.end_users import EndUserChange, customer
from wtai.web.console.page import Page, Visit
from wtai.web.console.settings.forms import BLANK, Form, key_of, read, sent, version_of
from wtai.web.console.settings.frame import PEOPLE, over, show

ONE: Final = f"{PEOPLE}/{{user}}"
_SHOWN: Final = 50
_CONVERSATIONS: Final = 20


@dataclass(frozen=True, slots=True)
class Known:
    """A person, with what a page of them shows."""

    user: User
    addresses: list[str]
    conversations: list[ConversationRow]
    remembered: bool

    @property
    def label(self) -> str:
        """What they are called: their name, else their address."""
        return label(self.user, self.addresses)


def label(user: User, addresses: list[str]) -> str:
    """What a person is called: their name, else the first of their addresses without its channel."""
    return user.name or (addresses[0].rpartition(":")[2] if addresses else user.public_id)


async def people(visit: Visit) -> web.StreamResponse:
    """The newest first, those whose names or numbers hold what was looked for."""
    words = visit.request.query.get("q", "").strip()[:200]
    found = await visit.read(_found, words, key_of(visit.request.query.get("before")))
    following = found[_SHOWN - 1].id if len(found) > _SHOWN else None
    return show(visit, "people.html", PEOPLE, people=found[:_SHOWN], following=following, words=words)


def _found(tx: OwnerTx, words: str, before: int | None) -> list[Person]:
    """A page of people, and one more if there are more."""
    if not words:
        return people_who_write(tx, before=before, limit=_SHOWN + 1)
    among = people_called(tx, Question.of(words), before=NEWEST if before is None else before, limit=_SHOWN + 1)
    return people_who_write(tx, among=among, limit=_SHOWN + 1)


async def person(visit: Visit) -> web.StreamResponse:
    """One of them."""
    return await page_of(visit, BLANK)


async def rename(visit: Visit) -> web.StreamResponse:
    """What staff call them; their profile's name takes its place with their next message."""

    async def work(given: Mapping[str, str]) -> web.Response:
        public, said = visit.ids["user"], read(EndUserChange, given)

        def write(tx: OwnerTx) -> None:
            rename_user(tx, customer(tx, public), said.name, version=version_of(given), now=visit.now)

        await visit.audited("end_users.update", public, write)
        return over(visit, f"{PEOPLE}/{public}", "saved")

    return await sent(visit, work, lambda form: page_of(visit, form))


async def page_of(visit: Visit, form: Form) -> web.Response:
    """The page of the person that the path names."""

    def work(tx: OwnerTx) -> Known:
        user = customer(tx, visit.ids["user"])
        conversations = conversation_rows(tx, user_id=user.id, limit=_CONVERSATIONS)
        return Known(user, addresses_of(tx, user), conversations, bool(fact_rows(tx, user.id, limit=1)))

    known = await visit.read(work)
    return show(visit, "person.html", PEOPLE, status=form.status, form=form, known=known)


PAGES = (
    Page("GET", PEOPLE, people, "end_users.read"),
    Page("GET", ONE, person, "end_users.read"),
    Page("POST", ONE, rename, "end_users.update"),
)
