"""The first administrator: let in by a link that is good once, and only while there is none."""

import hmac
import secrets
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from wtai.clock import MINUTE, Clock
from wtai.db.tx import SystemTx
from wtai.errors import WtaiError
from wtai.identity.access import Role
from wtai.identity.audit_store import Actor
from wtai.identity.model import Owner
from wtai.identity.registration import Admin, add_user, register
from wtai.identity.store import owners
from wtai.identity.users_store import has_admin

LIFETIME_MS: Final = 30 * MINUTE


class AlreadySetUp(WtaiError):
    """There is an administrator."""


class SetUpLink:
    """The secret of the link, of which only a hash is kept, in memory: another start has another link."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._hash = b""
        self._until = 0

    def issue(self) -> str:
        """A fresh secret; one from before is good no more."""
        token = secrets.token_urlsafe(32)
        self._hash, self._until = _hashed(token), self._clock.now() + LIFETIME_MS
        return token

    def is_good(self, token: str) -> bool:
        """Whether this is the secret, and still good."""
        return self._clock.now() < self._until and hmac.compare_digest(_hashed(token), self._hash)

    def spend(self) -> None:
        """The link is good no more."""
        self._until = 0


@dataclass(frozen=True, slots=True)
class Business:
    """What an owner is to be called, and the language of its customers."""

    name: str
    locale: str


def waiting_owner(tx: SystemTx) -> Owner | None:
    """The owner that the first administrator is for; None if there is none yet, or more than one."""
    found = [owner for owner in owners(tx) if owner.status == "active"]
    return found[0] if len(found) == 1 else None


def set_up(tx: SystemTx, business: Business, admin: Admin, *, actor: Actor, now: int) -> Owner:
    """Make the first administrator, and the first owner if it is not there: all of it or nothing. AlreadySetUp, EmailTaken,
    QuotaReached.

    Looking and making are one transaction, and there is one writer: of two who hold the link, one is the administrator.
    """
    if has_admin(tx):
        raise AlreadySetUp("there is an administrator already")
    owner = waiting_owner(tx)
    if owner is None:
        return register(tx, business.name, business.locale, admin=admin, actor=actor, now=now).owner
    add_user(tx.for_owner(owner.id), Role.ADMIN, admin.name, admin.email, admin.password_hash, actor=actor, now=now)
    return owner


def _hashed(token: str) -> bytes:
    return sha256(token.encode("utf-8", "surrogatepass")).digest()
