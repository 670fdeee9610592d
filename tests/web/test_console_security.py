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
from tests.web.console_client import Staff, Visitor, open_staff, without_request
from tests.web.settings_data import SETTINGS, Everything, fill, first, went
from wtai.clock import SystemClock
from wtai.db.sqlite import connect
from wtai.identity.access import ACTIONS, Role
from wtai.web.console.page import Page
from wtai.web.console.pages import PAGES
from wtai.web.console.session import COOKIE

pytestmark = pytest.mark.asyncio(loop_scope="module")

ANA, TWICE, BOTH, MOVED = (person(number) for number in range(11, 15))
PLACEHOLDER = re.compile(r"\{(\w+)(?::[^{}]*(?:\{[^{}]*\}[^{}]*)*)?\}")
OWN_PAGES = [page for page in PAGES if page.path != "/console/live"]
CHANGES = [page for page in OWN_PAGES if page.method == "POST"]
OF_EVERYBODY = {"position": "0", "version": "1", "table": "messages"}
"""What paths name that every owner has."""

RESTING = {
    "jobs", "sessions", "changes", "sqlite_sequence", "webhook_deliveries", "webhook_endpoints", "twilio_numbers",
    "message_words_progress", "message_terms", "rollups", "rollup_positions",
}  # fmt: skip
"""Tables that a program at rest may write to, and those of who is logged in."""

SWEPT = {("users", "found_by"), ("media", "worded")}
"""Columns that it fills for the search."""


@dataclass(frozen=True)
class Place:
    """The program with one of everything, and what is written in the paths of its pages."""

    staff: Staff
    everything: Everything
    conversations: dict[str, str]
    ids: dict[str, str]

    def path(self, page: Page, *, absent: bool = False) -> str:
        """Of a page about what is there, or about nothing."""
        people = {"user": self.everything.customer} if page.path.startswith("/console/people") else {}
        named = {**self.everything.ids, **self.ids, **people}
        named = {**(dict.fromkeys(named, "absent") if absent else named), **OF_EVERYBODY}
        return PLACEHOLDER.sub(lambda match: named[match[1]], page.path)

    def rows(self) -> dict[str, list[object]]:
        """All that is kept."""
        with closing(connect(self.staff.world.data_dir / "wtai.db", read_only=True)) as connection:
            tables = [name for (name,) in connection.execute("SELECT name FROM pragma_table_list WHERE type = 'table'")]
            return {
                table: [
                    {name: value for name, value in dict(row).items() if (table, name) not in SWEPT}
                    for row in connection.execute(f'SELECT * FROM "{table}"')
                ]
                for table in {*tables} - RESTING
            }

    async def sent(self, to: str, count: int) -> list[str]:
        """What staff sent to somebody, once it is ``count`` messages and all of them have gone out."""
        await self.staff.world.answers_to(to, count + 1)
        await self.staff.world.until(lambda: {row["status"] for row in self.staff.world.outbound()} <= {"delivered", "read"})
        return [message.body for message in self.staff.world.sent_to(to)][1:]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    folder = tmp_path_factory.mktemp("security") / "data"
    folder.mkdir()
    async with open_staff(folder, **SETTINGS) as staff:
        conversations = {somebody: await staff.conversation(somebody) for somebody in (TWICE, BOTH, MOVED, ANA)}
        message = first(staff, "messages", "ORDER BY id DESC")
        for path, form in (LABEL, CANNED):
            await went(staff.admin, path, **form)
        everything = await fill(staff)
        ids = {
            "conversation": conversations[ANA],
            "message": message,
            "label": first(staff, "labels", ""),
            "canned": first(staff, "canned_replies", ""),
        }
        await staff.world.until(lambda: staff.world.value(OWED) == 0)
        yield Place(staff, everything, conversations, ids)


OWED = "SELECT count(*) FROM jobs WHERE state <> 'dead' AND kind <> 'deliver_webhook'"
LABEL = ("/console/labels", {"name": "Urgente", "colour": "red"})
CANNED = ("/console/settings/canned", {"shortcut": "oi", "text": "Olá!"})


async def request(visitor: Visitor, page: Page, path: str, **headers: str) -> Reply:
    return await (visitor.get(path, **headers) if page.method == "GET" else visitor.post(path, FORM, **headers))


async def ask(visitor: Visitor, page: Page, path: str, **headers: str) -> tuple[int, str]:
    """Status and text, without the reference of the request."""
    reply = await request(visitor, page, path, **headers)
    return reply.status, without_request(reply.text)


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
        if {match[1] for match in PLACEHOLDER.finditer(page.path)} - {*OF_EVERYBODY}:
            status, text = await ask(place.staff.other, page, place.path(page))
            assert status == 404, f"{page.method} {page.path}: {text}"
            assert (status, text) == await ask(place.staff.other, page, place.path(page, absent=True)), page.path
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


WRITTEN = "SELECT id FROM messages WHERE direction = 'outbound' AND body = :body"


async def reply_form(visitor: Visitor, conversation: str, text: str) -> dict[str, str]:
    """The form of an open conversation, as the page has it."""
    page = (await visitor.get(f"/console/c/{conversation}")).text
    [once] = re.findall(r'name="once" id="talk-once-reply" value="(\w+)"', page)
    [seen] = re.findall(r'name="seen" value="(\w+)"', page)
    return {"text": text, "once": once, "seen": seen}


async def test_a_form_that_comes_twenty_times_at_once_is_sent_once(place: Place) -> None:
    public = place.conversations[TWICE]
    form = await reply_form(place.staff.admin, public, "uma vez só")
    path, post = f"/console/c/{public}/reply", place.staff.admin.post
    replies = await asyncio.gather(*(post(path, form, HX_Request="true") for _ in range(20)))
    assert {reply.status for reply in replies} == {200}
    assert await place.sent(TWICE, 1) == ["uma vez só"]
    assert len(place.staff.world.rows(WRITTEN, body="uma vez só")) == 1


async def test_of_colleagues_who_reply_at_once_one_is_first_and_the_other_is_told(place: Place) -> None:
    public = place.conversations[BOTH]
    pair = (place.staff.admin, place.staff.agent)
    forms = [await reply_form(visitor, public, f"resposta {number}") for number, visitor in enumerate(pair)]
    replies = await asyncio.gather(
        *(visitor.post(f"/console/c/{public}/reply", form, HX_Request="true") for visitor, form in zip(pair, forms, strict=True))
    )
    assert sorted(reply.status for reply in replies) == [200, 409]
    loser = [reply.status for reply in replies].index(409)
    assert await place.sent(BOTH, 1) == [f"resposta {1 - loser}"]
    again = {**forms[loser], "seen": re.findall(r'name="seen" value="(\w+)"', replies[loser].text)[0]}
    assert (await pair[loser].post(f"/console/c/{public}/reply", again, HX_Request="true")).status == 200
    assert await place.sent(BOTH, 2) == [f"resposta {1 - loser}", f"resposta {loser}"]


async def test_a_conversation_that_moved_on_is_not_closed_over_what_came_since(place: Place) -> None:
    public = place.conversations[MOVED]
    page = (await place.staff.admin.get(f"/console/c/{public}")).text
    [version] = re.findall(r'id="talk-close".*?name="version" value="(\d+)"', page)
    await place.staff.world.say(MOVED, "mais uma coisa")
    await place.sent(MOVED, 1)
    assert (await place.staff.admin.post(f"/console/c/{public}/close", {"version": version})).status == 412
    assert place.staff.world.value("SELECT closed_at FROM conversations WHERE public_id = :id", id=public) is None
