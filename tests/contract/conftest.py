"""The contract suites: one set of promises, run over every backend."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.contract.backends import BACKENDS, House


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--steps", type=int, default=None, help="steps of the queue's state machine (default: a few thousand)")


@pytest.fixture(params=BACKENDS)
async def house(request: pytest.FixtureRequest, data_dir: Path) -> AsyncIterator[House]:
    """An empty queue of each backend, with what surrounds it."""
    async with BACKENDS[request.param](data_dir) as found:
        yield found
