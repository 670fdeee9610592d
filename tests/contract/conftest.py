"""The contract suites: one set of promises, run over every backend."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.contract.backends import BACKENDS, House


@pytest.fixture(params=BACKENDS)
async def house(request: pytest.FixtureRequest, data_dir: Path) -> AsyncIterator[House]:
    """An empty queue of each backend, with what surrounds it."""
    async with BACKENDS[request.param](data_dir) as found:
        yield found
