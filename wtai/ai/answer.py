"""Is a model's text something to say to a person? Weaker models answer with nothing, with data, or write a tool call as text."""

import re
from collections.abc import Iterator, Sequence

from pydantic_core import from_json

from wtai.ai.llm import ToolSpec

_MARKUP = re.compile(
    r"</?tool_call\b|</?function_call\b|<function=|<\|?tool_?calls?|\[TOOL_CALLS\]|<\|(?:channel|constrain|message)\|>",
    re.IGNORECASE,
)
_FENCE = re.compile(r"\A\s*```(?:json)?\s*(.*?)\s*```\s*\Z", re.DOTALL)
_ARGUMENT_KEYS = frozenset({"arguments", "parameters", "args"})
_MAX_OBJECTS = 8


def is_blank(text: str) -> bool:
    """Nothing a person could see: spaces, line breaks, invisible characters."""
    return not any(character.isprintable() and not character.isspace() for character in text)


def is_bare_json(text: str) -> bool:
    """A JSON object or array and nothing else, perhaps in a code block: the arguments of a call, or a router's answer."""
    fenced = _FENCE.match(text)
    try:
        return isinstance(from_json(fenced[1] if fenced else text), dict | list)
    except ValueError:
        return False


def is_tool_call_in_prose(text: str, tools: Sequence[ToolSpec]) -> bool:
    """A tool call written as text: in a model's own markup, as JSON, or as ``name(…)`` of a tool it has.

    It is not run: text may quote what a user dictated, and only the API's own calls carry authority.
    """
    if _MARKUP.search(text):
        return True
    names = [spec.name for spec in tools]
    return _is_written_call(text, names) or any(_is_call(found, names) for found in objects(text))


def _is_written_call(text: str, names: Sequence[str]) -> bool:
    return any(re.search(rf"(?<!\w){re.escape(name)}\((?:\s*[)\"'{{]|\s*\w+\s*[=:])", text) for name in names)


def objects(text: str) -> Iterator[dict[str, object]]:
    """The JSON objects in a text, outermost first, the first few."""
    position = text.find("{")
    for _ in range(_MAX_OBJECTS):
        if position < 0:
            return
        end = _closing(text, position)
        try:
            found = from_json(text[position:end])
        except ValueError:
            found = None
        if isinstance(found, dict):
            yield found
        position = text.find("{", end if found is not None else position + 1)


def _closing(text: str, start: int) -> int:
    """The index after the brace that closes the one at ``start``; the end of the text without one."""
    depth, quoted, escaped = 0, False, False
    for index in range(start, len(text)):
        character = text[index]
        if quoted:
            quoted = escaped or character != '"'
            escaped = character == "\\" and not escaped
        elif character == '"':
            quoted = True
        elif character in "{}":
            depth += 1 if character == "{" else -1
            if depth == 0:
                return index + 1
    return len(text)


def _is_call(found: dict[str, object], names: Sequence[str]) -> bool:
    function = found.get("function")
    named = function if isinstance(function, dict) else found
    name = next((value for key in ("name", "function", "tool", "tool_name") if isinstance(value := named.get(key), str)), None)
    return "tool_calls" in found or (name is not None and (name in names or bool(_ARGUMENT_KEYS & named.keys())))
