"""The real program as a process of its own, which can be killed and started again on the same data and port."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Mapping
from contextlib import closing, suppress
from pathlib import Path

from wtai.clock import DAY, MINUTE, SystemClock
from wtai.db.sqlite import connect
from wtai.errors import WtaiError

_STARTING_SECONDS = 60.0
_RESTING_SECONDS = 60.0
_STOPPING_SECONDS = 60.0
_PORTS = range(18_000, 20_000)
"""Below those that Linux lends to connections: what the program listened on stays free while it is down."""

_SCRIPTS = Path(__file__).resolve().parents[1]
_UNDONE = "SELECT 1 FROM jobs WHERE state <> 'dead' AND run_at <= :soon LIMIT 1"
_NEVER_DONE = "SELECT id FROM jobs WHERE state = 'dead' OR run_at <= :soon"


def free_port() -> int:
    """A port nobody listens on, and that nobody is given while the program is down."""
    start = os.getpid()  # so that two simulations seldom try the same one
    return next(port for number in range(len(_PORTS)) if _is_free(port := _PORTS[(start + number) % len(_PORTS)]))


def _is_free(port: int) -> bool:
    with socket.socket() as probe, suppress(OSError):
        probe.bind(("127.0.0.1", port))
        return True
    return False


class RunningProgram:
    """``wtai run`` on a data directory; ``settings`` by ``section.key``. Its log is ``wtai.log`` there.

    ``days_ago`` is how far its clock is set back from the next start on.
    """

    def __init__(self, data_dir: Path, port: int, settings: Mapping[str, object]) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.database = data_dir / "wtai.db"
        self.days_ago = 0
        self._data_dir = data_dir
        self._log = data_dir / "wtai.log"
        variables = {f"WTAI_{key.replace('.', '__')}".upper(): str(value) for key, value in settings.items()}
        outside = {name: value for name, value in os.environ.items() if not name.startswith("WTAI_")}
        paths = [str(_SCRIPTS.parent), str(_SCRIPTS), *filter(None, [outside.get("PYTHONPATH")])]
        outside["PYTHONPATH"] = os.pathsep.join(paths)
        self._environment = {**outside, **variables, "WTAI_SERVER__PORT": str(port), "WTAI_LOGGING__FORMAT": "json"}
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it and return once it takes messages. WtaiError, with the end of its log, if it ends instead."""
        command = ["wtai", "run", "--data-dir"] if self.days_ago == 0 else ["simulation.past", str(self.days_ago)]
        with self._log.open("ab") as log:
            began = log.tell()
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", *command, str(self._data_dir),
                env=self._environment, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        async with asyncio.timeout(_STARTING_SECONDS):
            while "Ready" not in (said := self._log.read_bytes()[began:].decode("utf-8", "replace")):
                if self._process.returncode is not None:
                    raise WtaiError(f"the program ended with exit code {self._process.returncode}:\n{said}")
                await asyncio.sleep(0.02)

    async def kill(self) -> None:
        """SIGKILL, if it runs."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def stop(self) -> int:
        """SIGTERM; returns the exit code."""
        if self._process is None:
            return 0
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(_STOPPING_SECONDS):
            return await self._process.wait()

    async def at_rest(self) -> None:
        """Return once no job is left but dead ones and those for later, such as reminders. Raises TimeoutError."""
        async with asyncio.timeout(_RESTING_SECONDS):
            while self.rows(_UNDONE, soon=self._soon()):  # noqa: ASYNC110 - of another process
                await asyncio.sleep(0.05)

    def never_done(self) -> list[dict[str, object]]:
        """The jobs that died, and those that should have been done."""
        return self.rows(_NEVER_DONE, soon=self._soon())

    def rows(self, sql: str, **parameters: object) -> list[dict[str, object]]:
        """Rows of its database, also while it runs."""
        with closing(connect(self.database, read_only=True)) as connection:
            return [dict(row) for row in connection.execute(sql, parameters).fetchall()]

    def log_tail(self, lines: int = 20) -> str:
        """The end of its log."""
        return "\n".join(self._log.read_text("utf-8", "replace").splitlines()[-lines:])

    def _soon(self) -> int:
        """A minute from now, by its clock: what fails is tried again before."""
        return SystemClock().now() - self.days_ago * DAY + MINUTE
