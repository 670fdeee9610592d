"""One transcript case as the program sees it: its agents, their tools, and a record of what ran for whom."""

import asyncio
import builtins
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from wtai.ai.agent import HANDOFF_PREFIX, Agent, Handoff
from wtai.ai.llm import Assistant, Message, System, ToolCall, ToolResult, User
from wtai.ai.loop import Limits
from wtai.ai.tools.schema import arguments_of
from wtai.ai.tools.tool import AnyTool, Arguments, Effect, Tool, ToolContext
from wtai.db.tx import OwnerTx

Json = dict[str, Any]

ROUTER = "router"
_IDENTITIES = ("owner_id", "user_id", "conversation_id")
_LOOKS = ("get_", "list_", "search_", "find_", "load_", "current_", "count_")
"""How the names of tools begin that change nothing; every other tool is taken for one that does."""


@dataclass(frozen=True)
class ToolRun:
    """One run of a tool: ``context`` in the case's own names, ``inputs`` how many user messages had been given."""

    name: str
    args: Json
    context: Json
    inputs: int


@dataclass
class Recorder:
    """What the case's tools did. ``known`` holds the case's names for the numbers that identify people in the program."""

    identities: Json
    behaviours: Mapping[str, list[Json]]
    known: dict[tuple[str, int], str] = field(default_factory=dict)
    runs: list[ToolRun] = field(default_factory=list)
    inputs: int = 0

    def know(self, **numbers: int) -> None:
        """These numbers are the case's people, as ``owner_id=…``; every other one is somebody else."""
        for key, number in numbers.items():
            self.known[(key, number)] = str(self.identities.get(key, "none"))

    async def run(self, name: str, context: ToolContext, arguments: Arguments) -> object:
        """Run as the case says: the n-th behaviour for the n-th run, the last one from then on."""
        seen = {
            key: self.known.get((key, getattr(context, key)), "somebody else") for key in _IDENTITIES if key in self.identities
        }
        earlier = sum(run.name == name for run in self.runs)
        self.runs.append(ToolRun(name, arguments.model_dump(mode="json", exclude_unset=True), seen, self.inputs))
        behaviours = self.behaviours.get(name) or [{"return": {"ok": True}}]
        return await _behave(behaviours[min(earlier, len(behaviours) - 1)])


def limits(case: Json) -> Limits:
    """The case's knobs; what it does not set is the program's default."""
    config, default = case.get("config", {}), Limits()
    return Limits(
        max_turns=config.get("max_turns", default.max_turns),
        max_tool_failures=config.get("max_tool_failures", default.max_tool_failures),
        max_tool_output_chars=config.get("max_tool_output_chars", default.max_tool_output_chars),
        llm_retries=config.get("llm_retries", default.llm_retries),
    )


def agents(case: Json, recorder: Recorder) -> dict[str, Agent]:
    """The case's agents by name, without the router."""
    workshop = _Workshop(case, recorder)
    return {name: workshop.agent(name, spec) for name, spec in case["agents"].items() if name != ROUTER}


def elsewhere(case: Json, recorder: Recorder) -> Agent:
    """An agent nobody can reach, with the tools that exist in the process but not for this case's agents."""
    workshop = _Workshop(case, recorder)
    return Agent("elsewhere", "", tuple(map(workshop.tool, _specs(case.get("registered_elsewhere", [])))))


def history(case: Json) -> list[Message]:
    """The messages stored before the case begins."""
    return [_message(message) for message in case.get("history", [])]


def _specs(tools: object) -> list[Json]:
    """Function specs, from a list of tools or names, or from such lists by agent."""
    if isinstance(tools, dict):
        return [spec for part in tools.values() for spec in _specs(part.get("tools", []) if isinstance(part, dict) else part)]
    listed: Iterable[Any] = tools if isinstance(tools, list) else []
    return [{"name": tool} if isinstance(tool, str) else tool.get("function", tool) for tool in listed]


@dataclass(frozen=True)
class _Workshop:
    """Makes the agents and tools of one case."""

    case: Json
    recorder: Recorder

    def agent(self, name: str, spec: Json) -> Agent:
        functions = _specs(spec.get("tools", []))
        tools = tuple(self.tool(function) for function in functions if not function["name"].startswith(HANDOFF_PREFIX))
        handoffs = tuple(
            Handoff(function["name"].removeprefix(HANDOFF_PREFIX), function.get("description", ""))
            for function in functions
            if function["name"].startswith(HANDOFF_PREFIX)
        )
        return Agent(name, spec["system"], tools, handoffs, description=spec.get("description", ""))

    def tool(self, function: Json) -> AnyTool:
        name, recorder = function["name"], self.recorder
        schema = function.get("parameters") or {"type": "object", "properties": {}}

        async def run(context: ToolContext, arguments: Arguments) -> object:
            return await recorder.run(name, context, arguments)

        def question(_tx: OwnerTx, _context: ToolContext, arguments: Arguments) -> str:
            what = function.get("description") or name
            return f"Posso fazer isto: {what} {arguments.model_dump_json(exclude_unset=True)}?"

        confirm = self.case.get("tool_policy", {}).get(name) == "confirm"
        looks = name.startswith(_LOOKS)
        return Tool(
            name,
            function.get("description", ""),
            _arguments(name, schema),
            run=run,
            effect=Effect.IRREVERSIBLE if confirm else Effect.READ if looks else Effect.REVERSIBLE,
            question=question if confirm else None,
            timeout_seconds=self.case.get("config", {}).get("tool_timeout_s", 15.0),
        )


def _arguments(name: str, schema: Json) -> type[Arguments]:
    """The type for ``schema`` as a tool's author would write it: without identities, which stay refused as unknown."""
    properties = {key: part for key, part in schema.get("properties", {}).items() if key not in _IDENTITIES}
    required = [key for key in schema.get("required", []) if key in properties]
    return arguments_of(name, {**schema, "properties": properties, "required": required})


def _message(message: Json) -> Message:
    match message["role"]:
        case "user":
            return User(message["content"])
        case "system":
            return System(message["content"])
        case "tool":
            return ToolResult(message["tool_call_id"], message["content"])
        case _:
            calls = (
                ToolCall(call["id"], call["function"]["name"], call["function"]["arguments"])
                for call in message.get("tool_calls") or ()
            )
            return Assistant(message.get("content") or "", tuple(calls))


async def _behave(behaviour: Json) -> object:
    await asyncio.sleep(behaviour.get("sleep_s", 0))
    if "raise" in behaviour:
        kind = getattr(builtins, behaviour["raise"], RuntimeError)
        raise kind(behaviour.get("message", ""))
    if "return_text_repeat" in behaviour:
        text, times = behaviour["return_text_repeat"]
        return text * times
    return _python(behaviour["return_python"]) if "return_python" in behaviour else behaviour.get("return")


def _python(value: object) -> object:
    """``Decimal(1.50)`` and ``datetime(2025,10,1)`` in texts become such values."""
    if isinstance(value, dict):
        return {key: _python(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_python(part) for part in value]
    written = re.fullmatch(r"(Decimal|datetime|date)\((.*)\)", value) if isinstance(value, str) else None
    return _WRITTEN[written[1]](written[2].strip("'\"")) if written else value


def _moment(parts: str) -> datetime:
    year, month, day, *clock = (int(part) for part in parts.split(","))
    hour, minute, second = (*clock, 0, 0, 0)[:3]
    return datetime(year, month, day, hour, minute, second, tzinfo=UTC)


_WRITTEN: dict[str, Callable[[str], object]] = {
    "Decimal": Decimal,
    "datetime": _moment,
    "date": lambda parts: _moment(parts).date(),
}
