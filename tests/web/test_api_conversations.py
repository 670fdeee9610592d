"""Conversations and messages over the API: read, taken over, answered, handed back and closed."""

from contextlib import closing

from tests.program import person
from tests.web.api_client import Api
from wtai.clock import DAY, SystemClock
from wtai.db.sqlite import connect

ANA, BEA, CID = person(1), person(2), person(3)


async def test_the_inbox_shows_an_owners_conversations_alone_the_latest_changed_first(api: Api) -> None:
    first, second = await api.conversation(ANA), await api.conversation(BEA)
    foreign = await api.conversation(CID, line=api.lines[1])
    listed = (await api.agent.get("/conversations")).body
    assert [item["id"] for item in listed["items"]] == [second, first]
    assert listed["next"] is None
    shown = listed["items"][0]
    assert (shown["state"], shown["user_address"], shown["channel"]) == ("WAITING_USER", BEA, "whatsapp")
    assert [item["id"] for item in (await api.other.get("/conversations")).body["items"]] == [foreign]


async def test_pages_follow_each_other_without_gap_or_repeat(api: Api) -> None:
    made = [await api.conversation(person(number)) for number in range(1, 6)]
    seen, cursor = [], ""
    while True:
        page = (await api.agent.get(f"/conversations?limit=2{cursor}")).body
        seen += [item["id"] for item in page["items"]]
        assert len(page["items"]) <= 2
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert seen == made[::-1]


async def test_filters_narrow_the_inbox(api: Api) -> None:
    first, second = await api.conversation(ANA), await api.conversation(BEA)
    taken = await api.agent.post(f"/conversations/{first}/handoff", {"reason": "cliente bravo"})
    user = taken.body["user"]["id"]

    async def ids(query: str) -> list[str]:
        reply = await api.agent.get(f"/conversations?{query}")
        assert reply.status == 200, reply.text
        return [item["id"] for item in reply.body["items"]]

    assert await ids("state=HANDOFF") == [first]
    assert await ids("state=WAITING_USER,PENDING") == [second]
    assert sorted(await ids("state=open")) == sorted([first, second])
    assert await ids("state=FAILED") == []
    assert await ids(f"user={user}") == [first]
    assert await ids("user=usr_nobody") == []
    assert await ids("updated_since=2999-01-01T00:00:00Z") == []
    assert len(await ids("updated_since=2020-01-01T00:00:00Z")) == 2
    for query, name in (("state=OPEN", "state"), ("updated_since=2020-01-01T00:00:00", "updated_since"), ("order=id", "order")):
        reply = await api.agent.get(f"/conversations?{query}")
        assert (reply.status, reply.pointers) == (422, [name])


async def test_a_take_over_silences_the_ai_and_a_reply_goes_out_and_handing_back_wakes_it(api: Api) -> None:
    conversation = await api.conversation(ANA)
    taken = await api.agent.post(f"/conversations/{conversation}/handoff", {})
    assert (taken.status, taken.body["state"]) == (200, "HANDOFF")
    assert taken.headers["ETag"] == f'"{taken.body["version"]}"'
    await api.world.say(ANA, "tem alguém aí?")
    await api.world.at_rest()
    sent = await api.agent.post(f"/conversations/{conversation}/messages", {"body": "Tem sim, é a Bia."})
    assert sent.status == 202, sent.text
    [message] = sent.body["items"]
    assert (message["author"], message["status"], message["body"]) == ("staff", "queued", "Tem sim, é a Bia.")
    assert (await api.world.answers_to(ANA, 2))[1] == "Tem sim, é a Bia."
    await api.world.at_rest()
    read = (await api.agent.get(f"/messages/{message['id']}")).body
    assert read["status"] in {"sent", "delivered"}
    back = await api.agent.post(f"/conversations/{conversation}/resume")
    assert back.body["state"] == "WAITING_USER"
    await api.world.say(ANA, "obrigada pela ajuda")
    assert len(await api.world.answers_to(ANA, 3)) == 3
    events = (await api.agent.get(f"/conversations/{conversation}/events")).body["items"]
    assert [event["to_state"] for event in events if event["actor"] == "staff"] == ["HANDOFF", "WAITING_USER"]
    listed = (await api.agent.get(f"/conversations/{conversation}/messages?limit=2")).body
    assert [item["author"] for item in listed["items"]] == ["agent", "user"]
    assert listed["next"] is not None


async def test_who_logged_in_has_what_it_takes_over(api: Api) -> None:
    conversation = await api.conversation(ANA)
    tokens = (await api.nobody.post("/auth/token", {"email": "ana@padaria.example", "password": "quatro cavalos azuis"})).body
    api.nobody.token = tokens["access_token"]
    taken = await api.nobody.post(f"/conversations/{conversation}/handoff", {})
    assert taken.body["assignee"] == api.admin_id
    listed = await api.agent.get(f"/conversations?assignee={api.admin_id}")
    assert [item["id"] for item in listed.body["items"]] == [conversation]
    assert (await api.agent.post(f"/conversations/{conversation}/resume")).body["assignee"] is None


async def test_a_closed_conversation_takes_no_text_and_cannot_be_resumed(api: Api) -> None:
    conversation = await api.conversation(ANA)
    closed = await api.agent.post(f"/conversations/{conversation}/close")
    assert (closed.status, closed.body["state"]) == (200, "SUPPORT_CLOSED")
    for path, body in (("close", None), ("resume", None), ("handoff", {}), ("messages", {"body": "oi"})):
        refused = await api.agent.post(f"/conversations/{conversation}/{path}", body)
        assert (refused.status, refused.slug) == (409, "wrong-state"), path


async def test_outside_the_window_text_is_refused_and_a_template_goes_out(api: Api) -> None:
    conversation = await api.conversation(ANA)
    with closing(connect(api.world.data_dir / "wtai.db")) as connection:
        connection.execute("UPDATE conversations SET last_inbound_at = ?", (SystemClock().now() - DAY,))
    refused = await api.agent.post(f"/conversations/{conversation}/messages", {"body": "oi"})
    assert (refused.status, refused.slug, refused.pointers) == (409, "window-closed", ["/body"])
    assert "template" in refused.body["detail"]
    template = {"content_sid": "HX" + "a" * 32, "variables": {"1": "Ana"}}
    sent = await api.agent.post(f"/conversations/{conversation}/messages", {"template": template})
    assert sent.status == 202, sent.text
    assert sent.body["items"][0]["content_sid"] == template["content_sid"]
    assert sent.body["items"][0]["variables"] == {"1": "Ana"}
    assert sent.body["items"][0]["body"] == f"[modelo {template['content_sid']}: Ana]"
    await api.world.until(lambda: len(api.world.sent_to(ANA)) == 2)
    for public in (sent.body["items"][0]["id"], "msg_nothing"):
        body = {"template": template, "instead_of": public}
        wrong = await api.agent.post(f"/conversations/{conversation}/messages", body)
        assert (wrong.status, wrong.pointers) == (422, ["/instead_of"])


async def test_a_template_takes_the_place_of_a_message_that_waits_for_a_person(api: Api) -> None:
    conversation = await api.conversation(ANA)
    sent = await api.agent.post(f"/conversations/{conversation}/messages", {"body": "oi"})
    [message] = sent.body["items"]
    await api.world.until(lambda: [row["status"] for row in api.world.outbound()] == ["delivered"] * 2)
    with closing(connect(api.world.data_dir / "wtai.db")) as connection:
        connection.execute(
            "UPDATE messages SET status = 'queued', parked = 'window' WHERE public_id = :id", {"id": message["id"]}
        )
    body = {"template": {"content_sid": "HX" + "a" * 32}, "instead_of": message["id"]}
    assert (await api.agent.post(f"/conversations/{conversation}/messages", body)).status == 202
    assert (await api.agent.get(f"/messages/{message['id']}")).body["status"] == "canceled"


async def test_a_person_who_opted_out_is_sent_nothing(api: Api) -> None:
    conversation = await api.conversation(ANA)
    await api.world.say(ANA, "STOP")
    await api.world.at_rest()
    count = len(api.world.outbound())
    for body in ({"body": "oi"}, {"template": {"content_sid": "HX" + "a" * 32}}):
        refused = await api.agent.post(f"/conversations/{conversation}/messages", body)
        assert (refused.status, refused.slug) == (409, "opted-out")
    assert len(api.world.outbound()) == count


async def test_a_long_text_goes_out_in_parts_in_order(api: Api) -> None:
    conversation = await api.conversation(ANA)
    text = " ".join(f"Frase número {number} de um texto longo." for number in range(200))
    sent = (await api.agent.post(f"/conversations/{conversation}/messages", {"body": text})).body["items"]
    assert len(sent) > 1
    answers = await api.world.answers_to(ANA, 1 + len(sent))
    assert answers[1:] == [item["body"] for item in sent]


async def test_messages_are_listed_over_all_conversations_too(api: Api) -> None:
    first, second = await api.conversation(ANA), await api.conversation(BEA)
    await api.conversation(ANA, line=api.lines[1])
    sent = await api.agent.post(f"/conversations/{first}/messages", {"text": "Tem sim."})
    assert sent.body["items"][0]["body"] == "Tem sim.", "it may be called text, as others call it"
    await api.world.until(lambda: {row["status"] for row in api.world.outbound()} == {"delivered"})
    everything = (await api.agent.get("/messages?limit=200")).body["items"]
    assert [message["id"] for message in everything] == [
        row["public_id"] for row in api.world.rows("SELECT public_id FROM messages WHERE owner_id = 1 ORDER BY id DESC")
    ]
    assert {message["conversation"] for message in everything} == {first, second}
    for query, expected in (
        (f"conversation={second}", [message for message in everything if message["conversation"] == second]),
        ("direction=inbound", [message for message in everything if message["direction"] == "inbound"]),
        ("status=delivered", [message for message in everything if message["status"] == "delivered"]),
        ("conversation=cnv_none", []),
    ):
        found = await api.agent.get(f"/messages?{query}&limit=2")
        assert found.body["items"] == expected[:2], query
        assert (found.body["next"] is not None) == (len(expected) > 2), query
    sids = {row["provider_sid"] for row in api.world.rows("SELECT provider_sid FROM messages WHERE owner_id = 1")}
    assert {message["provider_sid"] for message in everything} == sids


async def test_notes_are_for_staff_alone(api: Api) -> None:
    conversation = await api.conversation(ANA)
    noted = await api.agent.post(f"/conversations/{conversation}/notes", {"text": "prefere pão francês"})
    assert noted.status == 201
    notes = (await api.admin.get(f"/conversations/{conversation}/notes")).body["items"]
    assert [(note["id"], note["text"]) for note in notes] == [(noted.body["id"], "prefere pão francês")]
    assert len(api.world.sent_to(ANA)) == 1


async def test_a_change_for_another_version_is_refused(api: Api) -> None:
    conversation = await api.conversation(ANA)
    version = (await api.agent.get(f"/conversations/{conversation}")).body["version"]
    stale = await api.agent.post(f"/conversations/{conversation}/close", If_Match=f'"{version - 1}"')
    assert (stale.status, stale.slug) == (412, "stale")
    assert (await api.agent.post(f"/conversations/{conversation}/close", If_Match=f'"{version}"')).status == 200


async def test_what_staff_did_stands_in_the_audit_log(api: Api) -> None:
    conversation = await api.conversation(ANA)
    await api.agent.post(f"/conversations/{conversation}/handoff", {})
    await api.agent.post(f"/conversations/{conversation}/messages", {"body": "oi"})
    rows = api.world.rows("SELECT actor_kind, action, target FROM audit_log WHERE target = :id", id=conversation)
    assert [(row["actor_kind"], row["action"]) for row in rows] == [
        ("token", "conversations.take_over"),
        ("token", "messages.create"),
    ]
