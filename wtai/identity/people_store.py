"""SQL of the people who write as staff look at them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from wtai.db.tx import OwnerTx

_FAR: Final = 1 << 62


@dataclass(frozen=True, slots=True)
class Person:
    """An end user with every address they wrote from. Times in ms; ``last_at`` is when a conversation of theirs last changed."""

    id: int
    public_id: str
    name: str | None
    created_at: int
    last_at: int | None
    addresses: tuple[str, ...]


def people_who_write(tx: OwnerTx, *, among: Sequence[int] | None = None, before: int | None = None, limit: int) -> list[Person]:
    """Up to ``limit`` people, the newest first, with a key below ``before``: all, or those with one of the keys ``among``.

    Without an address it is nobody: what stands for people who were erased.
    """
    keys = {f"key_{place}": key for place, key in enumerate(among or ())}
    chosen = f"AND u.id IN ({', '.join(f':{name}' for name in keys)})" if among is not None else ""
    rows = tx.all(
        f"""
        WITH found AS (
            SELECT u.id, u.public_id, u.name, u.created_at FROM users u
            WHERE u.owner_id = :owner AND u.email IS NULL AND u.id < :before {chosen}
                AND EXISTS (SELECT 1 FROM user_addresses s WHERE s.owner_id = :owner AND s.user_id = u.id)
            ORDER BY u.id DESC LIMIT :limit
        )
        SELECT found.id, found.public_id, found.name, found.created_at, a.address,
            (SELECT max(c.updated_at) FROM conversations c WHERE c.owner_id = :owner AND c.user_id = found.id) AS last_at
        FROM found JOIN user_addresses a ON a.owner_id = :owner AND a.user_id = found.id
        ORDER BY found.id DESC, a.address
        """,  # noqa: S608 - what is put in are names of parameters
        before=_FAR if before is None else before,
        limit=limit,
        **keys,
    )
    people: dict[int, Person] = {}
    for row in rows:
        known = people.get(row["id"])
        addresses = (*(known.addresses if known else ()), row["address"])
        people[row["id"]] = Person(row["id"], row["public_id"], row["name"], row["created_at"], row["last_at"], addresses)
    return list(people.values())
