"""How an erased person is recognised afterwards, by digests alone: in a back-up that is restored, or when they write again."""

import fcntl
import hashlib
import hmac
import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from wtai.db.tx import OwnerTx
from wtai.errors import EnvironmentProblem
from wtai.identity.store import owner
from wtai.secrets import Sealer

SIDE_FILE: Final = "erasures.jsonl"
_PURPOSE: Final = "erased addresses"


class Tombstone(BaseModel):
    """An erasure as it is applied to a back-up. ``owner`` and ``subject`` are SHA-256 of public ids, which are random and cannot
    be guessed; ``addresses`` are keyed, because a phone number can. ``opt_outs`` are the addresses of the owner from which the
    person wanted nothing. ``erased_at`` in ms since 1970.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    kind: Literal["user", "owner"]
    owner: str
    subject: str
    addresses: tuple[str, ...] = ()
    opt_outs: tuple[str, ...] = ()
    erased_at: int


_TOMBSTONE: Final = TypeAdapter(Tombstone)


def digest(public: str) -> str:
    """SHA-256 of a public id, in hexadecimal."""
    return hashlib.sha256(public.encode()).hexdigest()


class AddressDigests:
    """HMAC-SHA-256 of people's addresses, per owner, under keys derived from the master keys."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    def current(self, owner: str, address: str) -> str:
        """What is kept of an address of ``owner`` (a public id): under the current key."""
        return self.all(owner, address)[0]

    def all(self, owner: str, address: str) -> tuple[str, ...]:
        """What may have been kept of it, under each key known; the current one's first."""
        keys = self._sealer.derived(_PURPOSE)
        text = f"{owner}\n{address}".encode()
        return tuple(f"{name}.{hmac.new(key, text, hashlib.sha256).hexdigest()}" for name, key in keys.items())

    def of(self, tx: OwnerTx, address: str) -> tuple[str, ...]:
        """As :meth:`all`, for the owner of a transaction."""
        return self.all(owner(tx).public_id, address)


def read_side_file(directory: Path) -> list[Tombstone]:
    """The tombstones beside the back-ups. EnvironmentProblem if the file cannot be understood."""
    path = directory / SIDE_FILE
    if not path.exists():
        return []
    lines = path.read_text("utf-8").splitlines()
    try:
        return [_TOMBSTONE.validate_json(line) for line in lines if line]
    except ValidationError as exc:
        raise EnvironmentProblem(
            f"{path} is damaged, so it is not known who was erased; mend: restore your copy of it, or correct the line"
        ) from exc


def write_side_file(directory: Path, tombstones: Iterable[Tombstone]) -> None:
    """Add ``tombstones`` to those beside the back-ups, in one step: a kill leaves the old file or the new one."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (directory / f".{SIDE_FILE}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two at once would each lose what the other adds
        _replace(directory, merged(read_side_file(directory), list(tombstones)))


def merged(*many: Sequence[Tombstone]) -> list[Tombstone]:
    """Each tombstone once, oldest first."""
    return sorted({one.id: one for some in many for one in some}.values(), key=lambda one: (one.erased_at, one.id))


def _replace(directory: Path, tombstones: Sequence[Tombstone]) -> None:
    fresh = directory / f".{SIDE_FILE}.new"
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        for one in tombstones:
            file.write(json.dumps(one.model_dump(mode="json")) + "\n")
        file.flush()
        os.fsync(descriptor)
    fresh.replace(directory / SIDE_FILE)
    folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
