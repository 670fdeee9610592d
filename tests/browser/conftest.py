"""A real Chromium and the phone page in it; a page that complains, breaks its policy or asks elsewhere fails its test."""

import os
import shutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, ConsoleMessage, Page, Request, async_playwright, expect

from tests.program import World, open_world
from wtai.simulator.phone import Business, Phone
from wtai.simulator.server import served

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
]
NAMES = ("chromium-headless-shell", "chromium", "google-chrome")

expect.set_options(timeout=20_000)


@dataclass(frozen=True, slots=True)
class Simulator:
    """The phone page over a running program whose model echoes; ``url`` is the page's, without a slash at its end."""

    world: World
    phone: Phone
    url: str


@pytest.fixture(scope="session")
def executable() -> str:
    """Where Chromium is. Without one the test is skipped, in CI it fails."""
    found = os.environ.get("WTAI_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if found is None and os.environ.get("CI") == "true":
        pytest.fail("no Chromium: apt-get install chromium, or set WTAI_CHROMIUM to its executable")
    if found is None:
        pytest.skip("no Chromium here: apt-get install chromium, or set WTAI_CHROMIUM to its executable")
    return found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser(executable: str) -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=executable, args=FLAGS)
        yield launched
        await launched.close()


@pytest_asyncio.fixture(loop_scope="module")
async def simulator(data_dir: Path) -> AsyncIterator[Simulator]:
    async with open_world(data_dir) as world, world.running():
        world.twilio.statuses = ("sent", "delivered", "read")
        phone = Phone(world.twilio, Business("Padaria 1", world.line.account_sid, world.line.number))
        async with served(phone) as url:
            yield Simulator(world, phone, url)


class Complaints:
    """What a page had to say on its console, and whom it asked beside its own server."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def listen(self, page: Page, origin: str) -> None:
        def console(message: ConsoleMessage) -> None:
            if message.type in ("error", "warning"):
                self.heard.append(f"{message.type}: {message.text}")

        def request(request: Request) -> None:
            if not request.url.startswith((origin, "data:", "blob:")):
                self.heard.append(f"asked {request.url}")

        page.on("console", console)
        page.on("pageerror", lambda error: self.heard.append(f"uncaught: {error}"))
        page.on("request", request)


@pytest.fixture
def complaints() -> Iterator[Complaints]:
    """Fails a test whose page complained; a test that provokes a complaint clears it."""
    complaints = Complaints()
    yield complaints
    assert not complaints.heard, "\n".join(complaints.heard)


@pytest_asyncio.fixture(loop_scope="module")
async def page(browser: Browser, simulator: Simulator, complaints: Complaints) -> AsyncIterator[Page]:
    """The page as a Brazilian sees it on a large screen."""
    context = await browser.new_context(
        locale="pt-BR", viewport={"width": 1440, "height": 900}, permissions=["clipboard-read", "clipboard-write", "microphone"]
    )
    page = await context.new_page()
    page.set_default_timeout(30_000)
    complaints.listen(page, simulator.url)
    await page.goto(simulator.url)
    await page.wait_for_selector(".contact")
    yield page
    await context.close()
