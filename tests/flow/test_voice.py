"""A voice note is answered as if it had been typed; one that cannot be heard is asked for in writing, and never lost."""

import asyncio
import hashlib
import json
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.program import World, open_world, person
from wtai.conversation.texts import texts
from wtai.simulator.model import ModelFault
from wtai.simulator.twilio_faults import TwilioFault
from wtai.simulator.twilio_webhooks import WebhookResult
from wtai.simulator.voice import voice_note

ANA = person(1)
UNHEARD = texts("pt-BR").unheard
TRANSCRIPTIONS = "/v1/audio/transcriptions"
KILLED = {"worker": {"lease_seconds": 1.5, "shutdown_grace_seconds": 1.0}}


@pytest.fixture
async def world(data_dir: Path) -> AsyncIterator[World]:
    async with open_world(data_dir) as opened:
        yield opened


async def speak(world: World, who: str, said: str, *, seconds: float = 2.0, **options: object) -> WebhookResult:
    note = ("audio/ogg", voice_note(said, seconds=seconds))
    return await world.say(who, "", media=[note], **options)


def heard(said: str) -> str:
    return f"[áudio transcrito] {said}"


def statuses(world: World) -> list[str]:
    return [row["status"] for row in world.rows("SELECT status FROM media ORDER BY id")]


async def test_a_voice_note_is_answered_as_if_it_had_been_typed(world: World) -> None:
    async with world.running():
        result = await speak(world, ANA, "queria dois pães")
        assert result.status == 200
        assert await world.answers_to(ANA, 1) == [f"eco: {heard('queria dois pães')}"]
        await world.at_rest()
    (asked,) = [request for request in world.model.requests if "file" in request]
    assert asked == {
        "model": "gpt-transcribe",
        "response_format": "json",
        "file": "audio.ogg",
        "bytes": len(voice_note("queria dois pães")),
    }
    assert world.rows("SELECT status, transcript FROM media") == [{"status": "kept", "transcript": "queria dois pães"}]
    assert world.value("SELECT body FROM messages WHERE direction = 'inbound'") == "", "the body stays what the provider sent"
    assert world.value("SELECT state FROM conversations") == "WAITING_USER"
    assert not world.twilio.leaks


async def test_the_file_lies_under_its_owner_and_content_readable_by_nobody_else(world: World) -> None:
    async with world.running():
        await speak(world, ANA, "oi")
        await world.answers_to(ANA, 1)
    (row,) = world.rows("SELECT path, size, sha256 FROM media")
    content = voice_note("oi")
    digest = hashlib.sha256(content).hexdigest()
    assert row == {"path": f"{world.line.owner}/{digest[:2]}/{digest}", "size": len(content), "sha256": digest}
    media = world.data_dir / "media"
    assert (media / row["path"]).read_bytes() == content
    assert media.stat().st_mode & 0o077 == 0
    assert list((media / "incoming").iterdir()) == []


async def test_text_behind_a_voice_note_waits_for_it_and_both_get_one_answer_in_their_order(world: World) -> None:
    world.model.latency_seconds = 1.5
    async with world.running():
        await speak(world, ANA, "queria um bolo")
        await world.say(ANA, "de chocolate")
        assert await world.answers_to(ANA, 1) == [f"eco: {heard('queria um bolo')} | de chocolate"]
        await world.at_rest()
    assert len(world.twilio.accepted) == 1
    assert world.value("SELECT count(*) FROM ai_results") == 1


async def test_a_voice_note_during_a_draft_voids_it(world: World) -> None:
    world.model.latency_seconds = 2.0
    async with world.running():
        await world.say(ANA, "queria um bolo")
        await world.until(lambda: world.model.counts.total() == 1)
        await speak(world, ANA, "de chocolate")
        assert await world.answers_to(ANA, 1) == [f"eco: queria um bolo | {heard('de chocolate')}"]
        await world.at_rest()
    assert len(world.twilio.accepted) == 1


async def test_several_voice_notes_are_heard_one_by_one_and_answered_in_their_order(world: World) -> None:
    async with world.running():
        for said in ("um", "dois", "três"):
            await speak(world, ANA, said)
        await world.at_rest()
    answered = " | ".join(message.body.removeprefix("eco: ") for message in world.sent_to(ANA))
    assert answered == " | ".join(map(heard, ("um", "dois", "três")))


async def test_the_end_of_a_burst_is_still_waited_for_once_the_note_is_heard(data_dir: Path) -> None:
    async with open_world(data_dir, conversation={"burst_quiet_ms": 2_500}) as world, world.running():
        await speak(world, ANA, "queria um bolo")
        await world.until(lambda: statuses(world) == ["kept"])
        await asyncio.sleep(0.3)
        await world.say(ANA, "de chocolate")
        assert await world.answers_to(ANA, 1) == [f"eco: {heard('queria um bolo')} | de chocolate"]


async def test_what_was_said_is_part_of_the_history_of_later_turns(world: World) -> None:
    async with world.running():
        await speak(world, ANA, "meu nome é Ana")
        await world.answers_to(ANA, 1)
        await world.at_rest()
        await world.say(ANA, "qual é o meu nome?")
        await world.answers_to(ANA, 2)
    assert heard("meu nome é Ana") in json.dumps(world.model.requests[-1], ensure_ascii=False)


async def test_a_transcript_counts_as_the_persons_own_words(world: World) -> None:
    async with world.running():
        await speak(world, ANA, "quero falar com um atendente")
        await world.answers_to(ANA, 1)
        await world.at_rest()
    assert world.value("SELECT state FROM conversations") == "HANDOFF"


async def test_a_webhook_that_comes_twice_is_heard_and_answered_once(world: World) -> None:
    world.twilio.faults.arm(TwilioFault.WEBHOOK_DUPLICATED)
    async with world.running():
        result = await speak(world, ANA, "oi, tudo bem?")
        await world.answers_to(ANA, 1)
        await world.twilio.redeliver(result.sid)
        await world.at_rest()
    assert world.model.counts[TRANSCRIPTIONS] == 1
    assert len(world.twilio.accepted) == 1


async def test_the_same_recording_is_heard_once_whoever_sends_it(world: World) -> None:
    async with world.running():
        for who in (ANA, person(2)):
            await speak(world, who, "corrente")
            assert await world.answers_to(who, 1) == [f"eco: {heard('corrente')}"]
    assert world.model.counts[TRANSCRIPTIONS] == 1


async def test_a_recording_of_one_owner_is_unknown_to_another(data_dir: Path) -> None:
    async with open_world(data_dir, owners=2) as world, world.running():
        for line in world.lines:
            await speak(world, ANA, "segredo", line=line)
        await world.answers_to(ANA, 2)
        assert world.model.counts[TRANSCRIPTIONS] == 2
        assert len({row["path"] for row in world.rows("SELECT path FROM media")}) == 2


# In which language


@pytest.mark.parametrize(
    ("wrote", "language"),
    [
        ([], None),
        (["Olá! tudo bem?", "meu pedido não chegou"], "pt"),
        (["hola buenas tardes"], "es"),
        (["hi, how are you?"], "en"),
        (["ok", "👍", "pizza"], None),
        (["bom dia, tudo bem?", "hi, how are you?"], None),
    ],
    ids=["nothing", "pt", "es", "en", "what tells nothing", "two"],
)
async def test_the_language_is_named_only_where_what_the_person_typed_before_agrees_on_one(
    world: World, wrote: list[str], language: str | None
) -> None:
    async with world.running():
        for number, text in enumerate(wrote, 1):
            await world.say(ANA, text)
            await world.answers_to(ANA, number)
        await speak(world, ANA, "queria dois pães")
        await world.answers_to(ANA, len(wrote) + 1)
    (asked,) = [request for request in world.model.requests if "file" in request]
    assert asked.get("language") == language


async def test_what_others_wrote_and_what_was_forwarded_tells_nothing_of_a_persons_language(data_dir: Path) -> None:
    async with open_world(data_dir, owners=2) as world, world.running():
        await world.say(person(2), "bom dia, tudo bem?")
        await world.say(ANA, "bom dia, tudo bem?", line=world.lines[1])
        await world.say(ANA, "bom dia, tudo bem?", extra=(("Forwarded", "true"),))
        await world.answers_to(ANA, 2)
        await world.answers_to(person(2), 1)
        await speak(world, ANA, "hola")
        await world.answers_to(ANA, 3)
    (asked,) = [request for request in world.model.requests if "file" in request]
    assert "language" not in asked


# What goes wrong for a while


@pytest.mark.parametrize("fault", [ModelFault.ERROR, ModelFault.THROTTLED, ModelFault.RESET, ModelFault.MALFORMED])
async def test_a_transcription_that_fails_once_is_tried_again_without_a_second_download(world: World, fault: ModelFault) -> None:
    world.model.faults.arm(fault, retry_after="0")
    async with world.running():
        await speak(world, ANA, "queria dois pães")
        assert await world.answers_to(ANA, 1) == [f"eco: {heard('queria dois pães')}"]
    downloads = [request for request in world.twilio.requests if "/Media/" in request.path]
    assert (len(downloads), world.model.counts[TRANSCRIPTIONS]) == (1, 2)


async def test_a_download_that_fails_once_is_tried_again(world: World) -> None:
    world.twilio.faults.arm(TwilioFault.MEDIA_ERROR)
    async with world.running():
        await speak(world, ANA, "queria dois pães")
        assert await world.answers_to(ANA, 1) == [f"eco: {heard('queria dois pães')}"]


# What cannot be heard


@pytest.mark.parametrize(
    "fault", [TwilioFault.MEDIA_GONE, TwilioFault.MEDIA_TOO_LARGE, TwilioFault.MEDIA_COMPRESSED, TwilioFault.MEDIA_ELSEWHERE]
)
async def test_a_note_that_cannot_be_downloaded_is_asked_for_in_writing(world: World, fault: TwilioFault) -> None:
    world.twilio.faults.arm(fault)
    async with world.running():
        await speak(world, ANA, "queria dois pães")
        assert await world.answers_to(ANA, 1) == [UNHEARD]
        await world.at_rest()
        assert statuses(world) == ["failed"]
        assert world.value("SELECT error FROM media")
        assert world.value("SELECT author FROM messages WHERE direction = 'outbound'") == "system"
        assert world.value("SELECT state FROM conversations") == "WAITING_USER"
        await world.say(ANA, "dois pães")
        assert (await world.answers_to(ANA, 2))[1] == "eco: dois pães"
    assert world.model.counts[TRANSCRIPTIONS] == 0
    assert list((world.data_dir / "media" / "incoming").iterdir()) == []


async def test_while_the_model_stays_down_the_note_is_given_up_and_the_conversation_goes_on(data_dir: Path) -> None:
    async with open_world(data_dir, worker={"max_attempts": 2}) as world:
        world.model.faults.arm(ModelFault.ERROR, times=2)
        async with world.running():
            await speak(world, ANA, "queria dois pães")
            await world.say(ANA, "alô?")
            first, second = await world.answers_to(ANA, 2)
            assert first == UNHEARD
            assert second.startswith("eco: [áudio que não pôde ser ouvido; a pessoa já foi avisada] | alô?")
            await world.at_rest()
        assert statuses(world) == ["failed"]
        assert world.rows("SELECT kind FROM jobs") == [{"kind": "transcribe_audio"}], "kept dead, for staff to see"


async def test_two_notes_that_cannot_be_heard_are_asked_for_once(world: World) -> None:
    world.twilio.faults.arm(TwilioFault.MEDIA_GONE, times=2)
    for said in ("um", "dois"):
        await speak(world, ANA, said)
    async with world.running(role="web"):
        for message in list(world.twilio.messages.all()):
            await world.twilio.redeliver(message.sid)
    async with world.running(role="worker", server={"public_url": "http://127.0.0.1:9"}):
        await world.answers_to(ANA, 1)
        await world.at_rest()
    assert [message.body for message in world.sent_to(ANA)] == [UNHEARD]


@pytest.mark.parametrize("said", ["Legendas pela comunidade Amara.org", "¡Gracias por ver el video!", "Thanks for watching!"])
async def test_what_models_make_up_over_silence_is_not_taken_for_speech(world: World, said: str) -> None:
    async with world.running():
        await speak(world, ANA, said)
        assert await world.answers_to(ANA, 1) == [UNHEARD]
    assert world.rows("SELECT status, transcript FROM media") == [{"status": "kept", "transcript": ""}]


async def test_a_tap_on_the_microphone_is_not_sent_to_the_model(world: World) -> None:
    async with world.running():
        await speak(world, ANA, "…", seconds=0.3)
        assert await world.answers_to(ANA, 1) == [UNHEARD]
    assert world.model.counts[TRANSCRIPTIONS] == 0


async def test_while_a_person_has_the_conversation_notes_are_heard_for_them_and_nothing_is_said(world: World) -> None:
    async with world.running():
        await world.say(ANA, "quero falar com um atendente")
        await world.answers_to(ANA, 1)
        await world.at_rest()
        world.twilio.faults.arm(TwilioFault.MEDIA_GONE)
        await speak(world, ANA, "um")
        await speak(world, ANA, "dois")
        await world.at_rest()
    assert sorted(statuses(world)) == ["failed", "kept"]
    assert len(world.twilio.accepted) == 1


# kill -9


@pytest.mark.parametrize("name", ["transcribe.before_commit", "transcribe.after_commit", "turn.before_commit"])
async def test_killed_while_a_note_is_heard_it_gets_exactly_one_answer(data_dir: Path, free_port: int, name: str) -> None:
    async with open_world(data_dir, **KILLED) as world:
        process = world.process(free_port, failpoints=f"{name}=1:kill")
        process.start()
        await process.ready()
        await speak(world, ANA, "queria dois pães")
        await process.exit_code()
        async with world.process(free_port):
            assert await world.answers_to(ANA, 1) == [f"eco: {heard('queria dois pães')}"]
            await world.at_rest()
        assert len(world.twilio.accepted) == 1
        assert list((data_dir / "media" / "incoming").iterdir()) == []


async def test_a_note_that_kills_the_program_again_and_again_is_given_up(data_dir: Path, free_port: int) -> None:
    async with open_world(data_dir, **KILLED) as world:
        for _ in range(3):
            process = world.process(free_port, failpoints="transcribe.before_commit=1:kill")
            process.start()
            await process.ready()
            if not world.twilio.messages.all():
                await speak(world, ANA, "queria dois pães")
            await process.exit_code()
        async with world.process(free_port):
            assert await world.answers_to(ANA, 1) == [UNHEARD]
            await world.at_rest()


async def test_notes_and_texts_of_many_people_are_all_answered_once_and_in_order(world: World) -> None:
    chance = random.Random(5)
    world.model.latency_seconds = 0.03
    world.model.faults.arm(ModelFault.ERROR, times=6, probability=0.1)
    people = [person(number) for number in range(12)]

    async def talk(who: str) -> list[str]:
        said = []
        for number in range(4):
            text = f"{who[-2:]} {number}"
            spoken = chance.random() < 0.5
            await (speak(world, who, text) if spoken else world.insist(who, text))
            said.append(heard(text) if spoken else text)
            await asyncio.sleep(chance.uniform(0, 0.15))
        return said

    async with world.running():
        said = await asyncio.gather(*map(talk, people))
        await world.at_rest()
    for who, texts_of in zip(people, said, strict=True):
        answered = " | ".join(message.body.removeprefix("eco: ") for message in world.sent_to(who))
        assert answered == " | ".join(texts_of)
