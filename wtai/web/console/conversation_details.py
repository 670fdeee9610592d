"""What messages carry beside their text, read for people: places, buttons, advertisements, contacts."""

import json
import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode, urlsplit

from pydantic import BaseModel, ConfigDict, ValidationError

_MAP: Final = "https://www.openstreetmap.org/"
_MOST_CONTACTS, _MOST_LINES = 10, 400
_FOLDED: Final = re.compile(r"\r?\n[ \t]")
_LINE: Final = re.compile(r"(?:[\w-]+\.)?(?P<name>[\w-]+)(?P<parameters>(?:;[^:;]*)*):(?P<value>.*)")


class _Detail(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Location(_Detail):
    """A place, in degrees."""

    latitude: float
    longitude: float
    label: str = ""
    address: str = ""

    @property
    def link(self) -> str:
        """Where a map shows it."""
        at = f"{self.latitude:.6f}", f"{self.longitude:.6f}"
        return f"{_MAP}?{urlencode({'mlat': at[0], 'mlon': at[1]})}#map=16/{at[0]}/{at[1]}"


class Button(_Detail):
    """What was pressed."""

    text: str = ""
    payload: str = ""


class Choice(_Detail):
    """What was picked from a list."""

    title: str = ""
    id: str = ""


class Referral(_Detail):
    """The advertisement that led here."""

    headline: str = ""
    body: str = ""
    source_url: str = ""

    @property
    def link(self) -> str:
        """Its address where that is one of the web; else empty."""
        return self.source_url if urlsplit(self.source_url).scheme in ("http", "https") else ""


class Details(_Detail):
    """All that is shown of a message's details."""

    location: Location | None = None
    button: Button | None = None
    list: Choice | None = None
    referral: Referral | None = None
    forwarded: bool = False
    frequently_forwarded: bool = False


NONE: Final = Details()


def details_of(text: str | None) -> Details:
    """The details of a message from their JSON; none where they are of another shape."""
    if text is None:
        return NONE
    try:
        return Details.model_validate_json(text)
    except ValidationError:
        return NONE


def variables_of(text: str | None) -> dict[str, str]:
    """A template's variables, by their names."""
    return {str(name): str(value) for name, value in json.loads(text).items()} if text else {}


@dataclass(frozen=True, slots=True)
class Contact:
    """Somebody on a card that was sent."""

    name: str
    numbers: tuple[str, ...]


def contacts_of(card: str) -> list[Contact]:
    """The people on a vCard (RFC 6350), up to ten."""
    found: list[Contact] = []
    name, numbers = "", []
    for line in _FOLDED.sub("", card).splitlines()[:_MOST_LINES]:
        match = _LINE.fullmatch(line.strip())
        if match is None:
            continue
        value = match["value"].replace("\\,", ",").replace("\\;", ";").replace("\\n", " ").strip()
        match match["name"].upper():
            case "FN":
                name = value
            case "TEL" if value:
                numbers.append(value.removeprefix("tel:"))
            case "END":
                if name or numbers:
                    found.append(Contact(name, tuple(numbers)))
                name, numbers = "", []
    return found[:_MOST_CONTACTS]
