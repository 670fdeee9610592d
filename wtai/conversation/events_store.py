"""SQL of what is told of conversations."""

from wtai.db.tx import OwnerTx, Row
from wtai.errors import NotFound


def message(tx: OwnerTx, message_id: int) -> Row:
    """A message with what it belongs to, by public ids."""
    row = tx.one(
        """
        SELECT m.public_id AS id, c.public_id AS conversation, u.public_id AS user, u.id AS user_id, c.channel, c.address,
            c.user_address, m.direction, m.author, m.kind, m.body, m.status, m.error_code, m.created_at
        FROM messages m
        JOIN conversations c ON c.owner_id = m.owner_id AND c.id = m.conversation_id
        JOIN users u ON u.owner_id = c.owner_id AND u.id = c.user_id
        WHERE m.owner_id = :owner AND m.id = :id
        """,
        id=message_id,
    )
    if row is None:
        raise NotFound(f"no message {message_id}")
    return row
