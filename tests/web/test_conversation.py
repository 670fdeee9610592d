"""What staff do in a conversation: each act does what it says, once, and only where it makes sense."""

import pytest

from tests.program import person
from tests.web.console_client import ADMIN, AGENT, Staff
from tests.web.conversation_page import act, editing, field, page, public, state, words
from wtai.web.console.conversation import PAGES

ANA = person(1)


async def test_who_takes_over_has_it_and_the_ai_is_silent(staff: Staff) -> None:
    conversation = await staff.conversation(ANA)
    assert "The AI is answering. If you write, you take over." in words(await page(staff.admin, conversation))
    taken = await act(staff.admin, conversation, "take")
    assert (taken.status, state(staff, conversation)) == (200, "HANDOFF")
    assert "Ana Chefe took over" in words(taken.text)
    await staff.world.say(ANA, "alguém aí?")
    await staff.world.at_rest()
    assert len(staff.world.sent_to(ANA)) == 1
    assert "Ana Chefe has this conversation." in words(await page(staff.agent, conversation))
    await act(staff.agent, conversation, "take")
    assert "With Bia Atende" in words(await page(staff.admin, conversation))
    done = staff.world.rows("SELECT actor, action, target FROM audit_log WHERE action = 'conversations.take_over' ORDER BY id")
    assert done == [
        {"actor": public(staff, email), "action": "conversations.take_over", "target": conversation} for email in (ADMIN, AGENT)
    ]


async def test_from_the_commit_of_a_takeover_no_draft_of_the_ai_goes_out(staff: Staff) -> None:
    conversation = await staff.conversation(ANA)
    staff.world.model.latency_seconds = 3.0
    asked, read = staff.world.model.counts.total(), len(staff.world.model.requests)
    await staff.world.say(ANA, "me conta uma história longa")
    await staff.world.until(lambda: staff.world.model.counts.total() > asked)
    assert (await act(staff.admin, conversation, "take")).status == 200
    await staff.world.until(lambda: len(staff.world.model.requests) > read)
    await staff.world.at_rest()
    assert len(staff.world.sent_to(ANA)) == 1


async def test_handed_back_the_ai_answers_what_nobody_answered(staff: Staff) -> None:
    conversation = await staff.conversation(ANA)
    assert (await act(staff.admin, conversation, "back")).status == 409
    await act(staff.admin, conversation, "take")
    await staff.world.say(ANA, "e o meu pedido?")
    back = await act(staff.admin, conversation, "back")
    assert "Ana Chefe handed back to the AI" in words(back.text)
    assert (await staff.world.answers_to(ANA, 2))[1].endswith("e o meu pedido?")
    assert staff.world.value("SELECT assignee_id FROM conversations") is None


async def test_closed_is_what_was_seen_and_not_what_came_since(staff: Staff) -> None:
    conversation = await staff.conversation(ANA)
    version = field(await page(staff.admin, conversation), "version", form="talk-close")
    await act(staff.admin, conversation, "take")
    stale = await act(staff.admin, conversation, "close", version=version)
    assert (stale.status, stale.headers["HX-Retarget"]) == (412, "#notices")
    assert "Somebody changed it in the meantime" in words(stale.text)
    assert (await act(staff.admin, conversation, "close")).status == 422
    version = field(await page(staff.admin, conversation), "version", form="talk-close")
    closed = await act(staff.admin, conversation, "close", version=version)
    assert (closed.status, state(staff, conversation)) == (200, "SUPPORT_CLOSED")
    assert "Ana Chefe closed the conversation" in words(closed.text)
    seen, once = field(closed.text, "seen"), field(closed.text, "once")
    version = str(staff.world.value("SELECT version FROM conversations"))
    for what, form in (
        ("take", {}),
        ("back", {}),
        ("close", {"version": version}),
        ("assign", {"user": public(staff, AGENT)}),
        ("reply", {"text": "oi", "once": once, "seen": seen}),
    ):
        refused = await act(staff.admin, conversation, what, **form)
        assert (refused.status, refused.headers["HX-Retarget"]) == (409, "#notices"), what
    assert state(staff, conversation) == "SUPPORT_CLOSED"


async def test_a_conversation_is_given_to_colleagues_alone(staff: Staff) -> None:
    conversation = await staff.conversation(ANA)
    customer = staff.world.value("SELECT public_id FROM users WHERE role = 'user'")
    for nobody in (customer, public(staff, "outra@loja.example"), "usr_nobody"):
        assert (await act(staff.admin, conversation, "assign", user=nobody)).status == 422
    assert state(staff, conversation) == "WAITING_USER"
    given = await act(staff.admin, conversation, "assign", user=public(staff, AGENT))
    assert (given.status, state(staff, conversation)) == (200, "HANDOFF")
    assert "With Bia Atende" in words(given.text)
    assert "Waits for the team" in words((await act(staff.agent, conversation, "assign", user="")).text)
    with editing(staff) as connection:
        connection.execute("UPDATE users SET status = 'disabled' WHERE email = ?", (AGENT,))
    assert (await act(staff.admin, conversation, "assign", user=public(staff, AGENT))).status == 422


async def test_a_note_is_kept_once_and_never_sent(staff: Staff) -> None:
    conversation = await staff.conversation(ANA)
    once = field(await page(staff.admin, conversation), "once", form="talk-note")
    for _ in range(2):
        kept = await act(staff.admin, conversation, "note", text="cliente *antiga*", once=once)
        assert kept.status == 200
        assert kept.text.count("cliente <strong>antiga</strong>") == 1
    assert "Only the team sees this" in words(kept.text)
    assert staff.world.value("SELECT count(*) FROM audit_log WHERE action = 'conversations.note'") == 1
    assert len(staff.world.outbound()) == 1
    assert state(staff, conversation) == "WAITING_USER"


async def test_a_draft_is_kept_for_whoever_wrote_it_until_it_is_sent(staff: Staff) -> None:
    conversation = await staff.conversation(ANA)
    shown = await page(staff.admin, conversation)
    seen, once = field(shown, "seen"), field(shown, "once")
    await act(staff.admin, conversation, "draft", kind="reply", text="Bom dia, <b>", once=once)
    await act(staff.admin, conversation, "draft", kind="note", text="lembrar", once="outro")
    mine, hers = await page(staff.admin, conversation), await page(staff.agent, conversation)
    assert ">Bom dia, &lt;b&gt;</textarea>" in mine
    assert ">lembrar</textarea>" in mine
    assert "Bom dia" not in hers
    assert (await act(staff.admin, conversation, "reply", text="Bom dia!", once=once, seen=seen)).status == 200
    late = await act(staff.admin, conversation, "draft", kind="reply", text="Bom dia!", once=once)
    assert late.status == 204, "a save that was under way when it was sent"
    assert staff.world.rows("SELECT kind, text FROM drafts") == [{"kind": "note", "text": "lembrar"}]
    await act(staff.admin, conversation, "draft", kind="note", text=" ", once="outro")
    assert staff.world.rows("SELECT kind FROM drafts") == []
    assert (await act(staff.admin, conversation, "draft", kind="poem", text="x", once="y")).status == 422


async def test_colleagues_see_who_is_there_and_who_writes(staff: Staff) -> None:
    conversation = await staff.conversation(ANA)
    before = staff.world.value("SELECT max(id) FROM changes")
    assert (await act(staff.agent, conversation, "here")).text.strip() == ""
    assert words((await act(staff.admin, conversation, "here")).text) == "Bia Atende is here too"
    assert staff.world.value("SELECT max(id) FROM changes") == before + 2, "it is news to open pages"
    await act(staff.agent, conversation, "here")
    assert staff.world.value("SELECT max(id) FROM changes") == before + 2, "and a heartbeat is not"
    await act(staff.agent, conversation, "draft", kind="reply", text="Já", once="um")
    assert "Bia Atende is writing…" in words(await page(staff.admin, conversation))
    await act(staff.agent, conversation, "here", gone="1")
    assert "Bia Atende" not in words((await act(staff.admin, conversation, "here")).text)
    other = await staff.conversation(person(2))
    assert (await act(staff.agent, other, "here")).text.strip() == ""


@pytest.mark.parametrize("of_another", [True, False])
async def test_a_conversation_that_is_not_the_owners_is_not_there(staff: Staff, of_another: bool) -> None:
    conversation = "cnv_absent"
    if of_another:
        conversation = await staff.conversation(ANA, line=staff.lines[1])
    message = staff.world.value("SELECT max(public_id) FROM messages") or "msg_absent"
    ids = {"{conversation}": conversation, "{message}": message}
    form = {"text": "oi", "once": "um", "version": "1", "kind": "reply", "template": "tpl_x", "user": ""}
    for one in PAGES:
        if "{conversation}" not in one.path:
            continue
        path = one.path
        for name, value in ids.items():
            path = path.replace(name, value)
        reply = await (staff.admin.get(path) if one.method == "GET" else staff.admin.post(path, form))
        assert reply.status == 404, path
    for table in ("drafts", "conversation_notes", "used_forms"):
        assert staff.world.rows(f"SELECT 1 FROM {table}") == []
