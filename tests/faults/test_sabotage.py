"""The judge is worth something: with a guarantee switched off, the same scenario that passes is found out."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web

from tests.faults.ledger import judge
from tests.program import World, open_world, person
from wtai import failpoints
from wtai.ai import store as results
from wtai.ai.store import AiResult
from wtai.conversation import lifecycle, outbox, outbox_store, store
from wtai.conversation.model import Inbound
from wtai.db.tx import OwnerTx
from wtai.jobs.store import enqueue
from wtai.simulator.twilio_faults import TwilioFault
from wtai.web.webhooks import Webhooks

ANA = person(1)

Switch = Callable[[pytest.MonkeyPatch], None]
Scenario = Callable[[World], Awaitable[list[str]]]


@pytest.fixture
async def world(data_dir: Path) -> AsyncIterator[World]:
    async with open_world(data_dir) as opened:
        yield opened
    failpoints.arm("")


async def says(world: World, *texts: str) -> list[str]:
    for text in texts:
        await world.insist(ANA, text)
    return list(texts)


async def an_answer_to_a_call_is_lost(world: World) -> list[str]:
    world.twilio.faults.arm(TwilioFault.STATUS_DROPPED, times=None)  # which would tell in time
    world.twilio.faults.arm(TwilioFault.RESET_AFTER)
    return await says(world, "oi")


async def a_message_is_posted_twice(world: World) -> list[str]:
    (message,) = await says(world, "oi")
    await world.twilio.redeliver(world.twilio.messages.all()[0].sid)
    return [message]


async def twilio_throttles_the_first_of_two_answers(world: World) -> list[str]:
    world.twilio.faults.arm(TwilioFault.THROTTLED, retry_after="1")
    await says(world, "primeira")
    await world.until(lambda: any(request.status == 429 for request in world.twilio.requests))
    return ["primeira", *await says(world, "segunda")]


async def the_disk_fails_under_a_message(world: World) -> list[str]:
    failpoints.arm("ack.before_commit=2:raise")
    return await says(world, "um", "dois", "três")


async def a_turn_fails_after_its_commit(world: World) -> list[str]:
    failpoints.arm("turn.after_commit=1:raise")
    return await says(world, "oi")


def the_call_comes_before_the_commit_of_sending(patch: pytest.MonkeyPatch) -> None:
    def start(tx: OwnerTx, message_id: int, *, now: int) -> outbox.Due:
        message = outbox_store.outbound(tx, message_id)
        assert message is not None
        return outbox.Due(outbox.Step.NOTHING if message.provider_sid else outbox.Step.CALL, message)

    patch.setattr(outbox, "start", start)


def messages_are_not_known_by_their_sid(patch: pytest.MonkeyPatch) -> None:
    insert, number = store.insert_inbound, itertools.count()

    def insert_anyway(tx: OwnerTx, conversation: int, inbound: Inbound, details: str | None, *, now: int) -> int | None:
        unique = replace(inbound, provider_sid=f"{inbound.provider_sid}-{next(number)}")
        return insert(tx, conversation, unique, details, now=now)

    patch.setattr(store, "insert_inbound", insert_anyway)


def sends_have_no_key(patch: pytest.MonkeyPatch) -> None:
    def enqueue_without_key(tx: OwnerTx, kind: str, payload: dict[str, int], *, key: str, now: int) -> None:
        enqueue(tx, kind, payload, now=now)

    patch.setattr(outbox, "enqueue", enqueue_without_key)


def messages_are_acknowledged_even_when_not_written(patch: pytest.MonkeyPatch) -> None:
    inbound = Webhooks.inbound

    async def acknowledge(webhooks: Webhooks, request: web.Request) -> web.Response:
        try:
            return await inbound(webhooks, request)
        except failpoints.FailpointError:
            return web.Response()

    patch.setattr(Webhooks, "inbound", acknowledge)


def a_turn_may_answer_what_was_answered(patch: pytest.MonkeyPatch) -> None:
    insert, beyond = results.insert_result, itertools.count(1_000_000)

    def insert_anyway(tx: OwnerTx, conversation: int, through: int, result: AiResult, *, now: int) -> int | None:
        return insert(tx, conversation, next(beyond), result, now=now)

    # Three guards stand in the way: the unique index, what is marked as answered, and the state machine.
    patch.setattr(results, "insert_result", insert_anyway)
    patch.setattr(store, "mark_answered", lambda *_, **__: None)
    patch.setattr(lifecycle, "move", lambda _tx, conversation, *_, **__: conversation)


CASES: list[tuple[Scenario, Switch, str]] = [
    (an_answer_to_a_call_is_lost, the_call_comes_before_the_commit_of_sending, "doubled"),
    (a_message_is_posted_twice, messages_are_not_known_by_their_sid, "doubled"),
    (twilio_throttles_the_first_of_two_answers, sends_have_no_key, "disordered"),
    (the_disk_fails_under_a_message, messages_are_acknowledged_even_when_not_written, "lost"),
    (a_turn_fails_after_its_commit, a_turn_may_answer_what_was_answered, "doubled"),
]


async def broken(world: World, scenario: Scenario) -> set[str]:
    async with world.running():
        texts = await scenario(world)
        await world.twilio.until(lambda: bool(world.twilio.accepted))
        await asyncio.sleep(0.3)  # what a sabotaged program does too much, it does at once
        with suppress(TimeoutError):  # a sabotaged program need not come to rest
            await world.at_rest(seconds=8)
    return set(judge({ANA: texts}, world.twilio.accepted).broken)


@pytest.mark.slow
@pytest.mark.parametrize("scenario", [scenario for scenario, _, _ in CASES])
async def test_intact_the_program_keeps_every_promise(world: World, scenario: Scenario) -> None:
    assert await broken(world, scenario) == set()


@pytest.mark.parametrize(("scenario", "sabotage", "promise"), CASES)
async def test_sabotaged_it_is_found_out(
    world: World, monkeypatch: pytest.MonkeyPatch, scenario: Scenario, sabotage: Switch, promise: str
) -> None:
    sabotage(monkeypatch)
    assert promise in await broken(world, scenario)
