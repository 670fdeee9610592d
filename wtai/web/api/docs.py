"""What is read about the API: the document, the page that shows it, and what each kind of problem means."""

import json
from functools import cache
from importlib.resources import files
from typing import Final

from aiohttp import web

import wtai
from wtai.web.api.client import REQUEST_ID, correlation_id
from wtai.web.api.dispatch import SECURITY_HEADERS, problem_response
from wtai.web.api.openapi import document
from wtai.web.api.routes import ROUTES
from wtai.web.problems import KINDS, NOT_FOUND, Kind, Problem

_PAGE_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_FILES: Final = {
    "init.js": "text/javascript",
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
}


def routes() -> list[web.RouteDef]:
    """Open to everybody: nothing of any owner is in it."""
    return [
        web.get("/api/openapi.json", _document),
        web.get("/api/docs", _page),
        web.get("/api/docs/errors", _problems),
        web.get("/api/docs/errors/{slug}", _problem),
        web.get("/api/docs/{file}", _file),
    ]


async def _document(request: web.Request) -> web.Response:
    return _json(request, _document_bytes())


async def _page(_request: web.Request) -> web.Response:
    headers = {**SECURITY_HEADERS, "Content-Security-Policy": _PAGE_POLICY}
    return web.Response(body=_read("index.html"), content_type="text/html", charset="utf-8", headers=headers)


async def _file(request: web.Request) -> web.Response:
    name = request.match_info["file"]
    if name not in _FILES:
        return _absent(request)
    headers = {**SECURITY_HEADERS, "Cache-Control": "public, max-age=86400"}
    return web.Response(body=_read(name), content_type=_FILES[name], charset="utf-8", headers=headers)


async def _problems(request: web.Request) -> web.Response:
    return _json(request, json.dumps({"items": [_shown(kind) for kind in KINDS], "next": None}).encode())


async def _problem(request: web.Request) -> web.Response:
    found = [kind for kind in KINDS if kind.slug == request.match_info["slug"]]
    return _json(request, json.dumps(_shown(found[0])).encode()) if found else _absent(request)


def _shown(kind: Kind) -> dict[str, object]:
    return {"type": kind.type, "status": kind.status, "title": kind.title, "description": kind.description}


def _json(request: web.Request, body: bytes) -> web.Response:
    headers = {**SECURITY_HEADERS, REQUEST_ID: correlation_id(request)}
    return web.Response(body=body, content_type="application/json", headers=headers)


def _absent(request: web.Request) -> web.Response:
    return problem_response(Problem(NOT_FOUND, "nothing at this address"), correlation_id(request))


@cache
def _document_bytes() -> bytes:
    return json.dumps(document(ROUTES, version=wtai.__version__), ensure_ascii=False).encode()


@cache
def _read(name: str) -> bytes:
    return (files("wtai.web.api") / "static" / name).read_bytes()
