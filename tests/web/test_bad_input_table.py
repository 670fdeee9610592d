"""The table of bad input: every route with a body × everything that must not come through. Each is refused with a problem that
points at its place, and nothing is written; the log has no error in it."""

import gzip
import json
import re
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import pytest

from tests.web.api_client import Api, Client, Reply, open_api
from wtai.db.sqlite import connect
from wtai.identity.access import ACTIONS, Role
from wtai.web.api.openapi import document
from wtai.web.api.route import Route
from wtai.web.api.routes import ROUTES

WITH_BODY: Final = tuple(route for route in ROUTES if route.body is not None)
DOCUMENT: Final = document(ROUTES, version="0")
SCHEMAS: Final[dict[str, Any]] = DOCUMENT["components"]["schemas"]
GOOD: Final[dict[str, object]] = {
    "email": "nova@padaria.example",
    "password": "sete tigres na chuva",
    "current": "quatro cavalos azuis",
    "account_sid": f"AC{'c' * 32}",
    "auth_token": "t" * 32,
    "numbers": ["+5511970000001"],
    "number": "+5511970000002",
    "content_sid": f"HX{'d' * 32}",
    "locale": "pt-BR",
    "role": "agent",
    "scopes": ["read"],
    "url": "https://receiver.example/hook",
    "events": ["message.received"],
    "since": "2026-01-31T12:00:00Z",
    "limits": {},
    "status": "active",
}
"""Values that fit members of these names; every other text is "x"."""

SQL: Final = "'; DROP TABLE users; --"
WRONG_TYPES: Final = (None, True, 7, -1, 1.5, 10**30, "", "x", [], ["x"], {}, {"x": 1}, [[]])
DEEP: Final = b'{"a":' * 100_000
BYTES: Final[dict[str, bytes]] = {
    "nothing": b"",
    "no JSON": b"{",
    "two values": b"{} {}",
    "a comment": b"{/* */}",
    "a trailing comma": b'{"a":1,}',
    "NaN": b'{"a":NaN}',
    "Infinity": b'{"a":[-Infinity]}',
    "beyond all bounds": b'{"a":1e999}',
    "thousands of digits": b'{"a":' + b"9" * 10_000 + b"}",
    "a name twice": b'{"a":{"b":1,"b":2}}',
    "NUL": b'{"a":"\\u0000"}',
    "NUL in a name": b'{"\\u0000":1}',
    "half a surrogate pair": b'{"a":"\\ud800"}',
    "the halves the wrong way round": b'{"a":"\\udc00\\ud800"}',
    "half a pair in UTF-8": b'{"a":"\xed\xa0\x80"}',
    "no UTF-8": b'{"a":"\xff\xfe"}',
    "Latin-1": '{"a":"é"}'.encode("latin-1"),
    "UTF-16": '{"a":1}'.encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf{}",
    "deep, and cut off": DEEP,
    "deep": b'{"a":' + b"[" * 5_000 + b"]" * 5_000 + b"}",
    "beyond the depth": b'{"a":' + b"[" * 40 + b"]" * 40 + b"}",
    "a list": b"[]",
    "null": b"null",
    "a text": b'"x"',
    "a number": b"1",
}
KINDS: Final = (
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/xml",
    "application/json; charset=utf-16",
    "application/jsonx",
    "*/*",
    "é",
)
TABLES: Final = "SELECT name FROM sqlite_schema WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%' ORDER BY name"
CHANGES_ANYWAY: Final = (
    "api_tokens", "login_attempts", "jobs", "sqlite_sequence", "twilio_numbers", "message_words_progress", "rollups",
    "rollup_positions",
)  # fmt: skip
"""When a token was last used is noted, and how often a log-in failed, whatever became of the request; and there are timers."""


@pytest.fixture
async def api(data_dir: Path) -> AsyncIterator[Api]:
    rates = {"api_per_principal": 10**6, "api_per_owner": 10**6, "api_per_address": 10**6}
    async with open_api(data_dir, limits=rates) as opened:
        yield opened


def path_of(api: Api, route: Route) -> str:
    return re.sub(r"\{(\w+)\}", lambda match: api.lines[0].owner if match[1] == "owner" else "nothing", route.path)


def asker(api: Api, route: Route) -> Client:
    """Somebody who may."""
    if route.action is None:
        return api.nobody
    may = ACTIONS[route.action]
    return api.platform if Role.PLATFORM in may and (Role.ADMIN not in may or "{owner}" in route.path) else api.admin


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    return SCHEMAS[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema


def members(route: Route) -> dict[str, dict[str, Any]]:
    """The schemas of a body's members."""
    operation = DOCUMENT["paths"][route.path][route.method.lower()]
    return dict(resolved(operation["requestBody"]["content"]["application/json"]["schema"])["properties"])


def fitting(route: Route) -> dict[str, object]:
    """A body that nothing is wrong with, but that it is about nothing there is."""
    operation = DOCUMENT["paths"][route.path][route.method.lower()]
    schema = resolved(operation["requestBody"]["content"]["application/json"]["schema"])
    return {name: GOOD.get(name, "x") for name in schema.get("required", [])}


def allowed(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Each of the schemas that a value may fit."""
    for one in schema.get("anyOf", [schema]):
        yield resolved(one)


def takes(schema: dict[str, Any], value: object) -> bool:
    """Whether a value is of a type that the schema names, so that it may be right."""
    names = {type(None): "null", bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    of = {names[type(value)], "number" if isinstance(value, int) and not isinstance(value, bool) else ""}
    return any(not one.get("type") or one["type"] in of for one in allowed(schema))


def contents(api: Api) -> dict[str, list[tuple[object, ...]]]:
    """All rows of all tables."""
    with closing(connect(api.world.data_dir / "wtai.db", read_only=True)) as connection:
        names = [row["name"] for row in connection.execute(TABLES).fetchall()]
        return {
            name: [tuple(row) for row in connection.execute(f'SELECT * FROM "{name}"').fetchall()]
            for name in names
            if name not in CHANGES_ANYWAY
        }


async def refused(api: Api, route: Route, body: object = None, *, raw: bytes | None = None, **headers: str) -> Reply:
    """The answer to a request that must be refused: a problem, with a pointer where it is the client's words that are wrong."""
    reply = await asker(api, route)(route.method, path_of(api, route), body, raw=raw, If_Match="*", **headers)
    shown = (route.name, str(body)[:200] if raw is None else raw[:60], headers, reply.status, reply.text[:500])
    assert reply.status in (400, 413, 415, 422), shown
    assert reply.headers["Content-Type"] == "application/problem+json", shown
    assert {"type", "title", "status", "detail", "instance"} <= reply.body.keys(), shown
    assert reply.status == 413 or reply.pointers, shown
    assert len(reply.text) < 20_000, shown
    return reply


async def test_nothing_that_is_no_json_is_taken_by_any_route(api: Api) -> None:
    before = contents(api)
    for route in WITH_BODY:
        for what, raw in BYTES.items():
            if not raw and not route.needs_body:
                continue
            reply = await refused(api, route, raw=raw)
            assert reply.status in (400, 422), (route.name, what)
    assert contents(api) == before


async def test_a_value_of_the_wrong_type_is_pointed_at_wherever_it_stands(api: Api) -> None:
    before = contents(api)
    for route in WITH_BODY:
        good = fitting(route)
        for name, schema in members(route).items():
            for value in WRONG_TYPES:
                if not takes(schema, value):
                    reply = await refused(api, route, {**good, name: value})
                    assert any(pointer == f"/{name}" or pointer.startswith(f"/{name}/") for pointer in reply.pointers), (
                        route.name,
                        name,
                        value,
                        reply.text,
                    )
        reply = await refused(api, route, {**good, "no_such": SQL})
        assert "/no_such" in reply.pointers, route.name
        for name in good:
            reply = await refused(api, route, {other: value for other, value in good.items() if other != name})
            assert f"/{name}" in reply.pointers, (route.name, name)
    assert contents(api) == before


async def test_texts_that_are_too_long_or_cannot_be_kept_are_pointed_at(api: Api) -> None:
    before = contents(api)
    bad: dict[str, Callable[[str], str]] = {
        "megabyte": lambda _: "x" * 1_000_000,
        "NUL": lambda text: f"{text}\0",
        "half a pair": lambda text: f"{text}\ud83d",
    }
    for route in WITH_BODY:
        good = fitting(route)
        for name, schema in members(route).items():
            if any(one.get("type") == "string" for one in allowed(schema)):
                for what, spoilt in bad.items():
                    reply = await refused(api, route, {**good, name: spoilt(str(good.get(name, "x")))})
                    assert f"/{name}" in reply.pointers, (route.name, name, what, reply.text)
        reply = await refused(api, route, raw=b'{"a":"' + b"x" * 1_048_577 + b'"}')
        assert reply.status == 413, route.name
    assert contents(api) == before
    assert (await api.admin.get("/conversations")).status == 200


async def test_sql_is_a_text_like_any_other(api: Api) -> None:
    tables = contents(api).keys()
    for route in WITH_BODY:
        good = fitting(route)
        for name, schema in members(route).items():
            if any(one.get("type") == "string" for one in allowed(schema)):
                ask = asker(api, route)
                reply = await ask(route.method, path_of(api, route), {**good, name: SQL}, If_Match="*")
                assert reply.status < 500, (route.name, name, reply.text)
    assert contents(api).keys() == tables
    assert len(api.world.rows("SELECT 1 FROM users WHERE email = 'ana@padaria.example'")) == 1


async def test_an_encoding_that_the_server_cannot_even_decode_is_refused_too(api: Api) -> None:
    for encoding in ("br", "zstd"):
        reply = await api.admin("POST", "/templates", raw=b"{}", Content_Encoding=encoding)
        assert reply.status in (400, 415), encoding  # 400 comes from the HTTP parser, before there is a request to answer


async def test_compressed_bodies_and_other_kinds_are_refused_unread(api: Api) -> None:
    before = contents(api)
    for route in WITH_BODY:
        raw = json.dumps(fitting(route)).encode()
        bomb = gzip.compress(b" " * 20_000_000)
        for encoding, body in (
            ("gzip", gzip.compress(raw)),
            ("gzip", bomb),
            ("deflate", zlib.compress(raw)),
            ("gzip, gzip", bomb),
        ):
            reply = await refused(api, route, raw=body, Content_Encoding=encoding)
            assert (reply.status, reply.pointers) == (415, ["Content-Encoding"]), (route.name, encoding)
        for kind in KINDS:
            reply = await refused(api, route, raw=raw, Content_Type=kind)
            assert (reply.status, reply.pointers) == (415, ["Content-Type"]), (route.name, kind)
    assert contents(api) == before


@pytest.mark.parametrize(
    "moment",
    [
        "9999-12-31T23:59:59-23:00",
        "0001-01-01T00:00:00+23:00",
        "2030-13-01T00:00:00Z",
        "2030-01-01",
        "2030-01-01T00:00:00",
        "1893456000",
        "2030-01-01T00:00:60Z",
        1893456000,
    ],
)
async def test_a_time_is_one_of_rfc_3339_within_the_years_there_are(api: Api, moment: object) -> None:
    token = {"name": "x", "role": "agent", "scopes": ["read"], "expires_at": moment}
    reply = await api.admin.post("/api-tokens", token)
    assert (reply.status, reply.pointers) == (422, ["/expires_at"]), reply.text
    reply = await api.admin.post("/webhook-replays", {"since": moment})
    assert (reply.status, reply.pointers) == (422, ["/since"]), reply.text
    reply = await api.admin.get(f"/conversations?updated_since={str(moment).replace('+', '%2B')}")
    assert (reply.status, reply.pointers) == (422, ["updated_since"]), reply.text


async def test_a_day_is_written_as_one(api: Api) -> None:
    for day in ("0", "20260131", "2026-02-30", "2026-01-31T00:00:00Z", "1769817600"):
        assert (await api.admin.get(f"/usage?first={day}")).pointers == ["first"], day


async def test_no_owner_gets_a_token_of_the_platforms_role(api: Api) -> None:
    token = {"name": "x", "role": "platform", "scopes": ["read"]}
    reply = await api.platform.post(f"/owners/{api.lines[0].owner}/api-tokens", token)
    assert (reply.status, reply.pointers) == (422, ["/role"]), reply.text
    assert (await api.admin.post("/api-tokens", token)).status == 422
