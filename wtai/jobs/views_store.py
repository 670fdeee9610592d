"""SQL of what an owner sees of its jobs."""

from dataclasses import dataclass
from typing import Final

from wtai.db.tx import OwnerTx
from wtai.errors import NotFound

_DEAD: Final = "SELECT id, kind, failures, rescues, error, run_at, created_at FROM jobs"


@dataclass(frozen=True, slots=True)
class DeadJob:
    """A job that is kept for a person; times in ms."""

    id: int
    kind: str
    failures: int
    rescues: int
    error: str | None
    run_at: int
    created_at: int


def dead_jobs(tx: OwnerTx, *, after: int = 0, limit: int) -> list[DeadJob]:
    """The owner's dead jobs, oldest first, with a key above ``after``."""
    rows = tx.all(
        f"{_DEAD} WHERE owner_id = :owner AND state = 'dead' AND id > :after ORDER BY id LIMIT :limit", after=after, limit=limit
    )
    return [DeadJob(**dict(row)) for row in rows]


def dead_job(tx: OwnerTx, job_id: int) -> DeadJob:
    """NotFound unless it is a dead job of the owner."""
    row = tx.one(f"{_DEAD} WHERE owner_id = :owner AND state = 'dead' AND id = :id", id=job_id)
    if row is None:
        raise NotFound(f"no dead job {job_id}")
    return DeadJob(**dict(row))
