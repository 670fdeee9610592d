"""A database of the program, opened in this process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from wtai.db.migrate import migrate
from wtai.db.sqlite import SqliteDatabase


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[SqliteDatabase]:
    """The database ``path``, made if there is none, with the current schema."""
    migrate(path)
    database = await SqliteDatabase.open(path)
    try:
        yield database
    finally:
        await database.close()
