"""A database with two owners and their administrators, for tests of who may what."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.fakes import ManualClock
from tests.schema import new_database
from wtai.db.sqlite import SqliteDatabase
from wtai.identity.audit_store import OPERATOR, AuditEntry, audit_entries
from wtai.identity.passwords import Passwords
from wtai.identity.registration import Admin, Registered, register
from wtai.identity.sessions import Sessions
from wtai.secrets import Key, Sealer

PASSWORD = "quatro cavalos azuis"
CHEAP = Passwords(memory_kib=512, time_cost=1, parallelism=1)
KEY = Key("key00000", b"k" * 32)


@dataclass
class House:
    """The owners ``home`` and ``other``, each with an administrator whose password is PASSWORD."""

    path: Path
    database: SqliteDatabase
    clock: ManualClock
    home: Registered
    other: Registered

    def sessions(self, *keys: Key, idle_days: int = 30, days: int = 90, passwords: Passwords = CHEAP) -> Sessions:
        sealer = Sealer(*(keys or (KEY,)))
        return Sessions(self.database, sealer, passwords, self.clock, access_lifetime_ms=900_000, idle_days=idle_days, days=days)

    async def audited(self, owner_id: int | None = None) -> list[AuditEntry]:
        found = await self.database.read(self.home.owner.id if owner_id is None else owner_id, audit_entries, limit=1_000)
        return found[::-1]


@asynccontextmanager
async def open_house(data_dir: Path) -> AsyncIterator[House]:
    path = data_dir / "wtai.db"
    new_database(path)
    database = await SqliteDatabase.open(path)
    clock = ManualClock()
    password_hash = CHEAP.hash(PASSWORD)
    try:
        home, other = [
            await database.system_write(
                register, name, "pt-BR", admin=Admin(f"Admin@{name}.example", password_hash), actor=OPERATOR, now=clock.now()
            )
            for name in ("padaria", "oficina")
        ]
        yield House(path, database, clock, home, other)
    finally:
        await database.close()
