"""Units of work in the database's own thread: each an ordinary function of a transaction, many of them in one commit."""

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar, cast

from wtai.db.connection import STORAGE_FAULTS, SqliteConnection, primary_code
from wtai.db.tx import Row, SystemTx
from wtai.failpoints import FailpointError

T = TypeVar("T")

Work: TypeAlias = Callable[[SystemTx], T]


@dataclass(slots=True)
class Outcome:
    """What came of a unit: a result or an error, and whom to wake once it is on disk."""

    result: Any = None
    error: BaseException | None = None
    signals: Set[str] = frozenset()


@dataclass(slots=True)
class Synchronous:
    """How the writer's connection syncs at a commit; None before it was told."""

    durable: bool | None = None


class Statements:
    """The driver's connection as transactions see it."""

    def __init__(self, connection: SqliteConnection) -> None:
        self._cursor = connection.cursor()

    def query(self, sql: str, parameters: Mapping[str, object]) -> Sequence[Row]:
        return cast("Sequence[Row]", self._cursor.execute(sql, parameters).fetchall())

    def change(self, sql: str, parameters: Mapping[str, object]) -> int:
        return cast("int", self._cursor.execute(sql, parameters).rowcount)

    def insert(self, sql: str, parameters: Mapping[str, object]) -> int | None:
        # RETURNING would have SQLite prepare for the undoing of a statement that writes more than one row.
        cursor = self._cursor.execute(sql, parameters)
        return cast("int", cursor.lastrowid) if cursor.rowcount else None


def read_once(connection: SqliteConnection, work: Work[T]) -> T:
    """Run one unit on a snapshot."""
    connection.execute("BEGIN")
    try:
        return _run(work, SystemTx(Statements(connection), set()))
    finally:
        connection.execute("ROLLBACK")


def write_batch(
    connection: SqliteConnection, works: Sequence[Work[Any]], durable: bool, synchronous: Synchronous
) -> list[Outcome]:
    """Run the units in one transaction and commit; a unit that fails is undone alone. What is raised undid all of them alike."""
    if synchronous.durable is not durable:
        # In WAL mode the next durable commit also syncs what relaxed ones wrote before it.
        synchronous.durable = None
        run_pragma(connection, f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        synchronous.durable = durable
    connection.execute("BEGIN IMMEDIATE")
    try:
        outcomes = _run_all(connection, works)
        if connection.in_transaction:
            connection.execute("COMMIT")
    except BaseException:
        _roll_back(connection)
        raise
    return outcomes


def run_pragma(connection: SqliteConnection, sql: str) -> None:
    """Run a pragma to its end."""
    connection.execute(sql).fetchall()


def _run_all(connection: SqliteConnection, works: Sequence[Work[Any]]) -> list[Outcome]:
    """The units' outcomes, with all that succeeded in the transaction.

    Few fail, and a savepoint for each would cost as much as its statements. One that fails takes what went before it along;
    then all run again, in savepoints. That one too: what it failed of may be what another wrote, and now wrote otherwise. Not so
    one that a failpoint failed: it is armed for one passage.
    """
    statements = Statements(connection)
    outcomes: list[Outcome] = []
    for work in works:
        outcomes.append(_attempt(statements, work))
        if outcomes[-1].error is not None:
            break
    else:
        return outcomes
    _roll_back(connection)
    if len(works) == 1:
        return outcomes
    connection.execute("BEGIN IMMEDIATE")
    failed = len(outcomes) - 1
    return [
        outcomes[n]
        if n == failed and isinstance(outcomes[n].error, FailpointError)
        else _attempt_in_savepoint(connection, statements, work)
        for n, work in enumerate(works)
    ]


def _attempt(statements: Statements, work: Work[Any]) -> Outcome:
    signals: set[str] = set()
    try:
        return Outcome(result=_run(work, SystemTx(statements, signals)), signals=signals)
    except BaseException as exc:
        if primary_code(exc) in STORAGE_FAULTS:
            raise
        return Outcome(error=exc)


def _attempt_in_savepoint(connection: SqliteConnection, statements: Statements, work: Work[Any]) -> Outcome:
    connection.execute("SAVEPOINT unit")
    outcome = _attempt(statements, work)
    if outcome.error is not None:
        connection.execute("ROLLBACK TO unit")
    connection.execute("RELEASE unit")
    return outcome


def _run(work: Work[T], tx: SystemTx) -> T:
    try:
        return work(tx)
    except StopIteration as exc:
        raise RuntimeError("a unit of work let StopIteration escape, which no future can carry") from exc


def _roll_back(connection: SqliteConnection) -> None:
    if connection.in_transaction:
        connection.execute("ROLLBACK")
