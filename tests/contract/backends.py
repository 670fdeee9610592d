"""The queues that keep the contract. A new backend is a line in BACKENDS: the whole suite then runs over it."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from tests.fakes import ManualClock
from tests.schema import new_database
from wtai.db.sqlite import SqliteDatabase
from wtai.db.tx import Database
from wtai.jobs import store
from wtai.jobs.queue import Queue
from wtai.jobs.sqlite import SqliteQueue
from wtai.jobs.store import JobRow, enqueue, list_jobs

LEASE_MS: Final = 60_000


class Connect(Protocol):
    """Makes the queue of one worker process."""

    def __call__(self, worker: str, *, after_death: Mapping[str, str] | None = None) -> Queue: ...


class Work:
    """What the backend did, in a unit of its own that does not depend on the machine: steps of SQLite's virtual machine."""

    def __init__(self) -> None:
        self._steps = 0

    def count(self) -> None:
        """One more."""
        self._steps += 1

    def take(self) -> int:
        """What was done since the last call."""
        steps, self._steps = self._steps, 0
        return steps


@dataclass(frozen=True)
class House:
    """A queue's surroundings: the database that jobs are enqueued in, the time, and its worker processes."""

    database: Database
    clock: ManualClock
    connect: Connect
    work: Callable[[], AbstractAsyncContextManager[Work]]

    async def put(
        self,
        kind: str = "note",
        *,
        owner: int = 1,
        key: str | None = None,
        tag: int = 0,
        delay_ms: int = 0,
        unique_key: str | None = None,
        move: bool = False,
        priority: int = 0,
    ) -> None:
        """Enqueue one job in a transaction of its own, or ``move`` the one of ``unique_key``; ``tag`` is its payload."""
        now = self.clock.now()
        if move and unique_key is not None:
            moved = await self.database.write(owner, store.reschedule, kind, unique_key, run_at=now + delay_ms)
            if moved:
                return
        await self.database.write(
            owner,
            enqueue,
            kind,
            {"tag": tag},
            now=now,
            key=key,
            unique_key=unique_key,
            run_at=now + delay_ms,
            priority=priority,
        )

    async def rows(self, state: str | None = None) -> list[JobRow]:
        """The jobs that are kept, oldest first."""
        return list(await self.database.system_read(list_jobs, state=state, limit=1_000_000))

    async def states(self) -> list[str]:
        """The state of each job, oldest first."""
        return [row.state for row in await self.rows()]


@asynccontextmanager
async def sqlite(directory: Path) -> AsyncIterator[House]:
    """The queue in the jobs table."""
    path = directory / "queue.db"
    new_database(path)
    clock = ManualClock()
    database = await SqliteDatabase.open(path)

    def connect(worker: str, *, after_death: Mapping[str, str] | None = None) -> Queue:
        return SqliteQueue(database, clock, worker=worker, lease_ms=LEASE_MS, after_death=after_death)

    @asynccontextmanager
    async def work() -> AsyncIterator[Work]:
        done = Work()
        await database._writer.call(lambda connection: connection.set_progress_handler(done.count, 1))
        try:
            yield done
        finally:
            await database._writer.call(lambda connection: connection.set_progress_handler(None, 0))

    try:
        yield House(database, clock, connect, work)
    finally:
        await database.close()


BACKENDS: Final[dict[str, Callable[[Path], AbstractAsyncContextManager[House]]]] = {"sqlite": sqlite}
