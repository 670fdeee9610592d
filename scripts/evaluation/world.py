"""A data directory of its own with owners and their numbers, and the fake Twilio beside it."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wtai.channels.accounts import connect as connect_account
from wtai.clock import MINUTE, Clock
from wtai.db.migrate import migrate
from wtai.db.sqlite import SqliteDatabase, connect
from wtai.identity.from_settings import sealer
from wtai.identity.store import create_owner
from wtai.secrets import create_key_file
from wtai.settings import Settings
from wtai.simulator.twilio import FakeTwilio

LANGUAGE = "pt-BR"

Sections = Mapping[str, Mapping[str, object]]


@dataclass(frozen=True, slots=True)
class Line:
    """An owner's connected WhatsApp number, with the credentials Twilio knows for it."""

    owner_id: int
    account_sid: str
    token: str
    number: str


@dataclass(frozen=True)
class World:
    """What surrounds the program."""

    clock: Clock
    settings: Settings
    twilio: FakeTwilio
    lines: list[Line]

    def rows(self, sql: str, **parameters: object) -> list[dict[str, Any]]:
        """Rows of the program's database, also while it runs."""
        with closing(connect(self.settings.database_path, read_only=True)) as connection:
            return [dict(row) for row in connection.execute(sql, parameters).fetchall()]

    async def at_rest(self, *, seconds: float) -> None:
        """Return once nothing is left to do at once: dead jobs stay, later ones wait. Raises TimeoutError."""
        soon = "SELECT 1 FROM jobs WHERE state IN ('ready', 'running') OR state = 'scheduled' AND run_at < :soon LIMIT 1"
        async with asyncio.timeout(seconds):
            while self.rows(soon, soon=self.clock.now() + MINUTE):  # noqa: ASYNC110 - the database gives no event
                await asyncio.sleep(0.01)


@asynccontextmanager
async def founded(*, owners: int, clock: Clock, sections: Sections) -> AsyncIterator[World]:
    """A world with ``owners``, in a directory that goes with it; ``sections`` are settings on top of what it needs."""
    with tempfile.TemporaryDirectory(prefix="wtai-evaluation-") as name:
        data_dir = Path(name)
        async with FakeTwilio(clock) as twilio:
            twilio.status_delay_seconds = 0.0
            settings = _settings(data_dir, twilio, sections)
            create_key_file(settings.security.key_file)
            migrate(settings.database_path)
            world = World(clock, settings, twilio, [])
            async with opened(world) as database:
                for number in range(1, owners + 1):
                    world.lines.append(await _owner(database, settings, twilio, number, clock.now()))
            yield world


@asynccontextmanager
async def opened(world: World) -> AsyncIterator[SqliteDatabase]:
    """The world's database, while no program has it."""
    database = await SqliteDatabase.open(world.settings.database_path)
    try:
        yield database
    finally:
        await database.close()


def person(number: int) -> str:
    """A customer's address."""
    return f"whatsapp:+55119{88_880_000 + number}"


def _settings(data_dir: Path, twilio: FakeTwilio, sections: Sections) -> Settings:
    needed: Sections = {
        "server": {"port": 0},
        "database": {"url": f"sqlite:///{data_dir / 'wtai.db'}"},
        "security": {"key_file": str(data_dir / "wtai.key")},
        "twilio": {"base_url": twilio.url, "messaging_url": twilio.url},
        "media": {"directory": str(data_dir / "media")},
        "conversation": {"burst_quiet_ms": 0},
    }
    names = {*needed, *sections}
    return Settings.model_validate({name: {**needed.get(name, {}), **sections.get(name, {})} for name in names})


async def _owner(database: SqliteDatabase, settings: Settings, twilio: FakeTwilio, number: int, now: int) -> Line:
    owner = await database.system_write(create_owner, f"Padaria {number}", LANGUAGE, now=now)
    line = Line(owner.id, f"AC{number:032x}", f"token-{number}-{'x' * 24}", f"whatsapp:+551130{number:06d}")
    await database.write(owner.id, connect_account, sealer(settings), line.account_sid, [line.token], [line.number], now=now)
    twilio.add_account(line.account_sid, line.token, numbers=(line.number,))
    return line
