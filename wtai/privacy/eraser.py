"""Erasures from beginning to end: the transactions, the files, the bytes, and the word of it beside the back-ups."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, Literal, Self

import structlog

from wtai.clock import MINUTE, Clock
from wtai.conversation.kept_opt_outs_store import keep_opt_out
from wtai.db.sqlite import SqliteDatabase
from wtai.db.tx import OwnerTx
from wtai.errors import StorageUnavailable
from wtai.identity.audit_store import SYSTEM, Actor
from wtai.identity.from_settings import sealer
from wtai.identity.store import owner, owners
from wtai.identity.users_store import user_of_public_id
from wtai.jobs.queue import Job
from wtai.privacy import erase_store, erasures_store
from wtai.privacy.erase import (
    Asked,
    Erased,
    Receipt,
    erase_person,
    erase_rest_of_owner,
    remove_person_of_erased_owner,
    shut_owner,
)
from wtai.privacy.tables_store import TABLES
from wtai.privacy.tombstones import AddressDigests, Tombstone, digest, write_side_file
from wtai.settings import Settings

log = structlog.get_logger(__name__)

_ON_ITS_WAY_MS: Final = 10 * MINUTE
"""A file this young may be kept by a job that has yet to write it down."""

Rewrite = Literal["now", "by the job", "by the caller"]
"""When the database's file is written anew, without the bytes of what was deleted. It is the file of all owners, whose writes
wait meanwhile: what one owner asks for leaves it to the job.
"""


class Eraser:
    """Erases from ``database`` and the ``media`` directory, and tells the ``backups`` directory."""

    def __init__(self, database: SqliteDatabase, digests: AddressDigests, clock: Clock, *, media: Path, backups: Path) -> None:
        self._database = database
        self._digests = digests
        self._clock = clock
        self._media = media
        self._backups = backups

    @classmethod
    def of(cls, settings: Settings, database: SqliteDatabase, clock: Clock) -> Self:
        """What the settings say of keys and places. EnvironmentProblem if a key file is absent or not private."""
        digests = AddressDigests(sealer(settings))
        return cls(database, digests, clock, media=settings.media.directory, backups=settings.backup.directory)

    async def erase_user(self, owner_id: int, public: str, actor: Actor, *, rewrite: Rewrite = "now") -> Receipt:
        """Erase a person and return the receipt, which is kept too. NotFound, LastAdmin.

        Where the database's file is not rewritten now the receipt says so, and the job FINISH does it later.
        """
        asked = Asked(actor, self._clock.now())
        erased = await self._database.write(owner_id, erase_person, public, self._digests, asked)
        return await self._finish(erased, rewrite)

    async def erase_owner(self, owner_id: int, actor: Actor, *, rewrite: Rewrite = "now") -> Receipt:
        """Erase an owner with all its people; cut short, it is shut, and to be erased again. As above."""
        erased = await self._erase_owner(owner_id, Asked(actor, self._clock.now()))
        return await self._finish(erased, rewrite)

    async def apply(self, tombstones: Iterable[Tombstone]) -> list[Receipt]:
        """Erase again whom a restored database knows still, and take the tombstones over: the receipts of those found.

        One rewrite serves all of them.
        """
        receipts: list[Receipt] = []
        known = {digest(one.public_id): one.id for one in await self._database.system_read(owners)}
        for tombstone in tombstones:
            if (owner_id := known.get(tombstone.owner)) is None:
                continue
            receipts += [await self._finish(erased, "by the caller") for erased in await self._apply(owner_id, tombstone)]
        await self._database.rewrite()
        return receipts

    async def finish(self, job: Job) -> None:
        """The job FINISH: remove files that came after the erasure, and rewrite if that was not to be done then."""
        erasure = await self._database.system_read(erasures_store.erasure, job.argument("erasure_id"))
        if erasure is None:
            return
        if erasure.kind == "owner":
            await self._database.write(erasure.owner_id, _empty_again)
        referred = await self._database.read(erasure.owner_id, erase_store.referred_files)
        late = await asyncio.to_thread(self._stray_files, erasure.owner, referred)
        receipt = Receipt.model_validate_json(erasure.receipt)
        if late or erasure.finished_at is None:
            await self._database.rewrite()
            done = receipt.model_copy(update={"files": receipt.files + late, "files_rewritten": True})
            await self._database.write(
                erasure.owner_id, erasures_store.finish, erasure.id, done.model_dump_json(), at=self._clock.now()
            )
        tombstones = await self._database.system_read(erasures_store.tombstones)
        await asyncio.to_thread(write_side_file, self._backups, tombstones)

    async def _erase_owner(self, owner_id: int, asked: Asked) -> Erased:
        copies = await self._database.read(owner_id, erase_store.provider_copies, None)
        removed: Counter[str] = await self._database.write(owner_id, shut_owner, asked)
        for public in await self._database.read(owner_id, erase_store.people):
            removed += await self._database.write(owner_id, remove_person_of_erased_owner, public)
        return await self._database.system_write(erase_rest_of_owner, owner_id, asked, removed, copies)

    async def _apply(self, owner_id: int, tombstone: Tombstone) -> list[Erased]:
        asked = Asked(SYSTEM, tombstone.erased_at, tombstone.id)
        if tombstone.kind == "owner":
            mine = await self._database.read(owner_id, owner)
            return [] if mine.status == "erased" else [await self._erase_owner(owner_id, asked)]
        found = await self._database.read(owner_id, _whom, tombstone, self._digests)
        done = [await self._database.write(owner_id, erase_person, public, self._digests, asked) for public in found]
        await self._database.write(owner_id, _take_over, tombstone)
        return done

    async def _finish(self, erased: Erased, rewrite: Rewrite) -> Receipt:
        await asyncio.to_thread(write_side_file, self._backups, [erased.tombstone])
        mine = await self._database.read(erased.owner_id, owner)
        if erased.tombstone.kind == "owner":
            files = await asyncio.to_thread(self._stray_files, mine.public_id, frozenset(), youngest_ms=0)
        else:
            files = await asyncio.to_thread(self._remove, erased.files)
        rewritten = rewrite == "by the caller" or (rewrite == "now" and await self._rewritten())
        receipt = erased.receipt.model_copy(update={"files": files, "files_rewritten": rewritten})
        finished_at = self._clock.now() if rewritten else None
        await self._database.write(erased.owner_id, erasures_store.finish, erased.key, receipt.model_dump_json(), at=finished_at)
        log.info("privacy.erased", erasure=receipt.id, kind=receipt.kind, rows=sum(receipt.removed.values()), files=files)
        return receipt

    async def _rewritten(self) -> bool:
        """Whether the file could be rewritten now. Else the job does so: the rows are gone, and an erasure is not undone."""
        try:
            await self._database.rewrite()
        except StorageUnavailable as exc:
            log.warning("privacy.not_rewritten", reason=str(exc))
            return False
        return True

    def _remove(self, files: Sequence[str]) -> int:
        found = [self._media / path for path in files if (self._media / path).exists()]
        for path in found:
            path.unlink(missing_ok=True)
            _remove_empty(path.parent, up_to=self._media)
        return len(found)

    def _stray_files(self, owner_public: str, referred: frozenset[str], *, youngest_ms: int = _ON_ITS_WAY_MS) -> int:
        """Remove the owner's files that no attachment refers to, unless they are too young to tell; how many."""
        newest = self._clock.now() - youngest_ms
        stray = [
            path.relative_to(self._media).as_posix()
            for path in (self._media / owner_public).rglob("*")
            if path.is_file()
            and path.relative_to(self._media).as_posix() not in referred
            and (not youngest_ms or path.stat().st_mtime_ns // 1_000_000 < newest)
        ]
        return self._remove(stray)


def _whom(tx: OwnerTx, tombstone: Tombstone, digests: AddressDigests) -> list[str]:
    """Whom of the owner's people a tombstone is for: the very one, or who had one of the addresses before it was set."""
    mine = owner(tx).public_id
    found = []
    for public in erase_store.people(tx):
        person = user_of_public_id(tx, public)
        known = erase_store.addresses(tx, person.id) + ([person.email] if person.email else [])
        same = any(one in tombstone.addresses for address in known for one in digests.all(mine, address))
        if digest(public) == tombstone.subject or (same and person.created_at <= tombstone.erased_at):
            found.append(public)
    return found


def _take_over(tx: OwnerTx, tombstone: Tombstone) -> None:
    """Keep a tombstone in a database that was restored without it, with the opt-outs."""
    for our_address in tombstone.opt_outs:
        keep_opt_out(tx, tombstone.addresses, our_address, now=tombstone.erased_at)
    if not erasures_store.is_known(tx, tombstone.id):
        key = erasures_store.insert_erasure(tx, tombstone, _carried(tombstone))
        erasures_store.finish(tx, key, _carried(tombstone), at=tombstone.erased_at)


def _carried(tombstone: Tombstone) -> str:
    return Receipt(
        id=tombstone.id,
        kind=tombstone.kind,
        subject_sha256=tombstone.subject,
        addresses_hmac=tombstone.addresses,
        asked_by="carried over by a restore",
        erased_at=str(tombstone.erased_at),
        removed={},
        anonymised={},
        opt_outs_kept=len(tombstone.opt_outs),
        files_rewritten=True,
        not_covered=(),
    ).model_dump_json()


def _empty_again(tx: OwnerTx) -> None:
    """What an answer that was under way may have written for an owner that was erased meanwhile."""
    for table in TABLES:
        erase_store.delete_rows_of_owner(tx, table)


def _remove_empty(folder: Path, *, up_to: Path) -> None:
    while folder != up_to and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent
