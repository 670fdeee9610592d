"""Whether an answer says that something was done which no tool did."""

from collections.abc import Iterable, Sequence

from wtai.ai.agent import Agent
from wtai.ai.toolbox import Call


def unkept(text: str, agents: Iterable[Agent], calls: Sequence[Call], *, looked_up: bool) -> str | None:
    """The words of ``text`` that claim the work of a tool which did not do it in this turn; None if there are none.

    A claim stands if any tool that makes the same claim did its work. With ``looked_up``, for a model that was told already,
    any tool's word will do: it may report what was done in an earlier turn.
    """
    done = {call.name for call in calls if call.done}
    if looked_up and done:
        return None
    claims = {tool.name: tool.claims for agent in agents for tool in agent.tools if tool.claims is not None}
    found = {name: match for name, pattern in claims.items() if (match := pattern.search(text)) is not None}
    if not found or done & found.keys():
        return None
    return next(iter(found.values())).group()
