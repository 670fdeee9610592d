"""SQL of owners."""

from wtai.db.tx import OwnerTx, Row, SystemTx
from wtai.errors import NotFound
from wtai.identity.model import Owner
from wtai.identity.preferences import Preferences, merged
from wtai.ids import public_id

_OWNER = "SELECT id, public_id, name, locale, status, created_at FROM owners"


def create_owner(tx: SystemTx, name: str, locale: str, *, now: int) -> Owner:
    """A new tenant."""
    rows = tx.all(
        """
        INSERT INTO owners (public_id, name, locale, created_at) VALUES (:public_id, :name, :locale, :now)
        RETURNING id, public_id, name, locale, status, created_at
        """,
        public_id=public_id("own"),
        name=name,
        locale=locale,
        now=now,
    )
    return _owner(rows[0])


def owners(tx: SystemTx) -> list[Owner]:
    """All tenants, oldest first."""
    return [_owner(row) for row in tx.all(f"{_OWNER} ORDER BY id")]


def owner_of_public_id(tx: SystemTx, public: str) -> Owner:
    """NotFound if there is no such tenant."""
    row = tx.one(f"{_OWNER} WHERE public_id = :public", public=public)
    if row is None:
        raise NotFound(f"no owner {public}; `wtai owner list` shows them")
    return _owner(row)


def owner(tx: OwnerTx) -> Owner:
    """The tenant of this transaction."""
    row = tx.one(f"{_OWNER} WHERE id = :owner")
    if row is None:
        raise NotFound(f"no owner with key {tx.owner_id}")
    return _owner(row)


def preferences(tx: OwnerTx, base: Preferences) -> Preferences:
    """What holds for this owner: its own choices over ``base``."""
    row = tx.one("SELECT preferences FROM owners WHERE id = :owner")
    return merged(base, row["preferences"]) if row else base


def choose(tx: OwnerTx, base: Preferences, chosen: str) -> None:
    """Take over an owner's choices: a JSON object of fields of Preferences. ValueError if they do not fit."""
    merged(base, chosen)
    tx.run("UPDATE owners SET preferences = :chosen WHERE id = :owner", chosen=chosen)


def _owner(row: Row) -> Owner:
    return Owner(**dict(row))
