"""A back-up is whole or not there, whenever the program dies; and nobody comes back with one who was erased."""

import asyncio
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from contextlib import closing
from pathlib import Path

import pytest

from tests.fakes import ManualClock
from tests.program import open_world, person
from tests.store.privacy import KEY, OURS, Place, Somebody, open_place
from wtai.channels.media_files import MediaFiles
from wtai.clock import HOUR
from wtai.db.backup import Backup, BackupBroken, found, verify
from wtai.db.lock import InstanceLock
from wtai.db.sqlite import connect
from wtai.db.tx import OwnerTx
from wtai.errors import AlreadyRunning, EnvironmentProblem, SchemaError
from wtai.identity.audit_store import OPERATOR
from wtai.jobs.queue import Job
from wtai.privacy.backups import Backups
from wtai.privacy.restore import Places, Restored, restore
from wtai.privacy.tombstones import SIDE_FILE, AddressDigests, read_side_file
from wtai.secrets import Sealer, create_key_file

ROOT = Path(__file__).resolve().parents[2]
ANA, BIA = "Anazanzibar", "Biazanzibar"


def backups(place: Place, *, keep: int = 7, every_hours: int = 24) -> Backups:
    return Backups(place.database, place.clock, directory=place.backups, media=place.media, every_hours=every_hours, keep=keep)


async def house(place: Place) -> tuple[Somebody, Somebody]:
    owner = await place.owner("padaria")
    return await place.person(owner, ANA), await place.person(owner, BIA)


async def brought_back(folder: Path, file: Path) -> Restored:
    places = Places(folder / "wtai.db", folder / "media", folder / "backups")
    return await restore(file, places, AddressDigests(Sealer(KEY)), ManualClock())


def words_in(folder: Path, word: str) -> list[str]:
    """Files of the restored program, back-ups and what was put aside left out, in which a word stands."""
    wanted = word.lower().encode()
    paths = [*folder.glob("wtai.db"), *folder.glob("wtai.db-*"), *(folder / "media").rglob("*")]
    return [str(path) for path in paths if path.is_file() and wanted in path.read_bytes().lower()]


def counted(folder: Path) -> dict[str, int]:
    """How many rows each table has."""
    with closing(connect(folder / "wtai.db", read_only=True)) as connection:
        names = [row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        left_out = ("sqlite_", "memory_words", "memory_vocabulary", "message_words")
        return {
            name: connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0]
            for name in names
            if not name.startswith(left_out)
        }


async def test_a_restore_drill_brings_back_every_row_and_file(data_dir: Path) -> None:
    async with open_place(data_dir) as place:
        await house(place)
        made = await backups(place).create(with_media=True)
    before = counted(data_dir)
    kept = {path.relative_to(data_dir).as_posix(): path.read_text() for path in (data_dir / "media").rglob("*") if path.is_file()}
    assert len(kept) == 3
    for name in ("wtai.db", "wtai.db-wal", "wtai.db-shm"):
        (data_dir / name).unlink(missing_ok=True)
    shutil.rmtree(data_dir / "media")
    done = await brought_back(data_dir, made.path)
    assert counted(data_dir) == before
    assert {name: (data_dir / name).read_text() for name in kept} == kept
    assert (done.erased_again, done.aside, done.unread) == ((), (), None)
    assert made.path.stat().st_mode & 0o777 == 0o600


async def test_who_was_erased_after_the_backup_is_absent_after_the_restore(data_dir: Path) -> None:
    async with open_place(data_dir) as place:
        ana, _ = await house(place)
        made = await backups(place).create(with_media=True)
        receipt = await place.eraser().erase_user(ana.owner_id, ana.public_id, OPERATOR)
    done = await brought_back(data_dir, made.path)
    assert [one.id for one in done.erased_again] == [receipt.id]
    assert words_in(data_dir, ANA) == []
    assert words_in(data_dir, BIA) != []
    with closing(connect(data_dir / "wtai.db", read_only=True)) as connection:
        assert connection.execute("SELECT public_id FROM erasures").fetchone()[0] == receipt.id
        [kept] = connection.execute("SELECT our_address FROM kept_opt_outs WHERE our_address = ?", (OURS,)).fetchall()
        assert kept["our_address"] == OURS


async def test_that_holds_where_the_database_with_the_erasure_is_lost(data_dir: Path) -> None:
    async with open_place(data_dir) as place:
        ana, _ = await house(place)
        made = await backups(place).create(with_media=True)
        await place.eraser().erase_user(ana.owner_id, ana.public_id, OPERATOR)
    for name in ("wtai.db", "wtai.db-wal", "wtai.db-shm"):
        (data_dir / name).unlink(missing_ok=True)
    (data_dir / "wtai.db").write_bytes(b"no database at all" * 100)
    done = await brought_back(data_dir, made.path)
    assert done.unread is not None
    assert len(done.erased_again) == 1
    assert words_in(data_dir, ANA) == []


async def test_an_owner_erased_after_the_backup_is_erased_again(data_dir: Path) -> None:
    async with open_place(data_dir) as place:
        ana, _ = await house(place)
        made = await backups(place).create(with_media=True)
        await place.eraser().erase_owner(ana.owner_id, OPERATOR)
    done = await brought_back(data_dir, made.path)
    assert [one.kind for one in done.erased_again] == ["owner"]
    assert words_in(data_dir, ANA) == words_in(data_dir, BIA) == words_in(data_dir, "padaria") == []


async def test_who_came_back_after_their_erasure_stays(data_dir: Path) -> None:
    async with open_place(data_dir) as place:
        ana, _ = await house(place)
        await place.eraser().erase_user(ana.owner_id, ana.public_id, OPERATOR)
        place.clock.advance(HOUR)
        again = await place.person((ana.owner_id, ana.owner), ANA)
        made = await backups(place).create(with_media=True)
    done = await brought_back(data_dir, made.path)
    assert done.erased_again == ()
    with closing(connect(data_dir / "wtai.db", read_only=True)) as connection:
        assert connection.execute("SELECT count(*) FROM users WHERE public_id = ?", (again.public_id,)).fetchone()[0] == 1


async def test_what_was_about_to_be_sent_is_looked_for_before_it_is_sent_again(data_dir: Path) -> None:
    async with open_place(data_dir) as place:
        ana, _ = await house(place)
        await place.database.write(
            ana.owner_id,
            lambda tx: tx.run(
                """
                INSERT INTO messages (owner_id, public_id, conversation_id, direction, author, status, body, created_at,
                    updated_at)
                SELECT owner_id, 'msg_queued', id, 'outbound', 'agent', 'queued', 'hi', 7, 7 FROM conversations LIMIT 1
                """
            ),
        )
        made = await backups(place).create(with_media=True)
    done = await brought_back(data_dir, made.path)
    assert done.to_find_out == 1
    with closing(connect(data_dir / "wtai.db", read_only=True)) as connection:
        row = connection.execute("SELECT status, sending_at FROM messages WHERE public_id = 'msg_queued'").fetchone()
    assert tuple(row) == ("unknown", 7)


async def test_what_was_written_since_the_backup_may_have_been_answered_and_is_not_fetched(data_dir: Path) -> None:
    async with open_place(data_dir) as place:
        await house(place)
        await place.database.system_write(lambda tx: tx.run("UPDATE twilio_numbers SET heard_until = 7"))
        made = await backups(place).create(with_media=True)
    await brought_back(data_dir, made.path)
    with closing(connect(data_dir / "wtai.db", read_only=True)) as connection:
        (until,) = connection.execute("SELECT min(heard_until) FROM twilio_numbers").fetchone()
    assert until > 7


async def test_what_was_there_is_put_aside_and_a_running_program_is_left_alone(data_dir: Path) -> None:
    async with open_place(data_dir) as place:
        ana, _ = await house(place)
        made = await backups(place).create(with_media=True)
        await place.person((ana.owner_id, ana.owner), "Caiozanzibar")
    with InstanceLock(data_dir / "wtai.db", "worker"), pytest.raises(AlreadyRunning):
        await brought_back(data_dir, made.path)
    assert words_in(data_dir, "Caiozanzibar") != []
    done = await brought_back(data_dir, made.path)
    assert words_in(data_dir, "Caiozanzibar") == []
    database, media = sorted(done.aside, key=lambda path: path.is_dir())
    assert b"Caiozanzibar" in database.read_bytes()
    assert any(path.is_file() for path in media.rglob("*"))
    assert not (data_dir / ".restoring").exists()


@pytest.mark.parametrize("damage", ["cut", "flipped", "member", "extra", "manifest", "newer"])
async def test_a_damaged_backup_is_refused_and_changes_nothing(data_dir: Path, damage: str) -> None:
    async with open_place(data_dir) as place:
        await house(place)
        made = await backups(place).create(with_media=True)
    data = bytearray(made.path.read_bytes())
    with zipfile.ZipFile(made.path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    match damage:
        case "cut":
            data = data[: len(data) // 2]
        case "flipped":
            data[len(data) // 3] ^= 0xFF
        case "member":
            members.pop(next(name for name in members if name.startswith("media/")))
        case "extra":
            members["../outside"] = b"x"
        case "manifest":
            members.pop("manifest.json")
        case "newer":
            members["manifest.json"] = members["manifest.json"].replace(b'"schema_version": ', b'"schema_version": 9')
    if damage in ("cut", "flipped"):
        made.path.write_bytes(data)
    else:
        with zipfile.ZipFile(made.path, "w") as archive:
            for name, content in members.items():
                archive.writestr(name, content)
    before = (data_dir / "wtai.db").read_bytes()
    with pytest.raises(SchemaError if damage == "newer" else BackupBroken):
        await brought_back(data_dir, made.path)
    assert (data_dir / "wtai.db").read_bytes() == before
    assert not (data_dir / "outside").exists()


async def test_the_newest_are_kept_and_one_is_made_when_it_is_due(data_dir: Path) -> None:
    job = Job(1, 0, "backup", None, "{}", 1, 0, 0)
    async with open_place(data_dir) as place:
        await house(place)
        made: list[Backup] = []
        for hours in (0, 23, 24, 25, 48, 72, 96):
            place.clock.advance(hours * HOUR - (place.clock.now() - ManualClock().now()))
            await backups(place, keep=3).handle(job)
            made = found(place.backups)
        assert [round((one.manifest.created_at - ManualClock().now()) / HOUR) for one in made if one.manifest] == [48, 72, 96]
        place.clock.advance(1000 * HOUR)
        await backups(place, every_hours=0).handle(job)
        assert found(place.backups) == made
        assert read_side_file(place.backups) == []


async def test_two_backups_at_once_are_refused_and_what_a_killed_one_left_goes(data_dir: Path) -> None:
    async with open_place(data_dir) as place:
        await house(place)
        left = place.backups / ".partial-killed"
        left.mkdir(parents=True)
        (left / "wtai.db").write_bytes(b"half")
        both = await asyncio.gather(
            backups(place).create(with_media=True), backups(place).create(with_media=True), return_exceptions=True
        )
        assert sorted(type(one).__name__ for one in both) == ["Backup", "EnvironmentProblem"]
        assert isinstance(next(one for one in both if not isinstance(one, Backup)), EnvironmentProblem)
        assert not left.exists()
        assert not list(place.backups.glob(".partial-*"))


async def test_a_backup_without_media_says_so_and_leaves_the_files_alone(data_dir: Path) -> None:
    async with open_place(data_dir) as place:
        await house(place)
        made = await backups(place).create(with_media=False)
        assert made.manifest is not None
        assert (made.manifest.with_media, list(made.manifest.members)) == (False, ["wtai.db"])
    await brought_back(data_dir, made.path)
    assert len([path for path in (data_dir / "media").rglob("*") if path.is_file()]) == 3


async def test_what_is_on_its_way_in_is_not_backed_up(data_dir: Path) -> None:
    async with open_place(data_dir) as place:
        await house(place)
        MediaFiles(place.media).prepare()
        (place.media / "incoming" / "half").write_text("half")
        made = await backups(place).create(with_media=True)
        assert made.manifest is not None
        assert not any("incoming" in name for name in made.manifest.members)


async def test_while_others_write_a_backup_is_of_one_moment(data_dir: Path) -> None:
    async with open_place(data_dir) as place:
        owner = await place.owner("padaria")
        stop = asyncio.Event()

        def twice(tx: OwnerTx, number: int) -> None:
            for side in "ab":
                sql = "INSERT INTO usage_months (owner_id, month, booked) VALUES (:owner, :month, 1)"
                tx.run(sql, month=f"{side}{number}")

        async def write() -> int:
            """Two rows in one transaction, again and again: a back-up has both or neither."""
            count = 0
            while not stop.is_set():
                await place.database.write(owner[0], twice, count)
                count += 1
            return count

        writing = asyncio.create_task(write())
        made = [await backups(place, keep=99).create(with_media=False) for _ in range(3)]
        stop.set()
        assert await writing > 20
        for one in made:
            with zipfile.ZipFile(one.path) as archive:
                archive.extract("wtai.db", data_dir / one.path.stem)
            with closing(connect(data_dir / one.path.stem / "wtai.db")) as connection:
                sides = connection.execute("SELECT substr(month, 1, 1) AS side, count(*) FROM usage_months GROUP BY 1").fetchall()
            numbers = {row[0]: row[1] for row in sides if row[0] in "ab"}
            assert numbers.get("a") == numbers.get("b")


def _wtai(data_dir: Path, *arguments: str) -> "subprocess.Popen[bytes]":
    clean = {name: value for name, value in os.environ.items() if not name.startswith("WTAI_")}
    return subprocess.Popen(
        [sys.executable, "-m", "wtai", *arguments],
        cwd=data_dir, env={**clean, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


@pytest.fixture
async def filled(data_dir: Path) -> Path:
    """A data directory whose back-up takes a moment."""
    create_key_file(data_dir / "wtai.key")
    async with open_place(data_dir) as place:
        await house(place)
        noise = random.Random(3)
        (place.media / "big").mkdir()
        for number in range(20):
            (place.media / "big" / str(number)).write_bytes(noise.randbytes(1 << 20))
    return data_dir


@pytest.mark.slow
async def test_killed_at_any_moment_no_broken_backup_is_listed_as_good(filled: Path) -> None:
    began = time.monotonic()
    with _wtai(filled, "backup", "create") as whole:
        await asyncio.to_thread(whole.communicate)
    took = time.monotonic() - began
    assert len(found(filled / "backups")) == 1
    chance, killed = random.Random(5), 0
    for _ in range(12):
        with _wtai(filled, "backup", "create") as process:
            await asyncio.sleep(took * (0.3 + 0.7 * chance.random()))
            process.send_signal(signal.SIGKILL)
            await asyncio.to_thread(process.communicate)
            killed += process.returncode == -signal.SIGKILL
            if process.returncode == 0:
                took *= 0.8  # the first one was slower: it found no file in memory
        for one in found(filled / "backups"):
            assert one.manifest is not None
            verify(one.path, filled)
    assert killed >= 4
    with _wtai(filled, "backup", "create") as again:
        await asyncio.to_thread(again.communicate)
    assert again.returncode == 0
    assert not list((filled / "backups").glob(".partial-*"))


@pytest.mark.slow
async def test_killed_at_any_moment_a_restore_leaves_a_whole_database_and_can_be_repeated(filled: Path) -> None:
    with _wtai(filled, "backup", "create") as made:
        await asyncio.to_thread(made.communicate)
    [backup] = found(filled / "backups")
    restoring = ("restore", str(backup.path), "--yes")
    began = time.monotonic()
    with _wtai(filled, *restoring) as whole:
        await asyncio.to_thread(whole.communicate)
    took, chance, killed = time.monotonic() - began, random.Random(11), 0
    before = counted(filled)
    for _ in range(8):
        with _wtai(filled, *restoring) as process:
            await asyncio.sleep(took * (0.3 + 0.7 * chance.random()))
            process.send_signal(signal.SIGKILL)
            await asyncio.to_thread(process.communicate)
            killed += process.returncode == -signal.SIGKILL
            if process.returncode == 0:
                took *= 0.8  # the first one was slower: it found no file in memory
        assert counted(filled) == before
        with closing(connect(filled / "wtai.db")) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    assert killed >= 3
    with _wtai(filled, *restoring) as again:
        await asyncio.to_thread(again.communicate)
    assert again.returncode == 0
    assert len([path for path in (filled / "media").rglob("*") if path.is_file()]) == 23


@pytest.mark.parametrize(("name", "listed"), [("backup.before_commit", 0), ("backup.after_commit", 1)])
async def test_killed_beside_its_commit_the_program_makes_the_backup_at_its_next_start(
    data_dir: Path, free_port: int, name: str, listed: int
) -> None:
    backup = {"backup": {"directory": str(data_dir / "backups"), "every_hours": 1}}
    async with open_world(data_dir, **backup) as world:
        enqueued = """
            INSERT INTO jobs (owner_id, kind, payload, state, run_at, created_at) VALUES (0, 'backup', '{}', 'ready', 0, 0)
            """
        with closing(connect(data_dir / "wtai.db")) as connection:
            connection.execute(enqueued)
        process = world.process(free_port, failpoints=f"{name}=1:kill")
        process.start()
        await world.until(lambda: not process.alive)
        assert len(found(data_dir / "backups")) == listed
        async with world.process(free_port):
            await world.say(person(1), "oi")
            await world.answers_to(person(1), 1)
            await world.until(lambda: len(found(data_dir / "backups")) == 1)
        [made] = found(data_dir / "backups")
        assert made.manifest is not None
        assert verify(made.path, data_dir).with_media
        assert (data_dir / "backups" / SIDE_FILE).exists()
