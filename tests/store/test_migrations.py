"""The schema moves from one whole version to the next, whatever happens meanwhile, and holds the state machines itself."""

import random
import re
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from wtai.db import migrate as module
from wtai.db.migrate import Migration, migrate, migrations, status
from wtai.db.sqlite import SqliteConnection, connect, driver
from wtai.errors import EnvironmentProblem, SchemaError

ROOT = Path(__file__).resolve().parents[2]
MIGRATE = """
import sys
from pathlib import Path
from wtai import failpoints
from wtai.db import connection, migrate
failpoints.arm(sys.argv[2])
connection._BUSY_TIMEOUT_MS = 30_000  # who starts with others may wait for all of theirs
migrate.migrations = lambda found=migrate.migrations(): [
    *found,
    migrate.Migration(9001, "9001_a", "CREATE TABLE a (x INTEGER) STRICT;\\n" + "INSERT INTO a VALUES (1);\\n" * 300),
    migrate.Migration(9002, "9002_b", "CREATE TABLE b (x INTEGER) STRICT;\\nINSERT INTO b SELECT x FROM a;\\n"),
]
print("started", flush=True)
print(*migrate.migrate(Path(sys.argv[1])), flush=True)
"""
LATER = [
    Migration(9001, "9001_a", "CREATE TABLE a (x INTEGER) STRICT;\n"),
    Migration(9002, "9002_b", "CREATE TABLE b (x INTEGER) STRICT;\n"),
]


def run(path: Path, failpoints: str = "") -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", MIGRATE, path, failpoints], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )


def shape(path: Path) -> tuple[int, tuple[str, ...], str]:
    """Version, tables and health of the database."""
    with closing(connect(path)) as connection:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        tables = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'")
        return version, tuple(sorted(row[0] for row in tables)), connection.execute("PRAGMA integrity_check").fetchone()[0]


def whole_versions(tmp_path: Path) -> dict[int, tuple[str, ...]]:
    """The tables of each version of the program in the subprocess."""
    versions: dict[int, tuple[str, ...]] = {0: ()}
    step = tmp_path / "whole.db"
    for migration in migrations():
        with closing(connect(step)) as connection:
            connection.executescript(migration.sql)
        versions[migration.number] = shape(step)[1]
    newest = versions[max(versions)]
    return {**versions, 9001: tuple(sorted([*newest, "a"])), 9002: tuple(sorted([*newest, "a", "b"]))}


def test_migrations_are_numbered_from_one_without_gaps_and_applied_once(data_dir: Path) -> None:
    names = [migration.name for migration in migrations()]
    assert [migration.number for migration in migrations()] == list(range(1, len(names) + 1))
    assert migrate(data_dir / "new" / "wtai.db") == names
    assert migrate(data_dir / "new" / "wtai.db") == []
    found = status(data_dir / "new" / "wtai.db")
    assert (found.version, found.newest, found.pending) == (len(names), len(names), ())


def test_the_status_tells_what_would_be_applied(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = data_dir / "wtai.db"
    migrate(path)
    known = migrations()
    monkeypatch.setattr(module, "migrations", lambda: [*known, *LATER])
    assert status(path).pending == ("9001_a", "9002_b")
    assert status(path).version == known[-1].number, "asking applies nothing"


def test_a_newer_schema_is_refused_and_left_as_it_is(data_dir: Path) -> None:
    path = data_dir / "wtai.db"
    migrate(path)
    with closing(connect(path)) as connection:
        connection.execute("PRAGMA user_version = 9999")
    before = path.read_bytes()
    for use in (migrate, status):
        with pytest.raises(SchemaError, match=r"9999.*newer wtai"):
            use(path)
    assert path.read_bytes() == before


def test_a_migration_that_fails_leaves_the_last_whole_version(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = data_dir / "wtai.db"
    migrate(path)
    before = shape(path)
    broken = Migration(9001, "9001_broken", "CREATE TABLE a (x INTEGER) STRICT;\nCREATE TABLE owners (x INTEGER);\n")
    known = migrations()
    monkeypatch.setattr(module, "migrations", lambda: [*known, broken])
    with pytest.raises(SchemaError, match=r"9001_broken.*owners"):
        migrate(path)
    assert shape(path) == before


def test_what_is_no_database_is_refused_by_its_name(data_dir: Path) -> None:
    path = data_dir / "wtai.db"
    path.write_text("not a database, but long enough to be read as one" * 100)
    with pytest.raises(EnvironmentProblem, match=r"wtai\.db"):
        migrate(path)


@pytest.mark.parametrize("action", ["kill", "raise"])
@pytest.mark.parametrize("point", ["migration.before_commit", "migration.after_commit"])
@pytest.mark.parametrize("hit", [1, 2, 3])
def test_a_migration_stopped_at_its_commit_is_old_or_new_and_goes_on_at_the_next_start(
    tmp_path: Path, data_dir: Path, point: str, hit: int, action: str
) -> None:
    path = data_dir / "wtai.db"
    stopped = run(path, f"{point}={hit}:{action}")
    assert stopped.returncode == (-signal.SIGKILL if action == "kill" else 1)
    numbers = [0, *(migration.number for migration in migrations()), 9001, 9002]
    version, tables, health = shape(path)
    assert version == numbers[hit - 1 if point.endswith("before_commit") else hit]
    assert (tables, health) == (whole_versions(tmp_path)[version], "ok")
    assert run(path).returncode == 0
    assert shape(path)[0] == 9002


@pytest.mark.parametrize("seed", range(10))
def test_a_migration_killed_at_any_moment_is_old_or_new(tmp_path: Path, data_dir: Path, seed: int) -> None:
    path = data_dir / "wtai.db"
    process = subprocess.Popen([sys.executable, "-c", MIGRATE, path, ""], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(random.Random(seed).uniform(0, 0.03))
        process.kill()
    version, tables, health = shape(path)
    assert (tables, health) == (whole_versions(tmp_path)[version], "ok")
    assert run(path).returncode == 0
    assert shape(path)[0] == 9002


@pytest.mark.parametrize("attempt", range(3))
def test_programs_that_start_at_once_apply_each_migration_once(data_dir: Path, attempt: int) -> None:
    path = data_dir / "wtai.db"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", MIGRATE, path, ""], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    outputs = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, outputs
    applied = sorted(name for out, _ in outputs for name in out.split()[1:])
    assert applied == [*(migration.name for migration in migrations()), "9001_a", "9002_b"]


def test_programs_that_make_a_database_at_once_all_get_it(data_dir: Path) -> None:
    at_once = threading.Barrier(6)

    def open_all(_worker: int) -> None:
        for attempt in range(80):
            at_once.wait(30)
            connect(data_dir / f"{attempt}.db").close()

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(open_all, range(6))) == [None] * 6


@pytest.fixture
def connection(data_dir: Path) -> SqliteConnection:
    path = data_dir / "wtai.db"
    migrate(path)
    with closing(connect(path)) as opened:
        yield opened


def test_every_table_is_strict(connection: SqliteConnection) -> None:
    tables = connection.execute("SELECT name, strict FROM pragma_table_list WHERE type = 'table' AND name NOT LIKE 'sqlite%'")
    found = {row[0]: row[1] for row in tables}
    assert len(found) > 10
    assert set(found.values()) == {1}, found


def test_every_connection_is_durable_and_checks_references(connection: SqliteConnection) -> None:
    pragmas = ("journal_mode", "synchronous", "foreign_keys", "trusted_schema", "auto_vacuum")
    assert [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in pragmas] == ["wal", 2, 1, 0, 2]


def seed_rows(connection: SqliteConnection) -> None:
    connection.execute("INSERT INTO owners (id, public_id, name, created_at) VALUES (1, 'own_1', 'Casa', 1)")
    connection.execute("INSERT INTO users (id, owner_id, public_id, created_at) VALUES (1, 1, 'usr_1', 1)")
    connection.execute(
        """
        INSERT INTO conversations (id, owner_id, public_id, user_id, channel, address, user_address, state, opened_at, updated_at)
        VALUES (1, 1, 'cnv_1', 1, 'whatsapp', 'us', 'them', 'PENDING', 1, 1)
        """
    )
    connection.execute(
        """
        INSERT INTO messages (owner_id, public_id, conversation_id, direction, author, status, body, provider_sid, created_at,
            updated_at)
        VALUES (1, 'msg_1', 1, 'inbound', 'user', 'received', 'oi', 'SM1', 1, 1)
        """
    )
    connection.execute(
        """
        INSERT INTO jobs (id, owner_id, kind, key, payload, state, run_at, created_at)
        VALUES (1, 1, 'note', 'k', '{}', 'ready', 1, 1)
        """
    )


JOB = "INSERT INTO jobs (owner_id, kind, key, unique_key, payload, state, run_at, created_at{}) VALUES (1, 'note', {}, 1, 1{})"
VIOLATIONS = {
    "a second head of a key": JOB.format("", "'k', NULL, '{}', 'scheduled'", ""),
    "a running job without a lease": JOB.format("", "'l', NULL, '{}', 'running'", ""),
    "a ready job with a worker": JOB.format(", worker", "'l', NULL, '{}', 'ready'", ", 'w'"),
    "a waiting job without a key": JOB.format("", "NULL, NULL, '{}', 'waiting'", ""),
    "a state nobody knows": JOB.format("", "'l', NULL, '{}', 'done'", ""),
    "a payload that is no reference": JOB.format("", "'l', NULL, printf('%.*c', 70000, 'x'), 'ready'", ""),
    "a second open conversation": """INSERT INTO conversations (owner_id, public_id, user_id, channel, address, user_address,
        state, opened_at, updated_at) VALUES (1, 'cnv_2', 1, 'whatsapp', 'us', 'them', 'HANDOFF', 1, 1)""",
    "a closed conversation without an end": "UPDATE conversations SET state = 'EXPIRED'",
    "an open conversation with an end": "UPDATE conversations SET closed_at = 1",
    "a message kept twice": """INSERT INTO messages (owner_id, public_id, conversation_id, direction, author, status, body,
        provider_sid, created_at, updated_at) VALUES (1, 'msg_2', 1, 'inbound', 'user', 'received', 'oi', 'SM1', 1, 1)""",
    "an inbound message that is on its way out": "UPDATE messages SET status = 'sent'",
    "an inbound message without the provider's id": "UPDATE messages SET provider_sid = NULL",
    "a user of no owner": "INSERT INTO users (owner_id, public_id, created_at) VALUES (77, 'usr_2', 1)",
    "a text for a number": "UPDATE jobs SET run_at = 'soon'",
}


@pytest.mark.parametrize("violation", VIOLATIONS)
def test_the_database_itself_refuses(connection: SqliteConnection, violation: str) -> None:
    seed_rows(connection)
    connection.execute(JOB.format("", "'other', NULL, '{}', 'ready'", ""))  # what is right is taken
    with pytest.raises(driver.IntegrityError):
        connection.execute(VIOLATIONS[violation])


def test_without_its_index_a_message_could_be_kept_twice(connection: SqliteConnection) -> None:
    seed_rows(connection)
    connection.execute("DROP INDEX messages_by_provider_sid")
    connection.execute(VIOLATIONS["a message kept twice"])


def test_every_table_of_an_owner_names_it(connection: SqliteConnection) -> None:
    # The words of memories name owner and person in each token: tests/store/test_memory.py.
    tables = connection.execute(
        """SELECT name, sql FROM sqlite_schema
        WHERE type = 'table' AND name NOT LIKE 'sqlite%' AND name NOT LIKE 'm%_words%' AND name <> 'memory_vocabulary'"""
    ).fetchall()
    without = [name for name, sql in tables if not re.search(r"owner_id\s+INTEGER NOT NULL", sql)]
    assert without == ["owners", "plans"]
