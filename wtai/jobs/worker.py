"""The worker: claims jobs, runs their handlers as tasks, renews their leases, and settles them."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar

import structlog

from wtai.clock import MINUTE, SECOND, Clock
from wtai.errors import GiveUp, Retry, StorageUnavailable
from wtai.failpoints import pass_failpoint
from wtai.jobs.queue import Job, Queue

log = structlog.get_logger(__name__)
_T = TypeVar("_T")
_Claim = tuple[int, int]
"""A job's id and attempt: a lost job may be claimed again while its lost run still ends."""
_Move = Callable[[], Awaitable[bool]]

_CLAIM_BATCH: Final = 16
_POLL_SECONDS: Final = 0.5
_BACKOFF_BASE_MS: Final = 1 * SECOND
_BACKOFF_CAP_MS: Final = 5 * MINUTE
_CLOCK_JUMP_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class JobKind:
    """How jobs of one kind are run. ``handle`` returns, or raises Retry or GiveUp; any other error counts as a failed try.

    After ``max_attempts`` failed tries the job is dead.
    """

    handle: Callable[[Job], Awaitable[None]]
    max_attempts: int


class Worker:
    """Runs the jobs of one queue. :meth:`run` ends after :meth:`stop`, when running jobs have ended or were given back."""

    def __init__(
        self, queue: Queue, kinds: Mapping[str, JobKind], clock: Clock, *, concurrency: int, lease_ms: int, grace_seconds: float
    ) -> None:
        self._queue = queue
        self._kinds = kinds
        self._clock = clock
        self._concurrency = concurrency
        self._lease_seconds = lease_ms / 1000
        self._grace_seconds = grace_seconds
        self._held: dict[_Claim, Job] = {}
        self._handling: dict[_Claim, asyncio.Task[None]] = {}
        self._done: list[Job] = []
        self._settling = asyncio.Event()
        self._freed = asyncio.Event()
        self._stopping = asyncio.Event()
        self._drained = False

    def stop(self) -> None:
        """Claim no more; let :meth:`run` end."""
        self._stopping.set()

    async def run(self) -> None:
        """Rescue what an earlier process left running, then work until stopped."""
        while not self._stopping.is_set():
            try:
                rescued = await self._queue.reap(orphans=True)
            except StorageUnavailable:
                await self._pause(_POLL_SECONDS)
            else:
                log.info("worker.started", rescued=rescued)
                break
        async with asyncio.TaskGroup() as group:
            leases = group.create_task(self._keep_leases())
            group.create_task(self._settle_completed())
            await self._dispatch(group)
            await self._drain()
            leases.cancel()
            self._drained = True
            self._settling.set()

    async def _dispatch(self, group: asyncio.TaskGroup) -> None:
        while not self._stopping.is_set():
            free = self._concurrency - len(self._handling)
            if free <= 0:
                self._freed.clear()
                await self._either(self._freed.wait())
                continue
            try:
                jobs = await self._queue.claim(min(free, _CLAIM_BATCH))
            except StorageUnavailable as exc:
                log.warning("worker.claim_failed", error=str(exc))
                await self._pause(_POLL_SECONDS)
                continue
            if jobs:
                await pass_failpoint("claim.after_commit")
            for job in jobs:
                self._start(job, group)
            if not jobs:
                await self._either(self._queue.wait(_POLL_SECONDS))

    def _start(self, job: Job, group: asyncio.TaskGroup) -> None:
        for (other, _), lost in self._handling.items():
            if other == job.id:
                lost.cancel()
        claim = (job.id, job.attempt)
        self._held[claim] = job
        self._handling[claim] = group.create_task(self._run_one(job, claim), name=f"job.{job.kind}.{job.id}")

    async def _run_one(self, job: Job, claim: _Claim) -> None:
        """Handle a job and settle it. Its lease is renewed until then; only its handler is ever cancelled."""
        structlog.contextvars.bind_contextvars(job=job.id, kind=job.kind)
        try:
            move = await self._handle(job)
        except asyncio.CancelledError:
            if not self._stopping.is_set():
                log.warning("job.lost", attempt=job.attempt)
                del self._held[claim]
                return
            move = partial(self._queue.retry, job, run_at=self._clock.now(), error="stopped", counts=False)
        finally:
            del self._handling[claim]
            self._freed.set()
        if move is None:
            self._done.append(job)
            self._settling.set()
            return
        if await self._settle(move) is False:
            log.warning("job.lost", attempt=job.attempt)
        del self._held[claim]

    async def _handle(self, job: Job) -> _Move | None:
        """Run the handler; returns the move that settles the job, None if it is done."""
        kind = self._kinds.get(job.kind)
        try:
            await (kind.handle(job) if kind else _refuse(job))
        except GiveUp as exc:
            return self._burial(job, str(exc))
        except Retry as exc:
            return self._again(job, kind, str(exc), delay_ms=exc.delay_ms, counts=exc.counts)
        except StorageUnavailable as exc:
            return self._again(job, kind, str(exc), delay_ms=None, counts=False)
        except Exception as exc:
            log.exception("job.failed", attempt=job.attempt)
            return self._again(job, kind, f"{type(exc).__name__} (see the log)", delay_ms=None, counts=True)
        return None

    def _again(self, job: Job, kind: JobKind | None, reason: str, *, delay_ms: int | None, counts: bool) -> _Move:
        if counts and kind is not None and job.failures + 1 >= kind.max_attempts:
            return self._burial(job, reason)
        if delay_ms is None:
            delay_ms = backoff_ms(job.failures)
        log.info("job.retry", reason=reason, delay_ms=delay_ms)
        return partial(self._queue.retry, job, run_at=self._clock.now() + delay_ms, error=reason, counts=counts)

    def _burial(self, job: Job, reason: str) -> _Move:
        log.error("job.dead", reason=reason, attempt=job.attempt)
        return partial(self._queue.bury, job, reason)

    async def _settle_completed(self) -> None:
        """Complete finished jobs together: what finished while the last commit ran shares the next one."""
        while self._done or not self._drained:
            await self._settling.wait()
            self._settling.clear()
            await self._complete_batch()

    async def _complete_batch(self) -> None:
        batch, self._done = self._done, []
        if not batch:
            return
        for job in await self._settle(lambda: self._queue.complete(batch)) or ():
            log.warning("job.lost", job=job.id, kind=job.kind, attempt=job.attempt)
        for job in batch:
            del self._held[job.id, job.attempt]

    async def _settle(self, write: Callable[[], Awaitable[_T]]) -> _T | None:
        """Write until it is written: an outcome that is not recorded would run the job again. None if the worker ends before."""
        while True:
            try:
                return await write()
            except StorageUnavailable as exc:
                log.warning("worker.settle_failed", error=str(exc))
                if self._drained:
                    return None
                await asyncio.sleep(_POLL_SECONDS)

    async def _keep_leases(self) -> None:
        """Renew every third of a lease; a job that was lost, or could not be renewed for a whole lease, is cancelled."""
        renewed, wall, steady = self._clock.monotonic(), self._clock.now(), self._clock.monotonic()
        while True:
            await asyncio.sleep(self._lease_seconds / 3)
            jumped = abs((self._clock.now() - wall) / 1000 - (self._clock.monotonic() - steady)) > _CLOCK_JUMP_SECONDS
            wall, steady = self._clock.now(), self._clock.monotonic()
            held = list(self._held.values())
            try:
                lost = await self._queue.extend(held)
                renewed = self._clock.monotonic()
                if not jumped:  # leases were written by another time; the next round compares like with like
                    await self._queue.reap(orphans=False)
            except StorageUnavailable:
                lost = held if self._clock.monotonic() - renewed > self._lease_seconds else []
            for job in lost:
                handling = self._handling.get((job.id, job.attempt))
                if handling is not None:
                    handling.cancel()

    async def _drain(self) -> None:
        log.info("worker.draining", running=len(self._handling))
        if self._handling:
            await asyncio.wait(self._handling.values(), timeout=self._grace_seconds)
        late = list(self._handling.values())
        for task in late:
            task.cancel()
        if late:
            _, unsettled = await asyncio.wait(late, timeout=self._grace_seconds)
            if unsettled:  # nothing can be written: they stay as they are, for the next start to rescue
                self._drained = True
                await asyncio.wait(unsettled)

    async def _either(self, waiting: Awaitable[object]) -> None:
        """Wait for ``waiting`` or for the order to stop."""
        tasks = {asyncio.ensure_future(waiting), asyncio.ensure_future(self._stopping.wait())}
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()


async def _refuse(job: Job) -> None:
    raise GiveUp(f"no handler for jobs of kind {job.kind!r}")


def backoff_ms(failures: int) -> int:
    """Full jitter: evenly between 0 and a cap that doubles with each failure, from one second up to five minutes.

    Source: AWS Architecture Blog, "Exponential Backoff and Jitter".
    """
    return random.randint(0, min(_BACKOFF_CAP_MS, _BACKOFF_BASE_MS << min(failures, 16)))  # noqa: S311 - spreads load, guards nothing
