"""Bodies of requests: JSON that every reader understands alike, within bounds. What is ambiguous is refused, not interpreted.

Of two members of the same name readers take the first or the last; NaN is no JSON; half a surrogate pair and NUL are text that
no store keeps as it came (RFC 8259 §4, §6, §8.2; RFC 7493).
"""

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from wtai.web.problems import MALFORMED, Fault, Problem, pointer

MAX_DEPTH: Final = 32

_UNKEEPABLE: Final = re.compile("[\x00\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class _Repeated:
    """Stands for an object with two members of one name."""

    name: str


def check_json(body: bytes) -> None:
    """Problem, with a pointer, unless ``body`` is JSON in UTF-8 that can be kept as it is."""
    try:
        text = body.decode("utf-8")
        value = json.loads(text, object_pairs_hook=_members, parse_constant=_no_constant)
    except UnicodeDecodeError as exc:
        raise _malformed("", f"the body is not UTF-8 (byte {exc.start})") from exc
    except json.JSONDecodeError as exc:
        raise _malformed("", f"not JSON: {exc.msg} (line {exc.lineno}, column {exc.colno})") from exc
    except RecursionError as exc:
        raise _malformed("", f"nested more than {MAX_DEPTH} deep") from exc
    except ValueError as exc:  # a constant that is no JSON, or a number with thousands of digits
        raise _malformed("", "not JSON: a number that no reader takes") from exc
    for where, what in _faults(value):
        raise _malformed(where, what)


def unkeepable(text: str) -> bool:
    """Whether a text holds NUL or half a surrogate pair."""
    return _UNKEEPABLE.search(text) is not None


def _faults(root: object) -> Iterator[tuple[str, str]]:
    """What cannot be taken, each with its pointer."""
    left: list[tuple[tuple[str | int, ...], Any]] = [((), root)]
    while left:
        path, value = left.pop()
        what = _fault(value, len(path))
        if what is not None:
            yield pointer(*path), what
        elif isinstance(value, list):
            left.extend(((*path, index), item) for index, item in enumerate(value))
        elif isinstance(value, dict):
            left.extend(((*path, _shown(name)), item) for name, item in value.items())


def _fault(value: object, depth: int) -> str | None:
    if depth > MAX_DEPTH:
        return f"nested more than {MAX_DEPTH} deep"
    match value:
        case _Repeated(name):
            return f"two members are called {_shown(name)}"
        case str() if unkeepable(value):
            return "holds NUL or half a surrogate pair"
        case float() if math.isinf(value):
            return "a number beyond all bounds"
        case dict() if any(unkeepable(name) for name in value):
            return "a name in it holds NUL or half a surrogate pair"
    return None


def _members(pairs: list[tuple[str, object]]) -> object:
    members: dict[str, object] = {}
    for name, value in pairs:
        if name in members:
            return _Repeated(name)
        members[name] = value
    return members


def _no_constant(name: str) -> object:
    raise ValueError(name)


def _shown(name: str) -> str:
    """A name that a pointer can carry."""
    return _UNKEEPABLE.sub("\ufffd", name)[:200]


def _malformed(where: str, what: str) -> Problem:
    return Problem(MALFORMED, f"{where or 'the body'}: {what}", [Fault(where, what)])
