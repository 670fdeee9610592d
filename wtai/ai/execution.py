"""One tool call: found, its arguments checked, run within its time, its result written down for the model."""

import asyncio
import traceback
from dataclasses import dataclass

import structlog
from pydantic import ValidationError
from pydantic_core import ErrorDetails, from_json, to_json

from wtai.ai.agent import Agent
from wtai.ai.llm import ToolCall
from wtai.ai.tools.tool import AnyTool, Arguments, ToolContext, ToolError

CUT_MARK = " …[cut]"

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Call:
    """What came of a tool call. ``result`` is the text the model reads; ``failed`` if that text is an error."""

    id: str
    name: str
    arguments: str
    result: str
    failed: bool
    milliseconds: int = 0


@dataclass(frozen=True, slots=True)
class Bounds:
    """``deadline``: the turn's, on the event loop's clock, in seconds. ``max_output_chars``: of a result, cut mark included."""

    deadline: float
    max_output_chars: int


def failed(call: ToolCall, message: str) -> Call:
    """A call that was not run, with what the model should know."""
    return Call(call.id, call.name, call.arguments, _error(message), failed=True)


async def executed(agent: Agent, call: ToolCall, context: ToolContext, bounds: Bounds) -> Call:
    """Run one call for ``context``. Never raises: whatever happens becomes a result that the model can read."""
    now = asyncio.get_running_loop().time
    started = now()
    # Not an ``except``: whatever a tool raises stays inside its own call, and the turn's own cancellation still goes through.
    (result,) = await asyncio.gather(_run(agent, call, context, bounds), return_exceptions=True)
    milliseconds = round((now() - started) * 1000)
    if isinstance(result, BaseException):
        return Call(call.id, call.name, call.arguments, _error(_explained(call, result)), failed=True, milliseconds=milliseconds)
    return Call(
        call.id, call.name, call.arguments, _cut(result, bounds.max_output_chars), failed=False, milliseconds=milliseconds
    )


async def _run(agent: Agent, call: ToolCall, context: ToolContext, bounds: Bounds) -> str:
    tool = agent.tool(call.name)
    if tool is None:
        available = ", ".join(spec.name for spec in agent.specs) or "none"
        raise ToolError(f"There is no tool of this name. Available tools: {available}.")
    arguments = _arguments(tool, call.arguments)
    async with asyncio.timeout_at(min(asyncio.get_running_loop().time() + tool.timeout_seconds, bounds.deadline)):
        value = await tool.run(context, arguments)
    return value if isinstance(value, str) else to_json(value, inf_nan_mode="null").decode()


def _arguments(tool: AnyTool, text: str) -> Arguments:
    """The arguments, typed. ToolError says what is wrong with them, for the model to call again."""
    text = text if text.strip() else "{}"
    try:
        value = from_json(text, allow_inf_nan=False)
    except ValueError:
        raise ToolError("The arguments are not valid JSON; nothing was run. Call again with one JSON object.") from None
    if not isinstance(value, dict):
        raise ToolError("The arguments are not a JSON object; nothing was run. Call again with one JSON object.")
    try:
        arguments: Arguments = tool.arguments.model_validate_json(text)
    except ValidationError as error:
        wrong = "; ".join(
            _wrong(detail) for detail in error.errors(include_url=False, include_context=False, include_input=False)
        )
        raise ToolError(f"The arguments do not fit the tool; nothing was run. {wrong}.") from None
    return arguments


def _wrong(detail: ErrorDetails) -> str:
    place = ".".join(str(part) for part in detail["loc"])
    return f"{place}: {detail['msg']}" if place else detail["msg"]


def _explained(call: ToolCall, error: BaseException) -> str:
    """What the model reads of an error. The error's own text may hold secrets or what the person wrote: it goes nowhere."""
    if isinstance(error, ToolError):
        return str(error)
    where = traceback.format_tb(error.__traceback__)[-1:]
    _log.warning("tool_failed", tool=call.name, error=type(error).__name__, where="".join(where).strip())
    if isinstance(error, TimeoutError):
        return "The tool did not finish in time; it is not known whether it took effect."
    return "The tool failed with an internal error and is unavailable for this request."


def _error(message: str) -> str:
    return to_json({"error": message}).decode()


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: max(0, limit - len(CUT_MARK))] + CUT_MARK
