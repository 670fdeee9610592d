"""Conversations: the inbox, and what staff do in it, through the same machine as everybody who steps in."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from wtai.conversation import handoff, store
from wtai.conversation.model import Conversation, State
from wtai.conversation.outbox import window_closes_at
from wtai.conversation.views_store import (
    ConversationRow,
    EventRow,
    NoteRow,
    add_note,
    assign,
    conversation_row,
    conversation_rows,
    event_rows,
    note_rows,
)
from wtai.db.tx import OwnerTx
from wtai.errors import NotFound, StaleVersion
from wtai.identity.store import preferences
from wtai.identity.users_store import user_of_public_id
from wtai.web.api.call import Call
from wtai.web.api.errors import wrong
from wtai.web.api.models import Given, Id, Identified, Line, Moment, Page, Paging, Versioned, View, at, at_or_none
from wtai.web.api.route import ROOT, Route
from wtai.web.problems import STALE, WRONG_STATE

_TAG = "conversations"
_PATH = f"{ROOT}/conversations"
_ONE = f"{_PATH}/{{conversation}}"


class ListConversations(Paging):
    """Which conversations."""

    state: Annotated[str | None, Field(max_length=200, description="States, separated by commas; `open` for all that are.")] = (
        None
    )
    assignee: Annotated[Id | None, Field(description="With this member of staff.")] = None
    user: Annotated[Id | None, Field(description="Of this person.")] = None
    updated_since: Annotated[Moment | None, Field(description="Changed then or later.")] = None


class PersonView(Identified):
    """Who writes."""

    name: str | None


class ConversationView(Versioned):
    """A conversation. On WhatsApp free text may be sent until ``window_closes_at``."""

    state: State
    user: PersonView
    user_address: str
    channel: str
    address: str
    feature: str | None
    assignee: str | None
    handoff_reason: str | None
    last_inbound_at: datetime | None
    window_closes_at: datetime | None
    opened_at: datetime
    updated_at: datetime
    closed_at: datetime | None


class EventView(View):
    """A change of state: by whom, and why."""

    from_state: State | None
    to_state: State
    actor: str
    reason: str
    created_at: datetime


class NoteView(Identified):
    """What staff wrote down; the person never sees it."""

    author: str
    text: str
    created_at: datetime


class NewNote(Given):
    """What to write down."""

    text: Annotated[str, Field(min_length=1, max_length=4_000, pattern=r"\S")]


class TakeOver(Given):
    """Why a person steps in."""

    reason: Line = "taken by staff"


async def list_conversations(call: Call[None, ListConversations]) -> Page[ConversationView]:
    """The latest changed first."""
    rows = await call.read(_found, call.query, call.after(2), call.limit + 1)
    return call.page(Page[ConversationView], rows, shown, lambda row: (row.updated_at, row.id))


async def read_conversation(call: Call[None, None]) -> ConversationView:
    """One conversation."""
    return shown(await call.read(conversation_row, call.ids["conversation"]))


async def take_over(call: Call[TakeOver, None]) -> ConversationView:
    """From the commit on nothing goes out that the AI wrote."""

    def work(tx: OwnerTx) -> ConversationView:
        conversation = as_read(tx, call.ids["conversation"], call.if_match)
        handoff.take_over(tx, conversation, reason=call.body.reason, staff=call.principal.id, now=call.now)
        assign(tx, conversation.id, call.principal.user_id, now=call.now)
        return shown(conversation_row(tx, conversation.public_id))

    return await call.commit(work)


async def resume(call: Call[None, None]) -> ConversationView:
    """The AI goes on, with everything that was said meanwhile."""

    def work(tx: OwnerTx) -> ConversationView:
        conversation = as_read(tx, call.ids["conversation"], call.if_match)
        handoff.resume(tx, conversation, preferences(tx, call.means.base), staff=call.principal.id, now=call.now)
        assign(tx, conversation.id, None, now=call.now)
        return shown(conversation_row(tx, conversation.public_id))

    return await call.commit(work)


async def close(call: Call[None, None]) -> ConversationView:
    """Staff end it."""

    def work(tx: OwnerTx) -> ConversationView:
        conversation = as_read(tx, call.ids["conversation"], call.if_match)
        handoff.close(tx, conversation, staff=call.principal.id, now=call.now)
        return shown(conversation_row(tx, conversation.public_id))

    return await call.commit(work)


async def list_events(call: Call[None, Paging]) -> Page[EventView]:
    """What became of it, in order."""

    def work(tx: OwnerTx, after: int) -> list[EventRow]:
        return event_rows(tx, conversation_row(tx, call.ids["conversation"]).id, after=after, limit=call.limit + 1)

    rows = await call.read(work, (call.after(1) or (0,))[0])
    return call.page(Page[EventView], rows, _event, lambda row: (row.id,))


async def list_notes(call: Call[None, Paging]) -> Page[NoteView]:
    """What staff wrote down, in order."""

    def work(tx: OwnerTx, after: int) -> list[NoteRow]:
        return note_rows(tx, conversation_row(tx, call.ids["conversation"]).id, after=after, limit=call.limit + 1)

    rows = await call.read(work, (call.after(1) or (0,))[0])
    return call.page(Page[NoteView], rows, _note, lambda row: (row.id,))


async def create_note(call: Call[NewNote, None]) -> NoteView:
    """For staff alone."""

    def work(tx: OwnerTx) -> NoteView:
        row = conversation_row(tx, call.ids["conversation"])
        return _note(add_note(tx, row.id, call.principal.id, call.body.text, now=call.now))

    return await call.commit(work)


def as_read(tx: OwnerTx, public: str, version: int | None) -> Conversation:
    """The conversation, as the client knows it. NotFound; StaleVersion if it has moved on."""
    found = store.conversation(tx, conversation_row(tx, public).id)
    if found is None:
        raise NotFound(f"no conversation {public}")
    if version not in (None, found.version):
        raise StaleVersion(f"the conversation is at version {found.version}, not {version}: read it again")
    return found


def shown(row: ConversationRow) -> ConversationView:
    """A conversation as the API shows it."""
    closes_at = window_closes_at(row.last_inbound_at) if row.channel == "whatsapp" and row.last_inbound_at else None
    return ConversationView(
        id=row.public_id,
        version=row.version,
        state=row.state,
        user=PersonView(id=row.user, name=row.user_name),
        user_address=row.user_address,
        channel=row.channel,
        address=row.address,
        feature=row.feature,
        assignee=row.assignee,
        handoff_reason=row.handoff_reason,
        last_inbound_at=at_or_none(row.last_inbound_at),
        window_closes_at=at_or_none(closes_at),
        opened_at=at(row.opened_at),
        updated_at=at(row.updated_at),
        closed_at=at_or_none(row.closed_at),
    )


def _found(tx: OwnerTx, query: ListConversations, before: tuple[int, ...] | None, limit: int) -> list[ConversationRow]:
    states = _states(query.state)
    try:
        user_id = user_of_public_id(tx, query.user).id if query.user is not None else None
        assignee_id = user_of_public_id(tx, query.assignee).id if query.assignee is not None else None
    except NotFound:
        return []
    return conversation_rows(
        tx,
        states=states,
        user_id=user_id,
        assignee_id=assignee_id,
        since=milliseconds(query.updated_since),
        before=(before[0], before[1]) if before else None,
        limit=limit,
    )


def _states(wanted: str | None) -> tuple[State, ...]:
    if wanted is None:
        return tuple(State)
    if wanted == "open":
        return (State.PENDING, State.PROGRESS, State.WAITING_USER, State.HANDOFF)
    names = wanted.split(",")
    if not set(names) <= set(State):
        raise wrong("state", f"must be open, or some of {','.join(State)}, separated by commas")
    return tuple(State(name) for name in dict.fromkeys(names))


def milliseconds(moment: datetime | None) -> int:
    """A moment as the data have it; 0 for none."""
    if moment is None:
        return 0
    return max(0, round(moment.timestamp() * 1000))


def _event(row: EventRow) -> EventView:
    return EventView(
        from_state=State(row.from_state) if row.from_state else None,
        to_state=State(row.to_state),
        actor=row.actor,
        reason=row.reason,
        created_at=at(row.created_at),
    )


def _note(row: NoteRow) -> NoteView:
    return NoteView(id=row.public_id, author=row.author, text=row.text, created_at=at(row.created_at))


ROUTES = (
    Route(
        "GET",
        _PATH,
        list_conversations,
        "List conversations, the latest changed first",
        _TAG,
        {200: Page[ConversationView]},
        action="conversations.read",
        query=ListConversations,
    ),
    Route("GET", _ONE, read_conversation, "Read a conversation", _TAG, {200: ConversationView}, action="conversations.read"),
    Route(
        "POST",
        f"{_ONE}/handoff",
        take_over,
        "Take a conversation over from the AI",
        _TAG,
        {200: ConversationView},
        action="conversations.take_over",
        body=TakeOver,
        problems=(WRONG_STATE, STALE),
    ),
    Route(
        "POST",
        f"{_ONE}/resume",
        resume,
        "Hand a conversation back to the AI",
        _TAG,
        {200: ConversationView},
        action="conversations.resume",
        problems=(WRONG_STATE, STALE),
    ),
    Route(
        "POST",
        f"{_ONE}/close",
        close,
        "End a conversation",
        _TAG,
        {200: ConversationView},
        action="conversations.close",
        problems=(WRONG_STATE, STALE),
    ),
    Route(
        "GET",
        f"{_ONE}/events",
        list_events,
        "List what became of a conversation",
        _TAG,
        {200: Page[EventView]},
        action="conversations.read",
        query=Paging,
    ),
    Route(
        "GET",
        f"{_ONE}/notes",
        list_notes,
        "List the notes beside a conversation",
        _TAG,
        {200: Page[NoteView]},
        action="conversations.read",
        query=Paging,
    ),
    Route(
        "POST",
        f"{_ONE}/notes",
        create_note,
        "Write a note beside a conversation",
        _TAG,
        {201: NoteView},
        action="conversations.note",
        body=NewNote,
    ),
)
