"""SQL of owners."""

from typing import Literal

from wtai.db.tx import PLATFORM, OwnerTx, Row, SystemTx
from wtai.errors import NotFound, StaleVersion
from wtai.identity.model import Owner
from wtai.identity.plans_store import DEFAULT_PLAN, plan_named, subscribe
from wtai.identity.preferences import Preferences, merged
from wtai.ids import public_id

_OWNER = "SELECT id, public_id, name, locale, status, version, created_at FROM owners"


def create_owner(tx: SystemTx, name: str, locale: str, *, plan: str = DEFAULT_PLAN, now: int) -> Owner:
    """A new tenant, subscribed to ``plan`` by its name. NotFound if there is no such plan."""
    rows = tx.all(
        """
        INSERT INTO owners (public_id, name, locale, created_at) VALUES (:public_id, :name, :locale, :now)
        RETURNING id, public_id, name, locale, status, version, created_at
        """,
        public_id=public_id("own"),
        name=name,
        locale=locale,
        now=now,
    )
    made = _owner(rows[0])
    subscribe(tx.for_owner(made.id), plan_named(tx, plan), now=now)
    return made


def owners(tx: SystemTx, *, after: int = PLATFORM, limit: int = -1) -> list[Owner]:
    """Tenants, oldest first: up to ``limit`` (all, below zero) with a key above ``after``."""
    rows = tx.all(f"{_OWNER} WHERE id > :after AND id > 0 ORDER BY id LIMIT :limit", after=after, limit=limit)
    return [_owner(row) for row in rows]


def owner_of_public_id(tx: SystemTx, public: str) -> Owner:
    """NotFound if there is no such tenant."""
    row = tx.one(f"{_OWNER} WHERE public_id = :public AND id > 0", public=public)
    if row is None:
        raise NotFound(f"no owner {public}; `wtai owner list` shows them")
    return _owner(row)


def rename_owner(tx: OwnerTx, name: str, locale: str, *, version: int | None = None) -> Owner:
    """Give the tenant another name and language. NotFound; StaleVersion if it is not at ``version`` any more."""
    return _changed(tx, version, name=name, locale=locale)


def set_owner_status(tx: OwnerTx, status: Literal["active", "disabled"], *, version: int | None = None) -> Owner:
    """Let the tenant in or shut it out: its webhooks, log-ins and tokens. NotFound; StaleVersion as above."""
    return _changed(tx, version, status=status)


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


def chosen_preferences(tx: OwnerTx) -> str:
    """The owner's own choices, as JSON."""
    row = tx.one("SELECT preferences FROM owners WHERE id = :owner")
    if row is None:
        raise NotFound(f"no owner with key {tx.owner_id}")
    return str(row["preferences"])


def choose(tx: OwnerTx, base: Preferences, chosen: str, *, version: int | None = None) -> Owner:
    """Take over an owner's choices: a JSON object of fields of Preferences. ValueError if they do not fit; StaleVersion if the
    owner is not at ``version`` any more.
    """
    merged(base, chosen)
    return _changed(tx, version, chosen=chosen)


def _changed(
    tx: OwnerTx,
    version: int | None,
    *,
    name: str | None = None,
    locale: str | None = None,
    status: str | None = None,
    chosen: str | None = None,
) -> Owner:
    rows = tx.all(
        """
        UPDATE owners SET name = coalesce(:name, name), locale = coalesce(:locale, locale), status = coalesce(:status, status),
            preferences = coalesce(:chosen, preferences), version = version + 1
        WHERE id = :owner AND id > 0 AND status <> 'erased' AND version = coalesce(:version, version)
        RETURNING id, public_id, name, locale, status, version, created_at
        """,
        version=version,
        name=name,
        locale=locale,
        status=status,
        chosen=chosen,
    )
    if not rows:
        current = owner(tx)
        raise StaleVersion(f"owner {current.public_id} is at version {current.version}, not {version}: read it again")
    return _owner(rows[0])


def _owner(row: Row) -> Owner:
    return Owner(**dict(row))
