"""What staff send goes out once, by WhatsApp's rules, and never over the head of a colleague."""

import asyncio
import json
import re

from tests.program import person
from tests.web.console_client import ADMIN, Staff
from tests.web.conversation_page import act, close_window, editing, field, messages, page, public, state, words
from wtai.clock import SystemClock
from wtai.conversation.template_views_store import create_template

ANA = person(1)
HX = "HX" + "a" * 32


async def add_template(staff: Staff, *, owner: int = 0, name: str = "retorno", sid: str = HX) -> str:
    made = await staff.program.database.write(
        staff.lines[owner].owner_id, create_template, name, "pt-BR", sid, now=SystemClock().now()
    )
    return made.public_id


async def test_a_reply_takes_over_and_reaches_the_phone_under_the_name_of_who_wrote_it(staff: Staff) -> None:
    conversation = await staff.conversation(ANA)
    shown = await page(staff.admin, conversation)
    sent = await act(
        staff.admin, conversation, "reply", text="Já vejo, *Ana*.", once=field(shown, "once"), seen=field(shown, "seen")
    )
    assert sent.status == 200
    assert "<strong>Ana</strong>" in sent.text
    assert (await staff.world.answers_to(ANA, 2))[1] == "Já vejo, *Ana*."
    assert state(staff, conversation) == "HANDOFF"
    assert "With Ana Chefe" in words(sent.text)
    [row] = staff.world.rows("SELECT staff FROM messages WHERE author = 'staff'")
    assert row["staff"] == public(staff, ADMIN)
    assert "Ana Chefe Já vejo" in words(await page(staff.agent, conversation))
    plain = await staff.admin.post(f"/console/c/{conversation}/reply", {"text": "sem script", "once": "outro"})
    assert (plain.status, plain.headers["Location"]) == (303, f"/console/c/{conversation}")


async def test_what_is_clicked_twice_goes_out_once(staff: Staff) -> None:
    conversation = await staff.conversation(ANA)
    form = {"text": "uma vez só", "once": field(await page(staff.admin, conversation), "once"), "seen": ""}
    replies = await asyncio.gather(*[act(staff.admin, conversation, "reply", **form) for _ in range(4)])
    assert [reply.status for reply in replies] == [200] * 4
    await staff.world.at_rest()
    assert [message.body for message in staff.world.sent_to(ANA)].count("uma vez só") == 1
    assert staff.world.value("SELECT count(*) FROM audit_log WHERE action = 'messages.create'") == 1
    without = await act(staff.admin, conversation, "reply", text="sem ficha", seen="")
    assert without.status == 422


async def test_of_two_colleagues_at_once_the_second_is_shown_what_the_first_wrote_and_keeps_the_text(staff: Staff) -> None:
    conversation = await staff.conversation(ANA)
    forms = []
    for visitor, text in ((staff.admin, "resposta da Ana"), (staff.agent, "resposta da Bia")):
        shown = await page(visitor, conversation)
        forms.append((visitor, {"text": text, "once": field(shown, "once"), "seen": field(shown, "seen")}))
        await act(visitor, conversation, "draft", kind="reply", **forms[-1][1])
    replies = await asyncio.gather(*[act(visitor, conversation, "reply", **form) for visitor, form in forms])
    assert sorted(reply.status for reply in replies) == [200, 409]
    late = replies.index(next(reply for reply in replies if reply.status == 409))
    visitor, form = forms[late]
    refused = replies[late]
    assert forms[1 - late][1]["text"] in words(refused.text)
    assert "A colleague has just replied." in words(refused.text)
    assert f">{form['text']}</textarea>" in await page(visitor, conversation)
    await staff.world.at_rest()
    assert len(staff.world.sent_to(ANA)) == 2
    again = await act(visitor, conversation, "reply", **{**form, "seen": field(refused.text, "seen")})
    assert again.status == 200
    assert (await staff.world.answers_to(ANA, 3))[2] == form["text"]
    own = await act(visitor, conversation, "reply", text="e mais", once="outro", seen=field(refused.text, "seen"))
    assert own.status == 200, "what oneself wrote in another tab is no news"


async def test_outside_the_window_the_composer_offers_templates_and_the_server_refuses_text(staff: Staff) -> None:
    conversation = await staff.conversation(ANA)
    chosen, foreign = await add_template(staff), await add_template(staff, owner=1)
    close_window(staff, conversation)
    shown = await page(staff.admin, conversation)
    assert re.search(r'<fieldset class="plain-set" disabled>.*?<textarea id="talk-text"', shown, re.DOTALL)
    assert "only a template can be sent now" in words(shown)
    assert (chosen in shown, foreign in shown) == (True, False)
    refused = await act(staff.admin, conversation, "reply", text="oi", once="um", seen="")
    assert refused.status == 409
    assert "The 24-hour window is closed: choose a template." in words(refused.text)
    for wrong in ({"template": foreign}, {"template": ""}, {"template": chosen, "var_2": "só a segunda"}):
        assert (await act(staff.admin, conversation, "template", once="dois", **wrong)).status == 422
    for _ in range(2):
        sent = await act(staff.admin, conversation, "template", once="três", template=chosen, var_1="Ana", var_2="amanhã")
        assert sent.status == 200
    assert "retorno" in words(sent.text)
    await staff.world.until(lambda: len(staff.world.sent_to(ANA)) == 2)
    last = dict(staff.world.sent_to(ANA)[-1].form)
    assert (last["ContentSid"], json.loads(last["ContentVariables"])) == (HX, {"1": "Ana", "2": "amanhã"})
    await staff.world.at_rest()
    assert len(staff.world.sent_to(ANA)) == 2
    await staff.world.say(ANA, "voltei")
    assert "disabled" not in (await page(staff.admin, conversation)).partition('<textarea id="talk-text"')[0][-500:]


async def test_a_template_is_the_answer_of_who_sends_it_to_somebody_who_waits_for_a_person(staff: Staff) -> None:
    first, second = await staff.conversation(ANA), await staff.conversation(person(2))
    chosen = await add_template(staff)
    for who, conversation in ((ANA, first), (person(2), second)):
        await staff.world.say(who, "quero falar com um atendente")
        await staff.world.until(lambda waiting=conversation: state(staff, waiting) == "HANDOFF")
    close_window(staff, first)
    listed = (await staff.admin.get("/console/list", HX_Request="true")).text
    assert re.findall(r'<li id="row-(\w+)"', listed) == [first, second]
    sent = await act(staff.admin, first, "template", once="um", template=chosen, var_1="Ana", var_2="amanhã")
    assert sent.status == 200
    assert words(sent.text).count("amanhã") == 1
    assert "[modelo retorno: Ana; amanhã]" in words(sent.text)
    assert "With Ana Chefe" in words(sent.text)
    listed = (await staff.admin.get("/console/list", HX_Request="true")).text
    assert re.findall(r'<li id="row-(\w+)"', listed) == [second, first]
    assert "[modelo retorno: Ana; amanhã]" in listed
    assert "Waiting for an answer" not in listed.partition(f'row-{first}"')[2]
    await staff.world.until(lambda: len(staff.world.sent_to(ANA)) == 3)
    assert "Body" not in dict(staff.world.sent_to(ANA)[-1].form)
    assert (await act(staff.agent, first, "template", once="dois", template=chosen)).status == 200
    assert "With Ana Chefe" in words(await page(staff.agent, first)), "who has it keeps it"


async def test_a_template_takes_the_place_of_what_was_not_sent(staff: Staff) -> None:
    conversation = await staff.conversation(ANA)
    chosen = await add_template(staff)
    other = await staff.conversation(person(2))
    assert (await act(staff.admin, conversation, "reply", text="chegou tarde", once="um", seen="")).status == 200
    await staff.world.until(lambda: {row["status"] for row in staff.world.outbound()} == {"delivered"})
    close_window(staff, conversation)
    with editing(staff) as connection:
        connection.execute("UPDATE messages SET status = 'queued', parked = 'window' WHERE body = 'chegou tarde'")
    shown = await page(staff.admin, conversation)
    waiting = messages(shown)[-1]
    assert "Not sent. The 24-hour window was closed. Send a template instead." in words(shown)
    assert f'<option value="{waiting}">chegou tarde</option>' in shown
    sent = await act(staff.admin, conversation, "template", once="dois", template=chosen, instead_of=waiting)
    assert sent.status == 200
    assert "Not sent. A template was sent instead." in words(sent.text)
    wrong = await act(staff.admin, other, "template", once="três", template=chosen, instead_of=waiting)
    assert wrong.status == 422


async def test_who_opted_out_is_sent_nothing_and_the_page_says_so(staff: Staff) -> None:
    conversation = await staff.conversation(ANA)
    chosen = await add_template(staff)
    await staff.world.say(ANA, "STOP")
    await staff.world.at_rest()
    shown = await page(staff.admin, conversation)
    assert "This person wrote STOP and wants no messages." in words(shown)
    assert 'id="talk-text"' not in shown
    count = len(staff.world.outbound())
    for what, form in (("reply", {"text": "oi"}), ("template", {"template": chosen}), ("again", {"text": "oi"})):
        refused = await act(staff.admin, conversation, what, once=what, seen="", **form)
        assert refused.status == 409
        assert "wrote STOP" in words(refused.text)
    assert len(staff.world.outbound()) == count


async def test_a_closed_conversation_is_followed_by_a_new_one_of_whoever_writes(staff: Staff) -> None:
    first = await staff.conversation(ANA)
    still_open = await act(staff.admin, first, "again", text="oi", once="cedo")
    assert still_open.status == 409
    closing = await page(staff.admin, first)
    closed = await act(staff.admin, first, "close", version=field(closing, "version", form="talk-close"))
    assert "What you send begins a new conversation." in words(closed.text)
    await act(staff.agent, first, "draft", kind="reply", text="Esqueci uma coisa", once="nova")
    made = [await act(staff.agent, first, "again", text="Esqueci uma coisa", once="nova") for _ in range(2)]
    [second] = [row["public_id"] for row in staff.world.rows("SELECT public_id FROM conversations WHERE closed_at IS NULL")]
    assert [reply.headers["HX-Redirect"] for reply in made] == [f"/console/c/{second}"] * 2
    assert (await staff.world.answers_to(ANA, 2))[1] == "Esqueci uma coisa"
    shown = words(await page(staff.agent, second))
    assert "Bia Atende began the conversation" in shown
    assert "With Bia Atende" in shown
    assert state(staff, second) == "HANDOFF"
    assert "Esqueci" not in await page(staff.agent, first)
    assert f'href="/console/c/{second}"' in await page(staff.admin, first)
    await staff.world.say(ANA, "o quê?")
    await staff.world.at_rest()
    assert len(staff.world.sent_to(ANA)) == 2
    assert "o quê?" in await page(staff.agent, second)


async def test_outside_the_window_a_new_conversation_begins_with_a_template(staff: Staff) -> None:
    first = await staff.conversation(ANA)
    chosen = await add_template(staff)
    closing = await page(staff.admin, first)
    await act(staff.admin, first, "close", version=field(closing, "version", form="talk-close"))
    close_window(staff, first)
    assert f'action="/console/c/{first}/again"' in await page(staff.admin, first)
    refused = await act(staff.admin, first, "again", text="oi", once="um")
    assert refused.status == 409
    assert staff.world.value("SELECT count(*) FROM conversations") == 1, "nothing half done"
    begun = await act(staff.admin, first, "again", template=chosen, var_1="Ana", once="dois")
    second = begun.headers["HX-Redirect"].rpartition("/")[2]
    assert state(staff, second) == "HANDOFF"
    await staff.world.until(lambda: len(staff.world.sent_to(ANA)) == 2)
    assert dict(staff.world.sent_to(ANA)[-1].form)["ContentSid"] == HX
