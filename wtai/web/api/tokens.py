"""API tokens: made, listed by what may be shown of them, and revoked."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from wtai.db.tx import OwnerTx
from wtai.identity.access import Role
from wtai.identity.api_tokens import end_api_token, issue_api_token
from wtai.identity.api_tokens_store import ApiToken, api_tokens
from wtai.web.api.call import Call
from wtai.web.api.errors import wrong
from wtai.web.api.models import Given, Identified, Line, Moment, Page, Paging, at, at_or_none
from wtai.web.api.route import ROOT, Route

_TAG = "api-tokens"
_PATH = f"{ROOT}/api-tokens"

Scope = Annotated[str, Field(min_length=1, max_length=64)]


class NewToken(Given):
    """``scopes`` are actions, resources, ``read`` or ``all``; no token may do more than who makes it."""

    name: Line
    role: Literal["admin", "agent", "platform"]
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=64)]
    expires_at: Moment | None = None


class TokenView(Identified):
    """A token by what may be shown of it."""

    name: str
    prefix: str
    role: str
    scopes: list[str]
    made_by: str | None
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None


class NewTokenView(TokenView):
    """A new token, with its text: it is not shown again."""

    token: str


async def list_tokens(call: Call[None, Paging]) -> Page[TokenView]:
    """The oldest first."""
    rows = await call.read(api_tokens, after=(call.after(1) or (0,))[0], limit=call.limit + 1)
    return call.page(Page[TokenView], rows, lambda row: TokenView.model_validate(_fields(row)), lambda row: (row.id,))


async def create_token(call: Call[NewToken, None]) -> NewTokenView:
    """Its text is in the answer, and nowhere else."""
    given = call.body
    expires_at = None if given.expires_at is None else round(given.expires_at.timestamp() * 1000)
    if expires_at is not None and expires_at <= call.now:
        raise wrong("/expires_at", "must be in the future")

    def work(tx: OwnerTx) -> NewTokenView:
        issued = issue_api_token(
            tx,
            given.name,
            Role(given.role),
            given.scopes,
            maker=call.principal,
            address=call.address,
            expires_at=expires_at,
            now=call.now,
        )
        return NewTokenView.model_validate({**_fields(issued.token), "token": issued.text})

    return await call.commit(work)


async def revoke_token(call: Call[None, None]) -> None:
    """It is good for nothing from then on."""

    def work(tx: OwnerTx) -> None:
        end_api_token(tx, call.ids["token"], call.actor, now=call.now)

    await call.commit(work)


def _fields(token: ApiToken) -> dict[str, object]:
    return {
        "id": token.public_id,
        "name": token.name,
        "prefix": token.prefix,
        "role": token.role.value,
        "scopes": list(token.scopes),
        "made_by": token.made_by,
        "created_at": at(token.created_at),
        "expires_at": at_or_none(token.expires_at),
        "last_used_at": at_or_none(token.last_used_at),
        "revoked_at": at_or_none(token.revoked_at),
    }


ROUTES = (
    Route("GET", _PATH, list_tokens, "List API tokens", _TAG, {200: Page[TokenView]}, action="api_tokens.read", query=Paging),
    Route(
        "POST",
        _PATH,
        create_token,
        "Make an API token",
        _TAG,
        {201: NewTokenView},
        action="api_tokens.create",
        body=NewToken,
        audits_itself=True,
    ),
    Route(
        "DELETE",
        f"{_PATH}/{{token}}",
        revoke_token,
        "Revoke an API token",
        _TAG,
        {204: None},
        action="api_tokens.delete",
        audits_itself=True,
    ),
)
