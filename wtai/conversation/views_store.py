"""SQL of what people see of conversations: the inbox, a conversation's messages, notes and history."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from wtai.conversation.model import State
from wtai.db.tx import OwnerTx, Row
from wtai.errors import NotFound, StaleVersion
from wtai.ids import public_id

_SHOWN: Final = """
SELECT c.id, c.public_id, c.state, c.version, c.channel, c.address, c.user_address, c.feature, c.handoff_reason,
    c.last_inbound_at, c.opened_at, c.updated_at, c.closed_at, u.public_id AS user, u.name AS user_name,
    (SELECT a.public_id FROM users a WHERE a.owner_id = c.owner_id AND a.id = c.assignee_id) AS assignee
"""
_PERSON: Final = "JOIN users u ON u.owner_id = c.owner_id AND u.id = c.user_id"
_CONVERSATION: Final = f"{_SHOWN} FROM conversations c {_PERSON}"
_STATES: Final = """
WITH shown (state) AS (VALUES ('PENDING'), ('PROGRESS'), ('WAITING_USER'), ('HANDOFF'), ('AGENT_CLOSED'), ('SUPPORT_CLOSED'),
    ('USER_CLOSED'), ('EXPIRED'), ('IDLE_TIMEOUT'), ('FAILED'))
"""
# Of each state the first few: however rare a state, no other's rows are read to find them.
_FIRST_OF_EACH: Final = """
SELECT c.id FROM conversations c JOIN shown ON :states LIKE '%,' || shown.state || ',%' AND c.id IN (
    SELECT n.id FROM conversations n
    WHERE n.owner_id = :owner AND n.state = shown.state AND n.updated_at BETWEEN :since AND :before_at
        AND (n.updated_at < :before_at OR n.id < :before_id)
    ORDER BY n.updated_at DESC, n.id DESC LIMIT :limit
)
"""
_FITS: Final = """
c.owner_id = :owner AND :states LIKE '%,' || c.state || ',%' AND c.updated_at BETWEEN :since AND :before_at
AND (c.updated_at < :before_at OR c.id < :before_id)
"""
_NEWEST_FIRST: Final = "ORDER BY c.updated_at DESC, c.id DESC LIMIT :limit"
# The newest of all are found before anything is joined to them. The plus keeps the planner from walking through all of the
# owner's by an index that begins with it.
_OF_ANYBODY: Final = f"""
{_STATES}, newest (id) AS MATERIALIZED ({_FIRST_OF_EACH} WHERE +c.owner_id = :owner {_NEWEST_FIRST})
{_SHOWN} FROM newest JOIN conversations c ON c.id = newest.id {_PERSON} WHERE +c.owner_id = :owner {_NEWEST_FIRST}
"""
_OF_PERSON: Final = f"""
{_CONVERSATION} WHERE c.user_id = :user_id AND (:assignee_id IS NULL OR c.assignee_id = :assignee_id) AND {_FITS} {_NEWEST_FIRST}
"""
_OF_ASSIGNEE: Final = f"{_CONVERSATION} WHERE c.assignee_id = :assignee_id AND {_FITS} {_NEWEST_FIRST}"
_FAR: Final = 1 << 62

_MESSAGE: Final = """
SELECT m.id, m.public_id, c.public_id AS conversation, m.direction, m.author, m.kind, m.status, m.body, m.provider_sid,
    m.error_code, m.parked, m.content_sid, m.content_variables, m.created_at, m.updated_at, r.public_id AS ai_result
FROM messages m JOIN conversations c ON c.owner_id = m.owner_id AND c.id = m.conversation_id
    LEFT JOIN ai_results r ON r.owner_id = m.owner_id AND r.id = m.ai_result_id
"""
_MESSAGES: Final = """
m.owner_id = :owner AND m.id < :before AND m.direction = coalesce(:direction, m.direction)
AND m.status = coalesce(:status, m.status) ORDER BY m.id DESC LIMIT :limit
"""
_MESSAGES_OF_ALL: Final = f"{_MESSAGE} WHERE m.id > 0 AND {_MESSAGES}"  # the condition of the index for it
_MESSAGES_OF_ONE: Final = f"{_MESSAGE} WHERE m.conversation_id = :id AND {_MESSAGES}"


@dataclass(frozen=True, slots=True)
class ConversationRow:
    """A conversation with the public ids of its people; times in ms."""

    id: int
    public_id: str
    state: State
    version: int
    channel: str
    address: str
    user_address: str
    feature: str | None
    handoff_reason: str | None
    last_inbound_at: int | None
    opened_at: int
    updated_at: int
    closed_at: int | None
    user: str
    user_name: str | None
    assignee: str | None


@dataclass(frozen=True, slots=True)
class MessageRow:
    """A message with the public ids around it. ``parked``: why it waits for a person instead of being sent."""

    id: int
    public_id: str
    conversation: str
    direction: str
    author: str
    kind: str
    status: str
    body: str
    provider_sid: str | None
    error_code: int | None
    parked: str | None
    content_sid: str | None
    content_variables: str | None
    created_at: int
    updated_at: int
    ai_result: str | None


@dataclass(frozen=True, slots=True)
class EventRow:
    """A change of state."""

    id: int
    from_state: str | None
    to_state: str
    actor: str
    reason: str
    created_at: int


@dataclass(frozen=True, slots=True)
class NoteRow:
    """A note of staff; ``author`` is a public id."""

    id: int
    public_id: str
    author: str
    text: str
    created_at: int


def conversation_rows(
    tx: OwnerTx,
    *,
    states: Collection[State] = tuple(State),
    user_id: int | None = None,
    assignee_id: int | None = None,
    since: int = 0,
    before: tuple[int, int] | None = None,
    limit: int,
) -> list[ConversationRow]:
    """Conversations in one of ``states``, the latest changed first: of a person, with a member of staff, of both or of anybody;
    changed at ``since`` (ms) or later, behind the position ``before`` (updated_at, id).
    """
    before_at, before_id = before or (_FAR, _FAR)
    statement = _OF_PERSON if user_id is not None else _OF_ASSIGNEE if assignee_id is not None else _OF_ANYBODY
    rows = tx.all(
        statement,
        states=f",{','.join(states)},",
        user_id=user_id,
        assignee_id=assignee_id,
        since=since,
        before_at=before_at,
        before_id=before_id,
        limit=limit,
    )
    return [_conversation(row) for row in rows]


def conversation_row(tx: OwnerTx, public: str) -> ConversationRow:
    """NotFound if the owner has no such conversation."""
    row = tx.one(f"{_CONVERSATION} WHERE c.owner_id = :owner AND c.public_id = :public", public=public)
    if row is None:
        raise NotFound(f"no conversation {public}")
    return _conversation(row)


def assign(tx: OwnerTx, conversation_id: int, user_id: int | None, *, version: int | None = None, now: int) -> None:
    """Give the conversation to a member of staff, or to nobody. StaleVersion if it is not at ``version`` any more."""
    changed = tx.run(
        """
        UPDATE conversations SET assignee_id = :user_id, version = version + 1, updated_at = :now
        WHERE owner_id = :owner AND id = :id AND version = coalesce(:version, version)
        """,
        id=conversation_id,
        user_id=user_id,
        version=version,
        now=now,
    )
    if not changed:
        raise StaleVersion(f"conversation {conversation_id} is not at version {version} any more")


def message_rows(
    tx: OwnerTx,
    conversation_id: int | None = None,
    *,
    direction: str | None = None,
    status: str | None = None,
    before: int | None = None,
    limit: int,
) -> list[MessageRow]:
    """Messages, newest first, with a key below ``before``: of one conversation or of all, in one direction or both."""
    rows = tx.all(
        _MESSAGES_OF_ALL if conversation_id is None else _MESSAGES_OF_ONE,
        id=conversation_id,
        direction=direction,
        status=status,
        before=_FAR if before is None else before,
        limit=limit,
    )
    return [MessageRow(**dict(row)) for row in rows]


def message_row(tx: OwnerTx, public: str) -> MessageRow:
    """NotFound if the owner has no such message."""
    row = tx.one(f"{_MESSAGE} WHERE m.owner_id = :owner AND m.public_id = :public", public=public)
    if row is None:
        raise NotFound(f"no message {public}")
    return MessageRow(**dict(row))


def last_message_id(tx: OwnerTx, conversation_id: int) -> int:
    """The newest message's key; 0 if there is none."""
    row = tx.one("SELECT max(id) AS id FROM messages WHERE owner_id = :owner AND conversation_id = :id", id=conversation_id)
    return int(row["id"] or 0) if row else 0


def event_rows(tx: OwnerTx, conversation_id: int, *, after: int = 0, limit: int) -> list[EventRow]:
    """What became of a conversation, in order, behind ``after``."""
    rows = tx.all(
        """
        SELECT id, from_state, to_state, actor, reason, created_at FROM conversation_events
        WHERE owner_id = :owner AND conversation_id = :id AND id > :after ORDER BY id LIMIT :limit
        """,
        id=conversation_id,
        after=after,
        limit=limit,
    )
    return [EventRow(**dict(row)) for row in rows]


def note_rows(tx: OwnerTx, conversation_id: int, *, after: int = 0, limit: int) -> list[NoteRow]:
    """A conversation's notes, in order, behind ``after``."""
    rows = tx.all(
        """
        SELECT id, public_id, author, text, created_at FROM conversation_notes
        WHERE owner_id = :owner AND conversation_id = :id AND id > :after ORDER BY id LIMIT :limit
        """,
        id=conversation_id,
        after=after,
        limit=limit,
    )
    return [NoteRow(**dict(row)) for row in rows]


def add_note(tx: OwnerTx, conversation_id: int, author: str, text: str, *, now: int) -> NoteRow:
    """Write down a note beside a conversation."""
    public = public_id("not")
    rows = tx.all(
        """
        INSERT INTO conversation_notes (owner_id, public_id, conversation_id, author, text, created_at)
        VALUES (:owner, :public, :id, :author, :text, :now) RETURNING id, public_id, author, text, created_at
        """,
        public=public,
        id=conversation_id,
        author=author,
        text=text,
        now=now,
    )
    return NoteRow(**dict(rows[0]))


def _conversation(row: Row) -> ConversationRow:
    return ConversationRow(**{**row, "state": State(row["state"])})
