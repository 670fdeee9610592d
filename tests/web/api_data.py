"""An owner with rows of every kind the API shows, made through the running program; and who may ask for them.

Of each kind some rows are kept, and others are spare: for what deletes, closes, disables or revokes.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp

from tests.program import World, open_world, person
from tests.web.api_client import HASH, PASSWORD, QUICK_SECURITY, Client
from wtai.ai.memory.writing import Told, remember
from wtai.app import Running
from wtai.clock import SystemClock
from wtai.db.sqlite import connect
from wtai.db.tx import PLATFORM
from wtai.identity.access import Role
from wtai.identity.api_tokens import issue_api_token
from wtai.identity.audit_store import OPERATOR
from wtai.identity.registration import add_user

SPARE: Final = 16
MANY: Final = 48
DEAF: Final = "127.0.0.1:9"
"""Where nobody listens: webhooks to it fail at once."""

MAILS: Final = {Role.ADMIN: "ana@padaria.example", Role.AGENT: "beto@padaria.example", Role.PLATFORM: "op@wtai.example"}
_OWN: Final = """
    SELECT public_id AS id FROM users WHERE email IS NOT NULL AND email NOT LIKE 'outra%'
    UNION SELECT public_id FROM sessions UNION SELECT public_id FROM api_tokens
"""
_RATES: Final = {"api_per_principal": 10**7, "api_per_owner": 10**7, "api_per_address": 10**7}
ROOMY: Final[Mapping[str, Mapping[str, object]]] = {"security": QUICK_SECURITY, "limits": _RATES}
"""Cheap passwords, and rates that no test reaches."""


@dataclass(frozen=True, slots=True)
class Ids:
    """Public ids of one kind."""

    kept: Sequence[str]
    spare: Sequence[str]


@dataclass(frozen=True, slots=True)
class Data:
    """``ids`` by the names that paths, queries and bodies call them; ``tokens`` of who may ask, by role.

    ``own`` are the ids of those who ask, their sessions and their API token: whoever ends these can ask no more. ``changing``
    is the token of someone whose password may change.
    """

    ids: Mapping[str, Ids]
    tokens: Mapping[Role, Sequence[str]]
    own: frozenset[str]
    changing: str


@asynccontextmanager
async def filled(data_dir: Path, port: int, **sections: Mapping[str, object]) -> AsyncIterator[tuple[World, Data]]:
    """The program as a process on ``port``, with rows of every kind."""
    async with open_world(data_dir, owners=3) as world:
        async with world.running(**ROOMY, egress={"allowed_private_hosts": [DEAF]}) as program:
            data = await _fill(world, program)
        egress = {"allowed_private_hosts": f'["{DEAF}"]'}
        async with world.process(port, **{**ROOMY, **sections}, egress=egress):
            yield world, data


async def _fill(world: World, program: Running) -> Data:
    """Rows of every kind for the first owner of ``world`` (of three), with the program at work."""
    await _staff(world, program)
    async with aiohttp.ClientSession(program.url) as session:
        tokens = {role: [(await _logged_in(session, mail))["access_token"]] for role, mail in MAILS.items()}
        tokens[Role.ADMIN].append(await _api_token(world, program))
        changing = (await _logged_in(session, "caio@padaria.example"))["access_token"]
        own = [row["id"] for row in world.rows(_OWN)]
        sessions = [(await _logged_in(session, MAILS[Role.ADMIN]))["session"] for _ in range(SPARE)]
        admin, platform = Client(session, tokens[Role.ADMIN][0]), Client(session, tokens[Role.PLATFORM][0])
        made = await _made(admin, platform)
        await _talk(world, admin)
        await _remember(world, program)
        _bury(world)
        return Data({**made, **_found(world, sessions)}, tokens, frozenset(own), changing)


async def _staff(world: World, program: Running) -> None:
    owner_id, now = world.line.owner_id, SystemClock().now()
    for role, mail in MAILS.items():
        of = PLATFORM if role is Role.PLATFORM else owner_id
        await program.database.write(of, add_user, role, f"Quem {role}", mail, HASH, actor=OPERATOR, now=now)
    for mail in ("caio@padaria.example", *(f"outra{number}@padaria.example" for number in range(SPARE))):
        await program.database.write(owner_id, add_user, Role.AGENT, None, mail, HASH, actor=OPERATOR, now=now)


async def _logged_in(session: aiohttp.ClientSession, mail: str) -> dict[str, str]:
    answer = await Client(session, None).post("/auth/token", {"email": mail, "password": PASSWORD})
    return {name: str(value) for name, value in answer.body.items()}


async def _api_token(world: World, program: Running) -> str:
    now = SystemClock().now()
    of = world.line.owner_id
    issued = await program.database.write(of, issue_api_token, "inventário", Role.ADMIN, ["all"], maker=None, now=now)
    return issued.text


async def _made(admin: Client, platform: Client) -> dict[str, Ids]:
    """What is made by asking for it."""
    found: dict[str, list[str]] = {}
    for number in range(SPARE):
        sid = f"HX{number:032x}"
        bodies = {
            "template": ("/templates", {"name": f"aviso_{number}", "locale": "pt-BR", "content_sid": sid}),
            "token": ("/api-tokens", {"name": f"caixa {number}", "role": "agent", "scopes": ["read"]}),
            "endpoint": ("/webhook-endpoints", {"url": f"http://{DEAF}/{number}", "events": ["message.received"]}),
        }
        for name, (path, body) in bodies.items():
            found.setdefault(name, []).append(await _post(admin, path, body))
        plan = {"name": f"Plano {number}", "limits": {"messages_per_month": 100_000 + number}}
        found.setdefault("plan", []).append(await _post(platform, "/plans", plan))
        await admin("PUT", f"/features/extra_{number}", {"config": {"description": "d", "prompt": "p"}})
    sid = f"AC{'a' * 32}"
    numbers = [f"+5511970000{number:03d}" for number in range(MANY)]
    await _post(admin, "/twilio-accounts", {"account_sid": sid, "auth_token": "t" * 32, "numbers": numbers})
    spare = [f"AC{number:032x}" for number in range(0xB00, 0xB00 + SPARE)]
    for other in spare:
        await _post(admin, "/twilio-accounts", {"account_sid": other, "auth_token": "t" * 32, "numbers": []})
    ids = {name: Ids(of[:4], of[4:]) for name, of in found.items()}
    features = Ids(["general", "finance", "relationship"], [f"extra_{number}" for number in range(SPARE)])
    return {**ids, "account": Ids([sid], spare), "number": Ids(numbers[:2], numbers[2:]), "feature": features}


async def _post(client: Client, path: str, body: object) -> str:
    answer = await client.post(path, body)
    assert answer.status == 201, (path, answer.text)
    return str(answer.body["id"])


async def _talk(world: World, admin: Client) -> None:
    for number in range(SPARE):
        await world.say(person(number), f"Bom dia, sou o número {number}")
        await world.answers_to(person(number), 1)
    for row in world.rows("SELECT public_id FROM conversations ORDER BY id"):
        assert (await admin.post(f"/conversations/{row['public_id']}/notes", {"text": "gosta de pão"})).status == 201


async def _remember(world: World, program: Running) -> None:
    user = world.rows("SELECT id FROM users WHERE email IS NULL ORDER BY id")[0]["id"]
    now = SystemClock().now()
    for number in range(MANY):
        told = Told(f"Fato {number}: tem {number} cachorros no endereço {number * 7}", observed_at=now + number)
        await program.database.write(world.line.owner_id, remember, user, told, now=now)


def _bury(world: World) -> None:
    with closing(connect(world.data_dir / "wtai.db")) as connection:
        for _ in range(MANY):
            connection.execute(
                "INSERT INTO jobs (owner_id, kind, payload, state, run_at, failures, error, created_at)"
                " VALUES (?, 'send_message', '{}', 'dead', 0, 8, 'não deu', 0)",
                (world.line.owner_id,),
            )


def _found(world: World, sessions: list[str]) -> dict[str, Ids]:
    """What came about by itself."""
    listed = {
        "conversation": "SELECT public_id FROM conversations ORDER BY id",
        "message": "SELECT public_id FROM messages ORDER BY id",
        "result": "SELECT public_id FROM ai_results ORDER BY id",
        "memory": "SELECT public_id FROM memories ORDER BY id",
        "delivery": "SELECT public_id FROM webhook_deliveries ORDER BY id",
        "job": "SELECT 'job_' || id AS public_id FROM jobs WHERE state = 'dead' ORDER BY id",
        "user": "SELECT public_id FROM users WHERE email LIKE 'outra%' ORDER BY id",
        "end_user": "SELECT public_id FROM users WHERE email IS NULL ORDER BY id",
    }
    found = {name: [str(row["public_id"]) for row in world.rows(sql)] for name, sql in listed.items()}
    assert all(found.values()), {name: len(of) for name, of in found.items()}
    owners = [line.owner for line in world.lines]
    ids = {name: Ids(of[:4], of[4:]) for name, of in found.items()}
    return {**ids, "owner": Ids(owners[:1], owners[1:]), "session": Ids(sessions[:2], sessions[2:])}
