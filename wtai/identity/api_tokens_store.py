"""SQL of API tokens: hashed, found by their hash, listed by their visible prefix."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from wtai.clock import MINUTE
from wtai.db.tx import OwnerTx, Row, SystemTx
from wtai.errors import NotFound
from wtai.identity.access import Role
from wtai.identity.model import User
from wtai.ids import public_id

_SELECT: Final = """
SELECT t.id, t.owner_id, t.public_id, t.name, t.prefix, t.role, t.scopes, t.user_id, u.public_id AS made_by, t.created_at,
    t.expires_at, t.last_used_at, t.revoked_at, o.status AS owner_status
FROM api_tokens t JOIN owners o ON o.id = t.owner_id LEFT JOIN users u ON u.owner_id = t.owner_id AND u.id = t.user_id
"""


@dataclass(frozen=True, slots=True)
class ApiToken:
    """A token by what may be shown of it. ``made_by`` is a user's public id, None for the operator; times in ms."""

    id: int
    owner_id: int
    public_id: str
    name: str
    prefix: str
    role: Role
    scopes: tuple[str, ...]
    user_id: int | None
    made_by: str | None
    created_at: int
    expires_at: int | None
    last_used_at: int | None
    revoked_at: int | None
    owner_status: str

    def is_good(self, now: int) -> bool:
        """Whether it is in force."""
        return self.revoked_at is None and self.owner_status == "active" and (self.expires_at is None or now < self.expires_at)


def put_api_token(
    tx: OwnerTx,
    name: str,
    prefix: str,
    token_hash: str,
    role: Role,
    scopes: Sequence[str],
    *,
    user_id: int | None,
    expires_at: int | None,
    now: int,
) -> ApiToken:
    """Keep a new token."""
    public = public_id("tok")
    tx.run(
        """
        INSERT INTO api_tokens (owner_id, public_id, name, prefix, hash, role, scopes, user_id, created_at, expires_at)
        VALUES (:owner, :public, :name, :prefix, :hash, :role, :scopes, :user_id, :now, :expires_at)
        """,
        public=public,
        name=name,
        prefix=prefix,
        hash=token_hash,
        role=role,
        scopes=json.dumps(list(scopes)),
        user_id=user_id,
        expires_at=expires_at,
        now=now,
    )
    return api_token(tx, public)


def api_token(tx: OwnerTx, public: str) -> ApiToken:
    """NotFound if the owner has no such token."""
    row = tx.one(f"{_SELECT} WHERE t.owner_id = :owner AND t.public_id = :public", public=public)
    if row is None:
        raise NotFound(f"no API token {public}")
    return _token(row)


def api_tokens(tx: OwnerTx, *, after: int = 0, limit: int = -1) -> list[ApiToken]:
    """The owner's tokens, oldest first: up to ``limit`` (all, below zero) with a key above ``after``."""
    rows = tx.all(f"{_SELECT} WHERE t.owner_id = :owner AND t.id > :after ORDER BY t.id LIMIT :limit", after=after, limit=limit)
    return [_token(row) for row in rows]


def api_token_of_hash(tx: SystemTx, token_hash: str) -> ApiToken | None:
    """The token with this hash, whoever's it is, in force or not."""
    row = tx.one(f"{_SELECT} WHERE t.hash = :hash", hash=token_hash)
    return _token(row) if row else None


def revoke_api_token(tx: OwnerTx, public: str, *, now: int) -> ApiToken:
    """End a token; one that is revoked stays as it is. NotFound."""
    tx.run(
        """
        UPDATE api_tokens SET revoked_at = :now WHERE owner_id = :owner AND public_id = :public AND revoked_at IS NULL
        """,
        public=public,
        now=now,
    )
    return api_token(tx, public)


def revoke_api_tokens_of(tx: OwnerTx, user: User, *, now: int) -> int:
    """End all tokens that a user made; returns how many."""
    return tx.run(
        "UPDATE api_tokens SET revoked_at = :now WHERE owner_id = :owner AND user_id = :user_id AND revoked_at IS NULL",
        user_id=user.id,
        now=now,
    )


def note_use(tx: SystemTx, token: ApiToken, *, now: int) -> None:
    """Remember that the token was used; at most once a minute it is worth a write."""
    tx.for_owner(token.owner_id).run(
        """
        UPDATE api_tokens SET last_used_at = :now
        WHERE owner_id = :owner AND id = :id AND (last_used_at IS NULL OR last_used_at <= :a_minute_ago)
        """,
        id=token.id,
        a_minute_ago=now - MINUTE,
        now=now,
    )


def _token(row: Row) -> ApiToken:
    return ApiToken(**{**row, "role": Role(row["role"]), "scopes": tuple(json.loads(row["scopes"]))})
