"""Whatever customers, their files, the AI and colleagues write, no page of the console runs it."""

from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, expect

from tests.browser.conftest import Complaints
from tests.browser.desk import Desk, seated
from tests.browser.hostile import FIELDS, VECTORS, Planted, payloads, plant
from tests.web.console_client import ADMIN, open_staff
from wtai.clock import SystemClock
from wtai.db.tx import OwnerTx
from wtai.identity.from_settings import preferences
from wtai.identity.store import rename_owner
from wtai.identity.users_store import rename_user, user_of_email

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

LISTENING: str = """
    addEventListener("securitypolicyviolation", (event) => violated(`${event.violatedDirective} ${event.blockedURI}`));
"""

GROWN: str = """
    [...document.querySelectorAll("*:not(.uplot, .uplot *)")].flatMap((node) => [
        ...[...node.attributes].filter(({name, value}) => /^on|^style$|^hx-on|^srcdoc$/i.test(name)
            || (/^(href|src|action|formaction|xlink:href|data)$/i.test(name) && !/^(https?:|[/#?]|$)/i.test(value.trim()))
        ).map(({name, value}) => `${node.tagName} ${name}=${value}`),
        ...(node.matches("iframe, object, embed, base, meta[http-equiv], style, math, svg > :not(use, rect), hx-partial")
            || node.matches("link:not([href^='/console/static/'])")
            || (node.matches("script") && !node.src.startsWith(`${location.origin}/console/static/`)) ? [node.outerHTML] : []),
    ])
"""
"""What no template of ours has: whatever is found grew out of a text. (The charts place their own parts by style.)"""

SHOWN_ON = {
    "/console?tab=all": "profile",
    "/console/people": "profile",
    "/console/labels": "label",
    "/console/settings/canned": "canned",
}
"""Pages that show a field of all conversations."""

SEEN: str = """
    [document.documentElement.textContent, ...[...document.querySelectorAll("*")].flatMap((node) =>
        [node.value ?? "", ...[...node.attributes].map((attribute) => attribute.value)])].join("\\n")
"""
"""All that the page says, also where only a tool looks."""


@pytest_asyncio.fixture(loop_scope="module")
async def desk(data_dir: Path, browser: Browser, complaints: Complaints) -> AsyncIterator[Desk]:
    async with open_staff(data_dir) as staff, seated(staff, browser, complaints) as opened:
        yield opened


async def planted(desk: Desk) -> list[Planted]:
    """All vectors in all fields."""
    world, now = desk.staff.world, SystemClock().now()
    settings = world.settings()
    settings.media.directory.mkdir(exist_ok=True)

    def work(tx: OwnerTx) -> list[Planted]:
        me = user_of_email(tx, ADMIN).public_id
        chosen = preferences(settings)
        return [plant(tx, number, me, settings.media.directory, chosen, now=now + number) for number in range(len(VECTORS))]

    return await desk.staff.program.database.write(world.line.owner_id, work)


async def christen(desk: Desk, texts: dict[str, str]) -> None:
    """Give the owner and the member of staff these names."""

    def work(tx: OwnerTx) -> None:
        rename_owner(tx, texts["owner"], "pt-BR")
        rename_user(tx, user_of_email(tx, ADMIN), texts["staff"], now=SystemClock().now())

    await desk.staff.program.database.write(desk.staff.world.line.owner_id, work)


class Hits:
    """What ran, what the policy stopped and which dialogs came up."""

    def __init__(self) -> None:
        self.ran: list[object] = []
        self.violations: list[str] = []

    async def listen(self, context: BrowserContext, page: Page) -> None:
        await context.expose_binding("hit", lambda _, number=None: self.ran.append(number))
        await context.expose_binding("violated", lambda _, report: self.violations.append(report))
        await context.add_init_script(LISTENING)
        page.on("dialog", lambda dialog: self.ran.append(dialog.message))


async def open_everything(page: Page, planted: Planted) -> None:
    """Show the sheet of the answer, and the canned replies."""
    await page.click(f"#{planted.answer} button.look >> nth=0")
    await expect(page.locator("#talk-sheet-body pre").first).to_be_visible()
    await page.press("#talk-sheet", "Escape")
    await page.fill("#talk-text", "/")
    await expect(page.locator("#talk-canned [role=option]").first).to_be_visible()


@pytest.mark.slow
async def test_five_hundred_attacks_stay_text(desk: Desk) -> None:
    assert len(VECTORS) * len(FIELDS) == 500
    everything = await planted(desk)
    await christen(desk, payloads(0)[0])
    page = await desk.log_in(path="/console?tab=all", locale="en")
    hits = Hits()
    await hits.listen(page.context, page)
    for of in everything:
        await christen(desk, of.texts)
        await page.goto(f"{desk.url}/console/c/{of.conversation}?{urlencode({'tab': 'all', 'q': of.texts['body']})}")
        await open_everything(page, of)
        await page.evaluate(f"htmx.ajax('GET', '/console/c/{of.conversation}/live', {{target: '#talk-live', swap: 'none'}})")
        seen = await page.evaluate(SEEN)
        unseen = [field for field, number in of.numbers.items() if str(number) not in seen]
        assert unseen == of.hidden
        assert await page.evaluate(GROWN) == [], of.texts["body"]
        assert hits.ran == [], of.texts["body"]
        assert hits.violations == [], of.texts["body"]
    somebody = desk.staff.world.value("SELECT public_id FROM users WHERE role = 'user' ORDER BY id LIMIT 1")
    for path in (*await desk.pages(), "/console?tab=all", f"/console/people/{somebody}"):
        await page.goto(f"{desk.url}{path}", wait_until="domcontentloaded")
        assert await page.evaluate(GROWN) == [], path
        seen = await page.evaluate(SEEN)
        told = SHOWN_ON.get(path)
        assert told is None or all(str(of.numbers[told]) in seen for of in everything), path
    assert (hits.ran, hits.violations) == ([], [])
