"""The document, its page, and that each route says who may use it."""

import hashlib
import re
from pathlib import Path

import pytest
from openapi_spec_validator import validate

import wtai.web.api
from tests.web.api_client import Api
from wtai.identity.access import ACTIONS
from wtai.web.api.openapi import document
from wtai.web.api.route import Route
from wtai.web.api.routes import ROUTES
from wtai.web.problems import KINDS

STATIC = Path(wtai.web.api.__file__).parent / "static"
OPEN_TO_ALL = {"POST /api/v1/auth/token", "POST /api/v1/auth/refresh", "POST /api/v1/auth/revoke"}


def test_the_document_is_openapi() -> None:
    made = document(ROUTES, version="0")
    validate(made)
    names = [operation["operationId"] for path in made["paths"].values() for operation in path.values()]
    assert len(names) == len(set(names)) == len(ROUTES)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_each_route_names_who_may_use_it(route: Route) -> None:
    assert route.action in ACTIONS if route.action is not None else route.name in OPEN_TO_ALL


def test_no_two_routes_are_the_same() -> None:
    assert len({route.name for route in ROUTES}) == len(ROUTES)


async def test_the_document_and_every_problem_in_it_can_be_read_by_everybody(api: Api) -> None:
    served = await api.nobody.get("/api/openapi.json")
    assert served.status == 200
    assert served.body["paths"].keys() == {route.path for route in ROUTES}
    listed = (await api.nobody.get("/api/docs/errors")).body["items"]
    assert [item["type"] for item in listed] == [kind.type for kind in KINDS]
    for kind in KINDS:
        shown = await api.nobody.get(kind.type)
        assert (shown.status, shown.body["status"]) == (200, kind.status)
    assert (await api.nobody.get("/api/docs/errors/none")).slug == "not-found"


async def test_the_page_runs_no_script_and_loads_nothing_but_what_we_serve(api: Api) -> None:
    page = await api.nobody.get("/api/docs")
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"<script(?![^>]*\bsrc=)|\bon\w+=|style=|https?://", page.text)
    for address in re.findall(r'(?:src|href)="(/[^"]+)"', page.text):
        assert (await api.nobody.get(address)).status == 200, address
    assert "validatorUrl: null" in (STATIC / "init.js").read_text()
    for outside in ("VENDORED.md", "..%2fdocs.py", "%2e%2e/docs.py"):
        assert (await api.nobody.get(f"/api/docs/{outside}")).status == 404


def test_what_is_vendored_is_what_was_published() -> None:
    rows = re.findall(r"^\| (\S+) \| \S+ \| ([0-9a-f]{64}) \|$", (STATIC / "VENDORED.md").read_text(), re.MULTILINE)
    assert {name for name, _ in rows} >= {"swagger-ui-bundle.js", "swagger-ui.css", "LICENSE.md"}
    for name, digest in rows:
        assert hashlib.sha256((STATIC / name).read_bytes()).hexdigest() == digest, name
