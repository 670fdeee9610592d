"""What must hold on every page of the console: from where a change comes, whose it is, who may, and that it happens once."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass

import pytest
import pytest_asyncio

from tests.program import person
from tests.web.api_client import Reply
from tests.web.console_client import Staff, Visitor, open_staff
from wtai.clock import SystemClock
from wtai.db.sqlite import connect
from wtai.identity.access import ACTIONS, Role
from wtai.web.console.page import Page
from wtai.web.console.pages import PAGES
from wtai.web.console.session import COOKIE

pytestmark = pytest.mark.asyncio(loop_scope="module")

ANA = person(1)
PLACEHOLDER = re.compile(r"\{(\w+)(?::[^{}]*(?:\{[^{}]*\}[^{}]*)*)?\}")
OWN_PAGES = [page for page in PAGES if page.path != "/console/live"]
CHANGES = [page for page in OWN_PAGES if page.method == "POST"]
OF_NOBODY_ELSE = {"version", "position", "table", "feature"}
"""What paths name that every owner has."""

RESTING = frozenset({"jobs", "sessions", "changes", "sqlite_sequence"})
"""Tables that a program at rest may write to, and those of who is logged in."""


@dataclass(frozen=True)
class Place:
    """The program with a conversation, and what is written in the paths of its pages."""

    staff: Staff
    ids: dict[str, str]

    def path(self, page: Page, *, absent: bool = False) -> str:
        """Of a page about what is there, or about nothing."""
        return PLACEHOLDER.sub(
            lambda match: "0" if absent and match[1] == "position" else self._named(match[1], absent), page.path
        )

    def _named(self, name: str, absent: bool) -> str:
        return "absent" if absent and name not in OF_NOBODY_ELSE else self.ids.get(name, "absent")

    def rows(self) -> dict[str, list[object]]:
        """All that is kept."""
        with closing(connect(self.staff.world.data_dir / "wtai.db", read_only=True)) as connection:
            tables = [
                str(name)
                for (name,) in connection.execute(
                    "SELECT name FROM sqlite_schema WHERE type = 'table' AND sql NOT LIKE '%VIRTUAL%'"
                )
                if not re.search(r"_(data|idx|docsize|config|content|chunks|rowids|vector_chunks\d+|info)$", str(name))
            ]
            return {
                table: [tuple(row) for row in connection.execute(f'SELECT * FROM "{table}"')]
                for table in tables
                if table not in RESTING
            }


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    folder = tmp_path_factory.mktemp("security") / "data"
    folder.mkdir()
    async with open_staff(folder) as staff:
        conversation = await staff.conversation(ANA)
        for form in (("/console/labels", {"name": "Urgente", "colour": "red"}), CANNED):
            assert (await staff.admin.post(*form)).status == 303
        rows = staff.world.rows
        ids = {
            "conversation": conversation,
            "message": rows("SELECT public_id AS id FROM messages ORDER BY id DESC LIMIT 1")[0]["id"],
            "position": "0",
            "label": rows("SELECT public_id AS id FROM labels")[0]["id"],
            "canned": rows("SELECT public_id AS id FROM canned_replies")[0]["id"],
        }
        await staff.world.at_rest()
        yield Place(staff, ids)


CANNED = ("/console/settings/canned", {"shortcut": "oi", "text": "Olá!"})


async def request(visitor: Visitor, page: Page, path: str, **headers: str) -> Reply:
    return await (visitor.get(path, **headers) if page.method == "GET" else visitor.post(path, FORM, **headers))


async def ask(visitor: Visitor, page: Page, path: str, **headers: str) -> tuple[int, str]:
    """Status and text, without the reference of the request."""
    reply = await request(visitor, page, path, **headers)
    return reply.status, re.sub(r"req_\w+", "", reply.text)


FORM = {
    **dict.fromkeys(("name", "text", "shortcut", "label"), "oi"),
    **dict.fromkeys(("version", "once"), "1"),
    "kind": "note",
    "colour": "red",
}
"""Fields with which most forms are whole."""


async def test_a_change_that_another_site_asks_for_is_refused_on_every_page(place: Place) -> None:
    before = place.rows()
    for page in CHANGES:
        for headers in (
            {"Sec_Fetch_Site": "cross-site"},
            {"Sec_Fetch_Site": "same-site"},
            {"Sec_Fetch_Site": "", "Origin": "null"},
        ):
            status, _ = await ask(place.staff.admin, page, place.path(page), **headers)
            assert status == 403, f"{page.path} {headers}"
    assert place.rows() == before


async def test_a_request_without_any_origin_changes_nothing(place: Place) -> None:
    before = place.rows()
    headers = {"Cookie": f"{COOKIE}={place.staff.admin.cookie}"}
    for page in CHANGES:
        async with place.staff.session.post(place.path(page), data=FORM, headers=headers, allow_redirects=False) as answer:
            assert answer.status == 403, page.path
    assert place.rows() == before


async def test_no_page_lets_anybody_in_without_a_session(place: Place) -> None:
    before = place.rows()
    for page in PAGES:
        status, text = await ask(place.staff.nobody, page, place.path(page))
        assert (status, text) == (303, ""), page.path
        status, text = await ask(place.staff.nobody, page, place.path(page), HX_Request="true")
        assert (status, text) == (204, ""), page.path
    assert place.rows() == before


async def test_what_another_owner_has_looks_absent_on_every_page(place: Place) -> None:
    before = place.rows()
    for page in OWN_PAGES:
        if PLACEHOLDER.search(page.path):
            status, text = await ask(place.staff.other, page, place.path(page))
            for public in place.ids.values():  # a page may know its own address
                text = text.replace(public, "absent") if len(public) > 2 else text
            assert (status, text) == await ask(place.staff.other, page, place.path(page, absent=True)), page.path
            assert status == 404, f"{page.method} {page.path}: {text}"
    assert place.rows() == before


async def test_an_agent_is_kept_from_the_pages_of_administrators(place: Place) -> None:
    before = place.rows()
    for page in OWN_PAGES:
        if Role.AGENT not in ACTIONS[page.action]:
            status, _ = await ask(place.staff.agent, page, place.path(page))
            assert status == 403, page.path
    assert place.rows() == before


async def test_a_session_that_somebody_brings_along_is_never_the_one_of_a_log_in(place: Place) -> None:
    visitor = Visitor(place.staff.session)
    visitor.cookie = planted = "B" * 43
    reply = await visitor.get("/console")
    assert "Set-Cookie" not in reply.headers  # nothing is begun before the log-in that the log-in could take up
    assert (await visitor.log_in("ana@padaria.example")).status == 303
    assert visitor.cookie not in (None, planted)
    intruder = Visitor(place.staff.session)
    intruder.cookie = planted
    assert (await intruder.get("/console")).status == 303


async def test_a_session_that_is_over_opens_nothing_and_changes_nothing(place: Place) -> None:
    visitor = Visitor(place.staff.session)
    assert (await visitor.log_in("bia@padaria.example")).status == 303
    assert (await visitor.get("/console")).status == 200
    with closing(connect(place.staff.world.data_dir / "wtai.db")) as connection:
        connection.execute(
            "UPDATE sessions SET idle_until = ? WHERE id = (SELECT max(id) FROM sessions)", (SystemClock().now() - 1,)
        )
    before = place.rows()
    for page in PAGES:
        headers = {"HX_Request": "true", "HX_Current_URL": "http://x/console/c/cnv_1?tab=all"}
        reply = await request(visitor, page, place.path(page), **headers)
        assert reply.status == 204, page.path
        assert reply.headers["HX-Redirect"] == "/console/login?next=%2Fconsole%2Fc%2Fcnv_1%3Ftab%3Dall", page.path
    assert place.rows() == before


def sent(place: Place, to: str) -> list[str]:
    return [message.body for message in place.staff.world.sent_to(to)]


async def reply_form(visitor: Visitor, conversation: str, text: str) -> dict[str, str]:
    """The form of an open conversation, as the page has it."""
    page = (await visitor.get(f"/console/c/{conversation}")).text
    [once] = re.findall(r'name="once" id="talk-once-reply" value="(\w+)"', page)
    [seen] = re.findall(r'name="seen" value="(\w+)"', page)
    return {"text": text, "once": once, "seen": seen}


async def test_a_form_that_comes_twenty_times_at_once_is_sent_once(place: Place) -> None:
    somebody = person(2)
    public = await place.staff.conversation(somebody)
    form = await reply_form(place.staff.admin, public, "uma vez só")
    path, post = f"/console/c/{public}/reply", place.staff.admin.post
    replies = await asyncio.gather(*(post(path, form, HX_Request="true") for _ in range(20)))
    assert {reply.status for reply in replies} == {200}
    await place.staff.world.at_rest()
    assert sent(place, somebody)[1:] == ["uma vez só"]


async def test_of_colleagues_who_reply_at_once_one_is_first_and_the_other_is_told(place: Place) -> None:
    somebody = person(3)
    public = await place.staff.conversation(somebody)
    pair = (place.staff.admin, place.staff.agent)
    forms = [await reply_form(visitor, public, f"resposta {number}") for number, visitor in enumerate(pair)]
    replies = await asyncio.gather(
        *(visitor.post(f"/console/c/{public}/reply", form, HX_Request="true") for visitor, form in zip(pair, forms, strict=True))
    )
    assert sorted(reply.status for reply in replies) == [200, 409]
    loser = [reply.status for reply in replies].index(409)
    await place.staff.world.at_rest()
    assert sent(place, somebody)[1:] == [f"resposta {1 - loser}"]
    again = {**forms[loser], "seen": re.findall(r'name="seen" value="(\w+)"', replies[loser].text)[0]}
    assert (await pair[loser].post(f"/console/c/{public}/reply", again, HX_Request="true")).status == 200
    await place.staff.world.at_rest()
    assert sent(place, somebody)[1:] == [f"resposta {1 - loser}", f"resposta {loser}"]


async def test_a_conversation_that_moved_on_is_not_closed_over_what_came_since(place: Place) -> None:
    somebody = person(4)
    public = await place.staff.conversation(somebody)
    page = (await place.staff.admin.get(f"/console/c/{public}")).text
    [version] = re.findall(r'id="talk-close".*?name="version" value="(\d+)"', page)
    await place.staff.conversation(somebody, "mais uma coisa")
    assert (await place.staff.admin.post(f"/console/c/{public}/close", {"version": version})).status == 412
    state = place.staff.world.value("SELECT state FROM conversations WHERE public_id = :id", id=public)
    assert state == "WAITING_USER"
