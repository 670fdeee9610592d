"""SQL of an owner's canned replies."""

from dataclasses import dataclass
from typing import Final

from wtai.db.tx import OwnerTx
from wtai.errors import NotFound, StaleVersion, WtaiError
from wtai.ids import public_id

MOST: Final = 500
"""So many an owner may have."""
_CANNED: Final = "SELECT id, public_id, shortcut, text, version FROM canned_replies"


class CannedTaken(WtaiError):
    """The owner has a canned reply of this name already, or as many as there may be."""


@dataclass(frozen=True, slots=True)
class Canned:
    """A text under a short name."""

    id: int
    public_id: str
    shortcut: str
    text: str
    version: int


def canned_replies(tx: OwnerTx) -> list[Canned]:
    """All of the owner's, by their names."""
    rows = tx.all(f"{_CANNED} WHERE owner_id = :owner ORDER BY shortcut LIMIT :most", most=MOST)
    return [Canned(**dict(row)) for row in rows]


def canned_reply(tx: OwnerTx, public: str) -> Canned:
    """NotFound if the owner has no such reply."""
    row = tx.one(f"{_CANNED} WHERE owner_id = :owner AND public_id = :public", public=public)
    if row is None:
        raise NotFound(f"no canned reply {public}")
    return Canned(**dict(row))


def create_canned(tx: OwnerTx, shortcut: str, text: str, *, now: int) -> Canned:
    """A new one. CannedTaken."""
    public = public_id("cnd")
    made = tx.run(
        """
        INSERT INTO canned_replies (owner_id, public_id, shortcut, text, created_at)
        SELECT :owner, :public, :shortcut, :text, :now
        WHERE (SELECT count(*) FROM canned_replies WHERE owner_id = :owner) < :most
        ON CONFLICT (owner_id, shortcut) DO NOTHING
        """,
        public=public,
        shortcut=shortcut,
        text=text,
        most=MOST,
        now=now,
    )
    if not made:
        raise CannedTaken(f"there is a canned reply {shortcut} already, or there are {MOST}")
    return canned_reply(tx, public)


def change_canned(tx: OwnerTx, row: Canned, shortcut: str, text: str, *, version: int) -> None:
    """Another name or text. CannedTaken; StaleVersion if it is not at ``version`` any more."""
    taken = tx.one(
        "SELECT 1 FROM canned_replies WHERE owner_id = :owner AND shortcut = :shortcut AND id <> :id",
        shortcut=shortcut,
        id=row.id,
    )
    if taken is not None:
        raise CannedTaken(f"there is a canned reply {shortcut} already")
    changed = tx.run(
        """
        UPDATE canned_replies SET shortcut = :shortcut, text = :text, version = version + 1
        WHERE owner_id = :owner AND id = :id AND version = :version
        """,
        shortcut=shortcut,
        text=text,
        id=row.id,
        version=version,
    )
    if not changed:
        raise StaleVersion(f"canned reply {row.public_id} is not at version {version} any more")


def delete_canned(tx: OwnerTx, row: Canned) -> None:
    """Forget it."""
    tx.run("DELETE FROM canned_replies WHERE owner_id = :owner AND id = :id", id=row.id)
