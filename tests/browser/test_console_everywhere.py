"""Every page of the console there is: sound for everybody's eyes and hands, and light to load."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from tests.browser.conftest import Complaints
from tests.browser.desk import SPILLING, Desk, seated, violations
from tests.program import person
from tests.web.console_client import open_staff
from wtai.clock import MINUTE, SystemClock
from wtai.conversation import inbox
from wtai.conversation.model import Inbound, Kind
from wtai.db.tx import OwnerTx
from wtai.identity.from_settings import preferences
from wtai.identity.preferences import Preferences

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

MOST_BYTES = 120 * 1024
FULL = 50
"""Lines of a full first page of the list."""


@pytest_asyncio.fixture(loop_scope="module")
async def desk(data_dir: Path, browser: Browser, complaints: Complaints) -> AsyncIterator[Desk]:
    async with open_staff(data_dir) as staff, seated(staff, browser, complaints) as opened:
        yield opened


@pytest.mark.slow
async def test_every_page_is_sound_in_light_in_dark_and_on_a_narrow_screen(desk: Desk) -> None:
    public = await desk.staff.conversation(person(1))
    paths = [*await desk.pages(), f"/console/c/{public}", "/console/nowhere"]
    page = await desk.log_in(locale="pt-BR")
    for path in paths:
        await page.goto(f"{desk.url}{path}", wait_until="domcontentloaded")
        assert await violations(page) == [], path
        await page.emulate_media(color_scheme="dark")
        assert await violations(page, "color-contrast") == [], path
        await page.emulate_media(color_scheme="light")
        await page.set_viewport_size({"width": 320, "height": 700})
        assert await page.evaluate(SPILLING) == [], path
        assert await page.evaluate("document.documentElement.scrollWidth") <= 320, path
        await page.set_viewport_size({"width": 1440, "height": 900})
    desk.complaints.heard.clear()  # of what is nowhere: 404


async def test_the_inbox_is_light_on_its_first_load(desk: Desk) -> None:
    world = desk.staff.world
    now = SystemClock().now() - FULL * MINUTE
    await desk.staff.program.database.write(world.line.owner_id, crowd, preferences(world.settings()), now=now)
    page = await desk.log_in()
    browser = await page.context.new_cdp_session(page)
    loaded: list[float] = []
    browser.on("Network.loadingFinished", lambda event: loaded.append(event["encodedDataLength"]))
    await browser.send("Network.enable")
    await browser.send("Network.setCacheDisabled", {"cacheDisabled": True})
    await page.goto(f"{desk.url}/console?tab=all", wait_until="load")
    await asyncio.sleep(0.5)
    assert await page.locator("#rows li[data-id]").count() == FULL
    print(f"the inbox weighs {sum(loaded) / 1024:.1f} KiB in {len(loaded)} requests")
    assert len(loaded) > 5
    assert sum(loaded) <= MOST_BYTES


def crowd(tx: OwnerTx, chosen: Preferences, *, now: int) -> None:
    """So many people write that the list is full."""
    for number in range(FULL + 1):
        address = f"whatsapp:+5511{95_000_000 + number}"
        inbound = Inbound(
            channel="whatsapp",
            provider_sid=f"SM{number:032}",
            our_address="whatsapp:+551130000001",
            reply_to=address,
            identities=(address,),
            lookup=(),
            kind=Kind.TEXT,
            body=f"Bom dia! Queria saber se o pedido {number * 7919 % 1000} já saiu para entrega, por favor.",
            profile_name=f"Cliente {number}",
        )
        inbox.receive(tx, inbound, chosen, now=now + number * MINUTE)
