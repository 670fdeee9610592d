"""Access tokens: JSON Web Tokens (RFC 7519, profile of RFC 9068) with one algorithm, HS256, and every claim required.

The key comes from the master key and is named by its id, so that a rotation of the master key does not log everybody out. Header
fields that choose a key or an extension (``jku``, ``jwk``, ``x5u``, ``crit``, …) are refused, not ignored.
"""

import secrets
from dataclasses import dataclass
from typing import Any, Final

import jwt
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from wtai.clock import MINUTE, SECOND, Clock
from wtai.identity.access import Role, TokenRefused
from wtai.secrets import Sealer

ISSUER: Final = "wtai"
AUDIENCE: Final = "wtai-api"
MAX_LIFETIME_MS: Final = 15 * MINUTE
LEEWAY_SECONDS: Final = 5

_ALGORITHM: Final = "HS256"
_TYPE: Final = "at+jwt"
_PURPOSE: Final = "access tokens"
_MAX_LENGTH: Final = 1_024
_MAX_HEADER: Final = 256
_HEADER: Final = {"alg", "kid", "typ"}


class Claims(BaseModel):
    """What a token says: ``sub`` the user, ``sid`` the session, ``own`` the owner (public ids), ``rol`` the role, ``tv`` the
    user's token version. Times are seconds since 1970.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    iss: str
    aud: str
    sub: str = Field(max_length=64)
    sid: str = Field(max_length=64)
    own: str = Field(max_length=64)
    rol: Role = Field(strict=False)
    tv: int
    jti: str = Field(max_length=64)
    iat: int
    nbf: int
    exp: int


@dataclass(frozen=True, slots=True)
class Subject:
    """For whom a token is issued; public ids."""

    user: str
    session: str
    owner: str
    role: Role
    token_version: int


class AccessTokens:
    """Issues and verifies tokens that live for ``lifetime_ms``, 15 minutes at most."""

    def __init__(self, sealer: Sealer, clock: Clock, *, lifetime_ms: int = MAX_LIFETIME_MS) -> None:
        if not 0 < lifetime_ms <= MAX_LIFETIME_MS:
            raise ValueError(f"access tokens live for up to {MAX_LIFETIME_MS} ms, not {lifetime_ms}")
        self._sealer = sealer
        self._clock = clock
        self.lifetime_ms = lifetime_ms

    def issue(self, subject: Subject) -> str:
        """A token for ``subject`` from now on."""
        key_id, key = next(iter(self._sealer.derived(_PURPOSE).items()))
        now = self._clock.now() // SECOND
        claims = Claims(
            iss=ISSUER,
            aud=AUDIENCE,
            sub=subject.user,
            sid=subject.session,
            own=subject.owner,
            rol=subject.role,
            tv=subject.token_version,
            jti=secrets.token_urlsafe(16),
            iat=now,
            nbf=now,
            exp=now + self.lifetime_ms // SECOND,
        )
        return jwt.encode(claims.model_dump(), key, algorithm=_ALGORITHM, headers={"kid": key_id, "typ": _TYPE})

    def verify(self, token: str) -> Claims:
        """What a token says, if it is one of ours and its time is now. TokenRefused. Whether it was revoked is not known here."""
        # a header is parsed before the signature is checked: nesting that overflows the stack does not fit into this
        if len(token) > _MAX_LENGTH or len(token.partition(".")[0]) > _MAX_HEADER or not token.isascii():
            raise TokenRefused("longer than any access token, or not ASCII")
        try:
            key = self._key(jwt.get_unverified_header(token))
            # the times are checked below, by our own clock
            options: Any = {"verify_exp": False, "verify_nbf": False, "verify_iat": False, "require": list(Claims.model_fields)}
            said = jwt.decode(token, key, algorithms=[_ALGORITHM], audience=AUDIENCE, issuer=ISSUER, options=options)
            claims = Claims.model_validate(said)
        except jwt.PyJWTError as exc:
            raise TokenRefused(f"not an access token of ours: {type(exc).__name__}") from exc
        except ValidationError as exc:
            raise TokenRefused("an access token with claims of the wrong form") from exc
        self._check_times(claims)
        return claims

    def _key(self, header: dict[str, Any]) -> bytes:
        if set(header) != _HEADER or header["alg"] != _ALGORITHM or header["typ"] != _TYPE:
            raise TokenRefused("an access token whose header has other fields or values than ours")
        key = self._sealer.derived(_PURPOSE).get(header["kid"])
        if key is None:
            raise TokenRefused("an access token signed with a key that is not known")
        return key

    def _check_times(self, claims: Claims) -> None:
        now = self._clock.now() // SECOND
        if claims.exp - claims.iat > MAX_LIFETIME_MS // SECOND or claims.exp <= claims.iat:
            raise TokenRefused("an access token of a lifetime that we never give")
        if now >= claims.exp + LEEWAY_SECONDS:
            raise TokenRefused("an expired access token")
        if now < max(claims.nbf, claims.iat) - LEEWAY_SECONDS:
            raise TokenRefused("an access token from the future")
