"""The frame of the console in a real browser: the door, the bar, the sign of life."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Route, expect

import wtai
from tests.browser.conftest import Complaints
from tests.browser.desk import SPILLING, Desk, seated, shoot, violations
from tests.program import person
from tests.web.console_client import open_staff
from wtai.clock import SystemClock

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


@pytest.mark.parametrize(("width", "dark", "locale"), [(1440, False, "pt-BR"), (320, True, "en")])
async def test_what_an_error_page_tells_is_copied_for_whoever_mends_it(desk: Desk, width: int, dark: bool, locale: str) -> None:
    page = await desk.log_in(width=width, dark=dark, locale=locale)
    before = SystemClock().now() // 1000
    answer = await page.goto(f"{desk.url}/console/people/usr_nobody/memories?q=Mariana")
    assert answer is not None
    assert answer.status == 404
    assert await violations(page) == []
    assert await page.evaluate(SPILLING) == []
    button = page.locator("[data-copy=diagnosis]")
    await expect(button).to_have_text("Copiar diagnóstico" if locale == "pt-BR" else "Copy diagnosis")
    await button.click()
    await expect(button).to_have_text("Copiado" if locale == "pt-BR" else "Copied")
    told = dict(line.split(": ", 1) for line in (await page.evaluate("navigator.clipboard.readText()")).splitlines())
    assert before <= datetime.fromisoformat(told.pop("time")).timestamp() <= SystemClock().now() // 1000
    assert told == {
        "request": answer.headers["x-request-id"],
        "path": "GET /console/people/usr_nobody/memories",
        "status": "404",
        "version": f"wtai {wtai.__version__}",
    }
    await page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")  # as it is over plain HTTP
    await button.click()
    await expect(page.locator("#diagnosis")).to_be_visible()
    assert f"request: {told['request']}" in await page.evaluate("getSelection().toString()")
    assert await violations(page) == []
    assert await page.evaluate(SPILLING) == []
    desk.complaints.heard.remove("error: Failed to load resource: the server responded with a status of 404 (Not Found)")


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
