"""Brings a back-up back: checked first, then rid of everyone who was erased since, then put in the database's place."""

import asyncio
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from wtai.channels import missed_store
from wtai.clock import SECOND, Clock
from wtai.db.backup import DATABASE, Manifest, unpack
from wtai.db.lock import InstanceLock
from wtai.db.migrate import migrate, status
from wtai.db.sqlite import SqliteDatabase
from wtai.errors import EnvironmentProblem, WtaiError
from wtai.privacy import erasures_store
from wtai.privacy.erase import Receipt
from wtai.privacy.eraser import Eraser
from wtai.privacy.tombstones import AddressDigests, Tombstone, merged, read_side_file

_WORK: Final = ".restoring"
_LOGS: Final = ("-wal", "-shm")


@dataclass(frozen=True, slots=True)
class Places:
    """Where things are: the database's file, the media and the back-up directory."""

    database: Path
    media: Path
    backups: Path


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did. ``erased_again``: receipts of whom the back-up knew still; ``aside``: what was there before.

    ``unread`` is why the tombstones of the database before could not be read, None if they were.
    """

    manifest: Manifest
    erased_again: tuple[Receipt, ...]
    aside: tuple[Path, ...]
    to_find_out: int
    unread: str | None


async def restore(file: Path, places: Places, digests: AddressDigests, clock: Clock) -> Restored:
    """Put a back-up in the place of the database, and of the media directory if it has one.

    AlreadyRunning while the program runs; BackupBroken, SchemaError; until the last step nothing there is changed. Whoever was
    erased after the back-up was made, by the database's own list or the one beside the back-ups, is erased from it first.
    Messages that were about to be sent are looked for with the provider before they are sent: they may have been.
    """
    with InstanceLock(places.database, "all"), _workplace(places.database) as folder:
        manifest = await asyncio.to_thread(unpack, file, folder)
        migrate(folder / DATABASE)
        own, unread = await _tombstones_of(places.database)
        tombstones = merged(own, read_side_file(places.backups), read_side_file(file.parent))
        database = await SqliteDatabase.open(folder / DATABASE, readers=1)
        try:
            media = folder / "media" if manifest.with_media else places.media
            eraser = Eraser(database, digests, clock, media=media, backups=places.backups)
            receipts = await eraser.apply(tombstones)
            # What was written since the back-up may have been answered since: nobody knows, and nobody is answered twice.
            await database.system_write(missed_store.hear_from_now_on, now=clock.now())
            doubtful = await database.system_write(erasures_store.doubt_unsent, now=clock.now())
        finally:
            await database.close()
        aside = await asyncio.to_thread(_swap, folder, places, manifest, clock.now())
    return Restored(manifest, tuple(receipts), aside, doubtful, unread)


async def _tombstones_of(path: Path) -> tuple[list[Tombstone], str | None]:
    """Who was erased by the database that is there, and that its log is in its file; why not, if it cannot be read."""
    if not await asyncio.to_thread(path.exists):
        return [], None
    try:
        if status(path).pending:
            migrate(path)
        database = await SqliteDatabase.open(path, readers=1)
        try:
            return await database.system_read(erasures_store.tombstones), None
        finally:
            await database.close()
    except WtaiError as exc:
        return [], str(exc)


@contextmanager
def _workplace(database: Path) -> Iterator[Path]:
    """A folder on the database's own disk, so that putting a file in its place is one step."""
    folder = database.with_name(_WORK)
    shutil.rmtree(folder, ignore_errors=True)
    try:
        folder.mkdir(mode=0o700, parents=True)
    except OSError as exc:
        raise EnvironmentProblem(f"cannot write beside {database}: {exc.strerror}; make the data directory writable") from exc
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _swap(folder: Path, places: Places, manifest: Manifest, now: int) -> tuple[Path, ...]:
    """Media first, then the database in one step; what was there stays beside it under a name with the time.

    A log that is left of the old database would be taken for the new one's.
    """
    stamp = datetime.fromtimestamp(now // SECOND, UTC).strftime("%Y%m%dT%H%M%SZ")
    aside = []
    if manifest.with_media:
        if places.media.exists():
            aside.append(places.media.with_name(f"{places.media.name}.before-{stamp}"))
            places.media.rename(aside[-1])
        places.media.parent.mkdir(parents=True, exist_ok=True)
        (folder / "media").mkdir(mode=0o700, exist_ok=True)
        shutil.move(folder / "media", places.media)
    if places.database.exists():
        aside.append(places.database.with_name(f"{places.database.name}.before-{stamp}"))
        os.link(places.database, aside[-1])
        for ending in _LOGS:
            with suppress(FileNotFoundError):
                log = places.database.with_name(places.database.name + ending)
                log.rename(aside[-1].with_name(aside[-1].name + ending))
    (folder / DATABASE).replace(places.database)
    descriptor = os.open(places.database.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return tuple(aside)
