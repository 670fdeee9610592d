"""The inbox in a real browser: it keeps up with what moves, opens what is chosen, and is worked with the keyboard alone."""

import asyncio
import statistics
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from tests.browser.conftest import Complaints
from tests.browser.desk import SPILLING, Desk, seated, shoot, violations
from tests.program import person
from tests.web.console_client import open_staff
from tests.web.inbox_data import fill
from wtai.clock import MINUTE, SystemClock
from wtai.db.sqlite import connect

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

ROW = "#rows li[data-id]"
EVIL = "<img src=x onerror=window.owned=1>\"'><script>window.owned=1</script>{{7*7}}"
KEYDOWN = """([key, init]) => {
    const event = new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true, ...init });
    document.activeElement.dispatchEvent(event);
    return event.defaultPrevented;
}"""
SEEN = """(text) => new Promise((seen) => {
    const look = () => document.getElementById("rows").textContent.includes(text) && seen(Date.now());
    if (!look()) new MutationObserver((_, observer) => look() && observer.disconnect())
        .observe(document.getElementById("rows"), { childList: true, subtree: true, characterData: true });
})"""
WEIGHT = """() => [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
    .reduce((sum, entry) => sum + entry.transferSize, 0)"""


@pytest_asyncio.fixture(loop_scope="module")
async def desk(data_dir: Path, browser: Browser, complaints: Complaints) -> AsyncIterator[Desk]:
    async with open_staff(data_dir) as staff, seated(staff, browser, complaints) as opened:
        yield opened


async def focused(page: Page) -> str:
    return str(await page.evaluate("document.activeElement.closest('[data-id]')?.dataset.id ?? document.activeElement.id"))


async def test_a_row_appears_and_moves_while_it_is_looked_at(desk: Desk) -> None:
    page = await desk.log_in(path="/console?tab=all", locale="en")
    await expect(page.locator("#live")).to_have_text("Live")
    await expect(page.locator("#rows")).to_contain_text("Waiting for the first message")
    took = []
    for number in range(5):
        text = f"mensagem número {number}"
        seen = asyncio.ensure_future(page.evaluate(SEEN, text))
        await asyncio.sleep(0.05)
        asked = SystemClock().now()
        assert (await desk.staff.world.say(person(number % 2), text)).status == 200
        took.append(await seen - asked)
        await desk.staff.world.at_rest()
    assert statistics.median(took) < 3_000, took
    await expect(page.locator(ROW)).to_have_count(2)
    await expect(page.locator(f"{ROW} .text").first).to_contain_text("eco: mensagem número 4")
    assert await page.locator("#tab-all .number").text_content() == "2"


async def test_what_is_opened_is_read_and_the_browsers_history_works(desk: Desk) -> None:
    newest, *_ = fill(desk.staff, 3, state="HANDOFF", waiting_since=SystemClock().now() - 6 * MINUTE)
    page = await desk.log_in(locale="en")
    await expect(page).to_have_title("(3) Inbox · Padaria 1")
    await expect(page.locator("#unread-badge")).to_have_text("3")
    await page.click(f"#row-{newest} a")
    await expect(page.locator("#thread")).to_contain_text("Pessoa 2")
    await expect(page).to_have_url(f"{desk.url}/console/c/{newest}")
    await expect(page.locator(f"#row-{newest}")).not_to_have_class("unread")
    await expect(page).to_have_title("(2) Pessoa 2 · Padaria 1")
    assert await focused(page) == "thread"
    await page.click("#tab-mine")
    await expect(page.locator("#rows")).to_contain_text("You have no open conversation")
    await expect(page).to_have_url(f"{desk.url}/console/c/{newest}?tab=mine")
    await page.go_back()
    await expect(page.locator(ROW)).to_have_count(3)
    await page.go_back()
    await expect(page.locator("#thread")).to_contain_text("No conversation is open")
    await expect(page).to_have_url(f"{desk.url}/console")
    await page.go_forward()
    await expect(page.locator("#thread")).to_contain_text("Pessoa 2")
    await page.reload()
    await expect(page.locator("#thread")).to_contain_text("Pessoa 2")
    await expect(page.locator(f"#row-{newest} a")).to_have_attribute("aria-current", "true")


async def test_the_list_is_worked_by_keys_and_no_key_is_taken_from_a_text(desk: Desk) -> None:
    third, second, first = fill(desk.staff, 3)
    page = await desk.log_in(path="/console?tab=all", locale="en")
    await page.keyboard.press("j")
    assert await focused(page) == third
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("j")
    assert await focused(page) == first
    await page.keyboard.press("k")
    assert await focused(page) == second
    for key, init in (
        ("j", {"altKey": True}), ("j", {"ctrlKey": True}), ("k", {"metaKey": True}), ("/", {"modifierAltGraph": True}),
        ("?", {"modifierAltGraph": True}), ("Dead", {}), ("u", {"isComposing": True}), ("j", {"keyCode": 229}), ("ã", {}),
    ):  # fmt: skip
        assert not await page.evaluate(KEYDOWN, [key, init]), f"{key} with {init} was taken"
        assert await focused(page) == second
    await page.keyboard.press("Enter")
    await expect(page).to_have_url(f"{desk.url}/console/c/{second}?tab=all")
    await expect(page.locator(f"#row-{second}")).not_to_have_class("unread")
    await page.keyboard.press("u")
    await expect(page.locator(f"#row-{second}")).to_have_class("unread")
    await page.keyboard.press("Escape")
    await expect(page).to_have_url(f"{desk.url}/console?tab=all")
    assert await focused(page) == second
    await page.keyboard.press("/")
    await page.keyboard.type("jukg? ação è")
    assert await page.input_value("#find input[name=q]") == "jukg? ação è"
    await expect(page.locator("#rows")).to_contain_text("Nothing found")
    await page.keyboard.press("Escape")  # as every browser empties a field to search in
    await page.locator("#rows").focus()
    await page.keyboard.press("?")
    await expect(page.locator("#keys")).to_be_visible()
    assert await violations(page) == []
    async with page.expect_response("**/console/keys"):
        await page.uncheck("#keys input[name=on]")
    await page.keyboard.press("Escape")
    await page.reload()
    for key in ("j", "?", "/"):
        assert not await page.evaluate(KEYDOWN, [key, {}])
    await page.click("details.menu:not(.filters) summary")
    await page.click("text=Keys")
    async with page.expect_response("**/console/keys"):
        await page.check("#keys input[name=on]")
    await page.keyboard.press("Escape")
    await expect(page.locator("#keys")).to_be_hidden()
    await expect(page.locator("#keys input[name=on]")).not_to_be_focused()  # which it stays until the next frame
    async with page.expect_navigation(url=f"{desk.url}/console/settings**"):
        await page.keyboard.type("gs")
    async with page.expect_navigation(url=f"{desk.url}/console?tab=ai"):
        await page.keyboard.type("ga")
    await page.keyboard.type("gi")
    await expect(page.locator("#tab-needs")).to_have_attribute("aria-current", "page")
    await page.keyboard.type("ga")
    await expect(page.locator("#tab-ai")).to_have_attribute("aria-current", "page")
    await expect(page.locator(ROW)).to_have_count(3)


async def test_a_long_list_goes_on_as_it_is_scrolled_and_stays_where_it_is_when_something_moves(desk: Desk) -> None:
    made = fill(desk.staff, 130)
    page = await desk.log_in(path="/console?tab=all", locale="en")
    await expect(page.locator("#live")).to_have_text("Live")
    await expect(page.locator(ROW)).to_have_count(50)
    for count in (100, 130):
        await page.locator(f"{ROW} >> nth=-1").scroll_into_view_if_needed()
        await page.evaluate("document.getElementById('rows').scrollTop = 1e9")
        await expect(page.locator(ROW)).to_have_count(count)
    assert await page.evaluate(f"[...document.querySelectorAll('{ROW}')].map((row) => row.dataset.id)") == made
    await expect(page.locator("#more")).to_have_count(0)
    await page.locator(f"#row-{made[60]} a").focus()
    before = await page.evaluate("document.getElementById('rows').scrollTop")
    await desk.staff.world.say(person(9), "olá")
    await expect(page.locator(ROW).first).to_contain_text("olá")
    await expect(page.locator(ROW)).to_have_count(130)
    assert await focused(page) == made[60]
    assert before > 100
    after = await page.evaluate("document.getElementById('rows').scrollTop")
    row = await page.evaluate(f"document.getElementById('row-{made[60]}').getBoundingClientRect().top")
    assert after >= before
    assert 0 < row < 900
    await page.evaluate(
        f"""() => {{
            const list = document.querySelector("#rows ol"), row = document.querySelector("{ROW}");
            for (let n = 0; n < 500; n++) {{ const copy = row.cloneNode(true); copy.id += `-${{n}}`; list.append(copy); }}
            document.body.dispatchEvent(new CustomEvent("moved", {{ detail: {{ ids: null }} }}));
        }}"""
    )
    await page.click("#to-top")
    await expect(page.locator(ROW)).to_have_count(50)
    assert await page.evaluate("document.getElementById('rows').scrollTop") == 0


async def test_searching_finds_people_and_messages(desk: Desk) -> None:
    await desk.staff.conversation(person(1), "cadê o meu panetone de chocolate?")
    page = await desk.log_in(locale="en")
    await page.fill("#find input[name=q]", "PANETONE choc")
    await expect(page.locator("#rows mark").first).to_have_text("panetone")
    await expect(page).to_have_url(f"{desk.url}/console?q=PANETONE+choc")
    await page.fill("#find input[name=q]", person(1)[-6:])
    await expect(page.locator("#rows h2")).to_have_text(["People"])
    await page.click(f"{ROW} a")
    await expect(page.locator("#thread")).to_contain_text(person(1)[-6:])
    with closing(connect(desk.staff.world.data_dir / "wtai.db")) as connection:  # it was long ago
        for number in range(120):
            connection.execute(
                "INSERT INTO messages (owner_id, public_id, conversation_id, direction, author, status, body, created_at,"
                " updated_at) SELECT owner_id, ?, id, 'outbound', 'staff', 'read', 'e depois?', opened_at, opened_at"
                " FROM conversations",
                (f"msg_later_{number}",),
            )
    await page.fill("#find input[name=q]", "chocolate panetone")
    await page.click("#rows li[data-message] a >> nth=-1")
    await expect(page.locator("#thread .found")).to_contain_text("cadê o meu panetone")
    await expect(page.locator("#thread .found")).to_be_in_viewport()
    await page.fill("#find input[name=q]", "nada disso")
    await page.click("text=Clear search and filters")
    await expect(page.locator("#rows")).to_contain_text("Nobody needs you")


@pytest.mark.parametrize(("width", "dark", "locale"), [(1440, False, "pt-BR"), (1440, True, "en"), (320, True, "pt-BR")])
async def test_the_inbox_looks_right_and_is_light_whatever_people_are_called(
    desk: Desk, width: int, dark: bool, locale: str
) -> None:
    made = fill(desk.staff, 20, state="HANDOFF", waiting_since=SystemClock().now() - 40 * MINUTE)
    with closing(connect(desk.staff.world.data_dir / "wtai.db")) as connection:
        connection.execute("UPDATE users SET name = ? WHERE role = 'user' AND id % 3 = 0", (EVIL,))
        connection.execute("UPDATE users SET name = NULL WHERE role = 'user' AND id % 3 = 1")
        connection.execute("UPDATE messages SET body = ? WHERE id % 2 = 0", (EVIL,))
    assert (await desk.staff.admin.post("/console/labels", {"name": EVIL[:40], "colour": "purple"})).status == 303
    label = desk.staff.world.value("SELECT public_id FROM labels")
    await desk.staff.admin.post(f"/console/c/{made[0]}/labels", {"label": label})
    page = await desk.log_in(width=width, dark=dark, locale=locale)
    await expect(page.locator(ROW)).to_have_count(20)
    assert await page.evaluate(WEIGHT) < 120 * 1024
    name = f"{width}-{'dark' if dark else 'light'}-{locale}"
    assert await violations(page) == []
    assert await page.evaluate(SPILLING) == []
    await shoot(page, f"inbox-{name}")
    await page.click("#filters summary")
    assert await violations(page) == []
    assert await page.evaluate(SPILLING) == []
    await page.keyboard.press("Escape")
    await page.fill("#find input[name=q]", "onerror")
    await expect(page.locator("#rows mark").first).to_be_visible()
    assert await violations(page) == []
    await page.click(f"{ROW} a >> nth=0")
    if width < 720:
        await expect(page.locator("#list")).to_be_hidden()
        await page.click("#back")
        await expect(page.locator("#list")).to_be_visible()
    await page.goto(f"{desk.url}/console/labels")
    assert await violations(page) == []
    assert await page.evaluate(SPILLING) == []
    assert await page.evaluate("window.owned") is None


async def test_without_script_the_list_is_links(desk: Desk) -> None:
    made = fill(desk.staff, 60)
    context = await desk.browser.new_context(java_script_enabled=False, locale="en")
    desk.contexts.append(context)
    page = await context.new_page()
    await page.goto(f"{desk.url}/console/login?next=/console?tab=ai")
    await page.fill("input[name=email]", "ana@padaria.example")
    await page.fill("input[name=password]", "quatro cavalos azuis")
    await page.click("main button.wide")
    await page.click("text=Show more")
    await page.click(f"#row-{made[55]} a")
    assert page.url == f"{desk.url}/console/c/{made[55]}?tab=ai"
    await expect(page.locator("#thread")).to_contain_text("Pessoa 4")
    await page.fill("#find input[name=q]", "Pessoa 7")
    await page.press("#find input[name=q]", "Enter")
    await expect(page.locator("#rows h2").first).to_have_text("People")
