"""Problem details of HTTP (RFC 9457): what went wrong, under an address that never changes, with pointers to where."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from wtai.errors import WtaiError

MEDIA_TYPE: Final = "application/problem+json"
ADDRESS: Final = "/api/docs/errors/"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of problem: its place in the documentation, its status, and what a client can do about it."""

    slug: str
    status: int
    title: str
    description: str

    @property
    def type(self) -> str:
        """Its address, relative to the program's own."""
        return f"{ADDRESS}{self.slug}"


MALFORMED: Final = Kind("malformed-request", 400, "The request cannot be read", "Mend its syntax; `errors` says where.")
UNAUTHENTICATED: Final = Kind(
    "unauthenticated", 401, "Nobody is known by this token", "Log in, refresh the access token, or use another API token."
)
FORBIDDEN: Final = Kind("forbidden", 403, "This is not yours to do", "Ask with another role, or a token with the scope for it.")
NOT_FOUND: Final = Kind("not-found", 404, "There is no such thing", "Check the id; it may have gone.")
METHOD: Final = Kind("method-not-allowed", 405, "The method does not fit the address", "`Allow` lists those that do.")
CONFLICT: Final = Kind("conflict", 409, "It does not fit what is there", "Read what is there, and decide.")
WRONG_STATE: Final = Kind("wrong-state", 409, "It is in another state", "Read it again: what was asked for does not follow.")
WINDOW_CLOSED: Final = Kind(
    "window-closed",
    409,
    "The 24-hour window is closed",
    "WhatsApp takes free text for 24 hours after the person's last message. Send a template, which goes out at any time.",
)
OPTED_OUT: Final = Kind("opted-out", 409, "The person wants no messages", "Nothing is sent until they write START.")
QUOTA: Final = Kind("quota-reached", 409, "The plan has no room for it", "Make room, or change the plan.")
STALE: Final = Kind("stale", 412, "It has changed since it was read", "Read it again; `ETag` is what `If-Match` has to name.")
TOO_LARGE: Final = Kind("too-large", 413, "The body is too large", "Send less.")
MEDIA: Final = Kind("unsupported-media-type", 415, "The body is of another kind", "Send application/json, not compressed.")
INVALID: Final = Kind("invalid", 422, "A value does not fit", "`errors` says which, and what would.")
KEY_REUSED: Final = Kind(
    "idempotency-key-reused", 422, "The key came with another request", "Take a fresh Idempotency-Key for each thing to be done."
)
IF_MATCH: Final = Kind("precondition-required", 428, "If-Match is missing", "Send the `ETag` of what you read as `If-Match`.")
TOO_MANY: Final = Kind("too-many-requests", 429, "Too many requests", "Wait as long as `Retry-After` says.")
INTERNAL: Final = Kind("internal", 500, "Something broke", "Tell the operator the `instance`: the log has it.")
UNAVAILABLE: Final = Kind("unavailable", 503, "Not now", "Try again after what `Retry-After` says.")

KINDS: Final = (
    MALFORMED,
    UNAUTHENTICATED,
    FORBIDDEN,
    NOT_FOUND,
    METHOD,
    CONFLICT,
    WRONG_STATE,
    WINDOW_CLOSED,
    OPTED_OUT,
    QUOTA,
    STALE,
    TOO_LARGE,
    MEDIA,
    INVALID,
    KEY_REUSED,
    IF_MATCH,
    TOO_MANY,
    INTERNAL,
    UNAVAILABLE,
)


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong: ``pointer`` is a JSON pointer into the body (RFC 6901), or the name of a parameter or header."""

    pointer: str
    detail: str


class Problem(WtaiError):
    """A request is answered with this instead of what it asked for."""

    def __init__(self, kind: Kind, detail: str, faults: Sequence[Fault] = (), headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.faults = tuple(faults)
        self.headers = dict(headers or {})


@dataclass(frozen=True, slots=True)
class Rendered:
    """A problem as it goes out."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


def rendered(problem: Problem, instance: str) -> Rendered:
    """The answer; ``instance`` is the correlation id of the request."""
    members: dict[str, object] = {
        "type": problem.kind.type,
        "title": problem.kind.title,
        "status": problem.kind.status,
        "detail": problem.detail,
        "instance": instance,
    }
    if problem.faults:
        members["errors"] = [{"pointer": fault.pointer, "detail": fault.detail} for fault in problem.faults]
    return Rendered(problem.kind.status, json.dumps(members).encode(), problem.headers)


def pointer(*parts: str | int) -> str:
    """A JSON pointer (RFC 6901)."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)
