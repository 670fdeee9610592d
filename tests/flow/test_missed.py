"""What people wrote while nobody took it is found in the provider's list and answered as if its webhook had come."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.program import World, open_world, person
from wtai.app import Running
from wtai.channels.missed import MISSED
from wtai.clock import SystemClock
from wtai.db.tx import PLATFORM
from wtai.identity.audit_store import OPERATOR
from wtai.jobs.store import enqueue
from wtai.privacy.eraser import Eraser
from wtai.simulator.twilio_webhooks import WebhookResult

ANA, BRUNO = person(1), person(2)
_LONGER_THAN_GRACE = 1.3
_A_SECOND_LATER = 1.1
_DAY_MS = 24 * 3_600_000


@pytest.fixture
async def world(data_dir: Path) -> AsyncIterator[World]:
    async with open_world(data_dir, owners=2) as opened:
        opened.twilio.webhook_url = "http://127.0.0.1:9"  # nobody is there yet
        yield opened


async def look(program: Running) -> None:
    """What a timer does every few minutes."""
    await program.database.write(PLATFORM, enqueue, MISSED, {}, now=SystemClock().now())


async def write(world: World, who: str, text: str, **options: Any) -> WebhookResult:
    """A customer writes, and Twilio has had its time to tell."""
    result = await world.say(who, text, **options)
    await asyncio.sleep(_LONGER_THAN_GRACE)
    return result


def inbound(world: World) -> list[tuple[str, str]]:
    rows = world.rows("SELECT provider_sid, body FROM messages WHERE direction = 'inbound' ORDER BY id")
    return [(row["provider_sid"], row["body"]) for row in rows]


async def test_what_was_written_while_the_program_was_down_is_answered_once_it_is_back(world: World) -> None:
    texts = ["oi", "tem bolo?", "ó, 2 + 2 = 4 & 100%"]
    results = [await write(world, ANA, text) for text in texts]
    results.append(await write(world, BRUNO, "sou do outro", line=world.lines[1]))
    assert {result.status for result in results} == {0}
    async with world.running():
        await world.until(lambda: len(inbound(world)) == 4)
        await world.at_rest()
        # Twilio's own late tries of the same messages change nothing.
        assert [(await world.twilio.redeliver(result.sid)).status for result in results] == [200] * 4
        await world.at_rest()
    of_first = [(result.sid, text) for result, text in zip(results, texts, strict=False)]
    assert [one for one in inbound(world) if one[1] in texts] == of_first
    assert " | ".join(message.body.removeprefix("eco: ") for message in world.sent_to(ANA)) == " | ".join(texts)
    assert [(message.body, message.from_) for message in world.sent_to(BRUNO)] == [("eco: sou do outro", world.lines[1].number)]


async def test_a_photo_that_was_missed_is_fetched(world: World) -> None:
    png = bytes.fromhex("89504e470d0a1a0a") + b"\0" * 40
    await write(world, ANA, "olha", media=[("image/png", png)])
    async with world.running():
        await world.answers_to(ANA, 1)
        await world.at_rest()
    assert world.rows("SELECT kind, body FROM messages WHERE direction = 'inbound'") == [{"kind": "image", "body": "olha"}]
    stored = Path(world.settings().media.directory) / world.value("SELECT path FROM media")
    assert stored.read_bytes() == png


async def test_only_what_came_since_the_number_was_connected_is_asked_for(world: World) -> None:
    old = await write(world, ANA, "de ontem")
    message = world.twilio.messages.get(world.line.account_sid, old.sid)
    message.created_at = message.updated_at = message.sent_at = message.created_at - _DAY_MS
    await write(world, ANA, "de agora")
    async with world.running():
        await world.answers_to(ANA, 1)
        await world.at_rest()
    assert [body for _, body in inbound(world)] == ["de agora"]


async def test_a_message_is_left_to_its_webhook_for_a_while(world: World) -> None:
    await write(world, ANA, "oi")
    async with world.running(twilio={"reconcile_seconds": 600}):
        await world.until(lambda: any("To=" in request.path for request in world.twilio.requests))
        await world.at_rest()
        assert inbound(world) == []
    async with world.running():
        await world.answers_to(ANA, 1)
        await world.at_rest()
    assert len(inbound(world)) == 1


async def test_what_comes_late_has_its_own_time_and_the_window_does_too(world: World) -> None:
    """Free text a day after the person wrote would be refused: it is kept for staff instead."""
    late = await write(world, ANA, "ainda tem?")
    long_ago = SystemClock().now() - _DAY_MS - 60_000
    message = world.twilio.messages.get(world.line.account_sid, late.sid)
    message.created_at = message.updated_at = message.sent_at = long_ago
    async with world.running() as program:
        await world.at_rest()
        await program.database.system_write(lambda tx: tx.run("UPDATE twilio_numbers SET heard_until = :at", at=long_ago))
        await look(program)
        await world.until(
            lambda: [row["parked"] for row in world.rows("SELECT parked FROM messages WHERE author = 'agent'")] == ["window"]
        )
        await world.at_rest()
    assert world.value("SELECT created_at FROM messages WHERE direction = 'inbound'") == long_ago // 1000 * 1000
    assert world.sent_to(ANA) == []


async def test_a_message_whose_files_are_not_named_holds_up_no_other(world: World) -> None:
    await write(world, ANA, "olha", media=[("image/png", b"\x89PNG\r\n\x1a\n")])
    await write(world, BRUNO, "oi")
    files = dict(world.twilio.messages.media)
    world.twilio.messages.media.clear()  # the list of them answers 500 now
    async with world.running() as program:
        assert await world.answers_to(BRUNO, 1) == ["eco: oi"]
        await world.at_rest()
        assert [body for _, body in inbound(world)] == ["oi"]
        world.twilio.messages.media.update(files)
        await look(program)
        await world.answers_to(ANA, 1)
        await world.at_rest()
    assert [body for _, body in inbound(world)] == ["oi", "olha"]


async def test_a_message_whose_files_are_never_named_is_received_without_them_after_a_day(world: World) -> None:
    late = await write(world, ANA, "olha", media=[("image/png", b"\x89PNG\r\n\x1a\n")])
    long_ago = SystemClock().now() - _DAY_MS - 60_000
    message = world.twilio.messages.get(world.line.account_sid, late.sid)
    message.created_at = message.updated_at = message.sent_at = long_ago
    world.twilio.messages.media.clear()  # the list of them answers 500 now
    async with world.running() as program:
        await world.at_rest()
        await program.database.system_write(lambda tx: tx.run("UPDATE twilio_numbers SET heard_until = :at", at=long_ago))
        await look(program)
        await world.until(lambda: bool(inbound(world)))
        await world.at_rest()
    assert inbound(world) == [(late.sid, "olha")]


async def test_what_was_written_to_a_disabled_owner_counts_for_nothing_when_it_is_enabled(world: World) -> None:
    owner = world.line.owner
    async with world.running() as program:
        await world.at_rest()
        world.command("owner", "disable", owner)
        await world.say(ANA, "tem alguém?")
        await asyncio.sleep(_A_SECOND_LATER)  # Twilio dates by the second
        await look(program)
        await world.at_rest()
        world.command("owner", "enable", owner)
        await asyncio.sleep(_LONGER_THAN_GRACE)
        await look(program)
        await world.at_rest()
    assert inbound(world) == []


async def test_a_list_that_fails_loses_nothing_and_leaves_no_dead_job(world: World) -> None:
    await write(world, ANA, "oi")
    world.twilio.tokens[world.line.account_sid] = "rotated"
    async with world.running() as program:
        await world.until(lambda: any("To=" in request.path for request in world.twilio.requests))
        await world.at_rest()
        assert inbound(world) == []
        world.twilio.tokens[world.line.account_sid] = world.line.token
        await look(program)
        await world.answers_to(ANA, 1)
        await world.at_rest()
    assert world.rows("SELECT 1 FROM jobs WHERE owner_id > 0 OR state = 'dead'") == [], "what is left is a timer's"


async def test_what_was_heard_is_not_asked_for_again(world: World) -> None:
    async with world.running() as program:
        await world.say(ANA, "oi")
        await world.answers_to(ANA, 1)
        await world.at_rest()
        before = world.value("SELECT heard_until FROM twilio_numbers WHERE address = :address", address=world.line.number)
        await asyncio.sleep(_LONGER_THAN_GRACE)
        await look(program)
        await world.at_rest()
        after = world.value("SELECT heard_until FROM twilio_numbers WHERE address = :address", address=world.line.number)
    assert after > before
    assert [body for _, body in inbound(world)] == ["oi"]


async def test_an_erased_person_does_not_come_back_from_the_list(world: World) -> None:
    async with world.running() as program:
        await world.say(ANA, "oi")
        await world.answers_to(ANA, 1)
        await world.at_rest()
        eraser = Eraser.of(world.settings(), program.database, SystemClock())
        await eraser.erase_user(world.line.owner_id, world.value("SELECT public_id FROM users WHERE name IS NOT NULL"), OPERATOR)
        asked = len(world.twilio.requests)
        await asyncio.sleep(_LONGER_THAN_GRACE)
        await look(program)
        await world.until(lambda: any("To=" in request.path for request in list(world.twilio.requests)[asked:]))
        await world.until(lambda: world.value("SELECT count(*) FROM jobs WHERE kind NOT LIKE 'finish%'") == 0)
        assert inbound(world) == []


@pytest.mark.parametrize("hit", [1, 2])
async def test_killed_while_it_is_received_a_missed_message_is_answered_once(world: World, free_port: int, hit: int) -> None:
    for text in ("um", "dois"):
        await write(world, ANA, text)
    async with world.process(free_port, failpoints=f"ack.before_commit={hit}:kill") as process:
        await world.until(lambda: not process.alive or len(inbound(world)) == 2)
    async with world.process(free_port):
        await world.until(lambda: len(inbound(world)) == 2)
        await world.at_rest()
    assert " | ".join(message.body.removeprefix("eco: ") for message in world.sent_to(ANA)) == "um | dois"
