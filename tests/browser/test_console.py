"""The frame of the console in a real browser: the door, the bar, the sign of life."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Route, expect

from tests.browser.conftest import Complaints
from tests.browser.desk import SPILLING, Desk, seated, shoot, violations
from tests.program import person
from tests.web.console_client import open_staff

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(loop_scope="module")
async def desk(data_dir: Path, browser: Browser, complaints: Complaints) -> AsyncIterator[Desk]:
    async with open_staff(data_dir) as staff, seated(staff, browser, complaints) as opened:
        yield opened


@pytest.mark.parametrize(("width", "dark", "locale"), [(1440, False, "pt-BR"), (1440, True, "en"), (320, False, "pt-BR")])
async def test_the_door_looks_right_and_lets_in(desk: Desk, width: int, dark: bool, locale: str) -> None:
    page = await desk.log_in(width=width, dark=dark, locale=locale)
    name = f"{width}-{'dark' if dark else 'light'}-{locale}"
    assert await violations(page) == []
    assert await page.evaluate(SPILLING) == []
    await shoot(page, f"shell-{name}")
    await page.click("details.menu summary")
    assert await violations(page) == []
    await page.click("text=/Sair|Log out/")
    await expect(page.locator("h1")).to_have_text("Entrar" if locale == "pt-BR" else "Log in")
    assert await violations(page) == []
    assert await page.evaluate(SPILLING) == []
    await shoot(page, f"door-{name}")


async def test_the_sign_of_life_is_live_and_a_change_is_heard(desk: Desk) -> None:
    page = await desk.log_in(locale="en")
    await expect(page.locator("#live")).to_have_text("Live")
    await page.evaluate("document.body.addEventListener('moved', (event) => { window.heard = event.detail.ids; })")
    public = await desk.staff.conversation(person(1))
    await page.wait_for_function("public => String(window.heard) === public", arg=public)
    await expect(page.locator("#live")).to_have_attribute("data-state", "live")


async def test_the_stream_connects_whatever_comes_late(desk: Desk) -> None:
    async def late(route: Route) -> None:
        await asyncio.sleep(1)
        await route.continue_()

    page = await desk.log_in(locale="en")
    for name in ("htmx.min.js", "hx-sse.min.js", "console.js"):
        await page.route(f"**/{name}", late)
        await page.reload()
        await expect(page.locator("#live")).to_have_text("Live")
        await page.unroute(f"**/{name}")


async def test_a_lost_stream_is_shown_and_comes_back(desk: Desk) -> None:
    page = await desk.log_in(locale="en")
    await expect(page.locator("#live")).to_have_text("Live")
    await page.context.set_offline(True)
    await expect(page.locator("#live")).to_have_text("Out of date")
    await page.context.set_offline(False)
    await expect(page.locator("#live")).to_have_text("Live")
    desk.complaints.heard.clear()
