"""API tokens: ``wtai_<8 hexadecimal digits, shown>_<256 bits, shown once>``, kept as a hash, confined to their scopes."""

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from wtai.clock import MINUTE, Clock
from wtai.db.tx import Database, OwnerTx
from wtai.identity.access import Principal, Role, TokenRefused, actions_of, check_grant, check_scopes
from wtai.identity.api_tokens_store import ApiToken, api_token_of_hash, note_use, put_api_token, revoke_api_token
from wtai.identity.audit_store import OPERATOR, Actor, audit

PREFIX: Final = "wtai_"

_TOKEN: Final = re.compile(r"wtai_[0-9a-f]{8}_[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Issued:
    """A new token with its ``text``: to be shown once, it is not told again."""

    token: ApiToken
    text: str = field(repr=False)


def issue_api_token(
    tx: OwnerTx,
    name: str,
    role: Role,
    scopes: Sequence[str],
    *,
    maker: Principal | None,
    address: str | None = None,
    expires_at: int | None = None,
    now: int,
) -> Issued:
    """Make a token; ``maker`` None is the operator, at the machine. UnknownScope if a scope is unknown or too much."""
    if maker is None:
        check_scopes(role, scopes)
    else:
        check_grant(maker, role, scopes)
    prefix = secrets.token_hex(4)
    text = f"{PREFIX}{prefix}_{secrets.token_hex(32)}"
    user_id = maker.user_id if maker else None
    token = put_api_token(
        tx, name, f"{PREFIX}{prefix}", _hash(text), role, scopes, user_id=user_id, expires_at=expires_at, now=now
    )
    actor = Actor.of(maker, address) if maker else OPERATOR
    audit(tx, actor, "api_tokens.create", token.public_id, now=now)
    return Issued(token, text)


def end_api_token(tx: OwnerTx, public: str, actor: Actor, *, now: int) -> ApiToken:
    """Revoke a token, and note who did. NotFound."""
    token = revoke_api_token(tx, public, now=now)
    audit(tx, actor, "api_tokens.delete", public, now=now)
    return token


class ApiTokens:
    """Tells whose a token is."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def principal(self, text: str) -> Principal:
        """Who presents this token. TokenRefused if it is none, revoked, expired, or its owner is disabled."""
        if not _TOKEN.fullmatch(text):
            raise TokenRefused("not the form of an API token")
        token = await self._database.system_read(api_token_of_hash, _hash(text))
        now = self._clock.now()
        if token is None:
            raise TokenRefused("an API token that is not known")
        if not token.is_good(now):
            raise TokenRefused(f"API token {token.public_id} is revoked, expired, or of a disabled owner")
        if token.last_used_at is None or token.last_used_at <= now - MINUTE:
            await self._database.system_write_relaxed(note_use, token, now=now)
        scopes = actions_of(token.scopes)
        return Principal("token", token.public_id, token.owner_id, token.role, token.user_id, scopes=scopes)


def _hash(text: str) -> str:
    return sha256(text.encode()).hexdigest()
