"""Log-ins: a password gives a session, a session gives short access tokens against a refresh token that changes with each use."""

import hmac
import secrets
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from typing import Final

import structlog

from wtai.clock import DAY, MINUTE, SECOND, Clock
from wtai.db.tx import Database, OwnerTx, SystemTx
from wtai.errors import WtaiError
from wtai.identity import sessions_store, users_store
from wtai.identity.access import Principal, TokenRefused
from wtai.identity.access_tokens import AccessTokens, Subject
from wtai.identity.api_tokens import PREFIX, ApiTokens
from wtai.identity.audit_store import Actor, audit
from wtai.identity.model import Account
from wtai.identity.passwords import Passwords
from wtai.identity.sessions_store import Refusal, Standing
from wtai.identity.throttle import Throttle
from wtai.secrets import Sealer
from wtai.settings import Security

log = structlog.get_logger(__name__)

GRACE_MS: Final = 10 * SECOND
"""How long the same refresh token is answered again, with the same successor: a client whose answer was lost asks twice."""

_IDLE_STEP_MS: Final = 5 * MINUTE
"""A browser's session is written to no more often than this, however often its pages ask."""

_PURPOSE: Final = "refresh tokens"
_MAX_REFRESH_LENGTH: Final = 128


class LoginRefused(WtaiError):
    """Address or password are wrong, or the account is shut; which of them is not told."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a client gets; times in ms."""

    access: str = field(repr=False)
    refresh: str = field(repr=False)
    access_lifetime_ms: int
    session: str


class Sessions:
    """Everything about log-ins that needs a clock, a key or a thread.

    ``idle_days`` without a refresh end a session, ``days`` end any.
    """

    def __init__(
        self,
        database: Database,
        sealer: Sealer,
        passwords: Passwords,
        clock: Clock,
        *,
        access_lifetime_ms: int,
        idle_days: int,
        days: int,
    ) -> None:
        self._database = database
        self._sealer = sealer
        self._passwords = passwords
        self._clock = clock
        self._access_tokens = AccessTokens(sealer, clock, lifetime_ms=access_lifetime_ms)
        self._api_tokens = ApiTokens(database, clock)
        self._throttle = Throttle()
        self._idle_ms = idle_days * DAY
        self._longest_ms = days * DAY

    @classmethod
    def of(cls, security: Security, database: Database, sealer: Sealer, clock: Clock) -> "Sessions":
        """With the lifetimes and the costs of the settings."""
        return cls(
            database,
            sealer,
            Passwords.of(security),
            clock,
            access_lifetime_ms=security.access_token_minutes * MINUTE,
            idle_days=security.session_idle_days,
            days=security.session_days,
        )

    async def log_in(self, email: str, password: str, *, owner: str | None = None, address: str | None) -> Tokens:
        """Begin a session. ``owner`` (public id) tells apart accounts of one e-mail address at several owners.

        LoginRefused, Throttled, PasswordsBusy. An unknown account takes the same time as a wrong password.
        """
        account, rehashed = await self._authenticated(email, password, owner, address)
        refresh = _text(secrets.token_bytes(32))
        session = await self._database.write(account.user.owner_id, self._begin, account, rehashed, refresh, address)
        access = self._access_tokens.issue(
            Subject(account.user.public_id, session, account.owner_public_id, account.user.role, account.user.token_version)
        )
        return Tokens(access, refresh, self._access_tokens.lifetime_ms, session)

    async def log_in_browser(self, email: str, password: str, *, owner: str | None = None, address: str | None) -> str:
        """Begin a session for a browser; returns what its cookie is to hold. Refuses as :meth:`log_in` does."""
        account, rehashed = await self._authenticated(email, password, owner, address)
        cookie = _text(secrets.token_bytes(32))
        begin = partial(self._begin, browser=True)
        await self._database.write(account.user.owner_id, begin, account, rehashed, cookie, address)
        return cookie

    async def of_cookie(self, cookie: str, *, keep: bool = True) -> Principal | None:
        """Who a browser's cookie stands for; None if its session is over. With ``keep`` it idles from now on."""
        now = self._clock.now()
        found = await self._database.system_read(sessions_store.standing_of_cookie, _hash(cookie))
        if found is None or not found.is_good(now):
            return None
        if keep and found.idle_until < now + self._idle_ms - _IDLE_STEP_MS:
            await self._database.write(
                found.owner_id, sessions_store.keep_alive, found.id, idle_until=now + self._idle_ms, now=now
            )
        return Principal("user", found.user, found.owner_id, found.role, found.user_id, session=found.session)

    async def _authenticated(
        self, email: str, password: str, owner: str | None, address: str | None
    ) -> tuple[Account, str | None]:
        """Whose e-mail address and password these are, and the hash by which to replace an old one."""
        name, source = users_store.folded(email)[: users_store.MAX_EMAIL], address or "unknown"
        self._throttle.attempt(name, source, now=self._clock.now())
        # what is not printable is nobody's, and some of it is no text for a database
        could_be = email.isprintable() and (owner or "").isprintable()
        account = await self._database.system_read(users_store.account_of_login, email, owner) if could_be else None
        checked = await self._passwords.check(account.password_hash if account else None, password)
        if account is None or not checked.right or not account.is_active:
            await self._note_failure(account, address)
            raise LoginRefused("e-mail address or password are wrong")
        self._throttle.succeeded(name, source)
        return account, checked.rehashed

    async def refresh(self, refresh_token: str, *, address: str | None) -> Tokens:
        """The next access token and refresh token of a session. TokenRefused.

        A refresh token that comes a second time ends its session, for whoever has it, unless its own successor is still unused
        and :data:`GRACE_MS` are not over: then the answer is the same successor again.
        """
        successor = self._successor(refresh_token)
        now = self._clock.now()
        found = await self._database.system_write(
            sessions_store.rotate,
            _hash(refresh_token),
            _hash(successor),
            address=address,
            idle_until=now + self._idle_ms,
            grace_ms=GRACE_MS,
            now=now,
        )
        match found:
            case Standing():
                access = self._access_tokens.issue(
                    Subject(found.user, found.session, found.owner, found.role, found.token_version)
                )
                return Tokens(access, successor, self._access_tokens.lifetime_ms, found.session)
            case Refusal():
                if found is Refusal.REUSED:
                    log.warning("session.refresh_token_reused", address=address)
                raise TokenRefused(f"refresh token: {found}")

    async def log_out(self, refresh_token: str, *, address: str | None) -> None:
        """End the session of a refresh token, known or not, used or not (RFC 7009)."""
        standing = await self._database.system_read(sessions_store.session_of_refresh_token, _hash(refresh_token))
        if standing is None or standing.revoked_at is not None:
            return
        await self._database.write(
            standing.owner_id,
            sessions_store.revoke_session,
            standing.session,
            reason="logged out",
            actor=Actor("user", standing.user, address),
            now=self._clock.now(),
        )

    async def principal(self, bearer: str) -> Principal:
        """Who presents this access token or API token. TokenRefused if it is void: asked of the database each time."""
        if bearer.startswith(PREFIX):
            return await self._api_tokens.principal(bearer)
        claims = self._access_tokens.verify(bearer)
        found = await self._database.system_read(sessions_store.standing_of_session, claims.sid)
        if found is None or not found.is_good(self._clock.now()):
            raise TokenRefused(f"the session {claims.sid} is over, or its user or owner are shut out")
        if (found.user, found.owner, found.token_version) != (claims.sub, claims.own, claims.tv):
            raise TokenRefused(f"the user of session {claims.sid} has changed since the access token was issued")
        return Principal("user", found.user, found.owner_id, found.role, found.user_id, session=found.session)

    async def check_own_password(self, principal: Principal, password: str) -> bool:
        """Whether this is the principal's password: asked before a password is changed. Throttled, PasswordsBusy."""

        def read(tx: OwnerTx) -> str:
            return users_store.password_hash_of(tx, users_store.user_of_public_id(tx, principal.id))

        self._throttle.attempt(principal.id, principal.id, now=self._clock.now())
        checked = await self._passwords.check(await self._database.read(principal.owner_id, read), password)
        if checked.right:
            self._throttle.succeeded(principal.id, principal.id)
        return checked.right

    def _begin(
        self, tx: OwnerTx, account: Account, rehashed: str | None, secret: str, address: str | None, *, browser: bool = False
    ) -> str:
        now = self._clock.now()
        if users_store.password_hash_of(tx, account.user) != account.password_hash:
            raise LoginRefused("the password was changed while it was checked")
        create = sessions_store.create_browser_session if browser else sessions_store.create_session
        session = create(
            tx,
            account.user,
            _hash(secret),
            address=address,
            idle_until=now + self._idle_ms,
            ends_at=now + self._longest_ms,
            now=now,
        )
        if rehashed is not None:
            users_store.rehash(tx, account.user, account.password_hash, rehashed)
        audit(tx, Actor("user", account.user.public_id, address), "sessions.create", session, now=now)
        return session

    async def _note_failure(self, account: Account | None, address: str | None) -> None:
        log.info("login.refused", user=account.user.public_id if account else None, address=address)
        if account is None:
            return
        user = account.user

        def note(tx: SystemTx) -> None:
            actor = Actor("user", user.public_id, address)
            bound = tx.for_owner(user.owner_id)
            audit(bound, actor, "sessions.create", user.public_id, outcome="refused", now=self._clock.now())

        # relaxed, so that the disk's time does not tell that there is such an account
        await self._database.system_write_relaxed(note)

    def _successor(self, refresh_token: str) -> str:
        """The token that follows: the same whenever it is asked for, and unknown to who lacks the key or the token."""
        if len(refresh_token) > _MAX_REFRESH_LENGTH or not refresh_token.isascii():
            raise TokenRefused("not the form of a refresh token")
        key = next(iter(self._sealer.derived(_PURPOSE).values()))
        return _text(hmac.digest(key, refresh_token.encode(), "sha256"))


def _text(secret: bytes) -> str:
    return urlsafe_b64encode(secret).decode().rstrip("=")


def _hash(token: str) -> str:
    return sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
