"""The part of a turn that asks models: who answers, with what in mind, and what comes of it."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

import structlog
from pydantic import TypeAdapter
from pydantic_core import to_json

from wtai.ai import context
from wtai.ai.llm import Llm, User, messages_to_json
from wtai.ai.loop import Ending, Limits, Outcome, run, told
from wtai.ai.memory.memories import Memories, Memory
from wtai.ai.metering import Meter, MeteredLlm, Spent
from wtai.ai.owed import Owed
from wtai.ai.pictures import pictures
from wtai.ai.router import Route, route
from wtai.ai.specialists import Roster, Specialists, in_plan, prompt_id
from wtai.ai.store import HANDED_OVER, NO_BUDGET, AiResult
from wtai.ai.texts import apology
from wtai.ai.toolbox import Bounds, Call, Toolbox
from wtai.ai.tools.handoff import CALL_PERSON, Reason
from wtai.ai.tools.http import HttpTools
from wtai.ai.tools.tool import ToolContext
from wtai.ai.usage_store import Budgets
from wtai.clock import Clock
from wtai.conversation.closure import Closure
from wtai.conversation.model import Question, State
from wtai.conversation.shortcuts import Next, Step, is_greeting
from wtai.conversation.texts import texts
from wtai.db.tx import Database
from wtai.errors import BudgetReached, LlmRefused, LlmUnavailable, Retry
from wtai.failpoints import pass_failpoint

log = structlog.get_logger(__name__)

_NO_KEY_YET: Final = "missing_api_key"
_CALLS: Final = TypeAdapter(tuple[Call, ...])
_MEMORIES: Final = TypeAdapter(tuple[Memory, ...])
_REMEMBERED: Final = {"__all__": {"public_id", "score", "parts", "superseded"}}
"""What a result keeps of the memories shown; the texts stay with the person, who may have them forgotten."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a turn does: a text, and the state it leads to. With HANDOFF an empty text leaves the words to the handoff.
    ``active`` has the conversation from now on; None leaves that as it is.
    """

    result: AiResult
    text: str
    to: State = State.WAITING_USER
    reason: str = ""
    question: Question | None = None
    closure: Closure | None = None
    active: str | None = None


class Thinker:
    """Answers with an owner's specialists. ``media`` is the directory of what people sent, ``vision_model`` looks at pictures."""

    def __init__(
        self,
        database: Database,
        meter: Meter,
        specialists: Specialists,
        memories: Memories,
        http_tools: HttpTools,
        clock: Clock,
        limits: Limits,
        *,
        media: Path,
        vision_model: str | None = None,
    ) -> None:
        self._database = database
        self._meter = meter
        self._memories = memories
        self._http_tools = http_tools
        self._specialists = specialists
        self._clock = clock
        self._limits = limits
        self._media = media
        self._vision_model = vision_model

    async def answer(self, owner_id: int, owed: Owed, step: Step) -> Answer:
        """What the model says; the fallback text where it has none or refuses, and a person after too many of those, or where a
        budget is used up.

        Retry while the model is unavailable or has no key yet.
        """
        roster = self._specialists.of(owed.locale, in_plan(owed.features, owed.limits), self._http_tools.of(owed.http_tools))
        now = self._clock.now()
        started = self._clock.monotonic()
        toolbox = Toolbox(self._database, _tool_context(owner_id, owed, now), turn=owed.turn)
        earlier = await self._decided(toolbox, roster, step)
        shown = await pictures(self._media, owed.messages)
        said = context.thought(owed.messages, owed.locale)
        known = await self._memories.recall(owner_id, owed.conversation.user_id, said)
        users = [User(context.note(now, owed.chosen.time_zone, known.items)), User(said, images=shown)]
        await pass_failpoint("turn.before_model")
        routing = self._metered(owner_id, owed, "router")
        try:
            chosen = await self._route(routing, roster, owed)
            model = self._metered(owner_id, owed, chosen.agent)
            outcome = await run(
                model,
                roster.agents,
                chosen.agent,
                toolbox,
                owed.history,
                users,
                self._limits,
                earlier=earlier,
                vision_model=self._vision_model,
            )
        except LlmUnavailable as exc:
            raise Retry(f"model unavailable: {exc.code}", delay_ms=exc.retry_after_ms) from exc
        await pass_failpoint("turn.after_model")
        result = replace(
            _result(roster, chosen, outcome, routing.spent, model.spent),
            latency_ms=round((self._clock.monotonic() - started) * 1000),
            memories=_MEMORIES.dump_json(known.items, include=_REMEMBERED).decode(),
        )
        return _answer(owed, result, chosen, outcome, toolbox.question)

    def _metered(self, owner_id: int, owed: Owed, feature: str) -> MeteredLlm:
        return self._meter.of(owner_id, owed.conversation.user_id, feature, Budgets.of(owed.chosen, owed.limits))

    async def _decided(self, toolbox: Toolbox, roster: Roster, step: Step) -> tuple[Call, ...]:
        """What was done in this turn before a model is asked: by an earlier try, or because the person said yes just now."""
        refused: tuple[Call, ...] = ()
        if step.next is Next.DO:
            deadline = asyncio.get_running_loop().time() + self._limits.turn_seconds
            await toolbox.confirm(roster.agents, Bounds(deadline, self._limits.max_tool_output_chars))
        elif step.next is Next.LEAVE:
            refused = await toolbox.refuse()
        return (*await toolbox.earlier(), *refused)

    async def _route(self, llm: Llm, roster: Roster, owed: Owed) -> Route:
        """The specialist that has the conversation stays; else the router picks, unless there is nothing to pick from."""
        if len(roster.agents) == 1:
            return Route(roster.default, "only")
        active = owed.conversation.feature
        if active is not None and active in roster.agents:
            return Route(active, "sticky")
        if all(is_greeting(message.body) for message in owed.messages):
            return Route(roster.default, "greeting")
        said = [User(context.thought(owed.messages, owed.locale))]
        return await route(llm, roster.router, roster.agents, said, sticky=active, default=roster.default)


def cut_off(feature: str, outcome: str, done: Sequence[Call]) -> AiResult:
    """The result of a turn whose tries are over, of which nothing is known but what tools did."""
    exchange, calls = messages_to_json(tuple(told(done))), _CALLS.dump_json(tuple(done)).decode()
    return AiResult(feature, outcome, model="", prompt_id="", exchange=exchange, calls=calls)


def failed(owed: Owed, result: AiResult) -> Answer:
    """The fallback text; a person after as many failures in a row as the owner allows."""
    if owed.failed_before + 1 >= owed.chosen.handoff_after_failures:
        return Answer(result, texts(owed.locale).failed, State.HANDOFF, f"{owed.failed_before + 1} failed turns")
    return Answer(result, apology(owed.locale))


def _tool_context(owner_id: int, owed: Owed, now: int) -> ToolContext:
    conversation = owed.conversation
    return ToolContext(owner_id, conversation.user_id, conversation.id, owed.through, now, owed.chosen.time_zone, owed.locale)


def _answer(owed: Owed, result: AiResult, chosen: Route, outcome: Outcome, question: str | None) -> Answer:
    active = outcome.agent if chosen.keeps or outcome.agent != chosen.agent else None
    person = next((call for call in outcome.calls if call.name == CALL_PERSON and call.done), None)
    if person is not None:
        reason = Reason.model_validate_json(person.arguments).reason
        return Answer(replace(result, outcome=HANDED_OVER), "", State.HANDOFF, reason, active=active)
    if outcome.cause is not None:
        return replace(_without_words(owed, result, outcome.cause), active=active)
    if outcome.ending is not Ending.ANSWERED:
        return replace(failed(owed, result), active=active)
    if question is None:
        return Answer(result, outcome.text, active=active)
    text = outcome.text if question in outcome.text else f"{outcome.text}\n\n{question}"
    return Answer(result, text, question=Question.ACTION, active=active)


def _without_words(owed: Owed, result: AiResult, cause: LlmRefused | BudgetReached) -> Answer:
    """A person where a budget is used up, the fallback text where the model refused. Retry while there is no key yet."""
    if isinstance(cause, BudgetReached):
        return Answer(replace(result, outcome=NO_BUDGET), "", State.HANDOFF, f"budget reached: {cause.budget}")
    log.error("turn.model_refused", code=cause.code, conversation=owed.conversation.public_id)
    if cause.code == _NO_KEY_YET:
        raise Retry(str(cause)) from cause
    return failed(owed, replace(result, outcome=cause.code))


def _result(roster: Roster, chosen: Route, outcome: Outcome, routing: Spent, answering: Spent) -> AiResult:
    usage = routing.usage + answering.usage
    asked = [roster.router] if routing.calls else []
    prompts = [prompt_id(agent) for agent in (*asked, *(roster.agents[name] for name in outcome.agents))]
    how = {"agent": chosen.agent, "how": chosen.how, "model": chosen.model, "usage": asdict(chosen.usage)}
    return AiResult(
        feature=outcome.agent,
        outcome=outcome.ending,
        model=outcome.model or answering.model,
        prompt_id=prompts[-1],
        exchange=messages_to_json(outcome.exchange),
        calls=_CALLS.dump_json(outcome.calls).decode(),
        requests=usage.requests,
        prompt_tokens=usage.prompt,
        cached_tokens=usage.cached,
        completion_tokens=usage.completion,
        route=to_json(how).decode(),
        cost=routing.cost + answering.cost,
        prompts=to_json(prompts).decode(),
        stepped_down=routing.stepped_down or answering.stepped_down,
    )
