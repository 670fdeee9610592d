"""Jobs written and read in the caller's own transaction, whatever backend runs them."""

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic_core import to_json

from wtai.db.tx import OwnerTx, SystemTx
from wtai.errors import NotFound

CHANNEL = "jobs"
"""Signalled when a job was enqueued."""

URGENT, NORMAL, BACKGROUND = 10, 0, -10
"""Priorities; the higher runs first."""


@dataclass(frozen=True, slots=True)
class JobRow:
    """A job as people see it."""

    id: int
    owner_id: int
    kind: str
    key: str | None
    state: str
    run_at: int
    failures: int
    rescues: int
    error: str | None
    created_at: int


def enqueue(
    tx: OwnerTx,
    kind: str,
    payload: Mapping[str, int],
    *,
    now: int,
    key: str | None = None,
    unique_key: str | None = None,
    run_at: int | None = None,
    priority: int = NORMAL,
) -> None:
    """Add a job that exists if and only if the transaction commits. The payload holds ids, not data.

    With ``unique_key`` a job of the same kind and unique key that has not started stays the only one; see :func:`reschedule`.
    """
    due = now if run_at is None else run_at
    tx.run(
        """
        INSERT INTO jobs (owner_id, kind, key, unique_key, payload, priority, run_at, created_at, state)
        VALUES (:owner, :kind, :key, :unique_key, :payload, :priority, :run_at, :now, CASE
            WHEN :key IS NOT NULL AND EXISTS (
                SELECT 1 FROM jobs
                WHERE owner_id = :owner AND key = :key AND state NOT IN ('waiting', 'dead')
            ) THEN 'waiting'
            WHEN :run_at > :now THEN 'scheduled'
            ELSE 'ready' END)
        ON CONFLICT (owner_id, kind, unique_key) WHERE unique_key IS NOT NULL DO NOTHING
        """,
        kind=kind,
        key=key,
        unique_key=unique_key,
        payload=to_json(payload).decode(),
        priority=priority,
        run_at=due,
        now=now,
    )
    tx.signal(CHANNEL)


def reschedule(tx: OwnerTx, kind: str, unique_key: str, *, run_at: int) -> bool:
    """Move a job that has not started to ``run_at``, sooner or later; False if there is none of this unique key."""
    moved = tx.run(
        """
        UPDATE jobs SET run_at = :run_at
        WHERE owner_id = :owner AND kind = :kind AND unique_key = :unique_key AND state IN ('waiting', 'scheduled')
        """,
        kind=kind,
        unique_key=unique_key,
        run_at=run_at,
    )
    if moved:
        tx.signal(CHANNEL)
    return bool(moved)


def list_jobs(tx: SystemTx, *, state: str | None, limit: int) -> list[JobRow]:
    """Jobs of all owners, oldest first; of one ``state`` or of all."""
    rows = tx.all(
        """
        SELECT id, owner_id, kind, key, state, run_at, failures, rescues, error, created_at FROM jobs
        WHERE :state IS NULL OR state = :state ORDER BY id LIMIT :limit
        """,
        state=state,
        limit=limit,
    )
    return [JobRow(**dict(row)) for row in rows]


def retry_dead(tx: SystemTx, job_id: int, *, now: int) -> None:
    """Run a dead job again with all its tries, behind the head of its key if there is one. NotFound unless it is dead."""
    revived = tx.run(
        """
        UPDATE jobs AS j SET failures = 0, rescues = 0, error = NULL, run_at = :now, state = CASE
            WHEN key IS NOT NULL AND EXISTS (
                SELECT 1 FROM jobs h
                WHERE h.owner_id = j.owner_id AND h.key = j.key AND h.state NOT IN ('waiting', 'dead')
            ) THEN 'waiting' ELSE 'ready' END
        WHERE id = :id AND state = 'dead'
        """,
        id=job_id,
        now=now,
    )
    if not revived:
        raise NotFound(f"no dead job {job_id}; `wtai jobs list --state dead` shows them")
    tx.signal(CHANNEL)


def discard_dead(tx: SystemTx, job_id: int) -> None:
    """Delete a dead job. NotFound unless it is dead."""
    if not tx.run("DELETE FROM jobs WHERE id = :id AND state = 'dead'", id=job_id):
        raise NotFound(f"no dead job {job_id}; `wtai jobs list --state dead` shows them")


def probe(tx: SystemTx) -> int | None:
    """Prove that the jobs table can be written, without changing it; tells since when (ms) the oldest ready job is due."""
    tx.run("DELETE FROM jobs WHERE id < 0")
    row = tx.one("SELECT min(run_at) AS due FROM jobs WHERE state = 'ready'")
    return row["due"] if row else None
