"""A client of the management API against the real program, with tokens of every role of two owners."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import aiohttp

from tests.program import Line, World, open_world
from wtai.app import Running
from wtai.clock import SystemClock
from wtai.db.tx import PLATFORM, Database
from wtai.identity.access import Role
from wtai.identity.api_tokens import issue_api_token
from wtai.identity.audit_store import OPERATOR
from wtai.identity.passwords import Passwords
from wtai.identity.registration import add_user

PASSWORD = "quatro cavalos azuis"
QUICK_SECURITY = {"argon2_memory_kib": 19_456, "argon2_time_cost": 1, "argon2_parallelism": 1}
HASH = Passwords(memory_kib=19_456, time_cost=1, parallelism=1).hash(PASSWORD)


@dataclass(frozen=True)
class Reply:
    """An answer, its body parsed."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def body(self) -> Any:
        return json.loads(self.text)

    @property
    def pointers(self) -> list[str]:
        return [error["pointer"] for error in self.body.get("errors", [])]

    @property
    def slug(self) -> str:
        assert self.headers["Content-Type"].startswith("application/problem+json"), self.text
        return self.body["type"].rpartition("/")[2]


class Client:
    """Calls the API as one principal; None: as nobody."""

    def __init__(self, session: aiohttp.ClientSession, token: str | None) -> None:
        self._session = session
        self.token = token

    async def __call__(self, method: str, path: str, body: object = None, *, raw: bytes | None = None, **headers: str) -> Reply:
        """``path`` from /api/v1 on, or from / where it starts with /api. Names of headers with _ for -."""
        url = path if path.startswith("/api/") or path == "/api" else f"/api/v1{path}"
        all_headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.token is not None:
            all_headers.setdefault("Authorization", f"Bearer {self.token}")
        said = raw if raw is not None else None if body is None else json.dumps(body).encode()
        if said is not None:
            all_headers.setdefault("Content-Type", "application/json")
        async with self._session.request(
            method, url, data=None if said is None else BytesIO(said), headers=all_headers
        ) as answer:
            return Reply(answer.status, answer.headers, await answer.text())

    async def get(self, path: str, **headers: str) -> Reply:
        return await self("GET", path, **headers)

    async def post(self, path: str, body: object = None, **headers: str) -> Reply:
        return await self("POST", path, body, **headers)

    async def patch(self, path: str, body: object, version: int | None = None) -> Reply:
        return await self("PATCH", path, body, **({} if version is None else {"If_Match": f'"{version}"'}))


@dataclass(frozen=True)
class Api:
    """The program with two owners; ``admin`` and ``agent`` are of the first, ``other`` administers the second."""

    world: World
    program: Running
    session: aiohttp.ClientSession
    admin: Client
    agent: Client
    other: Client
    platform: Client
    nobody: Client
    admin_id: str

    @property
    def lines(self) -> list[Line]:
        return self.world.lines

    @property
    def database(self) -> Database:
        return self.program.database

    async def conversation(self, from_: str, text: str = "oi", *, line: Line | None = None) -> str:
        """Somebody writes and is answered, and the answer arrives; the id of the conversation."""
        before = len(self.world.sent_to(from_))
        await self.world.say(from_, text, line=line)
        await self.world.answers_to(from_, before + 1)
        await self.world.at_rest()
        await self.world.until(lambda: {row["status"] for row in self.world.outbound()} <= {"delivered", "read"})
        return str(self.world.rows("SELECT public_id FROM conversations ORDER BY id DESC LIMIT 1")[0]["public_id"])


@asynccontextmanager
async def open_api(data_dir: Path, **sections: Mapping[str, object]) -> AsyncIterator[Api]:
    """The program at work. Tokens are the operator's, but the administrator of the first owner may log in, too."""
    settings = {"security": QUICK_SECURITY, **sections}
    async with open_world(data_dir, owners=2) as world, world.running(**settings) as program:
        now = SystemClock().now()
        one, two = (line.owner_id for line in world.lines)
        made = await program.database.write(
            one, add_user, Role.ADMIN, "Ana Chefe", "ana@padaria.example", HASH, actor=OPERATOR, now=now
        )
        async with aiohttp.ClientSession(program.url) as session:

            async def client(owner_id: int, role: Role) -> Client:
                issued = await program.database.write(owner_id, issue_api_token, "teste", role, ["all"], maker=None, now=now)
                return Client(session, issued.text)

            yield Api(
                world,
                program,
                session,
                await client(one, Role.ADMIN),
                await client(one, Role.AGENT),
                await client(two, Role.ADMIN),
                await client(PLATFORM, Role.PLATFORM),
                Client(session, None),
                made.public_id,
            )
