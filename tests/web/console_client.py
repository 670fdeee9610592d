"""Visitors of the console without a browser, against the real program: staff of two owners, logged in through the form."""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from tests.program import Line, World, open_world
from tests.web.api_client import HASH, PASSWORD, QUICK_SECURITY, Reply
from wtai.app import Running
from wtai.clock import SystemClock
from wtai.identity.access import Role
from wtai.identity.audit_store import OPERATOR
from wtai.identity.registration import add_user
from wtai.web.console.session import COOKIE

ADMIN, AGENT, OTHER = "ana@padaria.example", "bia@padaria.example", "outra@loja.example"


def without_request(text: str) -> str:
    """An error page without what tells one request from another: its id, its time and what it asked for."""
    return re.sub(r'<pre id="diagnosis".*?</pre>|req_\w+', "", text, flags=re.DOTALL)


class Visitor:
    """A browser of one person; ``cookie`` is None before the log-in."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session
        self.cookie: str | None = None
        self.language = "en"

    async def get(self, path: str, **headers: str) -> Reply:
        """A page; as a part of one with ``HX_Request="true"``. Names of headers with _ for -."""
        return await self._ask("GET", path, None, headers)

    async def post(self, path: str, form: Mapping[str, str] | None = None, **headers: str) -> Reply:
        """A form, sent by a page of the console."""
        return await self._ask("POST", path, form or {}, {"Sec_Fetch_Site": "same-origin", **headers})

    async def log_in(self, email: str, password: str = PASSWORD) -> Reply:
        """Through the form; the cookie is kept."""
        reply = await self.post("/console/login", {"email": email, "password": password, "next": "/console"})
        if reply.status == 303:
            self.cookie = reply.headers["Set-Cookie"].partition(f"{COOKIE}=")[2].partition(";")[0]
        return reply

    async def _ask(self, method: str, path: str, form: Mapping[str, str] | None, headers: Mapping[str, str]) -> Reply:
        sent = {"Accept-Language": self.language, **{name.replace("_", "-"): value for name, value in headers.items()}}
        if self.cookie is not None:
            sent.setdefault("Cookie", f"{COOKIE}={self.cookie}")
        async with self._session.request(method, path, data=form, headers=sent, allow_redirects=False) as answer:
            return Reply(answer.status, answer.headers, await answer.text())


@dataclass(frozen=True)
class Staff:
    """The program with two owners: an administrator and an agent of the first, an administrator of the second, and nobody."""

    world: World
    program: Running
    session: aiohttp.ClientSession
    admin: Visitor
    agent: Visitor
    other: Visitor
    nobody: Visitor

    @property
    def lines(self) -> list[Line]:
        return self.world.lines

    async def conversation(self, from_: str, text: str = "oi", *, line: Line | None = None) -> str:
        """Somebody writes and is answered, and the answer arrives; the id of the conversation."""
        before = len(self.world.sent_to(from_))
        await self.world.say(from_, text, line=line)
        await self.world.answers_to(from_, before + 1)
        await self.world.at_rest()
        await self.world.until(lambda: {row["status"] for row in self.world.outbound()} <= {"delivered", "read"})
        return str(self.world.rows("SELECT public_id FROM conversations ORDER BY id DESC LIMIT 1")[0]["public_id"])


@asynccontextmanager
async def open_staff(data_dir: Path, **sections: Mapping[str, object]) -> AsyncIterator[Staff]:
    """The program at work, with everybody logged in."""
    async with open_world(data_dir, owners=2) as world, world.running(**{"security": QUICK_SECURITY, **sections}) as program:
        now = SystemClock().now()
        one, two = (line.owner_id for line in world.lines)
        for owner_id, role, name, email in (
            (one, Role.ADMIN, "Ana Chefe", ADMIN),
            (one, Role.AGENT, "Bia Atende", AGENT),
            (two, Role.ADMIN, "Outra Dona", OTHER),
        ):
            await program.database.write(owner_id, add_user, role, name, email, HASH, actor=OPERATOR, now=now)
        async with aiohttp.ClientSession(program.url, cookie_jar=aiohttp.DummyCookieJar()) as session:
            staff = Staff(world, program, session, *[Visitor(session) for _ in range(4)])
            for visitor, email in ((staff.admin, ADMIN), (staff.agent, AGENT), (staff.other, OTHER)):
                reply = await visitor.log_in(email)
                assert reply.status == 303, reply.text
            yield staff
