"""The inbox as staff have it: what each tab shows and in which order, what is unread, and whose it is."""

import json
import re
from collections.abc import Callable

import pytest

from tests.program import person
from tests.web.console_client import Staff, Visitor
from tests.web.inbox_data import editing, fill
from wtai.clock import MINUTE, SystemClock
from wtai.conversation import desk_store, handoff, store
from wtai.db.tx import OwnerTx

ANA = person(1)


def shown(text: str) -> list[str]:
    """The conversations of a list, in its order."""
    return re.findall(r'<li id="row-(\w+)"', text)


async def listed(visitor: Visitor, query: str = "") -> list[str]:
    reply = await visitor.get(f"/console/list{query}", HX_Request="true")
    assert reply.status == 200, reply.text
    return shown(reply.text)


def tab_counts(text: str) -> dict[str, str]:
    return dict(re.findall(r'<a id="tab-(\w+)".*?<span class="number" aria-hidden="true">(\S+)</span>', text, re.DOTALL))


async def test_each_tab_shows_its_own_and_counts_it(staff: Staff) -> None:
    bia_key = staff.world.value("SELECT id FROM users WHERE email = 'bia@padaria.example'")
    ana_key = staff.world.value("SELECT id FROM users WHERE email = 'ana@padaria.example'")
    [called] = fill(staff, 1, state="HANDOFF")
    [hers] = fill(staff, 1, state="HANDOFF", assignee_id=bia_key)
    [mine] = fill(staff, 1, state="HANDOFF", assignee_id=ana_key)
    [answering] = fill(staff, 1, state="PROGRESS")
    [ended] = fill(staff, 1, state="USER_CLOSED", closed_at=1)
    fill(staff, 2, owner=staff.lines[1].owner_id, state="HANDOFF")
    assert set(await listed(staff.admin)) == {called, mine}
    assert await listed(staff.admin, "?tab=mine") == [mine]
    assert await listed(staff.admin, "?tab=ai") == [answering]
    assert set(await listed(staff.admin, "?tab=all")) == {called, hers, mine, answering, ended}
    assert set(await listed(staff.agent)) == {called, hers}
    reply = await staff.admin.get("/console")
    assert tab_counts(reply.text) == {"needs": "2", "mine": "1", "ai": "1", "all": "5"}
    assert len(await listed(staff.other)) == 2


async def test_who_waits_longest_comes_first_and_then_those_for_whom_nobody_waits(staff: Staff) -> None:
    now = SystemClock().now()
    [lately] = fill(staff, 1, state="HANDOFF", waiting_since=now - MINUTE)
    [longest] = fill(staff, 1, state="HANDOFF", waiting_since=now - 90 * MINUTE)
    answered = fill(staff, 2, state="HANDOFF")
    assert await listed(staff.admin) == [longest, lately, *answered]
    assert set(await listed(staff.admin, "?sort=newest")) == {longest, lately, *answered}
    ended = fill(staff, 2, state="EXPIRED", closed_at=1)
    everything = await listed(staff.admin, "?tab=all&sort=waiting")
    assert everything[:2] == [longest, lately]
    assert set(everything[2:]) == {*answered, *ended}


async def pages(visitor: Visitor, query: str, pattern: str) -> list[str]:
    """What stands on all the pages of a list, as a browser that scrolls gets them."""
    seen: list[str] = []
    following = f"/console/list?{query}"
    while following:
        reply = await visitor.get(following, HX_Request="true")
        seen += re.findall(pattern, reply.text)
        found = re.search(r'id="more"[^>]*hx-get="([^"]+)"', reply.text)
        following = found[1].replace("&amp;", "&") if found else ""
    return seen


async def test_the_pages_of_a_list_leave_nothing_out_and_repeat_nothing(staff: Staff) -> None:
    now = SystemClock().now()
    made: dict[str, set[str]] = {}
    for number, state in enumerate(("WAITING_USER", "HANDOFF", "PROGRESS", "USER_CLOSED")):
        ended = now if state == "USER_CLOSED" else None
        waiting = None if ended or number % 2 else now - MINUTE
        made[state] = set(fill(staff, 60, state=state, closed_at=ended, waiting_since=waiting, feature=f"f{number}"))
    with editing(staff) as connection:  # whatever has the same time must not be lost between two pages
        connection.execute("UPDATE conversations SET updated_at = updated_at / 600000 * 600000")
        connection.execute("INSERT INTO labels VALUES (1, 1, 'lab_1', 'x', 'x', 'red', 0)")
        connection.execute("INSERT INTO conversation_labels SELECT 1, 1, id, 0 FROM conversations WHERE id % 3 = 0")
    everything = set().union(*made.values())
    ai = made["WAITING_USER"] | made["PROGRESS"]
    labelled = {row["public_id"] for row in staff.world.rows("SELECT public_id FROM conversations WHERE id % 3 = 0")}
    for query, expected in {
        "tab=all": everything,
        "tab=all&sort=waiting": everything,
        "tab=ai": ai,
        "tab=needs": made["HANDOFF"],
        "tab=all&assignee=nobody": everything,
        "tab=ai&feature=f2": made["PROGRESS"],
        "tab=all&label=lab_1": labelled,
        "tab=ai&label=lab_1&sort=waiting": labelled & ai,
    }.items():
        seen = await pages(staff.admin, query, r'<li id="row-(\w+)"')
        assert len(seen) == len(set(seen)), query
        assert set(seen) == expected, query


async def test_a_page_ends_where_it_has_looked_for_long_and_the_next_goes_on(
    staff: Staff, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk_store, "_LOOK", 10)
    monkeypatch.setattr(desk_store, "_RARE", 1)
    rare = set(fill(staff, 3, feature="rare"))
    fill(staff, 60)
    rare |= set(fill(staff, 2, feature="rare"))
    fill(staff, 30)
    with editing(staff) as connection:  # each was changed later than the one before it
        connection.execute("UPDATE conversations SET updated_at = id * 1000")
    reply = await staff.admin.get("/console/list?tab=ai&feature=rare", HX_Request="true")
    assert shown(reply.text) == []
    assert 'id="more"' in reply.text
    assert set(await pages(staff.admin, "tab=ai&feature=rare", r'<li id="row-(\w+)"')) == rare


async def test_filters_narrow_a_list(staff: Staff) -> None:
    bia_key, bia = next(iter(staff.world.rows("SELECT id, public_id FROM users WHERE email = 'bia@padaria.example'"))).values()
    [finance] = fill(staff, 1, feature="finance")
    [text] = fill(staff, 1, channel="sms")
    [hers] = fill(staff, 1, state="HANDOFF", assignee_id=bia_key)
    [ended] = fill(staff, 1, state="EXPIRED", closed_at=1)
    assert await listed(staff.admin, "?tab=all&feature=finance") == [finance]
    assert await listed(staff.admin, "?tab=all&channel=sms") == [text]
    assert await listed(staff.admin, f"?tab=all&assignee={bia}") == [hers]
    assert set(await listed(staff.admin, "?tab=all&assignee=nobody")) == {finance, text, ended}
    assert await listed(staff.admin, "?tab=all&state=closed") == [ended]
    assert set(await listed(staff.admin, "?tab=all&state=open")) == {finance, text, hers}
    assert await listed(staff.admin, "?tab=all&state=handoff&sort=waiting") == [hers]
    reply = await staff.admin.get("/console?tab=all&channel=sms&feature=finance")
    assert shown(reply.text) == []
    assert "Clear search and filters" in reply.text


async def test_what_cannot_be_meant_is_left_out_of_the_question(staff: Staff) -> None:
    made = fill(staff, 1)
    for query in ("tab=ai&sort=up&state=no", "tab=ai&after=x.y", "tab=ai&shown=-4", "tab=ai&after=99999999999999999999.1"):
        assert await listed(staff.admin, f"?{query}") == made
    assert await listed(staff.admin, "?tab=ai&label=lab_nothing") == []
    assert await listed(staff.admin, "?tab=all&assignee=usr_nobody") == []


async def test_what_was_opened_is_read_until_the_person_writes_again(staff: Staff) -> None:
    [public] = fill(staff, 1, state="HANDOFF")

    async def unread(visitor: Visitor) -> tuple[bool, list[str]]:
        reply = await visitor.get("/console/list", HX_Request="true")
        return 'class="unread"' in reply.text, json.loads((await visitor.get("/console/unread")).text)

    assert await unread(staff.admin) == (True, [public])
    assert (await staff.admin.post(f"/console/c/{public}/read")).status == 204
    assert await unread(staff.admin) == (False, [])
    assert await unread(staff.agent) == (True, [public])
    assert (await staff.admin.post(f"/console/c/{public}/unread")).status == 204
    assert await unread(staff.admin) == (True, [public])
    assert (await staff.admin.get(f"/console/c/{public}")).status == 200
    assert await unread(staff.admin) == (False, [])
    bia = staff.world.value("SELECT id FROM users WHERE email = 'bia@padaria.example'")
    [hers] = fill(staff, 1, state="HANDOFF", assignee_id=bia)
    assert await unread(staff.admin) == (False, []), "what a colleague has calls nobody else"
    assert set(json.loads((await staff.agent.get("/console/unread")).text)) == {public, hers}
    [alone] = fill(staff, 1)
    quiet = await staff.admin.get("/console/list?tab=ai", HX_Request="true")
    assert shown(quiet.text) == [alone]
    assert "unread" not in re.findall(r"<li .*?>", quiet.text)[0], "what the AI does alone calls nobody"


async def test_a_person_waits_from_the_first_unanswered_message_until_somebody_answers(staff: Staff) -> None:
    async def since() -> int | None:
        await staff.world.at_rest()
        value: int | None = staff.world.value("SELECT waiting_since FROM conversations")
        return value

    await staff.conversation(ANA)
    assert await since() is None
    await staff.world.say(ANA, "quero falar com um atendente")
    called = await since()
    assert called is not None, "whoever was promised a person waits for one"
    await staff.world.say(ANA, "alguém aí?")
    assert await since() == called

    def act(tx: OwnerTx, step: Callable[..., object], *given: object) -> None:
        found = store.conversation(tx, 1)
        assert found is not None
        step(tx, found, *given, now=SystemClock().now())

    database, owner = staff.program.database, staff.lines[0].owner_id
    await database.write(owner, act, handoff.reply, ["pronto, estou aqui"])
    assert await since() is None
    await staff.world.say(ANA, "que bom")
    again = await since()
    assert again is not None
    assert again > called
    await database.write(owner, act, handoff.close)
    assert await since() is None


async def test_another_owners_conversations_are_not_there_whatever_is_asked(staff: Staff) -> None:
    [foreign] = fill(staff, 1, owner=staff.lines[1].owner_id, state="HANDOFF")
    for path in (f"/console/c/{foreign}/read", f"/console/c/{foreign}/unread"):
        assert (await staff.admin.post(path)).status == 404
    assert (await staff.admin.get(f"/console/c/{foreign}")).status == 404
    outsider = staff.world.value("SELECT public_id FROM users WHERE email = 'outra@loja.example'")
    for query in ("?tab=all", "?tab=ai", f"?tab=all&assignee={outsider}"):
        assert await listed(staff.admin, query) == []
    assert staff.world.rows("SELECT * FROM read_marks") == []


async def test_labels_are_made_put_on_filtered_by_and_deleted(staff: Staff) -> None:
    made = fill(staff, 2)
    assert (await staff.admin.post("/console/labels", {"name": "Reclamação", "colour": "red"})).status == 303
    [label] = staff.world.rows("SELECT public_id, name, colour FROM labels")
    public = label["public_id"]
    assert (label["name"], label["colour"]) == ("Reclamação", "red")
    again = await staff.admin.post("/console/labels", {"name": "RECLAMAÇÃO", "colour": "red"})
    assert again.status == 409
    assert "There is a label “RECLAMAÇÃO” already." in again.text
    assert (await staff.agent.post(f"/console/c/{made[0]}/labels", {"label": public})).status == 303
    assert (await staff.agent.post(f"/console/c/{made[0]}/labels", {"label": public}, HX_Request="true")).status == 204
    assert await listed(staff.admin, f"?tab=all&label={public}") == [made[0]]
    assert staff.world.value("SELECT count(*) FROM changes WHERE created_at > 0") >= 1
    assert (await staff.admin.post(f"/console/labels/{public}", {"name": "Queixa", "colour": "blue"})).status == 303
    assert 'class="tag label blue">Queixa<' in (await staff.admin.get("/console/list?tab=all", HX_Request="true")).text
    assert (await staff.agent.post(f"/console/c/{made[0]}/labels", {"label": public, "off": "1"})).status == 303
    assert await listed(staff.admin, f"?tab=all&label={public}") == []
    assert (await staff.admin.post(f"/console/labels/{public}/delete")).status == 303
    actions = [row["action"] for row in staff.world.rows("SELECT action FROM audit_log WHERE action LIKE 'labels%' ORDER BY id")]
    assert actions == ["labels.create", "labels.update", "labels.delete"]


async def test_labels_are_the_owners_and_the_administrators(staff: Staff) -> None:
    [mine] = fill(staff, 1)
    [theirs] = fill(staff, 1, owner=staff.lines[1].owner_id)
    await staff.other.post("/console/labels", {"name": "Delas", "colour": "red"})
    foreign = staff.world.value("SELECT public_id FROM labels")
    assert (await staff.agent.post("/console/labels", {"name": "x", "colour": "red"})).status == 403
    assert (await staff.admin.post(f"/console/c/{mine}/labels", {"label": foreign})).status == 404
    assert (await staff.admin.post(f"/console/c/{theirs}/labels", {"label": foreign})).status == 404
    for path in (f"/console/labels/{foreign}", f"/console/labels/{foreign}/delete"):
        assert (await staff.admin.post(path, {"name": "x", "colour": "red"})).status == 404
    assert "Delas" not in (await staff.admin.get("/console/labels")).text
    assert (await staff.admin.post("/console/labels", {"name": "x", "colour": "url(evil)"})).status == 422
    assert (await staff.admin.post("/console/labels", {"name": " ", "colour": "red"})).status == 422


async def test_a_search_finds_what_fits_the_filters_on_as_many_pages_as_it_takes(staff: Staff) -> None:
    ours = fill(staff, 70, body="cadê o panetone?")
    [text] = fill(staff, 1, channel="sms", body="Panetones!")
    fill(staff, 2, owner=staff.lines[1].owner_id, body="panetone")
    found = await pages(staff.admin, "q=panetone", r'<li id="hit-\w+" data-id="(\w+)"')
    assert found == [text, *ours]
    assert await pages(staff.admin, "q=panetone&channel=sms", r'<li id="hit-\w+" data-id="(\w+)"') == [text]
    people = await staff.admin.get("/console?q=pessoa+33")
    assert shown(people.text) == [ours[-34]]
    nothing = await staff.admin.get("/console?q=panetone+abacaxi")
    assert "Nothing found" in nothing.text
    assert len(await pages(staff.other, "q=panetone", r'<li id="hit-(\w+)"')) == 2


async def test_who_has_no_number_is_led_to_connecting_one(staff: Staff) -> None:
    assert "Waiting for the first message" in (await staff.admin.get("/console")).text
    with editing(staff) as connection:
        connection.execute("DELETE FROM twilio_numbers")
    reply = await staff.admin.get("/console")
    assert 'href="/console/settings/numbers"' in reply.text
    assert "No number is connected yet" in reply.text


async def test_whether_letters_are_keys_is_kept_in_the_browser(staff: Staff) -> None:
    assert 'data-on="yes"' in (await staff.admin.get("/console")).text
    reply = await staff.admin.post("/console/keys", {"on": "no"})
    assert reply.headers["Set-Cookie"].startswith("wtai_keys=no;")
    page = await staff.admin.get("/console", Cookie=f"__Host-wtai={staff.admin.cookie}; wtai_keys=no")
    assert 'data-on="no"' in page.text
