"""The transaction seam on SQLite: what is written together, read together, refused, and survived."""

import asyncio
import itertools
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path

import pytest

from wtai.db import connection
from wtai.db import sqlite as module
from wtai.db.sqlite import SqliteDatabase, connect, driver, has_wal_reset_bug, require_usable_driver
from wtai.db.tx import OwnerTx, SystemTx
from wtai.errors import EnvironmentProblem, StorageUnavailable


@pytest.fixture
def path(data_dir: Path) -> Path:
    """A database with one table."""
    file = data_dir / "notes.db"
    with closing(connect(file)) as connection:
        connection.execute("CREATE TABLE parents (id INTEGER PRIMARY KEY) STRICT")
        connection.execute(
            """
            CREATE TABLE notes (
                id INTEGER PRIMARY KEY, owner_id INTEGER NOT NULL, text TEXT NOT NULL UNIQUE,
                parent INTEGER REFERENCES parents (id) DEFERRABLE INITIALLY DEFERRED
            ) STRICT
            """
        )
    return file


@pytest.fixture
async def database(path: Path) -> AsyncIterator[SqliteDatabase]:
    opened = await SqliteDatabase.open(path)
    yield opened
    await opened.close()


def note(tx: OwnerTx, text: str, signal: str | None = None) -> int:
    rows = tx.all("INSERT INTO notes (owner_id, text) VALUES (:owner, :text) RETURNING id", text=text)
    if signal:
        tx.signal(signal)
    return int(rows[0]["id"])


def texts(tx: SystemTx) -> list[str]:
    return [row["text"] for row in tx.all("SELECT text FROM notes ORDER BY id")]


def database_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if "connection_worker" in thread.name]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - files and threads signal nothing
            await asyncio.sleep(0.005)


async def commits(database: SqliteDatabase, work: Callable[[], "asyncio.Future[object]"]) -> int:
    """How often the writer committed while ``work`` ran."""
    seen: list[str] = []
    await database._writer.call(lambda connection: connection.set_trace_callback(seen.append))
    await work()
    await database._writer.call(lambda connection: connection.set_trace_callback(None))
    return seen.count("COMMIT")


async def test_units_that_arrive_together_share_commits_and_all_are_kept(database: SqliteDatabase) -> None:
    count = await commits(database, lambda: asyncio.gather(*(database.write(1, note, f"n{n}") for n in range(100))))
    assert count <= 2
    assert sorted(await database.system_read(texts)) == sorted(f"n{n}" for n in range(100))


async def test_every_caller_gets_its_own_result(database: SqliteDatabase) -> None:
    ids = await asyncio.gather(*(database.write(1, note, f"n{n}") for n in range(50)))
    rows = await database.system_read(lambda tx: {row["id"]: row["text"] for row in tx.all("SELECT id, text FROM notes")})
    assert [rows[found] for found in ids] == [f"n{n}" for n in range(50)]


def fails(tx: OwnerTx, error: BaseException) -> None:
    note(tx, "half done", signal="half")
    raise error


@pytest.mark.parametrize("error", [LookupError("no"), StopIteration("no")], ids=repr)
async def test_a_unit_that_fails_is_undone_alone_and_only_its_caller_hears_of_it(
    database: SqliteDatabase, error: BaseException
) -> None:
    for neighbours in (0, 3):
        before = len(await database.system_read(texts))
        async with asyncio.timeout(10):
            results = await asyncio.gather(
                database.write(1, fails, error),
                *(database.write(1, note, f"{neighbours}.{n}") for n in range(neighbours)),
                return_exceptions=True,
            )
        assert type(results[0]) is (RuntimeError if type(error) is StopIteration else type(error))
        assert len(await database.system_read(texts)) == before + neighbours


async def test_units_around_those_that_fail_are_kept_once(database: SqliteDatabase) -> None:
    def work(tx: OwnerTx, name: str) -> int:
        noted = note(tx, name, signal=name)
        if name.startswith("bad"):
            raise LookupError(name)
        return noted

    names = ["a", "b", "bad 1", "c", "bad 2", "d"]
    results = await asyncio.gather(*(database.write(1, work, name) for name in names), return_exceptions=True)
    assert [name for name, result in zip(names, results, strict=True) if isinstance(result, LookupError)] == ["bad 1", "bad 2"]
    kept = await database.system_read(lambda tx: {row["text"]: row["id"] for row in tx.all("SELECT id, text FROM notes")})
    assert kept == {name: result for name, result in zip(names, results, strict=True) if isinstance(result, int)}
    assert [await database.wait(name, 0) for name in names] == [True, True, False, True, False, True]


async def test_what_a_unit_fails_of_is_what_its_neighbours_committed(database: SqliteDatabase) -> None:
    drawn = itertools.count()

    def first_comes(tx: OwnerTx) -> str:
        if before := texts(tx):
            raise LookupError(before[0])
        note(tx, f"drawn {next(drawn)}")
        return texts(tx)[0]

    results = await asyncio.gather(*(database.write(1, first_comes) for _ in range(10)), return_exceptions=True)
    kept = await database.system_read(texts)
    assert len(kept) == 1
    assert [str(result).strip("'") for result in results] == kept * 10


@pytest.mark.parametrize("sql", ["SELECT * FROM nothing", "SELEC", "SELECT :absent", "INSERT INTO notes (text) VALUES ('x')"])
async def test_a_wrong_statement_is_the_fault_of_its_unit_and_not_of_the_storage(database: SqliteDatabase, sql: str) -> None:
    kept, wrong, alike = await asyncio.gather(
        database.write(1, note, "kept"),
        database.system_write(lambda tx: tx.all(sql)),
        database.write(1, note, "kept too"),
        return_exceptions=True,
    )
    assert isinstance(kept, int)
    assert isinstance(alike, int)
    assert isinstance(wrong, driver.Error)
    with pytest.raises(driver.Error):
        await database.system_write(lambda tx: tx.all(sql))
    assert await database.system_read(texts) == ["kept", "kept too"]


def orphan(tx: OwnerTx) -> None:
    tx.run("INSERT INTO notes (owner_id, text, parent) VALUES (:owner, 'orphan', 77)")
    tx.signal("orphans")


@pytest.mark.parametrize("neighbours", [0, 1, 5])
async def test_a_commit_that_fails_fails_all_its_units_and_nothing_of_them_remains(
    database: SqliteDatabase, neighbours: int
) -> None:
    async with asyncio.timeout(10):
        results = await asyncio.gather(
            *(database.write(1, note, f"n{n}", "notes") for n in range(neighbours)),
            database.write(1, orphan),
            return_exceptions=True,
        )
    assert [type(result) for result in results] == [StorageUnavailable] * (neighbours + 1)
    assert await database.system_read(texts) == []
    assert not await database.wait("notes", 0)
    assert not await database.wait("orphans", 0)
    await database.write(1, note, "afterwards")
    assert await database.system_read(texts) == ["afterwards"]


async def test_a_signal_reaches_the_waiter_when_its_transaction_is_on_disk(database: SqliteDatabase) -> None:
    async with asyncio.timeout(10):
        waiting = asyncio.ensure_future(database.wait("notes", 60))
        await asyncio.sleep(0)
        await database.write(1, note, "a", "notes")
        assert await waiting
    assert not await database.wait("notes", 0)
    await database.write(1, note, "b", "notes")
    assert await database.wait("notes", 60), "one since the last wait counts"


async def test_a_unit_that_failed_signals_nobody_even_if_its_neighbours_commit(database: SqliteDatabase) -> None:
    with pytest.raises(LookupError):
        await database.write(1, fails, LookupError("no"))
    assert not await database.wait("half", 0)
    await asyncio.gather(
        database.write(1, note, "a", "notes"), database.write(1, fails, LookupError("no")), return_exceptions=True
    )
    assert await database.wait("notes", 0)
    assert not await database.wait("half", 0)


async def test_a_read_sees_one_snapshot_while_writes_go_on(database: SqliteDatabase) -> None:
    counted, written = threading.Event(), threading.Event()

    def twice(tx: SystemTx) -> tuple[list[str], list[str]]:
        first = texts(tx)
        counted.set()
        written.wait(10)
        return first, texts(tx)

    reading = asyncio.ensure_future(database.system_read(twice))
    await asyncio.to_thread(counted.wait, 10)
    await database.write(1, note, "meanwhile")
    written.set()
    assert await reading == ([], [])
    assert await database.system_read(texts) == ["meanwhile"]


async def test_what_was_written_is_seen_by_the_next_read(database: SqliteDatabase) -> None:
    for n in range(20):
        await database.write(1, note, str(n))
        assert len(await database.system_read(texts)) == n + 1


async def test_reads_cannot_write(database: SqliteDatabase) -> None:
    with pytest.raises(driver.OperationalError, match="readonly"):
        await database.read(1, note, "x")
    assert await database.system_read(texts) == []


async def test_a_read_that_fails_gives_its_connection_back(database: SqliteDatabase) -> None:
    def broken(_tx: SystemTx) -> None:
        next(iter(()))

    async with asyncio.timeout(10):
        for _ in range(5):
            with pytest.raises(RuntimeError):
                await database.system_read(broken)
        assert await database.system_read(texts) == []


async def test_an_owners_transaction_binds_the_owner_whatever_the_caller_passes(database: SqliteDatabase) -> None:
    await database.write(1, note, "of one")
    await database.write(2, note, "of two")

    def mine(tx: OwnerTx) -> list[str]:
        return [row["text"] for row in tx.all("SELECT text FROM notes WHERE owner_id = :owner", owner=2)]

    assert await database.read(1, mine) == ["of one"]
    removed = await database.write(1, lambda tx: tx.run("DELETE FROM notes WHERE owner_id = :owner", owner=2))
    assert removed == 1
    assert await database.system_read(texts) == ["of two"]
    assert await database.system_write(lambda tx: tx.for_owner(2).owner_id) == 2


async def test_closing_commits_what_is_pending_and_ends_every_thread(path: Path) -> None:
    database = await SqliteDatabase.open(path)
    await until(lambda: len(database_threads()) == 4)  # those of the test before may be on their way out
    writes = [asyncio.ensure_future(database.write(1, note, str(n))) for n in range(20)]
    await asyncio.sleep(0)
    await database.close()
    await until(lambda: not database_threads())
    await asyncio.gather(*writes)
    assert not path.with_name("notes.db-wal").exists(), "checkpointed"


async def test_a_closed_database_says_so(path: Path) -> None:
    database = await SqliteDatabase.open(path)
    await database.close()
    with pytest.raises(StorageUnavailable, match="clos"):
        await database.write(1, note, "late")
    with pytest.raises(StorageUnavailable, match="clos"):
        await database.system_read(texts)


async def test_reads_that_wait_for_a_connection_when_the_database_closes_are_told(path: Path) -> None:
    database = await SqliteDatabase.open(path, readers=1)
    reads = [asyncio.ensure_future(database.system_read(texts)) for _ in range(5)]
    await asyncio.sleep(0)
    await database.close()
    async with asyncio.timeout(10):
        results = await asyncio.gather(*reads, return_exceptions=True)
    assert results[0] == []
    assert {type(result) for result in results} <= {list, StorageUnavailable}


async def test_a_checkpoint_that_fails_does_not_keep_the_database_from_closing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_UPKEEP_SECONDS", 0.01)
    monkeypatch.setattr(module, "_CHECKPOINT_BYTES", 0)
    database = await SqliteDatabase.open(path)
    await database.write(1, note, "x")
    await database._checkpointer.call(lambda connection: connection.close())
    await asyncio.sleep(0.1)
    await database.close()
    await until(lambda: not database_threads())


async def test_the_log_is_checkpointed_beside_the_writes(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_UPKEEP_SECONDS", 0.01)
    monkeypatch.setattr(module, "_CHECKPOINT_BYTES", 10_000)
    monkeypatch.setattr(module, "_TRUNCATE_BYTES", 20_000)
    database = await SqliteDatabase.open(path)
    log = path.with_name("notes.db-wal")
    for n in range(50):
        await database.write(1, note, f"{n}" + "x" * 5_000)
    await until(lambda: log.stat().st_size <= 20_000)
    assert len(await database.system_read(texts)) == 50
    await database.close()


async def test_opening_what_is_no_database_names_it_and_leaves_no_thread(data_dir: Path) -> None:
    file = data_dir / "photo.jpg"
    file.write_bytes(b"\xff\xd8" * 4_000)
    with pytest.raises(EnvironmentProblem, match=r"photo\.jpg"):
        await SqliteDatabase.open(file)
    await until(lambda: not database_threads())


async def test_a_relaxed_write_is_visible_at_once_and_a_durable_one_is_synced(database: SqliteDatabase) -> None:
    def level(connection: module.SqliteConnection) -> int:
        return int(connection.execute("PRAGMA synchronous").fetchone()[0])

    await database.system_write_relaxed(lambda tx: note(tx.for_owner(1), "relaxed"))
    assert await database.system_read(texts) == ["relaxed"]
    assert await database._writer.call(level) == 1
    await database.write(1, note, "durable")
    assert await database._writer.call(level) == 2
    await asyncio.gather(
        database.system_write_relaxed(lambda tx: note(tx.for_owner(1), "both")), database.write(1, note, "are durable")
    )
    assert await database._writer.call(level) == 2


@pytest.mark.parametrize(
    ("version", "broken"),
    [
        ((3, 6, 23), False),
        ((3, 7, 0), True),
        ((3, 40, 1), True),
        ((3, 44, 5), True),
        ((3, 44, 6), False),
        ((3, 44, 9), False),
        ((3, 45, 0), True),
        ((3, 50, 4), True),
        ((3, 50, 6), True),
        ((3, 50, 7), False),
        ((3, 51, 0), True),
        ((3, 51, 2), True),
        ((3, 51, 3), False),
        ((3, 52, 0), True),
        ((3, 53, 0), False),
        ((3, 53, 4), False),
        ((4, 0, 0), False),
    ],
)
def test_versions_that_lose_committed_data_are_known(version: tuple[int, ...], broken: bool) -> None:
    assert has_wal_reset_bug(version) is broken


def test_a_vulnerable_sqlite_is_refused_with_the_mend(monkeypatch: pytest.MonkeyPatch) -> None:
    require_usable_driver()
    monkeypatch.setattr(connection, "VERSION", (3, 40, 1))
    with pytest.raises(EnvironmentProblem, match=r"WAL-reset bug.*pip install pysqlite3"):
        require_usable_driver()


async def test_an_sqlite_without_extensions_is_refused_with_the_mend(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Bare:
        """A connection class as Pythons built without extension loading have it."""

    monkeypatch.setattr(driver, "Connection", Bare)
    with pytest.raises(EnvironmentProblem, match=r"extensions.*pip install pysqlite3"):
        await SqliteDatabase.open(path)
