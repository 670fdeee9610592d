"""The models every resource builds on."""

import re
from datetime import UTC, datetime
from typing import Annotated, Generic, Literal, TypeVar

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

V = TypeVar("V", bound=BaseModel)

_DATE_AND_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ].+")


def _written_out(value: object) -> datetime:
    """A number may be seconds or milliseconds since some day: only what is written out is taken (RFC 3339)."""
    if not isinstance(value, str) or not _DATE_AND_TIME.fullmatch(value):
        raise ValueError("must be a date and time with its offset, such as 2026-01-31T12:00:00Z")
    return datetime.fromisoformat(value)


Id = Annotated[str, Field(min_length=1, max_length=64, description="A public id.")]
Line = Annotated[str, Field(min_length=1, max_length=200, pattern=r"\S")]
Email = Annotated[str, Field(min_length=3, max_length=320, pattern=r"^[^@\s]+@[^@\s]+$")]
NewPassword = Annotated[str, Field(min_length=10, max_length=1024)]
Moment = Annotated[AwareDatetime, BeforeValidator(_written_out)]
Locale = Literal["pt-BR", "es", "en"]


class Given(BaseModel):
    """A body, or the parameters of a query: unknown members are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class View(BaseModel):
    """What is shown of something."""

    model_config = ConfigDict(frozen=True)


class Identified(View):
    """Something with a public id."""

    id: str


class Versioned(Identified):
    """Something that changes: its ``version`` is its ``ETag``."""

    version: int


class Page(View, Generic[V]):
    """A part of a list; ``next`` is the cursor of the part behind it, null at the end."""

    items: list[V]
    next: str | None


class Paging(Given):
    """What every list takes."""

    limit: Annotated[int, Field(ge=1, le=200, description="Most items of a page.")] = 50
    cursor: Annotated[str | None, Field(max_length=256, description="`next` of the page before.")] = None


def at(milliseconds: int) -> datetime:
    """A time as the API shows it."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def at_or_none(milliseconds: int | None) -> datetime | None:
    """The same of a time that may be none."""
    return None if milliseconds is None else at(milliseconds)
