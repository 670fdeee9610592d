"""Whether an answer says that something was done which no tool did."""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence

from wtai.ai.agent import Agent
from wtai.ai.toolbox import Call
from wtai.ai.tools.tool import Effect


def unkept(text: str, agents: Iterable[Agent], calls: Sequence[Call], *, looked_up: bool) -> str | None:
    """The words of ``text`` that claim the work of a tool which did not do it in this turn; None if there are none.

    A claim stands if any tool that makes the same claim did its work, or one that has an effect nobody described: an owner's.
    With ``looked_up``, for a model that was told already, any tool's word will do: it may report what was done in an earlier
    turn.
    """
    done = {call.name for call in calls if call.done}
    if looked_up and done:
        return None
    makers: dict[re.Pattern[str], set[str]] = defaultdict(set)  # tools of a family share a pattern: each is searched once
    for tool in (tool for agent in agents for tool in agent.tools):
        if tool.claims is not None:
            makers[tool.claims].add(tool.name)
        elif tool.effect is not Effect.READ and tool.name in done:
            return None
    found = {pattern: match for pattern in makers if (match := pattern.search(text)) is not None}
    if not found or any(done & makers[pattern] for pattern in found):
        return None
    return next(iter(found.values())).group()
