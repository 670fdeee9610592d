"""The program's specialists and memories, answering from a record instead of doing or searching anything."""

import json
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import ValidationError

from wtai.ai.agent import Agent
from wtai.ai.memory.embedder import HashedEmbedder
from wtai.ai.memory.facts import by_public_id
from wtai.ai.memory.memories import Memories, Memory, Recall
from wtai.ai.memory.ranking import Parts
from wtai.ai.specialists import Roster, Specialists
from wtai.ai.tools.tool import AnyTool, Arguments, Effect, ToolContext, ToolError
from wtai.db.tx import Database, OwnerTx

Json = dict[str, Any]

NOT_RECORDED = "This call was not made when the conversation took place: its result is not recorded."


@dataclass
class Record:
    """What tools answered in one turn, call by call; the last answer to the same call repeats. ``actions`` are those that the
    person was asked about.
    """

    calls: list[Json] = field(default_factory=list)
    actions: tuple[Json, ...] = ()
    missing: int = 0
    _used: Counter[tuple[str, str]] = field(default_factory=Counter)

    def begin(self, calls: list[Json], actions: tuple[Json, ...]) -> None:
        """Answer for a turn with these calls and actions."""
        self.calls, self.actions, self.missing = calls, actions, 0
        self._used.clear()

    def question(self, tool: AnyTool, arguments: Arguments) -> str | None:
        """What the person was asked in this turn before such a call; None if nothing."""
        if not any(call.get("waits") for call in self._same(tool, arguments)):
            return None
        asked = arguments.model_dump_json()
        texts = (
            one["question"] for one in self.actions if one["tool"] == tool.name and _canonical(tool, one["arguments"]) == asked
        )
        return next(texts, None)

    def result(self, tool: AnyTool, arguments: Arguments) -> str:
        """The recorded result of this call; ToolError where it was an error, or is not recorded."""
        asked, same = arguments.model_dump_json(), self._same(tool, arguments)
        if not same:
            self.missing += 1
            raise ToolError(NOT_RECORDED)
        call = same[min(self._used[tool.name, asked], len(same) - 1)]
        self._used[tool.name, asked] += 1
        if call["failed"]:
            raise ToolError(_error(call["result"]))
        return str(call["result"])

    def _same(self, tool: AnyTool, arguments: Arguments) -> list[Json]:
        asked = arguments.model_dump_json()
        return [call for call in self.calls if call["name"] == tool.name and _canonical(tool, call["arguments"]) == asked]


class RecordedSpecialists(Specialists):
    """The program's specialists, whose tools answer from ``record``. ``prompts`` and ``one_model`` replace what they have."""

    def __init__(self, own: Specialists, *, router_prompt: str | None, one_model: bool) -> None:
        super().__init__((), router_model=None)
        self.record = Record()
        self._own = own
        self._router_prompt = router_prompt
        self._one_model = one_model

    def of(self, *about: Any, **more: Any) -> Roster:
        roster = self._own.of(*about, **more)
        agents = {name: self._recorded(agent) for name, agent in roster.agents.items()}
        router = replace(roster.router, prompt=self._router_prompt) if self._router_prompt else roster.router
        return replace(roster, agents=agents, router=router)

    def _recorded(self, agent: Agent) -> Agent:
        changed = replace(agent, tools=tuple(map(self._from_record, agent.tools)))
        return replace(changed, model=None) if self._one_model else changed

    def _from_record(self, tool: AnyTool) -> AnyTool:
        if tool.ends_turn:  # it does nothing by itself, and whether it is called is what one wants to see
            return tool
        record = self.record

        async def run(_context: ToolContext, arguments: Arguments) -> str:
            return record.result(tool, arguments)

        def asks(arguments: Arguments) -> bool:
            return record.question(tool, arguments) is not None

        def question(_tx: OwnerTx, _context: ToolContext, arguments: Arguments) -> str:
            return record.question(tool, arguments) or ""

        return replace(tool, work=None, run=run, effect=Effect.READ, asks=asks, question=question)


class RecordedMemories(Memories):
    """What was remembered in each turn: ``shown`` is what its result kept of that. What was forgotten since is left out."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, HashedEmbedder())
        self.shown: list[Json] = []
        self._facts = database

    async def recall(self, owner_id: int, user_id: int, *_: object, **__: object) -> Recall:
        return Recall(await self._facts.read(owner_id, _remembered, user_id, self.shown), degraded=False)


def _remembered(tx: OwnerTx, user_id: int, shown: list[Json]) -> tuple[Memory, ...]:
    found = ((one, by_public_id(tx, user_id, one["public_id"])) for one in shown)
    return tuple(
        Memory(fact.public_id, fact.text, fact.observed_at, one["superseded"], one["score"], Parts(**one["parts"]))
        for one, fact in found
        if fact is not None
    )


def _canonical(tool: AnyTool, text: str) -> str:
    """The arguments as the tool reads them; the text itself where it cannot."""
    try:
        read: Arguments = tool.arguments.model_validate_json(text if text.strip() else "{}")
    except ValidationError:
        return text
    return read.model_dump_json()


def _error(result: str) -> str:
    try:
        told = json.loads(result)
    except ValueError:
        return result
    return str(told.get("error", result)) if isinstance(told, dict) else result
