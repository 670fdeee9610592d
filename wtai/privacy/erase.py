"""Erases a person, or an owner with all its people: rows, words, vectors, files, jobs, and the bytes they leave behind.

One transaction deletes a person's rows, users last: what was under way for them, in a turn or a call, finds nothing to write to,
since each of their rows needs a user or a conversation that is gone. Then their files go and the database is written anew.
"""

import json
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

from wtai.clock import MINUTE, SECOND
from wtai.conversation.kept_opt_outs_store import keep_opt_out
from wtai.db.tx import PLATFORM, OwnerTx, SystemTx
from wtai.errors import NotFound
from wtai.identity.audit_store import Actor, audit, erase_audit, erase_from_audit
from wtai.identity.model import Owner, User
from wtai.identity.store import owner, set_owner_status
from wtai.identity.users_store import set_user_status, user_of_public_id
from wtai.ids import public_id
from wtai.jobs.store import BACKGROUND, enqueue
from wtai.privacy import erase_store, erasures_store
from wtai.privacy.tables_store import TABLES
from wtai.privacy.tombstones import AddressDigests, Tombstone, digest
from wtai.search.index_store import forget_person

FINISH: Final = "finish_erasure"
"""The kind of job that looks again for what was under way during an erasure; its payload is {"erasure_id"}."""

_FINISH_AFTER_MS: Final = 15 * MINUTE
"""By then nothing that was under way runs any more: downloads and calls have time-outs of a minute or so."""

_PROVIDER: Final = "messages and media that the provider keeps ({}): delete them in its console or by its API"
_BACKUPS: Final = "back-ups made before: the person is erased again when one is restored, and they go as newer ones come"
_ANSWERS: Final = "answers to API requests with an Idempotency-Key, sealed: gone within a day"


class Receipt(BaseModel):
    """What an erasure found and did: rows by table, files, and what it could not reach. Names nobody but by digests."""

    model_config = ConfigDict(frozen=True)

    id: str
    kind: Literal["user", "owner"]
    subject_sha256: str
    addresses_hmac: tuple[str, ...]
    asked_by: str
    erased_at: str
    removed: dict[str, int]
    anonymised: dict[str, int]
    opt_outs_kept: int
    files: int = 0
    files_rewritten: bool = False
    not_covered: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Erased:
    """A committed erasure: the key of its row, its tombstone and receipt, and the files that have yet to go."""

    key: int
    owner_id: int
    tombstone: Tombstone
    receipt: Receipt
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asked for an erasure, and when (ms). ``id`` is the erasure's, None for a new one."""

    by: Actor
    at: int
    id: str | None = None


def erase_person(tx: OwnerTx, public: str, digests: AddressDigests, asked: Asked) -> Erased:
    """Erase one person of the owner, end user or staff. NotFound; LastAdmin for the last who may log in as one."""
    person = user_of_public_id(tx, public)
    if public == erase_store.nobody(tx.owner_id):
        raise NotFound(f"{public} stands for people who were erased already")
    if person.email is not None and asked.id is None:
        set_user_status(tx, person, "disabled", now=asked.at)
    mine = owner(tx)
    tombstone = _tombstone(tx, mine, person, digests, asked)
    for our_address in tombstone.opt_outs:
        keep_opt_out(tx, tombstone.addresses, our_address, now=asked.at)
    copies = erase_store.provider_copies(tx, person.id)
    files = tuple(erase_store.files(tx, person.id))
    if asked.id is None:
        audit(tx, asked.by, "users.erase", tombstone.id, now=asked.at)
    removed, anonymised = remove_person(tx, person)
    receipt = _receipt(tombstone, asked, removed, anonymised, copies)
    return _kept(tx, tombstone, receipt, files)


def remove_person(tx: OwnerTx, person: User) -> tuple[dict[str, int], dict[str, int]]:
    """Delete a person's rows: how many of each table, and how many were left without the name."""
    removed = Counter({"jobs": erase_store.delete_jobs(tx, erase_store.reach(tx, person.id))})
    removed["memories"] = erase_store.delete_memories(tx, person.id)
    forget_person(tx, person.id)
    anonymised = {
        "usage": erase_store.anonymise_usage(tx, person.id),
        "conversations, conversation_notes": erase_store.leave_work(tx, person.id, person.public_id),
        "feature_versions": erase_store.leave_versions(tx, person.public_id),
        "audit_log": erase_from_audit(tx, person.public_id),
    }
    removed.update(erase_store.delete_rows_of_person(tx, person.id, person.public_id))
    return _told(removed), _told(anonymised)


def shut_owner(tx: OwnerTx, asked: Asked) -> Counter[str]:
    """Let nothing more into an owner that is to be erased, and nothing out; how many rows that took."""
    mine = owner(tx)
    if mine.status == "erased":
        raise NotFound(f"owner {mine.public_id} is erased already")
    if mine.status != "disabled":
        set_owner_status(tx, "disabled")
        audit(tx, asked.by, "owners.disable", mine.public_id, details="to be erased", now=asked.at)
    removed = Counter({"jobs": erase_store.delete_jobs_of_owner(tx)})
    for table in TABLES:
        if table.name in ("twilio_numbers", "twilio_accounts"):
            removed[table.name] += erase_store.delete_rows_of_owner(tx, table)
    return removed


def remove_person_of_erased_owner(tx: OwnerTx, public: str) -> Counter[str]:
    """One person of an owner that is being erased."""
    person = user_of_public_id(tx, public)
    usage = erase_store.delete_usage(tx, person.id)
    removed, _ = remove_person(tx, person)
    return Counter(removed) + Counter({"usage": usage})


def erase_rest_of_owner(tx: SystemTx, owner_id: int, asked: Asked, before: Counter[str], copies: int) -> Erased:
    """What is left of an owner whose people are gone, with ``before`` of its rows; its own stays, empty, as the tombstone."""
    bound = tx.for_owner(owner_id)
    mine = owner(bound)
    removed = Counter(before)
    removed["jobs"] += erase_store.delete_jobs_of_owner(bound)
    for table in TABLES:
        removed[table.name] += erase_store.delete_rows_of_owner(bound, table)
    removed["audit_log"] += erase_audit(bound)
    erase_store.empty_owner(bound)
    tombstone = Tombstone(
        id=asked.id or public_id("era"),
        kind="owner",
        owner=digest(mine.public_id),
        subject=digest(mine.public_id),
        erased_at=asked.at,
    )
    if asked.id is None:
        audit(tx.for_owner(PLATFORM), asked.by, "owners.erase", mine.public_id, details=tombstone.id, now=asked.at)
    return _kept(bound, tombstone, _receipt(tombstone, asked, _told(removed), {"owners": 1}, copies), ())


def _tombstone(tx: OwnerTx, mine: Owner, person: User, digests: AddressDigests, asked: Asked) -> Tombstone:
    known = erase_store.addresses(tx, person.id) + ([person.email] if person.email else [])
    return Tombstone(
        id=asked.id or public_id("era"),
        kind="user",
        owner=digest(mine.public_id),
        subject=digest(person.public_id),
        addresses=tuple(digests.current(mine.public_id, address) for address in sorted(known)),
        opt_outs=tuple(erase_store.opted_out_of(tx, person.id)),
        erased_at=asked.at,
    )


def _kept(tx: OwnerTx, tombstone: Tombstone, receipt: Receipt, files: tuple[str, ...]) -> Erased:
    key = erasures_store.insert_erasure(tx, tombstone, receipt.model_dump_json())
    now = tombstone.erased_at
    enqueue(tx, FINISH, {"erasure_id": key}, run_at=now + _FINISH_AFTER_MS, priority=BACKGROUND, now=now)
    return Erased(key, tx.owner_id, tombstone, receipt, files)


def _receipt(tombstone: Tombstone, asked: Asked, removed: dict[str, int], anonymised: dict[str, int], copies: int) -> Receipt:
    provider = [_PROVIDER.format(copies)] if copies else []
    return Receipt(
        id=tombstone.id,
        kind=tombstone.kind,
        subject_sha256=tombstone.subject,
        addresses_hmac=tombstone.addresses,
        asked_by=json.dumps([asked.by.kind, asked.by.id]),
        erased_at=datetime.fromtimestamp(asked.at // SECOND, UTC).isoformat(),
        removed=removed,
        anonymised=anonymised,
        opt_outs_kept=len(tombstone.opt_outs),
        not_covered=(*provider, _BACKUPS, _ANSWERS),
    )


def _told(counts: dict[str, int]) -> dict[str, int]:
    return {name: count for name, count in counts.items() if count}
