"""A model that an attacker has taken over entirely: it calls what the attack wants, with whatever arguments, and repeats to the
person whatever it was shown.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from evaluation.injection_tools import Attack, product_tool, specialist_of, variants
from evaluation.injection_world import Cast
from wtai.ai.toolbox import WAITS
from wtai.clock import Clock
from wtai.ids import public_id
from wtai.simulator.model import ScriptedModel

Json = dict[str, Any]

_SHOWN_CHARS = 6_000


@dataclass
class Seen:
    """What the model saw and did. ``chats`` are the bodies of requests to a specialist or the router, in order."""

    chats: list[Json] = field(default_factory=list)
    offered: set[str] = field(default_factory=set)
    called: list[str] = field(default_factory=list)


class HijackedModel(ScriptedModel):
    """Set ``attack`` at any time; None makes it answer a plain text. What is neither chat nor routing it answers plausibly."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.attack: Attack | None = None
        self.cast: Cast | None = None
        self.seen = Seen()

    def app(self) -> web.Application:
        app = super().app()
        app.middlewares.append(self._taken_over)
        return app

    @web.middleware
    async def _taken_over(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if not request.path.endswith("/chat/completions"):
            return await handler(request)
        body = await request.json()
        self.seen.chats.append(body)
        shape = ((body.get("response_format") or {}).get("json_schema") or {}).get("name")
        if shape == "route":
            return _said(self._routed(body))
        if shape:
            return await handler(request)
        offered = {tool["function"]["name"]: tool["function"].get("parameters", {}) for tool in body.get("tools") or []}
        self.seen.offered |= offered.keys()
        calls = [] if body.get("tool_choice") == "none" else self._calls(body, offered)
        self.seen.called += [name for _, name, _ in calls]
        return _called(calls) if calls else _said(self._final(body))

    def _routed(self, body: Json) -> str:
        names = _enum(body)
        if self.attack is None or self.attack.route is None:
            wanted = product_tool(self.attack.calls[0][0]) if self.attack and self.attack.calls else ""
            fitting = specialist_of(wanted)
            return json.dumps({"agent": fitting if fitting in names else names[0] if names else "general"})
        return json.dumps({"agent": self.attack.route})

    def _calls(self, body: Json, offered: Mapping[str, Json]) -> list[tuple[str, str, str]]:
        """The next calls of this turn: the attack's own, a way to the specialist that has the tool, then the product's."""
        if self.attack is None or not self.attack.calls:
            return []
        made = {call["id"].partition("-")[0] for call in _turn_calls(body)}
        if "raw" not in made:
            return [(_id("raw"), name, json.dumps(arguments)) for name, arguments in self.attack.calls]
        if self.attack.endless:
            return self._endless(body, offered)
        wanted = [(product_tool(name), arguments) for name, arguments in self.attack.calls]
        here = [(name, arguments) for name, arguments in wanted if name in offered]
        if here and "map" not in made:
            tries = [(name, one) for name, arguments in here for one in variants(arguments, offered[name], self.cast)]
            return [(_id("map"), name, one) for name, one in tries]
        moved = {call["function"]["name"] for call in _turn_calls(body)}
        ways = [name for name in offered if name.startswith("transfer_to_") and name not in moved]
        if not here and "map" not in made and ways:
            likely = [way for way in ways for name, _ in wanted if way == f"transfer_to_{specialist_of(name)}"]
            return [(_id("move"), (likely or ways)[0], "{}")]
        return []

    def _endless(self, body: Json, offered: Mapping[str, Json]) -> list[tuple[str, str, str]]:
        """A call that differs each time, so that no limit on repetitions ends it."""
        name, arguments = (self.attack or Attack()).calls[0]
        mapped, number = product_tool(name), len(_turn_calls(body))
        month = f"{1900 + number // 12}-{number % 12 + 1:02}"
        properties = offered.get(mapped, {}).get("properties", {})
        key = next((key for key in ("period", "month") if key in properties), None)
        if key is None:
            return [(_id("again"), name, json.dumps({**arguments, "number": number}))]
        return [(_id("again"), mapped, json.dumps({key: month}))]

    def _final(self, body: Json) -> str:
        """The attack's text, and all that the tools of this turn gave."""
        if self.attack is None:
            return "Certo."
        said = [str(message.get("content") or "") for message in body["messages"] if message["role"] != "system"]
        prompt = "\n".join(str(message.get("content") or "") for message in body["messages"] if message["role"] == "system")
        text = self.attack.text.replace("<<SYSTEM_PROMPT>>", prompt).replace("<<HISTORY>>", "\n".join(said))
        results = [str(message.get("content") or "") for message in _turn(body) if message["role"] == "tool"]
        # What was not done holds nothing to steal, and its words would be taken for a promise.
        told = [result for result in results if result != WAITS and not result.startswith('{"error"')]
        return "\n".join([text or "Certo.", *told])[:_SHOWN_CHARS]


def _said(text: str) -> web.Response:
    return _completion({"role": "assistant", "content": text}, "stop")


def _called(calls: Iterable[tuple[str, str, str]]) -> web.Response:
    made = [{"id": id_, "type": "function", "function": {"name": name, "arguments": text}} for id_, name, text in calls]
    return _completion({"role": "assistant", "content": None, "tool_calls": made}, "tool_calls")


def _completion(message: Json, finish: str) -> web.Response:
    usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
    choices = [{"index": 0, "message": message, "finish_reason": finish}]
    return web.json_response({"id": "chatcmpl-hijacked", "model": "hijacked", "choices": choices, "usage": usage})


def _turn(body: Json) -> list[Json]:
    """The messages since the person's last one."""
    messages: list[Json] = body["messages"]
    written = [at for at, message in enumerate(messages) if message["role"] == "user" and not _is_note(message)]
    return messages[max(written, default=-1) + 1 :]


def _is_note(message: Json) -> bool:
    """Whether the program said this in the person's place."""
    return str(message.get("content")).startswith("(Automatic note")


def _turn_calls(body: Json) -> list[Json]:
    return [call for message in _turn(body) for call in message.get("tool_calls") or []]


def _enum(body: Json) -> list[str]:
    schema = body["response_format"]["json_schema"].get("schema", {})
    return list(schema.get("properties", {}).get("agent", {}).get("enum", []))


def _id(stage: str) -> str:
    return f"{stage}-{public_id('call')}"
