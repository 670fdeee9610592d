"""A power cut at any moment loses no acknowledged write: the writes and syncs of a process are recorded and replayed up to every
cut, with everything unsynced dropped.

Run as a program, this file is the process that writes.
"""

import asyncio
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from wtai.db import sqlite as module
from wtai.db import units
from wtai.db.migrate import migrate
from wtai.db.sqlite import SqliteConnection, SqliteDatabase, connect
from wtai.db.tx import OwnerTx
from wtai.jobs.store import enqueue

ROOT = Path(__file__).resolve().parents[2]
CALLS = "write,pwrite64,ftruncate,fsync,fdatasync,unlink"
SECTOR = 512


async def acknowledge_writes(path: Path, count: int, *, sabotage: bool) -> None:
    """Write jobs one by one and together, some of them relaxed, and tell of each durable one once it is written."""
    module._UPKEEP_SECONDS = 0.01  # type: ignore[misc]
    module._CHECKPOINT_BYTES = 40_000  # type: ignore[misc]
    if sabotage:
        careful = module.connect

        def carelessly(file: Path, *, read_only: bool = False) -> SqliteConnection:
            connection = careful(file, read_only=read_only)
            connection.execute("PRAGMA synchronous = NORMAL")
            return connection

        module.connect = carelessly
        units.run_pragma = lambda connection, sql: connection.execute(sql.replace("FULL", "NORMAL")).fetchall()
    database = await SqliteDatabase.open(path)

    async def one(tag: int) -> None:
        await database.write(1, put, tag)
        sys.stdout.write(f"acknowledged {tag}\n")
        sys.stdout.flush()

    tag = 0
    while tag < count:
        group = range(tag, min(count, tag + 1 + tag % 4))
        await database.system_write_relaxed(lambda tx: tx.run("UPDATE jobs SET priority = priority + 1"))
        await asyncio.gather(*(one(each) for each in group))
        tag = group.stop
        await asyncio.sleep(0.001)
    await database.close()


def put(tx: OwnerTx, tag: int) -> None:
    enqueue(tx, "note", {"tag": tag}, now=1)


@dataclass
class File:
    """A file's bytes as on the disk, and what was written since the last sync."""

    synced: bytearray = field(default_factory=bytearray)
    unsynced: list[tuple[int, bytes | None]] = field(default_factory=list)

    def sync(self, operations: int) -> None:
        """The first ``operations`` unsynced writes are on the disk."""
        for operation in self.unsynced[:operations]:
            apply(self.synced, operation)
        del self.unsynced[:operations]

    def after_the_cut(self, draw: random.Random | None) -> bytes:
        """What a power cut leaves: nothing unsynced, or, with ``draw``, any of it, the last one perhaps torn."""
        left = bytearray(self.synced)
        kept = [each for each in self.unsynced if draw.random() < 0.5] if draw else []
        for offset, data in kept:
            apply(left, (offset, data))
        if kept and draw and (data := kept[-1][1]) is not None and len(data) > SECTOR:
            offset = kept[-1][0]
            torn = draw.randrange(0, len(data), SECTOR)
            left[offset + torn : offset + len(data)] = bytes(len(data) - torn)
        return bytes(left)


def apply(content: bytearray, operation: tuple[int, bytes | None]) -> None:
    offset, data = operation
    if data is None:  # the file was cut to this size
        del content[offset:]
        content.extend(bytes(offset - len(content)))
        return
    content.extend(bytes(max(0, offset - len(content))))
    content[offset : offset + len(data)] = data


@dataclass
class Disk:
    """The files of a database as the calls in a trace left them."""

    files: dict[str, File]
    acknowledged: set[int] = field(default_factory=set)

    def crash(self, directory: Path, draw: random.Random | None) -> None:
        for name, file in self.files.items():
            content = file.after_the_cut(draw)
            (directory / name).unlink(missing_ok=True)
            if content or name.endswith(".db"):
                (directory / name).write_bytes(content)
        (directory / "power.db-shm").unlink(missing_ok=True)


_CALL = re.compile(r'^(?P<pid>\d+) +(?P<name>\w+)\((?:(?P<fd>\d+)<(?P<path>[^>]*)>(?:, )?|")(?P<rest>.*)$')
_RESUMED = re.compile(r"^(?P<pid>\d+) +<\.\.\. (?P<name>\w+) resumed>")
_BYTES = re.compile(r'^"((?:\\x[0-9a-f]{2})*)"')
_OFFSET = re.compile(r", (\d+), (\d+)")


def replay(trace: Path, disk: Disk) -> Iterator[Disk]:
    """The disk after each call. A write counts from its start, a sync from its end: a cut in between finds it not done."""
    syncing: dict[str, tuple[File, int]] = {}
    with trace.open(encoding="ascii") as lines:
        for text in lines:
            resumed = _RESUMED.match(text)
            if resumed:
                if resumed["name"] in ("fsync", "fdatasync"):
                    file, operations = syncing.pop(resumed["pid"], (File(), 0))
                    file.sync(operations)
                    yield disk
                continue
            call = _CALL.match(text)
            if call and _happen(call, disk, syncing, unfinished="<unfinished ...>" in text):
                yield disk


def _happen(call: re.Match[str], disk: Disk, syncing: dict[str, tuple[File, int]], *, unfinished: bool) -> bool:
    name, rest = call["name"], call["rest"]
    if name == "write" and call["fd"] == "1":
        disk.acknowledged |= {int(tag) for tag in re.findall(rb"acknowledged (\d+)", _data(rest))}
        return True
    if name == "unlink":
        gone = disk.files.get(_name(rest.split('"')[0]))
        if gone is not None:
            gone.synced.clear()
            gone.unsynced.clear()
        return gone is not None
    base = _name(call["path"])
    if not base.startswith("power.db") or base.endswith("-shm"):
        return False
    file = disk.files.setdefault(base, File())
    if name == "pwrite64":
        data = _data(rest)
        offset = _OFFSET.search(rest, len(data) * 4)
        assert offset, rest[-80:]
        file.unsynced.append((int(offset[2]), data))
    elif name == "ftruncate":
        file.unsynced.append((int(rest.split(")")[0].split()[0]), None))
    elif name in ("fsync", "fdatasync"):
        operations = len(file.unsynced)
        if unfinished:
            syncing[call["pid"]] = (file, operations)
            return False
        file.sync(operations)
    return True


def _name(path: str) -> str:
    return Path(bytes.fromhex(path.replace("\\x", "")).decode()).name


def _data(rest: str) -> bytes:
    found = _BYTES.match(rest)
    assert found, rest[:80]
    return bytes.fromhex(found[1].replace("\\x", ""))


@dataclass(frozen=True)
class Survey:
    """What the cuts left: how many were tried, in how many an acknowledged write was lost, how many broke the file, and how many
    writes the last one left, when the process had closed the database."""

    cuts: int
    acknowledged: int
    lost: int
    broken: int
    at_the_end: int


def survey(tmp_path: Path, count: int, *, sabotage: bool) -> Survey:
    directory = tmp_path / "disk"
    directory.mkdir()
    path = directory / "power.db"
    migrate(path)
    with closing(connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    disk = Disk({"power.db": File(bytearray(path.read_bytes()))})
    trace = tmp_path / "trace"
    command = ["strace", "-f", "-y", "-xx", "-s", "100000", "-qq", "-e", f"trace={CALLS}", "-e", "signal=none", "-o", trace]
    script = [sys.executable, "-m", "tests.faults.test_power_loss", path, count, "sabotage" if sabotage else "faithful"]
    subprocess.run([*map(str, command), *map(str, script)], cwd=ROOT, check=True, capture_output=True, timeout=120)
    return _try_every_cut(trace, disk, tmp_path / "after")


def _try_every_cut(trace: Path, disk: Disk, after: Path) -> Survey:
    after.mkdir()
    draw = random.Random(1)
    cuts = lost = broken = at_the_end = 0
    for state in replay(trace, disk):
        for chance in (None, draw):
            cuts += 1
            state.crash(after, chance)
            with closing(connect(after / "power.db")) as connection:
                kept = {row[0] for row in connection.execute("SELECT CAST(substr(payload, 8) AS INTEGER) FROM jobs")}
                broken += connection.execute("PRAGMA integrity_check").fetchone()[0] != "ok"
            lost += not state.acknowledged <= kept
            at_the_end = len(kept)
    return Survey(cuts, len(disk.acknowledged), lost, broken, at_the_end)


@pytest.fixture(autouse=True)
def _needs_strace() -> None:
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed: it records what the power cuts are replayed from")
    if subprocess.run(["strace", "-qq", "-o", "/dev/null", "true"], check=False, capture_output=True).returncode:
        pytest.skip("processes cannot be traced here")


@pytest.mark.slow
def test_no_power_cut_loses_an_acknowledged_write_or_breaks_the_file(tmp_path: Path) -> None:
    found = survey(tmp_path, 150, sabotage=False)
    assert (found.acknowledged, found.at_the_end) == (150, 150), found
    assert found.cuts > 500
    assert (found.lost, found.broken) == (0, 0), found


@pytest.mark.slow
def test_without_syncing_each_commit_power_cuts_lose_acknowledged_writes(tmp_path: Path) -> None:
    found = survey(tmp_path, 60, sabotage=True)
    assert (found.acknowledged, found.at_the_end) == (60, 60), found
    assert found.lost > found.cuts / 20, found
    assert found.broken == 0


if __name__ == "__main__":
    asyncio.run(acknowledge_writes(Path(sys.argv[1]), int(sys.argv[2]), sabotage=sys.argv[3] == "sabotage"))
