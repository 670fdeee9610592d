"""How commands reach the data: a database opened for one command, beside a running service or without one."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from wtai.db.migrate import status
from wtai.db.sqlite import SqliteDatabase
from wtai.errors import SchemaError
from wtai.settings import Settings

T = TypeVar("T")


def with_database(settings: Settings, work: Callable[[SqliteDatabase], Awaitable[T]]) -> T:
    """Run ``work`` on the database. SchemaError if there is none or its schema is not this program's."""

    async def run() -> T:
        async with _opened(settings) as database:
            return await work(database)

    return asyncio.run(run())


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[SqliteDatabase]:
    path = settings.database_path
    if not path.exists():
        raise SchemaError(f"there is no database {path}; mend: `wtai init`, or name its folder with --data-dir")
    if status(path).pending:
        raise SchemaError(f"{path} has an older schema; mend: `wtai db migrate`, or start the service once")
    database = await SqliteDatabase.open(path, readers=1)
    try:
        yield database
    finally:
        await database.close()
