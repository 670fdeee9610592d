"""A conversation as a member of staff finds it: where it stands, what may be done in it, who the person is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

from wtai.ai.memory.conversations import Summaries, summary_of
from wtai.conversation import drafts_store, thread_store
from wtai.conversation.labels_store import Label, label_ids_of, label_rows
from wtai.conversation.lifecycle import OPEN
from wtai.conversation.model import Conversation, State
from wtai.conversation.outbox import window_closes_at
from wtai.conversation.store import open_conversation
from wtai.conversation.template_views_store import TemplateRow, template_rows
from wtai.conversation.thread_store import Change, Line
from wtai.conversation.views_store import ConversationRow, conversation_row, conversation_rows
from wtai.db.tx import OwnerTx
from wtai.identity.model import User
from wtai.identity.preferences import Preferences
from wtai.identity.store import preferences
from wtai.identity.users_store import addresses_of, staff, user_of_public_id
from wtai.web.api.conversations import as_read
from wtai.web.console.conversation_stream import MOST, PAGE, Stretch, read_stretch
from wtai.web.sending import takes_text

_MOST_TEMPLATES: Final = 100
_MOST_STAFF: Final = 200
_EARLIER: Final = 5


class Mode(StrEnum):
    """What the composer offers. Of a conversation that is over, the first two begin a new one."""

    TEXT = "text"
    TEMPLATE = "template"
    NOTHING = "nothing"
    """The person wants no messages, or another conversation with them is open."""


@dataclass(frozen=True, slots=True)
class Opened:
    """All of it but the stream. ``closes_at`` (ms): when the 24-hour window closes, None where there is none.

    ``now_open`` is the conversation that is open with the person instead; ``waiting`` are messages a template may stand for.
    """

    row: ConversationRow
    conversation: Conversation
    person: User
    addresses: Sequence[str]
    team: Sequence[User]
    mode: Mode
    closes_at: int | None
    now_open: str | None
    last_change: Change | None
    drafts: Mapping[str, str]
    templates: Sequence[TemplateRow]
    waiting: Sequence[Line]
    summaries: Summaries
    earlier: Sequence[ConversationRow]
    labels: Sequence[Label]
    other_labels: Sequence[Label]
    zone: ZoneInfo
    newest: str

    @property
    def is_open(self) -> bool:
        """Whether it still takes messages."""
        return self.row.state in OPEN

    @property
    def with_ai(self) -> bool:
        """Whether the AI answers."""
        return self.is_open and self.row.state is not State.HANDOFF

    @property
    def names(self) -> dict[str, str]:
        """Names of the team, by public id."""
        return _names(self.team)

    @property
    def assignee(self) -> str:
        """The name of whoever has it; empty for nobody."""
        return self.names.get(self.row.assignee or "", "")


@dataclass(frozen=True, slots=True)
class Read:
    """What one look at the database gave."""

    opened: Opened
    stretch: Stretch
    begins_anew: bool
    """Whether the stretch is not the one that was asked for, which has become too long."""


def read(tx: OwnerTx, public: str, user: User, base: Preferences, *, since: str | None = None, now: int) -> Read:
    """The conversation with the newest page of its stream, or with all of it from the message ``since`` on. NotFound."""
    conversation = as_read(tx, public, None)
    stretch = read_stretch(tx, conversation.id, since=since, limit=PAGE if since is None else MOST)
    anew = since is None or stretch.first != since
    return Read(_opened(tx, public, conversation, user, base, stretch.last, now), stretch, anew)


@dataclass(frozen=True, slots=True)
class Older:
    """A page of the stream further up, and what it takes to tell it."""

    stretch: Stretch
    names: Mapping[str, str]
    zone: ZoneInfo


def read_older(tx: OwnerTx, public: str, base: Preferences, *, before: str) -> Older:
    """The page of the conversation's messages before one of them. NotFound."""
    stretch = read_stretch(tx, as_read(tx, public, None).id, before=before)
    return Older(stretch, _names(staff(tx, limit=_MOST_STAFF)), ZoneInfo(preferences(tx, base).time_zone))


def _names(team: Sequence[User]) -> dict[str, str]:
    return {user.public_id: user.name or user.email or "" for user in team}


def _opened(tx: OwnerTx, public: str, conversation: Conversation, user: User, base: Preferences, newest: str, now: int) -> Opened:
    row = conversation_row(tx, public)
    person = user_of_public_id(tx, row.user)
    is_open = conversation.state in OPEN
    instead = None if is_open else open_conversation(tx, conversation.user_id, conversation.address)
    last = (
        conversation.last_inbound_at if is_open else thread_store.last_inbound_at(tx, conversation.user_id, conversation.address)
    )
    mode = Mode.TEXT if takes_text(conversation.channel, last, now) else Mode.TEMPLATE
    if conversation.opted_out or instead is not None:
        mode = Mode.NOTHING
    every_label, labelled = label_rows(tx), set(label_ids_of(tx, conversation.id))
    return Opened(
        row=row,
        conversation=conversation,
        person=person,
        addresses=addresses_of(tx, person),
        team=staff(tx, limit=_MOST_STAFF),
        mode=mode,
        closes_at=window_closes_at(last) if conversation.channel == "whatsapp" and last else None,
        now_open=instead.public_id if instead else None,
        last_change=thread_store.last_change(tx, conversation.id),
        drafts={kind: drafts_store.draft(tx, conversation.id, user.id, kind) for kind in ("reply", "note")},
        templates=template_rows(tx, limit=_MOST_TEMPLATES),
        waiting=thread_store.waiting_for_staff(tx, conversation.id),
        summaries=summary_of(tx, conversation.id),
        earlier=[
            other
            for other in conversation_rows(tx, user_id=conversation.user_id, limit=_EARLIER + 1)
            if other.public_id != public
        ][:_EARLIER],
        labels=[label for label in every_label if label.id in labelled],
        other_labels=[label for label in every_label if label.id not in labelled],
        zone=ZoneInfo(preferences(tx, base).time_zone),
        newest=newest,
    )
