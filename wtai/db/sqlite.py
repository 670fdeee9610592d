"""SQLite behind the transaction seam. The only module that imports aiosqlite.

One writer connection commits everything, several ``query_only`` readers serve snapshots, one more checkpoints. Units of work that
arrive while a commit runs are committed together by the next one (group commit): with ``synchronous=FULL`` each commit costs
an fsync, however many units share it.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, Self, TypeVar, cast

import aiosqlite
import structlog

from wtai.db.connection import (
    DISK_FAULTS,
    DRIVER,
    STORAGE_FAULTS,
    VERSION,
    SqliteConnection,
    connect,
    driver,
    has_wal_reset_bug,
    primary_code,
    require_usable_driver,
)
from wtai.db.tx import OwnerTx, SystemTx
from wtai.db.units import Outcome, Synchronous, read_once, run_pragma, write_batch
from wtai.errors import EnvironmentProblem, StorageUnavailable

__all__ = [
    "DRIVER",
    "VERSION",
    "SqliteConnection",
    "SqliteDatabase",
    "connect",
    "driver",
    "has_wal_reset_bug",
    "require_usable_driver",
]

log = structlog.get_logger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

_EMPTYING_SECONDS = 15.0
_EMPTYING_PAUSE_SECONDS = 0.1
_MAX_BATCH = 128
_CHECKPOINT_BYTES = 4 << 20
_TRUNCATE_BYTES = 64 << 20
_UPKEEP_SECONDS = 1.0


class _Thread(aiosqlite.Connection):
    """An aiosqlite connection that runs whole functions in its thread, not only single statements."""

    async def call(self, function: Callable[Concatenate[Any, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.hand_over(function, *args, **kwargs)

    def hand_over(self, function: Callable[Concatenate[Any, P], T], *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[T]:
        """Queue ``function`` without waiting; the future is done once it has run."""
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._tx.put_nowait((done, partial(function, self._conn, *args, **kwargs)))
        return done

    async def reopen(self) -> None:
        """Go on with a fresh connection. EnvironmentProblem if there is none to be had; the old one then stays."""
        old = self._conn
        done: asyncio.Future[SqliteConnection] = asyncio.get_running_loop().create_future()
        self._tx.put_nowait((done, self._connector))
        self._connection = await done
        await self.call(lambda _: old.close())

    @classmethod
    async def start(cls, path: Path, *, read_only: bool) -> Self:
        thread = cls(partial(connect, path, read_only=read_only), 64)
        await thread
        return thread


@dataclass(slots=True)
class _Unit:
    """A unit of work waiting for its commit. ``done`` may be cancelled with its caller; ``ended`` tells of the unit's end."""

    work: Callable[[SystemTx], Any]
    durable: bool
    done: asyncio.Future[Any]
    ended: bool = False


class SqliteDatabase:
    """The database of one process. Open it with :meth:`open`, close it with :meth:`close`."""

    def __init__(self, path: Path, writer: _Thread, readers: list[_Thread], checkpointer: _Thread) -> None:
        self._path = path
        self._writer = writer
        self._readers = readers
        self._idle_readers: asyncio.LifoQueue[_Thread] = asyncio.LifoQueue()
        for reader in readers:
            self._idle_readers.put_nowait(reader)
        self._checkpointer = checkpointer
        self._synchronous = Synchronous()
        self._pending: deque[_Unit] = deque()
        self._idle = asyncio.Event()  # nothing is pending and no commit runs
        self._idle.set()
        self._signals: dict[str, asyncio.Event] = {}
        self._closed = False
        self._doubt: str | None = None  # why nothing may be written
        self._broken = False  # and never again
        self._upkeep = asyncio.create_task(self._look_after(), name="db.upkeep")

    @classmethod
    async def open(cls, path: Path, *, readers: int = 2) -> "SqliteDatabase":
        """Open ``path`` (its schema must be current: see migrate). EnvironmentProblem if this machine or file cannot serve."""
        require_usable_driver()
        opened: list[_Thread] = []
        async with AsyncExitStack() as stack:
            for read_only in [False, False, *[True] * readers]:
                thread = await _Thread.start(path, read_only=read_only)
                stack.push_async_callback(thread.close)
                opened.append(thread)
            stack.pop_all()
        return cls(path, opened[0], opened[2:], opened[1])

    async def close(self) -> None:
        """Commit what is pending, checkpoint, and end every thread; a cancelled caller is told once that is done."""
        await _to_its_end(asyncio.ensure_future(self._close()))

    async def _close(self) -> None:
        async with AsyncExitStack() as stack:
            for thread in (self._writer, self._checkpointer, *self._readers):
                stack.push_async_callback(thread.close)
            self._closed = True
            await self._idle.wait()
            self._upkeep.cancel()
            with suppress(asyncio.CancelledError):
                await self._upkeep

    async def write(self, owner_id: int, work: Callable[Concatenate[OwnerTx, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._submit(lambda tx: work(tx.for_owner(owner_id), *args, **kwargs), durable=True)

    async def system_write(self, work: Callable[Concatenate[SystemTx, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._submit(lambda tx: work(tx, *args, **kwargs), durable=True)

    async def system_write_relaxed(self, work: Callable[Concatenate[SystemTx, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._submit(lambda tx: work(tx, *args, **kwargs), durable=False)

    async def read(self, owner_id: int, work: Callable[Concatenate[OwnerTx, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._snapshot(lambda tx: work(tx.for_owner(owner_id), *args, **kwargs))

    async def system_read(self, work: Callable[Concatenate[SystemTx, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._snapshot(lambda tx: work(tx, *args, **kwargs))

    async def copy_to(self, path: Path) -> None:
        """Write a whole, consistent copy to a new file, beside all other work; it is on disk only once somebody syncs it.

        StorageUnavailable if there is no room for it.
        """
        thread = await _Thread.start(self._path, read_only=False)
        try:
            await thread.call(_vacuum_into, path)
        except driver.DatabaseError as exc:
            raise StorageUnavailable(f"cannot copy the database to {path}: {exc}") from exc
        finally:
            await thread.close()

    async def rewrite(self) -> None:
        """Write the file anew and empty the log, so that no byte of what was deleted is left in either.

        Other writes wait meanwhile, about a second for 100 MB. StorageUnavailable if another process keeps the database busy, or
        there is no room; nothing is lost then.
        """
        try:
            await self._writer.call(run_pragma, "VACUUM")
            async with asyncio.timeout(_EMPTYING_SECONDS):
                # Busy at once while another connection moves the log, and after the busy time-out while somebody reads.
                while (await self._checkpointer.call(_first, "PRAGMA wal_checkpoint(TRUNCATE)"))[0]:  # noqa: ASYNC110
                    await asyncio.sleep(_EMPTYING_PAUSE_SECONDS)
        except TimeoutError as exc:
            raise StorageUnavailable(f"the log of {self._path} cannot be emptied: somebody reads for long") from exc
        except driver.DatabaseError as exc:
            raise StorageUnavailable(f"cannot rewrite {self._path} now: {exc}; try again when less is going on") from exc

    async def wait(self, channel: str, timeout_seconds: float) -> bool:
        event = self._signals.setdefault(channel, asyncio.Event())
        try:
            async with asyncio.timeout(timeout_seconds):
                await event.wait()
        except TimeoutError:
            return False
        event.clear()
        return True

    async def _submit(self, work: Callable[[SystemTx], T], *, durable: bool) -> T:
        if self._closed:
            raise StorageUnavailable("the database is closing; nothing was written")
        if self._doubt is not None:
            raise StorageUnavailable(self._doubt)
        loop = asyncio.get_running_loop()
        unit = _Unit(work, durable, loop.create_future())
        self._pending.append(unit)
        if self._idle.is_set():
            self._idle.clear()
            loop.call_soon(self._commit_next)  # what else arrives in this pass of the loop shares the commit
        try:
            return cast("T", await unit.done)
        except asyncio.CancelledError:
            if not unit.ended:  # cancelled with its caller: another future tells of the unit's end
                unit.done = loop.create_future()
                await _ended(unit.done)
            raise

    async def _snapshot(self, work: Callable[[SystemTx], T]) -> T:
        reader = await self._idle_readers.get()
        if self._closed:
            self._idle_readers.put_nowait(reader)  # the next one who waits is to be told, too
            raise StorageUnavailable("the database is closing; nothing was read")
        reading = asyncio.ensure_future(reader.call(read_once, work))
        reading.add_done_callback(lambda _: self._idle_readers.put_nowait(reader))
        try:
            return await asyncio.shield(reading)
        except driver.DatabaseError as exc:
            self._judge(exc)
            if primary_code(exc) in STORAGE_FAULTS - {driver.SQLITE_READONLY}:
                raise StorageUnavailable(f"cannot read the database now: {exc}") from exc
            raise

    def _commit_next(self) -> None:
        """Hand what is pending to the writer's thread."""
        batch = [self._pending.popleft() for _ in range(min(len(self._pending), _MAX_BATCH))]
        if self._doubt is not None:
            self._go_on()
            _tell(batch, [Outcome(error=StorageUnavailable(self._doubt))] * len(batch))
            return
        durable = any(unit.durable for unit in batch)
        works = [unit.work for unit in batch]
        written = self._writer.hand_over(write_batch, works, durable, self._synchronous)
        written.add_done_callback(partial(self._committed, batch))

    def _committed(self, batch: list[_Unit], written: asyncio.Future[list[Outcome]]) -> None:
        error = written.exception()
        self._judge(error)
        self._go_on()  # first, so that the disk works while those of this batch are told
        if isinstance(error, driver.DatabaseError | MemoryError):
            lost = StorageUnavailable(f"cannot write the database now: {error}; nothing was written")
            lost.__cause__ = error
            error = lost
        outcomes = written.result() if error is None else [Outcome(error=error)] * len(batch)
        _tell(batch, outcomes)
        for channel in set().union(*[outcome.signals for outcome in outcomes]):
            self._signals.setdefault(channel, asyncio.Event()).set()

    def _go_on(self) -> None:
        if self._pending:
            self._commit_next()
        else:
            self._idle.set()

    def _judge(self, error: BaseException | None) -> None:
        """After an error of the disk nothing is written before the file was opened anew and found whole."""
        if self._doubt is None and error is not None and primary_code(error) in DISK_FAULTS:
            self._doubt = f"the database is to be checked after an error ({error}); nothing is written until then"
            log.error("database.in_doubt", error=str(error))

    async def _look_after(self) -> None:
        while True:
            await asyncio.sleep(_UPKEEP_SECONDS)
            try:
                if self._doubt is None:
                    await self._checkpoint()
                elif not self._broken:
                    await self._check()
            except (FileNotFoundError, EnvironmentProblem, driver.DatabaseError) as exc:
                self._judge(exc)  # no log, or busy, or out of order: the next round tries again

    async def _checkpoint(self) -> None:
        """Move the log into the database file, away from the committing thread: automatic checkpoints are the p99 of commits.

        The little that was committed meanwhile is left to the committing thread: once nothing is left, the next commit starts
        the log over, and to overwrite a log takes half the time of extending it.
        """
        size = self._path.with_name(self._path.name + "-wal").stat().st_size
        if size > _CHECKPOINT_BYTES:
            mode = "TRUNCATE" if size > _TRUNCATE_BYTES else "PASSIVE"
            await self._checkpointer.call(run_pragma, f"PRAGMA wal_checkpoint({mode})")
            await self._writer.call(run_pragma, "PRAGMA wal_checkpoint(PASSIVE)")

    async def _check(self) -> None:
        """Open the file anew, and go on if it is whole; else nothing is written any more.

        What a sync could not bring to the disk the kernel may hold for written from then on, so that no later sync brings it
        there. So the log is moved into the file as a whole, before anything is written behind it.
        """
        await self._writer.reopen()
        await self._checkpointer.reopen()
        for _ in self._readers:
            reader = await self._idle_readers.get()
            try:
                await reader.reopen()
            finally:
                self._idle_readers.put_nowait(reader)
        _, logged, moved = await self._writer.call(_first, "PRAGMA wal_checkpoint(PASSIVE)")
        if moved < logged:
            return  # another process reads; the next round tries again
        (found,) = await self._writer.call(_first, "PRAGMA quick_check(1)")
        self._synchronous = Synchronous()
        if found == "ok":
            self._doubt = None
            log.warning("database.found_whole")
        else:
            self._broken = True
            self._doubt = f"the database is broken ({found}); stop the program and restore a back-up: `wtai restore`"
            log.critical("database.broken", problem=found, mend="stop the program and restore a back-up: `wtai restore`")


def _tell(batch: Sequence[_Unit], outcomes: Sequence[Outcome]) -> None:
    for unit, outcome in zip(batch, outcomes, strict=True):
        unit.ended = True
        if unit.done.done():
            continue
        if outcome.error is None:
            unit.done.set_result(outcome.result)
        else:
            unit.done.set_exception(outcome.error)


async def _to_its_end(done: "asyncio.Future[T]") -> T:
    """What comes of ``done``; a cancelled caller is told only then."""
    cancelled = await _ended(done)
    if cancelled is not None:
        raise cancelled
    return done.result()


async def _ended(done: "asyncio.Future[Any]") -> asyncio.CancelledError | None:
    """Wait until ``done`` is, whatever it comes to; returns the cancellation that arrived meanwhile."""
    cancelled: asyncio.CancelledError | None = None
    while not done.done():
        try:
            await asyncio.wait({done})
        except asyncio.CancelledError as exc:
            cancelled = exc
    done.exception()  # mark as seen: a cancellation is all that its caller gets
    return cancelled


def _vacuum_into(connection: SqliteConnection, path: Path) -> None:
    connection.execute("VACUUM INTO ?", (str(path),))


def _first(connection: SqliteConnection, sql: str) -> tuple[Any, ...]:
    return tuple(connection.execute(sql).fetchone())
