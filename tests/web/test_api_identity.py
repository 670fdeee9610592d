"""Owners, users, plans, subscriptions, features, accounts and tokens over the API."""

import asyncio
import json
from pathlib import Path

from tests.web.api_client import PASSWORD, Api, Client, open_api
from wtai.channels.accounts import TOKEN_FIELD
from wtai.identity.from_settings import sealer

SECRET = "um segredo bem comprido 42"
ACCOUNT = "AC" + "e" * 32


async def test_the_platform_registers_an_owner_whose_administrator_logs_in(api: Api) -> None:
    admin = {"email": "Chefe@Oficina.example", "password": SECRET}
    made = await api.platform.post("/owners", {"name": "Oficina", "locale": "es", "admin": admin})
    assert made.status == 201, made.text
    owner = made.body["id"]
    assert made.headers["Location"] == f"/api/v1/owners/{owner}"
    assert SECRET not in made.text
    tokens = await api.nobody.post("/auth/token", {"email": "chefe@oficina.example", "password": SECRET, "owner": owner})
    chief = Client(api.session, tokens.body["access_token"])
    me = (await chief.get("/me")).body
    assert (me["owner"], me["role"], me["email"]) == (owner, "admin", "chefe@oficina.example")
    assert (await chief.get(f"/owners/{owner}")).body["locale"] == "es"
    unplanned = await api.platform.post("/owners", {"name": "x", "plan": "pln_nothing"})
    assert (unplanned.status, unplanned.pointers) == (422, ["/plan"])
    disabled = await api.platform.post(f"/owners/{owner}/disable")
    assert disabled.body["status"] == "disabled"
    assert (await chief.get("/me")).status == 401
    assert (await api.platform.post(f"/owners/{owner}/enable")).body["status"] == "active"
    assert (await chief.get("/me")).status == 200
    listed = (await api.platform.get("/owners?limit=2")).body
    assert len(listed["items"]) == 2
    rest = (await api.platform.get(f"/owners?limit=2&cursor={listed['next']}")).body
    assert [item["id"] for item in rest["items"]] == [owner]


async def test_an_owner_reads_and_sets_itself_and_no_other(api: Api) -> None:
    mine, theirs = (line.owner for line in api.lines)
    read = await api.admin.get(f"/owners/{mine}")
    assert read.headers["ETag"] == '"1"'
    assert (await api.admin.patch(f"/owners/{mine}", {"name": "Padaria Nova"})).slug == "precondition-required"
    changed = await api.admin.patch(f"/owners/{mine}", {"name": "Padaria Nova"}, 1)
    assert (changed.body["name"], changed.body["locale"], changed.body["version"]) == ("Padaria Nova", "pt-BR", 2)
    assert (await api.admin.patch(f"/owners/{mine}", {"name": "x"}, 1)).slug == "stale"
    for owner in (theirs, "own_platform", "own_nothing"):
        assert (await api.admin.get(f"/owners/{owner}", X_Request_Id="a")).slug == "not-found"
        assert (await api.admin.patch(f"/owners/{owner}", {"name": "x"}, 1)).slug == "not-found"
    for method, path in (("GET", "/owners"), ("POST", f"/owners/{mine}/disable"), ("POST", "/plans")):
        assert (await api.admin(method, path)).slug == "forbidden"
    assert (await api.agent.patch(f"/owners/{mine}", {"name": "x"}, 2)).slug == "forbidden"


async def test_an_owner_is_erased_by_the_platform_alone(api: Api) -> None:
    await api.conversation("whatsapp:+5511987650001", line=api.lines[1])
    path = f"/owners/{api.lines[1].owner}"
    for client, status in ((api.admin, 403), (api.other, 403), (api.platform, 200), (api.platform, 404)):
        receipt = await client("DELETE", path)
        assert receipt.status == status, receipt.text
        if status == 200:
            assert receipt.body["kind"] == "owner"
            assert receipt.body["removed"]["messages"] == 2
    assert (await api.platform.get(path)).body["status"] == "erased"
    assert (await api.other.get("/me")).slug == "unauthenticated"
    assert api.world.value("SELECT count(*) FROM messages WHERE owner_id = :id", id=api.lines[1].owner_id) == 0
    assert (await api.admin.get("/conversations")).status == 200
    assert (await api.platform("DELETE", "/owners/own_platform")).slug == "not-found"


async def test_preferences_are_exactly_what_was_chosen(api: Api) -> None:
    path = f"/owners/{api.lines[0].owner}/preferences"
    chosen = {"idle_minutes": 5, "business_hours": [{"days": ["monday"], "start": "09:00", "end": "18:00"}]}
    put = await api.admin("PUT", path, chosen, If_Match='"1"')
    assert put.status == 200, put.text
    assert put.body["chosen"]["idle_minutes"] == put.body["in_force"]["idle_minutes"] == 5
    assert set(put.body["chosen"]) == {"idle_minutes", "business_hours"}
    again = await api.admin("PUT", path, {"farewell_text": None}, If_Match='"2"')
    assert set(again.body["chosen"]) == {"farewell_text"}
    for body, where in (
        ({"idle_minutes": 0}, "/idle_minutes"),
        ({"time_zone": "Mars/Olympus"}, "/time_zone"),
        ({"no_such": 1}, "/no_such"),
        ({"idle_minutes": "5"}, "/idle_minutes"),
    ):
        refused = await api.admin("PUT", path, body, If_Match='"3"')
        assert (refused.status, refused.pointers) == (422, [where]), refused.text


async def test_staff_are_added_changed_and_shut_out(api: Api) -> None:
    new = {"email": "bia@padaria.example", "password": SECRET, "role": "agent", "name": "Bia"}
    made = await api.admin.post("/users", new)
    assert (made.status, made.body["role"], made.body["status"]) == (201, "agent", "active"), made.text
    user, path = made.body["id"], f"/users/{made.body['id']}"
    assert (await api.admin.post("/users", {**new, "email": "BIA@padaria.example"})).slug == "conflict"
    tokens = (await api.nobody.post("/auth/token", {"email": new["email"], "password": SECRET})).body
    bia = Client(api.session, tokens["access_token"])
    assert (await bia.get("/conversations")).status == 200
    promoted = await api.admin.patch(path, {"role": "admin", "name": "Beatriz"}, made.body["version"])
    assert (promoted.body["role"], promoted.body["name"]) == ("admin", "Beatriz")
    assert (await bia.get("/me")).status == 401
    disabled = await api.admin.post(f"{path}/disable")
    assert disabled.body["status"] == "disabled"
    assert (await api.nobody.post("/auth/token", {"email": new["email"], "password": SECRET})).status == 401
    assert (await api.admin.post(f"{path}/enable")).body["status"] == "active"
    assert (await api.admin("PUT", f"{path}/password", {"password": "outra senha comprida"})).status == 200
    assert (await api.nobody.post("/auth/token", {"email": new["email"], "password": "outra senha comprida"})).status == 200
    assert user in {item["id"] for item in (await api.agent.get("/users")).body["items"]}
    for client in (api.other, api.platform):
        assert (await client.get(path)).slug == "not-found"
    assert (await api.agent.post("/users", new)).slug == "forbidden"


async def test_the_last_administrator_stays(api: Api) -> None:
    refused = await api.admin.post(f"/users/{api.admin_id}/disable")
    assert (refused.status, refused.slug) == (409, "conflict")
    version = (await api.admin.get(f"/users/{api.admin_id}")).body["version"]
    assert (await api.admin.patch(f"/users/{api.admin_id}", {"role": "agent"}, version)).slug == "conflict"


async def test_a_role_is_one_of_the_owners_own(api: Api) -> None:
    new = {"email": "x@padaria.example", "password": SECRET, "role": "platform"}
    for client, body in ((api.admin, new), (api.platform, {**new, "role": "admin"}), (api.admin, {**new, "role": "user"})):
        refused = await client.post("/users", body)
        assert (refused.status, refused.pointers) == (422, ["/role"])
    assert (await api.platform.post("/users", new)).status == 201
    for password in ("curta", "password123", "x@padaria.example"):
        assert (await api.admin.post("/users", {**new, "role": "agent", "password": password})).pointers == ["/password"]


async def test_the_platform_manages_the_staff_of_an_owner_it_names(api: Api) -> None:
    path = f"/owners/{api.lines[1].owner}/users"
    made = await api.platform.post(path, {"email": "novo@x.example", "password": SECRET, "role": "admin"})
    assert made.headers["Location"] == f"/api/v1{path}/{made.body['id']}"
    assert (await api.other.get(f"/users/{made.body['id']}")).status == 200
    assert (await api.admin.get(path)).slug == "not-found"
    assert (await api.platform.get("/owners/own_nothing/users")).slug == "not-found"
    for resource in ("features", "subscription", "twilio-accounts", "usage"):
        assert (await api.platform.get(f"/{resource}")).slug == "forbidden", resource
        assert (await api.platform.get(f"/owners/{api.lines[1].owner}/{resource}")).status == 200, resource


async def test_plans_limit_owners_that_subscribe_to_them(api: Api) -> None:
    limits = {"users": 1, "numbers": 1, "cost_usd_per_month": "12.50", "features": ["general"]}
    made = await api.platform.post("/plans", {"name": "pequeno", "limits": limits})
    assert made.status == 201, made.text
    assert made.body["limits"]["cost_usd_per_month"] == "12.50"
    owner = api.lines[0].owner
    subscription = (await api.admin.get("/subscription")).body
    renamed = await api.platform("PUT", "/plans/pln_unlimited", {"name": "outro", "limits": {}}, If_Match="*")
    assert (renamed.slug, renamed.pointers) == ("conflict", ["/name"])
    assert subscription["plan"]["name"] == "unlimited"
    changed = await api.platform.patch(f"/owners/{owner}/subscription", {"plan": made.body["id"]}, subscription["version"])
    assert changed.body["plan"]["name"] == "pequeno"
    assert (await api.admin.patch("/subscription", {"plan": made.body["id"]}, 2)).slug == "forbidden"
    new = {"email": "bia@padaria.example", "password": SECRET, "role": "agent"}
    assert (await api.admin.post("/users", new)).slug == "quota-reached"
    [account] = (await api.admin.get("/twilio-accounts")).body["items"]
    more = await api.admin.post(f"/twilio-accounts/{account['id']}/numbers", {"number": "+5511999999999"})
    assert more.slug == "quota-reached"
    refused = await api.admin("PUT", "/features/finance", {"enabled": True}, If_Match="*")
    assert refused.pointers == ["/enabled"]
    plan = f"/plans/{made.body['id']}"
    assert (await api.platform("DELETE", plan, If_Match='"1"')).slug == "conflict"
    assert (await api.platform("PUT", plan, {"name": "maior", "limits": {}}, If_Match='"1"')).body["name"] == "maior"
    assert (await api.admin.post("/users", new)).status == 201


async def test_features_are_set_within_their_own_models(api: Api) -> None:
    listed = {item["id"]: item for item in (await api.admin.get("/features")).body["items"]}
    assert listed["finance"]["enabled"] is False
    version = listed["finance"]["version"]
    missing = await api.admin("PUT", "/features/finance", {"enabled": True})
    assert missing.slug == "precondition-required"
    put = await api.admin("PUT", "/features/finance", {"enabled": True}, If_Match=f'"{version}"')
    assert (put.body["enabled"], put.body["version"]) == (True, version + 1)
    wrong = await api.admin("PUT", "/features/finance", {"config": {"no_such": 1}}, If_Match="*")
    assert (wrong.status, wrong.pointers) == (422, ["/config"])
    own = {"config": {"description": "Encomendas de bolos", "prompt": "Você anota encomendas."}}
    made = await api.admin("PUT", "/features/bolos", own)
    assert (made.status, made.body["version"]) == (200, 1), made.text
    assert (await api.admin("DELETE", "/features/bolos", If_Match='"1"')).status == 204
    assert (await api.admin.get("/features/bolos")).slug == "not-found"
    pages = []
    cursor = ""
    while cursor is not None:
        page = (await api.admin.get(f"/features?limit=2{cursor and '&cursor=' + cursor}")).body
        pages += [item["id"] for item in page["items"]]
        cursor = page["next"]
    assert pages == list(listed)


async def test_a_specialist_has_a_name_that_every_model_server_takes(api: Api) -> None:
    own = {"config": {"description": "Encomendas de bolos", "prompt": "Você anota encomendas."}}
    unfit = {"cobrança": "letters from a to z", "a" * 60: "up to 40", "No Name": "lower case", "4bolos": "a letter first"}
    taken = dict.fromkeys(("router", "memory", "voice", "transfer_to_bolos"), "the program's own")
    for name, said in (unfit | taken).items():
        refused = await api.admin("PUT", f"/features/{name}", own)
        assert (refused.status, refused.slug, refused.pointers) == (422, "invalid", []), refused.text
        assert said in refused.body["detail"]
    longest = await api.admin("PUT", f"/features/{'b' * 40}", own)
    assert longest.status == 200, longest.text


async def test_of_changes_of_a_feature_at_once_one_is_made(api: Api) -> None:
    version = (await api.admin.get("/features/finance")).body["version"]
    bodies = [{"enabled": bool(number % 2)} for number in range(10)]
    replies = await asyncio.gather(*(api.admin("PUT", "/features/finance", body, If_Match=f'"{version}"') for body in bodies))
    assert sorted(reply.status for reply in replies) == [200] + [412] * 9


async def test_tokens_of_an_account_go_in_and_never_come_out(api: Api) -> None:
    new = {"account_sid": ACCOUNT, "auth_token": "a" * 32, "numbers": ["whatsapp:+5511912345678"]}
    made = await api.admin.post("/twilio-accounts", new, Idempotency_Key="k")
    assert (made.status, made.body["numbers"]) == (201, new["numbers"]), made.text
    assert (await api.admin.post("/twilio-accounts", new)).slug == "conflict"
    path = f"/twilio-accounts/{ACCOUNT}"
    assert (await api.admin("PUT", f"{path}/tokens", {"auth_token": "b" * 32, "secondary_token": "c" * 32})).status == 200
    kept = api.world.value("SELECT tokens FROM twilio_accounts WHERE account_sid = :sid", sid=ACCOUNT)
    seal = sealer(api.world.settings())
    opened = [seal.unseal(api.lines[0].owner_id, TOKEN_FIELD, sealed) for sealed in json.loads(kept)]
    assert opened == ["b" * 32, "c" * 32]
    read = await api.admin.get(path)
    for answer in (made, read, await api.admin.get("/twilio-accounts")):
        assert not any(letter * 32 in answer.text for letter in "abc")
    taken = {"account_sid": api.lines[0].account_sid, "auth_token": "x" * 32, "numbers": [api.lines[0].number]}
    stolen = await api.other.post("/twilio-accounts", taken)
    assert (stolen.status, stolen.pointers) == (409, ["/numbers/0"])
    assert (await api.other.get(path)).slug == "not-found"
    assert (await api.admin("DELETE", f"{path}/numbers/whatsapp:+5511912345678")).status == 204
    assert (await api.admin.get(path)).body["numbers"] == []
    assert (await api.agent.get(path)).slug == "forbidden"
    assert (await api.admin.post(f"{path}/numbers", {"number": "+5511912345678"})).body["numbers"] == ["+5511912345678"]
    for client, status in ((api.other, 404), (api.agent, 403), (api.admin, 204), (api.admin, 404)):
        assert (await client("DELETE", path)).status == status
    assert api.world.rows("SELECT 1 FROM twilio_numbers WHERE account_sid = :sid", sid=ACCOUNT) == []
    assert len((await api.admin.get("/twilio-accounts")).body["items"]) == 1


async def test_an_api_token_does_what_its_scopes_say_until_it_is_revoked(api: Api) -> None:
    new = {"name": "painel", "role": "agent", "scopes": ["conversations.read"], "expires_at": "2099-01-01T00:00:00+03:00"}
    made = await api.admin.post("/api-tokens", new, Idempotency_Key="k")
    assert made.status == 201, made.text
    panel = Client(api.session, made.body["token"])
    assert (await panel.get("/conversations")).status == 200
    assert (await panel.get("/users")).slug == "forbidden"
    assert (await api.admin.post("/api-tokens", new, Idempotency_Key="k")).body["token"] == made.body["token"]
    assert made.body["token"] not in (await api.admin.get("/api-tokens")).text
    for body, where in (
        ({**new, "scopes": ["no.such"]}, "/scopes"),
        ({**new, "role": "platform"}, "/scopes"),
        ({**new, "expires_at": "2020-01-01T00:00:00Z"}, "/expires_at"),
        ({**new, "expires_at": "2099-01-01T00:00:00"}, "/expires_at"),
        ({**new, "expires_at": 4_070_908_800}, "/expires_at"),
    ):
        assert (await api.admin.post("/api-tokens", body)).pointers == [where], body
    assert (await api.other("DELETE", f"/api-tokens/{made.body['id']}")).slug == "not-found"
    assert (await api.admin("DELETE", f"/api-tokens/{made.body['id']}")).status == 204
    assert (await panel.get("/conversations")).status == 401


async def test_oneself_sees_and_ends_ones_sessions_and_changes_ones_password(api: Api) -> None:
    log_in = {"email": "ana@padaria.example", "password": PASSWORD}
    one, two = [Client(api.session, (await api.nobody.post("/auth/token", log_in)).body["access_token"]) for _ in range(2)]
    sessions = (await one.get("/sessions")).body["items"]
    assert [session["current"] for session in sessions] == [False, True]
    assert (await one("DELETE", f"/sessions/{sessions[0]['id']}")).status == 204
    assert (await two.get("/me")).status == 401
    wrong = await one("PUT", "/me/password", {"current": "não é esta", "password": SECRET})
    assert (wrong.status, wrong.pointers) == (422, ["/current"])
    assert (await one("PUT", "/me/password", {"current": PASSWORD, "password": SECRET})).status == 204
    assert (await api.nobody.post("/auth/token", log_in)).status == 401
    assert (await api.nobody.post("/auth/token", {**log_in, "password": SECRET})).status == 200
    assert (await api.admin.get("/sessions")).slug == "forbidden"


async def test_the_audit_log_tells_who_did_what_page_by_page(api: Api) -> None:
    await api.admin.post("/users", {"email": "bia@padaria.example", "password": SECRET, "role": "agent"})
    await api.admin.post("/templates", {"name": "reminder", "locale": "es", "content_sid": "HX" + "a" * 32})
    first = (await api.admin.get("/audit-log?limit=1")).body
    second = (await api.admin.get(f"/audit-log?limit=1&cursor={first['next']}")).body
    assert [page["items"][0]["action"] for page in (first, second)] == ["templates.create", "users.create"]
    assert SECRET not in (await api.admin.get("/audit-log")).text
    assert (await api.other.get("/audit-log?limit=200")).text.count("templates.create") == 0


async def test_log_ins_from_one_address_are_counted_by_what_the_proxy_says(data_dir: Path) -> None:
    async with open_api(data_dir, limits={"api_per_address": 2}) as api:

        async def statuses(hops: str) -> list[int]:
            path, body = "/auth/revoke", {"refresh_token": "x"}
            return [(await api.nobody.post(path, body, X_Forwarded_For=hops.format(number))).status for number in range(6)]

        assert await statuses("203.0.113.{}") == [204] * 6
        assert 429 in await statuses("198.51.100.{}, 203.0.113.9")
