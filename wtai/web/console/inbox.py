"""The inbox: the list of conversations, and the one that is open beside it."""

from dataclasses import dataclass
from typing import Final

from aiohttp import web
from markupsafe import Markup

from wtai.ai.features_store import features
from wtai.ai.specialists import FAMILIES
from wtai.channels.store import numbers
from wtai.clock import DAY, SECOND
from wtai.conversation.desk_store import TOP, Counts, DeskRow, Listed, Position, calling, counts, listed
from wtai.conversation.labels_store import Label, label_rows
from wtai.conversation.read_marks_store import mark_read, mark_unread
from wtai.conversation.views_store import conversation_row
from wtai.db.tx import OwnerTx
from wtai.identity.model import User
from wtai.identity.users_store import staff
from wtai.search.words import Question
from wtai.web.console.conversation import thread
from wtai.web.console.inbox_asked import CHANNELS, STATES, Asked, position_of, text_of, view_of
from wtai.web.console.inbox_search import Finds, search
from wtai.web.console.page import ROOT, Page, Visit

PAGE: Final = 50
KEYS_COOKIE: Final = "wtai_keys"
_YEAR_SECONDS: Final = 365 * DAY // SECOND
_MOST_AT_ONCE: Final = 500
_NOTHING: Final = Listed((), None)


@dataclass(frozen=True, slots=True)
class Pane:
    """What the list shows: ``finds`` where something is searched for. ``connected``: whether the owner has a number; only asked
    where nothing else is shown.
    """

    asked: Asked
    opened: str
    listed: Listed
    finds: Finds | None
    counts: Counts
    connected: bool

    @property
    def rows(self) -> tuple[DeskRow, ...]:
        """The lines."""
        return self.listed.rows

    def following(self, path: str) -> str | None:
        """Where the next lines are: as a part below ``path``; None at the end."""
        following = (self.finds.next, 0) if self.finds and self.finds.next else self.listed.next
        return self.asked.address(path, after=text_of(following)) if following else None

    @property
    def is_empty(self) -> bool:
        """Whether nothing is shown, and nothing follows."""
        found = self.finds
        return not (self.rows or self.listed.next or (found and (found.people or found.messages or found.next)))


@dataclass(frozen=True, slots=True)
class Choices:
    """What there is to filter by."""

    labels: list[Label]
    staff: list[User]
    features: list[str]
    states: tuple[str, ...] = tuple(STATES)
    channels: tuple[str, ...] = CHANNELS


async def inbox(visit: Visit) -> web.StreamResponse:
    """The list, with nothing open."""
    return await _shell(visit, None)


async def opened(visit: Visit) -> web.StreamResponse:
    """The list, with a conversation open, which is thereby read."""
    return await _shell(visit, visit.ids["conversation"])


async def rows(visit: Visit) -> web.StreamResponse:
    """The list as it is now: from its top, as many lines as are ``shown``, or the next ones ``after`` a position."""
    query = visit.request.query
    asked, after, opened = Asked.of(query), position_of(query.get("after", "")), query.get("open", "")
    if after is not None:
        return visit.page("inbox/more.html", pane=await visit.read(_read, asked, opened, visit.user.id, after, PAGE))
    given = query.get("shown", "")
    limit = min(max(PAGE, int(given) if given.isdecimal() and len(given) < 9 else 0), _MOST_AT_ONCE)
    return visit.page("inbox/refreshed.html", pane=await visit.read(_read, asked, opened, visit.user.id, TOP, limit))


async def read(visit: Visit) -> web.StreamResponse:
    """Mark what was said so far as read."""

    def work(tx: OwnerTx) -> None:
        mark_read(tx, visit.user.id, conversation_row(tx, visit.ids["conversation"]).id)

    await visit.write(work)
    return web.Response(status=204)


async def unread(visit: Visit) -> web.StreamResponse:
    """Mark what the person said last as unread."""

    def work(tx: OwnerTx) -> None:
        mark_unread(tx, visit.user.id, conversation_row(tx, visit.ids["conversation"]).id)

    await visit.write(work)
    return web.Response(status=204)


async def waiting(visit: Visit) -> web.StreamResponse:
    """In which conversations there is something unread for this member of staff: what a tab in the background asks for."""
    return web.json_response(await visit.read(calling, visit.user.id))


async def set_keys(visit: Visit) -> web.StreamResponse:
    """Whether single letters are keys in this browser; a cookie, since a log-out empties what else is kept there."""
    on = (await visit.form()).get("on") == "yes"
    response = web.Response(status=204)
    response.set_cookie(KEYS_COOKIE, "yes" if on else "no", path="/", max_age=_YEAR_SECONDS, samesite="Lax", httponly=True)
    return response


async def _shell(visit: Visit, public: str | None) -> web.StreamResponse:
    through = await visit.means.live.newest()
    beside = Markup("")
    if public is not None:
        beside = await thread(visit, public)
        await visit.write(lambda tx: mark_read(tx, visit.user.id, conversation_row(tx, public).id))
    after = position_of(visit.request.query.get("after", "")) or TOP
    pane = await visit.read(_read, Asked.of(visit.request.query), public or "", visit.user.id, after, PAGE)
    choices = await visit.read(_choices)
    return visit.page("inbox/inbox.html", section="inbox", through=through, thread=beside, pane=pane, choices=choices)


def _read(tx: OwnerTx, asked: Asked, opened: str, me: int, behind: Position, limit: int) -> Pane:
    view = view_of(tx, asked, me)
    found, finds = _NOTHING, None
    if asked.q:
        finds = search(tx, view, Question.of(asked.q), before=None if behind == TOP else behind[0])
    else:
        found = listed(tx, view, behind=behind, limit=limit)
    return Pane(asked, opened, found, finds, counts(tx, me), bool(found.rows) or bool(numbers(tx)))


def _choices(tx: OwnerTx) -> Choices:
    own = [feature.name for feature in features(tx)]
    return Choices(label_rows(tx), staff(tx), list(dict.fromkeys((*FAMILIES, *own))))


PAGES = (
    Page("GET", ROOT, inbox, "conversations.read"),
    Page("GET", f"{ROOT}/c/{{conversation}}", opened, "conversations.read"),
    Page("GET", f"{ROOT}/list", rows, "conversations.read"),
    Page("GET", f"{ROOT}/unread", waiting, "conversations.read"),
    Page("POST", f"{ROOT}/keys", set_keys, "me.update"),
    Page("POST", f"{ROOT}/c/{{conversation}}/read", read, "conversations.read"),
    Page("POST", f"{ROOT}/c/{{conversation}}/unread", unread, "conversations.read"),
)
