"""kill -9 between any two steps of a turn that changes something, and of a sweep: each effect once, each word once."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import closing
from pathlib import Path

import pytest

from tests.program import Process, World, open_world, person
from wtai.clock import SystemClock
from wtai.conversation.timeouts import TIMEOUTS
from wtai.db.sqlite import connect
from wtai.db.tx import PLATFORM, OwnerTx
from wtai.db.units import Statements
from wtai.failpoints import NAMES
from wtai.jobs.store import enqueue

ANA = person(1)
STEPS = [name for name in NAMES if name.startswith(("claim.", "turn.", "tool.", "send."))]
ALWAYS = ("tool.after_commit", "turn.after_model")
"""The two after which a turn that was tried again would do everything twice, if nothing kept it from that."""
SETTINGS = {"worker": {"lease_seconds": 1.5, "shutdown_grace_seconds": 1.0}, "conversation": {"idle_minutes": 1}}


@pytest.fixture
async def world(data_dir: Path) -> AsyncIterator[World]:
    async with open_world(data_dir, echo=False, specialists=("finance",), **SETTINGS) as opened:
        yield opened


async def dies_of_it(process: Process) -> None:
    process.start()
    assert await process.exit_code(seconds=60) == -signal.SIGKILL


async def lives(world: World, port: int, count: int) -> list[str]:
    """Start it again, and let it come to rest."""
    async with world.process(port):
        answers = await world.answers_to(ANA, count)
        await world.at_rest()
        await asyncio.sleep(0.1)
    return answers


def says(text: str) -> dict[str, object]:
    return _reply({"role": "assistant", "content": text}, "stop")


def calls(name: str, **arguments: object) -> dict[str, object]:
    call = {"id": "c1", "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
    return _reply({"role": "assistant", "content": None, "tool_calls": [call]}, "tool_calls")


def _reply(message: Mapping[str, object], finish: str) -> dict[str, object]:
    return {
        "status": 200,
        "body": {"id": "x", "model": "m", "choices": [{"index": 0, "message": message, "finish_reason": finish}]},
    }


async def answered(world: World, port: int, text: str, name: str, *answers: dict[str, object]) -> list[str]:
    """What ``text`` comes to when the program is killed on the way and the model gives the same answers at each try."""
    known = len(world.sent_to(ANA))
    async with asyncio.TaskGroup() as group:
        async with world.process(port, failpoints=f"{name}=1:kill") as process:
            world.model.enqueue(answers)
            group.create_task(world.insist(ANA, text))  # a claim of a timer's job may end the program before it has heard
            assert await process.exit_code(seconds=60) == -signal.SIGKILL
        world.model.enqueue(answers)
        return (await lives(world, port, known + 1))[known:]


@pytest.mark.parametrize("name", [name if name in ALWAYS else pytest.param(name, marks=pytest.mark.slow) for name in STEPS])
async def test_killed_anywhere_in_a_turn_that_books_the_entry_is_there_once_and_one_reply(
    world: World, free_port: int, name: str
) -> None:
    lunch = calls("add_expense", amount="32.50", description="almoço")
    replies = await answered(world, free_port, "gastei 32,50 no almoço", name, lunch, says("Lancei o almoço."))
    assert replies == ["Lancei o almoço."]
    assert world.value("SELECT count(*) FROM ledger_entries") == 1
    assert world.value("SELECT count(*) FROM ai_results") == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", STEPS)
async def test_killed_anywhere_in_a_turn_that_was_confirmed_the_entry_is_deleted_once_and_one_reply(
    world: World, free_port: int, name: str
) -> None:
    async with world.process(free_port):
        world.model.enqueue([calls("add_expense", amount="10", description="café"), says("Lancei.")])
        await world.say(ANA, "gastei 10 no café")
        await world.answers_to(ANA, 1)
        entry = world.value("SELECT public_id FROM ledger_entries")
        world.model.enqueue([calls("delete_entry", id=entry), says("Preciso do seu sim.")])
        await world.say(ANA, "apaga isso")
        await world.answers_to(ANA, 2)
        await world.at_rest()
    assert await answered(world, free_port, "sim", name, says("Apaguei o café.")) == ["Apaguei o café."]
    assert world.value("SELECT count(*) FROM ledger_entries") == 0
    assert world.value("SELECT count(*) FROM tool_runs WHERE tool = 'delete_entry'") == 1


@pytest.mark.parametrize("name", ["sweep.before_commit", "sweep.after_commit"])
async def test_killed_in_a_sweep_each_conversation_ends_once(world: World, free_port: int, name: str) -> None:
    async with world.process(free_port):
        for number in range(1, 4):
            await world.say(person(number), "oi")
        await world.until(lambda: world.value("SELECT count(*) FROM conversations WHERE state = 'WAITING_USER'") == 3)
        await world.at_rest()
    time_is_up(world)
    await dies_of_it(world.process(free_port, failpoints=f"{name}=1:kill"))
    async with world.process(free_port):
        await world.until(lambda: world.value("SELECT count(*) FROM conversations WHERE state = 'IDLE_TIMEOUT'") == 3)
        await world.at_rest()
    ends = "SELECT count(*) AS n FROM conversation_events WHERE to_state = 'IDLE_TIMEOUT' GROUP BY conversation_id"
    assert [row["n"] for row in world.rows(ends)] == [1, 1, 1]


def time_is_up(world: World) -> None:
    """Let the users have been silent for long, and the timer tick."""
    with closing(connect(world.data_dir / "wtai.db")) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("UPDATE conversations SET idle_at = 1 WHERE state = 'WAITING_USER'")
        enqueue(OwnerTx(Statements(connection), set(), PLATFORM), TIMEOUTS, {}, key=TIMEOUTS, now=SystemClock().now())
        connection.execute("COMMIT")
