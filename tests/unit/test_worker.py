"""What becomes of a job, by what its handler does, and of its worker, by what the database does."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.schema import new_database
from wtai.clock import MINUTE, SystemClock
from wtai.db.sqlite import SqliteDatabase
from wtai.errors import GiveUp, Retry, StorageUnavailable
from wtai.jobs import worker as module
from wtai.jobs.queue import Job
from wtai.jobs.sqlite import SqliteQueue
from wtai.jobs.store import JobRow, enqueue, list_jobs
from wtai.jobs.worker import JobKind, Worker, backoff_ms

Handler = Callable[[Job], Awaitable[None]]


class FailingQueue(SqliteQueue):
    """A queue whose moves in ``down`` find no database."""

    down: set[str]

    def _check(self, move: str) -> None:
        if move in self.down:
            raise StorageUnavailable(f"{move}: not now")

    async def complete(self, jobs: Sequence[Job]) -> list[Job]:
        self._check("complete")
        return await super().complete(jobs)

    async def extend(self, jobs: Sequence[Job]) -> list[Job]:
        self._check("extend")
        return await super().extend(jobs)

    async def bury(self, job: Job, error: str) -> bool:
        self._check("bury")
        return await super().bury(job, error)

    async def retry(self, job: Job, *, run_at: int, error: str, counts: bool) -> bool:
        self._check("retry")
        return await super().retry(job, run_at=run_at, error=error, counts=counts)

    async def reap(self, *, orphans: bool) -> int:
        self._check("reap")
        return await super().reap(orphans=orphans)


class JumpingClock(SystemClock):
    """The machine's clock, whose wall can be moved."""

    ahead_ms = 0

    def now(self) -> int:
        return super().now() + self.ahead_ms


@dataclass
class Office:
    """A worker at work on a database; ``other`` is another process's view of the same queue."""

    database: SqliteDatabase
    clock: JumpingClock
    queue: FailingQueue
    worker: Worker
    other: SqliteQueue
    running: asyncio.Task[None] = field(init=False)

    async def put(self, kind: str = "note", *, owner: int = 1, key: str | None = None) -> None:
        await self.database.write(owner, enqueue, kind, {"tag": 1}, key=key, now=self.clock.now())

    async def rows(self) -> list[JobRow]:
        return list(await self.database.system_read(list_jobs, state=None, limit=1_000))

    async def until(self, expected: Callable[[list[JobRow]], bool]) -> list[JobRow]:
        async with asyncio.timeout(10):
            while not expected(rows := await self.rows()):
                assert not self.running.done(), self.running
                await asyncio.sleep(0.005)
        return rows

    async def stop(self) -> None:
        self.worker.stop()
        async with asyncio.timeout(10):
            await self.running


@asynccontextmanager
async def office(
    directory: Path,
    kinds: Mapping[str, Handler],
    *,
    lease_ms: int = 60_000,
    attempts: int = 8,
    concurrency: int = 8,
    grace_seconds: float = 5,
    down: frozenset[str] = frozenset(),
) -> AsyncIterator[Office]:
    path = directory / "jobs.db"
    new_database(path)
    clock = JumpingClock()
    database = await SqliteDatabase.open(path)
    queue = FailingQueue(database, clock, worker="this", lease_ms=lease_ms)
    queue.down = set(down)
    other = SqliteQueue(database, clock, worker="other", lease_ms=lease_ms)
    worker = Worker(
        queue,
        {name: JobKind(handle, attempts) for name, handle in kinds.items()},
        clock,
        concurrency=concurrency,
        lease_ms=lease_ms,
        grace_seconds=grace_seconds,
    )
    made = Office(database, clock, queue, worker, other)
    try:
        async with asyncio.TaskGroup() as group:
            made.running = group.create_task(worker.run())
            yield made
            worker.stop()
    finally:
        await database.close()


async def hang(_job: Job) -> None:
    await asyncio.Event().wait()


def none_left(rows: list[JobRow]) -> bool:
    return not rows


async def test_a_job_whose_handler_returns_is_gone(data_dir: Path) -> None:
    seen: list[int] = []

    async def note(job: Job) -> None:
        seen.append(job.argument("tag"))

    async with office(data_dir, {"note": note}) as at:
        await at.put()
        await at.until(none_left)
    assert seen == [1]


async def test_retry_runs_the_job_again_and_counts_only_if_it_says_so(data_dir: Path) -> None:
    seen: list[int] = []

    async def note(job: Job) -> None:
        seen.append(job.failures)
        if len(seen) < 4:
            raise Retry("not yet", delay_ms=0, counts=len(seen) % 2 == 0)

    async with office(data_dir, {"note": note}) as at:
        await at.put()
        await at.until(none_left)
    assert seen == [0, 0, 1, 1]


async def test_the_last_failed_try_is_death(data_dir: Path) -> None:
    tries = 0

    async def note(_job: Job) -> None:
        nonlocal tries
        tries += 1
        raise Retry("never ready", delay_ms=0)

    async with office(data_dir, {"note": note}, attempts=3) as at:
        await at.put()
        (row,) = await at.until(lambda rows: rows[0].state == "dead")
    assert (tries, row.failures, row.error) == (3, 3, "never ready")


async def test_giving_up_is_death_at_once(data_dir: Path) -> None:
    async def note(_job: Job) -> None:
        raise GiveUp("no such conversation")

    async with office(data_dir, {"note": note}) as at:
        await at.put()
        (row,) = await at.until(lambda rows: rows[0].state == "dead")
    assert (row.failures, row.error) == (1, "no such conversation")


async def test_an_unexpected_error_is_a_failed_try_whose_text_stays_in_the_log(data_dir: Path) -> None:
    async def note(_job: Job) -> None:
        raise ZeroDivisionError("+5511987654321")

    async with office(data_dir, {"note": note}) as at:
        await at.put()
        (row,) = await at.until(lambda rows: rows[0].failures == 1)
    assert (row.state, row.error) == ("scheduled", "ZeroDivisionError (see the log)")


async def test_a_job_of_an_unknown_kind_is_dead_and_others_go_on(data_dir: Path) -> None:
    async def note(_job: Job) -> None:
        return

    async with office(data_dir, {"note": note}) as at:
        await at.put("nonsense")
        await at.put()
        (row,) = await at.until(lambda rows: [row.state for row in rows] == ["dead"])
    assert row.error == "no handler for jobs of kind 'nonsense'"


async def test_a_database_that_was_away_costs_a_job_no_try(data_dir: Path) -> None:
    tries = 0

    async def note(_job: Job) -> None:
        nonlocal tries
        tries += 1
        raise StorageUnavailable("disk full")

    async with office(data_dir, {"note": note}, attempts=1) as at:
        await at.put()
        await at.until(lambda _: tries >= 2)
        (row,) = await at.rows()
    assert (row.failures, row.error) == (0, "disk full")


async def test_stopping_lets_running_jobs_end_and_starts_no_new_ones(data_dir: Path) -> None:
    started, release = asyncio.Event(), asyncio.Event()

    async def note(_job: Job) -> None:
        started.set()
        await release.wait()

    async with office(data_dir, {"note": note}) as at:
        await at.put()
        await started.wait()
        at.worker.stop()
        await at.put()
        release.set()
        await at.stop()
        assert [(row.id, row.state) for row in await at.rows()] == [(2, "ready")]


async def test_what_does_not_end_within_the_grace_is_given_back_unharmed(data_dir: Path) -> None:
    async with office(data_dir, {"note": hang}, grace_seconds=0.05) as at:
        await at.put(key="k")
        await at.put(key="k")
        await at.until(lambda rows: rows[0].state == "running")
        await at.stop()
        assert [(row.state, row.failures, row.rescues) for row in await at.rows()] == [("ready", 0, 0), ("waiting", 0, 0)]


async def test_what_an_earlier_process_left_running_is_taken_over_at_the_start(data_dir: Path) -> None:
    seen: list[int] = []

    async def note(job: Job) -> None:
        seen.append(job.rescues)

    async with office(data_dir, {"note": note}, down=frozenset({"reap"})) as at:
        await at.put()
        assert len(await at.other.claim(1)) == 1
        at.queue.down.clear()  # the database was away at first, too
        await at.until(none_left)
    assert seen == [1]


async def test_a_new_job_wakes_the_worker_without_a_poll(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_POLL_SECONDS", 3_600)
    ran = asyncio.Queue[int]()

    async def note(job: Job) -> None:
        ran.put_nowait(job.id)

    async with office(data_dir, {"note": note}, concurrency=1) as at, asyncio.timeout(10):
        for expected in (1, 2, 3):
            await at.put(key="k")
            assert await ran.get() == expected
        for _ in range(3):  # one slot, one key: each is woken by the end of the one before
            await at.put(key="k")
        assert [await ran.get() for _ in range(3)] == [4, 5, 6]


async def test_no_more_jobs_run_at_once_than_allowed(data_dir: Path) -> None:
    running, most = 0, 0
    three_at_once = asyncio.Event()

    async def note(_job: Job) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        if running == 3:
            three_at_once.set()
        await three_at_once.wait()
        await asyncio.sleep(0.002)
        running -= 1

    async with office(data_dir, {"note": note}, concurrency=3) as at:
        for _ in range(30):
            await at.put()
        await at.until(none_left)
    assert most == 3


async def test_a_long_job_keeps_its_lease(data_dir: Path) -> None:
    release = asyncio.Event()
    runs = 0

    async def note(_job: Job) -> None:
        nonlocal runs
        runs += 1
        await release.wait()

    async with office(data_dir, {"note": note}, lease_ms=900) as at:
        await at.put()
        await asyncio.sleep(2.0)
        assert await at.other.reap(orphans=False) == 0
        release.set()
        await at.until(none_left)
    assert runs == 1


async def test_a_clock_that_jumps_rescues_nobody(data_dir: Path) -> None:
    release = asyncio.Event()
    runs = 0

    async def note(_job: Job) -> None:
        nonlocal runs
        runs += 1
        await release.wait()

    async with office(data_dir, {"note": note}, lease_ms=900) as at:
        await at.put()
        for ahead_ms in (3_600_000, -3_600_000):
            at.clock.ahead_ms = ahead_ms
            await asyncio.sleep(1.0)
        release.set()
        await at.until(none_left)
    assert runs == 1


async def test_a_job_taken_by_another_worker_is_cancelled_here(data_dir: Path) -> None:
    cancelled = asyncio.Event()

    async def note(_job: Job) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    async with office(data_dir, {"note": note}, lease_ms=150) as at:
        await at.put(key="k")
        await at.put(key="k")  # never starts: its key is held by the other worker
        await at.until(lambda rows: rows[0].state == "running")
        await at.database.system_write(lambda tx: tx.run("UPDATE jobs SET attempt = attempt + 1 WHERE id = 1"))
        async with asyncio.timeout(10):
            await cancelled.wait()
        assert [row.state for row in await at.rows()][1] == "waiting"


async def test_a_job_this_worker_claims_again_runs_once_and_the_lost_run_is_cancelled(data_dir: Path) -> None:
    running: set[int] = set()
    both = False

    async def note(job: Job) -> None:
        nonlocal both
        running.add(job.attempt)
        try:
            await asyncio.sleep(0)
            both = len(running) > 1
            await asyncio.Event().wait()
        finally:
            running.discard(job.attempt)

    async with office(data_dir, {"note": note}, grace_seconds=0.05) as at:
        await at.put()
        await at.until(lambda _: running == {1})
        await at.other.reap(orphans=True)
        await at.until(lambda _: 2 in running)
        await asyncio.sleep(0.02)
        assert (running, both) == ({2}, False)
        await at.stop()
        assert [row.state for row in await at.rows()] == ["ready"]


async def test_a_job_that_cannot_be_renewed_for_a_whole_lease_is_cancelled(data_dir: Path) -> None:
    cancelled = asyncio.Event()

    async def note(_job: Job) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    async with office(data_dir, {"note": note}, lease_ms=150, grace_seconds=0.05) as at:
        await at.put()
        await at.until(lambda rows: rows[0].state == "running")
        at.queue.down = {"extend"}
        async with asyncio.timeout(10):
            await cancelled.wait()


async def test_a_finished_job_stays_this_workers_until_its_end_can_be_written(data_dir: Path) -> None:
    runs = 0

    async def note(_job: Job) -> None:
        nonlocal runs
        runs += 1

    async with office(data_dir, {"note": note}, lease_ms=150, down=frozenset({"complete"})) as at:
        await at.put()
        await asyncio.sleep(0.6)
        (row,) = await at.rows()
        assert (row.state, row.rescues) == ("running", 0)
        at.queue.down.clear()
        await at.until(none_left)
    assert runs == 1


async def test_an_outcome_is_written_however_long_the_database_is_away(data_dir: Path) -> None:
    runs = 0

    async def note(_job: Job) -> None:
        nonlocal runs
        runs += 1
        raise GiveUp("no")

    async with office(data_dir, {"note": note}, lease_ms=150, down=frozenset({"bury", "extend"})) as at:
        await at.put()
        await at.until(lambda _: runs == 1)
        at.queue.down.add("reap")
        await asyncio.sleep(0.6)
        at.queue.down.clear()
        (row,) = await at.until(lambda rows: rows[0].state == "dead")
    assert (runs, row.error, row.rescues) == (1, "no", 0)


async def test_stopping_while_the_database_is_away_loses_no_outcome_if_it_returns_in_time(data_dir: Path) -> None:
    release = asyncio.Event()

    async def note(job: Job) -> None:
        if job.id == 2:
            await release.wait()

    async with office(data_dir, {"note": note}, down=frozenset({"complete"})) as at:
        await at.put()
        await at.put()
        await at.until(lambda rows: [row.state for row in rows] == ["running", "running"])
        await asyncio.sleep(0.05)
        at.worker.stop()
        await asyncio.sleep(0.6)
        at.queue.down.clear()
        release.set()
        await at.stop()
        assert await at.rows() == []


async def test_stopping_ends_even_if_the_database_does_not_come_back(data_dir: Path) -> None:
    async with office(data_dir, {"note": hang}, grace_seconds=0.1, down=frozenset({"retry"})) as at:
        await at.put()
        await at.until(lambda rows: [row.state for row in rows] == ["running"])
        await at.stop()
        assert [row.state for row in await at.rows()] == ["running"]


@pytest.mark.parametrize("failures", [0, 1, 5, 8, 9, 50, 10_000])
def test_backoff_has_full_jitter_under_a_cap_that_doubles_up_to_five_minutes(failures: int) -> None:
    cap = min(5 * MINUTE, 1_000 * 2**failures)
    drawn = [backoff_ms(failures) for _ in range(2_000)]
    assert min(drawn) >= 0
    assert max(drawn) <= cap
    assert min(drawn) < cap / 20
    assert max(drawn) > cap * 19 / 20
