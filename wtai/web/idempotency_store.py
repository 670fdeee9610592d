"""SQL of what POSTs with an Idempotency-Key were answered."""

from dataclasses import dataclass

from wtai.db.tx import OwnerTx, SystemTx


@dataclass(frozen=True, slots=True)
class Kept:
    """The answer, sealed, to the request with this fingerprint."""

    fingerprint: str
    answer: str


def kept_answer(tx: OwnerTx, principal: str, key: str, *, since: int) -> Kept | None:
    """What a principal's request with this key was answered, if it was after ``since`` (ms)."""
    row = tx.one(
        """
        SELECT fingerprint, answer FROM idempotency_keys
        WHERE owner_id = :owner AND principal = :principal AND key = :key AND created_at > :since
        """,
        principal=principal,
        key=key,
        since=since,
    )
    return Kept(row["fingerprint"], row["answer"]) if row else None


def keep_answer(tx: OwnerTx, principal: str, key: str, kept: Kept, *, now: int) -> None:
    """Keep an answer, in the transaction of what was done, in place of one that is too old."""
    tx.run(
        """
        INSERT INTO idempotency_keys (owner_id, principal, key, fingerprint, answer, created_at)
        VALUES (:owner, :principal, :key, :fingerprint, :answer, :now)
        ON CONFLICT (owner_id, principal, key) DO UPDATE SET fingerprint = excluded.fingerprint, answer = excluded.answer,
            created_at = excluded.created_at
        """,
        principal=principal,
        key=key,
        fingerprint=kept.fingerprint,
        answer=kept.answer,
        now=now,
    )


def forget_answers(tx: SystemTx, *, before: int, limit: int = 500) -> int:
    """Delete up to ``limit`` answers from before ``before`` (ms); returns how many there were."""
    return tx.run(
        """
        DELETE FROM idempotency_keys WHERE id IN (
            SELECT id FROM idempotency_keys WHERE created_at < :before ORDER BY created_at LIMIT :limit
        )
        """,
        before=before,
        limit=limit,
    )
