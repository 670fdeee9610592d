"""Every check of the project: formatting, lint, types, layers, tests. Further arguments go to pytest.

Usage: python3 scripts/test.py [--all] [pytest's arguments]. ``--all``, or CI=true in the environment, runs the slow tests too.
"""

import os
import subprocess
import sys
from pathlib import Path

import _venv

TOOLS = Path(sys.executable).parent
CHECKS = (
    ("ruff check", ["ruff", "check"]),
    ("ruff format", ["ruff", "format", "--check"]),
    ("mypy", ["mypy"]),
    ("lint-imports", ["lint-imports"]),
)


def main() -> int:
    """Run all checks, then the tests, whatever failed before; 0 if nothing did."""
    failed = [name for name, command in CHECKS if not _passes(name, command)]
    if failed:
        print(f"FAILED before the tests: {', '.join(failed)}", flush=True)
    arguments = sys.argv[1:]
    everything = "--all" in arguments or os.environ.get("CI") == "true"
    selection = [] if everything else ["-m", "not slow"]
    # Most tests wait for processes and timers: side by side they take half the time.
    spread = ["-n", "logical", "--dist", "worksteal"]
    tests = [sys.executable, "-m", "pytest", *spread, *selection, *(argument for argument in arguments if argument != "--all")]
    return subprocess.run(tests, cwd=_venv.ROOT, check=False).returncode or bool(failed)


def _passes(name: str, command: list[str]) -> bool:
    done = subprocess.run([TOOLS / command[0], *command[1:]], cwd=_venv.ROOT, check=False, capture_output=True, text=True)
    if done.returncode == 0:
        print(f"{name}: ok", flush=True)
        return True
    print(f"{name}: FAILED\n{done.stdout}{done.stderr}", flush=True)
    return False


if __name__ == "__main__":
    _venv.ensure("dev", "fast")
    sys.exit(main())
