"""How long the console takes to answer, with a hundred thousand conversations in the database."""

import http.client
import json
import random
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import uvloop

from benchmarks.api import Size, fill
from benchmarks.database import opened
from benchmarks.live import from_webhook_to_stream
from benchmarks.load import fire
from benchmarks.program import Server, disk_directory, install, pinned, program, two_cores, wtai
from benchmarks.report import AT_MOST, Figure, Result, median, percentile
from wtai.clock import MINUTE
from wtai.db.sqlite import SqliteConnection, connect
from wtai.jobs.queue import Job
from wtai.search.indexing import INDEX, Indexing
from wtai.web.console.session import COOKIE

FULL = Size(conversations=100_000, requests=60, rounds=3)
TINY = Size(conversations=400, requests=5, rounds=1)

_LIST_MS, _OPEN_MS, _SEARCH_MS, _LIVE_MS = 20.0, 100.0, 50.0, 500.0
_LONG = 2_000
_EMAIL, _PASSWORD = "ana@example.com", "quatro cavalos azuis"
_WORDS = ("pedido", "entrega", "boleto", "frete", "troca", "garantia", "horário", "endereço", "desconto", "pagamento")


def run(size: Size) -> Result:
    """Measure each page alone, at one connection, beside a request that only answers."""
    core, other = two_cores()
    with disk_directory() as directory:
        data = directory / "data"
        install(data)
        [owner] = json.loads(wtai(data, "owner", "list", "--json"))
        staff = ("--email", _EMAIL, "--role", "admin", "--password-file", "-")
        wtai(data, "user", "create", owner["id"], *staff, typed=f"{_PASSWORD}\n")
        fill(data, size)
        label, long = _enliven(data, size)
        uvloop.run(_index(data))
        with program(data, role="web", core=core) as server, pinned(other):
            cookie = _log_in(server)
            lists = {
                "needs me": "/console/list",
                "mine": "/console/list?tab=mine",
                "AI": "/console/list?tab=ai",
                "all": "/console/list?tab=all",
                "all, longest waiting first": "/console/list?tab=all&sort=waiting",
                "all with a rare label": f"/console/list?tab=all&label={label}",
                "all of a rare specialist": "/console/list?tab=all&feature=finance",
            }
            searches = {
                "search for a common word": f"/console/list?{urlencode({'q': 'queijo'})}",
                "search for three words": f"/console/list?{urlencode({'q': 'boleto frete garantia'})}",
                "search for a number": "/console/list?q=0001234",
            }
            pages = {"the whole inbox": "/console", f"a conversation of {_LONG:,} messages": f"/console/c/{long}/thread"}
            targets = {**dict.fromkeys(lists, _LIST_MS), **dict.fromkeys(searches, _SEARCH_MS), **dict.fromkeys(pages, _OPEN_MS)}
            figures = [*_figures(server, cookie, {**lists, **searches, **pages}, targets, size), _live(server, cookie, size)]
    return Result(
        figures=figures,
        notes=[
            f"server on core {core} with --role web, client on core {other}, one connection; seen by the client, so at most that",
            f"{size.conversations:,} conversations of one owner; medians of {size.rounds} rounds; compressed, as a browser asks",
            "ceiling: /health of the same server",
            "webhook to the stream: until the page knows; it then asks for the row, which takes no longer than a list",
        ],
    )


def _figures(server: Server, cookie: str, paths: Mapping[str, str], targets: Mapping[str, float], size: Size) -> Iterator[Figure]:
    taken: dict[str, list[list[float]]] = {name: [] for name in ("ceiling", *paths)}
    for _ in range(size.rounds):
        for name, path in {"ceiling": "/health", **paths}.items():
            requests = [_request(server, path, cookie)] * size.requests
            taken[name].append(uvloop.run(fire(server.url, requests, concurrency=1)).latencies)  # type: ignore[arg-type]
    ceiling = _of_rounds(taken["ceiling"], 0.5)
    for name in paths:
        yield Figure(f"{name} p50", _of_rounds(taken[name], 0.5), "ms", ceiling, None, AT_MOST, targets[name])
    yield Figure("all p99", _of_rounds(taken["all"], 0.99), "ms")


def _live(server: Server, cookie: str, size: Size) -> Figure:
    taken = uvloop.run(from_webhook_to_stream(server, cookie, range(size.rounds * size.requests)))
    return Figure("webhook to the stream p95", percentile(taken, 0.95) * 1000, "ms", None, None, AT_MOST, _LIVE_MS)


def _of_rounds(rounds: list[list[float]], share: float) -> float:
    return median([percentile(latencies, share) * 1000 for latencies in rounds])


def _request(server: Server, path: str, cookie: str) -> bytes:
    lines = (
        f"GET {path} HTTP/1.1",
        f"Host: {urlsplit(server.url).netloc}",
        f"Cookie: {COOKIE}={cookie}",
        "Accept-Encoding: gzip",
        "HX-Request: true",
    )
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _log_in(server: Server) -> str:
    with closing(http.client.HTTPConnection(urlsplit(server.url).netloc)) as connection:
        body = urlencode({"email": _EMAIL, "password": _PASSWORD, "next": "/console"})
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "same-origin"}
        connection.request("POST", "/console/login", body, headers)
        given = connection.getresponse().getheader("Set-Cookie") or ""
    return given.partition(f"{COOKIE}=")[2].partition(";")[0]


def _enliven(data: Path, size: Size) -> tuple[str, str]:
    """Waiting people, words, labels, staff at work, and one long conversation; the ids of a label and of that conversation."""
    dice = random.Random(20_261_129)
    with closing(connect(data / "wtai.db")) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("BEGIN")
        connection.execute(
            "UPDATE conversations SET waiting_since = updated_at WHERE state IN ('HANDOFF', 'PROGRESS') AND id % 2 = 0"
        )
        connection.execute("UPDATE conversations SET feature = CASE WHEN id % 997 = 0 THEN 'finance' ELSE 'general' END")
        connection.execute(
            "UPDATE conversations SET assignee_id = (SELECT max(id) FROM users WHERE email IS NOT NULL) WHERE id % 50 = 0"
        )
        for number in range(1, size.conversations * 4 + 1, 8):
            body = " ".join(dice.choices(_WORDS, k=8))
            connection.execute("UPDATE messages SET body = ? WHERE id = ?", (body, number))
        label = _labelled(connection, size)
        long = _lengthen(connection, dice)
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return label, long


def _labelled(connection: SqliteConnection, size: Size) -> str:
    owner = connection.execute("SELECT max(id) FROM owners").fetchone()[0]
    for number in range(10):
        label = f"lab_{number:024x}"
        [key] = connection.execute(
            "INSERT INTO labels (owner_id, public_id, name, folded, colour, created_at) VALUES (?, ?, ?, ?, 'red', 0)"
            " RETURNING id",
            (owner, label, f"Etiqueta {number}", f"etiqueta {number}"),
        ).fetchone()
        every = 7 if number else max(2, size.conversations // 100)
        connection.executemany(
            "INSERT INTO conversation_labels VALUES (?, ?, ?, 0)",
            ((owner, key, conversation) for conversation in range(1 + number, size.conversations, every)),
        )
    return f"lab_{0:024x}"


def _lengthen(connection: SqliteConnection, dice: random.Random) -> str:
    """Make one conversation long."""
    key, public, owner, at = connection.execute(
        "SELECT id, public_id, owner_id, updated_at FROM conversations WHERE state = 'HANDOFF' OR id = 1 ORDER BY id DESC LIMIT 1"
    ).fetchone()
    for number in range(_LONG):
        kinds = ("inbound", "user", "received") if number % 2 == 0 else ("outbound", "agent", "read")
        body = " ".join(dice.choices(_WORDS, k=12))
        moment = at - (_LONG - number) * MINUTE
        connection.execute(
            "INSERT INTO messages (owner_id, public_id, conversation_id, direction, author, status, body, provider_sid,"
            " created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (owner, f"msg_long_{number:020x}", key, *kinds, body, f"SMlong{number:028x}", moment, moment),
        )
    return str(public)


async def _index(data: Path) -> None:
    """Fill the search, as the worker does."""
    async with opened(data / "wtai.db") as database:
        await Indexing(database).handle(Job(1, 0, INDEX, None, "{}", 1, 0, 0))
