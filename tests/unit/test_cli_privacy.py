"""Erasing, exporting, backing up and restoring, as the shell sees them."""

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from wtai.db.lock import InstanceLock
from wtai.db.sqlite import connect

ROOT = Path(__file__).resolve().parents[2]
WORD = "Anazanzibar"

Wtai = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def wtai(data_dir: Path) -> Wtai:
    """The real program, in a data directory that was set up."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("WTAI_")}

    def run(*arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "wtai", *arguments], cwd=data_dir, env={**clean, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip
        assert done.returncode == code, done.stderr
        return done

    run("init")
    return run


@pytest.fixture
def owner(wtai: Wtai) -> str:
    return str(json.loads(wtai("owner", "create", "--name", "Padaria", "--json").stdout)["id"])


@pytest.fixture
def ana(data_dir: Path, owner: str) -> str:
    """An end user of the owner."""
    with closing(connect(data_dir / "wtai.db")) as connection:
        connection.execute(
            """
            INSERT INTO users (owner_id, public_id, role, name, created_at)
            SELECT id, 'usr_ana', 'user', ?, 1 FROM owners WHERE public_id = ?
            """,
            (WORD, owner),
        )
    return "usr_ana"


def is_in_the_files(data_dir: Path) -> bool:
    return any(WORD.encode() in path.read_bytes() for path in data_dir.glob("wtai.db*"))


def test_a_person_is_exported_erased_and_gone(wtai: Wtai, data_dir: Path, owner: str, ana: str) -> None:
    wtai("user", "export", owner, ana, "--output", "ana.zip")
    with zipfile.ZipFile(data_dir / "ana.zip") as archive:
        assert WORD in archive.read("users.jsonl").decode()
    wtai("user", "export", owner, ana, "--output", "ana.zip", code=4)
    assert "--yes" in wtai("user", "erase", owner, ana, code=2).stderr
    assert is_in_the_files(data_dir)
    receipt = json.loads(wtai("user", "erase", owner, ana, "--yes").stdout)
    assert (receipt["kind"], receipt["removed"], receipt["asked_by"]) == ("user", {"users": 1}, '["operator", null]')
    assert not is_in_the_files(data_dir)
    wtai("user", "erase", owner, ana, "--yes", code=1)


def test_an_export_without_a_file_to_write_goes_to_standard_output(data_dir: Path, owner: str, ana: str) -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("WTAI_")}
    for subject in (["owner", "export", owner], ["user", "export", owner, ana]):
        with (data_dir / "out.zip").open("wb") as output:
            command = [sys.executable, "-m", "wtai", *subject, "--data-dir", str(data_dir)]
            subprocess.run(command, env={**clean, "PYTHONPATH": str(ROOT)}, stdout=output, timeout=30, check=True)
        with zipfile.ZipFile(data_dir / "out.zip") as archive:
            assert WORD in archive.read("users.jsonl").decode()


def test_an_owner_is_exported_erased_and_shown_as_such(wtai: Wtai, data_dir: Path, owner: str, ana: str) -> None:
    wtai("owner", "export", owner, "--output", "all.zip")
    wtai("owner", "erase", owner, code=2)
    assert json.loads(wtai("owner", "erase", owner, "--yes").stdout)["kind"] == "owner"
    assert json.loads(wtai("owner", "show", owner, "--json").stdout)["status"] == "erased"
    wtai("owner", "enable", owner, code=1)
    assert not is_in_the_files(data_dir)


def test_a_backup_is_made_shown_checked_and_restored_without_whom_was_erased(
    wtai: Wtai, data_dir: Path, owner: str, ana: str
) -> None:
    made = wtai("backup", "create")
    assert "wtai.key" in made.stderr
    file = made.stdout.strip()
    [shown] = json.loads(wtai("backup", "list", "--json").stdout)
    assert (shown["file"], shown["whole"], shown["with_media"]) == (file, True, True)
    wtai("backup", "verify")
    wtai("user", "erase", owner, ana, "--yes")
    wtai("owner", "create", "--name", "Oficina")
    restored = wtai("restore", file)
    assert "erased again: user of erasure era_" in restored.stdout
    assert [one["name"] for one in json.loads(wtai("owner", "list", "--json").stdout)] == ["Padaria"]
    assert not any(WORD.encode() in (data_dir / name).read_bytes() for name in ("wtai.db",))
    wtai("user", "export", owner, ana, "--output", "ana.zip", code=1)


def test_nothing_is_restored_while_the_program_runs(wtai: Wtai, data_dir: Path, owner: str) -> None:
    file = wtai("backup", "create", "--no-media").stdout.strip()
    with InstanceLock(data_dir / "wtai.db", "all"):
        assert "already serves" in wtai("restore", file, "--yes", code=4).stderr


def test_a_file_that_is_no_backup_is_named_so_and_changes_nothing(wtai: Wtai, data_dir: Path, owner: str) -> None:
    (data_dir / "backups").mkdir()
    (data_dir / "backups" / "wtai-20260101.zip").write_bytes(b"PK\x03\x04 half a back-up")
    assert "BROKEN" in wtai("backup", "list").stdout
    assert "no whole back-up" in wtai("backup", "verify", code=1).stderr
    wtai("restore", "backups/wtai-20260101.zip", "--yes", code=1)
    assert json.loads(wtai("owner", "list", "--json").stdout)[0]["id"] == owner
