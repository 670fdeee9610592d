"""A task cancelled at any of its awaits leaves no transaction open, and loses or doubles nothing."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Generator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import ManualClock
from wtai.db import sqlite as module
from wtai.db.migrate import migrate
from wtai.db.sqlite import SqliteDatabase, connect
from wtai.db.tx import OwnerTx, SystemTx
from wtai.jobs.queue import Job
from wtai.jobs.sqlite import SqliteQueue
from wtai.jobs.store import enqueue, list_jobs

LEASE_MS = 60_000
MOST_AWAITS = 40


class CancelledAt:
    """A coroutine whose task is cancelled while it waits for the k-th time: at once, or when what it waits for is there."""

    def __init__(self, coroutine: Coroutine[Any, Any, object], k: int, *, late: bool) -> None:
        self._coroutine = coroutine
        self._k = k
        self._late = late
        self.reached = False

    def __await__(self) -> Generator[Any, None, object]:
        task = asyncio.current_task()
        assert task is not None
        steps = self._coroutine.__await__()
        waits = 0
        send: Callable[[], Any] = lambda: next(steps)  # noqa: E731
        while True:
            try:
                future = send()
            except StopIteration as end:
                return end.value
            waits += 1
            if waits == self._k:
                self.reached = True
                if self._late and future is not None:
                    future.add_done_callback(lambda _: task.cancel())
                else:
                    asyncio.get_running_loop().call_soon(task.cancel)
            try:
                yield future
            except BaseException as exc:  # noqa: BLE001 - handed on into the coroutine
                error = exc
                send = lambda: steps.throw(error)  # noqa: E731, B023
            else:
                send = lambda: next(steps)  # noqa: E731


async def cancel_at(k: int, *, late: bool, coroutine: Coroutine[Any, Any, object]) -> tuple[bool, object]:
    """Whether the k-th wait was reached, and what came of it: a result, or the CancelledError."""
    step = CancelledAt(coroutine, k, late=late)

    async def run() -> object:
        return await step

    async with asyncio.timeout(20):
        (outcome,) = await asyncio.gather(asyncio.ensure_future(run()), return_exceptions=True)
    return step.reached, outcome


@pytest.fixture
def path(data_dir: Path) -> Path:
    file = data_dir / "wtai.db"
    migrate(file)
    return file


@pytest.fixture
async def database(path: Path) -> AsyncIterator[SqliteDatabase]:
    opened = await SqliteDatabase.open(path)
    yield opened
    await opened.close()


def nothing_open(path: Path) -> None:
    """Another process could write at once, and the log can be emptied: no transaction is open, writing or reading."""
    with closing(connect(path)) as other:
        other.execute("PRAGMA busy_timeout = 0")
        other.execute("BEGIN IMMEDIATE")
        other.execute("ROLLBACK")
        busy, _, _ = other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        assert not busy


def put(tx: OwnerTx, tag: int) -> int:
    enqueue(tx, "note", {"tag": tag}, key="k", now=1)
    return tag


def payloads(tx: SystemTx) -> list[str]:
    return [row["payload"] for row in tx.all("SELECT payload FROM jobs ORDER BY id")]


EACH = [(k, late) for k in range(1, MOST_AWAITS) for late in (False, True)]


async def test_a_cancelled_write_is_there_once_or_not_at_all_and_the_caller_hears_of_the_cancellation(
    path: Path, database: SqliteDatabase
) -> None:
    cancelled = 0
    for tag, (k, late) in enumerate(EACH):
        reached, outcome = await cancel_at(k, late=late, coroutine=database.write(1, put, tag))
        nothing_open(path)
        found = (await database.system_read(payloads)).count(f'{{"tag":{tag}}}')
        assert found <= 1
        if isinstance(outcome, asyncio.CancelledError):
            cancelled += 1
            await database.write(1, lambda tx: None)
            assert (await database.system_read(payloads)).count(f'{{"tag":{tag}}}') == found, "it had ended when it told"
        else:
            assert (outcome, found) == (tag, 1)
        if not reached:
            break
    assert cancelled >= 2


async def test_a_write_cancelled_in_a_crowd_harms_none_of_the_others(path: Path, database: SqliteDatabase) -> None:
    tasks = [asyncio.ensure_future(database.write(1, put, tag)) for tag in range(300)]
    for tag in range(0, 300, 3):
        asyncio.get_running_loop().call_later(0.0002 * tag, tasks[tag].cancel)
    results = await asyncio.gather(*tasks, return_exceptions=True)
    found = [int(payload.removeprefix('{"tag":').removesuffix("}")) for payload in await database.system_read(payloads)]
    assert len(found) == len(set(found))
    kept = {tag for tag, result in enumerate(results) if result == tag}
    assert kept <= set(found)
    assert {tag for tag in range(300) if tag % 3} <= kept
    nothing_open(path)


async def test_a_cancelled_write_that_fails_tells_of_the_cancellation_and_nothing_else(
    path: Path, database: SqliteDatabase
) -> None:
    def fail(_tx: SystemTx) -> None:
        raise LookupError("no")

    reached, outcome = await cancel_at(1, late=False, coroutine=database.system_write(fail))
    assert reached
    assert isinstance(outcome, asyncio.CancelledError)
    nothing_open(path)


async def cancel_a_slow_write(database: SqliteDatabase) -> None:
    started, go_on = threading.Event(), threading.Event()

    def slow(tx: OwnerTx) -> None:
        put(tx, 7)
        started.set()
        go_on.wait(10)

    task = asyncio.ensure_future(database.write(1, slow))
    await asyncio.to_thread(started.wait, 10)
    try:
        for _ in range(3):
            task.cancel()
            await asyncio.sleep(0.01)
            assert not task.done(), "told before the unit had ended"
    finally:
        go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await database.system_read(payloads) == ['{"tag":7}']


async def test_a_write_cancelled_again_and_again_still_ends_before_it_tells(path: Path, database: SqliteDatabase) -> None:
    await cancel_a_slow_write(database)
    nothing_open(path)


async def test_without_waiting_for_the_end_a_cancelled_caller_is_told_too_early(
    database: SqliteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def carelessly(_done: "asyncio.Future[object]") -> None:
        return

    with monkeypatch.context() as sabotage:
        sabotage.setattr(module, "_ended", carelessly)
        with pytest.raises(AssertionError, match="told before the unit had ended"):
            await cancel_a_slow_write(database)


async def test_a_cancelled_read_gives_its_connection_back(path: Path, database: SqliteDatabase) -> None:
    for k, late in EACH:
        reached, _ = await cancel_at(k, late=late, coroutine=database.system_read(payloads))
        async with asyncio.timeout(10):
            assert await asyncio.gather(*(database.system_read(payloads) for _ in range(4))) == [[]] * 4
        nothing_open(path)
        if not reached:
            return


async def test_reads_cancelled_while_they_wait_for_a_connection_take_none_away(path: Path, database: SqliteDatabase) -> None:
    for wave in range(20):
        reads = [asyncio.ensure_future(database.system_read(payloads)) for _ in range(8)]
        for _ in range(wave % 5):
            await asyncio.sleep(0)
        for read in reads[wave % 3 :: 2]:
            read.cancel()
        await asyncio.gather(*reads, return_exceptions=True)
    async with asyncio.timeout(10):
        while database._idle_readers.qsize() < 2:  # noqa: ASYNC110 - threads, which finish what they were asked
            await asyncio.sleep(0.005)
    assert database._idle_readers.qsize() == 2
    nothing_open(path)


async def test_a_cancelled_claim_leaves_a_job_ready_or_leased_and_nothing_in_between(
    path: Path, database: SqliteDatabase
) -> None:
    clock = ManualClock()
    queue = SqliteQueue(database, clock, worker="a", lease_ms=LEASE_MS)
    await database.write(1, put, 1)
    for k, late in EACH:
        reached, outcome = await cancel_at(k, late=late, coroutine=queue.claim(1))
        nothing_open(path)
        (row,) = await database.system_read(list_jobs, state=None, limit=10)
        assert row.state in ("ready", "running")
        if isinstance(outcome, list):
            assert [job.id for job in outcome] == [row.id]
        if row.state == "running":
            clock.advance(LEASE_MS + 1)
            assert await queue.reap(orphans=False) == 1
        await database.system_write(lambda tx: tx.run("UPDATE jobs SET rescues = 0"))
        if not reached:
            return


@pytest.mark.parametrize("move", ["complete", "retry", "bury", "extend"])
async def test_a_cancelled_settlement_happened_or_did_not(path: Path, database: SqliteDatabase, move: str) -> None:
    clock = ManualClock()
    queue = SqliteQueue(database, clock, worker="a", lease_ms=LEASE_MS)
    moves: dict[str, Callable[[Job], Coroutine[Any, Any, object]]] = {
        "complete": lambda job: queue.complete([job]),
        "retry": lambda job: queue.retry(job, run_at=clock.now(), error="again", counts=True),
        "bury": lambda job: queue.bury(job, "no"),
        "extend": lambda job: queue.extend([job]),
    }
    expected = {"complete": None, "retry": "ready", "bury": "dead", "extend": "running"}[move]
    for k, late in EACH:
        await database.system_write(lambda tx: tx.run("DELETE FROM jobs"))
        await database.write(1, put, 1)
        await database.write(1, put, 2)
        (job,) = await queue.claim(1)
        reached, outcome = await cancel_at(k, late=late, coroutine=moves[move](job))
        nothing_open(path)
        rows = {row.id: row.state for row in await database.system_read(list_jobs, state=None, limit=10)}
        behind = rows[job.id + 1]
        assert (rows.get(job.id), behind) in (
            ("running", "waiting"),
            (expected, "ready" if move in ("complete", "bury") else "waiting"),
        )
        if not isinstance(outcome, asyncio.CancelledError):
            assert rows.get(job.id) == expected
        if not reached:
            return


async def test_opening_cancelled_at_any_await_leaves_no_thread(path: Path) -> None:
    for k, late in EACH:
        reached, outcome = await cancel_at(k, late=late, coroutine=SqliteDatabase.open(path))
        if isinstance(outcome, SqliteDatabase):
            await outcome.close()
        await no_threads()
        nothing_open(path)
        if not reached:
            return


async def test_closing_cancelled_at_any_await_still_commits_and_ends_every_thread(path: Path) -> None:
    for tag, (k, late) in enumerate(EACH):
        database = await SqliteDatabase.open(path)
        write = asyncio.ensure_future(database.write(1, put, tag))
        await asyncio.sleep(0)
        reached, _ = await cancel_at(k, late=late, coroutine=database.close())
        assert await write == tag
        await no_threads()
        nothing_open(path)
        if not reached:
            return


async def no_threads() -> None:
    async with asyncio.timeout(10):
        while any("connection_worker" in thread.name for thread in threading.enumerate()):  # noqa: ASYNC110 - they signal nothing
            await asyncio.sleep(0.001)
