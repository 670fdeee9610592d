"""What a refused form is told, in the visitor's language: for the form as a whole, and for each field."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from wtai.ai.specialists import WrongFeature
from wtai.ai.tools.http_store import InvalidHttpTool
from wtai.clock import SECOND
from wtai.conversation.template_views_store import TemplateExists
from wtai.errors import StaleVersion
from wtai.hooks.model import EndpointDisabled, InvalidEndpoint
from wtai.identity.access import UnknownScope
from wtai.identity.passwords import PasswordsBusy, WeakPassword
from wtai.identity.quota import QuotaReached
from wtai.identity.throttle import Throttled
from wtai.identity.users_store import EmailTaken, LastAdmin, WrongEmail
from wtai.web.console.page import Visit
from wtai.web.problems import INVALID, Fault, Problem

_UNPROCESSABLE: Final = 422
_NUMBERS: Final = ("int_", "float_", "decimal_", "finite_")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a form is shown again: ``said`` above it, ``faults`` by the names of its fields."""

    said: str = ""
    faults: Mapping[str, str] = field(default_factory=dict)
    status: int = 200


class Refused(Problem):
    """A field does not fit, in words of the visitor's language; without a name it is the form as a whole."""

    def __init__(self, name: str, words: str) -> None:
        super().__init__(INVALID, words, [Fault(name, words)])


REFUSALS: Final = (
    Refused,
    ValidationError,
    StaleVersion,
    WrongFeature,
    InvalidHttpTool,
    InvalidEndpoint,
    EndpointDisabled,
    TemplateExists,
    EmailTaken,
    WrongEmail,
    LastAdmin,
    QuotaReached,
    WeakPassword,
    UnknownScope,
    Throttled,
    PasswordsBusy,
)
"""The errors after which a form is shown again; all others are told as any page tells them."""


def refusal(visit: Visit, error: Exception) -> Refusal:
    """What to say of an error of REFUSALS."""
    match error:
        case ValidationError():
            return _of_model(visit, error)
        case WrongFeature(__cause__=ValidationError() as cause):
            return _of_model(visit, cause)
        case Refused(detail=words, faults=[fault]):
            faults = {fault.pointer: words} if fault.pointer else {}
            return Refusal("" if faults else words, faults, _UNPROCESSABLE)
        case StaleVersion():
            return Refusal(_stale(visit), status=412)
        case Throttled(retry_after_ms=wait):
            seconds = -(-wait // SECOND)
            return Refusal(visit.text("Too many attempts. Try again in %(seconds)s s.") % {"seconds": seconds}, status=429)
        case PasswordsBusy():
            return Refusal(visit.text("Many people are logging in. Try again in a moment."), status=503)
        case LastAdmin() | QuotaReached() | EndpointDisabled():
            return Refusal(_conflict(visit, error), status=409)
    name, words = _at_field(visit, error)
    return Refusal(faults={name: words}, status=_UNPROCESSABLE)


def _stale(visit: Visit) -> str:
    return visit.text(
        "Somebody else changed this while you were at it. What you typed is still here: look at what they did, and save again "
        "to put yours in its place."
    )


def _conflict(visit: Visit, error: LastAdmin | QuotaReached | EndpointDisabled) -> str:
    match error:
        case LastAdmin():
            return visit.text("This is the last administrator who may log in. Make another one first.")
        case QuotaReached(quota="users", limit=limit):
            return visit.text("Your plan has room for %(limit)s people who log in. Switch somebody off, or change the plan.") % {
                "limit": limit
            }
        case QuotaReached(limit=limit):
            return visit.text("Your plan has room for %(limit)s numbers. Disconnect one, or change the plan.") % {"limit": limit}
    return visit.text("This endpoint is switched off. Switch it on first.")


def _at_field(visit: Visit, error: Exception) -> tuple[str, str]:
    """The field that an error is about, and what to say there."""
    match error:
        case EmailTaken():
            return "email", visit.text("Somebody of your team has this e-mail address already.")
        case WrongEmail():
            return "email", _pattern(visit, "email")
        case WeakPassword():
            return "password", visit.text("Take at least 10 characters, and none of the passwords that everybody tries first.")
        case UnknownScope():
            return "scopes", visit.text("This role cannot do all of this. Take fewer rights, or another role.")
        case TemplateExists():
            return "name", visit.text("There is a template of this name in this language already.")
        case WrongFeature():
            return "name", visit.text(
                "Take up to 40 lower case letters from a to z, digits and underscores, a letter first, and none of the program's "
                "own names."
            )
        case InvalidEndpoint(pointer=pointer) | InvalidHttpTool(pointer=pointer):
            return _of_pointer(visit, pointer, str(error).partition(": ")[2])
    raise error


def _of_pointer(visit: Visit, pointer: str, detail: str) -> tuple[str, str]:
    name = pointer.split("/")[1] if pointer else ""
    match name:
        case "url":
            return "url", visit.text("Take a public address that begins with https://, without a user name in it.")
        case "events":
            return "events", visit.text("Choose at least one event.")
        case "name":
            return "name", visit.text("Take lower case letters, digits and underscores, and none of the program's own names.")
        case "description":
            return "description", visit.text("Say what it does and when to use it, in up to 1,000 characters.")
        case "":
            return "url", visit.text("There is no room for another one. Delete one first.")
    return name, detail


def _of_model(visit: Visit, error: ValidationError) -> Refusal:
    faults: dict[str, str] = {}
    for found in error.errors(include_url=False, include_input=False):
        name = str(found["loc"][0]) if found["loc"] else "confirm_threshold"
        faults.setdefault(name, _of_kind(visit, name, found))
    return Refusal(faults=faults, status=_UNPROCESSABLE)


def _of_kind(visit: Visit, name: str, found: ErrorDetails) -> str:
    """What is wrong, by pydantic's kind of error (docs.pydantic.dev, validation errors)."""
    kind, limits = found["type"], found.get("ctx", {})
    if kind == "string_pattern_mismatch":
        return _pattern(visit, name)
    if kind == "value_error":
        return _own_rule(visit, name)
    if kind == "string_too_short" and limits["min_length"] == 1:
        kind = "missing"
    words = {
        "missing": visit.text("Write something here."),
        "string_too_short": visit.text("Take at least %(min_length)s characters."),
        "string_too_long": visit.text("Take at most %(max_length)s characters."),
        "too_short": visit.text("Name at least one."),
        "too_long": visit.text("Name at most %(max_length)s."),
        "greater_than_equal": visit.text("Take %(ge)s or more."),
        "less_than_equal": visit.text("Take %(le)s or less."),
        "literal_error": visit.text("Choose one of the list."),
    }
    number = visit.text("Write a number, such as 60.")
    return words.get(kind, number if kind.startswith(_NUMBERS) else found["msg"].replace("%", "%%")) % limits


def _pattern(visit: Visit, name: str) -> str:
    """How a field has to look."""
    words = {
        "email": visit.text("An e-mail address looks like ana@example.com."),
        "account_sid": visit.text("It begins with AC and has 32 digits from 0 to f after it, as Twilio shows it."),
        "auth_token": visit.text("Paste the token as Twilio shows it, without blanks."),
        "secondary_token": visit.text("Paste the token as Twilio shows it, without blanks."),
        "numbers": visit.text("A number looks like whatsapp:+5511987654321, or +5511987654321 for SMS."),
        "number": visit.text("A number looks like whatsapp:+5511987654321, or +5511987654321 for SMS."),
        "content_sid": visit.text("It begins with HX and has 32 digits from 0 to f after it, as Twilio shows it."),
        "name": visit.text("Take lower case letters, digits and underscores."),
        "currency": visit.text("Three letters, such as BRL."),
    }
    return words.get(name, visit.text("This does not fit here."))


def _own_rule(visit: Visit, name: str) -> str:
    match name:
        case "time_zone":
            return visit.text("Take a time zone such as America/Sao_Paulo.")
        case "confirm_threshold":
            return visit.text("To ask cannot take more confidence than to close.")
        case "end":
            return visit.text("The end comes after the start. Past midnight, write two shifts.")
    return visit.text("This does not fit here.")
