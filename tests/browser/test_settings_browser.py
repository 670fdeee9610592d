"""The settings in a real browser: every page for everybody's eyes, and a prompt edited and restored without a mouse."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from tests.browser.conftest import Complaints
from tests.browser.desk import SPILLING, Desk, seated, shoot, violations
from tests.web.console_client import open_staff
from tests.web.settings_data import SETTINGS, Everything, fill, pages

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

CANNED = "/console/settings/canned"
SHOT = {CANNED, "/console/settings", "/console/settings/features/{feature}", "/console/settings/hours", "/console/people/{user}"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> AsyncIterator[tuple[Desk, Everything]]:
    folder = tmp_path_factory.mktemp("settings") / "data"
    folder.mkdir()
    complaints = Complaints()
    async with open_staff(folder, **SETTINGS) as staff, seated(staff, browser, complaints) as desk:
        yield desk, await fill(staff)
    assert not complaints.heard, "\n".join(complaints.heard)


@pytest.mark.slow
async def test_every_page_is_sound_in_the_light_in_the_dark_and_on_a_narrow_screen(place: tuple[Desk, Everything]) -> None:
    desk, everything = place
    wide = await desk.log_in(path="/console/settings")
    narrow = await desk.log_in(path="/console/settings", dark=True, width=320, locale="en")

    async def look(page: Page, name: str) -> list[str]:
        found = []
        for path, address in {**{shown.path: everything.path(shown) for shown in pages("GET")}, CANNED: CANNED}.items():
            await page.goto(f"{desk.url}{address}")
            found += [f"{path} {name}: {what}" for what in await violations(page) + await page.evaluate(SPILLING)]
            if path in SHOT:
                await shoot(page, f"settings-{path.removeprefix('/console/').replace('/', '-')}-{name}")
        return found

    in_light, in_dark = await asyncio.gather(look(wide, "light-1440"), look(narrow, "dark-320"))
    assert in_light + in_dark == []


async def test_a_prompt_is_edited_and_restored_by_keyboard_alone(place: tuple[Desk, Everything]) -> None:
    desk, _ = place
    page = await desk.log_in(path="/console/settings/features/pedidos", locale="en")
    await tab_to(page, "#f-prompt")
    await page.keyboard.press("Control+End")
    await page.keyboard.type("\nNão prometa prazos.")
    await tab_to(page, "main form.card button")
    await go(page)
    await expect(page.get_by_role("status").filter(has_text="Saved.")).to_be_visible()
    await expect(page.locator("#f-prompt")).to_have_value("Fale de pedidos.\nSeja breve.\nNão prometa prazos.")

    await tab_to(page, "a[href$='/pedidos/versions']")
    await go(page)
    await tab_to(page, "a[href$='/versions/2']")
    await go(page)
    await expect(page.locator(".diff .removed")).to_have_text("removed: Não prometa prazos.")
    await tab_to(page, "[data-opens=restore]")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("dialog", name="Restore version 2?")).to_be_visible()
    assert await violations(page) == []
    await page.keyboard.press("Escape")
    await expect(page.locator("[data-opens=restore]")).to_be_focused()
    await page.keyboard.press("Enter")
    await tab_to(page, "dialog button:not([type=button])")
    await go(page)
    await expect(page.get_by_role("status").filter(has_text="Restored.")).to_be_visible()
    await page.goto(f"{desk.url}/console/settings/features/pedidos")
    await expect(page.locator("#f-prompt")).to_have_value("Fale de pedidos.\nSeja breve.")


async def test_a_refused_form_leads_to_the_field_and_a_secret_is_copied(place: tuple[Desk, Everything]) -> None:
    desk, _ = place
    page = await desk.log_in(path="/console/settings/team", locale="en")
    await page.fill("#f-email", "ana@padaria.example")
    await page.fill("#f-name", "Outra")
    await page.click("text=Invite >> nth=-1")
    await expect(page.locator("#f-email")).to_be_focused()
    await expect(page.locator("#f-email")).to_have_accessible_description(
        "Somebody of your team has this e-mail address already."
    )
    await expect(page.locator("#f-name")).to_have_value("Outra")
    desk.complaints.heard.clear()  # the browser notes the answer 422

    await page.fill("#f-email", "dora@padaria.example")
    await page.click("form[data-once] button")
    await page.click("[data-copy=password]")
    await expect(page.locator("[data-copy=password]")).to_have_text("Copied")
    password = await page.locator("#password").text_content()
    assert await page.evaluate("navigator.clipboard.readText()") == password
    assert await violations(page) == []


async def tab_to(page: Page, selector: str) -> None:
    """Press Tab until what ``selector`` finds has the focus."""
    for _ in range(120):
        await page.keyboard.press("Tab")
        if await page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"no Tab leads to {selector}")


async def go(page: Page) -> None:
    """Press Enter, and wait for where it leads."""
    async with page.expect_navigation():
        await page.keyboard.press("Enter")
