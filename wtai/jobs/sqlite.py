"""The queue in the jobs table: all SQL that moves a job, each move one guarded statement in a durable transaction."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import fields
from heapq import heapify, heapreplace
from typing import Protocol

from wtai.clock import Clock
from wtai.db.tx import Database, Row, SystemTx
from wtai.errors import GiveUp
from wtai.failpoints import failpoint
from wtai.jobs.queue import ALONE_SECONDS, GAVE_UP, RESCUES_TO_DEATH, Job
from wtai.jobs.store import CHANNEL, enqueue

_FIELDS = tuple(field.name for field in fields(Job))
_COLUMNS = ", ".join(_FIELDS)
_COLUMNS_ONCE_CLAIMED = _COLUMNS.replace("attempt", "attempt + 1 AS attempt")

# The first ready job of each owner, found by hopping over the index: of owners after one, up to another.
_HEADS = f"""
WITH RECURSIVE head(id, owner_id) AS (
    SELECT * FROM (
        SELECT id, owner_id FROM jobs WHERE state = 'ready' AND owner_id > :after AND owner_id <= :until
        ORDER BY owner_id, priority DESC, run_at, id LIMIT 1
    )
    UNION ALL
    SELECT next.id, next.owner_id FROM head JOIN jobs AS next ON next.id = (
        SELECT id FROM jobs WHERE state = 'ready' AND owner_id > head.owner_id AND owner_id <= :until
        ORDER BY owner_id, priority DESC, run_at, id LIMIT 1
    )
    LIMIT :limit
)
SELECT priority, {_COLUMNS_ONCE_CLAIMED} FROM jobs WHERE id IN (SELECT id FROM head) ORDER BY owner_id
"""  # noqa: S608 - constants only

_FIRST_READY = f"""
SELECT {_COLUMNS_ONCE_CLAIMED} FROM jobs
WHERE state = 'ready' AND owner_id = :owner_id AND priority = :priority ORDER BY run_at, id LIMIT :limit
"""  # noqa: S608 - constants only

# Jobs whose worker died under them twice, and may die again.
_SUSPECTS = f"""
SELECT state, {_COLUMNS_ONCE_CLAIMED} FROM jobs WHERE rescues >= 2 AND state IN ('ready', 'running') ORDER BY id LIMIT 16
"""  # noqa: S608 - constants only

_CLAIM = """
UPDATE jobs SET state = 'running', attempt = :attempt, worker = :worker, lease_until = :lease_until, unique_key = NULL
WHERE id = :id AND state = 'ready' AND attempt = :attempt - 1
"""

# The index is named: the planner would rather walk all jobs in the order of their ids.
_PROMOTE = """
UPDATE jobs SET state = CASE WHEN run_at > :now THEN 'scheduled' ELSE 'ready' END
WHERE id = (
    SELECT id FROM jobs INDEXED BY jobs_behind
    WHERE owner_id = :owner_id AND key = :key AND state = 'waiting' ORDER BY id LIMIT 1
)
"""
_RUNNING_BY_OWNER = "SELECT owner_id, count(*) AS n FROM jobs WHERE state = 'running' GROUP BY owner_id"
_OWNERS_PER_CLAIM = 64
_LAST_OWNER = (1 << 63) - 1


class OnDeath(Protocol):
    """What is to be done in the transaction in which a job dies."""

    def __call__(self, tx: SystemTx, job: Job, error: str, *, now: int) -> None: ...


class SqliteQueue:
    """See :class:`wtai.jobs.queue.Queue`. ``worker`` names this process, fresh at each start.

    Its moves may be undone by a power cut: the job then runs again, which its handler must bear anyway.
    ``after_death`` names, per kind, the kind of the job that takes over the payload of a dead one, in the same transaction.
    It also learns whether the job failed by itself (GAVE_UP: 1) or its worker died under it (0).
    ``on_death`` is called with the job and its error in that transaction, whatever the kind.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        worker: str,
        lease_ms: int,
        after_death: Mapping[str, str] | None = None,
        on_death: OnDeath | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._worker = worker
        self._lease_ms = lease_ms
        self._after_death = after_death or {}
        self._on_death = on_death
        self._next_due: int | None = None
        self._last_owner = -1
        self._held_back = False
        self._suspected: dict[int, float] = {}

    async def claim(self, limit: int) -> list[Job]:
        jobs, self._next_due = await self._database.system_write_relaxed(self._claim, limit, self._last_owner)
        return jobs

    async def extend(self, jobs: Sequence[Job]) -> list[Job]:
        return await self._database.system_write_relaxed(self._extend, jobs)

    async def complete(self, jobs: Sequence[Job]) -> list[Job]:
        return await self._database.system_write_relaxed(self._complete, jobs)

    async def retry(self, job: Job, *, run_at: int, error: str, counts: bool) -> bool:
        return await self._database.system_write_relaxed(self._retry, job, run_at, error, counts)

    async def bury(self, job: Job, error: str) -> bool:
        return await self._database.system_write_relaxed(self._bury, job, error)

    async def reap(self, *, orphans: bool) -> int:
        return await self._database.system_write_relaxed(self._reap, orphans)

    async def wait(self, timeout_seconds: float) -> None:
        if self._next_due is not None:
            timeout_seconds = min(timeout_seconds, max(0.0, (self._next_due - self._clock.now()) / 1000))
        await self._database.wait(CHANNEL, timeout_seconds)

    def _claim(self, tx: SystemTx, limit: int, last_owner: int) -> tuple[list[Job], int | None]:
        self._last_owner = last_owner  # also where this runs again
        now = self._clock.now()
        tx.run("UPDATE jobs SET state = 'ready' WHERE state = 'scheduled' AND run_at <= :now", now=now)
        jobs: list[Job] = []
        while len(jobs) < limit:
            due = [_job(row) for row in self._candidates(tx, limit - len(jobs))]
            claimed = [job for job in due if self._lease(tx, job, now)]
            if not claimed:
                break
            jobs += claimed  # an owner may have fewer than its share: what is left is shared again
        scheduled = tx.one("SELECT min(run_at) AS run_at FROM jobs WHERE state = 'scheduled'")
        if jobs:
            failpoint("claim.before_commit")
        return sorted(jobs, key=lambda job: job.id), scheduled["run_at"] if scheduled else None

    def _lease(self, tx: SystemTx, job: Job, now: int) -> bool:
        return bool(tx.run(_CLAIM, id=job.id, attempt=job.attempt, worker=self._worker, lease_until=now + self._lease_ms))

    def _candidates(self, tx: SystemTx, limit: int) -> Sequence[Row]:
        """Ready jobs whose turn it is. A suspect runs alone for a while: nothing new beside it, and nothing before it."""
        suspects, now = tx.all(_SUSPECTS), self._clock.monotonic()
        self._suspected = {row["id"]: self._suspected.get(row["id"], now) for row in suspects}
        fresh = [row for row in suspects if now - self._suspected[row["id"]] < ALONE_SECONDS]
        self._held_back = bool(fresh)
        if fresh:
            return () if tx.one("SELECT 1 FROM jobs WHERE state = 'running' LIMIT 1") else fresh[:1]
        late = [row for row in suspects if row["state"] == "ready"]
        if late:
            return late[:limit]
        heads = self._heads(tx)
        candidates: list[Row] = []
        for owner_id, share in self._shares(tx, heads, limit).items():
            first = heads[owner_id]
            more = {"owner_id": owner_id, "priority": first["priority"], "limit": share}
            candidates += [first] if share == 1 else tx.all(_FIRST_READY, **more)
        return candidates

    def _shares(self, tx: SystemTx, heads: Mapping[int, Row], limit: int) -> dict[int, int]:
        """How many jobs each owner may start: one after the other, the higher priority first, then the owner least served."""
        if len(heads) < 2:
            return dict.fromkeys(heads, limit)
        served = {row["owner_id"]: row["n"] for row in tx.all(_RUNNING_BY_OWNER)}
        queue = [(-head["priority"], served.get(owner, 0), place, owner) for place, (owner, head) in enumerate(heads.items())]
        heapify(queue)
        shares: dict[int, int] = {}
        for _ in range(limit):
            priority, running, place, owner = queue[0]
            shares[owner] = shares.get(owner, 0) + 1
            self._last_owner = owner
            heapreplace(queue, (priority, running + 1, place, owner))
        return shares

    def _heads(self, tx: SystemTx) -> dict[int, Row]:
        """The first ready job by owner: a window over the owners that begins behind the one served last."""
        rows = list(tx.all(_HEADS, after=self._last_owner, until=_LAST_OWNER, limit=_OWNERS_PER_CLAIM))
        if self._last_owner >= 0 and len(rows) < _OWNERS_PER_CLAIM:
            rows += tx.all(_HEADS, after=-1, until=self._last_owner, limit=_OWNERS_PER_CLAIM - len(rows))
        return {row["owner_id"]: row for row in rows}

    def _extend(self, tx: SystemTx, jobs: Sequence[Job]) -> list[Job]:
        until = self._clock.now() + self._lease_ms
        return [
            job
            for job in jobs
            if not tx.run(
                "UPDATE jobs SET lease_until = :until WHERE id = :id AND state = 'running' AND attempt = :attempt",
                until=until,
                id=job.id,
                attempt=job.attempt,
            )
        ]

    def _complete(self, tx: SystemTx, jobs: Sequence[Job]) -> list[Job]:
        lost = []
        for job in jobs:
            if tx.run(
                "DELETE FROM jobs WHERE id = :id AND state = 'running' AND attempt = :attempt", id=job.id, attempt=job.attempt
            ):
                self._promote(tx, job.owner_id, job.key)
            else:
                lost.append(job)
        self._wake_held_back(tx)
        return lost

    def _retry(self, tx: SystemTx, job: Job, run_at: int, error: str, counts: bool) -> bool:
        tx.signal(CHANNEL)
        return bool(
            tx.run(
                """
                UPDATE jobs SET state = CASE WHEN :run_at > :now THEN 'scheduled' ELSE 'ready' END, run_at = :run_at,
                    failures = failures + :counts, error = :error, worker = NULL, lease_until = NULL
                WHERE id = :id AND state = 'running' AND attempt = :attempt
                """,
                id=job.id,
                attempt=job.attempt,
                run_at=run_at,
                now=self._clock.now(),
                counts=int(counts),
                error=error,
            )
        )

    def _bury(self, tx: SystemTx, job: Job, error: str) -> bool:
        buried = tx.run(
            """
            UPDATE jobs SET state = 'dead', failures = failures + 1, error = :error, worker = NULL, lease_until = NULL
            WHERE id = :id AND state = 'running' AND attempt = :attempt
            """,
            id=job.id,
            attempt=job.attempt,
            error=error,
        )
        if buried:
            self._succeed(tx, job, error, gave_up=True)
        self._wake_held_back(tx)
        return bool(buried)

    def _reap(self, tx: SystemTx, orphans: bool) -> int:
        rows = tx.all(
            f"SELECT {_COLUMNS} FROM jobs WHERE state = 'running' AND (lease_until < :now OR (:orphans AND worker <> :worker))",  # noqa: S608
            now=self._clock.now(),
            orphans=orphans,
            worker=self._worker,
        )
        for job in map(_job, rows):
            dies = job.rescues + 1 >= RESCUES_TO_DEATH
            error = f"its worker died or hung under it, {job.rescues + 1} times"
            tx.run(
                """
                UPDATE jobs SET state = :state, rescues = rescues + 1, error = :error, worker = NULL, lease_until = NULL
                WHERE id = :id AND state = 'running' AND attempt = :attempt
                """,
                id=job.id,
                attempt=job.attempt,
                state="dead" if dies else "ready",
                error=error,
            )
            if dies:
                self._succeed(tx, job, error, gave_up=False)
        if rows:
            tx.signal(CHANNEL)
        return len(rows)

    def _succeed(self, tx: SystemTx, dead: Job, error: str, *, gave_up: bool) -> None:
        self._promote(tx, dead.owner_id, dead.key)
        if self._on_death is not None:
            self._on_death(tx, dead, error, now=self._clock.now())
        successor = self._after_death.get(dead.kind)
        if successor is not None:
            with suppress(GiveUp):  # a payload that nobody can read: the dead row is all that can be kept
                enqueue(
                    tx.for_owner(dead.owner_id),
                    successor,
                    {**dead.arguments(), GAVE_UP: int(gave_up)},
                    key=dead.key,
                    now=self._clock.now(),
                )

    def _wake_held_back(self, tx: SystemTx) -> None:
        if self._held_back:
            tx.signal(CHANNEL)

    def _promote(self, tx: SystemTx, owner_id: int, key: str | None) -> None:
        if key is not None and tx.run(_PROMOTE, owner_id=owner_id, key=key, now=self._clock.now()):
            tx.signal(CHANNEL)


def _job(row: Row) -> Job:
    return Job(**{name: row[name] for name in _FIELDS})
