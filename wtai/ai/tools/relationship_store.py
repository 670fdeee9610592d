"""SQL of the people whom a user told of, and of what the user noted about them."""

from dataclasses import dataclass

from wtai.db.tx import OwnerTx, Row
from wtai.ids import public_id

_PERSON = "SELECT id, name, relation, birthday FROM people WHERE owner_id = :owner AND user_id = :user_id"


@dataclass(frozen=True, slots=True)
class Kept:
    """A person as kept. ``birthday`` is YYYY-MM-DD, or --MM-DD where the year is not known."""

    id: int
    name: str
    relation: str | None
    birthday: str | None


@dataclass(frozen=True, slots=True)
class Interaction:
    """Something noted about a person (``note``) or a contact with them (``contact``), on a day (YYYY-MM-DD)."""

    kind: str
    text: str
    happened_on: str


def put_person(
    tx: OwnerTx, user_id: int, name: str, folded: str, *, relation: str | None, birthday: str | None, now: int
) -> Kept:
    """Keep a person, or what is new about the one of the same folded name; None keeps what is known."""
    rows = tx.all(
        """
        INSERT INTO people (owner_id, public_id, user_id, name, folded, relation, birthday, created_at, updated_at)
        VALUES (:owner, :public_id, :user_id, :name, :folded, :relation, :birthday, :now, :now)
        ON CONFLICT (owner_id, user_id, folded) DO UPDATE SET name = excluded.name,
            relation = coalesce(excluded.relation, people.relation), birthday = coalesce(excluded.birthday, people.birthday),
            updated_at = excluded.updated_at
        RETURNING id, name, relation, birthday
        """,
        public_id=public_id("per"),
        user_id=user_id,
        name=name,
        folded=folded,
        relation=relation,
        birthday=birthday,
        now=now,
    )
    return _kept(rows[0])


def person(tx: OwnerTx, user_id: int, folded: str) -> Kept | None:
    """The person of exactly this folded name."""
    row = tx.one(f"{_PERSON} AND folded = :folded", user_id=user_id, folded=folded)
    return _kept(row) if row else None


def people(tx: OwnerTx, user_id: int) -> list[Kept]:
    """Everybody whom the user told of, by name."""
    return [_kept(row) for row in tx.all(f"{_PERSON} ORDER BY folded", user_id=user_id)]


def count_people(tx: OwnerTx, user_id: int) -> int:
    """How many people the user told of."""
    row = tx.one("SELECT count(*) AS n FROM people WHERE owner_id = :owner AND user_id = :user_id", user_id=user_id)
    return int(row["n"]) if row else 0


def insert_interaction(tx: OwnerTx, user_id: int, person_id: int, interaction: Interaction, *, now: int) -> None:
    """Keep a note or a contact."""
    tx.run(
        """
        INSERT INTO interactions (owner_id, public_id, user_id, person_id, kind, text, happened_on, created_at)
        VALUES (:owner, :public_id, :user_id, :person_id, :kind, :text, :happened_on, :now)
        """,
        public_id=public_id("int"),
        user_id=user_id,
        person_id=person_id,
        kind=interaction.kind,
        text=interaction.text,
        happened_on=interaction.happened_on,
        now=now,
    )


def interactions(tx: OwnerTx, user_id: int, person_id: int, *, limit: int) -> list[Interaction]:
    """The latest notes and contacts, the newest first."""
    rows = tx.all(
        """
        SELECT kind, text, happened_on FROM interactions
        WHERE owner_id = :owner AND user_id = :user_id AND person_id = :person_id
        ORDER BY happened_on DESC, id DESC LIMIT :limit
        """,
        user_id=user_id,
        person_id=person_id,
        limit=limit,
    )
    return [Interaction(**dict(row)) for row in rows]


def count_interactions(tx: OwnerTx, user_id: int, person_id: int) -> int:
    """How many notes and contacts there are."""
    row = tx.one(
        "SELECT count(*) AS n FROM interactions WHERE owner_id = :owner AND user_id = :user_id AND person_id = :person_id",
        user_id=user_id,
        person_id=person_id,
    )
    return int(row["n"]) if row else 0


def delete_person(tx: OwnerTx, user_id: int, person_id: int) -> None:
    """Delete a person with all that was noted about them."""
    tx.run(
        "DELETE FROM interactions WHERE owner_id = :owner AND user_id = :user_id AND person_id = :person_id",
        user_id=user_id,
        person_id=person_id,
    )
    tx.run("DELETE FROM people WHERE owner_id = :owner AND user_id = :user_id AND id = :id", user_id=user_id, id=person_id)


def _kept(row: Row) -> Kept:
    return Kept(row["id"], row["name"], row["relation"], row["birthday"])
