"""SQL of what a plan counts: messages of end users, tokens and money of models, staff and numbers."""

from wtai.db.tx import OwnerTx


def messages_since(tx: OwnerTx, start: int, *, most: int) -> int:
    """The owner's messages of end users since ``start`` (ms); counting stops at ``most``."""
    rows = tx.all(
        """
        SELECT count(*) AS n FROM (
            SELECT 1 FROM messages WHERE owner_id = :owner AND direction = 'inbound' AND created_at >= :start LIMIT :most
        ) AS counted
        """,
        start=start,
        most=most,
    )
    return int(rows[0]["n"])


def messages_of_user_since(tx: OwnerTx, user_id: int, start: int, *, most: int) -> int:
    """One end user's messages since ``start`` (ms); counting stops at ``most``."""
    rows = tx.all(
        """
        SELECT count(*) AS n FROM (
            SELECT 1 FROM conversations c JOIN messages m ON m.owner_id = c.owner_id AND m.conversation_id = c.id
            WHERE c.owner_id = :owner AND c.user_id = :user_id AND (c.closed_at IS NULL OR c.closed_at >= :start)
                AND m.direction = 'inbound' AND m.created_at >= :start
            LIMIT :most
        ) AS counted
        """,
        user_id=user_id,
        start=start,
        most=most,
    )
    return int(rows[0]["n"])


def tokens_of_month(tx: OwnerTx, month: str) -> int:
    """Prompt and completion tokens of a month (YYYY-MM)."""
    rows = tx.all(
        """
        SELECT coalesce(sum(prompt_tokens + completion_tokens), 0) AS n FROM usage
        WHERE owner_id = :owner AND day BETWEEN :month || '-01' AND :month || '-31'
        """,
        month=month,
    )
    return int(rows[0]["n"])


def cost_of_month(tx: OwnerTx, month: str) -> int:
    """What models cost in a month (YYYY-MM), and what is held for calls under way, in millionths of a dollar."""
    row = tx.one("SELECT booked FROM usage_months WHERE owner_id = :owner AND month = :month", month=month)
    return int(row["booked"]) if row else 0


def cost_of_user_day(tx: OwnerTx, user_id: int, day: str) -> int:
    """The same for one person's day (YYYY-MM-DD)."""
    rows = tx.all(
        """
        SELECT coalesce(sum(cost + held), 0) AS n FROM usage WHERE owner_id = :owner AND day = :day AND user_id = :user_id
        """,
        user_id=user_id,
        day=day,
    )
    return int(rows[0]["n"])


def note_quota(tx: OwnerTx, quota: str, period: str, user_id: int | None, *, now: int) -> bool:
    """Note that a limit was reached; whether that is news in its period."""
    noted = tx.run(
        """
        INSERT INTO quota_alerts (owner_id, quota, period, user_id, created_at)
        VALUES (:owner, :quota, :period, :user_id, :now) ON CONFLICT DO NOTHING
        """,
        quota=quota,
        period=period,
        user_id=user_id,
        now=now,
    )
    return noted == 1
