"""How owners and those who may log in come to be, each in one transaction with what belongs to it and its line in the audit log.

No step of a registration is outside of the database: nothing is called, so nothing needs to be compensated.
"""

from dataclasses import dataclass
from typing import Literal

from wtai.db.tx import PLATFORM, OwnerTx, SystemTx
from wtai.identity import store, users_store
from wtai.identity.access import Role
from wtai.identity.api_tokens_store import revoke_api_tokens_of
from wtai.identity.audit_store import Actor, audit
from wtai.identity.model import Owner, User
from wtai.identity.plans import Subscription
from wtai.identity.plans_store import DEFAULT_PLAN, subscription
from wtai.identity.quota import require_room_for_user
from wtai.identity.sessions_store import revoke_sessions


@dataclass(frozen=True, slots=True)
class Admin:
    """The first administrator of an owner; the password is hashed already."""

    email: str
    password_hash: str
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Registered:
    """A new owner; ``admin`` is None where the operator made none yet."""

    owner: Owner
    subscription: Subscription
    admin: User | None


def register(
    tx: SystemTx, name: str, locale: str, *, plan: str = DEFAULT_PLAN, admin: Admin | None, actor: Actor, now: int
) -> Registered:
    """A new owner with its subscription and first administrator: all of it or nothing. NotFound if there is no such plan."""
    owner = store.create_owner(tx, name, locale, plan=plan, now=now)
    bound = tx.for_owner(owner.id)
    audit(bound, actor, "owners.create", owner.public_id, now=now)
    made = None
    if admin is not None:
        made = add_user(bound, Role.ADMIN, admin.name, admin.email, admin.password_hash, actor=actor, now=now)
    return Registered(owner, subscription(bound, now=now), made)


def add_user(tx: OwnerTx, role: Role, name: str | None, email: str, password_hash: str, *, actor: Actor, now: int) -> User:
    """Someone who may log in. EmailTaken; QuotaReached if the plan has no room. The platform's people belong to no plan."""
    if tx.owner_id != PLATFORM:
        require_room_for_user(tx)
    user = users_store.create_user(tx, role, name, email, password_hash, now=now)
    audit(tx, actor, "users.create", user.public_id, details=role, now=now)
    return user


def give_role(tx: OwnerTx, user: User, role: Role, *, version: int | None = None, actor: Actor, now: int) -> User:
    """Change what a user is; its sessions go on with the new role after a refresh, the API tokens it made end.

    LastAdmin, StaleVersion.
    """
    changed = users_store.set_role(tx, user, role, version=version, now=now)
    revoke_api_tokens_of(tx, user, now=now)
    audit(tx, actor, "users.update", user.public_id, details=f"role {role}", now=now)
    return changed


def give_password(
    tx: OwnerTx,
    user: User,
    password_hash: str,
    *,
    kept_session: str | None = None,
    version: int | None = None,
    actor: Actor,
    now: int,
) -> User:
    """Change a password: all sessions of the user end, but for the one it is changed in. StaleVersion."""
    changed = users_store.set_password_hash(tx, user, password_hash, version=version, now=now)
    revoke_sessions(tx, user, reason="password changed", except_session=kept_session, now=now)
    audit(tx, actor, "users.update", user.public_id, details="password", now=now)
    return changed


def let(
    tx: OwnerTx,
    user: User,
    status: Literal["active", "disabled"],
    *,
    version: int | None = None,
    actor: Actor,
    now: int,
) -> User:
    """Let a user in, or shut it out: its sessions and the API tokens it made end. LastAdmin, StaleVersion, QuotaReached."""
    if status == "active" and user.status != "active" and tx.owner_id != PLATFORM:
        require_room_for_user(tx)
    changed = users_store.set_user_status(tx, user, status, version=version, now=now)
    if status == "disabled":
        revoke_sessions(tx, user, reason="user disabled", now=now)
        revoke_api_tokens_of(tx, user, now=now)
    audit(tx, actor, "users.update", user.public_id, details=status, now=now)
    return changed


def let_owner(tx: OwnerTx, status: Literal["active", "disabled"], *, version: int | None = None, actor: Actor, now: int) -> Owner:
    """Let an owner in, or shut it out: its webhooks, log-ins and tokens count for nothing while it is. StaleVersion."""
    changed = store.set_owner_status(tx, status, version=version)
    audit(tx, actor, "owners.disable", changed.public_id, details=status, now=now)
    return changed
