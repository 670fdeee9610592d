"""Every page of the settings: who sees it, who may do what on it, and that nothing of anybody else is ever there."""

import json
import re
from collections.abc import AsyncIterator
from contextlib import closing

import pytest
import pytest_asyncio

from tests.web.console_client import Staff, open_staff
from tests.web.settings_data import SETTINGS, Everything, fill, pages
from wtai.db.sqlite import connect
from wtai.identity.access import ACTIONS, Role
from wtai.web.console.page import Page
from wtai.web.console.settings.pages import PAGES

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROLES = (Role.ADMIN, Role.AGENT)
FOR_ALL = {"/console/settings", "/console/settings/account", "/console/people", "/console/settings/templates"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Staff, Everything]]:
    folder = tmp_path_factory.mktemp("settings") / "data"
    folder.mkdir()
    async with open_staff(folder, **SETTINGS) as staff:
        yield staff, await fill(staff)


async def test_every_page_is_there_in_both_languages_for_the_roles_that_have_it(place: tuple[Staff, Everything]) -> None:
    staff, everything = place
    for role, visitor in zip(ROLES, (staff.admin, staff.agent), strict=True):
        for page in pages("GET"):
            for language in ("en", "pt-BR"):
                visitor.language = language
                reply = await visitor.get(everything.path(page))
                assert reply.status == (200 if role in ACTIONS[page.action] else 403), f"{role} {page.path}: {reply.text}"
                assert f'<html lang="{language}"' in reply.text
                assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", reply.text), page.path
                if reply.status == 200:
                    assert_whole(page, reply.text)
        visitor.language = "en"


def assert_whole(page: Page, text: str) -> None:
    """Labels, descriptions and dialogs of a page name what is there, and no id is there twice."""
    ids = re.findall(r'\sid="([^"]+)"', text)
    assert len(ids) == len(set(ids)), page.path
    named = re.findall(r'\s(?:for|aria-describedby|aria-labelledby|data-opens|data-copy|list)="([^"]*)"', text)
    assert {name for names in named for name in names.split()} <= set(ids), page.path
    assert text.count("<h1>") == 1, page.path


async def test_the_navigation_leads_where_the_role_may_go_and_nowhere_else(place: tuple[Staff, Everything]) -> None:
    staff, _ = place
    mine = {page.path: page.action for page in pages("GET")}
    for role, visitor in zip(ROLES, (staff.admin, staff.agent), strict=True):
        text = (await visitor.get("/console/settings")).text
        links = set(re.findall(r'href="(/console/(?:settings|people)[^"?]*)"', text)) - {"/console/settings/canned"}
        assert links <= set(mine)
        assert all(role in ACTIONS[mine[link]] for link in links)
        assert role is not Role.AGENT or links == FOR_ALL
        assert 'href="/console/settings/canned"' in text


async def test_an_agent_changes_nothing_that_is_an_administrators(place: tuple[Staff, Everything]) -> None:
    staff, everything = place
    before = staff.world.rows("SELECT * FROM audit_log ORDER BY id")
    for page in pages("POST"):
        if Role.AGENT not in ACTIONS[page.action]:
            reply = await staff.agent.post(everything.path(page), {"version": "1"})
            assert reply.status == 403, f"{page.path}: {reply.text}"
    assert staff.world.rows("SELECT * FROM audit_log ORDER BY id") == before


async def test_what_is_another_owners_looks_absent(place: tuple[Staff, Everything]) -> None:
    staff, everything = place
    before = staff.world.rows("SELECT * FROM audit_log ORDER BY id")
    for page in PAGES:
        if "{" not in page.path or page.path == "/console/settings/account/sessions/{session}":
            continue
        path = everything.path(page)
        reply = await (staff.other.get(path) if page.method == "GET" else staff.other.post(path, {"version": "1"}))
        assert reply.status == 404, f"{page.method} {page.path}: {reply.status} {reply.text}"
    colleagues = await staff.agent.post(f"/console/settings/account/sessions/{everything.ids['session']}")
    assert colleagues.status == 404
    assert staff.world.rows("SELECT * FROM audit_log ORDER BY id") == before


async def test_a_form_of_another_site_is_refused_everywhere(place: tuple[Staff, Everything]) -> None:
    staff, everything = place
    before = staff.world.rows("SELECT * FROM audit_log ORDER BY id")
    for page in pages("POST"):
        reply = await staff.admin.post(everything.path(page), {"version": "1"}, Sec_Fetch_Site="cross-site")
        assert reply.status == 403, page.path
    assert staff.world.rows("SELECT * FROM audit_log ORDER BY id") == before


async def test_no_secret_is_in_any_page_after_its_first_showing(place: tuple[Staff, Everything]) -> None:
    staff, everything = place
    assert len(set(everything.secrets)) == 6
    for page in pages("GET"):
        text = (await staff.admin.get(everything.path(page))).text
        assert not [secret for secret in everything.secrets if secret in text], page.path


HOSTILE = """"'><script>hit()</script><img src=x onerror=hit()>"""


async def test_whatever_others_wrote_is_text_on_every_page(place: tuple[Staff, Everything]) -> None:
    staff, everything = place
    with closing(connect(staff.world.data_dir / "wtai.db")) as connection:
        for table, column in (
            ("users", "name"),
            ("memories", "text"),
            ("http_tools", "description"),
            ("http_tools", "url"),
            ("api_tokens", "name"),
            ("webhook_endpoints", "url"),
            ("webhook_deliveries", "payload"),
            ("webhook_deliveries", "last_error"),
            ("jobs", "error"),
            ("jobs", "kind"),
            ("owners", "name"),
            ("sessions", "address"),
            ("templates", "content_sid"),
        ):
            connection.execute(f"UPDATE {table} SET {column} = ?", (HOSTILE,))
        config = json.dumps({"description": HOSTILE, "prompt": HOSTILE, "model": HOSTILE, "tools": [HOSTILE]})
        connection.execute("UPDATE features SET config = ? WHERE name = 'pedidos'", (config,))
        connection.execute("UPDATE feature_versions SET config = ?, actor = ? WHERE name = 'pedidos'", (config, HOSTILE))
    for page in pages("GET"):
        text = (await staff.admin.get(everything.path(page))).text
        assert "&lt;script&gt;hit()" in text, page.path
        assert not re.search(r"<script>|<img src=x|\"'>", text), page.path


async def test_a_refused_form_gives_no_secret_back(place: tuple[Staff, Everything]) -> None:
    staff, everything = place
    sid = everything.ids["account"]
    for where, form in (
        ("numbers", {"account_sid": "AC", "auth_token": "um-segredo-digitado", "numbers": ""}),
        (f"numbers/{sid}/tokens", {"auth_token": "um-segredo-digitado", "secondary_token": "curto"}),
        ("account/password", {"current": "um-segredo-digitado", "password": "outro-segredo-digitado"}),
        ("account/password", {"current": "", "password": "um-segredo-digitado"}),
    ):
        reply = await staff.admin.post(f"/console/settings/{where}", form)
        assert reply.status == 422, reply.text
        assert "segredo-digitado" not in reply.text
        assert 'aria-invalid="true"' in reply.text
