"""Each route × each role × each scope: who is let in is what the table of actions says, and nothing else decides."""

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.test_architecture import PUBLIC_ROUTES
from tests.web.api_client import HASH, PASSWORD, Api, Client, open_api
from tests.web.canary_requests import BODIES
from wtai.clock import SystemClock
from wtai.db.tx import PLATFORM
from wtai.identity.access import ACTIONS, EVERY_READ, EVERYTHING, Role, actions_of, check_scopes
from wtai.identity.api_tokens import issue_api_token
from wtai.identity.audit_store import OPERATOR
from wtai.identity.registration import add_user
from wtai.web.api.route import Route
from wtai.web.api.routes import ROUTES

REFUSED = (401, 403)
NAMED = [route for route in ROUTES if route.action is not None]
ROOMY: Mapping[str, object] = dict.fromkeys(("api_per_principal", "api_per_owner", "api_per_address"), 10_000_000)
OF_USERS_ALONE = {"PUT /api/v1/me/password", "GET /api/v1/sessions", "DELETE /api/v1/sessions/{session}"}
"""A token has no sessions and no password."""


@dataclass(frozen=True)
class Asker:
    """A client with a role, and the actions its token is confined to; None: all of the role's."""

    client: Client
    role: Role
    scopes: frozenset[str] | None
    is_user: bool


@pytest.fixture
async def api(data_dir: Path) -> AsyncIterator[Api]:
    async with open_api(data_dir, limits=ROOMY) as opened:
        yield opened


async def token(api: Api, role: Role, *scopes: str) -> Asker:
    owner_id = PLATFORM if role is Role.PLATFORM else api.lines[0].owner_id
    now = SystemClock().now()
    issued = await api.database.write(owner_id, issue_api_token, "prova", role, scopes, maker=None, now=now)
    return Asker(Client(api.session, issued.text), role, actions_of(scopes), is_user=False)


async def user(api: Api, role: Role) -> Asker:
    owner_id = PLATFORM if role is Role.PLATFORM else api.lines[0].owner_id
    now = SystemClock().now()
    email = f"{role}@walk.example"
    await api.database.write(owner_id, add_user, role, "Alguém", email, HASH, actor=OPERATOR, now=now)
    tokens = await api.nobody.post("/auth/token", {"email": email, "password": PASSWORD})
    return Asker(Client(api.session, tokens.body["access_token"]), role, None, is_user=True)


def path_of(route: Route, api: Api) -> str:
    """The path about nothing that is there: who is let in finds nothing, and nothing is done."""
    named = {"owner": api.lines[0].owner}
    return re.sub(r"\{(\w+)\}", lambda match: quote(named.get(match[1], "nothing")), route.path)


def should(asker: Asker, route: Route) -> bool:
    """What the table says, with the two things that are no matter of roles."""
    action = route.action or ""
    let_in = asker.role in ACTIONS[action] and (asker.scopes is None or action in asker.scopes)
    no_tenant = route.of_tenants and asker.role is Role.PLATFORM and "{owner}" not in route.path
    no_user = route.name in OF_USERS_ALONE and not asker.is_user
    return let_in and not no_tenant and not no_user


async def is_let_in(asker: Asker, route: Route, api: Api) -> bool:
    """By a request that fails later, at a parameter that no route has: nothing is done, whoever asks."""
    reply = await asker.client(route.method, f"{path_of(route, api)}?no_such_parameter=1")
    assert reply.status in (*REFUSED, 422), (route.name, reply.text)
    return reply.status not in REFUSED


def walkable(route: Route) -> bool:
    """Whether the way in is decided before the parameters are looked at."""
    return route.name not in OF_USERS_ALONE and not route.of_tenants


async def outcome(asker: Asker, route: Route, api: Api) -> bool:
    """Whether ``asker`` is let in; where that is decided by the handler, by a whole request."""
    if walkable(route):
        return await is_let_in(asker, route, api)
    body = BODIES[route.body.__name__] if route.body is not None else None
    reply = await asker.client(route.method, path_of(route, api), body, If_Match="*")
    return reply.status not in REFUSED


def test_no_two_routes_have_one_name() -> None:
    assert len({route.name for route in ROUTES}) == len(ROUTES)


def test_what_the_platform_reaches_by_an_owner_in_the_path_is_what_the_table_gives_the_platform() -> None:
    for route in NAMED:
        if route.path.startswith("/api/v1/owners/{owner}/"):
            assert ACTIONS[route.action or ""] & {Role.PLATFORM, Role.ADMIN}, route.name


@pytest.mark.parametrize("role", [Role.ADMIN, Role.AGENT, Role.PLATFORM])
async def test_a_user_of_each_role_is_let_in_exactly_where_the_table_says(api: Api, role: Role) -> None:
    asker = await user(api, role)
    for route in NAMED:
        if route.name == "PUT /api/v1/me/password":
            continue  # its body decides: tested with passwords
        assert await outcome(asker, route, api) == should(asker, route), (route.name, role)


@pytest.mark.parametrize("role", [Role.ADMIN, Role.AGENT, Role.PLATFORM])
async def test_a_token_of_each_role_with_all_scopes_is_let_in_where_its_role_is(api: Api, role: Role) -> None:
    asker = await token(api, role, EVERYTHING)
    for route in NAMED:
        if route.name == "PUT /api/v1/me/password":
            continue
        assert await outcome(asker, route, api) == should(asker, route), (route.name, role)


async def test_a_token_of_each_single_scope_opens_its_own_routes_and_no_other(api: Api) -> None:
    groups = sorted({action.partition(".")[0] for action in ACTIONS})
    tried = 0
    for role in (Role.ADMIN, Role.AGENT, Role.PLATFORM):
        for scope in (*ACTIONS, *groups, EVERY_READ):
            if not any(role in ACTIONS[action] for action in actions_of([scope])):
                continue
            check_scopes(role, [scope])
            asker = await token(api, role, scope)
            for route in NAMED:
                if walkable(route):
                    assert await is_let_in(asker, route, api) == should(asker, route), (route.name, role, scope)
                    tried += 1
    assert tried > 5_000


async def test_without_a_token_and_with_a_wrong_one_nothing_but_the_open_routes_answers(api: Api) -> None:
    liar = Client(api.session, "wtai_00000000_" + "0" * 64)
    for route in ROUTES:
        for nobody in (api.nobody, liar):
            reply = await nobody(route.method, f"{path_of(route, api)}?no_such_parameter=1")
            assert reply.status == (422 if route.name in PUBLIC_ROUTES else 401), route.name


async def test_no_method_that_a_path_has_not_gets_anybody_in(api: Api) -> None:
    methods = {"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE"}
    by_path: dict[str, set[str]] = {}
    for route in ROUTES:
        by_path.setdefault(path_of(route, api), set()).add(route.method)
    for path, known in by_path.items():
        for method in methods - known:
            reply = await api.admin(method, path)
            assert reply.status == 405, (method, path)
            assert set(reply.headers["Allow"].split(", ")) == known
