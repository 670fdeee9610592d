"""The tool loop: ask the model, run the tools it calls, ask again, until it answers or a limit ends the turn."""

import asyncio
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

import structlog

from wtai.ai.agent import Agent
from wtai.ai.answer import is_bare_json, is_blank, is_tool_call_in_prose
from wtai.ai.history import repaired, window
from wtai.ai.llm import TOO_LONG, Assistant, Finish, Llm, LlmRequest, Message, Reply, System, ToolCall, ToolResult, Usage, User
from wtai.ai.promises import unkept
from wtai.ai.toolbox import Bounds, Call, Toolbox, failed
from wtai.errors import BudgetReached, LlmNotSetUp, LlmRefused, LlmUnavailable
from wtai.ids import public_id

log = structlog.get_logger(__name__)

FIRST_PAUSE_SECONDS = 0.25
MAX_PAUSE_SECONDS = 4.0

_KEPT_OF_TOO_LONG = 4
"""What the model finds too long it gets again with a quarter of the history, then a quarter of that, and at last none."""

NUDGE = "(Automatic note, not from the user: your last reply held no text for them. Answer in plain words, or use a tool.)"
UNKEPT = (
    "(Automatic note, not from the user: your last reply says {claim!r}, and no tool did that in this turn. It was not sent. "
    "Do it with a tool, look it up with a tool, or tell the user plainly that it is not done.)"
)
TOO_MANY = "Not run: too many calls in one turn. Tell the user what was done, and that the rest is left."
CUT_SHORT = "Your reply was cut off at the length limit, so none of its calls was run. Call again, with shorter arguments."


class Ending(StrEnum):
    """How a turn ended: answered, or why there is nothing to deliver but the fallback text."""

    ANSWERED = "answered"
    REFUSAL = "refusal"
    CONTENT_FILTER = "content_filter"
    EMPTY = "empty"
    MAX_TURNS = "max_turns"
    REPEATED_FAILURE = "repeated_failure"
    TIME_LIMIT = "time_limit"
    UNKEPT_PROMISE = "unkept_promise"
    """It said that something was done which no tool did."""
    TOOL = "tool"
    """A tool ended the turn, and what it did says the rest."""
    CUT_OFF = "cut_off"
    """The server refused, or a budget had no room for the next call: the outcome's ``cause``."""


_STOPPED = {Finish.REFUSAL: Ending.REFUSAL, Finish.CONTENT_FILTER: Ending.CONTENT_FILTER}


@dataclass(frozen=True, slots=True)
class Limits:
    """What one turn may cost. ``max_turns`` counts model calls, ``max_calls`` those of tools; an unavailable model is asked
    ``llm_retries`` times more.
    """

    max_turns: int = 8
    max_calls: int = 50
    max_tool_failures: int = 3
    max_handoffs: int = 3
    max_tool_output_chars: int = 4000
    llm_retries: int = 2
    turn_seconds: float = 120.0


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Outcome:
    """A finished turn. ``text`` is empty unless ``ending`` is ANSWERED. ``agents`` had it one after the other. ``exchange`` holds
    the tool calls and results in between, without the final text; ``calls`` is the same for the audit, with times.
    """

    ending: Ending
    text: str
    agents: tuple[str, ...]
    exchange: tuple[Message, ...]
    calls: tuple[Call, ...]
    usage: Usage
    model: str
    cause: LlmRefused | BudgetReached | None = None

    @property
    def agent(self) -> str:
        """The one that had the turn last."""
        return self.agents[-1]


@dataclass
class _Turn:
    """A turn in progress."""

    agents: list[Agent]
    bounds: Bounds
    history: tuple[Message, ...]
    user: Sequence[User]
    vision_model: str | None
    exchange: list[Message] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    failures: Counter[tuple[str, str]] = field(default_factory=Counter)
    usage: Usage = field(default_factory=Usage)
    model: str = ""
    nudge: tuple[User, ...] = ()
    nudged: bool = False
    reminded: bool = False

    @property
    def agent(self) -> Agent:
        return self.agents[-1]

    @property
    def shows_pictures(self) -> bool:
        return any(said.images for said in self.user)

    @property
    def handoffs(self) -> int:
        return len(self.agents) - 1

    def outcome(self, ending: Ending, text: str = "", cause: LlmRefused | BudgetReached | None = None) -> Outcome:
        names = tuple(agent.name for agent in self.agents)
        return Outcome(ending, text, names, _unsealed(self.exchange), tuple(self.calls), self.usage, self.model, cause)


async def run(
    llm: Llm,
    agents: Mapping[str, Agent],
    start: str,
    toolbox: Toolbox,
    history: Sequence[Message],
    user: Sequence[User],
    limits: Limits = DEFAULT_LIMITS,
    *,
    earlier: Sequence[Call] = (),
    vision_model: str | None = None,
) -> Outcome:
    """One turn of ``agents[start]``: from the user's messages to a text, or to the reason why there is none.

    ``earlier`` is what was done in this turn before, as by a try that was interrupted. ``vision_model`` is asked in place of the
    agent's own while there are pictures. LlmUnavailable after the retries.
    """
    deadline = asyncio.get_running_loop().time() + limits.turn_seconds
    bounds = Bounds(deadline, limits.max_tool_output_chars)
    turn = _Turn([agents[start]], bounds, repaired(history), user, vision_model, told(earlier), list(earlier))
    for number in range(1, limits.max_turns + 1):
        last = number == limits.max_turns
        try:
            async with asyncio.timeout_at(deadline):
                reply = await _ask_fitting(llm, turn, limits.llm_retries, may_call_tools=not last)
        except TimeoutError:
            return turn.outcome(Ending.TIME_LIMIT)
        except (LlmRefused, BudgetReached) as cause:
            return turn.outcome(Ending.CUT_OFF, cause=cause)
        turn.usage, turn.model, turn.nudge = turn.usage + reply.usage, reply.model, ()
        if reply.finish in _STOPPED:
            ending: Ending | None = _STOPPED[reply.finish]
        elif reply.tool_calls and last:
            ending = Ending.MAX_TURNS
        elif reply.tool_calls:
            ending = await _use_tools(turn, _with_new_ids(reply, (*turn.history, *turn.exchange)), agents, toolbox, limits)
        else:
            ending = _judged(turn, reply, agents)
        if ending is not None:
            return turn.outcome(ending, _said(reply) if ending is Ending.ANSWERED else "")
    return turn.outcome(Ending.MAX_TURNS)


def _judged(turn: _Turn, reply: Reply, agents: Mapping[str, Agent]) -> Ending | None:
    """Whether the reply's text can be sent. What cannot is told to the model, once for each fault."""
    if is_blank(reply.text) or is_bare_json(reply.text) or is_tool_call_in_prose(reply.text, turn.agent.specs):
        if turn.nudged:
            return Ending.EMPTY
        turn.nudge, turn.nudged = (User(NUDGE),), True
        return None
    claim = unkept(reply.text, agents.values(), turn.calls, looked_up=turn.reminded)
    if claim is None:
        return Ending.ANSWERED
    if turn.reminded:
        return Ending.UNKEPT_PROMISE
    turn.nudge, turn.reminded = (User(UNKEPT.format(claim=claim)),), True
    return None


async def _ask_fitting(llm: Llm, turn: _Turn, retries: int, *, may_call_tools: bool) -> Reply:
    """Ask, with less while the model refuses what it is given. The rest of the turn goes on with what it took."""
    while True:
        try:
            return await _ask(llm, _request(turn, may_call_tools=may_call_tools), retries)
        except LlmRefused as refused:
            if not _lightened(turn, refused):
                raise


def _lightened(turn: _Turn, refused: LlmRefused) -> bool:
    """Whether less can be asked: a part of a history that is too long; else no pictures, which the text names and not every
    model takes. Where something is not set up, that is of use only if another model is then asked.
    """
    if refused.code == TOO_LONG and turn.history:
        turn.history = window(turn.history, len(turn.history) // _KEPT_OF_TOO_LONG)
        return True
    if not turn.shows_pictures or (isinstance(refused, LlmNotSetUp) and turn.vision_model is None):
        return False
    log.warning("turn.pictures_refused", code=refused.code)
    turn.user = [replace(said, images=()) for said in turn.user]
    turn.exchange = list(_unsealed(turn.exchange))  # the model may be another one from here on
    return True


def _request(turn: _Turn, *, may_call_tools: bool) -> LlmRequest:
    return LlmRequest(
        messages=(System(turn.agent.prompt), *turn.history, *turn.user, *turn.exchange, *turn.nudge),
        tools=turn.agent.specs,
        model=(turn.vision_model if turn.shows_pictures else None) or turn.agent.model,
        may_call_tools=may_call_tools,
        max_output_tokens=turn.agent.max_output_tokens,
    )


async def _ask(llm: Llm, request: LlmRequest, retries: int) -> Reply:
    """Ask, and ask again while the model is unavailable, as late as it wishes but after MAX_PAUSE_SECONDS at most."""
    for attempt in range(retries):
        try:
            return await llm.reply(request)
        except LlmUnavailable as unavailable:
            pause = FIRST_PAUSE_SECONDS * 2**attempt * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, hides nothing
            wanted = (unavailable.retry_after_ms or 0) / 1000
        await asyncio.sleep(min(max(pause, wanted), MAX_PAUSE_SECONDS))
    return await llm.reply(request)


def _with_new_ids(reply: Reply, said: Sequence[Message]) -> Reply:
    """The reply with call ids not used before: some servers count from zero in each reply, others refuse an id seen twice."""
    used = {call.id for message in said if isinstance(message, Assistant) for call in message.tool_calls}
    calls = (replace(call, id=public_id("call")) if call.id in used else call for call in reply.tool_calls)
    return replace(reply, tool_calls=tuple(calls))


async def _use_tools(turn: _Turn, reply: Reply, agents: Mapping[str, Agent], toolbox: Toolbox, limits: Limits) -> Ending | None:
    """Run the calls of one reply side by side and answer each, in the model's order; then hand over if one of them asked to.

    Returns the turn's ending where these calls end it.
    """
    agent, calls = turn.agent, reply.tool_calls
    if reply.finish is Finish.LENGTH:
        done = {call.id: failed(call, CUT_SHORT) for call in calls}
    else:
        done = _hand_over(turn, [call for call in calls if agent.handoff(call.name)], agents, limits)
        room = max(0, limits.max_calls - len(turn.calls))
        done = {call.id: failed(call, TOO_MANY) for call in calls[room:]} | done
        running = (toolbox.use(agent, call, turn.bounds) for call in calls if call.id not in done)
        done |= {call.id: call for call in await asyncio.gather(*running)}
    in_order = [done[call.id] for call in calls]
    turn.calls += in_order
    turn.failures.update((call.name, call.arguments) for call in in_order if call.failed)
    turn.exchange += [Assistant(reply.text, calls, reply.reasoning), *(ToolResult(call.id, call.result) for call in in_order)]
    if turn.agent is not agent:
        # Another agent may run on another model, which cannot open this one's sealed reasoning.
        turn.exchange = list(_unsealed(turn.exchange))
    if any(call.done and agent.ends_turn(call.name) for call in in_order):
        return Ending.TOOL
    repeated = max(turn.failures.values(), default=0) >= limits.max_tool_failures
    return Ending.REPEATED_FAILURE if repeated else None


def _hand_over(turn: _Turn, calls: Sequence[ToolCall], agents: Mapping[str, Agent], limits: Limits) -> dict[str, Call]:
    """Answer the handoff calls of one reply. The first that can be followed is; the turn then goes on with that agent."""
    answers: dict[str, Call] = {}
    asked = turn.agent
    for call in calls:
        handoff = asked.handoff(call.name)
        target = agents.get(handoff.agent) if handoff else None
        if turn.agent is not asked:
            answers[call.id] = Call(
                call.id, call.name, call.arguments, f"Ignored: {turn.agent.name} already has it.", failed=False
            )
        elif target is None:
            answers[call.id] = failed(call, "This agent is not available. Answer the user yourself.")
        elif turn.handoffs >= limits.max_handoffs:
            answers[call.id] = failed(call, "No more transfers in this turn. Answer the user yourself.")
        else:
            turn.agents.append(target)
            answers[call.id] = Call(call.id, call.name, call.arguments, f"Transferred to {target.name}.", failed=False)
    return answers


def told(calls: Sequence[Call]) -> list[Message]:
    """Calls of an earlier try as the model would have made them."""
    if not calls:
        return []
    asked = tuple(ToolCall(call.id, call.name, call.arguments) for call in calls)
    return [Assistant("", asked), *(ToolResult(call.id, call.result) for call in calls)]


def _said(reply: Reply) -> str:
    return f"{reply.text} …" if reply.finish is Finish.LENGTH else reply.text


def _unsealed(exchange: Sequence[Message]) -> tuple[Message, ...]:
    return tuple(replace(message, reasoning=()) if isinstance(message, Assistant) else message for message in exchange)
