"""Sends whose outcome is not known: found out by the callback or the listing, never sent twice, sent again only when absent."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.program import World, open_world, person
from wtai.simulator.twilio_faults import TwilioFault

ANA = person(1)
_BEFORE_THE_CALL_ENDS = 1.0


@pytest.fixture
async def world(data_dir: Path) -> AsyncIterator[World]:
    twilio = {"timeout_seconds": _BEFORE_THE_CALL_ENDS, "reconcile_seconds": 0.2}
    async with open_world(data_dir, twilio=twilio) as opened:
        yield opened


def statuses(world: World) -> list[str]:
    return [row["status"] for row in world.outbound()]


def listings(world: World) -> int:
    return sum(request.method == "GET" and "From=" in request.path for request in world.twilio.requests)


AFTER_ACCEPTANCE = [TwilioFault.TIMEOUT_AFTER, TwilioFault.ERROR_AFTER, TwilioFault.RESET_AFTER]


@pytest.mark.parametrize("fault", AFTER_ACCEPTANCE)
async def test_an_accepted_message_whose_answer_was_lost_is_found_in_the_listing(world: World, fault: TwilioFault) -> None:
    world.twilio.faults.arm(TwilioFault.STATUS_DROPPED, times=None)
    world.twilio.faults.arm(fault)
    async with world.running():
        await world.say(ANA, "oi")
        await world.until(lambda: statuses(world) == ["sent"])
        await world.at_rest()
        await world.say(ANA, "e depois?")
        await world.answers_to(ANA, 2)
        await world.at_rest()
    assert [message.body for message in world.sent_to(ANA)] == ["eco: oi", "eco: e depois?"]
    assert [row["provider_sid"] for row in world.outbound()] == [message.sid for message in world.twilio.accepted]


@pytest.mark.parametrize("fault", AFTER_ACCEPTANCE)
async def test_an_accepted_message_whose_answer_was_lost_is_settled_by_its_callback(world: World, fault: TwilioFault) -> None:
    """The callback's address carries our own id, so that it settles the message although its SID was never answered to us."""
    world.twilio.listing_delay_seconds = 60
    world.twilio.status_delay_seconds = 0.1
    world.twilio.faults.arm(fault)
    async with world.running():
        await world.say(ANA, "oi")
        await world.until(lambda: statuses(world) == ["delivered"])
        await world.at_rest()
    assert [message.sid for message in world.twilio.accepted] == [row["provider_sid"] for row in world.outbound()]


async def test_a_callback_that_comes_before_the_answer_to_the_call_settles_the_message(world: World) -> None:
    world.twilio.status_delay_seconds = 0
    world.twilio.faults.arm(TwilioFault.TIMEOUT_AFTER, seconds=_BEFORE_THE_CALL_ENDS / 2)
    async with world.running():
        await world.say(ANA, "oi")
        await world.until(lambda: statuses(world) == ["delivered"])
        await world.at_rest()
    assert len(world.twilio.accepted) == 1
    assert listings(world) == 0


async def test_a_message_that_was_not_accepted_is_sent_again_after_two_listings_without_it(world: World) -> None:
    world.twilio.faults.arm(TwilioFault.ERROR_BEFORE)
    async with world.running():
        await world.say(ANA, "oi")
        assert await world.answers_to(ANA, 1) == ["eco: oi"]
        await world.at_rest()
    gets = [request.at for request in world.twilio.requests if request.method == "GET" and "From=" in request.path]
    assert len(gets) == 2
    assert gets[1] - gets[0] >= 200
    assert len(world.twilio.accepted) == 1


async def test_a_message_is_sent_again_only_once_and_then_stays_unknown_which_the_log_says(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.twilio.faults.arm(TwilioFault.ERROR_BEFORE, times=2)
    async with world.running():
        await world.say(ANA, "oi")
        await world.until(lambda: listings(world) == 4)
        await world.at_rest()
        assert statuses(world) == ["unknown"]
        assert "send.stays_unknown" in capsys.readouterr().out
        await world.say(ANA, "ainda aí?")
        await world.answers_to(ANA, 1)
    assert [message.body for message in world.twilio.accepted] == ["eco: ainda aí?"]


async def test_a_listing_that_is_late_does_not_lead_to_a_second_send(world: World) -> None:
    """Twilio's lists lag behind; the second look, a while later, has the message."""
    world.twilio.listing_delay_seconds = 0.7
    world.twilio.faults.arm(TwilioFault.STATUS_DROPPED, times=None)
    world.twilio.faults.arm(TwilioFault.RESET_AFTER)
    async with world.running(twilio={"reconcile_seconds": 1.0}):
        await world.say(ANA, "oi")
        await world.until(lambda: statuses(world) == ["sent"])
        await world.at_rest()
    assert listings(world) == 2
    assert len(world.twilio.accepted) == 1


async def test_two_messages_of_the_same_words_are_told_apart(world: World) -> None:
    """The first one's SID is taken by the first one, so that the lost answer of the second is matched with its own."""
    world.twilio.faults.arm(TwilioFault.STATUS_DROPPED, times=None)
    async with world.running():
        await world.say(ANA, "oi")
        await world.answers_to(ANA, 1)
        world.twilio.faults.arm(TwilioFault.TIMEOUT_AFTER)
        await world.say(ANA, "oi")
        await world.answers_to(ANA, 2)
        await world.until(lambda: statuses(world) == ["sent", "sent"])
        world.twilio.faults.arm(TwilioFault.ERROR_BEFORE)
        await world.say(ANA, "oi")
        await world.answers_to(ANA, 3)
        await world.at_rest()
    assert [row["provider_sid"] for row in world.outbound()] == [message.sid for message in world.twilio.accepted]
    assert [message.body for message in world.sent_to(ANA)] == ["eco: oi"] * 3


async def test_what_may_be_another_message_of_unknown_outcome_is_not_adopted(world: World) -> None:
    """The first one was accepted, which nobody knows. The second one was not, and finds the first one in the listing."""
    world.twilio.faults.arm(TwilioFault.STATUS_DROPPED, times=None)
    world.twilio.faults.arm(TwilioFault.RESET_AFTER)
    world.twilio.listing_delay_seconds = 60
    async with world.running():
        await world.say(ANA, "oi")
        await world.until(lambda: listings(world) == 1)
        world.twilio.tokens[world.line.account_sid] = "rotated"  # every listing is refused now
        await world.at_rest()
        assert statuses(world) == ["unknown"]
        world.twilio.tokens[world.line.account_sid] = world.line.token
        world.twilio.listing_delay_seconds = 0
        world.twilio.faults.arm(TwilioFault.ERROR_BEFORE)
        await world.say(ANA, "oi")
        await world.at_rest()
    assert statuses(world) == ["unknown", "unknown"]
    assert len(world.twilio.accepted) == 1


async def test_without_a_listing_an_unknown_message_stays_unknown_and_the_next_one_goes_out(world: World) -> None:
    world.twilio.faults.arm(TwilioFault.STATUS_DROPPED, times=None)
    world.twilio.faults.arm(TwilioFault.RESET_AFTER)
    async with world.running():
        await world.say(ANA, "oi")
        await world.answers_to(ANA, 1)
        world.twilio.tokens[world.line.account_sid] = "rotated"
        await world.at_rest()
        assert statuses(world) == ["unknown"]
        world.twilio.tokens[world.line.account_sid] = world.line.token
        await world.say(ANA, "e agora?")
        await world.answers_to(ANA, 2)
    assert [message.body for message in world.sent_to(ANA)] == ["eco: oi", "eco: e agora?"]


async def test_a_late_callback_settles_a_message_that_stayed_unknown(world: World) -> None:
    world.twilio.listing_delay_seconds = 60
    world.twilio.faults.arm(TwilioFault.ERROR_BEFORE, times=2)
    async with world.running():
        await world.say(ANA, "oi")
        await world.until(lambda: statuses(world) == ["unknown"] and listings(world) == 4)
        await world.at_rest()
        form = {"AccountSid": world.line.account_sid, "MessageSid": "SM" + "e" * 32, "MessageStatus": "delivered"}
        form |= {"From": world.line.number, "To": ANA}
        await world.twilio.post(tuple(form.items()), path=f"/webhooks/twilio/status?m={world.outbound()[0]['public_id']}")
        assert statuses(world) == ["delivered"]


async def test_a_throttled_message_waits_as_long_as_twilio_wishes_and_goes_out_once(world: World) -> None:
    world.twilio.faults.arm(TwilioFault.THROTTLED, retry_after="1")
    async with world.running():
        await world.say(ANA, "oi")
        assert await world.answers_to(ANA, 1) == ["eco: oi"]
    posts = [(request.at, request.status) for request in world.twilio.requests if request.method == "POST"]
    assert [status for _, status in posts] == [429, 201]
    assert 1_000 <= posts[1][0] - posts[0][0] <= 8_000


async def test_twilios_error_code_is_kept_and_the_message_not_tried_again(world: World) -> None:
    world.twilio.faults.arm(TwilioFault.OUTSIDE_WINDOW)
    async with world.running():
        await world.say(ANA, "oi")
        await world.until(lambda: statuses(world) == ["undelivered"])
        await world.at_rest()
        await world.say(ANA, "de novo")
        await world.until(lambda: statuses(world) == ["undelivered", "delivered"])
    assert [row["error_code"] for row in world.outbound()] == [63016, None]
    assert sum(request.method == "POST" for request in world.twilio.requests) == 2


async def test_callbacks_that_are_repeated_reordered_or_late_never_move_a_status_back(world: World) -> None:
    world.twilio.statuses = ("queued", "sending", "sent", "delivered", "read")
    world.twilio.faults.arm(TwilioFault.STATUS_DUPLICATED, to=person(1))
    world.twilio.faults.arm(TwilioFault.STATUS_REORDERED, to=person(2))
    async with world.running():
        await world.say(person(1), "oi")
        await world.say(person(2), "oi")
        await world.until(lambda: statuses(world) == ["read", "read"])
        before = world.rows("SELECT * FROM messages")
        callbacks = [posted for posted in world.twilio.posted if "/status" in posted.webhook.target]
        for posted in callbacks:
            path = posted.webhook.target.removeprefix(world.twilio.webhook_url)
            assert (await world.twilio.post(posted.webhook.form, path=path)).status == 204
        assert world.rows("SELECT * FROM messages") == before
    assert all(posted.status == 204 for posted in callbacks)


async def test_with_every_fault_by_chance_nobody_gets_an_answer_twice_or_none(world: World) -> None:
    for fault in (*AFTER_ACCEPTANCE, TwilioFault.ERROR_BEFORE, TwilioFault.STATUS_DROPPED, TwilioFault.STATUS_DUPLICATED):
        world.twilio.faults.arm(fault, times=None, probability=0.1)
    world.twilio.faults.arm(TwilioFault.THROTTLED, times=None, probability=0.1, retry_after="0")
    people = [person(number) for number in range(12)]
    async with world.running():
        for round_number in range(3):
            await asyncio.gather(*(world.say(one, f"{one[-2:]}-{round_number}") for one in people))
        await world.at_rest()
    bodies = Counter(message.body for message in world.twilio.accepted)
    assert max(bodies.values()) == 1
    unknown = {row["body"] for row in world.outbound() if row["status"] == "unknown"}
    assert not unknown & bodies.keys()
    said = " | ".join(body.removeprefix("eco: ") for body in [*bodies, *unknown]).split(" | ")
    assert sorted(said) == sorted(f"{one[-2:]}-{number}" for one in people for number in range(3))


async def test_a_send_that_is_given_up_has_failed_and_can_be_tried_again_by_hand(world: World) -> None:
    world.twilio.faults.arm(TwilioFault.THROTTLED, times=None, retry_after="3600")
    async with world.running() as program:
        await world.say(ANA, "oi")
        await world.until(lambda: bool(world.rows("SELECT 1 FROM jobs WHERE kind = 'send_message' AND state = 'scheduled'")))
        assert statuses(world) == ["queued"]
        late = "UPDATE jobs SET failures = 19, run_at = 0 WHERE kind = 'send_message'"
        await program.database.system_write(lambda tx: (tx.run(late), tx.signal("jobs")))
        await world.until(lambda: statuses(world) == ["failed"])
        await world.at_rest()
        world.twilio.faults.clear()
        dead = world.value("SELECT id FROM jobs WHERE state = 'dead'")
        world.command("jobs", "retry", str(dead))
        assert await world.answers_to(ANA, 1) == ["eco: oi"]
        await world.until(lambda: statuses(world) == ["delivered"])
        await world.at_rest()
    assert world.rows("SELECT 1 FROM jobs WHERE owner_id > 0 OR state = 'dead'") == [], "what is left is a timer's"


async def test_who_writes_from_another_address_meanwhile_is_not_sent_the_message_again(world: World) -> None:
    """The provider's list is asked for the address that the call was for, not for the one that answers go to by now."""
    short = ANA.replace("+55119", "+5511")
    world.twilio.faults.arm(TwilioFault.STATUS_DROPPED, times=None)
    world.twilio.faults.arm(TwilioFault.RESET_AFTER)
    world.twilio.listing_delay_seconds = 1.0
    async with world.running(twilio={"reconcile_seconds": 2.0}):
        await world.say(ANA, "oi")
        await world.until(lambda: statuses(world) == ["unknown"])
        await world.say(short, "ainda aí?")
        await world.answers_to(short, 1)
        await world.at_rest()
    assert world.value("SELECT count(*) FROM users") == 1
    assert [(message.to, message.body) for message in world.twilio.accepted] == [(ANA, "eco: oi"), (short, "eco: ainda aí?")]
    assert [row["provider_sid"] for row in world.outbound()] == [message.sid for message in world.twilio.accepted]
