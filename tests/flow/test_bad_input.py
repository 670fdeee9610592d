"""When what the program stands on fails: the model, the disk, the database, its own twin, its end. Nothing is lost."""

import asyncio
import re
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.faults.ledger import judge
from tests.program import World, open_world, person
from wtai.conversation.texts import texts
from wtai.db.sqlite import connect
from wtai.simulator.model import ModelFault
from wtai.simulator.twilio_faults import TwilioFault

ANA, BIA = person(1), person(2)


@pytest.fixture
async def world(data_dir: Path) -> AsyncIterator[World]:
    async with open_world(data_dir) as opened:
        yield opened


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MB."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(place)], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("mounting a tmpfs needs root")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(place: Path) -> Path:
    """Leave not a single free block; returns the file that does it."""
    filler = place / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * 4096)
        except OSError:
            return filler


async def test_an_unreachable_model_leads_to_a_person_and_no_message_is_lost(world: World, free_port: int) -> None:
    async with world.running(openai={"base_url": f"http://127.0.0.1:{free_port}/v1"}, worker={"max_attempts": 2}):
        assert (await world.say(ANA, "oi")).status == 200
        assert await world.answers_to(ANA, 1) == [texts("pt-BR").failed]
        await world.at_rest()
    async with world.running():
        await world.say(ANA, "voltou?")
        await world.at_rest()
    waiting = "SELECT body FROM messages m JOIN conversations c ON c.id = conversation_id WHERE m.id > answered_through"
    assert {"body": "voltou?"} in world.rows(waiting)
    assert world.value("SELECT state FROM conversations") == "HANDOFF"
    assert len(world.sent_to(ANA)) == 1


async def test_a_token_that_twilio_takes_no_more_loses_no_answer(world: World) -> None:
    line = world.line
    async with world.running() as program:
        world.model.latency_seconds = 0.5
        await world.say(ANA, "oi")
        world.twilio.tokens[line.account_sid] = "a-new-one"
        await world.until(lambda: bool(world.rows("SELECT 1 FROM jobs WHERE kind = 'send_message' AND state = 'scheduled'")))
        assert [row["status"] for row in world.outbound()] == ["queued"]
        token = world.data_dir / "token"
        token.write_text("a-new-one")
        world.command("twilio", "rotate", line.owner, "--auth-token-file", str(token))
        await program.database.system_write(lambda tx: (tx.run("UPDATE jobs SET run_at = 0"), tx.signal("jobs")))
        assert await world.answers_to(ANA, 1) == ["eco: oi"]
        await world.at_rest()


@pytest.mark.parametrize("fault", [ModelFault.MALFORMED, ModelFault.RESET, ModelFault.THROTTLED])
async def test_a_model_that_breaks_off_is_asked_again(world: World, fault: ModelFault) -> None:
    world.model.faults.arm(fault)
    async with world.running():
        await world.say(ANA, "oi")
        assert await world.answers_to(ANA, 1) == ["eco: oi"]


async def test_a_model_that_never_answers_does_not_keep_others_waiting(world: World) -> None:
    world.model.faults.arm(ModelFault.HANG, times=1)
    async with world.running(openai={"timeout_seconds": 6.0}):
        await world.say(ANA, "oi")
        await world.until(lambda: world.model.counts.total() == 1)
        await world.say(BIA, "oi")
        assert await world.answers_to(BIA, 1, seconds=5.5) == ["eco: oi"]
        assert await world.answers_to(ANA, 1) == ["eco: oi"]


async def test_with_the_disk_full_messages_are_refused_with_503_and_taken_again_once_there_is_room(
    small_disk: Path, free_port: int
) -> None:
    async with open_world(small_disk) as world, world.process(free_port):
        await world.insist(ANA, "um")
        await world.answers_to(ANA, 1)
        filler = fill(small_disk)
        texts = [f"cheio {number}" for number in range(5)]
        refused = [await world.say(ANA, text) for text in texts]
        assert [result.status for result in refused] == [503] * 5
        filler.unlink()
        room = time.monotonic()
        for result in refused:
            while (await world.twilio.redeliver(result.sid)).status != 200:
                assert time.monotonic() - room < 20
                await asyncio.sleep(0.1)
        await world.at_rest()
        assert judge({ANA: ["um", *texts]}, world.twilio.accepted).broken == {}
        assert world.value("PRAGMA integrity_check") == "ok"


@pytest.mark.slow
async def test_with_the_database_locked_by_another_process_a_message_is_refused_in_time_and_then_taken(
    world: World, free_port: int
) -> None:
    """In time is before Twilio gives up, after 15 s. The message may wait for its own turn and for one claim of the worker."""
    async with world.process(free_port):
        with closing(connect(world.data_dir / "wtai.db")) as other:
            other.execute("BEGIN IMMEDIATE")
            asked = time.monotonic()
            refused = await world.say(ANA, "oi")
            assert (refused.status, time.monotonic() - asked < 12) == (503, True)
            other.execute("ROLLBACK")
        assert (await world.twilio.redeliver(refused.sid)).status == 200
        assert await world.answers_to(ANA, 1) == ["eco: oi"]
        await world.at_rest()
    assert world.value("SELECT count(*) FROM messages WHERE direction = 'inbound'") == 1


async def test_a_second_instance_ends_at_once_and_the_first_one_goes_on(world: World, free_port: int) -> None:
    async with world.process(free_port) as first:
        started = time.monotonic()
        second = world.process(0)
        world.twilio.webhook_url = f"http://127.0.0.1:{free_port}"
        second.start()
        assert await second.exit_code() == 4
        assert time.monotonic() - started < 15
        assert "already serves" in second.log
        await world.say(ANA, "oi")
        assert await world.answers_to(ANA, 1) == ["eco: oi"]
        assert first.alive


async def test_a_database_of_a_newer_program_is_not_touched(world: World, free_port: int) -> None:
    with closing(connect(world.data_dir / "wtai.db")) as connection:
        connection.execute("PRAGMA user_version = 9999")
    process = world.process(free_port)
    process.start()
    assert await process.exit_code() == 5
    assert "run the newer wtai, or restore a back-up" in process.log
    assert world.value("PRAGMA user_version") == 9999


async def test_a_port_in_use_ends_the_start_with_the_mend(world: World, free_port: int) -> None:
    with socket.create_server(("127.0.0.1", free_port)):
        process = world.process(free_port)
        process.start()
        assert await process.exit_code() == 4
    assert "stop what uses the port, or set server.port" in process.log


async def test_sigterm_with_turns_in_flight_ends_with_0_within_the_grace_and_the_next_start_answers(
    world: World, free_port: int
) -> None:
    people = [person(number) for number in range(8)]
    world.model.latency_seconds = 60
    process = world.process(free_port, worker={"shutdown_grace_seconds": 0.5}, openai={"timeout_seconds": 60})
    async with process:
        for one in people:
            assert (await world.say(one, f"de {one[-2:]}")).status == 200
        await world.until(lambda: world.model.counts.total() == len(people))
        process.terminate()
        asked = time.monotonic()
        assert await process.exit_code() == 0
        assert time.monotonic() - asked < 15
    assert world.value("SELECT count(*) FROM jobs WHERE state = 'running'") == 0
    assert world.value("SELECT max(rescues) FROM jobs") == 0
    world.model.latency_seconds = 0
    async with world.process(free_port):
        await world.at_rest()
    assert judge({one: [f"de {one[-2:]}"] for one in people}, world.twilio.accepted).broken == {}


async def test_sigterm_lets_a_turn_that_is_almost_done_finish(world: World, free_port: int) -> None:
    world.model.latency_seconds = 0.7
    async with world.process(free_port, worker={"shutdown_grace_seconds": 10}) as process:
        await world.say(ANA, "oi")
        await world.until(lambda: world.model.counts.total() == 1)
        process.terminate()
        assert await process.exit_code() == 0
    assert world.value("SELECT count(*) FROM ai_results") == 1


async def test_no_log_holds_a_phone_number_a_token_a_key_or_what_was_said(world: World, free_port: int) -> None:
    """At the most talkative level, with everything going wrong that is answered."""
    kinds = (TwilioFault.OPTED_OUT, TwilioFault.THROTTLED, TwilioFault.ERROR_BEFORE, TwilioFault.RESET_AFTER)
    failing = {"logging": {"level": "debug"}, "worker": {"max_attempts": 2}}
    points = "turn.before_commit=3:raise;send.before_commit=2:raise;status.before_commit=2:raise;ack.before_commit=4:raise"
    async with world.process(free_port, failpoints=points, **failing) as process:
        for number, kind in enumerate(kinds):
            world.twilio.faults.arm(kind, retry_after="0")
            await world.insist(person(number), "abacaxi")
        world.model.faults.arm(ModelFault.ERROR, times=4)
        world.model.enqueue([{"status": 401, "body": {"error": {"message": "Incorrect API key provided: sk-test"}}}])
        await world.insist(ANA, "abacaxi de novo")
        world.model.forget_script()
        form = {"AccountSid": world.line.account_sid, "From": ANA, "To": world.line.number, "Body": "abacaxi"}
        for fields, signature in ((form, None), ({**form, "MessageSid": "abacaxi"}, "abacaxi"), ({}, None)):
            assert (await world.twilio.post(tuple(fields.items()), signature=signature)).status in {400, 403}
        await world.at_rest()
        process.terminate()
        assert await process.exit_code() == 0
    log = process.log
    assert len(log.splitlines()) > 20
    assert "job.failed" in log
    for secret in ("abacaxi", world.line.token, "sk-test", *(one.removeprefix("whatsapp:+") for one in map(person, range(4)))):
        assert secret not in log, secret
    assert not re.search(r"\+?55119\d{8}", log)
