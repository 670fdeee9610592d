"""SQL of what an owner sees of its jobs."""

from typing import Final

from wtai.db.tx import OwnerTx
from wtai.errors import NotFound
from wtai.jobs.store import JobRow

_JOB: Final = "SELECT id, owner_id, kind, key, state, run_at, failures, rescues, error, created_at FROM jobs"


def job_rows(tx: OwnerTx, *, state: str | None = None, after: int = 0, limit: int) -> list[JobRow]:
    """The owner's jobs of one ``state`` or of all, oldest first, with a key above ``after``. Completed ones are gone."""
    # Two statements: the dead are found by an index of their own, and of the rest there are few.
    rows = tx.all(
        f"{_JOB} WHERE owner_id = :owner AND state = 'dead' AND id > :after ORDER BY id LIMIT :limit"
        if state == "dead"
        else f"{_JOB} WHERE owner_id = :owner AND state = coalesce(:state, state) AND id > :after ORDER BY id LIMIT :limit",
        state=state,
        after=after,
        limit=limit,
    )
    return [JobRow(**dict(row)) for row in rows]


def job_row(tx: OwnerTx, job_id: int) -> JobRow:
    """NotFound unless it is a job of the owner."""
    row = tx.one(f"{_JOB} WHERE owner_id = :owner AND id = :id", id=job_id)
    if row is None:
        raise NotFound(f"no job {job_id}")
    return JobRow(**dict(row))
