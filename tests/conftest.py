"""What every test may rely on: it cannot leave this machine, and it gets a data directory and a port of its own."""

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import ip_address
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

_FIRST_PORT, _WORKERS, _PORTS_OF_WORKER = 20_000, 12, 1_000

settings.register_profile("wtai", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("wtai")  # a slow machine is no finding

_escapes: list[str] = []


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--steps", type=int, default=None, help="steps of each state machine (default: a few thousand)")
    parser.addoption("--requests", type=int, default=None, help="requests of the canary test (default: 20,000)")


class LeftLoopback(RuntimeError):
    """A test tried to reach another machine."""


def _is_local(host: object) -> bool:
    if isinstance(host, bytes):
        host = host.decode()
    if host is None or host in ("", "localhost", "0.0.0.0", "::"):
        return True
    try:
        return ip_address(str(host).partition("%")[0]).is_loopback
    except ValueError:
        return False


def _is_numeric(host: object) -> bool:
    try:
        ip_address(host.decode() if isinstance(host, bytes) else str(host))
    except ValueError:
        return False
    return True


def _watch(event: str, arguments: tuple[object, ...]) -> None:
    """An audit hook: Python calls it before a connection is opened and before a name is looked up."""
    if event == "socket.connect":
        address = arguments[1]
        host = address[0] if isinstance(address, tuple) else None  # a Unix socket's address is a path
        forbidden = not _is_local(host)
    elif event == "socket.getaddrinfo":
        host = arguments[0]
        forbidden = not (_is_local(host) or _is_numeric(host))
    else:
        return
    if forbidden:
        _escapes.append(f"{event} {host!r}")
        raise LeftLoopback(f"{event} {host!r}: tests stay on this machine")


sys.addaudithook(_watch)


@pytest.fixture(autouse=True)
def escapes() -> Iterator[list[str]]:
    """Fails a test that tried to reach another machine, even if the code under test swallowed the error."""
    _escapes.clear()
    yield _escapes
    assert not _escapes, f"the test tried to leave this machine: {', '.join(_escapes)}"


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """The developer's own WTAI_* variables are not part of a test."""
    for name in [name for name in os.environ if name.startswith("WTAI_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """An empty data directory."""
    path = tmp_path / "data"
    path.mkdir()
    return path


@pytest.fixture
def free_port() -> int:
    """A port nobody listens on, and that nobody is given while the program under test is down."""
    return next(filter(_is_free, _ports))


def _ports_of_this_worker() -> Iterator[int]:
    """Ports of this pytest-xdist worker's own, below those that Linux lends to connections."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    for number in count(os.getpid()):  # not from the first one: another run may be at work
        yield _FIRST_PORT + worker % _WORKERS * _PORTS_OF_WORKER + number % _PORTS_OF_WORKER


_ports = _ports_of_this_worker()


def _is_free(port: int) -> bool:
    with socket.socket() as probe, suppress(OSError):
        probe.bind(("127.0.0.1", port))
        return True
    return False
