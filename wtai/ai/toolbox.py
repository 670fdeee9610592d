"""The tools of one turn: each call checked, run within its time, written down for the model; and once, if it changes anything.

A turn may be tried again after a crash, and drafted again when a message comes in meanwhile. A call with an effect is recorded
under the turn in the transaction that has the effect; the next try finds it there, shows it to the model as done, and answers
the same call from the record.
"""

import asyncio
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Concatenate, ParamSpec, TypeVar

import structlog
from pydantic import ValidationError
from pydantic_core import ErrorDetails, from_json, to_json

from wtai.ai import toolbox_store as store
from wtai.ai.agent import Agent
from wtai.ai.history import LOST_RESULT
from wtai.ai.llm import ToolCall
from wtai.ai.toolbox_store import Action, Recorded
from wtai.ai.tools.tool import AnyTool, Arguments, Effect, ToolContext, ToolError
from wtai.clock import MINUTE
from wtai.db.tx import Database, OwnerTx
from wtai.errors import StorageUnavailable
from wtai.failpoints import failpoint, pass_failpoint

CUT_MARK = " …[cut]"

WAITS = (
    "Not done yet: the person has to confirm it. The question is added to your answer word for word; do not repeat it, "
    "and do not say that it is done."
)
REFUSED = "Not done: the person said no."

_PATIENCE_MS = 10 * MINUTE

_log = structlog.get_logger()

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Call:
    """What came of a tool call. ``result`` is the text the model reads; ``failed`` if that text is an error; ``waits`` if it is
    not done before the person confirms it.
    """

    id: str
    name: str
    arguments: str
    result: str
    failed: bool
    waits: bool = False
    milliseconds: int = 0

    @property
    def done(self) -> bool:
        """Whether the tool did its work."""
        return not self.failed and not self.waits


@dataclass(frozen=True, slots=True)
class Bounds:
    """``deadline``: the turn's, on the event loop's clock, in seconds. ``max_output_chars``: of a result, cut mark included."""

    deadline: float
    max_output_chars: int


def failed(call: ToolCall, message: str) -> Call:
    """The call answered with an error, without running anything."""
    return Call(call.id, call.name, call.arguments, _error(message), failed=True)


def calls_of(runs: Iterable[Recorded]) -> tuple[Call, ...]:
    """What is recorded as calls."""
    return tuple(
        Call(f"call_{run.id}", run.tool, run.arguments, run.result or LOST_RESULT, run.failed or run.result is None)
        for run in runs
    )


class Toolbox:
    """Runs the calls of one turn of ``context``'s conversation. ``turn`` tells the turn in the conversation, the same at each
    try: what was answered before it. ``question`` is what the person has to be asked before an action runs.
    """

    def __init__(self, database: Database, context: ToolContext, *, turn: int) -> None:
        self._database = database
        self._context = context
        self._turn = turn
        self._counts: Counter[str] = Counter()
        self.question: str | None = None

    async def earlier(self) -> tuple[Call, ...]:
        """What was done in this turn so far, by an earlier try or because the person confirmed it."""
        context = self._context
        return calls_of(await self._database.read(context.owner_id, store.runs_of_turn, context.conversation_id, self._turn))

    async def use(self, agent: Agent, call: ToolCall, bounds: Bounds) -> Call:
        """Run one call of ``agent`` to its end, whatever that is: every error becomes a result that the model can read, but
        StorageUnavailable, with which the turn cannot go on.
        """
        loop = asyncio.get_running_loop()
        started = loop.time()
        # Not an ``except``: whatever a tool raises stays inside its own call, and the turn's own cancellation still goes through.
        (answer,) = await asyncio.gather(self._run(agent, call, bounds), return_exceptions=True)
        if isinstance(answer, StorageUnavailable):
            raise answer
        if isinstance(answer, BaseException):
            answer = failed(call, _explained(call.name, answer))
        return replace(
            answer, result=_cut(answer.result, bounds.max_output_chars), milliseconds=round((loop.time() - started) * 1000)
        )

    async def confirm(self, agents: Mapping[str, Agent], bounds: Bounds) -> None:
        """The person said yes: run the action they were asked about, as it was frozen, unless they took too long.

        What cannot be done is told as a call that failed, also where the owner took the tool away or changed it meanwhile.
        """
        action = await self._asked()
        if action is None:
            return
        try:
            deed = _confirmed(action, agents)
        except ToolError as error:
            await self._write(self._drop, action, _error(str(error)))
            return
        (recorded,) = await asyncio.gather(self._do(deed, bounds), return_exceptions=True)
        if isinstance(recorded, StorageUnavailable):
            raise recorded
        if isinstance(recorded, BaseException):
            await self._write(self._note_failure, deed, _error(_explained(deed.tool.name, recorded)))

    async def refuse(self) -> tuple[Call, ...]:
        """The person said no: the action is dropped. Returns it as a call that was not done."""
        action = await self._asked()
        if action is None or not await self._write(store.decide_action, action.id, "refused"):
            return ()
        return (Call(f"call_no_{action.id}", action.tool, action.arguments, _error(REFUSED), failed=True),)

    async def _run(self, agent: Agent, call: ToolCall, bounds: Bounds) -> Call:
        tool = agent.tool(call.name)
        if tool is None:
            available = ", ".join(spec.name for spec in agent.specs) or "none"
            raise ToolError(f"There is no tool of this name. Available tools: {available}.")
        arguments = _arguments(tool, call.arguments)
        asks = tool.must_ask(arguments)
        if tool.effect is Effect.READ and not asks:
            return Call(call.id, call.name, call.arguments, await self._look(tool, arguments, call.id, bounds), failed=False)
        name = _identity(tool, arguments)
        self._counts[name] += 1
        deed = _Deed(tool, arguments, f"{name}:{self._counts[name]}")
        done = False
        try:
            if asks and await self._read(store.run_of_turn, self._context.conversation_id, self._turn, deed.call) is None:
                return await self._freeze(agent, deed, call)
            recorded = await self._do(deed, bounds)
            done = recorded.result is not None and not recorded.failed
        finally:
            # Only what was done makes the same call another one.
            self._counts[name] -= not done
        return Call(call.id, call.name, call.arguments, recorded.result or LOST_RESULT, failed=not done)

    async def _look(self, tool: AnyTool, arguments: Arguments, call_id: str, bounds: Bounds) -> str:
        async with asyncio.timeout_at(_time_out(tool, bounds)):
            if tool.work is not None:
                return _as_text(await self._read(tool.work, self._context, arguments))
            return _as_text(await _outside(tool)(replace(self._context, call_id=call_id), arguments))

    async def _do(self, deed: "_Deed", bounds: Bounds) -> Recorded:
        """Have the effect, unless it was had. ToolError leaves no trace; an outside tool that does not tell leaves a doubt."""
        if deed.tool.work is not None:
            recorded = await self._write(self._work, deed)
            await pass_failpoint("tool.after_commit")
            return recorded
        run_id, known = await self._write(self._begin, deed)
        if known is not None:
            return known
        try:
            async with asyncio.timeout_at(_time_out(deed.tool, bounds)):
                context = replace(deed.seen_from(self._context), call_id=f"run_{run_id}")
                value = await _outside(deed.tool)(context, deed.arguments)
        except ToolError:
            await self._write(store.forget_run, run_id)
            raise
        await self._write(store.finish_run, run_id, _as_text(value), failed=False)
        return Recorded(run_id, deed.tool.name, "", _as_text(value), failed=False)

    async def _freeze(self, agent: Agent, deed: "_Deed", call: ToolCall) -> Call:
        if self.question is not None:
            raise ToolError("Another action waits for the person's yes; one at a time. Ask for this one afterwards.")
        self.question = await self._write(self._ask, agent.name, deed)
        return Call(call.id, call.name, call.arguments, WAITS, failed=False, waits=True)

    async def _asked(self) -> Action | None:
        return await self._read(store.asked_action, self._context.conversation_id, now=self._context.now)

    async def _read(self, work: Callable[Concatenate[OwnerTx, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._database.read(self._context.owner_id, work, *args, **kwargs)

    async def _write(self, work: Callable[Concatenate[OwnerTx, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._database.write(self._context.owner_id, work, *args, **kwargs)

    def _begin(self, tx: OwnerTx, deed: "_Deed") -> tuple[int, Recorded | None]:
        if deed.confirmed is not None and not store.decide_action(tx, deed.confirmed.id, "confirmed"):
            raise ToolError("The person's yes was used up before.")
        context, arguments = self._context, deed.arguments.model_dump_json(exclude_unset=True)
        return store.begin_run(tx, context.conversation_id, self._turn, deed.call, deed.tool.name, arguments, now=context.now)

    def _work(self, tx: OwnerTx, deed: "_Deed") -> Recorded:
        run_id, known = self._begin(tx, deed)
        if known is not None or deed.tool.work is None:
            return known or Recorded(run_id, deed.tool.name, "", None, failed=False)
        result = _as_text(deed.tool.work(tx, deed.seen_from(self._context), deed.arguments))
        store.finish_run(tx, run_id, result, failed=False)
        failpoint("tool.before_commit")
        return Recorded(run_id, deed.tool.name, "", result, failed=False)

    def _note_failure(self, tx: OwnerTx, deed: "_Deed", error: str) -> None:
        """The action that was confirmed could not be done, for a reason that the model has to tell."""
        run_id, known = self._begin(tx, replace(deed, confirmed=None))
        if deed.confirmed is not None:
            store.decide_action(tx, deed.confirmed.id, "confirmed")
        if known is None:
            store.finish_run(tx, run_id, error, failed=True)

    def _drop(self, tx: OwnerTx, action: Action, error: str) -> None:
        """The action that was confirmed is none any more."""
        if store.decide_action(tx, action.id, "dropped"):
            context, call = self._context, f"action_{action.id}"
            run_id, _ = store.begin_run(
                tx, context.conversation_id, self._turn, call, action.tool, action.arguments, now=context.now
            )
            store.finish_run(tx, run_id, error, failed=True)

    def _ask(self, tx: OwnerTx, feature: str, deed: "_Deed") -> str:
        if deed.tool.question is None:
            raise ToolError("This cannot be confirmed.")
        context, arguments = self._context, deed.arguments.model_dump_json(exclude_unset=True)
        question = deed.tool.question(tx, context, deed.arguments)
        expires_at = context.now + _PATIENCE_MS
        store.freeze(
            tx, context.conversation_id, feature, deed.tool.name, arguments, question, expires_at=expires_at, now=context.now
        )
        return question


@dataclass(frozen=True, slots=True)
class _Deed:
    """A call with an effect: ``call`` names it within the turn; ``confirmed`` is the action that the person said yes to."""

    tool: AnyTool
    arguments: Arguments
    call: str
    confirmed: Action | None = None

    def seen_from(self, context: ToolContext) -> ToolContext:
        """The context in which it was asked for: "hoje" is the day of the question, not that of the yes."""
        return replace(context, now=self.confirmed.created_at) if self.confirmed else context


def _confirmed(action: Action, agents: Mapping[str, Agent]) -> _Deed:
    """The action as it was frozen. ToolError if its tool is gone, or does not take these arguments any more."""
    agent = agents.get(action.feature)
    tool = agent.tool(action.tool) if agent else None
    if tool is None:
        raise ToolError("This tool was taken away since the person was asked; nothing was run.")
    arguments = _arguments(tool, action.arguments)
    return _Deed(tool, arguments, f"{_identity(tool, arguments)}:1", action)


def _identity(tool: AnyTool, arguments: Arguments) -> str:
    return sha256(f"{tool.name}\0{arguments.model_dump_json()}".encode()).hexdigest()[:32]


def _time_out(tool: AnyTool, bounds: Bounds) -> float:
    return min(asyncio.get_running_loop().time() + tool.timeout_seconds, bounds.deadline)


def _outside(tool: AnyTool) -> Callable[[ToolContext, Arguments], Awaitable[object]]:
    if tool.run is None:
        raise TypeError(f"tool {tool.name} has nothing to run")
    return tool.run


def _as_text(value: object) -> str:
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


def _explained(tool: str, error: BaseException) -> str:
    """What the model reads of an error. The error's own text may hold secrets or what the person wrote: it goes nowhere."""
    if isinstance(error, ToolError):
        return str(error)
    where = traceback.format_tb(error.__traceback__)[-1:]
    _log.warning("tool_failed", tool=tool, error=type(error).__name__, where="".join(where).strip())
    if isinstance(error, TimeoutError):
        return "The tool did not finish in time; it is not known whether it took effect."
    return "The tool failed with an internal error and is unavailable for this request."


def _error(message: str) -> str:
    return to_json({"error": message}).decode()


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: max(0, limit - len(CUT_MARK))] + CUT_MARK
