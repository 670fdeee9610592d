"""Three short messages for one thought: one answer, to all of them, and none too late."""

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.faults.ledger import judge
from tests.program import World, open_world, person
from wtai.ai import turn

ANA = person(1)
BUTTON = (("ButtonText", "Confirmar"), ("ButtonPayload", "yes"), ("ButtonType", "QUICK_REPLY"))
LONG_QUIET = {"burst_quiet_ms": 5_000}


@pytest.fixture
async def world(data_dir: Path) -> AsyncIterator[World]:
    async with open_world(data_dir) as opened:
        yield opened


async def test_five_messages_in_three_seconds_get_one_answer_that_covers_all_five(data_dir: Path) -> None:
    texts = ["oi", "queria encomendar um bolo", "de chocolate", "para sábado", "dá tempo?"]
    async with open_world(data_dir, conversation={"burst_quiet_ms": 2_500}) as world, world.running():
        for text in texts:
            await world.say(ANA, text)
            await asyncio.sleep(0.7)
        assert await world.answers_to(ANA, 1) == [f"eco: {' | '.join(texts)}"]
        await world.at_rest()
        assert len(world.twilio.accepted) == 1
        assert len(world.model.requests) == 1
        assert world.value("SELECT count(*) FROM ai_results") == 1


async def test_a_message_at_any_moment_of_the_model_call_is_never_ignored(world: World) -> None:
    """Whenever it lands: one answer covers both, or the second one has an answer of its own, behind the first."""
    world.model.latency_seconds = 0.1
    chance = random.Random(3)
    people = [person(number) for number in range(30)]

    async def interrupt(who: str) -> list[str]:
        texts = [f"{who[-2:]} um", f"{who[-2:]} dois", f"{who[-2:]} três"]
        for text in texts:
            await world.insist(who, text)
            await asyncio.sleep(chance.uniform(0, 0.25))
        return texts

    async with world.running():
        said = await asyncio.gather(*map(interrupt, people))
        await world.at_rest(seconds=60)
    verdict = judge(dict(zip(people, said, strict=True)), world.twilio.accepted)
    assert (verdict.broken, verdict.apologized, verdict.answered) == ({}, [], 90)
    assert {row["state"] for row in world.rows("SELECT state FROM conversations")} == {"WAITING_USER"}


async def test_the_third_draft_goes_out_and_the_next_turn_answers_the_rest(world: World) -> None:
    world.model.latency_seconds = 1.0
    async with world.running():
        for number in range(1, turn._DRAFTS + 2):
            await world.say(ANA, f"m{number}")
            await world.until(lambda wanted=number: world.model.counts.total() >= wanted)
        assert await world.answers_to(ANA, 2) == ["eco: m1 | m2 | m3", "eco: m4"]
        await world.at_rest()
    assert world.model.counts.total() == turn._DRAFTS + 1
    assert world.value("SELECT state FROM conversations") == "WAITING_USER"


@pytest.mark.parametrize(("text", "extra"), [("Confirmar", BUTTON), ("sim", ())], ids=["button", "final word"])
async def test_what_is_a_whole_thought_starts_at_once(data_dir: Path, text: str, extra: tuple[tuple[str, str], ...]) -> None:
    async with open_world(data_dir, conversation=LONG_QUIET) as world, world.running():
        await world.say(ANA, text, extra=extra)
        (answer,) = await world.answers_to(ANA, 1, seconds=4.5)
        assert answer.endswith(text)


async def test_a_button_takes_along_what_was_still_waiting_for_more(data_dir: Path) -> None:
    async with open_world(data_dir, conversation=LONG_QUIET) as world, world.running():
        await world.say(ANA, "quero o bolo de")
        await world.say(ANA, "Chocolate", extra=(("ButtonText", "Chocolate"), ("ButtonPayload", "c")))
        (answer,) = await world.answers_to(ANA, 1, seconds=4.5)
        assert answer.startswith("eco: quero o bolo de | ")


async def test_a_thought_without_its_end_is_waited_for(data_dir: Path) -> None:
    async with open_world(data_dir, conversation={"burst_quiet_ms": 1_000}) as world, world.running():
        await world.say(ANA, "quero dois pães e")
        await asyncio.sleep(2.0)  # twice the usual quiet
        assert not world.model.requests
        await world.say(ANA, "um café")
        assert await world.answers_to(ANA, 1) == ["eco: quero dois pães e | um café"]


# The typing indicator


async def test_typing_is_shown_to_the_writer_of_the_newest_message_while_the_model_is_slow(world: World) -> None:
    world.model.latency_seconds = 3.0
    async with world.running():
        newest = await world.insist(ANA, "oi")
        await world.until(lambda: bool(world.twilio.typing))
        assert not world.twilio.accepted
        await world.answers_to(ANA, 1)
        await world.at_rest()
    assert list(world.twilio.typing) == [newest]


async def test_a_quick_answer_needs_no_sign_before_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turn, "_TYPING_AFTER_SECONDS", 3.0)
    async with world.running():
        await world.say(ANA, "oi")
        await world.answers_to(ANA, 1)
        await asyncio.sleep(3.2)
    assert not world.twilio.typing


async def test_the_sign_is_shown_again_before_it_goes_out(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turn, "_TYPING_AFTER_SECONDS", 0.05)
    monkeypatch.setattr(turn, "_TYPING_SECONDS", 0.3)
    world.model.latency_seconds = 2.0
    async with world.running():
        await world.say(ANA, "oi")
        await world.answers_to(ANA, 1)
        await world.at_rest()
        shown = len(world.twilio.typing)
        await asyncio.sleep(0.5)
    assert shown >= 3
    assert len(world.twilio.typing) == shown, "nobody types after the answer"


async def test_a_sign_that_cannot_be_shown_breaks_nothing(
    world: World, free_port: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(turn, "_TYPING_AFTER_SECONDS", 0.05)
    world.model.latency_seconds = 0.4
    async with world.running(twilio={"messaging_url": f"http://127.0.0.1:{free_port}"}):
        await world.say(ANA, "oi")
        assert await world.answers_to(ANA, 1) == ["eco: oi"]
        await world.at_rest()
    assert not world.twilio.typing
    assert "error" not in capsys.readouterr().out
    assert world.value("SELECT outcome FROM ai_results") == "answered"


async def test_a_sign_that_hangs_does_not_hold_the_answer_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr("wtai.channels.typing.TypingIndicator.show", hang)
    monkeypatch.setattr(turn, "_TYPING_AFTER_SECONDS", 0.05)
    world.model.latency_seconds = 0.3
    async with world.running():
        await world.say(ANA, "oi")
        assert await world.answers_to(ANA, 1) == ["eco: oi"]
        await world.at_rest()
