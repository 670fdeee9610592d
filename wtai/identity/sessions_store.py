"""SQL of log-ins and their refresh tokens. Tokens are kept as SHA-256 alone: they are random, so no salt is needed."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from wtai.db.tx import OwnerTx, Row, SystemTx
from wtai.errors import NotFound
from wtai.identity.access import Role
from wtai.identity.audit_store import SYSTEM, Actor, audit
from wtai.identity.model import User
from wtai.ids import public_id

_SESSION: Final = """
SELECT s.id, s.public_id, u.public_id AS user, s.address, s.created_at, s.refreshed_at, s.idle_until, s.ends_at,
    s.revoked_at, s.reason
FROM sessions s JOIN users u ON u.owner_id = s.owner_id AND u.id = s.user_id
"""
_STANDING: Final = """
SELECT s.id, s.owner_id, s.public_id AS session, s.user_id, s.idle_until, s.ends_at, s.revoked_at,
    u.public_id AS user, u.role, u.status AS user_status, u.token_version, o.public_id AS owner, o.status AS owner_status
FROM sessions s JOIN users u ON u.owner_id = s.owner_id AND u.id = s.user_id JOIN owners o ON o.id = s.owner_id
"""


@dataclass(frozen=True, slots=True)
class Session:
    """A log-in of a user (by its public id), over at ``idle_until``, at ``ends_at``, or since ``revoked_at``."""

    id: int
    public_id: str
    user: str
    address: str | None
    created_at: int
    refreshed_at: int
    idle_until: int
    ends_at: int
    revoked_at: int | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class Standing:
    """What a session is worth now: whose it is, and what makes it void."""

    id: int
    owner_id: int
    session: str
    user_id: int
    idle_until: int
    ends_at: int
    revoked_at: int | None
    user: str
    role: Role
    user_status: str
    token_version: int
    owner: str
    owner_status: str

    def is_good(self, now: int) -> bool:
        """Whether the session is alive and its user and owner are let in."""
        alive = self.revoked_at is None and now < min(self.idle_until, self.ends_at)
        return alive and self.user_status == "active" and self.owner_status == "active"


class Refusal(StrEnum):
    """Why a refresh token is refused."""

    UNKNOWN = "unknown"
    OVER = "session over"
    REUSED = "used before"


def create_session(
    tx: OwnerTx, user: User, refresh_hash: str, *, address: str | None, idle_until: int, ends_at: int, now: int
) -> str:
    """Begin a session with its first refresh token; returns its public id."""
    public = public_id("ses")
    rows = tx.all(
        """
        INSERT INTO sessions (owner_id, public_id, user_id, address, created_at, refreshed_at, idle_until, ends_at)
        VALUES (:owner, :public, :user_id, :address, :now, :now, :idle_until, :ends_at) RETURNING id
        """,
        public=public,
        user_id=user.id,
        address=address,
        idle_until=idle_until,
        ends_at=ends_at,
        now=now,
    )
    _put_token(tx, rows[0]["id"], refresh_hash, now)
    return public


def create_browser_session(
    tx: OwnerTx, user: User, cookie_hash: str, *, address: str | None, idle_until: int, ends_at: int, now: int
) -> str:
    """Begin a session that a cookie stands for; returns its public id."""
    public = public_id("ses")
    tx.run(
        """
        INSERT INTO sessions (owner_id, public_id, user_id, address, created_at, refreshed_at, idle_until, ends_at, cookie_hash)
        VALUES (:owner, :public, :user_id, :address, :now, :now, :idle_until, :ends_at, :cookie_hash)
        """,
        public=public,
        user_id=user.id,
        address=address,
        idle_until=idle_until,
        ends_at=ends_at,
        cookie_hash=cookie_hash,
        now=now,
    )
    return public


def standing_of_cookie(tx: SystemTx, cookie_hash: str) -> Standing | None:
    """What the session of a browser's cookie is worth; None if there is no such one."""
    return _standing(tx.one(f"{_STANDING} WHERE s.cookie_hash = :hash", hash=cookie_hash))


def keep_alive(tx: OwnerTx, session_id: int, *, idle_until: int, now: int) -> None:
    """Somebody is there: the session idles from now on."""
    tx.run(
        "UPDATE sessions SET refreshed_at = :now, idle_until = :idle_until WHERE owner_id = :owner AND id = :id",
        id=session_id,
        idle_until=idle_until,
        now=now,
    )


def rotate(
    tx: SystemTx, used: str, successor: str, *, address: str | None, idle_until: int, grace_ms: int, now: int
) -> Standing | Refusal:
    """Take a refresh token (by its hash) and put its successor in its place.

    One that was used before ends the whole session: one of the two who had it stole it. Except within ``grace_ms`` of its use and
    while nobody used the successor, which is the same for both: then the same client asks twice, the first answer being lost.
    """
    token = tx.one("SELECT owner_id, session_id, used_at FROM refresh_tokens WHERE hash = :hash", hash=used)
    if token is None:
        return Refusal.UNKNOWN
    standing = _standing(tx.one(f"{_STANDING} WHERE s.id = :id", id=token["session_id"]))
    if standing is None or not standing.is_good(now):
        return Refusal.OVER
    bound = tx.for_owner(standing.owner_id)
    if token["used_at"] is not None:
        if now - token["used_at"] <= grace_ms and _is_unused(bound, successor):
            return standing
        revoke_session(bound, standing.session, reason=Refusal.REUSED, actor=Actor("system", None, address), now=now)
        return Refusal.REUSED
    bound.run("UPDATE refresh_tokens SET used_at = :now WHERE owner_id = :owner AND hash = :hash", hash=used, now=now)
    _put_token(bound, standing.id, successor, now)
    keep_alive(bound, standing.id, idle_until=idle_until, now=now)
    return standing


def standing_of_session(tx: SystemTx, public: str) -> Standing | None:
    """What a session is worth; None if there is no such one."""
    return _standing(tx.one(f"{_STANDING} WHERE s.public_id = :public", public=public))


def session_of_refresh_token(tx: SystemTx, refresh_hash: str) -> Standing | None:
    """The session a refresh token belongs to, used or not."""
    row = tx.one(f"{_STANDING} JOIN refresh_tokens r ON r.session_id = s.id WHERE r.hash = :hash", hash=refresh_hash)
    return _standing(row)


def sessions_of(tx: OwnerTx, user: User, *, now: int) -> list[Session]:
    """The user's sessions that are not over, newest first."""
    rows = tx.all(
        f"""
        {_SESSION} WHERE s.owner_id = :owner AND s.user_id = :user_id AND s.revoked_at IS NULL
            AND s.idle_until > :now AND s.ends_at > :now
        ORDER BY s.id DESC
        """,
        user_id=user.id,
        now=now,
    )
    return [Session(**dict(row)) for row in rows]


def revoke_session(tx: OwnerTx, public: str, *, reason: str, actor: Actor = SYSTEM, now: int) -> None:
    """End a session; one that is over stays as it is. NotFound if the owner has no such one."""
    known = tx.one("SELECT id FROM sessions WHERE owner_id = :owner AND public_id = :public", public=public)
    if known is None:
        raise NotFound(f"no session {public}")
    ended = tx.run(
        """
        UPDATE sessions SET revoked_at = :now, reason = :reason
        WHERE owner_id = :owner AND public_id = :public AND revoked_at IS NULL
        """,
        public=public,
        reason=reason,
        now=now,
    )
    if ended:
        audit(tx, actor, "sessions.delete", public, details=reason, now=now)


def revoke_sessions(tx: OwnerTx, user: User, *, reason: str, except_session: str | None = None, now: int) -> int:
    """End all sessions of a user, but for one; returns how many."""
    return tx.run(
        """
        UPDATE sessions SET revoked_at = :now, reason = :reason
        WHERE owner_id = :owner AND user_id = :user_id AND revoked_at IS NULL AND public_id <> coalesce(:kept, '')
        """,
        user_id=user.id,
        reason=reason,
        kept=except_session,
        now=now,
    )


def prune_sessions(tx: SystemTx, *, before: int, limit: int = 500) -> int:
    """Forget up to ``limit`` sessions that were over ``before`` (ms), with their tokens; returns how many."""
    return tx.run(
        "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE idle_until < :before ORDER BY idle_until LIMIT :limit)",
        before=before,
        limit=limit,
    )


def _is_unused(tx: OwnerTx, refresh_hash: str) -> bool:
    row = tx.one("SELECT used_at FROM refresh_tokens WHERE owner_id = :owner AND hash = :hash", hash=refresh_hash)
    return row is not None and row["used_at"] is None


def _put_token(tx: OwnerTx, session_id: int, refresh_hash: str, now: int) -> None:
    tx.run(
        "INSERT INTO refresh_tokens (hash, owner_id, session_id, created_at) VALUES (:hash, :owner, :session_id, :now)",
        hash=refresh_hash,
        session_id=session_id,
        now=now,
    )


def _standing(row: Row | None) -> Standing | None:
    return None if row is None else Standing(**{**row, "role": Role(row["role"])})
