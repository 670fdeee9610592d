"""No byte of one owner reaches another: three owners with words of their own in every text, and every route asked for them."""

import asyncio
import io
import json
import logging
import re
import zipfile
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import structlog

from tests.web.api_client import Reply
from tests.web.canary_flock import Flock, open_flock
from tests.web.canary_requests import Probe, absent, places_of, probes
from tests.web.canary_rows import columns_by_table
from wtai import logs
from wtai.clock import SystemClock
from wtai.conversation import views_store
from wtai.db.tx import OwnerTx, SystemTx
from wtai.db.units import Statements
from wtai.identity.access import Role
from wtai.privacy.export import export
from wtai.web.api.routes import ROUTES

DEFAULT_REQUESTS = 20_000
AT_ONCE = 24

NOBODYS = {
    "plans": "the platform's, for all owners to subscribe to",
    "schema_migrations": "the program's own",
    "message_words_progress": "the platform's: how far the words of all owners are filled",
    "audit_erasures": "holds a row for the length of one transaction, and no text",
}
"""Tables in which an owner has no text, and why."""

KEPT_BY_TIMERS = {"changes", "message_terms", "message_words_progress", "rollups", "rollup_positions"}

FORMED = {
    "*.public_id": "random: every one of an owner's is looked for, too",
    "*.event_id": "random",
    "*.channel": "whatsapp or sms",
    "twilio_accounts.tokens": "sealed; the token in it is a mark",
    "http_tools.secret": "sealed",
    "webhook_endpoints.secrets": "sealed",
    "webhook_endpoints.events": "names of events",
    "webhook_endpoints.disabled_reason": "one of two words, for a disabled endpoint",
    "users.password_hash": "a hash",
    "api_tokens.scopes": "names of actions",
    "jobs.payload": "keys of rows",
    "jobs.worker": "random, while it runs",
    "ledger_entries.entry_date": "a date",
    "people.birthday": "a date",
    "interactions.happened_on": "a date",
    "reminders.first_at": "a time",
    "reminders.time_zone": "a time zone",
    "usage.day": "a date",
    "usage_months.month": "a month",
    "memories.text_hash": "a hash",
    "memories.keys": "stems of the words of its text",
    "conversation_events.from_state": "a state",
    "conversation_events.to_state": "a state",
    "memories.kind": "one of four words",
    "memory_vectors.model": "the name of a model",
    "erasures.addresses": "hashes",
    "erasures.opt_outs": "our own addresses",
}
"""Columns of text that cannot hold a word, and why. What a CHECK confines to a list of words is not named here."""

MADE_BY_NAME = {"PUT /api/v1/features/{feature}", "PUT /api/v1/owners/{owner}/features/{feature}"}
"""What is not there is made: so the name is not looked for before the rest is right."""

STATEMENTS_BY_KEY = {
    "memory_words": "its keys begin with owner and person",
    "memory_vocabulary": "its keys begin with owner and person",
    "message_words": "its words begin with the owner",
    "pragma_table_info": "these tests themselves",
    ":v_owner_id": "these tests themselves",
}

HEADERS = {
    "content-type",
    "location",
    "etag",
    "allow",
    "www-authenticate",
    "retry-after",
    "cache-control",
    "idempotency-replayed",
}


@pytest.fixture
def requests(request: pytest.FixtureRequest) -> int:
    return int(request.config.getoption("--requests") or DEFAULT_REQUESTS)


@pytest.fixture
def output() -> Iterator[io.StringIO]:
    """What the program logs."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    logs.configure("json", "info", stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.contextvars.clear_contextvars()
    structlog.reset_defaults()


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """What the owners' transactions ran."""
    ran: set[str] = set()
    for name in ("query", "change", "insert"):
        own = getattr(Statements, name)

        def noted(self: Statements, sql: str, parameters: Mapping[str, object], own: Callable[..., Any] = own) -> Any:
            if "owner" in parameters:
                ran.add(sql)
            return own(self, sql, parameters)

        monkeypatch.setattr(Statements, name, noted)
    return ran


@pytest.fixture
async def flock(data_dir: Path, output: io.StringIO) -> AsyncIterator[Flock]:
    async with open_flock(data_dir) as opened:
        yield opened


@dataclass
class Findings:
    """What came of the requests."""

    statuses: Counter[int] = field(default_factory=Counter)
    leaks: list[str] = field(default_factory=list)
    told_apart: list[str] = field(default_factory=list)
    served: dict[str, set[str]] = field(default_factory=dict)
    """Routes that showed an owner its own word, by the word."""
    by_route: dict[str, set[int]] = field(default_factory=dict)

    @property
    def count(self) -> int:
        return sum(self.statuses.values())


async def ask(flock: Flock, probe: Probe, findings: Findings) -> tuple[int, str, dict[str, str]]:
    """The answer without what says nothing: its status, its body and its headers."""
    reply = await probe.asker.client(probe.method, probe.path, probe.body, raw=None, **probe.headers)
    while reply.status == 503:  # passwords are hashed a few at a time
        await asyncio.sleep(0.05)
        reply = await probe.asker.client(probe.method, probe.path, probe.body, raw=None, **probe.headers)
    findings.statuses[reply.status] += 1
    findings.by_route.setdefault(probe.route, set()).add(reply.status)
    whole = f"{reply.text} {' '.join(f'{name}: {value}' for name, value in reply.headers.items())}"
    if probe.route != "GET /api/v1/owners" or probe.asker.role is not Role.PLATFORM:
        foreign = flock.foreign_in(whole, probe.may_see, probe.said)
        if foreign:
            findings.leaks.append(f"{probe.asker.name}: {probe.method} {probe.path} {reply.status} shows {sorted(foreign)}")
    if probe.asker.own is not None and probe.asker.own.word in reply.text:
        findings.served.setdefault(probe.asker.own.word, set()).add(probe.route)
    return reply.status, _plain(reply, probe.said), _headers(reply, probe.said)


async def ask_all(flock: Flock, asked: Iterable[Probe]) -> Findings:
    """All of them, several at once; the answer about an absent thing of each form is asked for once."""
    findings = Findings()
    absences: dict[tuple[object, ...], asyncio.Task[Any]] = {}
    waiting = iter(asked)

    async def work(group: asyncio.TaskGroup) -> None:
        for probe in waiting:
            answer = await ask(flock, probe, findings)
            if probe.twin is None:
                continue
            key = (probe.asker.name, probe.method, *(part.replace(probe.said[0], _form(probe.said[0])) for part in _parts(probe)))
            if key not in absences:
                absences[key] = group.create_task(ask(flock, probe.twin, findings))
            expected = await absences[key]
            if answer != expected:
                findings.told_apart.append(f"{probe.asker.name}: {probe.method} {probe.path}: {answer}, and if absent {expected}")

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(work(group))
    return findings


def _parts(probe: Probe) -> tuple[str, ...]:
    return unquote(probe.path), json.dumps(probe.body), str(probe.headers)


def _form(name: str) -> str:
    """What a fault may say of an id without knowing whose it is: its prefix."""
    return "a word" if name.isalpha() else re.sub(r"[0-9a-f]{2,}", "#", name)


def _plain(reply: Reply, said: Iterable[str]) -> str:
    text = re.sub(r'"instance": *"[^"]*"', "", reply.text)
    for one in said:
        text = text.replace(one, "ID")
    return text


def _headers(reply: Reply, said: Iterable[str]) -> dict[str, str]:
    found = {name.lower(): value for name, value in reply.headers.items() if name.lower() in HEADERS}
    return {name: value.replace(one, "ID") for name, value in found.items() for one in (*said, "\0")}


def all_rows(tx: SystemTx) -> dict[str, list[dict[str, Any]]]:
    """Every row of every owner, without what a look at it changes, and what timers forget or fill meanwhile."""
    tables = [table for table in columns_by_table(tx) if table not in {"audit_log", "schema_migrations", *KEPT_BY_TIMERS}]
    rows = {table: sorted((dict(row) for row in tx.all(f"SELECT * FROM {table}")), key=str) for table in tables}
    for table, column in (
        ("api_tokens", "last_used_at"),
        ("users", "found_by"),
        ("media", "worded"),
        ("twilio_numbers", "heard_until"),
    ):
        for row in rows[table]:
            del row[column]
    return rows


async def test_every_text_of_every_table_holds_a_word_of_each_owner(flock: Flock) -> None:
    lacking = []
    for table, columns in (await flock.program.database.system_read(columns_by_table)).items():
        if table in NOBODYS:
            continue
        created = flock.world.value("SELECT sql FROM sqlite_master WHERE name = :table", table=table)
        for canary in flock.canaries:
            key = "id" if table == "owners" else "owner_id"
            rows = flock.world.rows(f"SELECT * FROM {table} WHERE {key} = :owner", owner=canary.line.owner_id)
            if not rows:
                lacking.append(table)
            for column, kind in columns.items():
                confined = re.search(rf"\b{column} (IN \(|= )'", created)
                if kind != "TEXT" or confined or f"{table}.{column}" in FORMED or f"*.{column}" in FORMED:
                    continue
                if not any(mark in str(row[column]).lower() for row in rows for mark in map(str.lower, canary.marks)):
                    lacking.append(f"{table}.{column}")
    assert not lacking, sorted(set(lacking))


@pytest.mark.slow
async def test_no_answer_holds_a_byte_of_another_owner_or_tells_theirs_from_nothing(
    statements: set[str], flock: Flock, requests: int, output: io.StringIO
) -> None:
    await flock.world.at_rest()
    before = await flock.program.database.system_read(all_rows)
    findings = await ask_all(flock, probes(flock, requests, seed=20_261_121))
    assert findings.count >= requests
    assert findings.leaks == []
    assert findings.told_apart == []
    assert not [status for status in findings.statuses if status >= 500]
    for route in ROUTES:  # or a request fails before anything is looked for
        if set(places_of(route)) - {"owner"} and route.name not in MADE_BY_NAME:
            assert 404 in findings.by_route[route.name], route.name
    for canary in flock.canaries:
        assert len(findings.served[canary.word]) >= 25, "an owner must see its own, or the search looks for nothing"
    await flock.world.at_rest()
    assert await flock.program.database.system_read(all_rows) == before
    assert len(statements) > 150
    unbound = {sql for sql in statements if ":owner" not in sql}
    assert not [sql for sql in unbound if not any(table in sql for table in STATEMENTS_BY_KEY)]
    for mark in (mark for canary in flock.canaries for mark in canary.marks):
        assert mark.lower() not in output.getvalue().lower()


async def test_the_search_sees_an_owner_condition_that_is_missing(flock: Flock, monkeypatch: pytest.MonkeyPatch) -> None:
    right = views_store.conversation_row

    def anybodys(tx: OwnerTx, public: str) -> views_store.ConversationRow:
        rows = tx.all("SELECT owner_id FROM conversations WHERE public_id = :public", public=public)
        return right(SystemTx(tx._connection, tx._signals).for_owner(rows[0]["owner_id"]) if rows else tx, public)

    monkeypatch.setattr("wtai.web.api.conversations.conversation_row", anybodys)
    about = "/conversations/{conversation}"
    asked = [probe for probe in probes(flock, 0, seed=0) if probe.route.endswith(about) and probe.method == "GET"]
    findings = await ask_all(flock, asked)
    assert findings.leaks
    assert findings.told_apart


async def test_no_prompt_and_no_webhook_of_an_owner_holds_a_word_of_another(flock: Flock) -> None:
    said = (
        "quanto gastei este mês?",
        "como se chama o meu gato?",
        "quem é a Ana?",
        "me mostra os lembretes",
        "quero falar com uma pessoa",
    )
    for canary in flock.canaries:
        seen = len(flock.world.model.requests)
        for number, text in enumerate(said):
            before = len(flock.world.sent_to(canary.person))
            await flock.world.say(canary.person, text, line=canary.line)
            await flock.world.answers_to(canary.person, before + 1)
            assert number < len(said)
        await flock.world.at_rest()
        prompts = json.dumps(list(flock.world.model.requests)[seen:], ensure_ascii=False)
        assert f"O gato se chama {canary.word}" in prompts
        assert flock.foreign_in(prompts, [canary]) == set()
    for canary in flock.canaries:
        told = "".join(flock.receiver.heard[canary.word])
        assert canary.word in told
        assert "conversation.handoff" in told
        assert flock.foreign_in(told, [canary]) == set()


async def test_an_export_holds_everything_of_its_owner_and_nothing_of_another(flock: Flock, tmp_path: Path) -> None:
    database, media = flock.program.database, flock.world.settings().media.directory
    for canary in flock.canaries:
        for public in (None, canary.ids["users"][0]):
            target = tmp_path / f"{canary.word}{public}.zip"
            await export(
                database, canary.line.owner_id, public, owner=canary.line.owner, media=media, target=target, clock=SystemClock()
            )
            with zipfile.ZipFile(target) as archive:
                text = "".join(f"{name} {archive.read(name).decode('utf-8', 'replace')}" for name in archive.namelist())
            assert canary.word in text
            assert flock.foreign_in(text, [canary]) == set()


async def test_a_cursor_is_good_for_nobody_else(flock: Flock) -> None:
    admins = [asker for asker in flock.askers if asker.role is Role.ADMIN and "all" in asker.name]
    tried = 0
    for path in ("/users", "/end-users", "/conversations", "/api-tokens", "/ai-results", "/audit-log"):
        for admin in admins:
            page = await admin.client.get(f"{path}?limit=1")
            cursor = page.body["next"]
            if cursor is None:
                continue
            tried += 1
            assert (await admin.client.get(f"{path}?limit=1&cursor={cursor}")).status == 200
            for other in admins:
                if other is not admin:
                    forged = await other.client.get(f"{path}?limit=1&cursor={absent('k')}")
                    refused = await other.client.get(f"{path}?limit=1&cursor={cursor}")
                    assert (refused.status, _plain(refused, ())) == (400, _plain(forged, ()))
    assert tried >= 9


async def test_an_idempotency_key_of_another_owner_or_principal_replays_nothing(flock: Flock) -> None:
    for asker in (asker for asker in flock.askers if asker.own is not None):
        own = asker.own
        assert own is not None
        talk = own.ids["conversations"][0]
        made = await asker.client.post(
            f"/conversations/{talk}/notes", {"text": f"nota {own.word}"}, Idempotency_Key="the-same-key"
        )
        assert "Idempotency-Replayed" not in made.headers
        assert made.status in (201, 403)
        assert flock.foreign_in(f"{made.text} {dict(made.headers)}", [own]) == set()
        again = await asker.client.post(
            f"/conversations/{talk}/notes", {"text": f"nota {own.word}"}, Idempotency_Key="the-same-key"
        )
        assert again.text == made.text or made.status == 403


async def test_owners_are_told_apart_by_what_the_search_looks_for(flock: Flock) -> None:
    marks = [mark.lower() for canary in flock.canaries for mark in canary.marks]
    assert len(set(marks)) == len(marks)
    assert not [(one, other) for one in marks for other in marks if one != other and one in other]
    one, other, third = flock.canaries
    assert flock.foreign_in(f"{one.word} {other.word.upper()} {third.ids['messages'][0]}", [one]) == {
        other.word,
        third.ids["messages"][0],
    }
