"""The console in a real Chromium, over the real program, with staff who log in through the form."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, BrowserContext, Page

from tests.browser.conftest import Complaints
from tests.web.api_client import PASSWORD
from tests.web.console_client import ADMIN, Staff
from wtai.web.console.pages import PAGES

SHOTS = Path(__file__).resolve().parents[2] / "build" / "screenshots"


@dataclass(kw_only=True)
class Door:
    """Opens pages of the console at ``url``; what they complain of is heard by ``complaints``."""

    url: str
    browser: Browser
    complaints: Complaints
    contexts: list[BrowserContext] = field(default_factory=list)

    async def log_in(
        self,
        email: str = ADMIN,
        *,
        path: str = "/console",
        locale: str = "pt-BR",
        width: int = 1440,
        height: int = 900,
        dark: bool = False,
    ) -> Page:
        """A browser of its own, in which this person is at ``path``."""
        context = await self.browser.new_context(
            locale=locale,
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            permissions=["clipboard-read", "clipboard-write"],
        )
        self.contexts.append(context)
        page = await context.new_page()
        page.set_default_timeout(30_000)
        self.complaints.listen(page, self.url)
        await page.goto(f"{self.url}/console/login?next={path}")
        await page.fill("input[name=email]", email)
        await page.fill("input[name=password]", PASSWORD)
        await page.click("main button.wide")
        await page.wait_for_url(f"{self.url}{path}")
        return page

    async def leave(self) -> None:
        """Close all browsers."""
        for context in self.contexts:
            await context.close()


@dataclass(kw_only=True)
class Desk(Door):
    """The door of a program with staff."""

    staff: Staff

    async def pages(self) -> list[str]:
        """The addresses of all that is a page of its own, needs no id and leads nowhere else."""
        found = []
        for page in PAGES:
            if page.method == "GET" and "{" not in page.path and page.path != "/console/live":
                reply = await self.staff.admin.get(page.path)
                assert reply.status in (200, 303), page.path
                if reply.text.startswith("<!doctype html>"):
                    found.append(page.path)
        return found


async def violations(page: Page, *rules: str) -> list[str]:
    """What axe finds wrong with a page, one line for each element; with ``rules`` by these alone."""
    only = {"runOnly": list(rules)} if rules else {}
    found = await Axe().run(page, options={"resultTypes": ["violations"], **only})
    return [
        f"{rule['id']}: {node['html'][:200]} ({node.get('failureSummary', '')[:300]})"
        for rule in found.response["violations"]
        for node in rule["nodes"]
    ]


async def takes_its_time(page: Page) -> None:
    """Whoever closes a conversation on this page has ten minutes instead of five seconds to take it back or end it at once."""
    await page.evaluate(
        """() => {
            const sooner = window.setTimeout;
            window.setTimeout = (call, ms, ...given) => sooner(call, ms === 5_000 ? 600_000 : ms, ...given);
        }"""
    )


async def shoot(page: Page, name: str) -> None:
    """Keep a picture of the page under ``build/screenshots``."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    # Hiding the caret would write style attributes into the page, which its policy then reports.
    await page.screenshot(path=SHOTS / f"{name}.png", caret="initial")


@asynccontextmanager
async def seated(staff: Staff, browser: Browser, complaints: Complaints) -> AsyncIterator[Desk]:
    """A desk whose browsers are closed at the end."""
    desk = Desk(url=str(staff.program.url), browser=browser, complaints=complaints, staff=staff)
    try:
        yield desk
    finally:
        await desk.leave()


SPILLING: str = """
[...document.querySelectorAll('body, body *')]
    .filter((node) => node.checkVisibility() && !node.closest('.scroll, .hidden, .skip')
        && getComputedStyle(node).position !== 'absolute')
    .filter((node) => node.getBoundingClientRect().right > innerWidth + 1)
    .map((node) => `${node.tagName}#${node.id}.${node.className}`)
"""
"""What reaches beyond the screen, but for tables that scroll on their own."""
