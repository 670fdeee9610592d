"""A user of an owner, and what the relationship specialist's tools do for them, in a database of their own."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from pydantic_core import to_json

from tests.schema import new_database
from wtai.ai.tools.relationship import RelationshipConfig, relationship_tools
from wtai.ai.tools.tool import AnyTool, Effect, ToolContext
from wtai.conversation.inbox import receive
from wtai.conversation.model import Inbound, Kind
from wtai.db.sqlite import SqliteDatabase
from wtai.identity.preferences import Preferences
from wtai.identity.store import create_owner

ZONE = "America/Sao_Paulo"
OURS = "whatsapp:+551130000001"
TOOLS: dict[str, AnyTool] = {tool.name: tool for tool in relationship_tools(RelationshipConfig())}


def ms(local: str, zone: str = ZONE) -> int:
    """A local time in milliseconds."""
    return int(datetime.fromisoformat(local).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


NOW = ms("2026-11-20T14:30")
"""A Friday."""


class Life:
    """A user of an owner, and what the specialist's tools do for them."""

    def __init__(self, database: SqliteDatabase, context: ToolContext) -> None:
        self.database = database
        self.context = context

    def at(self, **different: Any) -> "Life":
        return Life(self.database, replace(self.context, **different))

    async def use(self, name: str, /, **arguments: object) -> Any:
        """What the model reads after the call."""
        tool = TOOLS[name]
        assert tool.work is not None
        typed = tool.arguments.model_validate_json(json.dumps(arguments))
        transact = self.database.read if tool.effect is Effect.READ else self.database.write
        return json.loads(to_json(await transact(self.context.owner_id, tool.work, self.context, typed)))

    async def asked(self, name: str, /, **arguments: object) -> str:
        """What the person is asked before the call."""
        tool = TOOLS[name]
        assert tool.question is not None
        typed = tool.arguments.model_validate_json(json.dumps(arguments))
        return await self.database.read(self.context.owner_id, tool.question, self.context, typed)

    async def names(self) -> list[str]:
        return [person["name"] for person in (await self.use("list_people"))["people"]]


async def live(database: SqliteDatabase, owner_id: int, number: int, *, post: int = 1, now: int = NOW) -> Life:
    """A user who writes to this owner; ``post`` counts their messages."""
    address = f"whatsapp:+55119{number:08}"
    inbound = Inbound("whatsapp", f"SM{number:016x}{post:016x}", OURS, address, (address,), (), Kind.TEXT, "oi")
    await database.write(owner_id, receive, inbound, Preferences(), now=now)
    row = await database.read(owner_id, lambda tx: tx.one("SELECT id, user_id FROM conversations ORDER BY id DESC LIMIT 1"))
    assert row is not None
    return Life(database, ToolContext(owner_id, row["user_id"], row["id"], 1, now, ZONE, "pt-BR"))


@asynccontextmanager
async def open_life(path: Path, locale: str = "pt-BR") -> AsyncIterator[Life]:
    """The first user of the first owner."""
    new_database(path)
    database = await SqliteDatabase.open(path)
    try:
        owner = await database.system_write(create_owner, "Padaria", locale, now=NOW)
        yield await live(database, owner.id, 1)
    finally:
        await database.close()
