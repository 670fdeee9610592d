"""Jobs drained per second, against the same tasks without a queue, and how soon an idle worker starts a job."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import uvloop

from benchmarks.database import opened
from benchmarks.program import disk_directory
from benchmarks.report import AT_LEAST, AT_MOST, Figure, Result, median, percentile
from wtai.clock import SystemClock
from wtai.db.sqlite import SqliteDatabase
from wtai.db.tx import SystemTx
from wtai.jobs.queue import Job
from wtai.jobs.sqlite import SqliteQueue
from wtai.jobs.store import enqueue
from wtai.jobs.worker import JobKind, Worker
from wtai.settings import Worker as WorkerSettings

_KIND = "nothing"
_JOBS_PER_KEY = 2
_ENQUEUED_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured."""

    rounds: int
    jobs: int
    starts: int


@dataclass(frozen=True, slots=True)
class Load:
    """What waits in the queue."""

    owners: int
    keyed: bool

    @property
    def name(self) -> str:
        return f"{'keyed' if self.keyed else 'unkeyed'}, {self.owners} {'owner' if self.owners == 1 else 'owners'}"


@dataclass(frozen=True, slots=True)
class _Drained:
    """What it took, from the start of the worker until the last job was settled."""

    seconds: float
    cpu_seconds: float


FULL = Size(rounds=5, jobs=10_000, starts=300)
TINY = Size(rounds=1, jobs=64, starts=8)
KEYED = Load(1, keyed=True)
LOADS = tuple(Load(owners, keyed) for owners in (1, 50) for keyed in (False, True))


def run(size: Size) -> Result:
    """Measure every load, then the latency."""
    settings = WorkerSettings()
    figures = []
    for load in LOADS:
        rounds = [_round(load, size.jobs) for _ in range(size.rounds)]
        bare = [uvloop.run(_handled_directly(size.jobs, settings.concurrency)) for _ in range(size.rounds)]
        drained, ceiling = median(rounds), median(bare)
        figures.append(Figure(load.name, drained, "jobs/s", ceiling, bound=AT_LEAST, target=10_000))
    with disk_directory() as directory:
        committed, started = uvloop.run(_latencies(directory / "bench.db", size.starts))
    for label, share, target in (("p50", 0.5, 1.5), ("p95", 0.95, None)):
        bound = None if target is None else AT_MOST
        ceiling = percentile(committed, share)
        figures.append(Figure(f"enqueue to start {label}", percentile(started, share), "ms", ceiling, bound=bound, target=target))
    return Result(
        figures,
        notes=[
            f"{size.jobs:,} no-op jobs, {settings.concurrency} at a time, leases, fencing and fairness on; aim: 30,000",
            f"medians of {size.rounds} rounds; keyed: {_JOBS_PER_KEY} jobs a key",
            "ceiling: the same tasks in the same process without a queue",
            "enqueue to start: idle worker, from the call that enqueues to the handler; ceiling: the durable commit of that call",
        ],
    )


def _round(load: Load, jobs: int) -> float:
    with disk_directory() as directory:
        return uvloop.run(_drained(directory / "bench.db", load, jobs))


async def _drained(path: Path, load: Load, jobs: int) -> float:
    return jobs / (await _drain(path, load, jobs)).seconds


async def drained_cpu_seconds(path: Path, load: Load, jobs: int) -> float:
    """Processor time of all threads, from the start of the worker until the last job is settled."""
    return (await _drain(path, load, jobs)).cpu_seconds


async def _drain(path: Path, load: Load, jobs: int) -> _Drained:
    async with opened(path) as database:
        for first in range(0, jobs, _ENQUEUED_AT_ONCE):
            await database.system_write(_enqueue, load, range(first, min(jobs, first + _ENQUEUED_AT_ONCE)))
        left = jobs

        async def handle(_job: Job) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                worker.stop()

        worker = _worker(database, JobKind(handle, 1))
        started, cpu = time.perf_counter(), time.process_time()
        await worker.run()
        drained = _Drained(time.perf_counter() - started, time.process_time() - cpu)
        remaining = await database.system_read(lambda tx: len(tx.all("SELECT 1 FROM jobs")))
        if remaining:
            raise RuntimeError(f"{remaining} of {jobs} jobs were left in the queue")
        return drained


def _enqueue(tx: SystemTx, load: Load, numbers: Sequence[int]) -> None:
    now = SystemClock().now()
    for number in numbers:
        key = f"key:{number // load.owners // _JOBS_PER_KEY}" if load.keyed else None
        enqueue(tx.for_owner(1 + number % load.owners), _KIND, {"number": number}, key=key, now=now)


def _worker(database: SqliteDatabase, kind: JobKind) -> Worker:
    settings, clock = WorkerSettings(), SystemClock()
    lease_ms = round(settings.lease_seconds * 1000)
    return Worker(
        SqliteQueue(database, clock, worker="bench", lease_ms=lease_ms),
        {_KIND: kind},
        clock,
        concurrency=settings.concurrency,
        lease_ms=lease_ms,
        grace_seconds=settings.shutdown_grace_seconds,
    )


async def _handled_directly(jobs: int, concurrency: int) -> float:
    async def handle(_job: Job) -> None:
        return

    job = Job(1, 1, _KIND, None, "{}", 1, 0, 0)
    started = time.perf_counter()
    for _ in range(0, jobs, concurrency):
        async with asyncio.TaskGroup() as group:
            for _ in range(concurrency):
                group.create_task(handle(job))
    return jobs / (time.perf_counter() - started)


async def _latencies(path: Path, starts: int) -> tuple[list[float], list[float]]:
    """Milliseconds from the call that enqueues until its commit, and until the handler starts."""
    committed, started_after = [], []
    async with opened(path) as database:
        began = asyncio.Event()
        began_at = 0.0

        async def handle(_job: Job) -> None:
            nonlocal began_at
            began_at = time.perf_counter()
            began.set()

        worker = _worker(database, JobKind(handle, 1))
        async with asyncio.TaskGroup() as group:
            group.create_task(worker.run())
            for _ in range(starts):
                await asyncio.sleep(0.01)
                began.clear()
                called = time.perf_counter()
                await database.write(1, enqueue, _KIND, {"number": 1}, now=SystemClock().now())
                committed.append((time.perf_counter() - called) * 1000)
                await began.wait()
                started_after.append((began_at - called) * 1000)
            worker.stop()
    return committed, started_after
