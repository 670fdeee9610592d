"""One process serves a database; its end frees it, however it ends."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from wtai.db.lock import InstanceLock
from wtai.errors import AlreadyRunning, EnvironmentProblem

ROOT = Path(__file__).resolve().parents[2]
HOLD = """
import os, sys
from pathlib import Path
from wtai.db.lock import InstanceLock
from wtai.errors import AlreadyRunning
try:
    with InstanceLock(Path(sys.argv[1]), sys.argv[2]):
        print("serving", os.getpid(), flush=True)
        sys.stdin.readline()
except AlreadyRunning as exc:
    print(exc, flush=True)
"""


@contextmanager
def process(database: Path, role: str) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """Another process that would serve ``database``, and what it says."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, database, role], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as started:
        assert started.stdout is not None
        try:
            yield started.stdout.readline().strip(), started
        finally:
            started.kill()


@pytest.mark.parametrize(
    ("first", "second", "both"),
    [
        ("all", "all", False),
        ("web", "web", False),
        ("worker", "worker", False),
        ("web", "worker", True),
        ("all", "web", False),
        ("all", "worker", False),
        ("web", "all", False),
        ("worker", "all", False),
    ],
)
def test_only_the_web_and_the_worker_serve_beside_each_other(data_dir: Path, first: str, second: str, both: bool) -> None:
    database = data_dir / "wtai.db"
    with process(database, first) as (said, holder), process(database, second) as (answer, _):
        assert said == f"serving {holder.pid}"
        if both:
            assert answer.startswith("serving")
        else:
            assert f"process {holder.pid}" in answer
            assert "wtai.db" in answer


def test_a_refused_process_keeps_nothing_of_what_it_could_have_had(data_dir: Path) -> None:
    database = data_dir / "wtai.db"
    with process(database, "worker"):
        with pytest.raises(AlreadyRunning):
            InstanceLock(database, "all").__enter__()
        with process(database, "web") as (said, _):
            assert said.startswith("serving")


def test_a_killed_process_frees_the_database_at_once(data_dir: Path) -> None:
    database = data_dir / "wtai.db"
    with process(database, "all") as (said, holder):
        assert said.startswith("serving")
        holder.kill()
        holder.wait()
        with InstanceLock(database, "all"):
            pass


def test_databases_beside_each_other_are_served_by_different_processes(data_dir: Path) -> None:
    with process(data_dir / "a.db", "all") as (first, _), process(data_dir / "b.db", "all") as (second, _):
        assert first.startswith("serving")
        assert second.startswith("serving")


def test_a_folder_that_cannot_hold_the_lock_is_named(data_dir: Path) -> None:
    with (
        pytest.raises(EnvironmentProblem, match=r"nowhere.*data directory"),
        InstanceLock(data_dir / "nowhere" / "wtai.db", "all"),
    ):
        pass
