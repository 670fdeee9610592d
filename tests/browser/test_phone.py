"""The phone page in a real browser, over the real program."""

import asyncio
import re
import shlex
from urllib.parse import parse_qsl

import aiohttp
import pytest
from playwright.async_api import Browser, Page, expect

from tests.browser.conftest import Complaints, Simulator
from wtai.channels.twilio.signature import is_signed
from wtai.simulator.twilio_faults import TwilioFault
from wtai.simulator.voice import voice_note

# One browser for all tests: its event loop is theirs.
pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

ANA = "whatsapp:+5511987654321"
MINE, THEIRS = ".bubble.mine", ".bubble.theirs:not(.dots)"

# What reaches beyond the screen, but for the row of suggestions, which is swiped.
SPILLING = """
[...document.querySelectorAll('body, body *:not(.suggestions, .suggestions *)')]
    .filter((node) => node.checkVisibility() && getComputedStyle(node).position !== 'absolute')
    .filter((node) => node.getBoundingClientRect().right > innerWidth + 1)
    .map((node) => `${node.tagName}#${node.id}.${node.className}`)
"""


async def write(page: Page, text: str) -> None:
    await page.fill("#text", text)
    await page.press("#text", "Enter")


async def becomes_true(page: Page, expression: str) -> None:
    """As the page's policy forbids eval, playwright's own wait_for_function cannot be used."""
    async with asyncio.timeout(30):
        while not await page.evaluate(expression):  # noqa: ASYNC110 - the condition is in another process
            await asyncio.sleep(0.05)


async def test_a_message_becomes_a_webhook_and_its_answer_appears_with_ticks(page: Page, simulator: Simulator) -> None:
    await write(page, "oi, tudo bem?")
    await expect(page.locator(MINE)).to_contain_text("oi, tudo bem?")
    await expect(page.locator(f"{MINE} .meta [role=img]")).to_have_attribute("aria-label", "recebida pelo programa (200)")
    await expect(page.locator(THEIRS)).to_contain_text("eco: oi, tudo bem?")
    await expect(page.locator(f"{THEIRS} .meta [role=img]")).to_have_attribute("aria-label", "lida")
    await expect(page.locator("#text")).to_have_value("")
    assert [(sent.to, sent.body) for sent in simulator.world.twilio.accepted] == [(ANA, "eco: oi, tudo bem?")]


async def test_an_answer_on_its_way_is_shown_until_it_is_there(page: Page, simulator: Simulator) -> None:
    simulator.world.model.latency_seconds = 3.0
    await write(page, "oi")
    await expect(page.locator("#presence")).to_have_text("aguardando resposta…")
    await expect(page.locator(".dots")).to_be_visible()
    await expect(page.locator(THEIRS)).to_contain_text("eco: oi")
    await expect(page.locator(".dots")).to_have_count(0)


async def test_what_a_message_says_stays_text(page: Page) -> None:
    attack = "*<img src=x onerror=alert(1)>* <script>document.title='roubado'</script> [x](javascript:alert(1))"
    await write(page, attack)
    for bubble in (MINE, THEIRS):
        await expect(page.locator(bubble)).to_contain_text("<script>document.title='roubado'</script>")
        await expect(page.locator(f"{bubble} strong")).to_have_text("<img src=x onerror=alert(1)>")
        assert await page.locator(f"{bubble} :is(img, script, a)").count() == 0
    assert await page.title() == "wtai simulador"


async def test_whatsapps_formatting_is_shown_and_arithmetic_is_not_taken_for_it(page: Page) -> None:
    await write(page, "*negrito* e _itálico_ e ~riscado~ e `código`, mas 2*3*4 não")
    bubble = page.locator(MINE)
    await expect(bubble.locator("strong")).to_have_text("negrito")
    await expect(bubble.locator("em")).to_have_text("itálico")
    await expect(bubble.locator("s")).to_have_text("riscado")
    await expect(bubble.locator("code")).to_have_text("código")
    await expect(bubble).to_contain_text("mas 2*3*4 não")


async def test_an_uploaded_audio_file_becomes_a_voice_bubble_that_plays(page: Page, simulator: Simulator) -> None:
    note = voice_note("um pão, por favor", seconds=3.0)
    await page.set_input_files("#audio-file", files=[{"name": "nota.ogg", "mimeType": "audio/ogg", "buffer": note}])
    audio = page.locator(f"{MINE} audio")
    await expect(audio).to_be_visible()
    await becomes_true(page, "document.querySelector('.mine audio').duration > 2.5")
    await simulator.world.twilio.until(lambda: bool(simulator.world.twilio.posted))
    form = dict(simulator.world.twilio.posted[0].webhook.form)
    assert (form["MessageType"], form["MediaContentType0"], form["NumMedia"]) == ("audio", "audio/ogg", "1")
    assert simulator.world.value("SELECT content_type FROM media") == "audio/ogg"


async def test_a_recorded_voice_message_is_sent(page: Page, simulator: Simulator) -> None:
    await page.click("#record")
    await expect(page.locator("#recording")).to_be_visible()
    await page.wait_for_timeout(2_000)
    await page.click("#record")
    await expect(page.locator(f"{MINE} audio")).to_be_visible()
    (media,) = simulator.world.twilio.messages.media.values()
    assert media.content_type.startswith("audio/")
    assert len(media.data) > 500


async def test_an_image_and_a_place_become_bubbles_of_their_kind(page: Page, simulator: Simulator) -> None:
    pixel = bytes.fromhex(
        "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154789c63f8cfc0000003010100c9fe92ef"
        "0000000049454e44ae426082"
    )
    await page.set_input_files("#image-file", files=[{"name": "foto.png", "mimeType": "image/png", "buffer": pixel}])
    await expect(page.locator(f"{MINE} img")).to_have_attribute("alt", "Imagem enviada por Ana Lima")
    await becomes_true(page, "document.querySelector('.mine img').naturalWidth === 1")
    await page.click("#attach summary")
    await page.click("#attach-place")
    await page.click("#place-form [type=submit]")
    await expect(page.locator(f"{MINE} .place")).to_contain_text("Praça da Sé")
    await simulator.world.until(lambda: simulator.world.value("SELECT count(*) FROM messages WHERE kind = 'location'") == 1)


async def test_a_webhook_copied_as_curl_is_the_request_that_was_made(page: Page, simulator: Simulator) -> None:
    await write(page, "acentuação & 'aspas'")
    await page.click("#webhooks .entry:last-of-type summary")
    await page.click("#webhooks .entry:last-of-type .copy")
    await expect(page.locator("#toast")).to_have_text("Copiado.")
    command = await page.evaluate("navigator.clipboard.readText()")
    posted = simulator.world.twilio.posted[0]
    words = shlex.split(command)
    headers = dict(words[at + 1].split(": ", 1) for at, word in enumerate(words) if word == "-H")
    form = parse_qsl(words[words.index("--data-raw") + 1], keep_blank_values=True)
    assert words[:4] == ["curl", "-X", "POST", posted.webhook.target]
    assert dict(form)["Body"] == "acentuação & 'aspas'"
    assert is_signed(
        public_url=simulator.world.twilio.webhook_url,
        raw_path="/webhooks/twilio/inbound",
        form=form,
        signatures=[headers["X-Twilio-Signature"]],
        settings=(),
        tokens=[simulator.world.line.token],
    )


async def test_a_redelivered_webhook_is_acknowledged_and_changes_nothing(page: Page, simulator: Simulator) -> None:
    await write(page, "só uma vez")
    await expect(page.locator(THEIRS)).to_contain_text("eco")
    await page.click("#webhooks .entry:last-of-type summary")
    await page.click("#webhooks .entry:last-of-type .again")
    await expect(page.locator("#toast")).to_have_text("Entregue de novo: resposta 200.")
    await simulator.world.at_rest()
    assert len(simulator.world.twilio.accepted) == 1
    assert simulator.world.value("SELECT count(*) FROM messages WHERE direction = 'inbound'") == 1


async def test_the_call_to_twilio_is_shown_as_sent_with_its_callbacks(page: Page, simulator: Simulator) -> None:
    await write(page, "oi")
    await page.click("#tab-requests")
    entry = page.locator("#requests .entry").filter(has_text="POST")
    await entry.locator("summary").click()
    for name, value in simulator.world.twilio.accepted[0].form:
        await expect(entry.locator(f"tr:has(th:text-is('{name}')) td")).to_have_text(value)
    await expect(entry.locator(".chain li")).to_have_count(3)
    await expect(entry.locator(".chain")).to_contain_text(re.compile(r"sent.*delivered.*read"))
    assert "Authorization" not in await page.content()


async def test_an_armed_fault_strikes_once_and_only_this_customer(page: Page, simulator: Simulator) -> None:
    await page.click("#tab-faults")
    await page.get_by_role("button", name="Armar 63016").click()
    await expect(page.locator("#armed")).to_contain_text("63016")
    assert simulator.world.twilio.faults.take(TwilioFault.OUTSIDE_WINDOW, to="whatsapp:+5521998765432") is None
    await write(page, "oi")
    failed = page.locator(f"{THEIRS}.failed")
    await expect(failed).to_contain_text("não entregue, código 63016")
    await write(page, "de novo")
    await expect(page.locator(THEIRS)).to_have_count(2)
    await expect(failed).to_have_count(1)


async def test_every_fault_of_the_fake_can_be_armed_by_name_and_has_an_explanation(page: Page) -> None:
    await page.click("#tab-faults")
    rows = page.locator(".kinds li")
    assert await rows.locator("code").all_inner_texts() == [str(kind) for kind in TwilioFault]
    for text in await rows.locator("span").all_inner_texts():
        assert not text.startswith("fault.")


async def test_a_number_can_be_added_and_a_wrong_one_is_told(page: Page, simulator: Simulator) -> None:
    await page.fill("#number", "123")
    await page.press("#number", "Enter")
    await expect(page.locator("#number-error")).to_contain_text("de 8 a 15 dígitos")
    await page.fill("#number", "+34 600 123 456")
    await page.press("#number", "Enter")
    await write(page, "hola")
    await expect(page.locator(THEIRS)).to_contain_text("eco: hola")
    assert simulator.world.twilio.accepted[0].to == "whatsapp:+34600123456"
    await page.reload()
    await expect(page.locator(".contact")).to_have_count(4)


async def test_it_can_be_used_with_the_keyboard_alone(page: Page, simulator: Simulator) -> None:
    await page.locator(".contact").nth(1).focus()
    await page.keyboard.press("Enter")
    await expect(page.locator("#text")).to_be_focused()
    await page.keyboard.type("sem mouse")
    await page.keyboard.press("Enter")
    await expect(page.locator(THEIRS)).to_contain_text("eco: sem mouse")
    assert simulator.world.twilio.accepted[0].to == "whatsapp:+5521998765432"
    await page.locator("#tab-webhooks").focus()
    await page.keyboard.press("ArrowRight")
    await expect(page.locator("#tab-requests")).to_be_focused()
    await expect(page.locator("#requests")).to_be_visible()
    unnamed = await page.evaluate(
        "[...document.querySelectorAll('button, input:not([hidden]), textarea, summary')].filter("
        "(node) => !node.ariaLabel && !node.textContent.trim() && !node.labels?.length).length"
    )
    assert unnamed == 0


@pytest.mark.parametrize("width", [320, 390])
async def test_a_narrow_screen_shows_one_pane_and_never_scrolls_sideways(
    browser: Browser, simulator: Simulator, complaints: Complaints, width: int
) -> None:
    page = await browser.new_page(locale="pt-BR", viewport={"width": width, "height": 640})
    complaints.listen(page, simulator.url)
    await page.goto(simulator.url)
    await page.click(".contact >> nth=0")
    await write(page, "https://example.com/" + "a" * 200 + " " + "palavra" * 40)
    await expect(page.locator(THEIRS)).to_be_visible()
    for pane, opener in (("chat", None), ("inspector", "#inspect"), ("chat", "#inspector-back"), ("contacts", "#back")):
        if opener:
            await page.click(opener)
        await expect(page.locator("#shell")).to_have_attribute("data-pane", pane)
        assert await page.evaluate(SPILLING) == []
        assert await page.evaluate("document.scrollingElement.scrollWidth") <= width
    await page.close()


async def test_both_languages_have_every_text_and_the_choice_is_kept(page: Page, simulator: Simulator) -> None:
    await page.click("#language")
    assert await page.get_attribute("html", "lang") == "en"
    await expect(page.locator(".contacts h2")).to_have_text("Customers")
    await page.reload()
    await expect(page.locator(".contacts h2")).to_have_text("Customers")
    source = await (await page.request.get(f"{simulator.url}/texts.js")).text()
    portuguese, english = source.split("\n  en: {")
    names = re.compile(r'^ {4}"?([\w.]+)"?:', re.MULTILINE)
    assert set(names.findall(portuguese)) == set(names.findall(english))


async def test_the_theme_can_be_switched_and_is_kept(page: Page) -> None:
    async def background() -> str:
        return await page.evaluate("getComputedStyle(document.body).backgroundColor")

    light = await background()
    await page.click("#theme")
    dark = await background()
    assert dark != light
    await page.reload()
    assert await background() == dark


async def test_a_lost_connection_is_shown_and_what_was_missed_is_caught_up(
    page: Page, simulator: Simulator, complaints: Complaints
) -> None:
    await expect(page.locator("#live")).to_have_text("ao vivo")
    port = int(simulator.url.rpartition(":")[2])
    await simulator.phone.close()
    await expect(page.locator("#live")).to_have_text("reconectando…")
    await simulator.world.say(ANA, "enquanto isso")
    await asyncio.sleep(0.2)
    await simulator.phone.start(port=port)
    await expect(page.locator(MINE)).to_contain_text("enquanto isso")
    await expect(page.locator("#live")).to_have_text("ao vivo")
    complaints.heard.clear()  # the browser says that it could not connect


async def test_a_second_tab_sees_the_same_conversation(page: Page, simulator: Simulator) -> None:
    other = await page.context.new_page()
    await other.goto(simulator.url)
    await write(page, "nos dois")
    await expect(other.locator(THEIRS)).to_contain_text("eco: nos dois")


async def test_other_sites_neither_read_nor_act_and_a_customers_file_never_runs(simulator: Simulator) -> None:
    html = ("text/html", b"<script>alert(1)</script>")
    await simulator.world.say(ANA, "", media=[html])
    (sid,) = simulator.world.twilio.messages.media
    async with aiohttp.ClientSession(simulator.url) as session:
        async with session.get("/state", headers={"Sec-Fetch-Site": "cross-site"}) as refused:
            assert refused.status == 403
        async with session.get(f"/media/{sid}") as media:
            assert media.headers["Content-Disposition"] == "attachment"
            assert "sandbox" in media.headers["Content-Security-Policy"]
            assert media.headers["X-Content-Type-Options"] == "nosniff"
        async with session.post("/messages", json={"from": "whatsapp:+5511987654321"}) as empty:
            assert (empty.status, await empty.text()) == (400, "a message has a body, a file or a location")
        async with session.get("/media/nada") as absent, session.get("/nada.js") as none:
            assert (absent.status, none.status) == (404, 404)
