"""SQL of what a member of staff has read."""

from wtai.db.tx import OwnerTx


def mark_read(tx: OwnerTx, user_id: int, conversation_id: int) -> None:
    """All that was said so far is read."""
    tx.run(
        """
        INSERT INTO read_marks (owner_id, user_id, conversation_id, through)
        SELECT :owner, :user_id, :id, coalesce(max(m.id), 0) FROM messages m WHERE m.owner_id = :owner AND m.conversation_id = :id
        ON CONFLICT (owner_id, user_id, conversation_id) DO UPDATE SET through = excluded.through
        """,
        user_id=user_id,
        id=conversation_id,
    )


def mark_unread(tx: OwnerTx, user_id: int, conversation_id: int) -> None:
    """The last thing that the person said is not read."""
    tx.run(
        """
        INSERT INTO read_marks (owner_id, user_id, conversation_id, through)
        SELECT :owner, :user_id, :id, coalesce(max(m.id), 0) - 1 FROM messages m
        WHERE m.owner_id = :owner AND m.conversation_id = :id AND m.direction = 'inbound'
        ON CONFLICT (owner_id, user_id, conversation_id) DO UPDATE SET through = min(read_marks.through, excluded.through)
        """,
        user_id=user_id,
        id=conversation_id,
    )
