"""What holds for each route there is, walked from the list of routes: so it holds for those to come."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.web.api_client import Api, Client, open_api
from wtai.identity.access import ACTIONS, Role
from wtai.web.api.openapi import document, problems_of
from wtai.web.api.route import Route
from wtai.web.api.routes import ROUTES

DOCUMENT = document(ROUTES, version="0")
SQL = "' OR '1'='1"
NAMED = [route for route in ROUTES if route.action is not None]


def path_of(route: Route, **ids: str) -> str:
    return re.sub(r"\{(\w+)\}", lambda match: ids.get(match[1], "nothing"), route.path)


def documented(route: Route) -> set[int]:
    return {int(status) for status in DOCUMENT["paths"][route.path][route.method.lower()]["responses"]}


def asker(api: Api, route: Route) -> Client:
    """Who may use the route."""
    of_admins = Role.ADMIN in ACTIONS[route.action or ""] and not route.path.startswith("/api/v1/owners/{owner}/")
    return api.admin if of_admins else api.platform


@pytest.fixture
async def roomy(data_dir: Path) -> AsyncIterator[Api]:
    """The API without rate limits to speak of."""
    async with open_api(data_dir, limits={"api_per_principal": 100_000, "api_per_owner": 100_000}) as opened:
        yield opened


async def test_without_a_token_no_route_answers(api: Api) -> None:
    for number, route in enumerate(NAMED):
        refused = await api.nobody(route.method, path_of(route), X_Forwarded_For=f"203.0.113.{number}")
        assert (refused.status, refused.slug) == (401, "unauthenticated"), route.name


async def test_each_role_is_let_in_where_the_table_says_and_nowhere_else(api: Api) -> None:
    clients = {Role.ADMIN: api.admin, Role.AGENT: api.agent, Role.PLATFORM: api.platform}
    for route in NAMED:
        owner = api.lines[0].owner
        for role, client in clients.items():
            if route.method != "GET" and role in ACTIONS[route.action or ""]:
                continue  # the tests of its resource do it
            reply = await client(route.method, path_of(route, owner=owner))
            if role in ACTIONS[route.action or ""]:
                tenants_own = route.of_tenants and role is Role.PLATFORM and "{owner}" not in route.path
                of_a_log_in = route.path == "/api/v1/sessions"  # which a token has not
                expected = {403} if tenants_own or of_a_log_in else {200, 404, 422}
                assert reply.status in expected, (route.name, reply.text)
            else:
                assert (reply.status, reply.slug) == (403, "forbidden"), (route.name, role)


async def test_no_id_that_is_none_breaks_a_route(roomy: Api) -> None:
    for route in NAMED:
        if "{" not in route.path.replace("{owner}", ""):
            continue
        for name in ("nothing", SQL.replace(" ", "%20"), "%00", "%ed%a0%80", "..%2f..", "a" * 3_000):
            ids = {**dict.fromkeys(re.findall(r"\{(\w+)\}", route.path), name), "owner": roomy.lines[0].owner}
            reply = await asker(roomy, route)(route.method, path_of(route, **ids), If_Match="*")
            assert 400 <= reply.status < 500, (route.name, name, reply.text)
            assert reply.status in documented(route) | {404}, (route.name, name)


async def test_a_parameter_that_a_route_has_not_or_that_does_not_fit_is_named(roomy: Api) -> None:
    for route in NAMED:
        path = path_of(route, owner=roomy.lines[0].owner)
        unknown = await asker(roomy, route)(route.method, f"{path}?no_such=1")
        assert (unknown.status, "no_such" in unknown.pointers) == (422, True), route.name
        if route.query is None or "cursor" not in route.query.model_fields:
            continue
        for limit in ("-1", "0", "201", "x", SQL.replace(" ", "%20")):
            refused = await asker(roomy, route)(route.method, f"{path}?limit={limit}")
            assert (refused.status, "limit" in refused.pointers) == (422, True), route.name


async def test_a_body_that_a_route_was_not_made_for_is_refused_with_a_pointer(roomy: Api) -> None:
    for route in NAMED:
        if route.body is None:
            continue
        path, ask = path_of(route, owner=roomy.lines[0].owner), asker(roomy, route)
        for body, pointer in (([], ""), ({"no_such": SQL}, "/no_such"), ("x" * 1_000_000, "")):
            refused = await ask(route.method, path, body, If_Match="*")
            assert (refused.status, pointer in refused.pointers) == (422, True), (route.name, refused.text[:300])
        for field in route.body.model_fields:
            for value in (SQL + "\0", "\ud800", {"a": {"b": []}}, -1e308):
                refused = await ask(route.method, path, {field: value}, If_Match="*")
                assert refused.status in (400, 422), (route.name, field, refused.text[:300])
                assert refused.pointers, (route.name, field)


async def test_every_problem_a_route_names_is_documented_with_its_status() -> None:
    for route in ROUTES:
        assert {kind.status for kind in problems_of(route)} <= documented(route)
