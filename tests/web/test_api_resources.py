"""End users, memories, AI results, templates, jobs and usage over the API."""

from contextlib import closing

import pytest

from tests.program import person
from tests.web.api_client import Api
from wtai.ai.memory.writing import Told, remember
from wtai.clock import SystemClock
from wtai.db.sqlite import connect

ANA, BEA = person(1), person(2)


async def test_the_people_who_write_are_listed_with_their_addresses_and_can_be_renamed(api: Api) -> None:
    await api.conversation(ANA)
    await api.conversation(BEA, line=api.lines[1])
    [ana] = (await api.agent.get("/end-users")).body["items"]
    assert ANA in ana["addresses"]
    assert BEA not in ana["addresses"]
    renamed = await api.agent.patch(f"/end-users/{ana['id']}", {"name": "Dona Ana"}, ana["version"])
    assert (renamed.body["name"], renamed.body["version"]) == ("Dona Ana", ana["version"] + 1)
    assert (await api.agent.patch(f"/end-users/{ana['id']}", {"name": "x"}, ana["version"])).slug == "stale"
    assert (await api.other.get(f"/end-users/{ana['id']}")).slug == "not-found"
    assert (await api.agent.get(f"/users/{ana['id']}")).slug == "not-found"
    assert (await api.agent.get(f"/end-users/{api.admin_id}")).slug == "not-found"


async def test_a_person_is_erased_with_a_receipt_by_an_administrator_of_their_owner_alone(api: Api) -> None:
    conversation = await api.conversation(ANA, "meu nome é Zanzibarita")
    await api.conversation(BEA)
    ana, bea = (await api.admin.get("/end-users")).body["items"]
    path = f"/end-users/{ana['id']}"
    for client, status in ((api.agent, 403), (api.platform, 403), (api.other, 404), (api.admin, 200), (api.admin, 404)):
        receipt = await client("DELETE", path)
        assert receipt.status == status, receipt.text
        if status == 200:
            assert (receipt.body["kind"], receipt.body["files_rewritten"]) == ("user", False)
            assert receipt.body["removed"]["messages"] == 2
            assert ana["id"] not in receipt.text
    assert (await api.admin.get(f"/conversations/{conversation}")).slug == "not-found"
    assert [person["id"] for person in (await api.admin.get("/end-users")).body["items"]] == [bea["id"]]
    assert (await api.admin("DELETE", f"/end-users/{api.admin_id}")).slug == "not-found", "staff are no customers"
    [line] = [row for row in (await api.admin.get("/audit-log")).body["items"] if row["action"] == "users.erase"]
    assert line["actor_kind"] == "token"
    assert api.world.value("SELECT count(*) FROM jobs WHERE kind = 'finish_erasure' AND state = 'scheduled'") == 1


async def test_each_answer_of_the_ai_can_be_explained(api: Api) -> None:
    conversation = await api.conversation(ANA)
    listed = (await api.agent.get(f"/ai-results?conversation={conversation}")).body["items"]
    [result] = listed
    assert (result["conversation"], result["outcome"], result["feature"]) == (conversation, "answered", "general")
    assert result["requests"] == 1
    assert (result["prompts"], result["stepped_down"]) == ([result["prompt_id"]], False)
    assert (await api.agent.get(f"/ai-results/{result['id']}")).body == result
    messages = (await api.agent.get(f"/conversations/{conversation}/messages")).body["items"]
    assert [message["ai_result"] for message in messages] == [result["id"], None]
    assert (await api.other.get(f"/ai-results/{result['id']}")).slug == "not-found"
    assert (await api.other.get(f"/ai-results?conversation={conversation}")).body["items"] == []
    usage = (await api.admin.get("/usage?by=feature")).body
    assert [(item["key"], item["requests"]) for item in usage["items"]] == [("general", 1)]
    assert (await api.other.get("/usage")).body["items"] == []
    with closing(connect(api.world.data_dir / "wtai.db")) as connection:
        for feature in ("finance", "relationship"):
            columns = "owner_id, day, user_id, feature, requests, prompt_tokens, cached_tokens, completion_tokens, cost, held"
            connection.execute(
                f"INSERT INTO usage ({columns}) SELECT owner_id, day, user_id, ?, 1, 2, 0, 3, 4, 0 FROM usage LIMIT 1", (feature,)
            )
    pages, cursor = [], ""
    while cursor is not None:
        page = (await api.admin.get(f"/usage?by=feature&limit=1{cursor}")).body
        pages += [item["key"] for item in page["items"]]
        cursor = f"&cursor={page['next']}" if page["next"] is not None else None
    assert pages == ["finance", "general", "relationship"]
    for query, name in (
        ("first=2026-02-01&last=2026-01-01", "last"),
        ("first=2020-01-01&last=2026-01-01", "first"),
        ("by=owner", "by"),
    ):
        assert (await api.admin.get(f"/usage?{query}")).pointers == [name]
    assert (await api.agent.get("/usage")).slug == "forbidden"


async def test_what_is_remembered_is_listed_searched_and_forgotten(api: Api) -> None:
    await api.conversation(ANA)
    [ana] = (await api.agent.get("/end-users")).body["items"]
    key = api.world.value("SELECT id FROM users WHERE public_id = :public", public=ana["id"])
    now = SystemClock().now()
    for text in ("Ana tem um cachorro chamado Rex", "Ana é alérgica a amendoim"):
        await api.database.write(api.lines[0].owner_id, remember, key, Told(text, observed_at=now), now=now)
    path = f"/memories?user={ana['id']}"
    listed = (await api.agent.get(path)).body["items"]
    assert {item["text"] for item in listed} == {"Ana tem um cachorro chamado Rex", "Ana é alérgica a amendoim"}
    first = (await api.agent.get(f"{path}&limit=1")).body
    second = (await api.agent.get(f"{path}&limit=1&cursor={first['next']}")).body
    assert {first["items"][0]["id"], second["items"][0]["id"]} == {item["id"] for item in listed}
    [found, *_] = (await api.agent.get(f"{path}&q=alergia%20a%20amendoim")).body["items"]
    assert found["text"] == "Ana é alérgica a amendoim"
    assert (await api.agent.get(f"/memories/{found['id']}")).body == {**found, "score": None}
    assert {item["user"] for item in listed} == {ana["id"]}
    assert (await api.agent.get("/memories")).body["items"] == listed
    assert (await api.other.get("/memories")).body["items"] == []
    assert (await api.other.get(path)).slug == "not-found"
    assert (await api.other.get(f"/memories/{found['id']}")).slug == "not-found"
    assert (await api.other("DELETE", f"/memories/{found['id']}")).slug == "not-found"
    assert (await api.agent("DELETE", f"/memories/{found['id']}")).status == 204
    assert len((await api.agent.get(path)).body["items"]) == 1
    assert (await api.agent.get("/memories?q=rex")).pointers == ["user"]


async def test_templates_are_one_for_each_purpose_and_language(api: Api) -> None:
    new = {"name": "reminder", "locale": "pt-BR", "content_sid": "HX" + "a" * 32}
    made = await api.admin.post("/templates", new)
    path = f"/templates/{made.body['id']}"
    assert (made.status, made.headers["Location"]) == (201, f"/api/v1{path}")
    assert (await api.admin.post("/templates", new)).slug == "conflict"
    changed = await api.admin("PUT", path, {"content_sid": "HX" + "b" * 32}, If_Match='"1"')
    assert (changed.body["content_sid"], changed.body["version"]) == ("HX" + "b" * 32, 2)
    assert (await api.admin("DELETE", path, If_Match='"1"')).slug == "stale"
    assert (await api.admin("DELETE", path)).slug == "precondition-required"
    for client in (api.other,):
        assert (await client("DELETE", path, If_Match="*")).slug == "not-found"
    conversation = await api.conversation(ANA)
    named = {"template": {"name": "reminder", "variables": {"1": "pão"}}}
    sent = await api.agent.post(f"/conversations/{conversation}/messages", named)
    assert sent.body["items"][0]["content_sid"] == "HX" + "b" * 32
    unknown = await api.agent.post(f"/conversations/{conversation}/messages", {"template": {"name": "nada"}})
    assert unknown.pointers == ["/template/name"]
    assert (await api.admin("DELETE", path, If_Match='"2"')).status == 204
    assert (await api.agent.post("/templates", new)).slug == "forbidden"


@pytest.mark.parametrize("way", ["retry", "discard"])
async def test_a_dead_job_is_run_again_or_discarded_by_its_owner_alone(api: Api, way: str) -> None:
    with closing(connect(api.world.data_dir / "wtai.db")) as connection:
        for line in api.lines:
            connection.execute(
                "INSERT INTO jobs (owner_id, kind, payload, state, run_at, failures, error, created_at)"
                " VALUES (?, 'send_message', '{}', 'dead', 0, 8, 'no way', 0)",
                (line.owner_id,),
            )
    [job] = (await api.admin.get("/jobs?state=dead")).body["items"]
    assert (job["kind"], job["failures"], job["error"]) == ("send_message", 8, "no way")
    path = f"/jobs/{job['id']}"
    for client in (api.other, api.platform):
        assert (await client.get(path)).slug == "not-found"
        assert (await client("DELETE", path)).slug == "not-found"
        assert (await client.post(f"{path}/retry")).slug == "not-found"
    assert (await api.agent.get(path)).slug == "forbidden"
    done = await (api.admin.post(f"{path}/retry") if way == "retry" else api.admin("DELETE", path))
    assert done.status == (200 if way == "retry" else 204)
    left = (await api.admin.get("/jobs?state=dead")).body["items"]
    assert [one for one in left if one["error"] == "no way"] == [], "run again it dies of its empty payload"
    for id_ in ("job_0", "job_x", "1", "job_99999999999999999999"):
        assert (await api.admin.get(f"/jobs/{id_}")).slug == "not-found"


async def test_jobs_that_are_to_run_are_listed_and_left_alone(api: Api) -> None:
    await api.world.at_rest()
    with closing(connect(api.world.data_dir / "wtai.db")) as connection:
        for line in api.lines:
            for state in ("scheduled", "dead"):
                connection.execute(
                    "INSERT INTO jobs (owner_id, kind, payload, state, run_at, created_at) VALUES (?, 'remind', '{}', ?, ?, 0)",
                    (line.owner_id, state, 4_000_000_000_000),
                )
    listed = (await api.admin.get("/jobs")).body["items"]
    assert [job["state"] for job in listed] == ["scheduled", "dead"]
    assert (await api.admin.get("/jobs?state=scheduled")).body["items"] == listed[:1]
    assert (await api.admin.get("/jobs?state=done")).pointers == ["state"]
    path = f"/jobs/{listed[0]['id']}"
    assert (await api.admin.get(path)).body == listed[0]
    assert (await api.admin.post(f"{path}/retry")).slug == "wrong-state"
    assert (await api.admin("DELETE", path)).slug == "wrong-state"
    assert (await api.other.get(path)).slug == "not-found"
