"""What a request carries, read strictly: token, preconditions, key, query and body. Each fault names its place."""

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Final

from aiohttp import web
from pydantic import BaseModel, ValidationError

from wtai.web.api.errors import invalid
from wtai.web.api.json_body import check_json, unkeepable
from wtai.web.api.models import Given
from wtai.web.api.once import Key
from wtai.web.api.route import Route
from wtai.web.problems import IF_MATCH, INVALID, MALFORMED, MEDIA, STALE, TOO_LARGE, UNAUTHENTICATED, Fault, Problem

_BEARER: Final = re.compile(r"Bearer +([A-Za-z0-9._~+/=-]+)", re.IGNORECASE)
_KEY: Final = re.compile(r"[!-~]{1,255}")
_ETAG: Final = re.compile(r'"([0-9]{1,18})"')
_ANY_ETAG: Final = re.compile(r'(?:W/)?"[!#-~\x80-\xff]*"')


def bearer(request: web.Request) -> str:
    """The token of the request (RFC 6750). Problem without one."""
    given = request.headers.getall("Authorization", [])
    match = _BEARER.fullmatch(given[0]) if len(given) == 1 else None
    if match is None:
        raise unauthenticated("send Authorization: Bearer and an access token or API token", given=bool(given))
    return match[1]


def unauthenticated(detail: str, *, given: bool) -> Problem:
    """Nobody is known by the token that was ``given``, or none was."""
    challenge = 'Bearer realm="wtai"' + (', error="invalid_token"' if given else "")
    return Problem(UNAUTHENTICATED, detail, headers={"WWW-Authenticate": challenge})


def idempotency_key(request: web.Request, body: bytes) -> Key | None:
    """The request's Idempotency-Key with what it came with."""
    given = request.headers.getall("Idempotency-Key", [])
    if not given:
        return None
    if len(given) > 1 or not _KEY.fullmatch(given[0]):
        raise malformed("Idempotency-Key", "must be one text of 1 to 255 visible ASCII characters")
    said = b"\n".join((request.method.encode(), request.raw_path.encode("utf-8", "surrogateescape"), body))
    return Key(given[0], sha256(said).digest())


def expected_version(request: web.Request, route: Route) -> int | None:
    """The version that ``If-Match`` names; None for ``*``, and where there is none and none is needed."""
    given = request.headers.getall("If-Match", []) if route.takes_if_match else []
    if not given:
        if route.needs_if_match:
            fault = Fault("If-Match", "send the ETag of what you read, or * to change whatever is there")
            raise Problem(IF_MATCH, "If-Match is missing", [fault])
        return None
    text = given[0].strip()
    if len(given) > 1 or not (text == "*" or _ANY_ETAG.fullmatch(text)):
        raise malformed("If-Match", 'must be * or one ETag such as "3"')
    if text == "*":
        return None
    match = _ETAG.fullmatch(text)
    if match is None:  # an ETag, and none of ours
        raise Problem(STALE, "it is at no version of this ETag", [Fault("If-Match", "read it again")])
    return int(match[1])


def parameters(request: web.Request, model: type[BaseModel] | None) -> BaseModel | None:
    """The query, validated; each parameter comes once."""
    given: dict[str, str] = {}
    for name, value in request.query.items():
        if name in given:
            raise Problem(INVALID, f"{name} comes twice", [Fault(name, "comes twice")])
        if unkeepable(name) or unkeepable(value):
            raise malformed(name.replace("\0", "\ufffd"), "holds NUL or half a surrogate pair")
        given[name] = value
    if model is None:
        if given:
            name = next(iter(given))
            raise Problem(INVALID, f"there is no parameter {name}", [Fault(name, "there is no such parameter")])
        return None
    try:
        return model.model_validate_strings(given)
    except ValidationError as exc:
        raise invalid(exc, body=False) from exc


async def body_bytes(request: web.Request, route: Route, most: int) -> bytes:
    """The body as it came, if it is JSON, not compressed and not longer than ``most`` bytes."""
    if request.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        raise Problem(MEDIA, "compressed bodies are not taken", [Fault("Content-Encoding", "must be absent")])
    if (request.content_length or 0) > most:
        raise _too_large(most)
    body = bytearray()
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > most:
            raise _too_large(most)
    if not body and not route.needs_body:
        return b""
    if request.content_type != "application/json" or (request.charset or "utf-8").lower() != "utf-8":
        raise Problem(MEDIA, "the body must be application/json in UTF-8", [Fault("Content-Type", "must be application/json")])
    return bytes(body)


def parsed(body: bytes, route: Route) -> BaseModel | None:
    """The body, validated: no type stands for another. Where nothing has to be said, no body and {} say the same."""
    if not body and route.body is None:
        return None
    told = body if body or route.needs_body else b"{}"
    check_json(told)
    try:
        said = (route.body or Given).model_validate_json(told, strict=True)
    except ValidationError as exc:
        raise invalid(exc, body=True) from exc
    return said if route.body is not None else None


def malformed(where: str, what: str) -> Problem:
    """Something that cannot be read."""
    return Problem(MALFORMED, f"{where or 'the body'}: {what}", [Fault(where, what)])


def path_ids(request: web.Request) -> Mapping[str, str]:
    """The ids in the path. One that could not be kept is no one's."""
    return {name: "" if unkeepable(value) else value for name, value in request.match_info.items()}


def _too_large(most: int) -> Problem:
    return Problem(TOO_LARGE, f"the body is larger than {most} bytes", headers={"Connection": "close"})
