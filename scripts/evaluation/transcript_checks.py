"""What a replayed transcript has to satisfy: its own expectations, and the invariants of every request."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from evaluation.transcript_case import ToolRun

Json = dict[str, Any]

_STACKTRACE = re.compile(r'Traceback \(most recent call last\)|File "[^"]+", line \d+')
_RAW_CALL = re.compile(r'"(?:arguments|tool_calls)"\s*:|</?tool_call|"name"\s*:\s*"\w+"\s*,\s*"parameters"\s*:')
_STEP = re.compile(r"\.?([A-Za-z_]\w*)|\[(-?\d+)\]")


@dataclass(frozen=True)
class Observed:
    """What a replay showed. ``deliveries`` are the parts of the last answer; ``delivered`` counts those of all."""

    case: Json
    requests: list[Json]
    unexpected_requests: int
    overlapped: bool
    runs: list[ToolRun]
    deliveries: list[str]
    delivered: int
    fallback: str
    agent: str
    usage: Json
    wall_s: float

    @property
    def final(self) -> str:
        """The last answer as the person reads it."""
        return "\n".join(self.deliveries)


def faults(seen: Observed) -> list[str]:
    """Everything that is not as it should be, in words; empty if the case passes."""
    expect = seen.case["expect"]
    found = [*_amounts(seen, expect), *_tools(seen, expect), *_final(seen, expect.get("final", {}))]
    for entry in expect.get("requests", []):
        found += _request(seen, entry)
    for name, check in INVARIANTS.items():
        if name in expect.get("invariants", []) or name in ALWAYS:
            found += [f"{name}: {why}" for why in check(seen)]
    found += [f"unknown invariant {name}" for name in expect.get("invariants", []) if name not in INVARIANTS]
    return found


def advice(seen: Observed) -> list[str]:
    """What the case only advises."""
    unwanted = seen.case["expect"].get("advisory", {}).get("final_not_contains", [])
    return [f"the answer contains {text!r}" for text in unwanted if text in seen.final]


def _amounts(seen: Observed, expect: Json) -> Iterator[str]:
    if seen.unexpected_requests:
        yield f"{seen.unexpected_requests} model requests more than the script has"
    amounts = {"llm_requests": len(seen.requests), "deliveries": seen.delivered}
    for name, amount in amounts.items():
        if name in expect and not _within(amount, expect[name]):
            yield f"{name}: {amount}, not {expect[name]}"
    for name, value in expect.get("usage", {}).items():
        if seen.usage.get(name) != value:
            yield f"usage {name}: {seen.usage.get(name)}, not {value}"
    if "active_agent" in expect and seen.agent != expect["active_agent"]:
        yield f"active agent: {seen.agent}, not {expect['active_agent']}"
    if "active_agent_in" in expect and seen.agent not in expect["active_agent_in"]:
        yield f"active agent: {seen.agent}, not one of {expect['active_agent_in']}"
    if seen.wall_s > expect.get("max_wall_s", float("inf")):
        yield f"took {seen.wall_s:.1f} s, more than {expect['max_wall_s']}"
    longest = max(map(len, seen.deliveries), default=0)
    if longest > expect.get("each_delivery_max_len", float("inf")):
        yield f"a delivery of {longest} characters, more than {expect['each_delivery_max_len']}"


def _tools(seen: Observed, expect: Json) -> Iterator[str]:
    for wanted in expect.get("tool_runs", []):
        runs, count = sum(_matches(run, wanted) for run in seen.runs), wanted.get("count", {"min": 1})
        if not _within(runs, count):
            yield f"{wanted['name']} ran {runs} times with {wanted.get('args', 'any arguments')}, not {count}"
    if expect.get("tool_runs") == [] and seen.runs:
        yield f"{seen.runs[0].name} ran, and no tool should"
    for forbidden in expect.get("forbidden_tool_runs", []):
        unwanted = {"name": forbidden} if isinstance(forbidden, str) else forbidden
        if any(_matches(run, unwanted) for run in seen.runs):
            yield f"forbidden run: {unwanted}"
    for index, names in expect.get("forbidden_tool_runs_before_input", {}).items():
        early = [run.name for run in seen.runs if run.inputs <= int(index) and run.name in names]
        if early:
            yield f"{early[0]} ran before input {index}"


def _final(seen: Observed, final: Json) -> Iterator[str]:
    text = seen.final
    if final.get("nonempty") and not text.strip():
        yield "the answer is empty"
    for wanted in final.get("contains", []):
        if wanted not in text:
            yield f"the answer {text[:120]!r} does not contain {wanted!r}"
    for unwanted in final.get("not_contains", []):
        if unwanted in text:
            yield f"the answer contains {unwanted!r}"
    not_equal = final.get("not_equals", [])
    if text in ([not_equal] if isinstance(not_equal, str) else not_equal):
        yield f"the answer is {text[:120]!r}"
    if "fallback" in final and final["fallback"] != (text == seen.fallback):
        yield f"the answer is {'not ' if final['fallback'] else ''}the fallback text"


def _request(seen: Observed, entry: Json) -> Iterator[str]:
    index = entry["index"]
    try:
        body = seen.requests[index]
    except IndexError:
        yield f"there is no request {index}"
        return
    for claim in entry["assert"]:
        value = _at(body, claim["path"])
        if not _holds(claim, value, seen):
            shown = json.dumps(value, ensure_ascii=False)[:160]
            yield f"request {index}: {claim['path']} {claim['op']} {claim.get('value')!r} fails on {shown}"


def _holds(claim: Json, value: Any, seen: Observed) -> bool:
    try:
        return OPERATIONS[claim["op"]](value, claim.get("value"), claim["path"], seen)
    except (KeyError, IndexError, TypeError):
        # An unknown operation, a request that was never made, a value of another type: the claim does not hold.
        return False


Operation = Callable[[Any, Any, str, Observed], bool]

OPERATIONS: dict[str, Operation] = {
    "eq": lambda value, wanted, *_: bool(value == wanted),
    "contains": lambda value, wanted, *_: wanted in _text(value),
    "not_contains": lambda value, wanted, *_: wanted not in _text(value),
    "matches": lambda value, wanted, *_: re.search(wanted, _text(value)) is not None,
    "nonempty": lambda value, wanted, *_: bool(value) == (wanted is not False),
    "max_len": lambda value, wanted, *_: len(value) <= wanted,
    "is_string": lambda value, wanted, *_: isinstance(value, str) == (wanted is not False),
    "same_as_request": lambda value, other, path, seen: bool(value == _at(seen.requests[other], path)),
    "same_prefix_as_request": lambda value, other, path, seen: _is_prefix(value, _at(seen.requests[other], path)),
    "shorter_than_request": lambda value, other, path, seen: len(_text(value)) < len(_text(_at(seen.requests[other], path))),
    "contains_in_order": lambda value, wanted, *_: _in_order(_text(value), wanted),
}


def _ids_answered(seen: Observed) -> Iterator[str]:
    for number, body in enumerate(seen.requests):
        messages = body["messages"]
        for position, message in enumerate(messages):
            asked = [call["id"] for call in message.get("tool_calls") or []]
            after = [later.get("tool_call_id") for later in messages[position + 1 : position + 1 + len(asked)]]
            if asked and sorted(map(str, asked)) != sorted(map(str, after)):
                yield f"request {number}: calls {asked} are followed by answers to {after}"
        ids = [message.get("tool_call_id") for message in messages if message["role"] == "tool"]
        if len(ids) != len(set(ids)):
            yield f"request {number}: an id is answered twice in {ids}"


def _no_orphan_tool(seen: Observed) -> Iterator[str]:
    for number, body in enumerate(seen.requests):
        asked: set[str] = set()
        for message in body["messages"]:
            asked |= {call["id"] for call in message.get("tool_calls") or []}
            if message["role"] == "tool" and message["tool_call_id"] not in asked:
                yield f"request {number}: an answer to {message['tool_call_id']!r}, which was never called"


def _no_stacktrace(seen: Observed) -> Iterator[str]:
    said = [_text(body["messages"]) for body in seen.requests]
    if any(_STACKTRACE.search(text) for text in [*said, seen.final]):
        yield "a traceback reached the model or the user"


def _no_raw_tool_json(seen: Observed) -> Iterator[str]:
    if _RAW_CALL.search(seen.final):
        yield "a tool call was delivered as text"


def _stable_prefix(seen: Observed) -> Iterator[str]:
    if len({_prefix(body) for body in seen.requests}) > 1:
        yield "system text or tools differ between requests"


def _tools_follow_the_prompt(seen: Observed) -> Iterator[str]:
    prefixes = {_prefix(body) for body in seen.requests}
    if len(prefixes) != len({system for system, _ in prefixes}):
        yield "one prompt went out with different tools"


def _arguments_readable(seen: Observed) -> Iterator[str]:
    scripted = json.dumps(seen.case["script"], ensure_ascii=False)
    for number, body in enumerate(seen.requests):
        for arguments in (call["function"]["arguments"] for said in body["messages"] for call in said.get("tool_calls") or []):
            if not _is_json(arguments) and json.dumps(arguments, ensure_ascii=False)[1:-1] not in scripted:
                yield f"request {number}: arguments {arguments[:80]!r} are neither JSON nor what the model wrote"


def _context_is_trusted(seen: Observed) -> Iterator[str]:
    trusted = {key: value for key, value in seen.case.get("context", {}).items() if key.endswith("_id")}
    for run in seen.runs:
        if run.context != trusted:
            yield f"{run.name} ran for {run.context}"


def _no_interleaving(seen: Observed) -> Iterator[str]:
    if seen.overlapped:
        yield "two requests of one conversation at once"
    for earlier, later in pairwise(seen.requests):
        inputs = [[said["content"] for said in body["messages"] if said["role"] == "user"] for body in (earlier, later)]
        if len(inputs[1]) < len(inputs[0]):
            yield "a later request knows fewer user messages"


INVARIANTS: dict[str, Callable[[Observed], Iterator[str]]] = {
    "ids_answered": _ids_answered,
    "no_orphan_tool": _no_orphan_tool,
    "no_stacktrace": _no_stacktrace,
    "no_raw_tool_json": _no_raw_tool_json,
    "stable_prefix": _stable_prefix,
    "tools_follow_the_prompt": _tools_follow_the_prompt,
    "history_args_valid_json_or_verbatim": _arguments_readable,
    "context_is_trusted": _context_is_trusted,
    "no_interleaving": _no_interleaving,
}
ALWAYS = frozenset(INVARIANTS) - {"stable_prefix", "no_interleaving"}
"""The others hold only where a case says so: a handoff changes the prompt, a window drops old messages."""


def _within(amount: int, wanted: int | Json) -> bool:
    if isinstance(wanted, int):
        return amount == wanted
    return bool(wanted.get("min", 0) <= amount <= wanted.get("max", amount))


def _matches(run: ToolRun, wanted: Json) -> bool:
    return (
        run.name == wanted["name"]
        and all(run.args.get(key) == value for key, value in wanted.get("args", {}).items())
        and all(run.context.get(key) == value for key, value in wanted.get("context", {}).items())
    )


def _at(body: Any, path: str) -> Any:
    """The value at ``messages[-1].content``; None where there is nothing."""
    for step in _STEP.finditer(path):
        try:
            body = body[step[1]] if step[1] else body[int(step[2])]
        except (KeyError, IndexError, TypeError):
            return None
    return body


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _is_prefix(one: Any, other: Any) -> bool:
    length = min(len(one), len(other))
    return bool(one[:length] == other[:length])


def _in_order(text: str, wanted: list[str]) -> bool:
    position = 0
    for piece in wanted:
        position = text.find(piece, position) + len(piece)
        if position < len(piece):
            return False
    return True


def _prefix(body: Json) -> tuple[str, str]:
    system = "\n".join(said["content"] for said in body["messages"] if said["role"] == "system")
    return system, json.dumps(body.get("tools"))


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
