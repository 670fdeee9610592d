"""The API at work, for one test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.web.api_client import Api, open_api


@pytest.fixture
async def api(data_dir: Path) -> AsyncIterator[Api]:
    async with open_api(data_dir) as opened:
        yield opened
