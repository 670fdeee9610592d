"""Erasing people while the whole program is at work for them: nothing of them comes back, and who opted out stays opted out."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.program import World, open_world, person
from wtai.app import Running
from wtai.clock import SystemClock
from wtai.db.sqlite import SqliteDatabase
from wtai.identity.audit_store import OPERATOR
from wtai.privacy.erase import Receipt
from wtai.privacy.eraser import Eraser

WORD = "zanzibarita"


@pytest.fixture
async def world(data_dir: Path) -> AsyncIterator[World]:
    async with open_world(data_dir, backup={"directory": str(data_dir / "backups")}) as opened:
        yield opened


async def erase(world: World, program: Running, address: str) -> Receipt:
    assert isinstance(program.database, SqliteDatabase)
    public = world.value(
        "SELECT u.public_id FROM users u JOIN user_addresses a ON a.user_id = u.id WHERE a.address = :address", address=address
    )
    return await Eraser.of(world.settings(), program.database, SystemClock()).erase_user(world.line.owner_id, public, OPERATOR)


def in_files(world: World) -> list[str]:
    """Files in which the word stands; the program must have ended."""
    paths = [path for path in world.data_dir.rglob("*") if path.is_file()]
    return [path.name for path in paths if WORD.encode() in path.read_bytes().lower()]


async def test_a_turn_that_is_being_thought_brings_nothing_back(world: World) -> None:
    async with world.running() as program:
        await world.say(person(1), f"{WORD} um")
        await world.answers_to(person(1), 1)
        world.model.latency_seconds = 1.0
        await world.say(person(1), f"{WORD} dois")
        await world.until(lambda: world.value("SELECT count(*) FROM jobs WHERE kind = 'turn' AND state = 'running'") == 1)
        receipt = await erase(world, program, person(1))
        assert receipt.removed["messages"] >= 3
        await world.say(person(2), "outra pessoa")
        await world.answers_to(person(2), 1)
        await world.until(lambda: world.value("SELECT count(*) FROM jobs WHERE kind NOT LIKE 'finish%' AND state <> 'dead'") == 0)
        assert world.value("SELECT count(*) FROM users WHERE name IS NOT NULL OR public_id LIKE 'usr_erased%'") <= 2
        assert world.value("SELECT count(*) FROM conversations") == 1
        assert world.rows("SELECT error FROM jobs WHERE state = 'dead'") == []
    assert in_files(world) == []


async def test_who_opted_out_and_was_erased_is_still_opted_out(world: World) -> None:
    async with world.running() as program:
        await world.say(person(1), "oi")
        await world.answers_to(person(1), 1)
        await world.say(person(1), "PARAR")
        await world.until(lambda: world.value("SELECT count(*) FROM opt_outs") == 1)
        await erase(world, program, person(1))
        assert world.value("SELECT count(*) FROM opt_outs") == 0
        assert world.value("SELECT count(*) FROM kept_opt_outs") >= 1
        await world.say(person(1), "oi de novo")
        await world.say(person(2), "oi")
        await world.answers_to(person(2), 1)
        await world.until(lambda: world.value("SELECT count(*) FROM jobs WHERE kind NOT LIKE 'finish%'") == 0)
        assert len(world.sent_to(person(1))) == 1
        assert (world.value("SELECT count(*) FROM opt_outs"), world.value("SELECT count(*) FROM kept_opt_outs")) == (1, 0)
        await world.say(person(1), "COMEÇAR")
        await world.answers_to(person(1), 2)
        assert world.value("SELECT count(*) FROM opt_outs") == 0


async def test_a_command_erases_beside_the_running_program(world: World, free_port: int) -> None:
    process = world.process(free_port, logging={"level": "debug"})
    async with process:
        await world.say(person(1), f"{WORD} um")
        await world.say(person(2), "oi")
        await world.answers_to(person(1), 1)
        await world.answers_to(person(2), 1)
        public = world.value(
            "SELECT u.public_id FROM users u JOIN user_addresses a ON a.user_id = u.id WHERE a.address = :a", a=person(1)
        )
        world.command("user", "erase", world.line.owner, public, "--yes")
        await world.say(person(2), "ainda aí?")
        await world.answers_to(person(2), 2)
        assert WORD not in process.log
        assert person(1).removeprefix("whatsapp:+") not in process.log
    assert in_files(world) == []
