"""Numbers, webhooks, tools, templates and failed jobs in the settings."""

import re
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.web.console_client import Staff, open_staff
from tests.web.settings_data import HOOK, SETTINGS, first, made, went
from wtai.db.sqlite import connect

SID = f"AC{77:032x}"
NUMBER = "whatsapp:+551130000077"


@pytest.fixture
async def staff(data_dir: Path) -> AsyncIterator[Staff]:
    async with open_staff(data_dir, **SETTINGS) as opened:
        yield opened


async def test_an_account_is_connected_given_other_tokens_and_disconnected(staff: Staff) -> None:
    page = (await staff.admin.get("/console/settings/numbers")).text
    assert "/webhooks/twilio/inbound#rc=3&amp;rp=all&amp;ct=3000&amp;rt=4500</code>" in page
    await went(staff.admin, "numbers", account_sid=SID, auth_token="segredo-de-antes", numbers=f"{NUMBER}\r\n")
    staff.world.twilio.add_account(SID, "segredo-de-depois", numbers=(NUMBER,))
    assert (await staff.world.twilio.send("whatsapp:+5511980000001", NUMBER, "oi")).status == 403
    await went(staff.admin, f"numbers/{SID}/tokens", auth_token="segredo-de-depois", secondary_token="")
    sealed = staff.world.value("SELECT tokens FROM twilio_accounts WHERE account_sid = :sid", sid=SID)
    assert "segredo" not in sealed

    taken = await staff.other.post(
        "/console/settings/numbers", {"account_sid": SID, "auth_token": "segredo-de-outra", "numbers": NUMBER}
    )
    assert (taken.status, 'id="e-numbers"' in taken.text) == (422, True)
    twice = await staff.admin.post(
        "/console/settings/numbers", {"account_sid": SID, "auth_token": "segredo-de-outra", "numbers": NUMBER}
    )
    assert (twice.status, 'id="e-account_sid"' in twice.text) == (422, True)
    wrong = await staff.admin.post(f"/console/settings/numbers/{SID}/numbers", {"number": "55 11"})
    assert (wrong.status, 'value="55 11"' in wrong.text) == (422, True)

    await went(staff.admin, f"numbers/{SID}/numbers", number="+551130000078")
    await went(staff.admin, f"numbers/{SID}/numbers/delete", number=NUMBER)
    rows = staff.world.rows("SELECT address FROM twilio_numbers WHERE account_sid = :sid", sid=SID)
    assert rows == [{"address": "+551130000078"}]
    await went(staff.admin, f"numbers/{SID}/delete")
    assert (await staff.admin.get(f"/console/settings/numbers/{SID}")).status == 404
    actions = staff.world.rows("SELECT action FROM audit_log WHERE action LIKE 'channel_accounts.%' ORDER BY id")
    assert [row["action"].partition(".")[2] for row in actions] == ["create", "update", "update", "delete", "delete"]


async def test_an_endpoint_is_added_changed_switched_given_a_secret_and_deleted(staff: Staff) -> None:
    refused = await staff.admin.post("/console/settings/webhooks", {"url": "http://10.0.0.1/x", "event:message.sent": "on"})
    assert (refused.status, 'id="e-url"' in refused.text) == (422, True)
    assert 'value="http://10.0.0.1/x"' in refused.text
    assert re.search(r'name="event:message.sent" checked', refused.text)
    no_events = await staff.admin.post("/console/settings/webhooks", {"url": "https://example.com/x"})
    assert (no_events.status, 'id="e-events"' in no_events.text) == (422, True)

    secret = await made(staff.admin, "webhooks", url="https://example.com/x", **{"event:message.sent": "on"})
    one = f"webhooks/{first(staff, 'webhook_endpoints', '')}"
    await went(staff.admin, one, version="1", url="https://example.com/y", **{"event:job.dead": "on"})
    stale = await staff.admin.post(
        f"/console/settings/{one}", {"version": "1", "url": "https://example.com/z", "event:job.dead": "on"}
    )
    assert (stale.status, 'value="https://example.com/z"' in stale.text) == (412, True)
    await went(staff.admin, f"{one}/switch", version="2", active="0")
    again = await made(staff.admin, f"{one}/secret", version="3")
    assert again.startswith("whsec_")
    assert again != secret
    row = staff.world.rows("SELECT url, events, status, version FROM webhook_endpoints")
    assert row == [{"url": "https://example.com/y", "events": '["job.dead"]', "status": "disabled", "version": 4}]
    await went(staff.admin, f"{one}/delete", version="4")
    actions = staff.world.rows("SELECT action FROM audit_log WHERE action LIKE 'webhook_endpoints.%' ORDER BY id")
    assert [row["action"].partition(".")[2] for row in actions] == ["create", "update", "update", "update", "delete"]


async def test_a_delivery_is_shown_with_its_payload_and_delivered_again(staff: Staff) -> None:
    await made(staff.admin, "webhooks", url=HOOK, **{"event:message.received": "on"})
    endpoint = first(staff, "webhook_endpoints", "")
    await went(staff.admin, f"webhooks/{endpoint}/switch", version="1", active="0")
    with closing(connect(staff.world.data_dir / "wtai.db")) as connection:
        for number in range(60):
            connection.execute(
                "INSERT INTO webhook_deliveries (owner_id, public_id, endpoint_id, event_id, event_type, payload, status,"
                " attempts, last_status, created_at, updated_at)"
                " VALUES (1, ?, 1, ?, 'message.received', '{\"data\": {\"body\": \"<b>oi</b>\"}}', 'dead', 9, 500, ?, 1)",
                (f"whd_{number}", f"evt_{number}", number),
            )
    listed = (await staff.admin.get("/console/settings/deliveries?status=dead")).text
    assert listed.count('href="/console/settings/deliveries/whd_') == 50
    older = re.search(r'href="(/console/settings/deliveries\?[^"]*before=\d+)"', listed)
    assert older is not None
    rest = (await staff.admin.get(older[1].replace("&amp;", "&"))).text
    assert rest.count('href="/console/settings/deliveries/whd_') == 10
    assert "Given up" in listed

    one = (await staff.admin.get("/console/settings/deliveries/whd_7")).text
    assert "&lt;b&gt;oi&lt;/b&gt;" in one
    refused = await staff.admin.post("/console/settings/deliveries/whd_7/replay")
    assert (refused.status, "switched off" in refused.text) == (409, True)
    await went(staff.admin, f"webhooks/{endpoint}/switch", version="2", active="1")
    await went(staff.admin, "deliveries/whd_7/replay")
    audited = staff.world.rows("SELECT target FROM audit_log WHERE action = 'webhook_endpoints.replay'")
    assert audited == [{"target": "whd_7"}]


async def test_a_tool_is_saved_by_its_rules_and_keeps_its_secret(staff: Staff) -> None:
    form = {
        "name": "order_status", "description": "Says where an order is", "url": "https://example.com/order",
        "parameters": '{"type": "object", "properties": {"order": {"type": "string"}}}', "effect": "read", "timeout_seconds": "5",
    }  # fmt: skip
    for change, at in (
        ({"name": "remember"}, "name"),
        ({"url": "http://example.com/x"}, "url"),
        ({"parameters": "{"}, "parameters"),
        ({"parameters": "[]"}, "parameters"),
        ({"parameters": '{"type": "array"}'}, "parameters"),
        ({"timeout_seconds": "99"}, "timeout_seconds"),
        ({"timeout_seconds": "nan"}, "timeout_seconds"),
        ({"description": ""}, "description"),
    ):
        refused = await staff.admin.post("/console/settings/tools", form | change)
        assert (refused.status, f'id="e-{at}"' in refused.text) == (422, True), (change, refused.text)
    await made(staff.admin, "tools", **form)
    twice = await staff.admin.post("/console/settings/tools", form)
    assert (twice.status, "There is a tool of this name already" in twice.text) == (422, True)
    sealed = staff.world.value("SELECT secret FROM http_tools")
    await went(staff.admin, "tools/order_status", **{**form, "description": "Another"})
    assert staff.world.rows("SELECT description, secret FROM http_tools") == [{"description": "Another", "secret": sealed}]
    await made(staff.admin, "tools/order_status/secret")
    assert staff.world.value("SELECT secret FROM http_tools") != sealed
    await went(staff.admin, "tools/order_status/delete")
    assert staff.world.rows("SELECT id FROM http_tools") == []


async def test_a_template_is_added_once_for_each_language_changed_and_deleted(staff: Staff) -> None:
    form = {"name": "reminder", "locale": "pt-BR", "content_sid": f"HX{1:032x}"}
    await went(staff.admin, "templates", **form)
    for change, at in (({}, "name"), ({"name": "Com Espaço"}, "name"), ({"locale": "en", "content_sid": "HX1"}, "content_sid")):
        refused = await staff.admin.post("/console/settings/templates", form | change)
        assert (refused.status, f'id="e-{at}"' in refused.text) == (422, True)
    one = f"templates/{first(staff, 'templates', '')}"
    await went(staff.admin, one, version="1", content_sid=f"HX{2:032x}")
    stale = await staff.admin.post(f"/console/settings/{one}/delete", {"version": "1"})
    assert stale.status == 412
    agents = (await staff.agent.get("/console/settings/templates")).text
    assert f"HX{2:032x}" in agents
    assert "<form" not in agents.partition('<div class="desk">')[2]
    await went(staff.admin, f"{one}/delete", version="2")
    assert staff.world.rows("SELECT id FROM templates") == []


async def test_a_failed_job_is_run_again_or_discarded_once(staff: Staff) -> None:
    with closing(connect(staff.world.data_dir / "wtai.db")) as connection:
        for number in range(2):
            connection.execute(
                "INSERT INTO jobs (owner_id, kind, payload, priority, run_at, created_at, state, failures, error)"
                " VALUES (1, 'sweep_identity', '{}', 0, 0, 0, 'dead', 8, ?)",
                (f"<i>reason {number}</i>",),
            )
    page = (await staff.admin.get("/console/settings/jobs")).text
    assert "&lt;i&gt;reason 1&lt;/i&gt;" in page
    one, two = re.findall(r'action="/console/settings/jobs/(job_\d+)/retry"', page)
    await went(staff.admin, f"jobs/{one}/retry")
    await went(staff.admin, f"jobs/{two}/discard")
    for job in (one, two):
        assert (await staff.admin.post(f"/console/settings/jobs/{job}/discard")).status == 404
    audited = staff.world.rows("SELECT action, target FROM audit_log WHERE action LIKE 'jobs.%' ORDER BY id")
    assert audited == [{"action": "jobs.retry", "target": one}, {"action": "jobs.delete", "target": two}]
