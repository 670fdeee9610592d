"""SQL of exports: the rows of a person or of an owner, page by page, without what is secret."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from wtai.db.tx import OwnerTx, Row
from wtai.privacy.tables_store import Table

PAGE: Final = 500
_JSON: Final = frozenset(
    {
        "addresses", "arguments", "calls", "config", "content_variables", "details", "events", "exchange", "memories",
        "parameters", "payload", "preferences", "raw", "result", "route", "scopes",
    }
)  # fmt: skip
_MOMENTS: Final = ("_at", "_until", "_start", "_end")

Exported = dict[str, object]
"""A row as people and programs read it."""


def page(tx: OwnerTx, table: Table, user_id: int | None, public: str, after: int) -> tuple[list[Exported], int | None]:
    """Rows of a table above the key ``after``, of one person or (``user_id`` None) of the owner; and the key to go on from.

    The key is None with the last page.
    """
    condition = "true" if user_id is None else table.of_person
    if condition is None:
        return [], None
    paged = "AND id > :after ORDER BY id LIMIT :limit" if table.keyed else ""
    rows = tx.all(
        f"SELECT * FROM {table.name} WHERE owner_id = :owner AND {condition} {paged}",  # noqa: S608 - from the list of tables
        user_id=user_id,
        public=public,
        after=after,
        limit=PAGE,
    )
    more = int(rows[-1]["id"]) if table.keyed and len(rows) == PAGE else None
    return [readable(row, table.hidden) for row in rows], more


def own_row(tx: OwnerTx) -> Exported:
    """The owner itself."""
    return readable(tx.all("SELECT * FROM owners WHERE id = :owner")[0], frozenset())


def acts(tx: OwnerTx, public: str | None) -> list[Exported]:
    """The lines of the audit log: those of what one person did, or all of the owner."""
    rows = tx.all(
        "SELECT * FROM audit_log WHERE owner_id = :owner AND (:public IS NULL OR actor = :public) ORDER BY id", public=public
    )
    return [readable(row, frozenset()) for row in rows]


def readable(row: Row, hidden: frozenset[str]) -> Exported:
    """Moments as ISO 8601 in UTC, JSON as JSON; no bytes, no hidden columns."""
    return {name: _value(name, value) for name, value in dict(row).items() if _is_shown(name, value, hidden)}


def _is_shown(name: str, value: object, hidden: frozenset[str]) -> bool:
    return name != "owner_id" and name not in hidden and not isinstance(value, bytes)


def _value(name: str, value: object) -> object:
    if isinstance(value, int) and name.endswith(_MOMENTS) and value > 0:
        return datetime.fromtimestamp(value / 1000, UTC).isoformat(timespec="milliseconds")
    if isinstance(value, str) and name in _JSON:
        return _parsed(value)
    return value


def _parsed(text: str) -> object:
    try:
        found: Mapping[str, object] | list[object] | str | int | float | None = json.loads(text)
    except ValueError:
        return text
    return found
