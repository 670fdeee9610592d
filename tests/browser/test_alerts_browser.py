"""What reaches somebody who looks elsewhere: a dot on the tab's icon, and what they asked for."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from tests.browser.conftest import Complaints
from tests.browser.desk import SPILLING, Desk, seated, violations
from tests.program import person
from tests.web.console_client import AGENT, open_staff
from tests.web.conversation_page import act, editing

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

NOTICE = ("Padaria 1", "Somebody is waiting for your answer.")
ASKS = "quero falar com um atendente"
TURNS_AWAY = """(away) => {
    Object.defineProperty(document, "hidden", { get: () => away, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
}"""
"""A headless browser shows every tab it has: which one is looked at has to be said."""

LISTENS = """
    const [Notice, Audio] = [Notification, AudioContext];
    globalThis.Notification = class extends Notice {
        static requestPermission() { told("asked", ""); return Notice.requestPermission(); }
        constructor(title, options) { super(title, options); told(title, options.body); }
    };
    globalThis.AudioContext = class extends Audio {
        createOscillator() { told("sound", ""); return super.createOscillator(); }
    };
"""
"""Tells of what the page asks of the browser, which does it nevertheless."""


@dataclass
class Tab:
    """A tab, and what it asked of the browser."""

    page: Page
    told: list[tuple[str, str]] = field(default_factory=list)

    async def turn_away(self) -> None:
        """Look elsewhere; return when the tab has asked what there is to see now, so that all that comes is news."""
        async with self.page.expect_response("**/console/unread"), self.page.expect_response("**/console/live"):
            await self.page.evaluate(TURNS_AWAY, True)

    async def look(self) -> None:
        await self.page.evaluate(TURNS_AWAY, False)

    async def choose(self, name: str) -> None:
        await self.page.click("details.menu:not(.filters) > summary")
        await self.page.locator(f"#alerts input[name={name}]").click()
        await self.page.keyboard.press("Escape")

    async def hears(self, *told: tuple[str, str]) -> None:
        """Wait until this was told, and no more."""
        async with asyncio.timeout(15):
            while self.told != list(told):  # noqa: ASYNC110 - the condition is in another process
                await asyncio.sleep(0.02)

    async def hears_nothing(self) -> None:
        """Nothing was told of all there is to see now."""
        await self.page.evaluate("alerts.ask()")
        assert self.told == []


@pytest_asyncio.fixture(loop_scope="module")
async def desk(data_dir: Path, browser: Browser, complaints: Complaints) -> AsyncIterator[Desk]:
    async with open_staff(data_dir) as staff, seated(staff, browser, complaints) as opened:
        yield opened


async def listen(page: Page) -> Tab:
    """A page, loaded again so that it can be listened to."""
    tab = Tab(page)
    await page.expose_function("told", lambda what, how: tab.told.append((what, how)))
    await page.add_init_script(LISTENS)
    await page.reload()
    await live(page)
    return tab


async def live(page: Page) -> None:
    await expect(page.locator("#live")).to_have_attribute("data-state", "live", timeout=20_000)


async def needs_a_person(desk: Desk, number: int) -> str:
    """Somebody asks for a person; the conversation."""
    world = desk.staff.world
    await world.say(person(number), ASKS)
    await world.until(lambda: world.value("SELECT state FROM conversations ORDER BY id DESC LIMIT 1") == "HANDOFF")
    return str(world.value("SELECT public_id FROM conversations ORDER BY id DESC LIMIT 1"))


async def test_the_icon_has_a_dot_while_somebody_needs_one_who_looks_elsewhere(desk: Desk) -> None:
    tab = await listen(await desk.log_in(locale="en"))
    icon = tab.page.locator("link[rel=icon]")
    plain = await icon.get_attribute("href") or ""
    await tab.turn_away()
    await desk.staff.conversation(person(1))
    await expect(icon).to_have_attribute("href", plain)
    await needs_a_person(desk, 2)
    await expect(tab.page).to_have_title("(1) Inbox · Padaria 1")
    dotted = await icon.get_attribute("href") or ""
    assert dotted.endswith("/icon-dotted.svg")
    assert (await desk.staff.nobody.get(dotted)).status == 200
    await tab.look()
    await expect(icon).to_have_attribute("href", plain)
    await tab.turn_away()
    await expect(icon).to_have_attribute("href", dotted)
    await tab.hears_nothing()


async def test_who_asked_for_it_is_notified_of_what_is_theirs_or_nobodys_while_they_look_elsewhere(desk: Desk) -> None:
    page = await desk.log_in(locale="en")
    await page.context.grant_permissions(["notifications"])
    tab = await listen(page)
    await tab.choose("notice")
    await tab.choose("sound")
    await expect(page.locator("#alerts input:checked")).to_have_count(2)
    assert tab.told == [("asked", ""), ("sound", "")], "how it sounds is heard at once"
    tab.told.clear()
    mine = await needs_a_person(desk, 1)
    await expect(page.locator(f"#row-{mine}")).to_be_visible()
    await act(desk.staff.admin, mine, "take")
    await tab.hears_nothing()
    await tab.turn_away()
    await tab.hears_nothing()
    hers = await needs_a_person(desk, 2)
    await tab.hears(("sound", ""), NOTICE)
    await act(desk.staff.agent, hers, "take")
    await expect(page).to_have_title("(1) Inbox · Padaria 1")
    await act(desk.staff.admin, mine, "read")
    await page.evaluate("alerts.ask()")
    await expect(page).to_have_title("Inbox · Padaria 1")
    await desk.staff.world.say(person(2), "é com a colega")
    await desk.staff.conversation(person(3))
    await desk.staff.world.say(person(1), "e é comigo")
    await tab.hears(*[("sound", ""), NOTICE] * 2)
    await page.reload()
    assert await page.locator("#alerts input:checked").count() == 2, "it is kept"
    await tab.choose("notice")
    await tab.choose("sound")
    tab.told.clear()
    await tab.turn_away()
    await needs_a_person(desk, 4)
    await tab.hears_nothing()
    await expect(page).to_have_title("(2) Inbox · Padaria 1")


async def test_of_several_tabs_the_one_that_was_seen_last_notifies(desk: Desk) -> None:
    page = await desk.log_in(locale="en")
    await page.context.grant_permissions(["notifications"])
    first = await listen(page)
    await first.choose("notice")
    other = await page.context.new_page()
    other.set_default_timeout(8_000)
    desk.complaints.listen(other, desk.url)
    await other.goto(f"{desk.url}/console?tab=all")
    second = await listen(other)
    async with page.expect_response("**/console/unread"):
        await page.evaluate(TURNS_AWAY, True)
    await second.turn_away()
    first.told.clear()
    await needs_a_person(desk, 1)
    await second.hears(NOTICE)
    await first.hears_nothing()
    async with page.expect_response("**/console/live"), page.expect_response("**/console/unread"):
        await other.close()
    await needs_a_person(desk, 2)
    await first.hears(NOTICE)


@pytest.mark.parametrize(("width", "dark"), [(1440, False), (320, True)])
async def test_what_the_browser_refuses_is_said_and_not_asked_for_again(desk: Desk, width: int, dark: bool) -> None:
    with editing(desk.staff) as connection:
        connection.execute("UPDATE users SET name = NULL WHERE email = ?", (AGENT,))
    tab = await listen(await desk.log_in(AGENT, width=width, dark=dark))
    await tab.page.click("details.menu:not(.filters) > summary")
    await tab.page.click("text=Notificação")
    await expect(tab.page.locator("#alerts-refused")).to_have_text("O navegador não deixa esta página notificar.")
    await expect(tab.page.locator("#alerts input[name=notice]")).not_to_be_checked()
    assert await violations(tab.page) == []
    assert await tab.page.evaluate(SPILLING) == []
    await tab.hears(("asked", ""))
    tab.told.clear()
    await tab.page.reload()
    await tab.turn_away()
    await needs_a_person(desk, 1)
    await tab.hears_nothing()
    await expect(tab.page).to_have_title("(1) Caixa de entrada · Padaria 1")
