"""Reminders through the whole program: asked for, kept, and sent once at their time, whatever happens to the process."""

import json
import signal
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.program import World, open_world, person
from wtai.clock import DAY, SECOND, SystemClock
from wtai.conversation import reminders
from wtai.conversation.recurrence import Repeats, to_local
from wtai.conversation.reminders import TEMPLATE
from wtai.conversation.reminders_store import Plan
from wtai.conversation.templates_store import set_template
from wtai.db.sqlite import SqliteDatabase
from wtai.db.tx import Database, OwnerTx

ANA = person(1)
SID = "HX" + "a1" * 16
ZONE = "America/Sao_Paulo"
TOLD = "⏰ Lembrete: ligar para a Bia"


@pytest.fixture
async def world(data_dir: Path) -> AsyncIterator[World]:
    worker = {"lease_seconds": 1.5, "shutdown_grace_seconds": 1.0}
    async with open_world(data_dir, specialists=("general", "relationship"), worker=worker) as opened:
        yield opened


async def greets(world: World) -> None:
    """Ana writes and is answered, so that there is a conversation."""
    await world.say(ANA, "oi")
    await world.answers_to(ANA, 1)
    await world.at_rest()


async def is_to_be_reminded(
    world: World, database: Database, *, within: int = SECOND, repeats: Repeats = Repeats.NEVER, wrote_ago: int = 0
) -> None:
    """A reminder due ``within`` ms, for somebody who wrote ``wrote_ago`` ms longer ago than they did."""

    def unit(tx: OwnerTx) -> None:
        tx.run("UPDATE conversations SET last_inbound_at = last_inbound_at - :ago WHERE owner_id = :owner", ago=wrote_ago)
        now = SystemClock().now()
        plan = Plan("ligar para a Bia", to_local(now + within, ZONE), ZONE, repeats)
        reminders.remind(tx, world.value("SELECT max(id) FROM conversations"), plan, now=now)

    await database.write(world.line.owner_id, unit)


def told(world: World) -> list[str]:
    """What Twilio took for Ana after the first answer: bodies, or content SIDs of templates."""
    return [dict(message.form).get("ContentSid") or message.body for message in world.sent_to(ANA)[1:]]


def calls(name: str, **arguments: object) -> dict[str, object]:
    """A scripted model's tool call."""
    call = {"id": "call_1", "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
    return _reply({"role": "assistant", "content": None, "tool_calls": [call]}, "tool_calls")


def says(text: str) -> dict[str, object]:
    """A scripted model's answer."""
    return _reply({"role": "assistant", "content": text}, "stop")


def _reply(message: dict[str, Any], finish: str) -> dict[str, object]:
    return {"status": 200, "body": {"model": "scripted", "choices": [{"message": message, "finish_reason": finish}]}}


async def test_a_reminder_asked_for_in_a_conversation_comes_at_its_time_and_once(world: World) -> None:
    async with world.running():
        due_at = SystemClock().now() + 8 * SECOND
        when = f"{datetime.fromtimestamp(due_at / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"
        world.model.enqueue(
            [
                says('{"agent": "relationship"}'),
                calls("create_reminder", text="ligar para a Bia", when=when),
                says("Lembrete criado: ligar para a Bia."),
            ]
        )
        await world.say(ANA, "me lembra de ligar para a Bia daqui a pouco")
        assert await world.answers_to(ANA, 2) == ["Lembrete criado: ligar para a Bia.", TOLD]
        assert SystemClock().now() >= due_at - SECOND
        await world.at_rest()
    assert len(world.sent_to(ANA)) == 2
    assert world.rows("SELECT author, body FROM messages WHERE direction = 'outbound' ORDER BY id DESC LIMIT 1") == [
        {"author": "system", "body": TOLD}
    ]
    assert world.value("SELECT status FROM reminders") == "sent"


async def test_outside_the_window_the_owners_template_takes_it_along(world: World) -> None:
    async with world.running() as program:
        await greets(world)
        await program.database.write(world.line.owner_id, set_template, TEMPLATE, "pt-BR", SID, now=SystemClock().now())
        await is_to_be_reminded(world, program.database, wrote_ago=DAY)
        await world.answers_to(ANA, 2)
        await world.at_rest()
    assert told(world) == [SID]
    assert json.loads(dict(world.sent_to(ANA)[1].form)["ContentVariables"]) == {"1": "ligar para a Bia"}


async def test_outside_the_window_without_a_template_it_is_parked_for_a_person_with_its_reason(world: World) -> None:
    async with world.running() as program:
        await greets(world)
        await is_to_be_reminded(world, program.database, wrote_ago=DAY)
        await world.until(lambda: len(world.outbound()) == 2)
        await world.at_rest()
    assert told(world) == []
    parked = world.rows("SELECT body, status, parked FROM messages WHERE author = 'system'")
    assert parked == [{"body": TOLD, "status": "queued", "parked": "window"}]


async def test_who_said_stop_is_not_reminded(world: World) -> None:
    async with world.running() as program:
        await greets(world)
        await is_to_be_reminded(world, program.database, within=5 * SECOND)
        await world.say(ANA, "SAIR")
        await world.at_rest()
    assert told(world) == []
    assert world.value("SELECT status FROM reminders") == "canceled"


async def test_what_came_due_while_the_program_was_down_is_sent_once_when_it_is_back(world: World) -> None:
    async with world.running():
        await greets(world)
    database = await SqliteDatabase.open(world.data_dir / "wtai.db")
    try:
        await is_to_be_reminded(world, database, within=-3 * DAY, repeats=Repeats.DAILY)
    finally:
        await database.close()
    async with world.running():
        await world.answers_to(ANA, 2)
        await world.until(lambda: world.value("SELECT count(*) FROM jobs") == 1)
    assert told(world) == [TOLD]
    assert world.value("SELECT run_at FROM jobs") > SystemClock().now()


SLOW_POINTS = ("claim.before_commit", "send.before_call", "send.before_commit", "send.after_commit")


@pytest.mark.parametrize(
    "point", ["claim.after_commit", "send.after_call", *(pytest.param(point, marks=pytest.mark.slow) for point in SLOW_POINTS)]
)
async def test_killed_on_its_way_it_still_comes_once_and_so_does_the_next(world: World, free_port: int, point: str) -> None:
    async with world.running() as program:
        await greets(world)
        await is_to_be_reminded(world, program.database, within=2 * SECOND, repeats=Repeats.DAILY)
    process = world.process(free_port, failpoints=f"{point}=1:kill")
    process.start()
    assert await process.exit_code() == -signal.SIGKILL
    async with world.process(free_port):
        await world.until(lambda: len(world.outbound()) == 2 and world.outbound()[1]["status"] in ("sent", "delivered"))
        await world.until(lambda: world.value("SELECT count(*) FROM jobs") == 1)
    assert told(world) == [TOLD]
    (reminder,) = world.rows("SELECT status, due_at FROM reminders")
    (job,) = world.rows("SELECT kind, run_at FROM jobs")
    assert (reminder["status"], job) == ("scheduled", {"kind": "remind", "run_at": reminder["due_at"]})
    assert reminder["due_at"] > SystemClock().now()
