"""A transcript case through the whole program: signed webhooks in, the queue, the turn with its router and confirmations, sends
out. For the cases that are about more than one turn of one agent.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from itertools import groupby
from typing import Any

from evaluation.past import converse, open_conversation
from evaluation.transcript_case import ROUTER, Recorder, agents, elsewhere, history, limits
from evaluation.transcript_checks import Observed
from evaluation.transcript_server import ScriptedServer
from evaluation.world import LANGUAGE, Line, World, founded, person
from wtai.ai.agent import Agent
from wtai.ai.router import router
from wtai.ai.specialists import DEFAULT, Roster, Specialists
from wtai.ai.texts import apology
from wtai.app import Running, Work, running
from wtai.clock import Clock, SystemClock
from wtai.conversation import store as conversations
from wtai.conversation.texts import texts
from wtai.db.tx import OwnerTx
from wtai.ids import public_id
from wtai.working import Given, working

Json = dict[str, Any]

_PERSON = person(1)
_RESTING_SECONDS = 50.0


def needs_program(case: Json) -> bool:
    """Whether the case is about more than the loop: webhooks, the router, or the person's yes."""
    return (
        case.get("level") == "webhook"
        or ROUTER in (case.get("start_agent"), case.get("routing"))
        or "confirm" in case.get("tool_policy", {}).values()
    )


class CaseClock(SystemClock):
    """The time of a case, whose pauses need not be waited for."""

    def __init__(self) -> None:
        self.ahead_ms = 0

    def now(self) -> int:
        return super().now() + self.ahead_ms


class CaseSpecialists(Specialists):
    """Gives the case's roster, whoever asks."""

    def __init__(self, roster: Roster) -> None:
        super().__init__((), router_model=None)
        self._roster = roster

    def of(self, *_: object, **__: object) -> Roster:
        return self._roster


def roster(case: Json, recorder: Recorder) -> Roster:
    """The case's agents, with its own words for the router."""
    known = agents(case, recorder)
    default = DEFAULT if DEFAULT in known else next(iter(known))
    own = case["agents"].get(ROUTER)
    picks = Agent(ROUTER, own["system"]) if own else router(known, default, model=None)
    away = elsewhere(case, recorder)
    return Roster(known if not away.tools else known | {away.name: away}, default, picks)


async def replay_through_program(case: Json, api: str, server: ScriptedServer, base_url: str) -> Observed:
    """Let the person write the case's inputs and watch what becomes of them."""
    clock = CaseClock()
    config = case.get("config", {})
    sections: Mapping[str, Mapping[str, object]] = {
        "openai": {
            "base_url": base_url,
            "api_key": "sk-scripted",
            "api": api,
            "model": "fake-model",
            "router_model": "fake-model",
            "timeout_seconds": config.get("llm_timeout_s", 30),
        },
        "conversation": {"burst_quiet_ms": config.get("debounce_ms", 0)},
        "worker": {"max_attempts": 1},
    }
    recorder = Recorder(
        {key: value for key, value in case.get("context", {}).items() if key.endswith("_id")}, case.get("tool_behaviours", {})
    )
    own = CaseSpecialists(roster(case, recorder))
    work = partial(working, given=Given(specialists=lambda _: own, limits=limits(case)))
    # The case's people come second in every table, so that a number taken from the wrong place is seen.
    async with founded(owners=2, clock=clock, sections=sections) as world, _at_work(world, clock, work) as program:
        line = world.lines[1]
        await program.database.write(line.owner_id, somebody_else, line, now=clock.now())
        numbers = await program.database.write(line.owner_id, begin, line, case, now=clock.now())
        recorder.know(owner_id=line.owner_id, **numbers)
        started = time.monotonic()
        if case.get("level") == "webhook":
            await _as_timed(world, line, case["inputs"], recorder)
        else:
            await _one_by_one(world, line, case["inputs"], recorder, clock)
        await world.at_rest(seconds=_RESTING_SECONDS)
        return _observed(case, server, recorder, world, line, time.monotonic() - started)


@asynccontextmanager
async def _at_work(world: World, clock: Clock, work: Work) -> AsyncIterator[Running]:
    async with running(world.settings, clock=clock, work=work) as program:
        if program.url is None:
            raise RuntimeError("the program does not listen")
        world.twilio.webhook_url = program.url
        yield program


async def _one_by_one(world: World, line: Line, inputs: list[Json], recorder: Recorder, clock: CaseClock) -> None:
    """Each input after the answer to the one before, and not before its time: ``at_ms`` passes without waiting."""
    sids: dict[str, str] = {}
    for said in inputs:
        await world.at_rest(seconds=_RESTING_SECONDS)
        clock.ahead_ms = max(clock.ahead_ms, int(said.get("at_ms", 0)))
        recorder.inputs += 1
        await _write(world, line, said, sids)
    await world.at_rest(seconds=_RESTING_SECONDS)


async def _as_timed(world: World, line: Line, inputs: list[Json], recorder: Recorder) -> None:
    """Each input at its time, whatever became of the one before."""
    sids: dict[str, str] = {}
    loop = asyncio.get_running_loop()
    started = loop.time()
    for said in inputs:
        await asyncio.sleep(max(0.0, started + said.get("at_ms", 0) / 1000 - loop.time()))
        recorder.inputs += 1
        await _write(world, line, said, sids)


async def _write(world: World, line: Line, said: Json, sids: dict[str, str]) -> None:
    """Post the message; one with a ``message_sid`` that was posted before is the same message once more."""
    name = str(said.get("message_sid") or public_id("in"))
    if name in sids:
        result = await world.twilio.redeliver(sids[name])
    else:
        result = await world.twilio.send(_PERSON, line.number, said["content"])
        sids[name] = result.sid
    if result.status != 200:
        raise RuntimeError(f"the webhook was answered {result.status}: {result.text[:200]}")


def somebody_else(tx: OwnerTx, line: Line, *, now: int) -> None:
    """Another person of the same owner."""
    open_conversation(tx, line, person(2), now=now)


def begin(tx: OwnerTx, line: Line, case: Json, *, now: int) -> dict[str, int]:
    """The person, with what the case says was before; returns their numbers."""
    conversation = open_conversation(tx, line, _PERSON, now=now)
    agent = case.get("sticky_agent") or case.get("start_agent", ROUTER)
    if agent != ROUTER:
        conversations.set_feature(tx, conversation.id, agent)
    before = history(case)
    if before:
        converse(tx, line, conversation, before, agent, now=now)
    return {"user_id": conversation.user_id, "conversation_id": conversation.id}


def _observed(case: Json, server: ScriptedServer, recorder: Recorder, world: World, line: Line, seconds: float) -> Observed:
    """What the person got, and what the program kept."""
    sent = {message.sid: message for message in world.twilio.accepted if message.to == _PERSON and message.from_ == line.number}
    rows = world.rows(
        "SELECT provider_sid, coalesce(ai_result_id, -id) AS answer FROM messages WHERE direction = 'outbound' ORDER BY id"
    )
    answers = [
        [sent[row["provider_sid"]].body for row in rows_]
        for _, rows_ in groupby((row for row in rows if row["provider_sid"] in sent), key=lambda row: row["answer"])
    ]
    (kept,) = world.rows(
        """
        SELECT coalesce(sum(prompt_tokens), 0) AS prompt_tokens, coalesce(sum(completion_tokens), 0) AS completion_tokens,
            coalesce(sum(cached_tokens), 0) AS cached_tokens, coalesce(sum(requests), 0) AS requests FROM ai_results
        """
    )
    (has,) = world.rows(
        """
        SELECT coalesce(c.feature, r.feature, '') AS agent FROM conversations c LEFT JOIN ai_results r ON r.conversation_id = c.id
        ORDER BY c.id DESC, r.id DESC LIMIT 1
        """
    )
    words = texts(LANGUAGE)
    last = answers[-1] if answers else []
    apologies = (apology(LANGUAGE), words.failed)
    return Observed(
        case=case,
        requests=server.requests,
        unexpected_requests=server.unexpected,
        overlapped=server.overlapped,
        runs=recorder.runs,
        deliveries=last,
        delivered=len(sent),
        fallback=next((text for text in apologies if text == "\n".join(last)), apologies[0]),
        agent=has["agent"],
        usage=kept,
        wall_s=seconds,
    )
