"""The OpenAPI 3.1 document, made of the same declarations that requests are checked against."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from wtai.web.api.client import REQUEST_ID
from wtai.web.api.models import Versioned
from wtai.web.api.route import Route
from wtai.web.problems import (
    FORBIDDEN,
    IF_MATCH,
    INTERNAL,
    INVALID,
    KEY_REUSED,
    MALFORMED,
    MEDIA,
    MEDIA_TYPE,
    NOT_FOUND,
    STALE,
    TOO_LARGE,
    TOO_MANY,
    UNAUTHENTICATED,
    UNAVAILABLE,
    Kind,
)

Json = dict[str, Any]

_TEMPLATE: Final = "#/components/schemas/{model}"
_ID: Final = re.compile(r"\{(\w+)\}")
_MODES: Final[Mapping[str, JsonSchemaMode]] = {"in": "validation", "out": "serialization"}
_ETAG: Final[Json] = {"type": "string", "pattern": r'^("[0-9]{1,18}"|\*)$', "examples": ['"1"']}
_PROBLEM: Final[Json] = {
    "type": "object",
    "title": "Problem",
    "description": "Problem details (RFC 9457).",
    "required": ["type", "title", "status", "detail", "instance"],
    "properties": {
        "type": {"type": "string", "description": "Where the kind of problem is described; it never changes."},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string", "description": "The correlation id, as in X-Request-Id."},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "detail"],
                "properties": {
                    "pointer": {"type": "string", "description": "JSON pointer into the body, or name of a parameter or header."},
                    "detail": {"type": "string"},
                },
            },
        },
    },
}


def document(routes: Sequence[Route], *, version: str) -> Json:
    """The whole document."""
    of_model, schemas = _schemas(routes)
    paths: dict[str, Json] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, of_model)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "wtai",
            "version": version,
            "description": "The management API. Lists come page by page, with `limit` and `cursor`; what changes has an `ETag`.",
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": tag} for tag in dict.fromkeys(route.tag for route in routes)],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An access token of auth/token, or an API token (wtai_…).",
                }
            },
            "schemas": {**schemas, "Problem": _PROBLEM},
        },
    }


def problems_of(route: Route) -> tuple[Kind, ...]:
    """What a route may answer instead of what it is asked for."""
    found = [MALFORMED, INVALID, TOO_MANY, INTERNAL, UNAVAILABLE, TOO_LARGE, MEDIA, *route.problems]
    if route.action is not None:
        found += [UNAUTHENTICATED, FORBIDDEN]
    if "{" in route.path:
        found.append(NOT_FOUND)
    if route.takes_key:
        found.append(KEY_REUSED)
    if route.takes_if_match:
        found.append(STALE)
    if route.needs_if_match:
        found.append(IF_MATCH)
    return tuple(sorted(dict.fromkeys(found), key=lambda kind: (kind.status, kind.slug)))


def _schemas(routes: Iterable[Route]) -> tuple[dict[tuple[Any, str], Json], Json]:
    """A reference for each model, and what they refer to."""
    wanted: dict[tuple[Any, JsonSchemaMode], None] = {}
    for route in routes:
        if route.body is not None:
            wanted[route.body, _MODES["in"]] = None
        for model in route.returns.values():
            if model is not None:
                wanted[model, _MODES["out"]] = None
    references, definitions = models_json_schema(list(wanted), ref_template=_TEMPLATE)
    return {(model, mode): dict(value) for (model, mode), value in references.items()}, definitions.get("$defs", {})


def _operation(route: Route, of_model: Mapping[tuple[Any, str], Json]) -> Json:
    operation: Json = {
        "operationId": _name(route),
        "summary": route.summary,
        "tags": [route.tag],
        "parameters": list(_parameters(route)),
        "responses": dict(_responses(route, of_model)),
        "security": [{"bearer": []}] if route.action is not None else [],
    }
    if route.action is not None:
        operation["x-action"] = route.action
    if route.body is not None:
        content = {"application/json": {"schema": of_model[route.body, _MODES["in"]]}}
        operation["requestBody"] = {"required": route.needs_body, "content": content}
    return operation


def _parameters(route: Route) -> Iterator[Json]:
    for name in _ID.findall(route.path):
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
    if route.query is not None:
        schema = route.query.model_json_schema()
        required = schema.get("required", [])
        for name, of_one in schema["properties"].items():
            described = {"description": of_one.pop("description")} if "description" in of_one else {}
            inlined = _inlined(of_one, schema.get("$defs", {}))
            yield {"name": name, "in": "query", "required": name in required, "schema": inlined, **described}
    text = "An id of yours to follow the request by: up to 64 letters, digits, `.`, `_`, `:` and `-`; any other is passed over."
    yield _header(REQUEST_ID, text, {"type": "string"})
    if route.takes_key:
        text = "The same key within 24 hours: the same answer, and nothing is done again."
        yield _header("Idempotency-Key", text, {"type": "string", "pattern": "^[!-~]{1,255}$"})
    if route.takes_if_match:
        yield _header("If-Match", "The ETag of what was read, or *.", _ETAG, required=route.needs_if_match)


def _responses(route: Route, of_model: Mapping[tuple[Any, str], Json]) -> Iterator[tuple[str, Json]]:
    for status, model in route.returns.items():
        answer: Json = {"description": route.summary, "headers": _answer_headers(route, model)}
        if model is not None:
            answer["content"] = {"application/json": {"schema": of_model[model, _MODES["out"]]}}
        yield str(status), answer
    by_status: dict[int, list[Kind]] = {}
    for kind in problems_of(route):
        by_status.setdefault(kind.status, []).append(kind)
    for status, kinds in by_status.items():
        text = " ".join(f"{kind.title} (`{kind.slug}`)." for kind in kinds)
        content = {MEDIA_TYPE: {"schema": {"$ref": _TEMPLATE.format(model="Problem")}}}
        yield str(status), {"description": text, "content": content}


def _answer_headers(route: Route, model: type[BaseModel] | None) -> Json:
    text: Json = {"schema": {"type": "string"}}
    headers: Json = {REQUEST_ID: text}
    if model is not None and issubclass(model, Versioned):
        headers["ETag"] = text
    if route.location is not None:
        headers["Location"] = text
    return headers


def _header(name: str, description: str, schema: Json, *, required: bool = False) -> Json:
    return {"name": name, "in": "header", "required": required, "description": description, "schema": schema}


def _inlined(schema: Json, definitions: Json) -> Json:
    """A parameter's schema with what it refers to in place: only components can be referred to."""
    reference: Literal["$ref"] = "$ref"
    if reference in schema:
        rest = {name: value for name, value in schema.items() if name != reference}
        return {**definitions[schema[reference].rpartition("/")[2]], **rest}
    if "anyOf" in schema:
        return {**schema, "anyOf": [_inlined(one, definitions) for one in schema["anyOf"]]}
    return schema


def _name(route: Route) -> str:
    """A unique name in the form of clients' functions."""
    words = re.sub(r"[^a-z0-9]+", "_", route.path.removeprefix("/api/v1").lower()).strip("_")
    return f"{route.method.lower()}_{words}"
