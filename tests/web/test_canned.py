"""Canned replies: kept by administrators, offered to whoever writes."""

import re

from tests.web.console_client import Staff
from tests.web.conversation_page import editing, words
from wtai.conversation.canned_store import MOST

SETTINGS = "/console/settings/canned"
EVIL = "<script>alert(1)</script>"


async def test_an_administrator_keeps_them_and_everybody_picks_them(staff: Staff) -> None:
    made = await staff.admin.post(SETTINGS, {"shortcut": "/Bom-Dia", "text": f"Bom dia! {EVIL}"})
    assert (made.status, made.headers["Location"]) == (303, SETTINGS)
    picker = (await staff.agent.get("/console/canned", HX_Request="true")).text
    assert re.search(r'role="option" id="canned-1" aria-selected="false" data-text="Bom dia! &lt;script', picker)
    assert "/bom-dia" in words(picker)
    for visitor in (staff.admin, staff.agent):
        shown = (await visitor.get(SETTINGS)).text
        assert EVIL not in shown
        assert "/bom-dia" in words(shown)
    twice = await staff.admin.post(SETTINGS, {"shortcut": "bom-dia", "text": "outra"})
    assert (twice.status, "There is one of this name already" in words(twice.text)) == (422, True)
    wrong = await staff.admin.post(SETTINGS, {"shortcut": "com espaço", "text": "x"})
    assert (wrong.status, 'value="com espaço"' in wrong.text) == (422, True)
    assert (await staff.other.get("/console/canned")).text.strip() == ""


async def test_what_another_administrator_changed_meanwhile_is_not_overwritten(staff: Staff) -> None:
    for name in ("um", "dois"):
        await staff.admin.post(SETTINGS, {"shortcut": name, "text": name})
    [first] = [row["public_id"] for row in staff.world.rows("SELECT public_id FROM canned_replies WHERE shortcut = 'um'")]
    one = f"{SETTINGS}/{first}"
    assert (await staff.admin.post(one, {"shortcut": "um", "text": "novo", "version": "1"})).status == 303
    assert (await staff.admin.post(one, {"shortcut": "um", "text": "velho", "version": "1"})).status == 412
    assert (await staff.admin.post(one, {"shortcut": "dois", "text": "x", "version": "2"})).status == 422
    assert (await staff.admin.post(one, {"shortcut": "um", "text": "x", "version": "x"})).status == 422
    assert staff.world.value("SELECT text FROM canned_replies WHERE shortcut = 'um'") == "novo"
    for visitor, status in ((staff.agent, 403), (staff.other, 404)):
        assert (await visitor.post(one, {"shortcut": "y", "text": "x", "version": "2"})).status == status
        assert (await visitor.post(f"{one}/delete")).status == status
    assert (await staff.agent.post(SETTINGS, {"shortcut": "y", "text": "x"})).status == 403
    assert (await staff.admin.post(f"{one}/delete")).status == 303
    assert [row["shortcut"] for row in staff.world.rows("SELECT shortcut FROM canned_replies")] == ["dois"]
    kept = staff.world.rows("SELECT outcome FROM audit_log WHERE action = 'canned_replies.update'")
    assert len(kept) == 4


async def test_an_owner_has_so_many_and_no_more(staff: Staff) -> None:
    made = [await staff.admin.post(SETTINGS, {"shortcut": f"n{number}", "text": "x"}) for number in range(2)]
    assert [reply.status for reply in made] == [303, 303]
    with editing(staff) as connection:
        connection.executemany(
            "INSERT INTO canned_replies (owner_id, public_id, shortcut, text, created_at) VALUES (1, ?, ?, 'x', 0)",
            [(f"cnd_{number}", f"m{number}") for number in range(MOST - 2)],
        )
    assert (await staff.admin.post(SETTINGS, {"shortcut": "mais", "text": "x"})).status == 422
