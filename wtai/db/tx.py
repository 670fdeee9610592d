"""Transactions: the only way to the data.

A unit of work is a plain function that takes an :class:`OwnerTx` (or :class:`SystemTx`) and runs from its first statement to
its end without an ``await``, in the database's own thread. A cancelled task can therefore never leave a transaction open, and
concurrent units can share one commit.

A unit may run twice, when another of its commit fails: what it wrote the first time is undone, and only what it returns the last
time is told. So it changes nothing but the database.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

Row = Mapping[str, Any]
"""One result row; columns by name."""

PLATFORM = 0
"""The owner of work that belongs to no tenant, such as sweeps over all of them."""


class Connection(Protocol):
    """What a transaction needs of a driver."""

    def query(self, sql: str, parameters: Mapping[str, object]) -> Sequence[Row]:
        """Run one statement and return all its rows."""

    def change(self, sql: str, parameters: Mapping[str, object]) -> int:
        """Run one statement and return how many rows it changed."""

    def insert(self, sql: str, parameters: Mapping[str, object]) -> int | None:
        """Run an INSERT of one row and return its id, None if there was a conflict that it does nothing about."""


class Tx:
    """A transaction in progress. Statements take named parameters as keyword arguments."""

    def __init__(self, connection: Connection, signals: set[str]) -> None:
        self._connection = connection
        self._signals = signals

    def all(self, sql: str, **parameters: object) -> Sequence[Row]:
        """Every row of the result."""
        return self._connection.query(sql, parameters)

    def one(self, sql: str, **parameters: object) -> Row | None:
        """The first row of the result, None without one."""
        rows = self.all(sql, **parameters)
        return rows[0] if rows else None

    def run(self, sql: str, **parameters: object) -> int:
        """Run a statement without a result; returns the number of rows changed."""
        return self._connection.change(sql, parameters)

    def insert(self, sql: str, **parameters: object) -> int | None:
        """Insert one row; returns its id, None where a conflict made it do nothing."""
        return self._connection.insert(sql, parameters)

    def signal(self, channel: str) -> None:
        """Wake whoever waits on ``channel``, once this transaction is on disk."""
        self._signals.add(channel)


class OwnerTx(Tx):
    """A transaction of one owner: ``:owner`` is bound in every statement."""

    def __init__(self, connection: Connection, signals: set[str], owner_id: int) -> None:
        super().__init__(connection, signals)
        self.owner_id = owner_id

    def all(self, sql: str, **parameters: object) -> Sequence[Row]:
        parameters["owner"] = self.owner_id
        return self._connection.query(sql, parameters)

    def run(self, sql: str, **parameters: object) -> int:
        parameters["owner"] = self.owner_id
        return self._connection.change(sql, parameters)

    def insert(self, sql: str, **parameters: object) -> int | None:
        parameters["owner"] = self.owner_id
        return self._connection.insert(sql, parameters)


class SystemTx(Tx):
    """A transaction across owners: start-up, sweeps, the VM's operator, and finding out whose a request is."""

    def for_owner(self, owner_id: int) -> OwnerTx:
        """The same transaction, bound to one owner."""
        return OwnerTx(self._connection, self._signals, owner_id)


class Database(Protocol):
    """Where units of work run. A write is on disk when it returns; if it raises, nothing of it remains.

    A unit may run twice, the first time for nothing: what it does besides its statements has to bear that.
    """

    async def write(self, owner_id: int, work: Callable[Concatenate[OwnerTx, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``work`` in a durable transaction of one owner. StorageUnavailable if it cannot be written."""

    async def read(self, owner_id: int, work: Callable[Concatenate[OwnerTx, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``work`` on one consistent snapshot, unable to write."""

    async def system_write(self, work: Callable[Concatenate[SystemTx, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """As :meth:`write`, across owners."""

    async def system_write_relaxed(self, work: Callable[Concatenate[SystemTx, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """As :meth:`system_write`, but a power cut (not a crash of the process) may undo it, up to the next durable write."""

    async def system_read(self, work: Callable[Concatenate[SystemTx, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """As :meth:`read`, across owners."""

    async def wait(self, channel: str, timeout_seconds: float) -> bool:
        """Return True as soon as a transaction signalled ``channel`` (also one since the last wait), False at the time-out."""
