"""``wtai trigger`` against a running program: what it posts is what Twilio would, and it says what became of it."""

import asyncio
import os
import shlex
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl

import pytest

from tests.program import ROOT, World, open_world
from wtai.app import Running

CUSTOMER = "whatsapp:+5511987654321"


@dataclass(frozen=True, slots=True)
class Ended:
    code: int
    out: str
    err: str


async def trigger(data_dir: Path, *arguments: str) -> Ended:
    """Run the real command."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("WTAI_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "wtai", "trigger", "--data-dir", str(data_dir), *arguments,
        env={**clean, "PYTHONPATH": str(ROOT)},
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await asyncio.wait_for(process.communicate(), 30)
    return Ended(process.returncode or 0, out.decode(), err.decode())


@pytest.fixture
async def world(data_dir: Path) -> AsyncIterator[World]:
    async with open_world(data_dir) as opened:
        yield opened


@pytest.fixture
async def program(world: World) -> AsyncIterator[Running]:
    async with world.running() as program:
        yield program


@pytest.mark.parametrize("kind", ["text", "audio", "image", "location", "button"])
async def test_a_message_of_each_kind_is_taken_and_answered(world: World, program: Running, kind: str) -> None:
    done = await trigger(world.data_dir, f"message.{kind}", "--url", str(program.url))
    assert done.code == 0, done.err
    status, sid = done.out.split()
    assert status == "200"
    assert world.rows("SELECT kind, provider_sid FROM messages WHERE direction = 'inbound'") == [
        {"kind": kind, "provider_sid": sid}
    ]
    await world.answers_to(CUSTOMER, 1)


async def test_sender_text_and_fields_can_be_given(world: World, program: Running) -> None:
    options = ("--from", "whatsapp:+5521999990000", "--body", "quero pão", "--override", "ProfileName=Zé", "--override", "Novo=1")
    done = await trigger(world.data_dir, "message.text", "--url", str(program.url), *options)
    assert done.code == 0, done.err
    assert await world.answers_to("whatsapp:+5521999990000", 1) == ["eco: quero pão"]
    assert world.value("SELECT name FROM users") == "Zé"
    assert "&Novo=1" in world.value("SELECT raw FROM messages WHERE direction = 'inbound'")


@pytest.mark.parametrize(("event", "final"), [("read", "read"), ("failed", "failed")])
async def test_a_status_moves_the_message_it_names(world: World, program: Running, event: str, final: str) -> None:
    world.twilio.statuses = ("sent",)
    await world.say(CUSTOMER, "oi")
    await world.until(lambda: [row["status"] for row in world.outbound()] == ["sent"])
    (message,) = world.outbound()
    done = await trigger(world.data_dir, f"status.{event}", "--message", message["public_id"], "--url", str(program.url))
    assert (done.code, done.out.split()[0]) == (0, "204"), done.err
    (after,) = world.outbound()
    assert (after["status"], after["error_code"]) == (final, 63024 if event == "failed" else None)


async def test_shown_instead_of_posted_it_is_the_same_request_as_a_command(world: World, program: Running) -> None:
    done = await trigger(world.data_dir, "message.text", "--show", "--url", str(program.url))
    assert done.code == 0, done.err
    assert world.value("SELECT count(*) FROM messages") == 0
    words = shlex.split(done.out)
    headers = dict(words[at + 1].split(": ", 1) for at, word in enumerate(words) if word == "-H")
    form = parse_qsl(words[words.index("--data-raw") + 1], keep_blank_values=True)
    posted = await world.twilio.post(tuple(form), signature=headers["X-Twilio-Signature"])
    assert posted.status == 200
    assert world.line.token not in done.out + done.err


async def test_several_addresses_are_refused_until_one_is_named(data_dir: Path) -> None:
    async with open_world(data_dir, owners=2) as world, world.running() as program:
        unclear = await trigger(data_dir, "message.text", "--url", str(program.url))
        assert unclear.code == 2
        assert all(line.owner in unclear.err and line.number in unclear.err for line in world.lines)
        named = await trigger(data_dir, "message.text", "--owner", world.lines[1].owner, "--url", str(program.url))
        assert named.code == 0, named.err
        assert world.value("SELECT owner_id FROM messages WHERE direction = 'inbound'") == world.lines[1].owner_id
        by_number = await trigger(data_dir, "message.text", "--to", world.lines[0].number, "--url", str(program.url))
        assert by_number.code == 0, by_number.err


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (("message.text", "--url", "http://127.0.0.1:9"), 1, "start wtai there, or name its address with --url"),
        (("message.text", "--owner", "own_nobody"), 1, "no owner own_nobody"),
        (("message.text", "--to", "whatsapp:+5500"), 1, "`wtai twilio connect`"),
        (("message.text", "--override", "Body"), 2, "'Body' is not NAME=VALUE"),
        (("message.text", "--message", "msg_1"), 2, "--message belongs to status events"),
        (("status.read",), 2, "--message msg_…"),
        (("status.read", "--message", "msg_nobody"), 1, "no outbound message msg_nobody"),
        (("message.video",), 2, "message.audio"),
    ],
)
async def test_what_cannot_be_posted_is_explained(world: World, arguments: tuple[str, ...], code: int, complaint: str) -> None:
    done = await trigger(world.data_dir, *arguments)
    assert (done.code, done.out) == (code, "")
    assert complaint in done.err
    assert "Traceback" not in done.err


async def test_a_refused_webhook_is_a_failure(world: World, program: Running) -> None:
    done = await trigger(world.data_dir, "message.text", "--override", f"AccountSid=AC{'f' * 32}", "--url", str(program.url))
    assert done.code == 1
    assert done.out.startswith("403")
    assert "refused with 403" in done.err
