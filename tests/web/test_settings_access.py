"""Who may come in, by the settings: the team, oneself, tokens; and the lines of the audit log about it."""

import re

from tests.web.api_client import PASSWORD
from tests.web.console_client import ADMIN, AGENT, Staff, Visitor
from tests.web.settings_data import first, made, went

BIA = f"WHERE email = '{AGENT}'"


def version(staff: Staff, email: str) -> str:
    return str(staff.world.value("SELECT version FROM users WHERE email = :email", email=email))


def newest(staff: Staff) -> tuple[str, str, str | None]:
    """The last line of the first owner's log: who, what, about what."""
    row = staff.world.rows("SELECT actor, action, target FROM audit_log WHERE owner_id = 1 ORDER BY id DESC LIMIT 1")[0]
    return row["actor"], row["action"], row["target"]


async def test_who_is_invited_logs_in_with_the_password_that_was_shown(staff: Staff) -> None:
    password = await made(staff.admin, "team", email="Caio@Padaria.example", name="Caio", role="agent")
    assert re.fullmatch(r"([a-z2-9]{4}-){3}[a-z2-9]{4}", password)
    caio = first(staff, "users", "WHERE email = 'caio@padaria.example'")
    assert newest(staff) == (first(staff, "users", f"WHERE email = '{ADMIN}'"), "users.create", caio)
    visitor = Visitor(staff.session)
    assert (await visitor.log_in("caio@padaria.example", password)).status == 303
    assert (await visitor.get("/console/settings/team")).status == 403

    for form, words in (
        ({"email": ADMIN, "role": "admin"}, "has this e-mail address already"),
        ({"email": "ninguem", "role": "agent"}, "looks like ana@example.com"),
        ({"email": "", "role": "agent"}, "Write something here"),
    ):
        refused = await staff.admin.post("/console/settings/team", {"name": "Outro", **form})
        assert refused.status == 422
        assert re.search(rf'id="e-email">[^<]*{words}', refused.text)
        assert 'value="Outro"' in refused.text

    again = await made(staff.admin, f"team/{caio}/password", version="1")
    assert (await visitor.get("/console/settings")).status == 303, "all sessions ended"
    assert again != password
    assert (await visitor.log_in("caio@padaria.example", password)).status == 401
    assert (await visitor.log_in("caio@padaria.example", again)).status == 303


async def test_the_last_administrator_stays_and_is_told_why(staff: Staff) -> None:
    ana, bia = first(staff, "users", f"WHERE email = '{ADMIN}'"), first(staff, "users", BIA)
    for where, form in ((f"team/{ana}", {"role": "agent", "name": "Ana"}), (f"team/{ana}/disable", {})):
        reply = await staff.admin.post(f"/console/settings/{where}", {"version": version(staff, ADMIN), **form})
        assert reply.status == 409
        assert "This is the last administrator who may log in" in reply.text
    assert staff.world.rows("SELECT role, status FROM users WHERE public_id = :ana", ana=ana) == [
        {"role": "admin", "status": "active"}
    ]
    await went(staff.admin, f"team/{bia}", version=version(staff, AGENT), role="admin", name="Bia")
    await went(staff.admin, f"team/{ana}", version=version(staff, ADMIN), role="agent", name="Ana")
    assert (await staff.admin.get("/console/settings/team")).status == 403
    assert (await staff.agent.get("/console/settings/team")).status == 200


async def test_who_is_switched_off_is_out_at_once_and_may_be_let_in_again(staff: Staff) -> None:
    bia = first(staff, "users", BIA)
    seen = version(staff, AGENT)
    await went(staff.admin, f"team/{bia}/disable", version=seen)
    assert (await staff.agent.get("/console/settings")).status == 303
    stale = await staff.admin.post(f"/console/settings/team/{bia}/enable", {"version": seen})
    assert stale.status == 412
    await went(staff.admin, f"team/{bia}/enable", version=version(staff, AGENT))
    assert (await staff.agent.log_in(AGENT)).status == 303


async def test_ones_own_password_is_changed_with_the_one_in_force(staff: Staff) -> None:
    elsewhere = Visitor(staff.session)
    await elsewhere.log_in(AGENT)
    for current, password, at in (
        ("outra", "cinco cavalos azuis", "current"),
        (PASSWORD, "curta", "password"),
        (PASSWORD, "senha12345", "password"),
    ):
        reply = await staff.agent.post("/console/settings/account/password", {"current": current, "password": password})
        assert reply.status == 422
        assert f'id="e-{at}"' in reply.text
    await went(staff.agent, "account/password", current=PASSWORD, password="cinco cavalos azuis")
    assert (await staff.agent.get("/console/settings/account")).status == 200
    assert (await elsewhere.get("/console/settings/account")).status == 303
    assert (await elsewhere.log_in(AGENT, PASSWORD)).status == 401
    assert (await elsewhere.log_in(AGENT, "cinco cavalos azuis")).status == 303


async def test_ones_own_sessions_are_listed_and_ended(staff: Staff) -> None:
    others = [Visitor(staff.session) for _ in range(3)]
    for other in others:
        await other.log_in(AGENT)
    text = (await staff.agent.get("/console/settings/account")).text
    ends = re.findall(r'action="/console/settings/account/sessions/(ses_\w+)"', text)
    assert len(ends) == 3, "the one that asks has no button"
    await went(staff.agent, f"account/sessions/{ends[0]}")
    assert sorted([(await other.get("/console/settings")).status for other in others]) == [200, 200, 303]
    await went(staff.agent, "account/sessions/others")
    assert [(await other.get("/console/settings")).status for other in others] == [303] * 3
    assert (await staff.agent.get("/console/settings")).status == 200
    bia = first(staff, "users", BIA)
    ended = "SELECT count(*) FROM audit_log WHERE action = 'sessions.delete' AND actor = :bia"
    assert staff.world.value(ended, bia=bia) == 3


async def test_a_token_works_within_its_scopes_until_it_is_revoked(staff: Staff) -> None:
    text = await made(staff.admin, "tokens", name="ERP", role="agent", reach="some", days="30", **{"scope:conversations": "on"})
    public = first(staff, "api_tokens", "")

    async def status(path: str) -> int:
        async with staff.session.get(f"/api/v1{path}", headers={"Authorization": f"Bearer {text}"}) as answer:
            return answer.status

    assert [await status("/conversations"), await status("/templates")] == [200, 403]
    for form, at in (
        ({"name": "", "reach": "all", "role": "agent"}, "name"),
        ({"name": "x", "reach": "some", "role": "agent"}, "scopes"),
        ({"name": "x", "reach": "some", "role": "agent", "scope:plans": "on"}, "scopes"),
    ):
        refused = await staff.admin.post("/console/settings/tokens", form)
        assert (refused.status, f'id="e-{at}"' in refused.text) == (422, True)
    await went(staff.admin, f"tokens/{public}/revoke")
    assert await status("/conversations") == 401
    assert newest(staff)[1:] == ("api_tokens.delete", public)
    assert "Revoked" in (await staff.admin.get("/console/settings/tokens")).text


async def test_the_log_is_read_by_action_and_by_what_it_is_about(staff: Staff) -> None:
    bia = first(staff, "users", BIA)
    await went(staff.admin, f"team/{bia}", version="1", role="agent", name="Bia")
    page = (await staff.admin.get("/console/settings/audit?action=users.update")).text
    rows = re.findall(r"<td><code>([\w.]+)</code>", page)
    assert set(rows) == {"users.update"}
    about = (await staff.admin.get(f"/console/settings/audit?target={bia}")).text
    assert set(re.findall(r"<td><code>([\w.]+)</code>", about)) == {"users.create", "users.update"}
    options = re.findall(r'<option value="(\w+\.\w+)"', page)
    assert options == sorted({row["action"] for row in staff.world.rows("SELECT action FROM audit_log WHERE owner_id = 1")})
