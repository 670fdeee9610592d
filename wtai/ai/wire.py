"""What both OpenAI wire formats share: text a strict server accepts, and errors that are told apart."""

import re
from collections.abc import Iterable, Mapping
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json, to_json

from wtai.ai.llm import ToolCall
from wtai.errors import LlmUnavailable
from wtai.ids import public_id

EMPTY_ARGUMENTS = "{}"
_NOT_IN_A_NAME = re.compile(r"[^a-zA-Z0-9_-]")
_MAX_NAME = 64

M = TypeVar("M", bound=BaseModel)


def parsed(model: type[M], raw: bytes) -> M:
    """The body as ``model``; LlmUnavailable if it is something else, such as a proxy's HTML page."""
    try:
        return model.model_validate_json(raw)
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors(include_url=False, include_input=False)[0]["loc"])
        raise LlmUnavailable(
            f"the model server's answer is not of its API (at {where or 'the start'}): check openai.base_url and openai.api",
            code="malformed_response",
        ) from None


def distinct(received: Iterable[ToolCall]) -> tuple[ToolCall, ...]:
    """The calls with an id each. A call without one gets it here; the same call sent twice under one id counts once."""
    calls: dict[str, ToolCall] = {}
    for call in received:
        taken = calls.get(call.id)
        if call.id and taken == call:
            continue
        call_id = call.id if call.id and taken is None else public_id("call")
        calls[call_id] = ToolCall(call_id, call.name, call.arguments)
    return tuple(calls.values())


def arguments_text(arguments: str | Mapping[str, object] | None) -> str:
    """The arguments as text: verbatim, or written out where a server sent an object or nothing."""
    match arguments:
        case None:
            return ""
        case str():
            return arguments
        case _:
            return to_json(arguments).decode()


def sendable_arguments(arguments: str) -> str:
    """Arguments as they may stand in a history: servers that read them back refuse a request over anything but a JSON object.

    What the model wrote stays visible to it, under ``invalid_arguments``.
    """
    if not arguments.strip():
        return EMPTY_ARGUMENTS
    try:
        well_formed = from_json(arguments, allow_inf_nan=False).__class__ is dict
    except ValueError:
        well_formed = False
    return arguments if well_formed else to_json({"invalid_arguments": arguments}).decode()


def sendable_name(name: str) -> str:
    """A tool name as it may stand in a history: OpenAI refuses others even where its own model made them up."""
    return _NOT_IN_A_NAME.sub("_", name)[:_MAX_NAME] or "unnamed"
