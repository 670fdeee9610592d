"""The program with three canaries, and everybody who may ask it: each role, tokens of several scopes, who is shut out."""

import re
import secrets
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.program import World, open_world
from tests.web.api_client import HASH, PASSWORD, QUICK_SECURITY, Client
from tests.web.canary_rows import Canary, gather, settle
from wtai.ai.specialists import FAMILIES
from wtai.ai.tools.http_store import HttpToolDraft, save_http_tool
from wtai.ai.tools.tool import Effect
from wtai.app import Running, sealer
from wtai.clock import SystemClock
from wtai.db.tx import PLATFORM
from wtai.egress import Egress
from wtai.events import Event
from wtai.hooks.endpoints_store import create_endpoint
from wtai.identity.access import Role
from wtai.identity.api_tokens import end_api_token, issue_api_token
from wtai.identity.audit_store import OPERATOR
from wtai.identity.registration import add_user, let

_ID = re.compile(r"\b[a-z]{3,4}_[0-9a-f]{24,}\b")


@dataclass(frozen=True)
class Asker:
    """Somebody with a token; ``own`` is the owner they belong to, None for the platform's people and for nobody."""

    name: str
    client: Client
    role: Role | None
    own: Canary | None


@dataclass
class Receiver:
    """A server that takes everything it is told, under the owner's word."""

    heard: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        app = web.Application()
        app.router.add_post("/{tail:.*}", self._take)
        self.server = TestServer(app, host="127.0.0.1")

    async def _take(self, request: web.Request) -> web.Response:
        said = f"{dict(request.headers)} {await request.text()}"
        self.heard.setdefault(request.query["key"], []).append(said)
        return web.json_response({"ok": request.query["key"]})


@dataclass
class Flock:
    """Three owners and all who ask."""

    world: World
    program: Running
    session: aiohttp.ClientSession
    receiver: Receiver
    canaries: list[Canary]
    askers: list[Asker] = field(default_factory=list)

    def foreign_in(self, text: str, of: Iterable[Canary], said: Iterable[str] = ()) -> set[str]:
        """What is in ``text`` of other owners than ``of``, but for what who asked had ``said``."""
        text = text.lower()
        for one in said:
            text = text.replace(one.lower(), "")
        named = set(_ID.findall(text))
        found: set[str] = set()
        for canary in self.canaries:
            if not any(canary is own for own in of):
                found |= {mark for mark in canary.marks if mark.lower() in text}
                found |= named.intersection(canary.every_id())
        return found


@asynccontextmanager
async def open_flock(data_dir: Path) -> AsyncIterator[Flock]:
    """Each owner has been written to and has answered, and then has a row in every table."""
    receiver = Receiver()
    await receiver.server.start_server()
    roomy = dict.fromkeys(("api_per_principal", "api_per_owner", "api_per_address"), 10_000_000)
    sections: Mapping[str, Mapping[str, object]] = {
        "security": QUICK_SECURITY,
        "limits": roomy,
        "egress": {"allowed_private_hosts": [f"127.0.0.1:{receiver.server.port}"]},
    }
    try:
        async with (
            open_world(data_dir, owners=3, echo=False, specialists=tuple(FAMILIES), **sections) as world,
            world.running() as program,
            aiohttp.ClientSession(program.url, connector=aiohttp.TCPConnector(limit=32)) as session,
        ):
            canaries = [Canary(line, f"whatsapp:+55119{secrets.randbelow(10**8):08d}") for line in world.lines]
            flock = Flock(world, program, session, receiver, canaries)
            for canary in canaries:
                await _populate(flock, canary)
            await world.at_rest()
            for canary in canaries:
                await program.database.system_read(gather, canary)
            flock.askers.append(Asker("platform", await _token(flock, PLATFORM, Role.PLATFORM, "all"), Role.PLATFORM, None))
            flock.askers.append(Asker("nobody", Client(session, None), None, None))
            yield flock
    finally:
        await receiver.server.close()


async def _populate(flock: Flock, canary: Canary) -> None:
    world, database, owner_id, now = flock.world, flock.program.database, canary.line.owner_id, SystemClock().now()
    await world.say(canary.person, f"oi, aqui é {canary.word}", line=canary.line, profile_name=f"{canary.word} perfil")
    await world.answers_to(canary.person, 1)
    settings = world.settings()
    egress, seal = Egress(settings.egress.allowed_private_hosts), sealer(settings)
    url = f"http://127.0.0.1:{flock.receiver.server.port}/hooks?key={canary.word}"
    named = {"type": "object", "properties": {canary.word: {"type": "string"}}, "additionalProperties": False}
    draft = HttpToolDraft(canary.word, f"{canary.word} descreve", named, url, Effect.READ)
    await database.write(owner_id, save_http_tool, draft, sealer=seal, egress=egress, built_in=(), now=now)
    issued = await database.write(owner_id, create_endpoint, url, tuple(Event), sealer=seal, egress=egress, now=now)
    staff = {}
    for role in (Role.ADMIN, Role.AGENT):
        email = f"{role}@{canary.word}.example"
        user = await database.write(owner_id, add_user, role, f"{canary.word} {role}", email, HASH, actor=OPERATOR, now=now)
        staff[str(role)] = user.id
        await _log_in(flock, canary, role, email)
    await database.write(owner_id, settle, canary, issued.endpoint.id, staff)
    for role, *scopes in ((Role.ADMIN, "all"), (Role.AGENT, "all"), (Role.ADMIN, "read"), (Role.AGENT, "conversations")):
        client = await _token(flock, owner_id, role, *scopes)
        flock.askers.append(Asker(f"{canary.word} {role} token {scopes}", client, role, canary))
    await _shut_out(flock, canary)


async def _log_in(flock: Flock, canary: Canary, role: Role, email: str) -> None:
    reply = await Client(flock.session, None).post("/auth/token", {"email": email, "password": PASSWORD})
    assert reply.status == 200, reply.text
    flock.askers.append(Asker(f"{canary.word} {role}", Client(flock.session, reply.body["access_token"]), role, canary))


async def _token(flock: Flock, owner_id: int, role: Role, *scopes: str) -> Client:
    now = SystemClock().now()
    name = next((f"{one.word} token" for one in flock.canaries if one.line.owner_id == owner_id), "platform")
    issued = await flock.program.database.write(owner_id, issue_api_token, name, role, scopes, maker=None, now=now)
    return Client(flock.session, issued.text)


async def _shut_out(flock: Flock, canary: Canary) -> None:
    """A user who was disabled after the log-in, and a token that was revoked: they have the role of nobody."""
    database, owner_id, now = flock.program.database, canary.line.owner_id, SystemClock().now()
    email = f"gone@{canary.word}.example"
    gone = await database.write(owner_id, add_user, Role.AGENT, f"{canary.word} gone", email, HASH, actor=OPERATOR, now=now)
    await _log_in(flock, canary, Role.AGENT, email)
    client = flock.askers.pop().client
    await database.write(owner_id, let, gone, "disabled", actor=OPERATOR, now=now)
    flock.askers.append(Asker(f"{canary.word} disabled", client, None, None))
    issued = await database.write(owner_id, issue_api_token, f"{canary.word} x", Role.ADMIN, ["all"], maker=None, now=now)
    await database.write(owner_id, end_api_token, issued.token.public_id, OPERATOR, now=now)
    flock.askers.append(Asker(f"{canary.word} revoked token", Client(flock.session, issued.text), None, None))
