"""Which problem an error of the program is, to whoever asked over HTTP."""

from collections.abc import Mapping
from typing import Final

from pydantic import ValidationError

from wtai.ai.specialists import WrongFeature, WrongName
from wtai.clock import SECOND
from wtai.errors import InvalidTransition, NotFound, StaleVersion, StorageUnavailable, WtaiError
from wtai.hooks.model import EndpointDisabled, InvalidEndpoint
from wtai.identity.access import TokenRefused, UnknownScope
from wtai.identity.passwords import PasswordsBusy, WeakPassword
from wtai.identity.plans_store import PlanConflict
from wtai.identity.quota import QuotaReached
from wtai.identity.sessions import LoginRefused
from wtai.identity.throttle import Throttled
from wtai.identity.users_store import EmailTaken, LastAdmin
from wtai.web.problems import (
    CONFLICT,
    INVALID,
    NOT_FOUND,
    QUOTA,
    STALE,
    TOO_MANY,
    UNAUTHENTICATED,
    UNAVAILABLE,
    WRONG_STATE,
    Fault,
    Kind,
    Problem,
    pointer,
)

_MAX_FAULTS: Final = 50

KINDS: Final[Mapping[type[WtaiError], Kind]] = {
    NotFound: NOT_FOUND,
    StaleVersion: STALE,
    InvalidTransition: WRONG_STATE,
    EmailTaken: CONFLICT,
    LastAdmin: CONFLICT,
    EndpointDisabled: CONFLICT,
    PlanConflict: CONFLICT,
    QuotaReached: QUOTA,
    WeakPassword: INVALID,
    UnknownScope: INVALID,
    WrongFeature: INVALID,
    WrongName: INVALID,
    InvalidEndpoint: INVALID,
    LoginRefused: UNAUTHENTICATED,
    TokenRefused: UNAUTHENTICATED,
    PasswordsBusy: UNAVAILABLE,
    StorageUnavailable: UNAVAILABLE,
}
"""Errors and their problems; the error's own words are the detail, but for those below."""

_POINTERS: Final[Mapping[type[WtaiError], str]] = {WeakPassword: "/password", UnknownScope: "/scopes", WrongFeature: "/config"}
_WORDS: Final[Mapping[type[WtaiError], str]] = {
    # what is someone else's and what is not there look alike, and who is refused learns nothing
    NotFound: "nothing of this id",
    TokenRefused: "the token is not, or no longer, good",
    StorageUnavailable: "the database cannot be written now",
}
ANSWERED: Final[tuple[type[WtaiError], ...]] = (*KINDS, Throttled)
"""The errors that :func:`problem_of` knows."""


def problem_of(error: WtaiError) -> Problem:
    """The problem that an error is."""
    if isinstance(error, Throttled):
        return too_many(str(error), -(-error.retry_after_ms // SECOND))
    if isinstance(error, InvalidEndpoint):
        return Problem(INVALID, str(error), [Fault(error.pointer, str(error))])
    of = type(error)
    words = _WORDS.get(of, str(error))
    faults = [Fault(_POINTERS[of], words)] if of in _POINTERS else []
    headers = {"Retry-After": "2"} if KINDS[of] is UNAVAILABLE else {}
    return Problem(KINDS[of], words, faults, headers)


def too_many(detail: str, seconds: int) -> Problem:
    """A rate limit was reached."""
    return Problem(TOO_MANY, detail, headers={"Retry-After": str(max(1, seconds))})


def invalid(error: ValidationError, *, body: bool) -> Problem:
    """What a model said of a body (with JSON pointers) or of a query (with the names of parameters)."""
    faults = [
        Fault(pointer(*found["loc"]) if body else str(found["loc"][0] if found["loc"] else "query"), found["msg"])
        for found in error.errors(include_url=False, include_context=False, include_input=False)[:_MAX_FAULTS]
    ]
    where = "body" if body else "query"
    return Problem(INVALID, f"the {where} does not fit: {faults[0].pointer or 'as a whole'}: {faults[0].detail}", faults)


def wrong(where: str, what: str) -> Problem:
    """A value that only the owner's data show to be wrong."""
    return Problem(INVALID, f"{where}: {what}", [Fault(where, what)])
