"""Forms: what was typed stays when it is refused, and what is wrong is said at its field."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar

from aiohttp import web
from pydantic import BaseModel

from wtai.web.api.json_body import unkeepable
from wtai.web.console.page import Visit
from wtai.web.console.settings.words import REFUSALS, Refusal, refusal
from wtai.web.problems import MALFORMED, Problem

M = TypeVar("M", bound=BaseModel)

Again = Callable[["Form"], Awaitable[web.Response]]
"""Shows the page of a form once more."""


@dataclass(frozen=True, slots=True)
class Form:
    """A form as it is shown: ``given`` is what was sent, None before anything was; ``refused`` is why it is shown again."""

    given: Mapping[str, str] | None = None
    refused: Refusal = field(default_factory=Refusal)

    @property
    def status(self) -> int:
        """Of the answer that shows it."""
        return self.refused.status

    def value(self, name: str, kept: object = None) -> str:
        """What stands in a field: what was typed, else what is kept."""
        if self.given is not None and name in self.given:
            return self.given[name]
        return "" if kept is None else str(kept)

    def ticked(self, name: str, kept: bool = False) -> bool:
        """Whether a box is ticked."""
        return kept if self.given is None else name in self.given

    def fault(self, name: str) -> str:
        """What is wrong with a field; empty if nothing is."""
        return self.refused.faults.get(name, "")


BLANK: Final = Form()


async def sent(
    visit: Visit, work: Callable[[Mapping[str, str]], Awaitable[web.Response]], again: Again, *, hidden: tuple[str, ...] = ()
) -> web.Response:
    """Do what a form asks for; refused, it is shown again. ``hidden`` fields are secrets, which no page gives back."""
    given = {name: value.replace("\r\n", "\n") for name, value in (await visit.form()).items()}
    if any(unkeepable(value) for value in given.values()):
        raise Problem(MALFORMED, "the form holds what is no text")
    try:
        return await work(given)
    except REFUSALS as exc:
        shown = {name: value for name, value in given.items() if name not in hidden}
        return await again(Form(shown, refusal(visit, exc)))


def read(model: type[M], given: Mapping[str, str], **more: object) -> M:
    """The form as the API's own model of it: a field that is left blank is absent. ValidationError."""
    said = {name: given[name].strip() for name in model.model_fields if given.get(name, "").strip()}
    return model.model_validate({**said, **more})


def version_of(given: Mapping[str, str]) -> int | None:
    """The version that the visitor saw; None if the form tells none, and so is for any."""
    text = given.get("version", "")
    return int(text) if text.isdecimal() and len(text) < 19 else None


def key_of(text: str | None) -> int | None:
    """A position in a list, from the query; None at its beginning."""
    return int(text) if text is not None and text.isdecimal() and len(text) < 19 else None


def lines(text: str) -> list[str]:
    """A field that holds one thing a line."""
    return [line.strip() for line in text.splitlines() if line.strip()]
