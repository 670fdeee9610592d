"""SQL of attachments."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from wtai.conversation.model import Attachment, Kind, MediaStatus, Message
from wtai.db.tx import OwnerTx, Row

_ATTACHMENT = """
SELECT a.id, a.message_id, a.url, a.content_type, a.status, a.path, a.name, a.transcript, a.told_at IS NOT NULL AS told
FROM media a
"""
_WITHOUT_FILES = frozenset({Kind.TEXT, Kind.LOCATION, Kind.BUTTON, Kind.LIST, Kind.UNKNOWN})


@dataclass(frozen=True, slots=True)
class Kept:
    """A file in the media directory. ``path`` is relative to it, ``size`` in bytes, ``sha256`` in hexadecimal."""

    path: str
    size: int
    sha256: str
    name: str | None


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a message came from: the person, the conversation, its channel, and our address."""

    user_id: int
    conversation_id: int
    channel: str
    address: str


def attached(tx: OwnerTx, conversation_id: int, messages: Sequence[Message]) -> list[Message]:
    """``messages`` of one conversation, in order, with their attachments."""
    carrying = [message.id for message in messages if message.kind not in _WITHOUT_FILES]
    if not carrying:
        return list(messages)
    rows = tx.all(
        f"""{_ATTACHMENT} JOIN messages m ON m.owner_id = a.owner_id AND m.id = a.message_id
        WHERE m.owner_id = :owner AND m.conversation_id = :conversation_id AND m.id BETWEEN :first AND :last
        ORDER BY m.id, a.position""",
        conversation_id=conversation_id,
        first=min(carrying),
        last=max(carrying),
    )
    found: dict[int, list[Attachment]] = defaultdict(list)
    for row in rows:
        found[row["message_id"]].append(_attachment(row))
    return [replace(message, media=tuple(found[message.id])) if message.id in found else message for message in messages]


def of_message(tx: OwnerTx, message_id: int) -> list[Attachment]:
    """A message's attachments, in order."""
    rows = tx.all(
        f"{_ATTACHMENT} WHERE a.owner_id = :owner AND a.message_id = :message_id ORDER BY a.position", message_id=message_id
    )
    return [_attachment(row) for row in rows]


def origin(tx: OwnerTx, message_id: int) -> Origin | None:
    """Where a message came from."""
    row = tx.one(
        """
        SELECT c.user_id, c.id AS conversation_id, c.channel, c.address
        FROM messages m JOIN conversations c ON c.owner_id = m.owner_id AND c.id = m.conversation_id
        WHERE m.owner_id = :owner AND m.id = :message_id
        """,
        message_id=message_id,
    )
    return Origin(**dict(row)) if row else None


def texts_before(tx: OwnerTx, user_id: int, message_id: int) -> list[str]:
    """The last few texts that a person typed before a message, newest first; what they forwarded is none."""
    rows = tx.all(
        """
        SELECT body FROM messages
        WHERE owner_id = :owner AND id < :message_id AND conversation_id IN (
            SELECT id FROM conversations WHERE owner_id = :owner AND user_id = :user_id ORDER BY id DESC LIMIT 3
        ) AND author = 'user' AND kind = 'text' AND coalesce(details, '') NOT LIKE '%"forwarded"%'
        ORDER BY id DESC LIMIT 10
        """,
        user_id=user_id,
        message_id=message_id,
    )
    return [row["body"] for row in rows]


def set_file(tx: OwnerTx, attachment_id: int, kept: Kept) -> None:
    """The attachment's file is in the media directory."""
    tx.run(
        "UPDATE media SET path = :path, size = :size, sha256 = :sha256, name = :name WHERE owner_id = :owner AND id = :id",
        id=attachment_id,
        path=kept.path,
        size=kept.size,
        sha256=kept.sha256,
        name=kept.name,
    )


def set_kept(tx: OwnerTx, attachment_id: int, transcript: str | None) -> bool:
    """Nothing more is awaited of the attachment; False if that was known."""
    return bool(
        tx.run(
            """
            UPDATE media SET status = 'kept', transcript = :transcript
            WHERE owner_id = :owner AND id = :id AND status = 'announced'
            """,
            id=attachment_id,
            transcript=transcript,
        )
    )


def set_failed(tx: OwnerTx, attachment_id: int, error: str) -> bool:
    """The attachment is not to be had, or not to be heard; False if it was known what became of it."""
    return bool(
        tx.run(
            "UPDATE media SET status = 'failed', error = :error WHERE owner_id = :owner AND id = :id AND status = 'announced'",
            id=attachment_id,
            error=error,
        )
    )


def set_told(tx: OwnerTx, message_id: int, *, now: int) -> None:
    """The person was told that what they said in this message could not be heard."""
    tx.run("UPDATE media SET told_at = :now WHERE owner_id = :owner AND message_id = :message_id", message_id=message_id, now=now)


def transcript_of(tx: OwnerTx, attachment_id: int) -> str | None:
    """What was heard before in a file of the same content; None if none of them was."""
    row = tx.one(
        """
        SELECT k.transcript FROM media a JOIN media k ON k.owner_id = a.owner_id AND k.sha256 = a.sha256
        WHERE a.owner_id = :owner AND a.id = :id AND k.status = 'kept' AND k.transcript IS NOT NULL
        LIMIT 1
        """,
        id=attachment_id,
    )
    return str(row["transcript"]) if row else None


def _attachment(row: Row) -> Attachment:
    values = {name: value for name, value in dict(row).items() if name != "message_id"}
    return Attachment(**{**values, "status": MediaStatus(row["status"]), "told": bool(row["told"])})
