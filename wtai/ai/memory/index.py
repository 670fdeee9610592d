"""SQL of the search: facts by their words and by their vectors. Every statement names the owner and the person first."""

import json
from collections.abc import Iterable, Mapping
from typing import Final

from wtai.ai.memory.model import Fact
from wtai.db.tx import OwnerTx, Row

NEAREST: Final = 50
"""Candidates of each kind of search."""

_SIEVED: Final = 100
"""Vectors that are compared exactly: the closest by the sum of differences, which costs a third of the exact distance."""


def add_words(tx: OwnerTx, user_id: int, fact_id: int, keys: str) -> None:
    """Let a fact be found by its keys."""
    tx.run("INSERT INTO memory_words (rowid, keys) VALUES (:id, :keys)", id=fact_id, keys=_all_scoped(tx, user_id, keys))


def remove_words(tx: OwnerTx, user_id: int, fact_id: int, keys: str) -> None:
    """Take a fact out of the index. ``keys`` are those it was added with: the index has no copy of them."""
    tx.run(
        "INSERT INTO memory_words (memory_words, rowid, keys) VALUES ('delete', :id, :keys)",
        id=fact_id,
        keys=_all_scoped(tx, user_id, keys),
    )


def frequencies(tx: OwnerTx, user_id: int, keys: Iterable[str]) -> dict[str, int]:
    """In how many of a person's facts each key stands; keys in none are left out."""
    scoped = {_scoped(tx, user_id, key): key for key in keys}
    rows = tx.all(
        "SELECT v.term, v.doc FROM json_each(:terms) t CROSS JOIN memory_vocabulary v ON v.term = t.value",
        terms=json.dumps(list(scoped)),
    )
    return {scoped[row["term"]]: row["doc"] for row in rows}


def with_keys(
    tx: OwnerTx, user_id: int, weights: Mapping[str, float], *, and_key: str | None = None, limit: int = NEAREST
) -> list[int]:
    """The facts of a person in which the keys of most weight stand, only those with ``and_key`` if there is one."""
    also = f' AND "{_scoped(tx, user_id, and_key)}"' if and_key else ""
    wanted = {f'"{_scoped(tx, user_id, key)}"{also}': weight for key, weight in weights.items()}
    rows = tx.all(
        """
        SELECT w.rowid AS id FROM json_each(:wanted) k CROSS JOIN memory_words w ON w.memory_words MATCH k.key
        GROUP BY w.rowid ORDER BY sum(k.value) DESC, w.rowid DESC LIMIT :limit
        """,
        wanted=json.dumps(wanted),
        limit=limit,
    )
    return [row["id"] for row in rows]


def nearest(tx: OwnerTx, user_id: int, model: str, vector: bytes, *, limit: int = NEAREST) -> list[int]:
    """The facts of a person whose vectors of this model are closest to ``vector``."""
    rows = tx.all(
        """
        SELECT memory_id FROM (
            SELECT memory_id, vector FROM memory_vectors
            WHERE owner_id = :owner AND user_id = :user_id AND model = :model AND length(vector) = length(:vector)
            ORDER BY vec_distance_l1(vec_int8(vector), vec_int8(:vector)) LIMIT :sieved
        ) ORDER BY vec_distance_l2(vec_int8(vector), vec_int8(:vector)) LIMIT :limit
        """,
        user_id=user_id,
        model=model,
        vector=vector,
        sieved=_SIEVED,
        limit=limit,
    )
    return [row["memory_id"] for row in rows]


def fetch(tx: OwnerTx, user_id: int, ids: Iterable[int], model: str = "", vector: bytes | None = None) -> list[Fact]:
    """These facts, if they are this person's, each with its similarity to ``vector``."""
    rows = tx.all(
        """
        SELECT m.id, m.public_id, m.text, m.kind, m.entity, m.attribute, m.observed_at, m.superseded_by, m.keys,
            CASE WHEN length(v.vector) = length(:vector)
                THEN 1 - vec_distance_cosine(vec_int8(v.vector), vec_int8(:vector)) END AS similarity
        FROM json_each(:ids) i
        CROSS JOIN memories m ON m.owner_id = :owner AND m.user_id = :user_id AND m.id = i.value
        LEFT JOIN memory_vectors v
            ON v.owner_id = :owner AND v.user_id = :user_id AND v.memory_id = m.id AND v.model = :model
        """,
        user_id=user_id,
        ids=json.dumps(list(ids)),
        model=model,
        vector=vector,
    )
    return [_fact(row) for row in rows]


def put_vector(tx: OwnerTx, user_id: int, fact: Fact, model: str, vector: bytes) -> None:
    """Keep a fact's vector, unless the fact has gone since it was read."""
    tx.run(
        """
        INSERT INTO memory_vectors (owner_id, user_id, memory_id, model, vector)
        SELECT owner_id, user_id, id, :model, :vector FROM memories
        WHERE owner_id = :owner AND user_id = :user_id AND id = :id
        ON CONFLICT (owner_id, user_id, memory_id) DO UPDATE SET model = excluded.model, vector = excluded.vector
        """,
        user_id=user_id,
        id=fact.id,
        model=model,
        vector=vector,
    )


def remove_vector(tx: OwnerTx, user_id: int, fact_id: int) -> None:
    """Delete a fact's vector."""
    tx.run(
        "DELETE FROM memory_vectors WHERE owner_id = :owner AND user_id = :user_id AND memory_id = :id",
        user_id=user_id,
        id=fact_id,
    )


def without_vector(tx: OwnerTx, user_id: int, model: str, *, limit: int) -> list[int]:
    """Facts of a person that have no vector of this model, oldest first."""
    rows = tx.all(
        """
        SELECT id FROM memories m
        WHERE owner_id = :owner AND user_id = :user_id AND NOT EXISTS (
            SELECT 1 FROM memory_vectors v
            WHERE v.owner_id = :owner AND v.user_id = :user_id AND v.memory_id = m.id AND v.model = :model
        )
        ORDER BY id LIMIT :limit
        """,
        user_id=user_id,
        model=model,
        limit=limit,
    )
    return [row["id"] for row in rows]


def _all_scoped(tx: OwnerTx, user_id: int, keys: str) -> str:
    return " ".join(_scoped(tx, user_id, key) for key in keys.split())


def _scoped(tx: OwnerTx, user_id: int, key: str) -> str:
    """The key as the index knows it: of this owner's person, and of no one else. Letters and digits alone."""
    return f"{tx.owner_id}z{user_id}z{key}"


def _fact(row: Row) -> Fact:
    return Fact(**dict(row))
