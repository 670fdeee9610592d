"""WhatsApp's rules for what goes out: 24 hours from the person's last message, templates after that, and STOP means stop."""

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.program import World, open_world, person
from wtai.app import Running
from wtai.channels.accounts import connect as connect_account
from wtai.clock import DAY, MINUTE, SystemClock
from wtai.conversation import handoff, outbox, store
from wtai.conversation.model import Conversation, Template
from wtai.conversation.texts import texts
from wtai.db.tx import OwnerTx
from wtai.identity.from_settings import sealer
from wtai.simulator.twilio_faults import TwilioFault
from wtai.simulator.twilio_messages import Message

ANA, BIA = person(1), person(2)
PT = texts("pt-BR")
TEMPLATE = Template("HX" + "a1" * 16, json.dumps({"1": "Ana", "2": "sexta-feira"}))
RENDERED = "Olá, Ana! Seu bolo fica pronto sexta-feira."


@pytest.fixture
async def world(data_dir: Path) -> AsyncIterator[World]:
    async with open_world(data_dir) as opened:
        yield opened


async def acts(world: World, program: Running, act: Callable[[OwnerTx, Conversation], object]) -> None:
    """Staff do something with the newest conversation."""

    def unit(tx: OwnerTx) -> None:
        read = store.conversation(tx, world.value("SELECT max(id) FROM conversations"))
        assert read is not None
        act(tx, read)

    await program.database.write(world.line.owner_id, unit)


async def replies(world: World, program: Running, body: str) -> None:
    await acts(world, program, lambda tx, read: handoff.reply(tx, read, [body], now=SystemClock().now()))


async def sends_template(world: World, program: Running, instead_of: int | None = None) -> None:
    await acts(
        world, program, lambda tx, read: outbox.put_template(tx, read, TEMPLATE, instead_of=instead_of, now=SystemClock().now())
    )


async def goes_by(world: World, program: Running, milliseconds: int) -> None:
    """The person wrote so much longer ago."""
    await acts(
        world, program, lambda tx, _: tx.run("UPDATE conversations SET last_inbound_at = last_inbound_at - :ms", ms=milliseconds)
    )


def kept_back(world: World) -> list[tuple[str, str | None]]:
    """Status and reason of every outbound message, in order."""
    rows = world.rows("SELECT status, parked FROM messages WHERE direction = 'outbound' ORDER BY id")
    return [(row["status"], row["parked"]) for row in rows]


def posts(world: World) -> int:
    return sum(request.method == "POST" and "/Messages.json" in request.path for request in world.twilio.requests)


# 24 hours


async def test_free_text_goes_out_up_to_24_hours_after_the_last_message(world: World) -> None:
    async with world.running() as program:
        await world.say(ANA, "oi")
        await world.answers_to(ANA, 1)
        await goes_by(world, program, DAY - MINUTE)
        await replies(world, program, "Ainda dá tempo.")
        assert (await world.answers_to(ANA, 2))[1] == "Ainda dá tempo."


async def test_after_24_hours_free_text_is_parked_with_its_reason_and_twilio_not_asked(world: World) -> None:
    async with world.running() as program:
        await world.say(ANA, "oi")
        await world.answers_to(ANA, 1)
        await goes_by(world, program, DAY)
        await replies(world, program, "Seu bolo está pronto.")
        await world.at_rest()
        assert kept_back(world)[1] == ("queued", "window")
        assert posts(world) == 1


async def test_a_template_goes_out_instead_and_the_parked_message_is_off_the_list(world: World) -> None:
    async with world.running() as program:
        await world.say(ANA, "oi")
        await world.answers_to(ANA, 1)
        await goes_by(world, program, DAY)
        await replies(world, program, "Seu bolo está pronto.")
        await world.at_rest()
        await sends_template(world, program, instead_of=world.outbound()[1]["id"])
        await world.answers_to(ANA, 2)
        await world.at_rest()
        await world.until(lambda: kept_back(world)[2][0] == "delivered")
    form = dict(world.twilio.accepted[1].form)
    assert (form["ContentSid"], json.loads(form["ContentVariables"])) == (TEMPLATE.content_sid, {"1": "Ana", "2": "sexta-feira"})
    assert "Body" not in form
    assert kept_back(world)[1:] == [("canceled", "window"), ("delivered", None)]


async def test_only_what_waits_is_taken_off_the_list(world: World) -> None:
    """A template that stands for a message which went out after all does not unsend it."""
    async with world.running() as program:
        await world.say(ANA, "oi")
        await world.answers_to(ANA, 1)
        await world.until(lambda: kept_back(world) == [("delivered", None)])
        await sends_template(world, program, instead_of=world.outbound()[0]["id"])
        await world.answers_to(ANA, 2)
        await world.at_rest()
    assert kept_back(world)[0] == ("delivered", None)


async def test_the_window_opens_again_with_the_next_message(world: World) -> None:
    async with world.running() as program:
        await world.say(ANA, "oi")
        await world.answers_to(ANA, 1)
        await goes_by(world, program, 3 * DAY)
        await world.say(ANA, "voltei")
        assert (await world.answers_to(ANA, 2))[1] == "eco: voltei"


async def test_what_was_parked_is_not_sent_by_itself_when_the_window_opens(world: World) -> None:
    """It waits for a person: what was true yesterday may be wrong today. Not even a job that runs again sends it."""
    async with world.running() as program:
        await world.say(ANA, "oi")
        await world.answers_to(ANA, 1)
        await goes_by(world, program, DAY)
        await replies(world, program, "Passe aqui hoje até as 18h.")
        await world.at_rest()
        parked = world.outbound()[1]["id"]
        await world.say(ANA, "oi?")
        again = await program.database.write(world.line.owner_id, outbox.start, parked, now=SystemClock().now())
        assert again.step is outbox.Step.NOTHING
        await world.at_rest()
    assert len(world.sent_to(ANA)) == 1
    assert kept_back(world)[1] == ("queued", "window")


async def test_63016_that_comes_late_parks_the_same_way_and_a_template_stands_in(world: World) -> None:
    world.twilio.faults.arm(TwilioFault.OUTSIDE_WINDOW)
    async with world.running() as program:
        await world.say(ANA, "oi")
        await world.until(lambda: kept_back(world) == [("undelivered", "window")])
        assert world.outbound()[0]["error_code"] == 63016
        await sends_template(world, program, instead_of=world.outbound()[0]["id"])
        await world.answers_to(ANA, 2)
        await world.until(lambda: kept_back(world)[1] == ("delivered", None))
    assert dict(world.twilio.accepted[1].form)["ContentSid"] == TEMPLATE.content_sid


async def test_a_template_whose_call_was_lost_is_found_by_what_twilio_made_of_it_and_not_sent_twice(data_dir: Path) -> None:
    """Twilio lists a template with the text it became, which no message of ours has."""
    twilio = {"timeout_seconds": 0.3, "reconcile_seconds": 0.1}

    def render(message: Message) -> None:
        if message.direction == "outbound-api" and not message.body:
            message.body = RENDERED

    async with open_world(data_dir, twilio=twilio) as world, world.running() as program:
        world.twilio.watch(render)
        await world.say(ANA, "oi")
        await world.answers_to(ANA, 1)
        await world.at_rest()
        world.twilio.faults.arm(TwilioFault.STATUS_DROPPED, times=None)
        world.twilio.faults.arm(TwilioFault.RESET_AFTER)
        await sends_template(world, program)
        await world.until(lambda: len(world.sent_to(ANA)) == 2)
        await world.at_rest()
        assert len(world.sent_to(ANA)) == 2
        assert world.outbound()[1]["status"] == "sent"
        assert world.outbound()[1]["provider_sid"] == world.sent_to(ANA)[1].sid


# STOP and START


@pytest.mark.parametrize("word", ["STOP", "SAIR", "parar", "Pare!"])
async def test_who_says_stop_gets_nothing_more_and_staff_see_why(world: World, word: str) -> None:
    async with world.running() as program:
        await world.say(ANA, "oi")
        await world.answers_to(ANA, 1)
        await world.say(ANA, word)
        await world.say(ANA, "quero dois pães")
        await world.at_rest()
        await replies(world, program, "Aqui é a Bia.")
        await sends_template(world, program)
        await world.at_rest()
    assert [message.body for message in world.sent_to(ANA)] == ["eco: oi"]
    assert posts(world) == 1
    assert world.model.counts.total() == 1
    assert kept_back(world)[1:] == [("canceled", "opted_out")] * 2


@pytest.mark.parametrize("word", ["START", "começar"])
async def test_start_takes_it_back_and_says_so(world: World, word: str) -> None:
    async with world.running():
        for text in ("oi", "SAIR", "tem pão?", word):
            await world.say(ANA, text)
            await world.at_rest()
        assert (await world.answers_to(ANA, 2))[1] == PT.opted_in
        await world.say(ANA, "quero dois pães")
        assert (await world.answers_to(ANA, 3))[2] == "eco: quero dois pães"
        await world.at_rest()
    assert world.rows("SELECT * FROM opt_outs") == []


async def test_stop_in_the_middle_of_a_turn_leaves_nothing_owed(world: World) -> None:
    world.model.latency_seconds = 1.5
    async with world.running():
        await world.say(ANA, "quero dois pães")
        await world.until(lambda: world.model.counts.total() == 1)
        await world.say(ANA, "SAIR")
        await world.at_rest()
    assert world.sent_to(ANA) == []
    assert world.value("SELECT state FROM conversations") == "WAITING_USER"


async def test_stop_overtakes_what_is_still_queued(world: World) -> None:
    world.twilio.faults.arm(TwilioFault.THROTTLED, retry_after="1")
    async with world.running():
        await world.say(ANA, "oi")
        await world.until(lambda: posts(world) == 1)
        await world.say(ANA, "SAIR")
        await world.at_rest()
    assert world.sent_to(ANA) == []
    assert kept_back(world) == [("canceled", "opted_out")]


async def test_each_address_of_ours_is_stopped_by_itself(world: World) -> None:
    other = "whatsapp:+551130009999"
    async with world.running() as program:
        line = world.line
        await program.database.write(
            line.owner_id,
            connect_account,
            sealer(world.settings()),
            line.account_sid,
            [line.token],
            [line.number, other],
            now=SystemClock().now(),
        )
        world.twilio.add_account(line.account_sid, line.token, numbers=(line.number, other))
        await world.say(ANA, "SAIR")
        await world.twilio.send(ANA, other, "oi")
        assert await world.answers_to(ANA, 1) == ["eco: oi"]
        await world.say(ANA, "e por aqui?")
        await world.say(BIA, "oi")
        assert await world.answers_to(BIA, 1) == ["eco: oi"]
        await world.at_rest()
    assert [message.from_ for message in world.sent_to(ANA)] == [other]


@pytest.mark.parametrize("told", ["STOP", "START", "HELP"])
async def test_where_twilio_answered_already_we_do_not(world: World, told: str) -> None:
    """With Advanced Opt-Out Twilio understands the word, whatever it is, and answers it."""
    async with world.running():
        await world.say(ANA, "PALAVRA", extra=(("OptOutType", told),))
        await world.at_rest()
        assert world.sent_to(ANA) == []
        await world.say(ANA, "oi")
        await world.at_rest()
    assert len(world.sent_to(ANA)) == world.model.counts.total() == (told != "STOP")


@pytest.mark.parametrize("told", ["START", "HELP"])
async def test_what_twilio_answered_does_not_take_along_what_we_still_owe(data_dir: Path, told: str) -> None:
    async with open_world(data_dir, conversation={"burst_quiet_ms": 300}) as world, world.running():
        await world.say(ANA, "quero dois pães")
        await world.say(ANA, told, extra=(("OptOutType", told),))
        (answer,) = await world.answers_to(ANA, 1)
        assert "quero dois pães" in answer
        await world.at_rest()
        assert world.value("SELECT state FROM conversations") == "WAITING_USER"


async def test_21610_is_an_opt_out_that_twilio_knows_of(world: World) -> None:
    world.twilio.faults.arm(TwilioFault.OPTED_OUT)
    async with world.running():
        await world.say(ANA, "oi")
        await world.until(lambda: kept_back(world) == [("failed", "opted_out")])
        assert world.outbound()[0]["error_code"] == 21610
        await world.say(ANA, "de novo")
        await world.at_rest()
        assert posts(world) == 1
        await world.say(ANA, "START")
        assert await world.answers_to(ANA, 1) == [PT.opted_in]
