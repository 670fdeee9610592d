"""Specialists in the settings: set, refused, kept in a history that every writer leaves, and restored from it."""

import re
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio

from tests.web.console_client import Staff, open_staff
from tests.web.settings_data import went
from wtai.clock import SystemClock
from wtai.db.tx import OwnerTx, SystemTx
from wtai.identity.access import Role
from wtai.identity.api_tokens import issue_api_token
from wtai.identity.plans import PlanLimits
from wtai.identity.plans_store import create_plan, subscribe

pytestmark = pytest.mark.asyncio(loop_scope="module")

FINANCE = "/console/settings/features/finance"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def staff(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Staff]:
    folder = tmp_path_factory.mktemp("features") / "data"
    folder.mkdir()
    async with open_staff(folder) as opened:
        yield opened


def config(staff: Staff, name: str) -> str:
    return str(staff.world.value("SELECT config FROM features WHERE owner_id = 1 AND name = :name", name=name))


def version(staff: Staff, name: str) -> str:
    rows = staff.world.rows("SELECT version FROM features WHERE owner_id = 1 AND name = :name", name=name)
    return str(rows[0]["version"]) if rows else "0"


def lines(text: str) -> list[tuple[str, str]]:
    """The lines of the comparisons on a page: mark and text."""
    found = re.findall(r'<li class="(added|removed)">(?:<span[^>]*>[^<]*</span>)?\s*([^<]*)</li>', text)
    return [(mark, line.strip()) for mark, line in found]


async def test_each_writer_leaves_a_version_with_its_name_and_any_can_be_restored(staff: Staff) -> None:
    await went(staff.admin, "features", name="bolos", description="cakes", prompt="Fale de bolos.\nSeja breve.")
    await went(staff.admin, "features/bolos", version="1", enabled="1", description="cakes", prompt="Fale de bolos.\nSeja longo.")
    issued = await staff.program.database.write(
        1, issue_api_token, "prova", Role.ADMIN, ["all"], maker=None, now=SystemClock().now()
    )
    said = {"enabled": True, "config": {"description": "cakes", "prompt": "Pela API."}}
    headers = {"Authorization": f"Bearer {issued.text}", "If-Match": '"2"'}
    async with staff.session.put("/api/v1/features/bolos", json=said, headers=headers) as answer:
        assert answer.status == 200
    staff.world.command("feature", "set", staff.lines[0].owner, "bolos", "--disable")

    history = (await staff.admin.get("/console/settings/features/bolos/versions")).text
    assert re.findall(r"Version (\d)", history) == ["4", "3", "2", "1"]
    assert history.count("· Ana Chefe<") == 2
    assert issued.token.public_id in history
    assert "Operator of the machine" in history

    second = (await staff.admin.get("/console/settings/features/bolos/versions/2")).text
    assert lines(second)[:2] == [("removed", "Seja breve."), ("added", "Seja longo.")]

    await went(staff.admin, "features/bolos/versions/1/restore", version="4")
    assert version(staff, "bolos") == "5"
    assert config(staff, "bolos") == '{"description": "cakes", "prompt": "Fale de bolos.\\nSeja breve."}'
    enabled = staff.world.value("SELECT enabled FROM features WHERE owner_id = 1 AND name = 'bolos'")
    assert enabled == 1
    audited = staff.world.rows("SELECT action, target FROM audit_log WHERE owner_id = 1 ORDER BY id DESC LIMIT 1")
    assert audited == [{"action": "features.update", "target": "bolos"}]


async def test_a_specialist_that_was_deleted_comes_back_from_its_history(staff: Staff) -> None:
    await went(staff.admin, "features", name="flores", description="flowers", prompt="Fale de flores.")
    await went(staff.admin, "features/flores/reset", version="1")
    assert (await staff.admin.get("/console/settings/features/flores")).status == 404
    history = (await staff.admin.get("/console/settings/features/flores/versions")).text
    assert re.findall(r"Version (\d)", history) == ["2", "1"]
    await went(staff.admin, "features/flores/versions/1/restore", version="0")
    assert version(staff, "flores") == "3", "a version never stands for two states"
    stale = await staff.admin.post("/console/settings/features/flores/reset", {"version": "1"})
    assert stale.status == 412
    await went(staff.admin, "features/flores/versions/2/restore", version="3")
    assert (await staff.admin.get("/console/settings/features/flores")).status == 404


async def test_a_configuration_that_does_not_fit_is_said_at_its_fields_and_keeps_what_was_typed(staff: Staff) -> None:
    form = {"version": version(staff, "finance"), "prompt": "Meu texto", "confirm_above": "muito", "currency": "reais"}
    before = config(staff, "finance")
    reply = await staff.admin.post(FINANCE, form)
    assert reply.status == 422
    for name in ("confirm_above", "currency"):
        assert f'id="e-{name}"' in reply.text
        assert re.search(rf'name="{name}"[^>]*aria-invalid="true"', reply.text)
    assert 'id="e-prompt"' not in reply.text
    assert "\nMeu texto</textarea>" in reply.text
    assert config(staff, "finance") == before


async def test_what_is_set_of_a_specialist_is_what_the_form_says(staff: Staff) -> None:
    kept = {
        "prompt": "Conte o dinheiro.",
        "model": "gpt-x",
        "currency": "EUR",
        "categories": "casa\r\n\r\n mercado ",
        "confirm_above": "20",
    }
    await went(staff.admin, "features/finance", version=version(staff, "finance"), enabled="1", **kept)
    assert config(staff, "finance") == (
        '{"prompt": "Conte o dinheiro.", "model": "gpt-x", "currency": "EUR", "confirm_above": "20", '
        '"categories": ["casa", "mercado"]}'
    )
    page = (await staff.admin.get(FINANCE)).text
    assert "casa\nmercado</textarea>" in page
    await went(staff.admin, "features/finance/switch", version=version(staff, "finance"), enabled="0")
    assert '"currency": "EUR"' in config(staff, "finance")


async def test_what_holds_where_nothing_is_set_is_shown_in_the_owners_language(staff: Staff) -> None:
    def speaks(locale: str) -> Callable[[OwnerTx], int]:
        return lambda tx: tx.run("UPDATE owners SET locale = :locale WHERE id = :owner", locale=locale)

    for locale, currency, category in (("en", "USD", "groceries"), ("pt-BR", "BRL", "mercado")):
        await staff.program.database.write(2, speaks(locale))
        page = (await staff.other.get(FINANCE)).text
        assert f'placeholder="{currency}"' in page
        assert f"\n{category}\n" in page


async def test_who_comes_second_is_told_so_keeps_the_text_and_may_insist(staff: Staff) -> None:
    seen = version(staff, "general")
    await went(staff.admin, "features/general", version=seen, enabled="1", prompt="Primeiro")
    again = await staff.admin.post("/console/settings/features/general", {"version": seen, "enabled": "1", "prompt": "Segundo"})
    assert again.status == 412
    assert "Somebody else changed this" in again.text
    assert "\nSegundo</textarea>" in again.text
    now = re.search(r'name="version" value="(\d+)"', again.text)
    assert now is not None
    await went(staff.admin, "features/general", version=now[1], enabled="1", prompt="Segundo")
    assert config(staff, "general") == '{"prompt": "Segundo"}'


async def test_what_the_plan_does_not_have_is_not_switched_on(staff: Staff) -> None:
    def limit(tx: SystemTx) -> None:
        now = SystemClock().now()
        subscribe(tx.for_owner(2), create_plan(tx, "pequeno", PlanLimits(features=("general",)), now=now), now=now)

    await staff.program.database.system_write(limit)
    rows = staff.world.rows("SELECT version FROM features WHERE owner_id = 2 AND name = 'finance'")
    reply = await staff.other.post(
        "/console/settings/features/finance/switch", {"version": str(rows[0]["version"]), "enabled": "1"}
    )
    assert reply.status == 422
    assert "Your plan does not have this specialist" in reply.text
    assert "Not in your plan" in (await staff.other.get("/console/settings/features")).text


async def test_a_name_that_is_taken_or_no_name_is_refused_at_its_field(staff: Staff) -> None:
    unfit = "Take up to 40 lower case letters from a to z"
    for name, words in (
        ("finance", "There is a specialist of this name"),
        ("Bolos!", "lower case"),
        ("", "Write something"),
        ("cobrança", unfit),
        ("a" * 60, unfit),
        ("voice", unfit),
    ):
        reply = await staff.admin.post("/console/settings/features", {"name": name, "description": "d", "prompt": "p"})
        assert reply.status == 422
        assert re.search(rf'id="e-name">[^<]*{words}', reply.text), name
        assert 'value="d"' in reply.text
