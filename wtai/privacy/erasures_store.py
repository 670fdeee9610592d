"""SQL of what stays of erased people: receipts, and digests by which they are recognised."""

import json
from dataclasses import dataclass

from wtai.db.tx import OwnerTx, Row, SystemTx
from wtai.privacy.tombstones import Tombstone, digest


@dataclass(frozen=True, slots=True)
class Erasure:
    """An erasure as kept; ``owner`` is the owner's public id, ``receipt`` JSON. Times in ms since 1970."""

    id: int
    owner_id: int
    owner: str
    public_id: str
    kind: str
    receipt: str
    created_at: int
    finished_at: int | None


def insert_erasure(tx: OwnerTx, tombstone: Tombstone, receipt: str) -> int:
    """Keep a tombstone with its receipt; returns the key."""
    rows = tx.all(
        """
        INSERT INTO erasures (owner_id, public_id, subject_kind, subject, addresses, opt_outs, receipt, created_at)
        VALUES (:owner, :public_id, :kind, :subject, :addresses, :opt_outs, :receipt, :now)
        ON CONFLICT (public_id) DO UPDATE SET receipt = excluded.receipt
        RETURNING id
        """,
        public_id=tombstone.id,
        kind=tombstone.kind,
        subject=tombstone.subject,
        addresses=json.dumps(tombstone.addresses),
        opt_outs=json.dumps(tombstone.opt_outs),
        receipt=receipt,
        now=tombstone.erased_at,
    )
    return int(rows[0]["id"])


def is_known(tx: OwnerTx, public: str) -> bool:
    """Whether the owner has an erasure of this public id."""
    return tx.one("SELECT 1 FROM erasures WHERE owner_id = :owner AND public_id = :public", public=public) is not None


def finish(tx: OwnerTx, erasure_id: int, receipt: str, *, at: int | None) -> None:
    """What became of an erasure; ``at`` is when nothing was left in any file (ms), None if something may be."""
    tx.run(
        "UPDATE erasures SET receipt = :receipt, finished_at = :at WHERE owner_id = :owner AND id = :id",
        id=erasure_id,
        receipt=receipt,
        at=at,
    )


def erasure(tx: SystemTx, erasure_id: int) -> Erasure | None:
    """One erasure by its key."""
    row = tx.one(
        """
        SELECT e.id, e.owner_id, o.public_id AS owner, e.public_id, e.subject_kind AS kind, e.receipt, e.created_at,
            e.finished_at
        FROM erasures e JOIN owners o ON o.id = e.owner_id WHERE e.id = :id
        """,
        id=erasure_id,
    )
    return Erasure(**dict(row)) if row else None


def tombstones(tx: SystemTx) -> list[Tombstone]:
    """Everyone who was erased, of all owners, oldest first."""
    rows = tx.all(
        """
        SELECT e.public_id, e.subject_kind, o.public_id AS owner, e.subject, e.addresses, e.opt_outs, e.created_at
        FROM erasures e JOIN owners o ON o.id = e.owner_id ORDER BY e.id
        """
    )
    return [_tombstone(row) for row in rows]


def _tombstone(row: Row) -> Tombstone:
    return Tombstone(
        id=row["public_id"],
        kind=row["subject_kind"],
        owner=digest(row["owner"]),
        subject=row["subject"],
        addresses=tuple(json.loads(row["addresses"])),
        opt_outs=tuple(json.loads(row["opt_outs"])),
        erased_at=row["created_at"],
    )


def doubt_unsent(tx: SystemTx, *, now: int) -> int:
    """What was about to be sent when a back-up was made may have been sent since: its outcome is unknown. How many."""
    return tx.run(
        """
        UPDATE messages SET status = 'unknown', sending_at = coalesce(sending_at, created_at), polls = 0, polled_at = NULL,
            updated_at = :now
        WHERE direction = 'outbound' AND status IN ('queued', 'sending') AND parked IS NULL
        """,
        now=now,
    )
