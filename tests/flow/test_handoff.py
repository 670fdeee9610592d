"""A person steps in, however it comes to it, and out again: the AI is silent in between, and knows afterwards what was said."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.program import World, open_world, person
from wtai.ai.context import HANDED_BACK, STEPPED_IN
from wtai.ai.texts import apology
from wtai.app import Running
from wtai.clock import SystemClock
from wtai.conversation import handoff, store
from wtai.conversation.model import Conversation, Template
from wtai.conversation.texts import texts
from wtai.db.tx import OwnerTx
from wtai.identity.preferences import Preferences
from wtai.identity.store import choose
from wtai.simulator.model import ModelFault
from wtai.simulator.twilio_faults import TwilioFault

ANA = person(1)
PT = texts("pt-BR")
BASE = Preferences()
FILTERED = {"status": 200, "body": {"choices": [{"message": {"role": "assistant"}, "finish_reason": "content_filter"}]}}
CALLS = {
    "id": "c1",
    "type": "function",
    "function": {"name": "call_person", "arguments": json.dumps({"reason": "quer negociar a dívida"})},
}
CALLING = {
    "status": 200,
    "body": {
        "choices": [{"message": {"role": "assistant", "content": "", "tool_calls": [CALLS]}, "finish_reason": "tool_calls"}]
    },
}
NO_KEY = {"status": 401, "body": {"error": {"message": "no", "type": "x", "param": None, "code": "invalid_api_key"}}}
Act = Callable[[OwnerTx, Conversation], object]


@pytest.fixture
async def world(data_dir: Path) -> AsyncIterator[World]:
    async with open_world(data_dir) as opened:
        yield opened


class Staff:
    """What people of the owner do, through the same functions as the API and the console."""

    def __init__(self, world: World, program: Running) -> None:
        self._world = world
        self._program = program

    async def prefer(self, **chosen: object) -> None:
        await self._program.database.write(self._world.line.owner_id, choose, BASE, json.dumps(chosen))

    async def take_over(self) -> None:
        await self._do(lambda tx, read: handoff.take_over(tx, read, now=SystemClock().now()))

    async def reply(self, *bodies: str) -> None:
        await self._do(lambda tx, read: handoff.reply(tx, read, list(bodies), now=SystemClock().now()))

    async def send_template(self, template: Template) -> None:
        await self._do(lambda tx, read: handoff.send_template(tx, read, template, now=SystemClock().now()))

    async def resume(self) -> None:
        await self._do(lambda tx, read: handoff.resume(tx, read, BASE, now=SystemClock().now()))

    async def close(self) -> None:
        await self._do(lambda tx, read: handoff.close(tx, read, now=SystemClock().now()))

    async def _do(self, act: Act) -> None:
        def unit(tx: OwnerTx) -> None:
            read = store.conversation(tx, self._world.value("SELECT max(id) FROM conversations"))
            assert read is not None
            act(tx, read)

        await self._program.database.write(self._world.line.owner_id, unit)


def state(world: World) -> str:
    return str(world.value("SELECT state FROM conversations ORDER BY id DESC LIMIT 1"))


def bodies(world: World) -> list[str]:
    return [message.body for message in world.sent_to(ANA)]


def asked(world: World) -> list[dict[str, Any]]:
    """The messages of the model's newest request, without the prompt and the note of the day."""
    request: Any = world.model.requests[-1]
    return [
        message
        for message in request["messages"]
        if message["role"] != "system" and "not from the user: today is" not in message["content"]
    ]


async def at_rest(world: World) -> None:
    await world.at_rest()
    await asyncio.sleep(0.05)


# How it comes to it


async def test_who_asks_for_a_person_gets_one_without_a_model_call(world: World) -> None:
    async with world.running():
        await world.say(ANA, "quero falar com um atendente")
        assert await world.answers_to(ANA, 1) == [PT.handoff]
        await at_rest(world)
    assert not world.model.requests
    assert state(world) == "HANDOFF"
    assert world.value("SELECT handoff_reason FROM conversations") == handoff.ASKED
    assert world.value("SELECT outcome FROM ai_results") == "handed_over"
    assert world.value("SELECT author FROM messages WHERE direction = 'outbound'") == "system"


async def test_the_agent_calls_a_person_by_its_tool_and_its_reason_is_kept_for_staff(world: World) -> None:
    world.model.enqueue([CALLING])
    async with world.running():
        await world.say(ANA, "quero negociar minha dívida")
        assert await world.answers_to(ANA, 1) == [PT.handoff]
        await at_rest(world)
    assert world.model.counts.total() == 1
    assert state(world) == "HANDOFF"
    assert world.value("SELECT handoff_reason FROM conversations") == "quer negociar a dívida"


async def test_that_a_person_was_called_is_said_only_when_it_happened(world: World) -> None:
    """The call is not followed where the message that came meanwhile voids the draft: nobody was called, and nobody says so."""
    world.model.enqueue(
        [CALLING, {"status": 200, "body": {"choices": [{"message": {"role": "assistant", "content": "já vi!"}}]}}]
    )
    world.model.latency_seconds = 1.5
    async with world.running():
        await world.say(ANA, "quero negociar minha dívida")
        await world.until(lambda: world.model.counts.total() == 1)
        await world.say(ANA, "ah, achei o boleto aqui")
        assert await world.answers_to(ANA, 1) == ["já vi!"]
        await at_rest(world)
    assert state(world) == "WAITING_USER"
    assert world.rows("SELECT 1 FROM conversation_events WHERE to_state = 'HANDOFF'") == []


async def test_turns_that_fail_one_after_the_other_call_a_person(world: World) -> None:
    world.model.enqueue([FILTERED], repeat_last=True)
    async with world.running():
        await world.say(ANA, "um")
        assert await world.answers_to(ANA, 1) == [apology("pt-BR")]
        await world.say(ANA, "dois")
        assert await world.answers_to(ANA, 2) == [apology("pt-BR"), PT.failed]
        await at_rest(world)
    assert state(world) == "HANDOFF"
    assert world.value("SELECT handoff_reason FROM conversations") == "2 failed turns"


async def test_a_turn_that_succeeds_forgives_the_one_that_failed(world: World) -> None:
    answer = {"status": 200, "body": {"choices": [{"message": {"role": "assistant", "content": "pronto"}}]}}
    world.model.enqueue([FILTERED, answer, FILTERED])
    async with world.running():
        for number, said in enumerate(("um", "dois", "três"), 1):
            await world.say(ANA, said)
            await world.answers_to(ANA, number)
        await at_rest(world)
    assert bodies(world) == [apology("pt-BR"), "pronto", apology("pt-BR")]
    assert state(world) == "WAITING_USER"


async def test_how_many_failures_it_takes_is_the_owners_choice(world: World) -> None:
    world.model.enqueue([NO_KEY], repeat_last=True)
    async with world.running() as program:
        await Staff(world, program).prefer(handoff_after_failures=1)
        await world.say(ANA, "um")
        assert await world.answers_to(ANA, 1) == [PT.failed]
        await at_rest(world)
    assert state(world) == "HANDOFF"


async def test_a_model_that_stays_down_calls_a_person_and_says_so_once(world: World) -> None:
    world.model.faults.arm(ModelFault.ERROR, times=None)
    async with world.running(worker={"max_attempts": 2}):
        await world.say(ANA, "oi")
        assert await world.answers_to(ANA, 1) == [PT.failed]
        await at_rest(world)
        world.model.faults.clear()
        await world.say(ANA, "e agora?")
        await asyncio.sleep(0.3)
        await at_rest(world)
    assert bodies(world) == [PT.failed]
    assert state(world) == "HANDOFF"


async def test_staff_take_over_and_the_users_messages_wait_for_them(world: World) -> None:
    async with world.running() as program:
        await world.say(ANA, "oi")
        await world.answers_to(ANA, 1)
        await Staff(world, program).take_over()
        await world.say(ANA, "tem alguém aí?")
        await world.say(ANA, "quero falar com um atendente")
        await world.say(ANA, "tchau")
        await at_rest(world)
    assert bodies(world) == ["eco: oi"]
    assert state(world) == "HANDOFF"
    assert world.rows("SELECT actor, reason FROM conversation_events WHERE to_state = 'HANDOFF'") == [
        {"actor": "staff", "reason": "taken by staff"}
    ]


async def test_a_reply_takes_over_by_itself(world: World) -> None:
    async with world.running() as program:
        await world.say(ANA, "oi")
        await world.answers_to(ANA, 1)
        await Staff(world, program).reply("Oi, aqui é a Bia!", "Em que posso ajudar?")
        assert (await world.answers_to(ANA, 3))[1:] == ["Oi, aqui é a Bia!", "Em que posso ajudar?"]
        await at_rest(world)
    assert state(world) == "HANDOFF"
    assert world.value("SELECT reason FROM conversation_events WHERE to_state = 'HANDOFF'") == "staff replied"


# The AI is silent


async def test_a_draft_that_was_being_written_when_staff_stepped_in_is_not_sent(world: World) -> None:
    world.model.latency_seconds = 1.5
    async with world.running() as program:
        await world.say(ANA, "oi")
        await world.until(lambda: world.model.counts.total() == 1)
        await Staff(world, program).reply("Aqui é a Bia.")
        await asyncio.sleep(2.0)
        await at_rest(world)
    assert bodies(world) == ["Aqui é a Bia."]
    assert world.rows("SELECT 1 FROM ai_results") == []


async def test_a_draft_from_before_a_person_came_and_went_is_not_sent(world: World) -> None:
    """Only the epoch tells: the state and the messages are those of before."""
    world.model.latency_seconds = 2.0
    async with world.running() as program:
        staff = Staff(world, program)
        await world.say(ANA, "oi")
        await world.until(lambda: world.model.counts.total() == 1)
        await staff.take_over()
        await staff.resume()
        await world.answers_to(ANA, 1)
        await at_rest(world)
    assert len(bodies(world)) == 1
    assert HANDED_BACK in json.dumps(asked(world), ensure_ascii=False)
    assert world.value("SELECT count(*) FROM ai_results") == 1


async def test_what_twilio_throttled_is_not_sent_after_a_person_stepped_in(world: World) -> None:
    world.twilio.faults.arm(TwilioFault.THROTTLED, retry_after="1")
    async with world.running() as program:
        await world.say(ANA, "oi")
        await world.until(lambda: any(request.status == 429 for request in world.twilio.requests))
        await world.until(lambda: [row["status"] for row in world.outbound()] == ["queued"])
        await Staff(world, program).take_over()
        await at_rest(world)
    assert bodies(world) == []
    assert [row["status"] for row in world.outbound()] == ["canceled"]


async def test_the_last_words_of_a_closed_conversation_are_not_said_into_a_persons_new_one(world: World) -> None:
    async with world.running() as program:
        staff = Staff(world, program)
        await world.say(ANA, "quero pão")
        await world.answers_to(ANA, 1)
        world.twilio.faults.arm(TwilioFault.THROTTLED, retry_after="2")
        await world.say(ANA, "obrigada, tchau!")
        await world.until(lambda: any(request.status == 429 for request in world.twilio.requests))
        await world.say(ANA, "ah, esqueci uma coisa")
        await staff.reply("Diga, Ana, aqui é a Bia.")
        await world.twilio.until(lambda: "Diga, Ana, aqui é a Bia." in bodies(world))
        await at_rest(world)
    assert bodies(world) == ["eco: quero pão", "Diga, Ana, aqui é a Bia."]


async def test_what_staff_and_we_ourselves_say_still_goes_out(world: World) -> None:
    world.twilio.faults.arm(TwilioFault.THROTTLED, retry_after="1")
    async with world.running() as program:
        await world.say(ANA, "quero falar com um atendente")
        await world.until(lambda: any(request.status == 429 for request in world.twilio.requests))
        await Staff(world, program).reply("Aqui é a Bia.")
        assert await world.answers_to(ANA, 2) == [PT.handoff, "Aqui é a Bia."]


# Hours


def shift(open_now: bool) -> dict[str, object]:
    """Business hours that are on now, or were over a while ago."""
    days = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
    now = datetime.now(ZoneInfo("America/Sao_Paulo"))
    if open_now:
        return {"business_hours": [{"days": days, "start": "00:00", "end": "00:00"}]}
    other_day = days[(now + timedelta(days=3)).weekday()]
    return {"business_hours": [{"days": [other_day], "start": "09:00", "end": "18:00"}]}


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        (shift(True), PT.handoff),
        (shift(False), PT.away),
        (shift(True) | {"handoff_text": "Já chamo!"}, "Já chamo!"),
        (shift(False) | {"away_text": "Só amanhã."}, "Só amanhã."),
        (shift(True) | {"away_text": "Só amanhã."}, PT.handoff),
    ],
    ids=["open", "closed", "own words", "own away text", "away text while open"],
)
async def test_what_is_said_depends_on_the_hour_and_the_owner(world: World, chosen: dict[str, object], said: str) -> None:
    async with world.running() as program:
        await Staff(world, program).prefer(**chosen)
        await world.say(ANA, "quero falar com um atendente")
        assert await world.answers_to(ANA, 1) == [said]


# Back to the AI


async def test_handed_back_the_ai_answers_what_no_person_answered_and_knows_what_was_said(world: World) -> None:
    async with world.running() as program:
        staff = Staff(world, program)
        await world.say(ANA, "quero um bolo")
        await world.answers_to(ANA, 1)
        await staff.reply("De que sabor? Aqui é a Bia.")
        await world.answers_to(ANA, 2)
        await world.say(ANA, "chocolate")
        await staff.reply("Anotado!")
        await world.answers_to(ANA, 3)
        await world.say(ANA, "e entregam no domingo?")
        await asyncio.sleep(0.1)
        await staff.resume()
        answers = await world.answers_to(ANA, 4)
        await at_rest(world)
    assert answers[3].endswith("e entregam no domingo?")
    spoken = [(message["role"], message["content"]) for message in asked(world)]
    assert spoken == [
        ("user", "quero um bolo"),
        ("assistant", "eco: quero um bolo"),
        ("user", STEPPED_IN),
        ("assistant", "De que sabor? Aqui é a Bia."),
        ("user", "chocolate"),
        ("assistant", "Anotado!"),
        ("user", HANDED_BACK),
        ("user", "e entregam no domingo?"),
    ]
    assert state(world) == "WAITING_USER"


async def test_handed_back_with_everything_answered_the_ai_waits(world: World) -> None:
    async with world.running() as program:
        staff = Staff(world, program)
        await world.say(ANA, "oi")
        await world.answers_to(ANA, 1)
        await staff.reply("Tudo resolvido por aqui.")
        await staff.resume()
        await at_rest(world)
        assert state(world) == "WAITING_USER"
        assert world.value("SELECT idle_at FROM conversations") is not None
        await world.say(ANA, "mais uma coisa")
        await world.answers_to(ANA, 3)
    assert world.model.counts.total() == 2


async def test_a_template_of_staff_is_an_answer_that_the_ai_reads_and_does_not_give_again(world: World) -> None:
    """Outside the 24 hours it is the only answer there can be: what the AI wrote instead would be parked."""
    sid = "HX" + "a1" * 16
    async with world.running() as program:
        staff = Staff(world, program)
        await world.say(ANA, "quero um bolo")
        await world.answers_to(ANA, 1)
        await staff.take_over()
        await world.say(ANA, "fica pronto quando?")
        assert world.value("SELECT waiting_since FROM conversations") is not None
        await staff.send_template(Template(sid, json.dumps({"2": "amanhã", "1": "Ana"})))
        assert world.value("SELECT waiting_since FROM conversations") is None
        await world.answers_to(ANA, 2)
        await staff.resume()
        await at_rest(world)
        assert state(world) == "WAITING_USER"
        assert world.model.counts.total() == 1
        await world.say(ANA, "e pode ser de chocolate?")
        await world.answers_to(ANA, 3)
    spoken = [(message["role"], message["content"]) for message in asked(world)]
    assert spoken[2:] == [
        ("user", STEPPED_IN),
        ("user", "fica pronto quando?"),
        ("assistant", f"[modelo {sid}: Ana; amanhã]"),
        ("user", HANDED_BACK),
        ("user", "e pode ser de chocolate?"),
    ]


async def test_a_template_that_is_sent_beside_the_ai_takes_nothing_from_it(data_dir: Path) -> None:
    async with open_world(data_dir, conversation={"burst_quiet_ms": 60_000}) as world, world.running() as program:
        await world.say(ANA, "quero um bolo")
        await Staff(world, program).send_template(Template("HX" + "a1" * 16))
        await world.answers_to(ANA, 1)
        assert state(world) == "PENDING"
        assert world.value("SELECT waiting_since FROM conversations") is not None
        assert world.value("SELECT answered_through FROM conversations") == 0


async def test_a_question_of_ours_does_not_outlive_a_person(world: World) -> None:
    async with world.running() as program:
        staff = Staff(world, program)
        await world.say(ANA, "quero pão")
        await world.answers_to(ANA, 1)
        await world.say(ANA, "obrigado")
        assert (await world.answers_to(ANA, 2))[1] == PT.may_close
        await staff.reply("Posso mandar o pedido?")
        await staff.resume()
        await world.say(ANA, "sim")
        await world.answers_to(ANA, 4)
        await at_rest(world)
    assert state(world) == "WAITING_USER"


async def test_handed_back_it_does_not_go_round_in_circles(world: World) -> None:
    """What led to the handoff is settled by it: neither the request nor the failures of before call a person again."""
    world.model.enqueue([FILTERED], repeat_last=True)
    async with world.running() as program:
        staff = Staff(world, program)
        for number, said in enumerate(("um", "dois"), 1):
            await world.say(ANA, said)
            await world.answers_to(ANA, number)
        await at_rest(world)
        assert state(world) == "HANDOFF"
        await staff.resume()
        await at_rest(world)
        assert state(world) == "WAITING_USER"
        await world.say(ANA, "três")
        assert (await world.answers_to(ANA, 3))[2] == apology("pt-BR")
        await at_rest(world)
        assert state(world) == "WAITING_USER"
        world.model.forget_script()
        await world.say(ANA, "quero falar com um atendente")
        await world.answers_to(ANA, 4)
        await staff.resume()
        await at_rest(world)
    assert state(world) == "WAITING_USER"
    assert len(bodies(world)) == 4


async def test_closed_by_staff_it_stays_closed_and_the_next_message_is_the_ais(world: World) -> None:
    async with world.running() as program:
        staff = Staff(world, program)
        await world.say(ANA, "oi")
        await world.answers_to(ANA, 1)
        await staff.reply("Resolvido. Até mais!")
        await staff.close()
        await world.answers_to(ANA, 2)
        await world.say(ANA, "oi de novo")
        assert (await world.answers_to(ANA, 3))[2] == "eco: oi de novo"
        await at_rest(world)
    assert [row["state"] for row in world.rows("SELECT state FROM conversations ORDER BY id")] == [
        "SUPPORT_CLOSED",
        "WAITING_USER",
    ]
