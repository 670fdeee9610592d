"""How long the management API takes to answer, with a hundred thousand conversations in the database."""

import json
import random
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import uvloop

from benchmarks.load import fire
from benchmarks.program import Server, disk_directory, install, pinned, program, two_cores, wtai
from benchmarks.report import AT_MOST, Figure, Result, median, percentile
from wtai.clock import DAY, MINUTE, SystemClock
from wtai.db.sqlite import connect

_OPEN = ("PENDING", "PROGRESS", "WAITING_USER", "HANDOFF")
_SHARES = {
    "USER_CLOSED": 60,
    "IDLE_TIMEOUT": 25,
    "EXPIRED": 10,
    "WAITING_USER": 4,
    "PROGRESS": 0.5,
    "HANDOFF": 0.1,
    "FAILED": 0.01,
}
_PAGES_DEEP = 40


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured. Every fourth conversation is of another person, and each has four messages."""

    conversations: int
    requests: int
    rounds: int


FULL = Size(conversations=100_000, requests=300, rounds=5)
TINY = Size(conversations=400, requests=10, rounds=1)


def run(size: Size) -> Result:
    """Measure each list alone, at one connection, beside a request that only answers."""
    core, other = two_cores()
    with disk_directory() as directory:
        data = directory / "data"
        install(data)
        [owner] = json.loads(wtai(data, "owner", "list", "--json"))
        token = wtai(data, "token", "create", owner["id"], "--name", "benchmark", "--scope", "all").strip()
        person, conversation = fill(data, size)
        limits = {"limits.api_per_principal": "1000000", "limits.api_per_owner": "1000000"}
        with program(data, role="web", core=core, settings=limits) as server, pinned(other):
            deep = _deep(server, token)
            paths = {
                "50 conversations": "/api/v1/conversations?limit=50",
                f"page {_PAGES_DEEP + 1}": f"/api/v1/conversations?limit=50&cursor={deep}",
                "50 open": "/api/v1/conversations?limit=50&state=open",
                "the rarest state": "/api/v1/conversations?limit=50&state=FAILED",
                "of one person": f"/api/v1/conversations?limit=50&user={person}",
                "one conversation": f"/api/v1/conversations/{conversation}",
                "its messages": f"/api/v1/conversations/{conversation}/messages",
                "50 messages of all": "/api/v1/messages?limit=50",
            }
            figures = list(_figures(server, token, paths, size))
    return Result(
        figures=figures,
        notes=[
            f"server on core {core} with --role web, client on core {other}, one connection; seen by the client, so at most that",
            f"{size.conversations:,} conversations of one owner; medians of {size.rounds} rounds",
            "ceiling: /health of the same server",
        ],
    )


def _figures(server: Server, token: str, paths: Mapping[str, str], size: Size) -> Iterator[Figure]:
    taken: dict[str, list[list[float]]] = {name: [] for name in ("ceiling", *paths)}
    for _ in range(size.rounds):
        for name, path in {"ceiling": "/health", **paths}.items():
            requests = [_request(server, path, token)] * size.requests
            taken[name].append(uvloop.run(fire(server.url, requests, concurrency=1)).latencies)  # type: ignore[arg-type]
    ceiling = _of_rounds(taken["ceiling"], 0.5)
    for name in paths:
        yield Figure(f"{name} p50", _of_rounds(taken[name], 0.5), "ms", ceiling, None, AT_MOST, 5.0)
    yield Figure("50 conversations p99", _of_rounds(taken["50 conversations"], 0.99), "ms")


def _of_rounds(rounds: list[list[float]], share: float) -> float:
    return median([percentile(latencies, share) * 1000 for latencies in rounds])


def _request(server: Server, path: str, token: str) -> bytes:
    host = urlsplit(server.url).netloc
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\r\n".encode()


def _deep(server: Server, token: str) -> str:
    """The cursor of a page far down the list."""
    cursor = ""
    for _ in range(_PAGES_DEEP):
        url = f"{server.url}/api/v1/conversations?limit=50{cursor and f'&cursor={cursor}'}"
        with urllib.request.urlopen(urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})) as answer:
            following = json.load(answer)["next"]
        if following is None:
            break
        cursor = following
    return cursor


def fill(data: Path, size: Size) -> tuple[str, str]:
    """Conversations of the last quarter, and what was said in them; the ids of a person and of a conversation."""
    dice, now = random.Random(20_261_121), SystemClock().now()
    states = dice.choices(list(_SHARES), list(_SHARES.values()), k=size.conversations)
    people = size.conversations // 4
    with closing(connect(data / "wtai.db")) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("BEGIN")
        owner = connection.execute("SELECT id FROM owners WHERE id > 0").fetchone()[0]
        first = connection.execute("SELECT coalesce(max(id), 0) + 1 FROM users").fetchone()[0]
        connection.executemany(
            "INSERT INTO users (id, owner_id, public_id, role, name, created_at) VALUES (?, ?, ?, 'user', ?, ?)",
            [(first + number, owner, f"usr_{number:024x}", f"Pessoa {number}", now) for number in range(people)],
        )
        for number, state in enumerate(states):
            user, moment = number % people, now - dice.randrange(90 * DAY)
            # one open conversation with each address of ours
            connection.execute(
                "INSERT INTO conversations (id, owner_id, public_id, user_id, channel, address, user_address, state,"
                " opened_at, updated_at, closed_at, last_inbound_at)"
                " VALUES (?, ?, ?, ?, 'whatsapp', ?, ?, ?, ?, ?, ?, ?)",
                (
                    number + 1,
                    owner,
                    f"cnv_{number:024x}",
                    first + user,
                    f"whatsapp:+5511{number // people:07d}",
                    f"whatsapp:+55119{user:08d}",
                    state,
                    moment - 10 * MINUTE,
                    moment,
                    None if state in _OPEN else moment,
                    moment,
                ),
            )
            for line in range(4):
                connection.execute(
                    "INSERT INTO messages (owner_id, public_id, conversation_id, direction, author, status, body, provider_sid,"
                    " created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        owner,
                        f"msg_{number * 4 + line:024x}",
                        number + 1,
                        *(("inbound", "user", "received") if line % 2 == 0 else ("outbound", "agent", "read")),
                        "Bom dia! Vocês ainda têm pão de queijo hoje?",
                        f"SM{number * 4 + line:032x}",
                        moment,
                        moment,
                    ),
                )
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return f"usr_{0:024x}", f"cnv_{0:024x}"
