"""The dashboard in a real browser: charts that draw what their tables say."""

import random
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from tests.browser.conftest import Complaints
from tests.browser.desk import SPILLING, Desk, seated, shoot, violations
from tests.program import away_from_the_hour, person
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


async def test_charts_draw_what_the_tables_say_and_give_way_to_them(desk: Desk) -> None:
    page = await desk.log_in(path=f"{PATH}?period=30d", locale="en")
    card = page.locator("#figure-messages")
    await expect(card.locator("canvas")).to_be_visible()
    assert await page.locator("[data-card] canvas").count() == 7
    # Under the pointer the legend tells what the table has for that day.
    over = card.locator(".u-over")
    box = await over.bounding_box()
    assert box
    await page.mouse.move(box["x"] + box["width"] - 8, box["y"] + 40)
    told = await card.locator(".u-legend .u-value").all_inner_texts()
    row = card.locator("tbody tr").last
    assert told[0] == await row.locator("th").inner_text()
    assert sorted(told[1:]) == sorted(await row.locator("td").all_text_contents())
    # By keyboard the table takes the chart's place, and back.
    await card.locator("[data-twin]").focus()
    await page.keyboard.press("Enter")
    await expect(card.locator(".twin")).to_be_in_viewport()
    await expect(card.locator("canvas")).to_have_count(0)
    await expect(card.locator("[data-twin]")).to_have_attribute("aria-pressed", "true")
    assert await violations(page) == []
    await page.keyboard.press("Enter")
    await expect(card.locator("canvas")).to_be_visible()
    async with page.expect_download() as download:
        await card.locator("a[download]").click()
    assert (await download.value).suggested_filename == "wtai-messages-30d.csv"
    await page.select_option("[name=feature]", "finance")
    await expect(page).to_have_url(re.compile("period=30d&feature=finance"))


async def test_an_open_page_counts_what_comes_in_and_keeps_what_was_chosen(desk: Desk) -> None:
    await away_from_the_hour()
    page = await desk.log_in(path=f"{PATH}?period=24h", locale="en")
    await expect(page.locator("#live")).to_have_attribute("data-state", "live")
    await page.click("#twin-messages")
    cell = page.locator("#figure-messages tbody tr").last.locator("td").first
    before = int(await cell.inner_text())
    await desk.staff.world.say(person(1), "oi")
    await expect(cell).to_have_text(str(before + 1))
    await expect(page.locator("#twin-messages")).to_have_attribute("aria-pressed", "true")
    await expect(page.locator("#figure-conversations canvas")).to_be_visible()
