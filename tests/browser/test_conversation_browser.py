"""A conversation in a real browser: it keeps up, keeps what is written, and can be led by the keyboard alone."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from tests.browser.conftest import Complaints
from tests.browser.desk import SPILLING, Desk, seated, shoot, takes_its_time, violations
from tests.program import person
from tests.web.console_client import AGENT, open_staff
from tests.web.conversation_page import close_window, editing
from tests.web.test_conversation_sending import add_template
from tests.web.test_conversation_stream import fill
from wtai.simulator.voice import voice_note

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]
ANA = person(1)


@pytest_asyncio.fixture(loop_scope="module")
async def desk(data_dir: Path, browser: Browser, complaints: Complaints) -> AsyncIterator[Desk]:
    async with open_staff(data_dir) as staff, seated(staff, browser, complaints) as opened:
        staff.world.twilio.statuses = ("sent", "delivered", "read")
        yield opened


async def live(page: Page) -> None:
    await expect(page.locator("#live")).to_have_attribute("data-state", "live")


async def test_the_keyboard_alone_leads_from_the_first_words_to_the_end(desk: Desk) -> None:
    staff = desk.staff
    conversation = await staff.conversation(ANA, "Oi, meu pedido não chegou")
    page = await desk.log_in(path=f"/console/c/{conversation}", locale="en")
    await live(page)
    staff.world.model.latency_seconds = 4.0
    await staff.world.say(ANA, "alguém pode ver?")
    await expect(page.locator("#talk-tail")).to_contain_text("alguém pode ver?")
    await expect(page.locator("#talk-heard")).to_contain_text("alguém pode ver?")
    await page.keyboard.press("t")
    await expect(page.locator("#talk-bar")).to_contain_text("With Ana Chefe")
    await page.keyboard.press("r")
    await expect(page.locator("#talk-text")).to_be_focused()
    await page.keyboard.type("Já vejo: té ~ ãé t b e n")
    await page.keyboard.press("Control+Enter")
    await expect(page.locator("#talk-text")).to_have_value("")
    await staff.world.until(lambda: len(staff.world.sent_to(ANA)) == 2)
    assert staff.world.sent_to(ANA)[1].body == "Já vejo: té ~ ãé t b e n"
    await expect(page.locator(".msg.staff .tick.read")).to_be_visible()
    staff.world.model.latency_seconds = 0.0
    await page.keyboard.press("Escape")
    await page.keyboard.press("n")
    await page.keyboard.type("ligar amanhã")
    await page.keyboard.press("Control+Enter")
    await expect(page.locator(".msg.note")).to_contain_text("ligar amanhã")
    assert await violations(page) == []
    await shoot(page, "conversation-note")
    await page.keyboard.press("Escape")
    await page.keyboard.press("b")
    await expect(page.locator("#talk-tail")).to_contain_text("Ana Chefe handed back to the AI")
    await staff.world.say(ANA, "obrigado, e o recibo?")
    await expect(page.locator("#talk-tail .msg.agent").last).to_contain_text("e o recibo?")
    await takes_its_time(page)
    await page.keyboard.press("e")
    await expect(page.locator("#notices [data-undo]")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.locator("#notices .notice")).to_have_count(0)
    await expect(page.locator("#talk-close")).to_be_visible()
    await page.keyboard.press("e")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(page.locator("#talk-says")).to_contain_text("Ana Chefe closed the conversation")
    bodies = [message.body for message in staff.world.sent_to(ANA)]
    assert len([body for body in bodies if "alguém pode ver?" in body and "recibo" not in body]) == 0


@pytest.mark.parametrize("width", [1440, 1000])
async def test_a_conversation_is_labelled_by_keys_from_the_list_or_from_within(desk: Desk, width: int) -> None:
    staff = desk.staff
    conversation = await staff.conversation(ANA)
    await staff.conversation(person(2))
    page = await desk.log_in(path="/console?tab=all", locale="en", width=width)
    await page.keyboard.press("l")
    assert await page.locator("#talk").count() == 0, "nothing is open, and no line has the focus"
    for name in ("Atacado", "Reclamação"):
        assert (await staff.admin.post("/console/labels", {"name": name, "colour": "red"})).status == 303
    await page.locator(f"#row-{conversation} a").focus()
    await page.keyboard.press("l")
    choice = page.locator("#talk-about .label-form select")
    await expect(choice).to_be_focused()
    await expect(page).to_have_url(f"{desk.url}/console/c/{conversation}?tab=all")
    await page.keyboard.type("Recl")
    await page.keyboard.press("Enter")
    await expect(page.locator("#talk-about .labelled")).to_contain_text("Reclamação")
    await expect(page.locator(f"#row-{conversation} .label")).to_have_text(["Reclamação"])
    assert await violations(page) == []
    await page.locator("#thread").focus()
    await page.keyboard.press("l")
    await expect(choice).to_be_focused()
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(page.locator(f"#row-{conversation} .label")).to_have_text(["Atacado", "Reclamação"])
    await page.locator("#thread").focus()
    await page.keyboard.press("l")
    await expect(page.get_by_label("Take off the label Atacado")).to_be_focused()


async def test_what_is_written_survives_a_reload_what_moves_and_a_colleague(desk: Desk) -> None:
    staff = desk.staff
    conversation = await staff.conversation(ANA)
    page = await desk.log_in(path=f"/console/c/{conversation}", locale="en")
    other = await desk.log_in(AGENT, path=f"/console/c/{conversation}", locale="en")
    await live(page)
    await live(other)
    async with page.expect_response(lambda answer: answer.url.endswith("/draft")):
        await page.locator("#talk-text").press_sequentially("Um instante")
    await expect(other.locator("#talk-here")).to_contain_text("Ana Chefe is writing…")
    await staff.world.say(ANA, "estou esperando")
    await expect(page.locator("#talk-tail")).to_contain_text("estou esperando")
    await expect(page.locator("#talk-text")).to_be_focused()
    await page.locator("#talk-text").press_sequentially(", por favor")
    await page.reload()
    await expect(page.locator("#talk-text")).to_have_value("Um instante, por favor")
    await staff.world.at_rest()
    await page.route("**/live?since=*", lambda route: route.fulfill(status=204))  # Ana sends before she sees what Bia wrote
    await other.fill("#talk-text", "Já chegou a entrega!")
    await other.keyboard.press("Control+Enter")
    await expect(other.locator("#talk-tail .msg.staff")).to_have_count(1)
    await page.locator("#talk-text").press("Control+Enter")
    await expect(page.locator("#notices [role=alert]")).to_contain_text("A colleague has just replied.")
    await expect(page.locator("#talk-tail .msg.staff")).to_have_text(re.compile("Já chegou a entrega!"))
    await expect(page.locator("#talk-text")).to_have_value("Um instante, por favor")
    assert [line for line in desk.complaints.heard if "409" not in line] == []
    desk.complaints.heard.clear()
    await page.locator("#talk-text").press("Control+Enter")
    await expect(page.locator("#talk-tail .msg.staff")).to_have_count(2)
    await expect(page.locator("#talk-text")).to_have_value("")
    await page.reload()
    await expect(page.locator("#talk-text")).to_have_value("")


async def test_closed_windows_long_pasts_and_playing_audio(desk: Desk) -> None:
    staff = desk.staff
    conversation = await staff.conversation(ANA)
    await add_template(staff)
    fill(staff, conversation, 130)
    await staff.world.say(ANA, "", media=[("audio/ogg", voice_note("dois pães", seconds=20))])
    await staff.world.at_rest()
    page = await desk.log_in(path=f"/console/c/{conversation}", locale="en", height=700)
    await live(page)
    assert await page.locator("#talk-log").evaluate("(log) => log.scrollTop") == 0
    await expect(page.locator("#talk-tail li.msg").last).to_be_in_viewport()
    await page.locator("audio").evaluate("(audio) => { window.audio = audio; audio.muted = true; return audio.play(); }")
    top = await page.locator("#talk-tail li.msg").first.get_attribute("id")
    await page.locator("#talk-log").evaluate("(log) => { log.scrollTop = -log.scrollHeight; }")
    await expect(page.locator("#talk-older li.msg").first).to_be_attached()
    await staff.world.say(ANA, "e agora?")
    await expect(page.locator("#talk-down")).to_be_visible()
    await expect(page.locator(f"#{top}")).to_be_in_viewport()
    assert await page.evaluate("!window.audio.paused && window.audio.isConnected")
    await page.click("#talk-down")
    await expect(page.locator("#talk-tail li.msg").last).to_be_in_viewport()
    await staff.world.at_rest()
    close_window(staff, conversation)
    await page.reload()
    await expect(page.locator("#talk-text")).to_be_disabled()
    await expect(page.locator("#talk-bar")).to_contain_text("24-hour window closed")
    assert await violations(page) == []
    await shoot(page, "conversation-window-closed")
    await page.fill("input[name=var_1]", "Ana")
    await page.click("text=Send the template")
    await expect(page.locator("#talk-tail li.msg.staff")).to_contain_text("retorno")
    await staff.world.say(ANA, "voltei")
    await expect(page.locator("#talk-text")).to_be_enabled()


async def test_canned_replies_are_found_by_a_slash(desk: Desk) -> None:
    staff = desk.staff
    conversation = await staff.conversation(ANA)
    for name, text in (("ola", "Olá! Como posso ajudar?"), ("pix", "Nossa chave é 123.")):
        await staff.admin.post("/console/settings/canned", {"shortcut": name, "text": text})
    page = await desk.log_in(path=f"/console/c/{conversation}", locale="en")
    await page.locator("#talk-text").press_sequentially("/")
    await expect(page.locator("#talk-canned [role=option]:visible")).to_have_count(2)
    assert await violations(page) == []
    await page.keyboard.type("pi")
    await expect(page.locator("#talk-canned [aria-selected=true]:visible")).to_contain_text("/pix")
    await page.keyboard.press("Enter")
    await expect(page.locator("#talk-text")).to_have_value("Nossa chave é 123.")
    await page.keyboard.press("Control+Enter")
    await staff.world.until(lambda: len(staff.world.sent_to(ANA)) == 2)
    await page.goto(f"{desk.url}/console/settings/canned")
    assert await violations(page) == []
    await shoot(page, "canned")


LOOKS = [(1440, False, "pt-BR"), (1440, True, "en"), (390, True, "pt-BR"), (320, False, "en")]


async def test_it_looks_right(desk: Desk) -> None:
    staff = desk.staff
    conversation = await staff.conversation(ANA, "Oi! Meu pedido *1042* ainda não chegou, vocês podem ver para mim?")
    await staff.world.say(ANA, "", media=[("audio/ogg", voice_note("é para hoje à tarde"))])
    await staff.world.at_rest()
    await staff.admin.post(f"/console/c/{conversation}/reply", {"text": "Claro, já estou vendo.", "once": "um"})
    await staff.admin.post(f"/console/c/{conversation}/note", {"text": "Cliente antiga.", "once": "dois"})
    await staff.world.until(lambda: {row["status"] for row in staff.world.outbound()} == {"read"})
    with editing(staff) as connection:
        connection.execute("UPDATE messages SET status = 'failed', error_code = 63016 WHERE author = 'staff'")
        connection.execute("UPDATE conversations SET summary = 'Espera o pedido 1042.'")
    for width, dark, locale in LOOKS:
        page = await desk.log_in(path=f"/console/c/{conversation}", width=width, dark=dark, locale=locale, height=844)
        await live(page)
        name = f"conversation-{width}-{'dark' if dark else 'light'}-{locale}"
        assert await violations(page) == []
        assert await page.evaluate(SPILLING) == []
        await shoot(page, name)
        if width < 720:
            await page.click("#talk-info")
            await expect(page.locator("#talk-about")).to_be_visible()
            assert await violations(page) == []
            await page.keyboard.press("Escape")
            await expect(page.locator("#talk-about")).to_be_hidden()
        await page.click(".msg.agent button.look >> nth=0")
        await expect(page.locator("#talk-sheet-body h3").first).to_be_visible()
        assert await violations(page) == []
        assert await page.evaluate(SPILLING) == []
        await shoot(page, f"{name}-trace")
        await page.context.close()
