"""Memory and start-up time, against Python alone and a bare aiohttp server."""

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.program import Server, disk_directory, free_port, install, program, server, wtai
from benchmarks.report import AT_MOST, Figure, Result, median

_BARE_SERVER = "from aiohttp import web; web.run_app(web.Application(), host='127.0.0.1', port={port}, print=None)"
_SETTLING_SECONDS = 0.5
_AS_INSTALLED = "import sys, runpy; sys.modules.update(rich=None, greenlet=None); runpy.run_module('wtai', run_name='__main__')"
"""What only the tools of development bring, structlog would take along: an installed program does not have it."""


@dataclass(frozen=True, slots=True)
class Size:
    """How often each thing is measured."""

    rounds: int


@dataclass(frozen=True, slots=True)
class _Start:
    """What a server took to answer its first request, and what it holds when idle."""

    seconds: float
    resident_mib: float


FULL = Size(rounds=7)
TINY = Size(rounds=1)


def run(size: Size) -> Result:
    """Start everything several times, in turn."""
    ours, bare, helps, nothings = [], [], [], []
    with disk_directory() as directory:
        data = directory / "data"
        install(data)
        for _ in range(size.rounds):
            ours.append(_program_start(data))
            bare.append(_bare_start())
            helps.append(_seconds(lambda: wtai(data, "--help")))
            nothings.append(_seconds(lambda: subprocess.run([sys.executable, "-c", "pass"], check=True)))
    return Result(
        [
            _figure("idle resident memory", "MiB", [one.resident_mib for one in ours], [one.resident_mib for one in bare], 80),
            _figure("start to first answer", "s", [one.seconds for one in ours], [one.seconds for one in bare], 0.7),
            _figure("wtai --help", "s", helps, nothings, 0.2),
        ],
        notes=[
            f"medians of {size.rounds}; the program with --role all on an existing database, before its first model call",
            "without rich and greenlet, which the dependencies of development bring and an installation does not have",
            "ceilings: an aiohttp server without routes; for --help: python -c pass",
        ],
    )


def _figure(name: str, unit: str, ours: Sequence[float], bare: Sequence[float], target: float) -> Figure:
    return Figure(name, median(ours), unit, median(bare), bound=AT_MOST, target=target)


def _program_start(data: Path) -> _Start:
    started = time.perf_counter()
    with program(data, role="all", start=("-c", _AS_INSTALLED)) as running:
        return _at_rest(running, started)


def _bare_start() -> _Start:
    port = free_port()
    started = time.perf_counter()
    with server(["-c", _BARE_SERVER.format(port=port)], port) as running:
        return _at_rest(running, started)


def _at_rest(running: Server, started: float) -> _Start:
    seconds = time.perf_counter() - started
    time.sleep(_SETTLING_SECONDS)
    return _Start(seconds, running.resident_mib())


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
