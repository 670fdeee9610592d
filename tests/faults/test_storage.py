"""What the disk does to writes: locked, full, failing; and that they come back."""

import asyncio
import shutil
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from wtai.db import connection
from wtai.db.sqlite import SqliteDatabase, connect
from wtai.db.tx import OwnerTx, SystemTx
from wtai.errors import StorageUnavailable

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def path(data_dir: Path) -> Path:
    """A database with one table."""
    file = data_dir / "notes.db"
    with closing(connect(file)) as connection:
        connection.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, owner_id INTEGER NOT NULL, text TEXT NOT NULL) STRICT")
    return file


def note(tx: OwnerTx, text: str) -> None:
    tx.run("INSERT INTO notes (owner_id, text) VALUES (:owner, :text)", text=text)


def texts(tx: SystemTx) -> list[str]:
    return [row["text"] for row in tx.all("SELECT text FROM notes ORDER BY id")]


def other_process(code: str, *arguments: object) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


LOCKER = """
import sys
from pathlib import Path
from wtai.db.sqlite import connect
connection = connect(Path(sys.argv[1]))
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.readline()
connection.execute("COMMIT")
print("free", flush=True)
"""


async def test_a_database_locked_by_another_process_is_unavailable_and_comes_back(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "_BUSY_TIMEOUT_MS", 100)
    database = await SqliteDatabase.open(path)
    process = other_process(LOCKER, path)
    try:
        assert line(process) == "locked"
        results = await asyncio.gather(*(database.write(1, note, str(n)) for n in range(3)), return_exceptions=True)
        assert [type(result) for result in results] == [StorageUnavailable] * 3
        assert "locked" in str(results[0])
        with pytest.raises(StorageUnavailable):
            await database.write(1, note, "alone")
        assert await database.system_read(texts) == [], "reading goes on"
        process.communicate("go on\n")
        await database.write(1, note, "again")
        assert await database.system_read(texts) == ["again"]
    finally:
        process.kill()
        process.wait()
        await database.close()


COMES_BACK = """
async def comes_back(database):
    async with asyncio.timeout(5):
        while True:
            with suppress(StorageUnavailable):
                return await database.write(1, lambda tx: None)
            await asyncio.sleep(0.05)
"""
DISK = """
import asyncio, resource, sys
from contextlib import suppress
from pathlib import Path
from wtai.db.sqlite import SqliteDatabase
from wtai.errors import StorageUnavailable

def note(tx, text):
    tx.run("INSERT INTO notes (owner_id, text) VALUES (:owner, :text)", text=text)

async def fill(database, limit, prefix):
    kept = []
    for n in range(limit):
        text = f"{prefix}{n:04}" + "x" * 3000
        try:
            await database.write(1, note, text)
        except StorageUnavailable as exc:
            return kept, str(exc)
        kept.append(text)
    return kept, None

async def main(path, full, space):
    database = await SqliteDatabase.open(path)
    try:
        await check(database, full, space)
    finally:
        await database.close()

async def check(database, full, space):
    full()
    kept, why = await fill(database, 2000, "a")
    assert kept and why, (len(kept), why)
    group = await asyncio.gather(*(database.write(1, note, f"b{n}" + "y" * 9000) for n in range(5)), return_exceptions=True)
    assert all(isinstance(result, StorageUnavailable) for result in group), group
    await database.system_read(lambda tx: tx.all("SELECT count(*) FROM notes"))
    space()
    await comes_back(database)
    more, none = await fill(database, 10, "c")
    assert none is None, none
    found = await database.system_read(lambda tx: [row["text"] for row in tx.all("SELECT text FROM notes")])
    assert sorted(found) == sorted(kept + more), "what was acknowledged, and nothing else"
    check = await database.system_read(lambda tx: tx.all("PRAGMA integrity_check")[0][0])
    print(why, check)
"""
LIMITED = f"""{DISK}{COMES_BACK}
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
def full(): resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
def space(): resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
asyncio.run(main(Path(sys.argv[1]), full, space))
"""
CRAMMED = f"""{DISK}{COMES_BACK}
ballast = Path(sys.argv[1]).with_name("ballast")
def full(): ballast.write_bytes(bytes(400_000))
def space(): ballast.unlink()
asyncio.run(main(Path(sys.argv[1]), full, space))
"""


def test_a_file_that_cannot_grow_makes_writes_unavailable_until_it_can(path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, path], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "disk I/O error" in done.stdout
    assert done.stdout.endswith(" ok\n")


def test_a_full_disk_makes_writes_unavailable_until_there_is_space(path: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=900k", "tmpfs", disk], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    try:
        (disk / "notes.db").write_bytes(path.read_bytes())
        done = subprocess.run(
            [sys.executable, "-c", CRAMMED, disk / "notes.db"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
        )
    finally:
        subprocess.run(["umount", disk], check=True)
    assert done.returncode == 0, done.stderr
    assert "database or disk is full" in done.stdout
    assert done.stdout.endswith(" ok\n")


FAILING = """
import asyncio, sys
from contextlib import suppress
from pathlib import Path
from wtai.db.sqlite import SqliteDatabase
from wtai.errors import StorageUnavailable

def note(tx, text):
    tx.run("INSERT INTO notes (owner_id, text) VALUES (:owner, :text)", text=text)

async def main(path):
    database = await SqliteDatabase.open(path)
    try:
        kept, refused = [], []
        for n in range(30):
            try:
                await database.write(1, note, f"{n}")
            except StorageUnavailable as exc:
                refused.append(str(exc))
                await comes_back(database)
            else:
                kept.append(f"{n}")
        found = await database.system_read(lambda tx: [row["text"] for row in tx.all("SELECT text FROM notes ORDER BY id")])
        check = await database.system_read(lambda tx: tx.all("PRAGMA integrity_check")[0][0])
        assert found == kept, "what was acknowledged, and nothing else"
        assert refused and "disk I/O error" in refused[0], refused
    finally:
        await database.close()
    print(len(kept), len(refused), check)
"""


@pytest.mark.parametrize("call", ["fsync,fdatasync", "pwrite64"])
@pytest.mark.parametrize("nth", [10, 11, 12])
def test_an_error_of_the_disk_is_told_and_does_no_harm(path: Path, call: str, nth: int) -> None:
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    code = f"{FAILING}{COMES_BACK}\nasyncio.run(main(Path(sys.argv[1])))"
    command = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e", f"inject={call}:error=EIO:when={nth}"]
    done = subprocess.run(
        [*command, sys.executable, "-c", code, path], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    if "ptrace" in done.stderr:
        pytest.skip(f"processes cannot be traced here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("29 1 ok\n")
    assert "database.found_whole" in done.stdout, "nothing is written again before that"


GARBLE = """
import sys
with open(sys.argv[1], "r+b") as file:
    file.seek(3 * 4096)
    file.write(b"\\xff" * 4096)
"""


async def test_nothing_is_written_any_more_into_a_broken_file(path: Path) -> None:
    database = await SqliteDatabase.open(path)
    for n in range(20):
        await database.write(1, note, f"{n}" + "x" * 3000)
    await database.close()
    other_process(GARBLE, path).communicate()  # to open it here would take SQLite's locks away
    database = await SqliteDatabase.open(path)
    try:
        with pytest.raises(StorageUnavailable, match="malformed"):
            await database.system_read(texts)
        with pytest.raises(StorageUnavailable, match="to be checked"):
            await database.write(1, note, "into what nobody knows")
        async with asyncio.timeout(5):
            while True:
                with pytest.raises(StorageUnavailable) as refused:
                    await database.write(1, note, "never")
                if "restore" in str(refused.value):
                    break
                await asyncio.sleep(0.05)
        assert await database.system_read(lambda tx: tx.one("SELECT 1 AS one")) is not None, "reading goes on as far as it can"
    finally:
        await database.close()
