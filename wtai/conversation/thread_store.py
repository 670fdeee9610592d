"""SQL of what staff see when they open a conversation: messages with all that came with them, changes of state, notes."""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Final

from wtai.db.tx import OwnerTx
from wtai.errors import NotFound

_FAR: Final = 1 << 62
_MOST_BESIDE: Final = 1_000
"""Changes of state, and notes, that stand between the messages of one page."""

_MESSAGE: Final = """
SELECT m.id, m.public_id, m.direction, m.author, m.staff, m.kind, m.status, m.body, m.details, m.provider_sid, m.error_code,
    m.parked, m.content_sid, m.content_variables, m.created_at, m.updated_at, r.public_id AS ai_result, (
        SELECT min(t.name) FROM templates t WHERE t.owner_id = m.owner_id AND t.content_sid = m.content_sid
    ) AS template,
    q.public_id AS quoted, q.author AS quoted_author, q.kind AS quoted_kind, q.body AS quoted_body
FROM messages m
    LEFT JOIN ai_results r ON r.owner_id = m.owner_id AND r.id = m.ai_result_id
    LEFT JOIN messages q ON q.owner_id = m.owner_id AND q.provider_sid = m.quoted_sid
"""
_CHANGE: Final = "SELECT id, from_state, to_state, actor, staff, reason, created_at FROM conversation_events"
# What the AI does between two messages is told by the messages.
_TOLD: Final = """
(from_state IS NULL OR 'HANDOFF' IN (from_state, to_state) OR reason = 'opted out'
    OR to_state NOT IN ('PENDING', 'PROGRESS', 'WAITING_USER'))
"""


@dataclass(frozen=True, slots=True)
class File:
    """An attachment: ``path`` in the media directory once it is there, ``error`` why it never will be or was not heard."""

    position: int
    content_type: str
    status: str
    path: str | None
    name: str | None
    size: int | None
    transcript: str | None
    error: str | None


@dataclass(frozen=True, slots=True)
class Line:
    """A message as staff see it. ``details`` and ``content_variables`` are JSON; ``quoted`` and its like: what it replies to."""

    id: int
    public_id: str
    direction: str
    author: str
    staff: str | None
    kind: str
    status: str
    body: str
    details: str | None
    provider_sid: str | None
    error_code: int | None
    parked: str | None
    content_sid: str | None
    content_variables: str | None
    created_at: int
    updated_at: int
    ai_result: str | None
    template: str | None
    quoted: str | None
    quoted_author: str | None
    quoted_kind: str | None
    quoted_body: str | None
    files: tuple[File, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Change:
    """A change of state worth telling."""

    id: int
    from_state: str | None
    to_state: str
    actor: str
    staff: str | None
    reason: str
    created_at: int


@dataclass(frozen=True, slots=True)
class Note:
    """What staff wrote down; ``author`` is a public id."""

    id: int
    public_id: str
    author: str
    text: str
    created_at: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where a message stands in its conversation."""

    id: int
    created_at: int


def lines(tx: OwnerTx, conversation_id: int, *, since: int = 0, before: int | None = None, limit: int) -> list[Line]:
    """The newest messages with a key from ``since`` on and below ``before``, in order, with their files."""
    bounds = {"conversation_id": conversation_id, "since": since, "before": _FAR if before is None else before}
    rows = tx.all(
        f"""{_MESSAGE} WHERE m.owner_id = :owner AND m.conversation_id = :conversation_id AND m.id >= :since AND m.id < :before
        ORDER BY m.id DESC LIMIT :limit""",
        **bounds,
        limit=limit,
    )
    if not rows:
        return []
    files: dict[int, list[File]] = defaultdict(list)
    for row in tx.all(
        """
        SELECT a.message_id, a.position, a.content_type, a.status, a.path, a.name, a.size, a.transcript, a.error
        FROM messages m JOIN media a ON a.owner_id = m.owner_id AND a.message_id = m.id
        WHERE m.owner_id = :owner AND m.conversation_id = :conversation_id AND m.id >= :oldest AND m.id < :before
        ORDER BY m.id, a.position
        """,
        **bounds,
        oldest=rows[-1]["id"],
    ):
        values = dict(row)
        files[values.pop("message_id")].append(File(**values))
    return [Line(**dict(row), files=tuple(files[row["id"]])) for row in reversed(rows)]


def line(tx: OwnerTx, conversation_id: int, public: str) -> Line:
    """One message of the conversation. NotFound."""
    at = place(tx, conversation_id, public).id
    return lines(tx, conversation_id, since=at, before=at + 1, limit=1)[0]


def changes(tx: OwnerTx, conversation_id: int, *, since: int, before: int | None) -> list[Change]:
    """What became of the conversation from ``since`` on and before ``before`` (ms), in order."""
    rows = tx.all(
        f"""{_CHANGE} WHERE owner_id = :owner AND conversation_id = :id AND created_at >= :since AND created_at < :before
            AND {_TOLD} ORDER BY id DESC LIMIT :limit""",
        id=conversation_id,
        since=since,
        before=_FAR if before is None else before,
        limit=_MOST_BESIDE,
    )
    return [Change(**dict(row)) for row in reversed(rows)]


def notes(tx: OwnerTx, conversation_id: int, *, since: int, before: int | None) -> list[Note]:
    """What staff wrote down from ``since`` on and before ``before`` (ms), in order."""
    rows = tx.all(
        """
        SELECT id, public_id, author, text, created_at FROM conversation_notes
        WHERE owner_id = :owner AND conversation_id = :id AND created_at >= :since AND created_at < :before
        ORDER BY id DESC LIMIT :limit
        """,
        id=conversation_id,
        since=since,
        before=_FAR if before is None else before,
        limit=_MOST_BESIDE,
    )
    return [Note(**dict(row)) for row in reversed(rows)]


def place(tx: OwnerTx, conversation_id: int, public: str) -> Place:
    """Where a message of the conversation stands. NotFound."""
    row = tx.one(
        "SELECT id, created_at FROM messages WHERE owner_id = :owner AND public_id = :public AND conversation_id = :id",
        public=public,
        id=conversation_id,
    )
    if row is None:
        raise NotFound(f"no message {public} in conversation {conversation_id}")
    return Place(**dict(row))


def place_before(tx: OwnerTx, conversation_id: int, message_id: int) -> Place | None:
    """Where the message before that one stands; None if it is the first."""
    row = tx.one(
        """
        SELECT id, created_at FROM messages WHERE owner_id = :owner AND conversation_id = :id AND id < :message_id
        ORDER BY id DESC LIMIT 1
        """,
        id=conversation_id,
        message_id=message_id,
    )
    return Place(**dict(row)) if row else None


def last_change(tx: OwnerTx, conversation_id: int) -> Change | None:
    """The newest change of state."""
    row = tx.one(f"{_CHANGE} WHERE owner_id = :owner AND conversation_id = :id ORDER BY id DESC LIMIT 1", id=conversation_id)
    return Change(**dict(row)) if row else None


def replied_since(tx: OwnerTx, conversation_id: int, message_id: int, *, besides: str) -> bool:
    """Whether another member of staff than ``besides`` has written behind that message."""
    found = tx.one(
        """
        SELECT 1 FROM messages WHERE owner_id = :owner AND conversation_id = :id AND id > :message_id AND author = 'staff'
            AND staff IS NOT :besides LIMIT 1
        """,
        id=conversation_id,
        message_id=message_id,
        besides=besides,
    )
    return found is not None


def waiting_for_staff(tx: OwnerTx, conversation_id: int) -> list[Line]:
    """Messages that were not sent because the window was closed and that a template may stand for, in order."""
    rows = tx.all(
        f"""{_MESSAGE} WHERE m.owner_id = :owner AND m.conversation_id = :id AND m.status = 'queued' AND m.parked = 'window'
        ORDER BY m.id DESC LIMIT 20""",
        id=conversation_id,
    )
    return [Line(**dict(row)) for row in reversed(rows)]


def last_inbound_at(tx: OwnerTx, user_id: int, address: str) -> int | None:
    """When (ms) the person last wrote to this address of ours, in whichever conversation."""
    row = tx.one(
        "SELECT max(last_inbound_at) AS at FROM conversations WHERE owner_id = :owner AND user_id = :id AND address = :address",
        id=user_id,
        address=address,
    )
    return row["at"] if row else None


def attachment(tx: OwnerTx, message: str, position: int) -> File:
    """An attachment of one of the owner's messages. NotFound."""
    row = tx.one(
        """
        SELECT a.position, a.content_type, a.status, a.path, a.name, a.size, a.transcript, a.error
        FROM messages m JOIN media a ON a.owner_id = m.owner_id AND a.message_id = m.id
        WHERE m.owner_id = :owner AND m.public_id = :message AND a.position = :position
        """,
        message=message,
        position=position,
    )
    if row is None:
        raise NotFound(f"no attachment {position} of message {message}")
    return File(**dict(row))
