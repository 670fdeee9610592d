"""SQL of the people who write as staff look them up."""

from dataclasses import dataclass
from typing import Final

from wtai.db.tx import OwnerTx

_FAR: Final = 1 << 62
_FEWEST_DIGITS: Final = 3


@dataclass(frozen=True, slots=True)
class Person:
    """An end user with every address they wrote from. Times in ms; ``last_at`` is when a conversation of theirs last changed."""

    id: int
    public_id: str
    name: str | None
    created_at: int
    last_at: int | None
    addresses: tuple[str, ...]


def people_who_write(tx: OwnerTx, *, words: str = "", before: int | None = None, limit: int) -> list[Person]:
    """Up to ``limit`` people, the newest first, with a key below ``before``. Without an address it is nobody: what stands for
    people who were erased.

    With ``words``: those whose name holds them, or one of whose addresses holds their digits.
    """
    digits = "".join(letter for letter in words if letter.isdigit())
    rows = tx.all(
        """
        WITH found AS (
            SELECT u.id, u.public_id, u.name, u.created_at FROM users u
            WHERE u.owner_id = :owner AND u.email IS NULL AND u.id < :before
                AND EXISTS (SELECT 1 FROM user_addresses s WHERE s.owner_id = :owner AND s.user_id = u.id)
                AND (:words = '' OR lower(u.name) LIKE :named ESCAPE '!' OR (:digits <> '' AND u.id IN (
                    SELECT a.user_id FROM user_addresses a
                    WHERE a.owner_id = :owner AND a.address LIKE '%' || :digits || '%'
                )))
            ORDER BY u.id DESC LIMIT :limit
        )
        SELECT found.id, found.public_id, found.name, found.created_at, a.address,
            (SELECT max(c.updated_at) FROM conversations c WHERE c.owner_id = :owner AND c.user_id = found.id) AS last_at
        FROM found LEFT JOIN user_addresses a ON a.owner_id = :owner AND a.user_id = found.id
        ORDER BY found.id DESC, a.address
        """,
        words=words,
        named=f"%{_plain(words.lower())}%",
        digits=digits if len(digits) >= _FEWEST_DIGITS else "",
        before=_FAR if before is None else before,
        limit=limit,
    )
    people: dict[int, Person] = {}
    for row in rows:
        known = people.get(row["id"])
        addresses = (*(known.addresses if known else ()), *([row["address"]] if row["address"] is not None else []))
        people[row["id"]] = Person(row["id"], row["public_id"], row["name"], row["created_at"], row["last_at"], addresses)
    return list(people.values())


def _plain(words: str) -> str:
    """Without what LIKE takes for something else."""
    return words.replace("!", "!!").replace("%", "!%").replace("_", "!_")
