"""What an owner chooses in the settings: taken over, pointed at where it does not fit, and left alone by other pages."""

import json
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.web.console_client import Staff, open_staff
from tests.web.settings_data import went
from wtai.identity import store
from wtai.identity.preferences import Preferences

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def staff(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Staff]:
    folder = tmp_path_factory.mktemp("choices") / "data"
    folder.mkdir()
    async with open_staff(folder, conversation={"idle_minutes": 90}) as opened:
        yield opened


def chosen(staff: Staff) -> dict[str, Any]:
    return json.loads(staff.world.value("SELECT preferences FROM owners WHERE id = 1"))


def version(staff: Staff) -> str:
    return str(staff.world.value("SELECT version FROM owners WHERE id = 1"))


async def test_each_page_sets_its_own_fields_and_what_is_blank_is_not_chosen(staff: Staff) -> None:
    await went(staff.admin, "texts", version=version(staff), farewell_text=" Até logo! ", handoff_text="", away_text="")
    await went(staff.admin, "pace", version=version(staff), idle_minutes="30", burst_quiet_ms="", expires_in_handoff="1")
    await went(
        staff.admin, "closing", version=version(staff), closing_keywords="fechou\r\n\r\nvaleu demais", close_threshold="0.9"
    )
    assert chosen(staff) == {
        "farewell_text": "Até logo!",
        "idle_minutes": 30,
        "expires_in_handoff": True,
        "closing_keywords": ["fechou", "valeu demais"],
        "close_threshold": 0.9,
    }
    await went(staff.admin, "pace", version=version(staff), idle_minutes="")
    assert "idle_minutes" not in chosen(staff)
    assert "expires_in_handoff" not in chosen(staff)
    assert 'placeholder="90"' in (await staff.admin.get("/console/settings/pace")).text, "what holds for the installation"
    audited = staff.world.rows("SELECT DISTINCT action, target FROM audit_log WHERE owner_id = 1 AND action = 'owners.update'")
    assert audited == [{"action": "owners.update", "target": staff.lines[0].owner}]


@pytest.mark.parametrize(
    ("page", "form", "at"),
    [
        ("pace", {"idle_minutes": "0"}, "idle_minutes"),
        ("pace", {"expire_minutes": "logo"}, "expire_minutes"),
        ("texts", {"away_text": "x" * 1_001}, "away_text"),
        ("closing", {"confirm_threshold": "0.9", "close_threshold": "0.5"}, "confirm_threshold"),
        ("closing", {"close_threshold": "2"}, "close_threshold"),
        ("usage", {"budget_month_usd": "-1"}, "budget_month_usd"),
        ("hours", {"time_zone": "Lua"}, "time_zone"),
        ("business", {"name": "x" * 201, "locale": "pt-BR"}, "name"),
    ],
)
async def test_what_does_not_fit_is_said_at_its_field_and_changes_nothing(
    staff: Staff, page: str, form: dict[str, str], at: str
) -> None:
    before = chosen(staff)
    reply = await staff.admin.post(f"/console/settings/{page}", {"version": version(staff), **form})
    assert reply.status == 422, reply.text
    assert f'id="e-{at}"' in reply.text
    assert form[at] in reply.text
    assert chosen(staff) == before


async def test_hours_are_kept_with_the_days_together_that_are_alike(staff: Staff) -> None:
    times = {
        f"{day}_{number}_{which}": time
        for day in ("monday", "tuesday", "friday")
        for number, pair in enumerate([("08:00", "12:00"), ("13:00", "18:00")])
        for which, time in zip(("start", "end"), pair, strict=True)
    }
    await went(
        staff.admin,
        "hours",
        version=version(staff),
        time_zone="America/Recife",
        **times,
        saturday_1_start="20:00",
        saturday_1_end="00:00",
    )
    preferences = await staff.program.database.read(1, store.preferences, Preferences())
    shifts = [(shift.days, f"{shift.start:%H:%M}", f"{shift.end:%H:%M}") for shift in preferences.business_hours]
    assert shifts == [
        (("monday", "tuesday", "friday"), "08:00", "12:00"),
        (("monday", "tuesday", "friday"), "13:00", "18:00"),
        (("saturday",), "20:00", "00:00"),
    ]
    assert preferences.time_zone == "America/Recife"
    text = (await staff.admin.get("/console/settings/hours")).text
    assert re.findall(r'name="friday_\d_\w+" value="([^"]*)"', text) == ["08:00", "12:00", "13:00", "18:00"]
    assert re.findall(r'name="saturday_\d_\w+" value="([^"]*)"', text) == ["20:00", "00:00", "", ""]


@pytest.mark.parametrize(("start", "end"), [("18:00", "08:00"), ("08:00", ""), ("", "12:00"), ("8h", "12h")])
async def test_a_shift_that_ends_before_it_begins_is_pointed_at(staff: Staff, start: str, end: str) -> None:
    before = chosen(staff)
    form = {"version": version(staff), "sunday_1_start": start, "sunday_1_end": end}
    reply = await staff.admin.post("/console/settings/hours", form)
    assert reply.status == 422
    assert re.search(r'name="sunday_1_start"[^>]*aria-invalid="true" aria-describedby="e-sunday_1"', reply.text)
    assert chosen(staff) == before


async def test_who_comes_second_does_not_write_over_the_first(staff: Staff) -> None:
    seen = version(staff)
    await went(staff.admin, "business", version=seen, name="Padaria Nova", locale="es")
    second = await staff.admin.post("/console/settings/texts", {"version": seen, "farewell_text": "Tchau"})
    assert second.status == 412
    assert "\nTchau</textarea>" in second.text
    assert staff.world.value("SELECT name FROM owners WHERE id = 1") == "Padaria Nova"


async def test_budgets_are_kept_exactly_and_shown_with_what_was_used(staff: Staff) -> None:
    await went(staff.admin, "usage", version=version(staff), budget_month_usd="12.345678", budget_user_day_usd="")
    assert chosen(staff)["budget_month_usd"] == "12.345678"
    assert 'value="12.345678"' in (await staff.admin.get("/console/settings/usage")).text
