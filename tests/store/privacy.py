"""Two owners with people about whom every table says something: each text holds a word of that person alone."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.fakes import ManualClock
from tests.schema import new_database
from wtai.ai.memory import facts
from wtai.ai.memory.model import NewFact
from wtai.db.sqlite import SqliteDatabase, connect
from wtai.db.tx import OwnerTx
from wtai.identity.audit_store import Actor, audit
from wtai.identity.store import create_owner
from wtai.ids import public_id
from wtai.jobs.store import enqueue
from wtai.privacy.eraser import Eraser
from wtai.privacy.tombstones import AddressDigests
from wtai.secrets import Key, Sealer

KEY = Key("key00000", b"k" * 32)
OURS = "whatsapp:+551130000001"


@dataclass(frozen=True)
class Somebody:
    """A person, and the word that is in every text about them."""

    owner_id: int
    owner: str
    id: int
    public_id: str
    word: str

    @property
    def address(self) -> str:
        return f"whatsapp:{self.word}"


@dataclass
class Place:
    """A database with media and back-up directories, and what erases from them."""

    folder: Path
    database: SqliteDatabase
    clock: ManualClock
    tables: set[str] = field(default_factory=set)

    @property
    def path(self) -> Path:
        return self.folder / "wtai.db"

    @property
    def media(self) -> Path:
        return self.folder / "media"

    @property
    def backups(self) -> Path:
        return self.folder / "backups"

    @property
    def digests(self) -> AddressDigests:
        return AddressDigests(Sealer(KEY))

    def eraser(self, database: SqliteDatabase | None = None) -> Eraser:
        return Eraser(database or self.database, self.digests, self.clock, media=self.media, backups=self.backups)

    def rows(self, sql: str, **parameters: object) -> list[dict[str, Any]]:
        with closing(connect(self.path, read_only=True)) as connection:
            return [dict(row) for row in connection.execute(sql, parameters).fetchall()]

    async def owner(self, name: str) -> tuple[int, str]:
        made = await self.database.system_write(create_owner, name, "pt-BR", now=self.clock.now())
        await self.database.write(made.id, _settle, name, self)
        return made.id, made.public_id

    async def person(self, owner: tuple[int, str], word: str, *, text: str | None = None) -> Somebody:
        """An end user about whom every table says something."""
        key, public = owner
        return await self.database.write(key, _fill_person, public, word, text or word, self)

    async def staff(self, owner: tuple[int, str], word: str, *, role: str = "agent", works_on: Somebody) -> Somebody:
        """A member of staff who has the conversation of ``works_on``."""
        key, public = owner
        return await self.database.write(key, _fill_staff, public, word, role, works_on, self)

    def bytes_of(self, word: str) -> list[str]:
        """The files in which a word stands, in any case. The database must be closed: opening its file drops SQLite's locks."""
        wanted = word.lower().encode()
        found = [path for path in self.folder.rglob("*") if path.is_file() and wanted in path.read_bytes().lower()]
        return sorted(path.relative_to(self.folder).as_posix() for path in found)


@asynccontextmanager
async def open_place(folder: Path) -> AsyncIterator[Place]:
    new_database(folder / "wtai.db")
    database = await SqliteDatabase.open(folder / "wtai.db", readers=1)
    try:
        yield Place(folder, database, ManualClock())
    finally:
        await database.close()


def put(tx: OwnerTx, place: Place, table: str, word: str, **given: object) -> int:
    """A row with the given values, and ``word`` in every text that has none."""
    place.tables.add(table)
    values: dict[str, object] = {}
    columns = 'SELECT name, type, dflt_value, "notnull" AS required FROM pragma_table_info(:table)'
    for column in tx.all(columns, table=table):
        name = column["name"]
        if name in given:
            values[name] = given[name]
        elif name == "owner_id":
            values[name] = tx.owner_id
        elif name == "public_id":
            values[name] = public_id("tst")
        elif column["type"] == "TEXT":
            values[name] = f"{word} {name} {public_id('x')}"
        elif name != "id" and column["required"] and column["dflt_value"] is None:
            values[name] = 1
    names = ", ".join(values)
    marks = ", ".join(f":v_{name}" for name in values)
    rows = tx.all(
        f"INSERT INTO {table} ({names}) VALUES ({marks}) RETURNING *", **{f"v_{name}": value for name, value in values.items()}
    )
    return int(rows[0]["id"]) if "id" in dict(rows[0]) else 0


def _settle(tx: OwnerTx, word: str, place: Place) -> None:
    sid = f"{word} sid"
    put(tx, place, "twilio_accounts", word, account_sid=sid)
    put(tx, place, "twilio_numbers", word, account_sid=sid)
    put(tx, place, "features", word, config="{}", enabled=1)
    put(tx, place, "feature_versions", word, config="{}", enabled=1, actor_kind="user")
    put(tx, place, "http_tools", word, parameters="{}", effect="read", timeout_seconds=5)
    put(tx, place, "templates", word, locale="pt-BR")
    put(tx, place, "webhook_endpoints", word, secrets="[]", events="[]", status="active", disabled_reason=None)
    put(tx, place, "kept_opt_outs", word)
    put(tx, place, "rollups", word, span="day", count=1)
    put(tx, place, "labels", word, colour="red")
    put(tx, place, "usage_months", word, month="2026-11", booked=7)
    put(tx, place, "canned_replies", word)
    put(tx, place, "used_forms", word)
    place.tables.add("subscriptions")


def _fill_person(tx: OwnerTx, owner: str, word: str, text: str, place: Place) -> Somebody:
    now = place.clock.now()
    public = public_id("usr")
    user = put(
        tx, place, "users", word, public_id=public, role="user", email=None, password_hash=None, status="active", created_at=now
    )
    somebody = Somebody(tx.owner_id, owner, user, public, word)
    put(tx, place, "user_addresses", word, user_id=user, channel="whatsapp", address=somebody.address)
    talk = put(
        tx, place, "conversations", text, user_id=user, state="PROGRESS", question=None, previous_id=None, address=OURS,
        user_address=somebody.address, channel="whatsapp",
    )  # fmt: skip
    later = put(
        tx, place, "conversations", text, user_id=user, state="EXPIRED", closed_at=now, question=None, previous_id=talk,
        address=OURS,
    )  # fmt: skip
    of = {"conversation_id": talk}
    put(tx, place, "conversation_events", text, **of, actor="user")
    result = put(tx, place, "ai_results", text, **of, exchange=f'["{word}"]', calls="[]")
    said = {"direction": "inbound", "author": "user", "status": "received", "parked": None, "created_at": now}
    message = put(tx, place, "messages", text, **of, **said, ai_result_id=result, details=None)
    put(tx, place, "messages", text, conversation_id=later, **said)
    put(tx, place, "closure_decisions", text, **of, message_id=message, decision="close")
    put(tx, place, "media", text, message_id=message, status="kept", path=_file(place, owner, f"{word} file"))
    put(tx, place, "media", text, message_id=message, position=2, status="kept", path=_file(place, owner, "everybody's file"))
    put(tx, place, "opt_outs", word, user_id=user, our_address=OURS)
    put(tx, place, "tool_runs", text, **of, failed=0)
    put(tx, place, "pending_actions", text, **of, status="asked")
    put(tx, place, "ledger_entries", text, user_id=user, kind="expense", entry_date="2026-11-20", message_id=message)
    friend = put(tx, place, "people", text, user_id=user)
    put(tx, place, "interactions", text, user_id=user, person_id=friend, kind="note")
    put(tx, place, "reminders", text, user_id=user, **of, repeats="never", status="scheduled")
    put(tx, place, "usage", word, user_id=user, day="2026-11-20", feature="finance", cost=3, held=0)
    put(tx, place, "budget_alerts", word, user_id=user, budget="user_day")
    put(tx, place, "quota_alerts", word, user_id=user)
    put(tx, place, "conversation_notes", text, **of)
    label = tx.all("SELECT id FROM labels WHERE owner_id = :owner")[0]["id"]
    put(tx, place, "conversation_labels", text, **of, label_id=label)
    hook = tx.all("SELECT id FROM webhook_endpoints WHERE owner_id = :owner")[0]["id"]
    put(tx, place, "webhook_deliveries", text, user_id=user, endpoint_id=hook, status="delivered", next_at=None)
    for number in range(3):
        keys = f"{word.lower()} k{number}"
        fact = NewFact(f"{word} likes {number}", "fact", word, None, now, message, f"{word} {number}", keys, 1)
        kept = facts.insert(tx, user, fact, now=now)
        assert kept is not None
        put(tx, place, "memory_vectors", word, user_id=user, memory_id=kept.id, vector=word.encode())
    place.tables |= {"memories", "changes", "message_terms"}
    for kind, payload in (("turn", of), ("send_message", {"message_id": message}), ("remember", {"user_id": user})):
        enqueue(tx, kind, payload, key=f"{kind}:{user}", now=now)
        enqueue(tx, "behind", {}, key=f"{kind}:{user}", now=now)
    tx.run("UPDATE jobs SET error = :word WHERE owner_id = :owner AND error IS NULL", word=word)
    audit(tx, Actor("user", public, f"{word} address"), "x", public, now=now)
    return somebody


def _fill_staff(tx: OwnerTx, owner: str, word: str, role: str, works_on: Somebody, place: Place) -> Somebody:
    public = public_id("usr")
    user = put(tx, place, "users", word, public_id=public, role=role, status="active", email=f"{word.lower()}@x.example")
    session = put(tx, place, "sessions", word, user_id=user, revoked_at=None, reason=None)
    put(tx, place, "refresh_tokens", word, session_id=session)
    put(tx, place, "api_tokens", word, user_id=user, role=role)
    put(tx, place, "idempotency_keys", word, principal=public)
    talks = tx.all("SELECT id FROM conversations WHERE owner_id = :owner AND user_id = :of", of=works_on.id)
    put(tx, place, "read_marks", word, user_id=user, conversation_id=talks[0]["id"])
    tx.run("UPDATE conversations SET assignee_id = :id WHERE owner_id = :owner AND user_id = :of", id=user, of=works_on.id)
    tx.run("UPDATE feature_versions SET actor = :actor WHERE owner_id = :owner", actor=public)
    tx.run("UPDATE conversation_notes SET author = :author WHERE owner_id = :owner", author=public)
    tx.run("UPDATE conversation_events SET staff = :staff WHERE owner_id = :owner", staff=public)
    tx.run("UPDATE messages SET staff = :staff WHERE owner_id = :owner", staff=public)
    talk = tx.all("SELECT min(id) AS id FROM conversations WHERE owner_id = :owner AND user_id = :of", of=works_on.id)[0]["id"]
    put(tx, place, "drafts", word, conversation_id=talk, user_id=user, kind="reply")
    audit(tx, Actor("user", public, f"{word} address"), "x", works_on.public_id, now=0)
    return Somebody(tx.owner_id, owner, user, public, word)


def _file(place: Place, owner: str, content: str) -> str:
    name = hashlib.sha256(content.encode()).hexdigest()
    path = Path(owner, name[:2], name)
    (place.media / path).parent.mkdir(parents=True, exist_ok=True)
    (place.media / path).write_text(content)
    return path.as_posix()
