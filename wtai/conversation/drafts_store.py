"""SQL of what staff have begun to write, and of forms that were sent."""

from typing import Final

from wtai.db.tx import OwnerTx

_FORGOTTEN_AT_ONCE: Final = 20


def draft(tx: OwnerTx, conversation_id: int, user_id: int, kind: str) -> str:
    """What this member of staff has begun to write there; empty if nothing. ``kind`` is reply or note."""
    row = tx.one(
        """
        SELECT text FROM drafts
        WHERE owner_id = :owner AND conversation_id = :id AND user_id = :user_id AND kind = :kind
        """,
        id=conversation_id,
        user_id=user_id,
        kind=kind,
    )
    return str(row["text"]) if row else ""


def keep_draft(tx: OwnerTx, conversation_id: int, user_id: int, kind: str, text: str, *, now: int) -> None:
    """Keep it as it is now; an empty one is forgotten."""
    if not text:
        tx.run(
            """
            DELETE FROM drafts WHERE owner_id = :owner AND conversation_id = :id AND user_id = :user_id AND kind = :kind
            """,
            id=conversation_id,
            user_id=user_id,
            kind=kind,
        )
        return
    tx.run(
        """
        INSERT INTO drafts (owner_id, conversation_id, user_id, kind, text, updated_at)
        VALUES (:owner, :id, :user_id, :kind, :text, :now)
        ON CONFLICT (owner_id, conversation_id, user_id, kind)
            DO UPDATE SET text = excluded.text, updated_at = excluded.updated_at
        """,
        id=conversation_id,
        user_id=user_id,
        kind=kind,
        text=text,
        now=now,
    )


def use_form(tx: OwnerTx, token: str, *, forget_before: int, now: int) -> bool:
    """Mark a form as sent, in the transaction of what it does; False if it was sent before. Those from before
    ``forget_before`` (ms) are forgotten along the way.
    """
    tx.run(
        """
        DELETE FROM used_forms WHERE owner_id = :owner AND token IN (
            SELECT token FROM used_forms WHERE owner_id = :owner AND created_at < :before ORDER BY created_at LIMIT :limit
        )
        """,
        before=forget_before,
        limit=_FORGOTTEN_AT_ONCE,
    )
    return bool(
        tx.run(
            """
            INSERT INTO used_forms (owner_id, token, created_at) VALUES (:owner, :token, :now)
            ON CONFLICT (owner_id, token) DO NOTHING
            """,
            token=token,
            now=now,
        )
    )


def is_used(tx: OwnerTx, token: str) -> bool:
    """Whether a form was sent."""
    return tx.one("SELECT 1 FROM used_forms WHERE owner_id = :owner AND token = :token", token=token) is not None
