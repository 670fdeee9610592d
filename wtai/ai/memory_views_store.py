"""SQL of what people see of memories."""

from dataclasses import dataclass
from typing import Final

from wtai.ai.memory.model import Fact
from wtai.db.tx import OwnerTx, Row
from wtai.errors import NotFound

_FACT: Final = """
SELECT m.id, m.public_id, m.text, m.kind, m.entity, m.attribute, m.observed_at, m.superseded_by, m.keys, m.user_id,
    u.public_id AS user
FROM memories m JOIN users u ON u.owner_id = m.owner_id AND u.id = m.user_id
"""
_NEWEST_FIRST: Final = """
m.owner_id = :owner AND (m.observed_at < :before_at OR (m.observed_at = :before_at AND m.id < :before_id))
ORDER BY m.observed_at DESC, m.id DESC LIMIT :limit
"""
_OF_ANYBODY: Final = f"{_FACT} WHERE m.id > 0 AND {_NEWEST_FIRST}"  # the condition of the index for it
_OF_PERSON: Final = f"{_FACT} WHERE m.user_id = :user_id AND {_NEWEST_FIRST}"
_FAR: Final = 1 << 62


@dataclass(frozen=True, slots=True)
class FactRow:
    """A fact, and whose it is: the key and the public id of the person."""

    fact: Fact
    user_id: int
    user: str


def fact_rows(tx: OwnerTx, user_id: int | None = None, *, before: tuple[int, int] | None = None, limit: int) -> list[FactRow]:
    """What is kept of a person, or of all (None), newest first, behind the position ``before`` (observed_at, id)."""
    before_at, before_id = before or (_FAR, _FAR)
    rows = tx.all(
        _OF_ANYBODY if user_id is None else _OF_PERSON,
        user_id=user_id,
        before_at=before_at,
        before_id=before_id,
        limit=limit,
    )
    return [_row(row) for row in rows]


def fact_row(tx: OwnerTx, public: str) -> FactRow:
    """NotFound if the owner has no such fact."""
    row = tx.one(f"{_FACT} WHERE m.owner_id = :owner AND m.public_id = :public", public=public)
    if row is None:
        raise NotFound(f"no memory {public}")
    return _row(row)


def _row(row: Row) -> FactRow:
    fields = dict(row)
    user_id, user = fields.pop("user_id"), fields.pop("user")
    return FactRow(Fact(**fields), user_id, user)
