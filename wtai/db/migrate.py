"""Numbered migrations, each applied once in a transaction of its own: a kill leaves the old schema or the new one, never half."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from wtai.db.sqlite import SqliteConnection, connect, driver, require_usable_driver
from wtai.errors import SchemaError
from wtai.failpoints import failpoint


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of the schema; ``number`` is the version it leads to."""

    number: int
    name: str
    sql: str


@dataclass(frozen=True, slots=True)
class SchemaStatus:
    """Which version a database has and which ones this program would still apply."""

    version: int
    newest: int
    pending: tuple[str, ...]


def migrations() -> list[Migration]:
    """All migrations of this program, in order: ``NNNN_name.sql``."""
    found = [
        Migration(int(entry.name[:4]), entry.name.removesuffix(".sql"), entry.read_text("utf-8"))
        for entry in files("wtai.db.migrations").iterdir()
        if entry.name.endswith(".sql")
    ]
    return sorted(found, key=lambda migration: migration.number)


def status(path: Path) -> SchemaStatus:
    """The schema's state. SchemaError if the database is newer than this program."""
    with closing(connect(path)) as connection:
        return _status(connection, migrations(), path)


def migrate(path: Path) -> list[str]:
    """Bring the database at ``path`` (made if absent) to this program's schema; returns the names applied.

    SchemaError if it is newer than this program, or if a migration fails: the database then keeps its last whole version.
    """
    require_usable_driver()
    path.parent.mkdir(parents=True, exist_ok=True)
    known = migrations()
    with closing(connect(path)) as connection:
        pending = set(_status(connection, known, path).pending)
        return [one.name for one in known if one.name in pending and _apply(connection, one, known, path)]


def _status(connection: SqliteConnection, known: list[Migration], path: Path) -> SchemaStatus:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    newest = known[-1].number
    if version > newest:
        raise SchemaError(f"{path} has schema {version}, this program knows {newest}: run the newer wtai, or restore a back-up")
    return SchemaStatus(version, newest, tuple(m.name for m in known if m.number > version))


def _apply(connection: SqliteConnection, migration: Migration, known: list[Migration], path: Path) -> bool:
    try:
        connection.execute("BEGIN IMMEDIATE")  # before the version is read: two programs may start at once
        due = migration.number > _status(connection, known, path).version
        if due:
            for statement in _statements(migration.sql):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {migration.number}")
            failpoint("migration.before_commit")
        connection.execute("COMMIT")
    except driver.DatabaseError as exc:
        raise SchemaError(f"migration {migration.name} failed and was rolled back: {exc}") from exc
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    failpoint("migration.after_commit")
    return due


def _statements(sql: str) -> Iterator[str]:
    statement = ""
    for line in sql.splitlines(keepends=True):
        statement += line
        if driver.complete_statement(statement):
            yield statement
            statement = ""
