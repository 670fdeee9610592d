"""The API and the console at work, for one test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.web.api_client import Api, open_api
from tests.web.console_client import Staff, open_staff


@pytest.fixture
async def api(data_dir: Path) -> AsyncIterator[Api]:
    async with open_api(data_dir) as opened:
        yield opened


@pytest.fixture
async def staff(data_dir: Path) -> AsyncIterator[Staff]:
    async with open_staff(data_dir) as opened:
        yield opened
