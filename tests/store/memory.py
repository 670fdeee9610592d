"""People of two owners with memories in a database of their own."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic_core import to_json

from tests.fakes import ManualClock
from tests.schema import new_database
from wtai.ai.memory.embedder import HashedEmbedder, Vector, hashed
from wtai.ai.memory.memories import Memories
from wtai.ai.memory.writing import Remembered, Told, remember
from wtai.ai.tools.memory import memory_tools
from wtai.ai.tools.tool import Effect, ToolContext
from wtai.clock import DAY
from wtai.conversation.inbox import receive
from wtai.conversation.model import Inbound, Kind
from wtai.conversation.store import conversation, mark_answered
from wtai.db.sqlite import SqliteDatabase, connect
from wtai.db.tx import OwnerTx, Row
from wtai.errors import LlmUnavailable
from wtai.identity.preferences import Preferences
from wtai.identity.store import create_owner

BASE = Preferences(burst_quiet_ms=0)


@dataclass(frozen=True)
class Person:
    """A user of an owner."""

    owner: int
    user: int


@dataclass
class Failing:
    """An embedder whose server fails as often as it is told to."""

    failures: int = 1_000_000
    model: str = HashedEmbedder().model
    asked: list[Sequence[str]] = field(default_factory=list)

    async def embed(self, texts: Sequence[str], *, owner_id: int, user_id: int) -> list[Vector]:
        self.asked.append(texts)
        if self.failures:
            self.failures -= 1
            raise LlmUnavailable("down", code="connection")
        return hashed(texts)


class House:
    """A database with Ana and Bia of one owner, and Caio of another."""

    def __init__(self, path: Path, database: SqliteDatabase) -> None:
        self.path = path
        self.database = database
        self.clock = ManualClock()
        self.memories = Memories(database, HashedEmbedder())
        self.ana = self.bia = self.caio = Person(0, 0)
        self._posts = 0

    async def found(self) -> None:
        ours, theirs = [
            (await self.database.system_write(create_owner, name, "pt-BR", now=0)).id for name in ("Padaria", "Oficina")
        ]
        self.ana, self.bia, self.caio = [
            Person(owner, await self._user(owner, number)) for owner, number in ((ours, 1), (ours, 2), (theirs, 1))
        ]

    async def _user(self, owner: int, number: int) -> int:
        conversation_id = await self.heard(owner, number, "oi")
        rows = self.rows(f"SELECT user_id FROM conversations WHERE id = {conversation_id}")
        return int(rows[0]["user_id"])

    async def heard(
        self, owner: int, number: int, text: str, *, kind: Kind = Kind.TEXT, details: Mapping[str, object] | None = None
    ) -> int:
        """The person wrote; the conversation's id. Everything heard counts as answered."""
        self._posts += 1
        self.clock.advance(1_000)
        address = f"whatsapp:+55119{80_000_000 + number}"
        inbound = Inbound(
            "whatsapp",
            f"SM{self._posts:032x}",
            f"whatsapp:+5511300{owner:05}",
            address,
            (address,),
            (),
            kind,
            text,
            details=dict(details or {}),
        )

        def work(tx: OwnerTx) -> int:
            received = receive(tx, inbound, BASE, now=self.clock.now())
            assert received.conversation_id is not None
            last = tx.one("SELECT max(id) AS id FROM messages WHERE owner_id = :owner")
            assert last is not None
            mark_answered(tx, received.conversation_id, last["id"])
            return received.conversation_id

        return await self.database.write(owner, work)

    async def keep(self, person: Person, text: str, *, days: int = 0, **told: Any) -> Remembered:
        """Remember ``text``, told ``days`` after the clock's day."""
        at = self.clock.now() + days * DAY
        return await self.database.write(person.owner, remember, person.user, Told(text, at, **told), now=at)

    async def keep_all(self, person: Person, *texts: str) -> None:
        """Remember the texts, one day after the other, with their vectors."""
        for day, text in enumerate(texts):
            await self.keep(person, text, days=day)
        await self.embed(person)

    async def embed(self, person: Person) -> int:
        return await self.memories.embed_missing(person.owner, person.user)

    async def recall(self, person: Person, query: str, **limits: int) -> list[str]:
        """The texts found for a person, best first."""
        return [item.text for item in (await self.memories.recall(person.owner, person.user, query, **limits)).items]

    def context(self, person: Person, locale: str = "pt-BR") -> ToolContext:
        """A turn of the person's only conversation, after its last message."""
        [row] = self.rows(
            f"""SELECT max(m.id) AS message, c.id AS conversation FROM conversations c JOIN messages m ON m.conversation_id = c.id
            WHERE c.user_id = {person.user}"""
        )
        return ToolContext(
            person.owner, person.user, row["conversation"], row["message"], self.clock.now(), "America/Sao_Paulo", locale
        )

    async def use(self, person: Person, name: str, /, **arguments: object) -> Any:
        """What the model reads after a call."""
        tool = next(tool for tool in memory_tools(self.memories) if tool.name == name)
        typed = tool.arguments.model_validate_json(json.dumps(arguments))
        if tool.run is not None:
            return json.loads(to_json(await tool.run(self.context(person), typed)))
        assert tool.work is not None
        transact = self.database.read if tool.effect is Effect.READ else self.database.write
        return json.loads(to_json(await transact(person.owner, tool.work, self.context(person), typed)))

    async def asked(self, person: Person, name: str, locale: str) -> str:
        """What the person is asked before a call without arguments."""
        tool = next(tool for tool in memory_tools(self.memories) if tool.name == name)
        assert tool.question is not None
        return await self.database.read(person.owner, tool.question, self.context(person, locale), tool.arguments())

    def rows(self, sql: str) -> list[Row]:
        with closing(connect(self.path, read_only=True)) as connection:
            return [dict(row) for row in connection.execute(sql).fetchall()]

    def bytes_of(self, *tables: str) -> bytes:
        """All that the tables hold."""
        with closing(connect(self.path, read_only=True)) as connection:
            rows = [row for table in tables for row in connection.execute(f"SELECT * FROM {table}").fetchall()]
        return b"\0".join(value if isinstance(value, bytes) else str(value).encode() for row in rows for value in row)


@asynccontextmanager
async def opened_house(path: Path) -> AsyncIterator[House]:
    """A house in a new database."""
    new_database(path)
    database = await SqliteDatabase.open(path)
    try:
        house = House(path, database)
        await house.found()
        yield house
    finally:
        await database.close()


__all__ = ["BASE", "Failing", "House", "Person", "conversation", "opened_house"]
