"""The dashboard in a real browser: charts that draw what their tables say."""

import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from tests.browser.conftest import Complaints
from tests.browser.desk import SPILLING, Desk, seated, shoot, violations
from tests.store.rollup_world import RollupWorld
from tests.web.console_client import open_staff
from wtai.clock import DAY, SystemClock
from wtai.db.sqlite import SqliteDatabase

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

PATH = "/console/dashboard"


@pytest_asyncio.fixture(loop_scope="module")
async def desk(data_dir: Path, browser: Browser, complaints: Complaints) -> AsyncIterator[Desk]:
    async with open_staff(data_dir) as staff, seated(staff, browser, complaints) as opened:
        now = SystemClock().now()
        assert isinstance(staff.program.database, SqliteDatabase)
        past = RollupWorld(
            data_dir / "wtai.db", staff.program.database, random.Random(4), [staff.world.line.owner_id], now - 30 * DAY, now
        )
        await past.live(140)
        yield opened


@pytest.mark.parametrize(("width", "dark", "locale"), [(1440, False, "pt-BR"), (1440, True, "en"), (320, False, "pt-BR")])
async def test_it_looks_right_in_every_light_and_width(desk: Desk, width: int, dark: bool, locale: str) -> None:
    page = await desk.log_in(path=f"{PATH}?period=7d", width=width, dark=dark, locale=locale, height=2000)
    await expect(page.locator("#figure-messages canvas")).to_be_visible()
    await shoot(page, f"dashboard-{width}-{'dark' if dark else 'light'}-{locale}")
    assert await violations(page) == []
    assert await page.evaluate(SPILLING) == []
