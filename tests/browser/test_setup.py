"""The first run in a real browser: from the printed link to the first message, which arrives by itself."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from tests.browser.conftest import Complaints
from tests.browser.desk import SPILLING, shoot, violations
from tests.flow.test_dev import dev
from tests.program import World, open_world, person
from tests.web.api_client import QUICK_SECURITY
from wtai.app import Running

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

SID, TOKEN, NUMBER = "AC" + "ab" * 16, "segredo-" + "x" * 20, "whatsapp:+551130000000"


@pytest_asyncio.fixture(loop_scope="module")
async def world(data_dir: Path) -> AsyncIterator[World]:
    async with open_world(data_dir, owners=0) as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="module")
async def program(world: World) -> AsyncIterator[Running]:
    async with world.running(security=QUICK_SECURITY) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def page(browser: Browser, program: Running, complaints: Complaints) -> AsyncIterator[Page]:
    context = await browser.new_context(
        locale="pt-BR", viewport={"width": 1280, "height": 900}, permissions=["clipboard-read", "clipboard-write"]
    )
    page = await context.new_page()
    page.set_default_timeout(30_000)
    complaints.listen(page, str(program.url))
    yield page
    await context.close()


async def looked_at(page: Page, name: str) -> None:
    """In light and dark, on a desk and on a phone: nothing wrong, nothing spilt, and a picture of each."""
    for dark, width in ((False, 1280), (True, 1280), (False, 320)):
        await page.emulate_media(color_scheme="dark" if dark else "light")
        await page.set_viewport_size({"width": width, "height": 900})
        await shoot(page, f"setup-{name}-{width}-{'dark' if dark else 'light'}")
        assert await page.evaluate(SPILLING) == []
        if dark or width == 320:
            assert await violations(page) == []
    await page.emulate_media(color_scheme="light")
    await page.set_viewport_size({"width": 1280, "height": 900})


async def test_from_the_link_to_the_first_message(page: Page, world: World, program: Running, complaints: Complaints) -> None:
    await page.goto(f"{program.url}{program.console_path}")
    await looked_at(page, "admin")
    await page.fill("[name=name]", "Ana Chefe")
    await page.fill("[name=email]", "ana@padaria.example")
    await page.fill("[name=business]", "Padaria da Ana")
    await page.fill("[name=password]", "minhasenha123")
    await page.keyboard.press("Enter")
    await expect(page.locator("#error-password")).to_have_text("Esta senha não serve.")
    await expect(page.locator("[name=business]")).to_have_value("Padaria da Ana")
    complaints.heard.clear()  # the browser tells of the 422
    await page.fill("[name=password]", "quatro cavalos azuis")
    await page.keyboard.press("Enter")

    await page.wait_for_url("**/console/setup/number")
    await looked_at(page, "number")
    await page.click("[data-copy=webhook-url]")
    assert (
        await page.evaluate("navigator.clipboard.readText()")
        == f"{program.url}/webhooks/twilio/inbound#rc=3&rp=all&ct=3000&rt=4500"
    )
    await page.fill("[name=sid]", SID)
    await page.fill("[name=token]", TOKEN)
    await page.fill("[name=number]", "+55 11 3000-0000")
    await page.keyboard.press("Enter")

    await page.wait_for_url("**/console/setup/first")
    await expect(page.locator("#waiting")).to_contain_text("Esperando a primeira mensagem…")
    await expect(page.locator("#live")).to_have_attribute("data-state", "live")
    await looked_at(page, "waiting")
    world.twilio.add_account(SID, TOKEN, numbers=(NUMBER,))
    await world.twilio.send(person(1), NUMBER, "Oi, vocês abrem amanhã?", profile_name="Maria Souza")
    await expect(page.locator("#waiting")).to_contain_text("A primeira mensagem chegou: Maria Souza", timeout=15_000)
    await looked_at(page, "heard")
    await page.click("#waiting a.button:not(.plain)")
    await expect(page).to_have_url(f"{program.url}/console/c/{world.value('SELECT public_id FROM conversations')}")

    await page.goto("about:blank")  # a page that is logged out under way goes to the log-in, whatever else it is told
    await page.context.clear_cookies()
    await page.goto(f"{program.url}{program.console_path}")
    await expect(page.locator("h1")).to_have_text("Este link não funciona, ou já não vale")
    await looked_at(page, "spent")
    complaints.heard.clear()  # and of the 404


async def test_in_a_demo_the_phone_is_on_one_side_and_the_console_on_the_other(
    browser: Browser, complaints: Complaints, tmp_path: Path
) -> None:
    async with dev(tmp=tmp_path) as demo:
        context = await browser.new_context(locale="pt-BR", viewport={"width": 1280, "height": 900})
        console = await context.new_page()
        complaints.listen(console, demo.url("Console").partition("/console")[0])
        await console.goto(demo.url("Console"))
        await shoot(console, "setup-demo")
        await console.click("main button.wide")
        await console.wait_for_url("**/console/setup/first")
        async with context.expect_page() as opened:
            await console.click("main a.button")
        phone = await opened.value
        await phone.wait_for_selector(".contact")
        await phone.click(".contact >> nth=0")
        await phone.fill("#text", "oi")
        await phone.keyboard.press("Enter")
        await expect(console.locator("#waiting")).to_contain_text("A primeira mensagem chegou")
        await shoot(phone, "simulator-with-console")
        async with context.expect_page() as back:
            await phone.click("#console")
        await expect(await back.value).to_have_url(re.compile("/console$"))
        await expect((await back.value).locator("header .bar, header nav").first).to_contain_text("Simulador")
        await context.close()
