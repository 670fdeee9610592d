"""The processes that are measured: the real program with an owner of its own, and what it is compared with."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.webhooks import ACCOUNT, NUMBER, PUBLIC_URL, TOKEN

SCRIPTS = Path(__file__).resolve().parents[1]
ROOT = SCRIPTS.parent
_STARTING_SECONDS = 20.0
_MEMORY_FILE_SYSTEMS = frozenset({"tmpfs", "ramfs"})


@contextmanager
def disk_directory() -> Iterator[Path]:
    """A directory that is gone afterwards, on a real disk: in memory a commit would cost nothing."""
    usual = Path(tempfile.gettempdir())
    place = ROOT if _file_system(usual) in _MEMORY_FILE_SYSTEMS else usual
    with tempfile.TemporaryDirectory(prefix="wtai-bench-", dir=place) as name:
        yield Path(name)


def _file_system(path: Path) -> str:
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    holding = [(len(mount[1]), mount[2]) for mount in mounts if path.resolve().is_relative_to(mount[1])]
    return max(holding)[1]


@contextmanager
def pinned(core: int | None) -> Iterator[None]:
    """Processes started inside run on this core only, and so does the caller meanwhile. None: wherever there is room."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, before if core is None else {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def two_cores() -> tuple[int, int]:
    """One for what is measured and one for what measures it. The same one, where there is no other."""
    cores = sorted(os.sched_getaffinity(0))
    return cores[0], cores[-1]


def free_port() -> int:
    """A port nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wtai(data: Path, *arguments: str, settings: Mapping[str, str] | None = None, typed: str = "") -> str:
    """Run one command of the program to its end; returns its stdout. CalledProcessError if it failed."""
    command = [sys.executable, "-m", "wtai", "--data-dir", str(data), *arguments]
    done = subprocess.run(command, env=_environment(settings or {}), input=typed, text=True, capture_output=True, check=False)
    if done.returncode:
        raise RuntimeError(f"wtai {' '.join(arguments)} failed (exit {done.returncode}): {done.stderr}")
    return done.stdout


def install(data: Path) -> None:
    """A data directory with one owner, connected to the account whose webhooks the benchmark signs."""
    wtai(data, "init")
    wtai(data, "db", "migrate")
    owner = wtai(data, "owner", "create", "--name", "Benchmark").strip()
    connect = ("--account-sid", ACCOUNT, "--auth-token-file", "-", "--number", NUMBER)
    wtai(data, "twilio", "connect", owner, *connect, typed=TOKEN)


class Server:
    """A process that answers HTTP at ``url``."""

    def __init__(self, process: subprocess.Popen[bytes], url: str) -> None:
        self.url = url
        self._process = process

    def cpu_seconds(self) -> float:
        """Processor time of all its threads until now, user and system, by Linux's clock of another process.

        Its number is what clock_getcpuclockid(3) returns.
        """
        return time.clock_gettime((~self._process.pid << 3) | 2)

    def resident_mib(self) -> float:
        """Memory it holds now."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024

    def stop(self) -> None:
        """End it as an operator would."""
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(30)

    def wait_until_ready(self, path: str = "/health") -> None:
        """Return at the first 200. RuntimeError if it ends before, or takes too long."""
        last = time.monotonic() + _STARTING_SECONDS
        while time.monotonic() < last and self._process.poll() is None:
            try:
                urllib.request.urlopen(self.url + path, timeout=5).close()
            except urllib.error.HTTPError:
                return  # it answers, if not this path
            except OSError:
                time.sleep(0.002)
            else:
                return
        raise RuntimeError(f"{' '.join(map(str, self._process.args))} did not start")  # type: ignore[arg-type]


@contextmanager
def server(
    command: Sequence[str], port: int, *, core: int | None = None, settings: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """``command`` at work, answering on ``port``; what it says is thrown away."""
    with pinned(core):
        process = subprocess.Popen(
            [sys.executable, *command], env=_environment(settings or {}), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
    running = Server(process, f"http://127.0.0.1:{port}")
    try:
        running.wait_until_ready()
        yield running
    finally:
        running.stop()


@contextmanager
def program(
    data: Path,
    *,
    role: str,
    core: int | None = None,
    port: int | None = None,
    settings: Mapping[str, str] | None = None,
    start: Sequence[str] = ("-m", "wtai"),
) -> Iterator[Server]:
    """``wtai run`` on an installed data directory; ``start`` are Python's own arguments."""
    port = port or free_port()
    command = [*start, "--data-dir", str(data), "run", "--role", role, "--port", str(port)]
    with server(command, port, core=core, settings={"server.public_url": PUBLIC_URL, **(settings or {})}) as running:
        yield running


def _environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Ours without its WTAI_* variables, plus ``settings`` (``section.key``), able to import wtai and this package."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("WTAI_")}
    given = {f"WTAI_{key.replace('.', '__').upper()}": value for key, value in settings.items()}
    return {**own, **given, "PYTHONPATH": f"{ROOT}{os.pathsep}{SCRIPTS}"}
