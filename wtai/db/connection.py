"""The SQLite that this process uses, and connections to it with wtai's settings. The only module that imports one."""

from pathlib import Path
from typing import Any, Final, TypeAlias

import sqlite_vec

from wtai.clock import pause
from wtai.errors import EnvironmentProblem

try:
    from pysqlite3 import dbapi2 as driver
except ImportError:  # no wheel for this platform
    import sqlite3 as driver

__all__ = [
    "DISK_FAULTS",
    "DRIVER",
    "STORAGE_FAULTS",
    "VERSION",
    "SqliteConnection",
    "connect",
    "driver",
    "has_wal_reset_bug",
    "primary_code",
    "require_usable_driver",
]

SqliteConnection: TypeAlias = Any  # of pysqlite3, which has no types, or of the standard library

DRIVER: Final = driver.__name__.partition(".")[0]
VERSION: Final[tuple[int, ...]] = tuple(int(part) for part in driver.sqlite_version.split("."))


_BUSY_TIMEOUT_MS = 2_000  # a webhook may wait for two of them, and its sender waits 4.5 s
_SWITCH_WAIT_MS = 50
STORAGE_FAULTS: Final = frozenset(
    {
        driver.SQLITE_BUSY,
        driver.SQLITE_LOCKED,
        driver.SQLITE_NOMEM,
        driver.SQLITE_READONLY,
        driver.SQLITE_INTERRUPT,
        driver.SQLITE_IOERR,
        driver.SQLITE_CORRUPT,
        driver.SQLITE_FULL,
        driver.SQLITE_CANTOPEN,
        driver.SQLITE_PROTOCOL,
        driver.SQLITE_NOTADB,
    }
)
"""Primary result codes (sqlite.org/rescode.html) for which no statement is to blame. The driver raises OperationalError for some
of them and for wrong statements alike."""
DISK_FAULTS: Final = frozenset({driver.SQLITE_IOERR, driver.SQLITE_CORRUPT, driver.SQLITE_NOTADB})
"""Of these, those after which nobody knows what the file holds."""
_MEND = "pip install pysqlite3, or use a Python whose sqlite3 is 3.51.3 or newer and loads extensions"


# What is not exactly a number or a text is asked how to adapt itself, which takes ten times as long as to bind it.
driver.register_adapter(type(None), lambda none: none)


def has_wal_reset_bug(version: tuple[int, ...]) -> bool:
    """Whether this SQLite may lose a committed transaction when a checkpoint races a writer (sqlite.org/wal.html#walresetbug).

    From 3.7.0; fixed in 3.51.3, 3.50.7 and 3.44.6. 3.52.0 was withdrawn.
    """
    if version[:2] == (3, 50):
        return version < (3, 50, 7)
    if version[:2] == (3, 44):
        return version < (3, 44, 6)
    return (3, 7, 0) <= version < (3, 51, 3) or version[:3] == (3, 52, 0)


def require_usable_driver() -> None:
    """EnvironmentProblem, naming the mend, unless this Python's SQLite can be trusted and can load extensions."""
    if has_wal_reset_bug(VERSION):
        raise EnvironmentProblem(
            f"SQLite {driver.sqlite_version} ({DRIVER}) can lose committed data (WAL-reset bug, fixed in 3.51.3); mend: {_MEND}"
        )
    if not hasattr(driver.Connection, "enable_load_extension"):
        raise EnvironmentProblem(f"this Python's {DRIVER} cannot load SQLite extensions; mend: {_MEND}")


def connect(path: Path, *, read_only: bool = False) -> SqliteConnection:
    """A connection with wtai's settings. ``read_only`` refuses every write on it.

    EnvironmentProblem if the file cannot be opened or is no database.
    """
    try:
        connection = driver.connect(path, isolation_level=None, check_same_thread=False, cached_statements=512)
        connection.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
        if not read_only and connection.execute("PRAGMA page_count").fetchone()[0] == 0:
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        _use_wal(connection)
        _load_vectors(connection)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        if read_only:
            connection.execute("PRAGMA query_only = ON")
        else:
            # What is deleted is overwritten where it stood. Copies that SQLite left while it moved rows go with rewrite().
            connection.execute("PRAGMA secure_delete = ON")
    except driver.DatabaseError as exc:
        raise EnvironmentProblem(
            f"cannot open the database {path}: {exc}; check that it is wtai's file and its folder writable"
        ) from exc
    connection.row_factory = driver.Row
    return connection


def _load_vectors(connection: SqliteConnection) -> None:
    """Add the distance functions of vectors. DatabaseError if the extension does not fit this machine."""
    connection.enable_load_extension(True)
    sqlite_vec.load(connection)
    connection.enable_load_extension(False)


def _use_wal(connection: SqliteConnection) -> None:
    """Switch the file to WAL mode, once. Of connections that switch at once SQLite refuses all but one without waiting."""
    for _ in range(_BUSY_TIMEOUT_MS // _SWITCH_WAIT_MS):
        if connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal":
            return
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except driver.OperationalError as exc:
            if primary_code(exc) != driver.SQLITE_BUSY:
                raise
            pause(_SWITCH_WAIT_MS / 1000)
    raise driver.OperationalError("another program keeps it from write-ahead logging")


def primary_code(error: BaseException) -> int:
    """SQLite's primary result code behind a driver's error, 0 where it has none."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF
