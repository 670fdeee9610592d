"""SQL of what people see of memories."""

from typing import Final

from wtai.ai.memory.model import Fact
from wtai.db.tx import OwnerTx
from wtai.errors import NotFound

_FACT: Final = "SELECT id, public_id, text, kind, entity, attribute, observed_at, superseded_by, keys FROM memories"
_FAR: Final = 1 << 62


def fact_rows(tx: OwnerTx, user_id: int, *, before: tuple[int, int] | None = None, limit: int) -> list[Fact]:
    """What is kept of a person, newest first, behind the position ``before`` (observed_at, id)."""
    before_at, before_id = before or (_FAR, _FAR)
    rows = tx.all(
        f"""
        {_FACT} WHERE owner_id = :owner AND user_id = :user_id
            AND (observed_at < :before_at OR (observed_at = :before_at AND id < :before_id))
        ORDER BY observed_at DESC, id DESC LIMIT :limit
        """,
        user_id=user_id,
        before_at=before_at,
        before_id=before_id,
        limit=limit,
    )
    return [Fact(**dict(row)) for row in rows]


def person_of_fact(tx: OwnerTx, public: str) -> int:
    """The key of the person. NotFound if the owner has no such fact."""
    row = tx.one("SELECT user_id FROM memories WHERE owner_id = :owner AND public_id = :public", public=public)
    if row is None:
        raise NotFound(f"no memory {public}")
    return int(row["user_id"])
