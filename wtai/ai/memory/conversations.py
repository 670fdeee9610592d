"""SQL of what memory keeps beside a conversation: its summary, and how far facts were taken from it."""

from dataclasses import dataclass

from wtai.ai.memory.reading import STRONG, keys, question
from wtai.db.tx import OwnerTx, Row

_MENTIONED = 0.5


@dataclass(frozen=True, slots=True)
class Line:
    """One message. ``author`` is ``user``, ``agent``, ``staff`` or ``system``; ``own``: the person's own words."""

    id: int
    author: str
    text: str
    own: bool
    created_at: int


@dataclass(frozen=True, slots=True)
class Bookmarks:
    """Whose conversation it is, and how far it was read."""

    user_id: int
    summary_from: int
    summary_through: int
    extracted_through: int
    last_message_id: int


@dataclass(frozen=True, slots=True)
class Summaries:
    """What is told of the time before: ``own`` of this conversation's turns up to message ``through``, ``previous`` of the
    conversation before it.
    """

    own: str | None
    through: int
    previous: str | None


def bookmarks(tx: OwnerTx, conversation_id: int) -> Bookmarks | None:
    """How far a conversation was read; None if there is none of that id."""
    row = tx.one(
        """
        SELECT user_id, summary_from, summary_through, extracted_through, coalesce((
            SELECT max(id) FROM messages WHERE owner_id = :owner AND conversation_id = :id
        ), 0) AS last_message_id
        FROM conversations WHERE owner_id = :owner AND id = :id
        """,
        id=conversation_id,
    )
    return Bookmarks(**dict(row)) if row else None


def lines(tx: OwnerTx, conversation_id: int, after: int, through: int) -> list[Line]:
    """What was said behind message ``after`` up to ``through``, in order. A transcript is the person's own words, but for a
    forwarded note.
    """
    rows = tx.all(
        """
        SELECT id, author, kind, body, created_at, coalesce(details LIKE '%"forwarded"%', 0) AS forwarded, (
            SELECT group_concat(transcript, ' ') FROM media
            WHERE media.owner_id = :owner AND media.message_id = messages.id
        ) AS transcript
        FROM messages
        WHERE owner_id = :owner AND conversation_id = :id AND id > :after AND id <= :through AND status <> 'canceled'
        ORDER BY id
        """,
        id=conversation_id,
        after=after,
        through=through,
    )
    return [_line(row) for row in rows]


def said_between(tx: OwnerTx, conversation_id: int, after: int, through: int) -> int:
    """How many characters were said behind message ``after`` up to ``through``."""
    row = tx.one(
        """
        SELECT coalesce(sum(length(body)), 0) AS n FROM messages
        WHERE owner_id = :owner AND conversation_id = :id AND id > :after AND id <= :through
        """,
        id=conversation_id,
        after=after,
        through=through,
    )
    return int(row["n"]) if row else 0


def mark_extracted(tx: OwnerTx, conversation_id: int, before: int, through: int) -> bool:
    """Facts were taken up to ``through``; False if they had been taken further than ``before`` meanwhile."""
    return bool(
        tx.run(
            """
            UPDATE conversations SET extracted_through = :through
            WHERE owner_id = :owner AND id = :id AND extracted_through = :before
            """,
            id=conversation_id,
            before=before,
            through=through,
        )
    )


def put_summary(tx: OwnerTx, conversation_id: int, read: Bookmarks, summary: str, through: int) -> bool:
    """Keep what the turns up to ``through`` come to, unless something was forgotten or summed up further since ``read``."""
    return bool(
        tx.run(
            """
            UPDATE conversations SET summary = :summary, summary_through = :through
            WHERE owner_id = :owner AND id = :id AND summary_from = :from_ AND summary_through <= :through
            """,
            id=conversation_id,
            summary=summary,
            through=through,
            from_=read.summary_from,
        )
    )


def summary_of(tx: OwnerTx, conversation_id: int) -> Summaries:
    """The summaries that a turn of this conversation may see: both of the same person."""
    row = tx.one(
        """
        SELECT c.summary AS own, c.summary_through AS through, p.summary AS previous
        FROM conversations c
        LEFT JOIN conversations p ON p.owner_id = :owner AND p.id = c.previous_id AND p.user_id = c.user_id
        WHERE c.owner_id = :owner AND c.id = :id
        """,
        id=conversation_id,
    )
    return Summaries(row["own"], row["through"], row["previous"]) if row else Summaries(None, 0, None)


def leave_behind(tx: OwnerTx, user_id: int, *, mentioning: str | None) -> None:
    """Take a person's summaries away that mention a text (None: all), and read nothing of what was said so far again."""
    rows = tx.all(
        "SELECT id, summary FROM conversations WHERE owner_id = :owner AND user_id = :user_id AND summary IS NOT NULL",
        user_id=user_id,
    )
    for row in rows:
        if mentioning is None or _mentions(row["summary"], mentioning):
            tx.run("UPDATE conversations SET summary = NULL WHERE owner_id = :owner AND id = :id", id=row["id"])
    tx.run(
        """
        UPDATE conversations SET summary_from = said.last, extracted_through = max(extracted_through, said.last),
            summary_through = max(summary_through, said.last)
        FROM (
            SELECT conversation_id, max(id) AS last FROM messages WHERE owner_id = :owner AND conversation_id IN (
                SELECT id FROM conversations WHERE owner_id = :owner AND user_id = :user_id
            ) GROUP BY conversation_id
        ) AS said
        WHERE conversations.owner_id = :owner AND conversations.user_id = :user_id AND conversations.id = said.conversation_id
        """,
        user_id=user_id,
    )


def _line(row: Row) -> Line:
    transcript = row["transcript"] or ""
    text = " ".join(part for part in (row["body"], transcript) if part)
    own = row["author"] == "user" and not row["forwarded"] and (row["kind"] in {"text", "audio", "button", "list"})
    return Line(row["id"], row["author"], text, own, row["created_at"])


def _mentions(summary: str, text: str) -> bool:
    """Whether a summary tells half of what a text says: too often rather than too seldom."""
    told = frozenset(keys(summary).split())
    groups = [group for group in question(text).wanted if any(key[0] in STRONG for key in group)]
    found = sum(any(key in told for key in group if key[0] in STRONG) for group in groups)
    return not groups or found >= _MENTIONED * len(groups)
