"""The scripts' own environment: made on first use in ``.venv``, then the script runs again inside it.

Runs on whatever ``python3`` the machine has, before anything is installed: the standard library only, and nothing that
Python 3.8 could not read, so that an old one is told what it lacks.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "wtai-installed.json"
OLDEST = (3, 11)


def ensure(*extras: str) -> None:
    """Make sure that the process runs inside ``.venv`` with wtai and these extras installed; otherwise install and start over.

    Does not return in the outer interpreter. Ends the process with a message if Python is too old or the installation fails.
    """
    if sys.version_info < OLDEST:
        found = ".".join(map(str, sys.version_info[:2]))
        sys.exit(f"error: wtai needs Python 3.11 or newer, this is {found}; mend: run it with a newer python3")
    if not _is_ready(extras):
        with _alone():
            if not _is_ready(extras):
                _install(extras)
    if not _inside():
        sys.stdout.flush()
        sys.stderr.flush()
        os.execv(PYTHON, [str(PYTHON), *sys.argv])


def _is_ready(extras: tuple[str, ...]) -> bool:
    stamp = _stamp()
    return stamp is not None and stamp["project"] == _project() and set(extras) <= set(stamp["extras"]) and _works()


def _install(extras: tuple[str, ...]) -> None:
    stamp = _stamp()
    wanted = sorted({*extras, *(stamp["extras"] if stamp else [])})
    if not _inside() and (not _works() or (stamp and stamp["project"] == "incomplete")):
        shutil.rmtree(VENV, ignore_errors=True)
        _say("making .venv")
        _run([sys.executable, "-m", "venv", str(VENV)], "install the venv module (on Debian: apt-get install python3-venv)")
    _write_stamp("incomplete", wanted)  # a killed installation may have left half a package: start over then
    _say("installing wtai and what it needs (about a minute the first time)")
    target = f"{ROOT}[{','.join(wanted)}]" if wanted else str(ROOT)
    pip = [str(PYTHON), "-m", "pip", "install", "-qq", "--disable-pip-version-check", "--no-input", "--editable", target]
    _run(pip, "see above; is the package index reachable?")
    _write_stamp(_project(), wanted)


def _inside() -> bool:
    return Path(sys.prefix).resolve() == VENV.resolve()


def _works() -> bool:
    """Whether .venv's interpreter starts, is its own, and has pip: half-made and outdated ones do not."""
    if _inside():
        return True
    if not PYTHON.exists():
        return False
    code = "import pip, sys; sys.exit(sys.version_info < (3, 11) or sys.prefix == sys.base_prefix)"
    return subprocess.run([str(PYTHON), "-c", code], capture_output=True, check=False).returncode == 0


def _stamp() -> dict[str, Any] | None:
    try:
        stamp = json.loads(STAMP.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return stamp if isinstance(stamp, dict) and {"project", "extras"} <= stamp.keys() else None


def _write_stamp(project: str, extras: list[str]) -> None:
    fresh = STAMP.with_suffix(".new")
    fresh.write_text(json.dumps({"project": project, "extras": extras}), "utf-8")
    fresh.replace(STAMP)


def _project() -> str:
    """What the installation depends on: the project file, and where the project stands (an editable one points there)."""
    return hashlib.sha256((ROOT / "pyproject.toml").read_bytes() + str(ROOT).encode()).hexdigest()


@contextmanager
def _alone() -> Iterator[None]:
    """Hold a lock on the project's folder, which needs no lock file; a second starter waits here for the first."""
    descriptor = os.open(ROOT, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _run(command: list[str], mend: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False)
    if done.returncode:
        sys.exit(f"error: {' '.join(command[1:4])} failed (exit {done.returncode}); mend: {mend}")


def _say(text: str) -> None:
    print("wtai: " + text, file=sys.stderr, flush=True)
