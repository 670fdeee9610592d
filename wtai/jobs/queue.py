"""What a job is, and what a queue must do with it.

At least once, with leases: a worker claims a job, extends its lease while it runs, and settles it. Every change of a claimed job
is guarded by its id, its state and its attempt (the fencing token), so that a worker that lost a job cannot settle it. Jobs of
one key run one at a time in the order they were enqueued; a job that waits for its retry holds its key, a dead one releases it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from pydantic import TypeAdapter, ValidationError

from wtai.errors import GiveUp

RESCUES_TO_DEATH = 3
"""A job whose worker died this often under it is dead: it may be what kills it."""

ALONE_SECONDS = 5.0
"""How long a job whose worker died under it twice keeps others from starting: what it does to a process it does soon."""

GAVE_UP = "gave_up"
"""In the payload of a dead job's successor: 1 if the job failed by itself, 0 if its worker died under it."""

_ARGUMENTS = TypeAdapter(dict[str, int])


@dataclass(frozen=True, slots=True)
class Job:
    """A claimed job. ``attempt`` counts claims and is the fencing token; ``failures`` counts tries that failed."""

    id: int
    owner_id: int
    kind: str
    key: str | None
    payload: str
    attempt: int
    failures: int
    rescues: int

    def arguments(self) -> dict[str, int]:
        """The payload: ids by name. GiveUp if it is not that, for it never will be."""
        try:
            return _ARGUMENTS.validate_json(self.payload)
        except ValidationError as exc:
            raise GiveUp(f"the payload of job {self.id} ({self.kind}) is not an object of integers") from exc

    def argument(self, name: str) -> int:
        """One id of the payload. GiveUp if it is not there."""
        try:
            return self.arguments()[name]
        except KeyError as exc:
            raise GiveUp(f"the payload of job {self.id} ({self.kind}) has no {name!r}") from exc


class Queue(Protocol):
    """Where jobs wait. One contract suite runs over every backend. Times in ms since 1970 UTC."""

    async def claim(self, limit: int) -> list[Job]:
        """Take up to ``limit`` due jobs, fairly between owners, and lease them to this worker."""

    async def extend(self, jobs: Sequence[Job]) -> list[Job]:
        """Renew the leases; returns those of ``jobs`` that are no longer this worker's."""

    async def complete(self, jobs: Sequence[Job]) -> list[Job]:
        """The jobs are done; returns those that were no longer this worker's to complete."""

    async def retry(self, job: Job, *, run_at: int, error: str, counts: bool) -> bool:
        """Give the job back, to run at ``run_at``; its key stays held. ``counts``: it failed. False if it was lost."""

    async def bury(self, job: Job, error: str) -> bool:
        """The job is dead: kept for a person, its key released. False if it was lost."""

    async def reap(self, *, orphans: bool) -> int:
        """Rescue jobs whose lease ran out; with ``orphans`` every job of another worker (none of them can be alive)."""

    async def wait(self, timeout_seconds: float) -> None:
        """Return when a job may have become due, at the latest after the time-out."""
