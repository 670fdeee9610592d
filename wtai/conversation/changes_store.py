"""SQL of what moved: triggers write down each change of a conversation, live pages read on from the last one they know.

New messages, and what is no change of a row that a trigger sees, are written down by :func:`note_change`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from wtai.db.tx import OwnerTx, SystemTx

_MOST: Final = 200


@dataclass(frozen=True, slots=True)
class Changes:
    """What moved up to the change ``through``. ``gap``: something was forgotten in between, so that all of it may have moved."""

    through: int
    conversations: Sequence[str]
    gap: bool


def latest(tx: SystemTx) -> int:
    """The newest change of any owner; 0 before the first."""
    row = tx.one("SELECT max(id) AS id FROM changes")
    return int(row["id"] or 0) if row else 0


def changes_after(tx: OwnerTx, after: int) -> Changes:
    """The owner's conversations (by public id) in which something moved behind the change ``after``."""
    bounds = tx.all("SELECT coalesce(min(id), 0) AS oldest, coalesce(max(id), 0) AS newest FROM changes WHERE :owner IS NOT NULL")
    newest, oldest = int(bounds[0]["newest"]), int(bounds[0]["oldest"])
    if after + 1 < oldest or after > newest:
        return Changes(newest, (), gap=True)
    rows = tx.all(
        """
        SELECT c.public_id, max(h.id) AS id FROM changes h
            JOIN conversations c ON c.owner_id = h.owner_id AND c.id = h.conversation_id
        WHERE h.owner_id = :owner AND h.id > :after AND h.id <= :newest
        GROUP BY c.public_id ORDER BY 2 LIMIT :limit
        """,
        after=after,
        newest=newest,
        limit=_MOST + 1,
    )
    if len(rows) > _MOST:
        return Changes(newest, (), gap=True)
    return Changes(newest, tuple(row["public_id"] for row in rows), gap=False)


def note_change(tx: OwnerTx, conversation_id: int, *, now: int) -> None:
    """Something about a conversation moved that pages show."""
    tx.run(
        "INSERT INTO changes (owner_id, conversation_id, created_at) VALUES (:owner, :conversation_id, :now)",
        conversation_id=conversation_id,
        now=now,
    )


def prune_changes(tx: SystemTx, *, before: int, limit: int) -> int:
    """Forget up to ``limit`` changes from before that time (ms), but never the newest; returns how many."""
    return tx.run(
        """
        DELETE FROM changes WHERE id IN (SELECT id FROM changes WHERE id < (SELECT max(id) FROM changes) ORDER BY id LIMIT :limit)
            AND created_at < :before
        """,
        before=before,
        limit=limit,
    )
