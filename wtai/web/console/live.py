"""What pages are told while they are open: in which conversations something moved. They then ask for what they show.

The database is the stream: a page that was cut off says the last change it knows, and is told what it missed, or that it is to
ask for everything anew. So the stream needs no memory of its own, and works beside a worker in another process.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from wtai.conversation.changes_store import changes_after, latest
from wtai.db.tx import Database
from wtai.errors import StorageUnavailable

_LOOKS_EVERY_SECONDS: Final = 0.1


@dataclass(frozen=True, slots=True)
class Event:
    """A server-sent event: ``changed`` with ids of conversations, or ``resync``. ``id`` is the change it comes up to."""

    name: str
    id: int
    data: str


class Live:
    """Follows the changes of all owners, once for all the streams that wait, until ``closing`` is set."""

    def __init__(self, database: Database, closing: asyncio.Event) -> None:
        self._database = database
        self._looking = asyncio.Lock()
        self._newest = 0
        self._closing = closing

    @property
    def closing(self) -> bool:
        """Whether streams are to end."""
        return self._closing.is_set()

    async def newest(self) -> int:
        """The change up to which what is read now is complete; asked before a page is put together."""
        return await self._database.system_read(latest)

    async def follow(self, owner_id: int, after: int) -> AsyncIterator[Event]:
        """What moves at an owner behind the change ``after``, until the program stops."""
        known = after
        while not self.closing:
            found = await self._database.read(owner_id, changes_after, known)
            if found.gap:
                yield Event("resync", found.through, "")
            elif found.conversations:
                yield Event("changed", found.through, json.dumps(found.conversations))
            known = found.through
            await self._next(known)

    async def _next(self, known: int) -> None:
        """Return once there is a newer change than ``known``, or the program stops. One of those who wait looks for all."""
        while not self.closing:
            async with self._looking:
                if self._newest > known:
                    return
                with suppress(TimeoutError):
                    async with asyncio.timeout(_LOOKS_EVERY_SECONDS):
                        await self._closing.wait()
                with suppress(StorageUnavailable):
                    self._newest = await self.newest()
