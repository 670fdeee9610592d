"""SQL of facts: kept, superseded, found by what names them, deleted. Every statement names the owner and the person first."""

from typing import Final

from wtai.ai.memory.index import add_words, remove_vector, remove_words
from wtai.ai.memory.model import Fact, NewFact
from wtai.db.tx import OwnerTx, Row
from wtai.ids import public_id

_SELECT: Final = """
SELECT m.id, m.public_id, m.text, m.kind, m.entity, m.attribute, m.observed_at, m.superseded_by, m.keys FROM memories m
"""


def insert(tx: OwnerTx, user_id: int, new: NewFact, *, now: int) -> Fact | None:
    """Keep a fact and its words; None if the same text is kept already."""
    rows = tx.all(
        """
        INSERT INTO memories (owner_id, public_id, user_id, text, kind, entity, attribute, observed_at, source_message_id,
            text_hash, keys, keys_version, created_at)
        VALUES (:owner, :public_id, :user_id, :text, :kind, :entity, :attribute, :observed_at, :source, :text_hash, :keys,
            :version, :now)
        ON CONFLICT (owner_id, user_id, text_hash) DO NOTHING
        RETURNING id, public_id, text, kind, entity, attribute, observed_at, superseded_by, keys
        """,
        public_id=public_id("mem"),
        user_id=user_id,
        text=new.text,
        kind=new.kind,
        entity=new.entity,
        attribute=new.attribute,
        observed_at=new.observed_at,
        source=new.source_message_id,
        text_hash=new.text_hash,
        keys=new.keys,
        version=new.keys_version,
        now=now,
    )
    if not rows:
        return None
    fact = _fact(rows[0])
    add_words(tx, user_id, fact.id, fact.keys)
    return fact


def delete(tx: OwnerTx, user_id: int, fact: Fact) -> None:
    """Remove a fact with its words and its vector. Those it had superseded stand alone again."""
    remove_vector(tx, user_id, fact.id)
    remove_words(tx, user_id, fact.id, fact.keys)
    tx.run(
        "UPDATE memories SET superseded_by = NULL WHERE owner_id = :owner AND user_id = :user_id AND superseded_by = :id",
        user_id=user_id,
        id=fact.id,
    )
    tx.run("DELETE FROM memories WHERE owner_id = :owner AND user_id = :user_id AND id = :id", user_id=user_id, id=fact.id)


def reword(tx: OwnerTx, user_id: int, fact: Fact, keys: str, version: int) -> None:
    """Give a fact new keys."""
    remove_words(tx, user_id, fact.id, fact.keys)
    add_words(tx, user_id, fact.id, keys)
    tx.run(
        """
        UPDATE memories SET keys = :keys, keys_version = :version WHERE owner_id = :owner AND user_id = :user_id AND id = :id
        """,
        user_id=user_id,
        id=fact.id,
        keys=keys,
        version=version,
    )


def supersede(tx: OwnerTx, user_id: int, older: int, newer: int | None) -> None:
    """The fact ``older`` holds no longer: ``newer`` does. None: it holds."""
    tx.run(
        "UPDATE memories SET superseded_by = :newer WHERE owner_id = :owner AND user_id = :user_id AND id = :older",
        user_id=user_id,
        older=older,
        newer=newer,
    )


def seen_again(tx: OwnerTx, user_id: int, fact_id: int, observed_at: int) -> None:
    """The fact was told again: it is at least as new as that."""
    tx.run(
        """
        UPDATE memories SET observed_at = max(observed_at, :at) WHERE owner_id = :owner AND user_id = :user_id AND id = :id
        """,
        user_id=user_id,
        id=fact_id,
        at=observed_at,
    )


def by_public_id(tx: OwnerTx, user_id: int, public: str) -> Fact | None:
    """One fact of this person."""
    row = tx.one(
        f"{_SELECT} WHERE m.owner_id = :owner AND m.user_id = :user_id AND m.public_id = :public", user_id=user_id, public=public
    )
    return _fact(row) if row else None


def by_hash(tx: OwnerTx, user_id: int, text_hash: str) -> Fact | None:
    """The fact of this person with the same text."""
    row = tx.one(
        f"{_SELECT} WHERE m.owner_id = :owner AND m.user_id = :user_id AND m.text_hash = :hash", user_id=user_id, hash=text_hash
    )
    return _fact(row) if row else None


def about(tx: OwnerTx, user_id: int, entity: str, attribute: str) -> list[Fact]:
    """What is kept of one attribute of one entity and not superseded."""
    rows = tx.all(
        f"""{_SELECT} WHERE m.owner_id = :owner AND m.user_id = :user_id AND m.entity = :entity AND m.attribute = :attribute
            AND m.superseded_by IS NULL""",
        user_id=user_id,
        entity=entity,
        attribute=attribute,
    )
    return [_fact(row) for row in rows]


def versions_before(tx: OwnerTx, user_id: int, fact_id: int) -> list[Fact]:
    """The facts that this one superseded, and those that they had."""
    rows = tx.all(
        f"""
        WITH RECURSIVE older (id) AS (
            SELECT id FROM memories WHERE owner_id = :owner AND user_id = :user_id AND superseded_by = :id
            UNION
            SELECT m.id FROM older JOIN memories m
                ON m.owner_id = :owner AND m.user_id = :user_id AND m.superseded_by = older.id
        )
        {_SELECT} WHERE m.owner_id = :owner AND m.user_id = :user_id AND m.id IN (SELECT id FROM older) AND m.id <> :id
        """,  # noqa: S608 - constants only
        user_id=user_id,
        id=fact_id,
    )
    return [_fact(row) for row in rows]


def holds_instead(tx: OwnerTx, user_id: int, fact_id: int) -> Fact | None:
    """The end of the chain of what superseded this fact; None if nothing did."""
    row = tx.one(
        f"""
        WITH RECURSIVE newer (id) AS (
            SELECT superseded_by FROM memories WHERE owner_id = :owner AND user_id = :user_id AND id = :id
            UNION
            SELECT m.superseded_by FROM newer JOIN memories m
                ON m.owner_id = :owner AND m.user_id = :user_id AND m.id = newer.id
        )
        {_SELECT} WHERE m.owner_id = :owner AND m.user_id = :user_id AND m.id IN (SELECT id FROM newer)
            AND m.superseded_by IS NULL
        """,  # noqa: S608 - constants only
        user_id=user_id,
        id=fact_id,
    )
    return _fact(row) if row else None


def newest(tx: OwnerTx, user_id: int, *, limit: int) -> list[Fact]:
    """What is kept of a person, newest first."""
    rows = tx.all(
        f"{_SELECT} WHERE m.owner_id = :owner AND m.user_id = :user_id ORDER BY m.observed_at DESC, m.id DESC LIMIT :limit",
        user_id=user_id,
        limit=limit,
    )
    return [_fact(row) for row in rows]


def count(tx: OwnerTx, user_id: int) -> int:
    """How many facts are kept of a person."""
    row = tx.one("SELECT count(*) AS n FROM memories WHERE owner_id = :owner AND user_id = :user_id", user_id=user_id)
    return int(row["n"]) if row else 0


def is_any(tx: OwnerTx, user_id: int) -> bool:
    """Whether anything is kept of a person."""
    return tx.one("SELECT 1 FROM memories WHERE owner_id = :owner AND user_id = :user_id LIMIT 1", user_id=user_id) is not None


def of_another_version(tx: OwnerTx, user_id: int, version: int, *, limit: int) -> list[Fact]:
    """Facts of a person whose keys were made by another version."""
    rows = tx.all(
        f"""{_SELECT} WHERE m.owner_id = :owner AND m.user_id = :user_id AND m.keys_version <> :version
        ORDER BY m.id LIMIT :limit""",
        user_id=user_id,
        version=version,
        limit=limit,
    )
    return [_fact(row) for row in rows]


def people(tx: OwnerTx) -> list[int]:
    """Ids of the people of whom something is kept, in order."""
    rows = tx.all(
        """
        SELECT id FROM users WHERE owner_id = :owner
            AND EXISTS (SELECT 1 FROM memories m WHERE m.owner_id = :owner AND m.user_id = users.id)
        ORDER BY id
        """
    )
    return [row["id"] for row in rows]


def _fact(row: Row) -> Fact:
    return Fact(**dict(row))
