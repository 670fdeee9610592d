"""API tokens: made and shown once, listed by what may be shown of them, revoked."""

from collections.abc import Mapping
from typing import Annotated, Final, Literal

from aiohttp import web
from pydantic import Field

from wtai.clock import DAY
from wtai.db.tx import OwnerTx
from wtai.identity.access import ACTIONS, EVERY_READ, EVERYTHING, Role
from wtai.identity.api_tokens import end_api_token, issue_api_token
from wtai.identity.api_tokens_store import ApiToken, api_tokens
from wtai.identity.users_store import staff
from wtai.web.api.models import Given, Line
from wtai.web.console.page import Page, Visit
from wtai.web.console.settings.forms import BLANK, Form, read, sent
from wtai.web.console.settings.frame import PLACE, over, show
from wtai.web.console.settings.words import Refused

_PATH: Final = f"{PLACE}/tokens"
_SCOPE: Final = "scope:"

Days = Annotated[int, Field(ge=1, le=3_660)]


class NewToken(Given):
    """A token; without ``days`` it is good until it is revoked."""

    name: Line
    role: Literal["admin", "agent"]
    reach: Literal["all", "read", "some"]
    days: Days | None = None


async def tokens(visit: Visit) -> web.StreamResponse:
    """All of them, with those that are over at the end."""
    return await _shown(visit, BLANK)


async def create(visit: Visit) -> web.StreamResponse:
    """Its text is in the answer, and nowhere else."""

    async def work(given: Mapping[str, str]) -> web.Response:
        said = read(NewToken, given)
        picked = sorted(name.removeprefix(_SCOPE) for name in given if name.startswith(_SCOPE))
        scopes = {"all": [EVERYTHING], "read": [EVERY_READ], "some": picked}[said.reach]
        if not scopes:
            raise Refused("scopes", visit.text("Choose at least one."))
        issued = await visit.write(
            issue_api_token,
            said.name,
            Role(said.role),
            scopes,
            maker=visit.principal,
            address=visit.address,
            expires_at=None if said.days is None else visit.now + said.days * DAY,
            now=visit.now,
        )
        return show(visit, "token_made.html", _PATH, token=issued.token, text=issued.text)

    return await sent(visit, work, lambda form: _shown(visit, form))


async def revoke(visit: Visit) -> web.StreamResponse:
    """It is good for nothing from then on."""
    await visit.write(end_api_token, visit.ids["token"], visit.actor, now=visit.now)
    return over(visit, _PATH, "revoked")


async def _shown(visit: Visit, form: Form) -> web.Response:
    def work(tx: OwnerTx) -> tuple[list[ApiToken], dict[str, str]]:
        return api_tokens(tx), {user.public_id: user.name or user.email or "" for user in staff(tx)}

    found, names = await visit.read(work)
    ordered = sorted(found, key=lambda token: (not token.is_good(visit.now), -token.id))
    return show(
        visit,
        "tokens.html",
        _PATH,
        status=form.status,
        form=form,
        tokens=ordered,
        names=names,
        resources=_resources(visit.principal.role),
    )


def _resources(role: Role) -> list[str]:
    """What a token can be confined to."""
    return sorted({action.partition(".")[0] for action, roles in ACTIONS.items() if role in roles})


PAGES = (
    Page("GET", _PATH, tokens, "api_tokens.read"),
    Page("POST", _PATH, create, "api_tokens.create"),
    Page("POST", f"{_PATH}/{{token}}/revoke", revoke, "api_tokens.delete"),
)
