"""How a scripted model deals with a topic: a plan that asks for one tool call after the other, and ends with words.

A plan is run from its beginning for each request: the calls that were answered already give it their results, the first that was
not is what the model asks for now.
"""

import json
import re
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Final

from pydantic import JsonValue

from wtai.simulator.heard import Heard

Values = dict[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Want:
    """A call that is wanted, with more values than the tool may know. ``otherwise`` is said if it fails."""

    tool: str
    values: Values = field(default_factory=dict)
    otherwise: str | None = None


Plan = Generator[Want, JsonValue, str]
"""Asks for calls, is given their results, and returns what to say."""


def _alone(heard: Heard) -> Sequence[Heard]:
    return (heard,)


@dataclass(frozen=True, slots=True)
class Intent:
    """A topic. Without a ``plan``, or where its tool is not to be had, ``offline`` is said; ``label`` where a tool failed.

    ``family`` is the specialist it belongs to; a ``social`` topic belongs to any. ``parts`` are planned one by one.
    """

    label: str
    pattern: re.Pattern[str]
    offline: Callable[[Heard], str]
    plan: Callable[[Heard], Plan] | None = None
    family: str = "general"
    social: bool = False
    parts: Callable[[Heard], Sequence[Heard]] = _alone


def about(pattern: str) -> re.Pattern[str]:
    """Any of the alternatives, as whole words of folded text."""
    return re.compile(rf"\b(?:{pattern})\b")


def plain(result: JsonValue) -> str:
    """A result as a person would read it."""
    match result:
        case dict():
            return ", ".join(f"{name}: {plain(item)}" for name, item in result.items())
        case list():
            return "; ".join(map(plain, result)) or "nada"
        case _:
            return str(result)


def at(value: JsonValue, *path: str) -> JsonValue:
    """What stands at ``path`` in nested objects; None where nothing does."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def text_at(value: JsonValue, *path: str) -> str:
    """As :func:`at`, as text; empty where nothing stands."""
    found = at(value, *path)
    return "" if found is None else str(found)


def items_at(value: JsonValue, *path: str) -> list[JsonValue]:
    """As :func:`at`, a list."""
    found = at(value, *path)
    return found if isinstance(found, list) else []


def read(result: str) -> JsonValue:
    """A tool's result: JSON, else text."""
    try:
        value: JsonValue = json.loads(result)
    except ValueError:
        return result
    return value


_ISO: Final = re.compile(r"\d{4}-(\d{2})-(\d{2})")


def day_month(day: str) -> str:
    """``2026-11-20`` as ``20/11``."""
    found = _ISO.search(day)
    return f"{found[2]}/{found[1]}" if found else day
