"""Who is let into the console, and what every answer of it says."""

import asyncio
import json
import re
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest

from tests.program import person
from tests.web.api_client import PASSWORD
from tests.web.console_client import ADMIN, AGENT, Staff, Visitor, without_request
from wtai.clock import SystemClock
from wtai.db.sqlite import connect
from wtai.identity.access import ACTIONS
from wtai.web.console.pages import PAGES
from wtai.web.console.session import COOKIE

ROOT = Path(__file__).resolve().parents[2]
STATIC = ROOT / "wtai" / "web" / "console" / "static"
ANA = person(1)


async def test_without_a_log_in_every_page_sends_to_the_door_and_back(staff: Staff) -> None:
    reply = await staff.nobody.get("/console/c/cnv_1?tab=all")
    assert (reply.status, reply.headers["Location"]) == (303, "/console/login?next=%2Fconsole%2Fc%2Fcnv_1%3Ftab%3Dall")
    part = await staff.nobody.get("/console", HX_Request="true")
    assert (part.status, part.headers["HX-Redirect"]) == (204, "/console/login")
    live = await staff.nobody.get("/console/live")
    assert live.status == 303


async def test_a_log_in_gives_a_cookie_for_this_host_alone(staff: Staff) -> None:
    reply = await staff.nobody.post("/console/login", {"email": ADMIN.upper(), "password": PASSWORD, "next": "/console/settings"})
    assert (reply.status, reply.headers["Location"]) == (303, "/console/settings")
    cookie = reply.headers["Set-Cookie"]
    assert cookie.startswith("__Host-wtai=")
    assert {"HttpOnly", "Secure", "Path=/", "SameSite=Lax"} <= set(cookie.split("; "))
    assert "Domain" not in cookie


@pytest.mark.parametrize(
    "target", ["https://evil.example", "//evil.example", "/console//evil", "/console/\\evil", "/api/docs", ""]
)
async def test_a_log_in_leads_nowhere_else(staff: Staff, target: str) -> None:
    reply = await staff.nobody.post("/console/login", {"email": ADMIN, "password": PASSWORD, "next": target})
    assert reply.headers["Location"] == "/console"


async def test_a_wrong_password_and_an_unknown_person_are_told_alike(staff: Staff) -> None:
    wrong = await staff.nobody.post("/console/login", {"email": ADMIN, "password": "outra"})
    unknown = await staff.nobody.post("/console/login", {"email": "nem@existe.example", "password": "outra"})
    assert wrong.status == unknown.status == 401
    assert wrong.text.replace(ADMIN, "") == unknown.text.replace("nem@existe.example", "")
    assert "Set-Cookie" not in wrong.headers


async def test_who_guesses_must_wait(staff: Staff) -> None:
    statuses = [(await staff.nobody.post("/console/login", {"email": AGENT, "password": str(n)})).status for n in range(7)]
    assert statuses[:5] == [401] * 5
    assert statuses[-1] == 429


async def test_a_session_from_before_the_log_in_is_never_taken_up(staff: Staff) -> None:
    staff.nobody.cookie = "A" * 43
    assert (await staff.nobody.log_in(ADMIN)).status == 303
    assert staff.nobody.cookie != "A" * 43
    before = staff.nobody.cookie
    await staff.nobody.log_in(ADMIN)
    old = Visitor(staff.session)
    old.cookie = before
    assert (await old.get("/console")).status == 303


async def test_a_log_out_ends_the_session_at_the_server(staff: Staff) -> None:
    assert (await staff.admin.get("/console")).status == 200
    out = await staff.admin.post("/console/logout")
    assert (out.status, out.headers["Location"]) == (303, "/console/login")
    assert "Max-Age=0" in out.headers["Set-Cookie"]
    assert (await staff.admin.get("/console")).status == 303


async def test_the_database_knows_no_cookie(staff: Staff) -> None:
    rows = staff.world.rows("SELECT cookie_hash FROM sessions WHERE cookie_hash IS NOT NULL")
    assert staff.admin.cookie is not None
    assert sha256(staff.admin.cookie.encode()).hexdigest() in {row["cookie_hash"] for row in rows}
    assert staff.admin.cookie.encode() not in (staff.world.data_dir / "wtai.db").read_bytes()


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": "cross-site", "Origin": "http://127.0.0.1"},
        {"Sec_Fetch_Site": "", "Origin": "https://evil.example"},
        {"Sec_Fetch_Site": "", "Origin": "null"},
    ],
)
async def test_a_form_of_another_site_changes_nothing(staff: Staff, headers: dict[str, str]) -> None:
    reply = await staff.admin.post("/console/logout", **headers)
    assert reply.status == 403
    assert (await staff.admin.get("/console")).status == 200


async def test_every_answer_says_what_a_page_may_do(staff: Staff) -> None:
    for path in ("/console", "/console/login", "/console/nowhere", "/console/c/cnv_nowhere"):
        reply = await staff.admin.get(path)
        policy = reply.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';"), path
        assert "unsafe" not in policy
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
        assert reply.headers["Cache-Control"] == "no-store"
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", reply.text), path


async def test_what_is_absent_and_what_is_someone_elses_look_alike(staff: Staff) -> None:
    foreign = await staff.conversation(ANA, line=staff.lines[1])
    theirs, absent = await staff.admin.get(f"/console/c/{foreign}"), await staff.admin.get("/console/c/cnv_absent")
    assert theirs.status == absent.status == 404
    assert without_request(theirs.text) == without_request(absent.text)


async def test_a_session_that_ends_closes_its_open_stream(staff: Staff) -> None:
    async with listening(staff, staff.admin, 0) as events:
        assert (await anext(events))[0] == "beat"
        with closing(connect(staff.world.data_dir / "wtai.db")) as connection:
            connection.execute("UPDATE sessions SET idle_until = ?", (SystemClock().now() - 1,))
        async with asyncio.timeout(30):
            assert [name async for name, _, _ in events if name == "over"] == ["over"]


async def test_a_stream_tells_of_this_owners_changes_alone(staff: Staff) -> None:
    before = await staff.program.database.system_read(
        lambda tx: int(tx.all("SELECT coalesce(max(id), 0) AS id FROM changes")[0]["id"])
    )
    async with listening(staff, staff.admin, before) as events:
        assert (await anext(events))[0] == "beat"
        await staff.conversation(person(2), line=staff.lines[1])
        own = await staff.conversation(ANA)
        async with asyncio.timeout(20):
            told = await _told(events)
    assert (told[0], json.loads(told[2])) == ("changed", [own])


async def test_who_was_away_is_told_what_was_missed_or_to_ask_anew(staff: Staff) -> None:
    own = await staff.conversation(ANA)
    newest = staff.world.value("SELECT max(id) FROM changes")
    async with listening(staff, staff.admin, 0) as events:
        assert await _told(events) == ("changed", newest, json.dumps([own]))
    with closing(connect(staff.world.data_dir / "wtai.db")) as connection:
        connection.execute("DELETE FROM changes WHERE id < ?", (newest,))
    async with listening(staff, staff.admin, newest - 3) as events:
        assert (await _told(events))[0] == "resync"


def test_every_page_has_an_action_of_the_table() -> None:
    assert {page.action for page in PAGES} <= set(ACTIONS)


def test_what_is_vendored_is_what_it_says() -> None:
    rows = re.findall(
        r"^\| (\S+) \| [^|]+ \| [^|]+ \| [^|]+ \| ([0-9a-f]{64}) \|$",
        (STATIC / "vendor" / "VENDORED.md").read_text(),
        re.MULTILINE,
    )
    assert {name for name, _ in rows if "/" not in name} == {file.name for file in (STATIC / "vendor").iterdir()} - {
        "VENDORED.md"
    }
    for name, digest in rows:
        assert sha256((STATIC / "vendor" / name).read_bytes()).hexdigest() == digest, name


async def test_an_error_page_names_the_request_and_not_what_is_secret_in_its_address(staff: Staff) -> None:
    secret = "s3cret" * 8
    reply = await staff.nobody.post(f"/console/setup/{secret}?q=Mariana", {}, Sec_Fetch_Site="cross-site")
    assert reply.status == 403
    assert f"request: {reply.headers['X-Request-Id']}\n" in reply.text
    assert "path: POST /console/setup/…\n" in reply.text
    assert secret not in reply.text
    assert "Mariana" not in reply.text


async def test_a_tab_that_is_gone_before_its_stream_began_is_no_failure(staff: Staff, capsys: pytest.CaptureFixture[str]) -> None:
    address = urlsplit(str(staff.program.url))
    for _ in range(20):
        with socket.create_connection((address.hostname, address.port)) as tab:
            tab.sendall(f"GET /console/live HTTP/1.1\r\nHost: x\r\nCookie: {COOKIE}={staff.admin.cookie}\r\n\r\n".encode())
        await staff.admin.get("/console/unread")
    told = capsys.readouterr().out
    assert "console.left" in told
    assert "http.failed" not in told


@asynccontextmanager
async def listening(staff: Staff, visitor: Visitor, after: int) -> AsyncIterator[AsyncIterator[tuple[str, int, str]]]:
    """The events of a stream: name, id and data."""
    headers = {"Cookie": f"{COOKIE}={visitor.cookie}", "Last-Event-ID": str(after)}
    async with staff.session.get("/console/live", headers=headers) as answer:
        assert answer.status == 200, await answer.text()
        yield _events(answer)


async def _told(events: AsyncIterator[tuple[str, int, str]]) -> tuple[str, int, str]:
    """The first event that is no sign of life: which of the two comes first is open."""
    return await anext(event async for event in events if event[0] != "beat")


async def _events(answer: aiohttp.ClientResponse) -> AsyncIterator[tuple[str, int, str]]:
    fields: dict[str, str] = {}
    async for line in answer.content:
        name, _, value = line.decode().strip().partition(":")
        if name:
            fields[name] = value.strip()
        elif fields:
            if "event" in fields:
                yield fields["event"], int(fields.get("id", 0)), fields.get("data", "")
            fields = {}


def test_every_text_is_there_in_portuguese_and_every_catalogue_is_compiled() -> None:
    command = [sys.executable, "-c", "import sys, translate; sys.argv.append('--check'); sys.exit(translate.main())"]
    done = subprocess.run(command, cwd=ROOT / "scripts", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
