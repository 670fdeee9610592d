"""Two owners in a database, their webhook endpoints, and what these are owed."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from tests.schema import new_database
from wtai.conversation import store
from wtai.conversation.inbox import Received, receive
from wtai.conversation.model import Conversation, Inbound, Kind
from wtai.db.sqlite import SqliteDatabase
from wtai.egress import Egress
from wtai.events import DELIVER, Event
from wtai.hooks import deliveries_store as deliveries
from wtai.hooks import endpoints_store as endpoints
from wtai.hooks.model import Outcome
from wtai.hooks.model import Status as Delivered
from wtai.identity.preferences import Preferences
from wtai.identity.store import create_owner
from wtai.secrets import Sealer, create_key_file

NOW = 1_800_000_000_000
OURS, ANA = "whatsapp:+551140001234", "whatsapp:+5511987654321"
URL = "https://example.com/hooks"
FINE, BROKEN, GONE = Outcome(204, None), Outcome(500, "HTTP status 500"), Outcome(410, "HTTP status 410")
_sids = count()


@dataclass
class House:
    """Two owners and what they are told."""

    database: SqliteDatabase
    sealer: Sealer
    egress: Egress
    key_file: Path

    async def connect(self, owner: int = 1, *events: str, url: str = URL) -> str:
        wanted = events or tuple(Event)
        issued = await self.database.write(
            owner, endpoints.create_endpoint, url, wanted, sealer=self.sealer, egress=self.egress, now=NOW
        )
        return issued.endpoint.public_id

    async def hear(self, text: str = "oi", *, owner: int = 1, now: int = NOW) -> Received:
        inbound = Inbound("whatsapp", f"SM{next(_sids)}", OURS, ANA, (ANA,), (), Kind.TEXT, text)
        return await self.database.write(owner, receive, inbound, Preferences(), now=now)

    async def rows(self, sql: str) -> list[dict[str, Any]]:
        return [dict(row) for row in await self.database.system_read(lambda tx: tx.all(sql))]

    async def told(self, owner: int = 1) -> list[dict[str, Any]]:
        rows = await self.rows(f"SELECT payload FROM webhook_deliveries WHERE owner_id = {owner} ORDER BY id")
        return [json.loads(row["payload"]) for row in rows]

    async def types(self, owner: int = 1) -> list[str]:
        return [event["type"] for event in await self.told(owner)]

    async def conversation(self) -> Conversation:
        (found,) = await self.rows("SELECT id FROM conversations WHERE owner_id = 1 ORDER BY id DESC LIMIT 1")
        read = await self.database.read(1, store.conversation, found["id"])
        assert read is not None
        return read

    async def try_now(self, outcome: Outcome, now: int = NOW) -> Delivered | None:
        """What becomes of the first delivery that is due at the first endpoint; None if none is."""
        due = await self.database.read(1, deliveries.first_due, 1, now=now)
        return None if due is None else await self.database.write(1, deliveries.record, due, outcome, now=now)

    async def start_run(self) -> None:
        """As if the worker had claimed the job that is owed, and completed it."""
        await self.database.system_write(lambda tx: tx.run(f"DELETE FROM jobs WHERE kind = '{DELIVER}'"))

    async def next_run(self) -> int | None:
        rows = await self.rows(f"SELECT run_at FROM jobs WHERE kind = '{DELIVER}'")
        assert len(rows) <= 1
        return rows[0]["run_at"] if rows else None


@asynccontextmanager
async def open_house(data_dir: Path) -> AsyncIterator[House]:
    """Two owners, without endpoints."""
    new_database(data_dir / "wtai.db")
    database = await SqliteDatabase.open(data_dir / "wtai.db")
    try:
        for name in ("Casa", "Outra"):
            await database.system_write(create_owner, name, "pt-BR", now=NOW)
        yield House(database, Sealer(create_key_file(data_dir / "wtai.key")), Egress(), data_dir / "wtai.key")
    finally:
        await database.close()
