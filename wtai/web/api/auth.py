"""Log-in, and what follows: ``auth/token``, ``auth/refresh``, ``auth/revoke``."""

from typing import Annotated, Literal

from pydantic import Field

from wtai.clock import SECOND
from wtai.identity.sessions import Tokens
from wtai.web.api.call import Call
from wtai.web.api.models import Given, Id, View
from wtai.web.api.route import ROOT, Route
from wtai.web.problems import TOO_MANY, UNAUTHENTICATED

_TAG = "auth"

RefreshText = Annotated[str, Field(min_length=1, max_length=128)]


class Credentials(Given):
    """``owner`` tells apart accounts that one e-mail address has at several owners."""

    email: Annotated[str, Field(min_length=1, max_length=320)]
    password: Annotated[str, Field(min_length=1, max_length=1024)]
    owner: Id | None = None


class RefreshToken(Given):
    """A refresh token, good for one use."""

    refresh_token: RefreshText


class TokensView(View):
    """An access token for ``expires_in`` seconds, and the refresh token for the next one."""

    access_token: str
    refresh_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - the name of a scheme
    expires_in: int
    session: str


async def log_in(call: Call[Credentials, None]) -> TokensView:
    """A session of a user."""
    given = call.body
    return _shown(await call.means.sessions.log_in(given.email, given.password, owner=given.owner, address=call.address))


async def refresh(call: Call[RefreshToken, None]) -> TokensView:
    """The next tokens of a session."""
    return _shown(await call.means.sessions.refresh(call.body.refresh_token, address=call.address))


async def revoke(call: Call[RefreshToken, None]) -> None:
    """The end of a session; a token that is not known is answered alike (RFC 7009)."""
    await call.means.sessions.log_out(call.body.refresh_token, address=call.address)


def _shown(tokens: Tokens) -> TokensView:
    return TokensView(
        access_token=tokens.access,
        refresh_token=tokens.refresh,
        expires_in=tokens.access_lifetime_ms // SECOND,
        session=tokens.session,
    )


ROUTES = (
    Route(
        "POST",
        f"{ROOT}/auth/token",
        log_in,
        "Log in with e-mail address and password",
        _TAG,
        {200: TokensView},
        action=None,
        body=Credentials,
        problems=(UNAUTHENTICATED, TOO_MANY),
    ),
    Route(
        "POST",
        f"{ROOT}/auth/refresh",
        refresh,
        "Trade a refresh token for the next tokens",
        _TAG,
        {200: TokensView},
        action=None,
        body=RefreshToken,
        problems=(UNAUTHENTICATED,),
    ),
    Route("POST", f"{ROOT}/auth/revoke", revoke, "End a session", _TAG, {204: None}, action=None, body=RefreshToken),
)
