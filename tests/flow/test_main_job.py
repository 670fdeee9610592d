"""The main job through the whole program: a message comes in, one right answer goes out, in order."""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from urllib.parse import parse_qsl

import pytest

from tests.faults.ledger import judge
from tests.program import World, open_world, person
from wtai.ai.texts import apology
from wtai.conversation.texts import texts
from wtai.errors import SettingsError
from wtai.simulator.model import ModelFault
from wtai.web.webhooks import inbound_address

ANA, BIA = person(1), person(2)


@pytest.fixture
async def world(data_dir: Path) -> AsyncIterator[World]:
    async with open_world(data_dir) as opened:
        yield opened


def says(text: str) -> dict[str, object]:
    """A scripted model's answer."""
    choice = {"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return {"status": 200, "body": {"model": "scripted", "choices": [choice]}}


async def test_a_message_is_answered_and_its_ticks_reach_read(world: World) -> None:
    world.twilio.statuses = ("sent", "delivered", "read")
    async with world.running():
        assert (await world.say(ANA, "oi")).status == 200
        assert await world.answers_to(ANA, 1) == ["eco: oi"]
        await world.until(lambda: [row["status"] for row in world.outbound()] == ["read"])
        await world.at_rest()
    (sent,) = world.twilio.accepted
    (row,) = world.outbound()
    assert (sent.sid, sent.from_) == (row["provider_sid"], world.line.number)
    assert f"m={row['public_id']}" in dict(sent.form)["StatusCallback"]


async def test_an_answered_conversation_waits_for_the_user_and_every_transition_is_recorded(world: World) -> None:
    async with world.running():
        for number, text in enumerate(("oi", "tudo bem?"), 1):
            await world.say(ANA, text)
            await world.answers_to(ANA, number)
    events = world.rows("SELECT from_state, to_state FROM conversation_events ORDER BY id")
    assert [(event["from_state"], event["to_state"]) for event in events] == [
        (None, "PENDING"),
        ("PENDING", "PROGRESS"),
        ("PROGRESS", "WAITING_USER"),
        ("WAITING_USER", "PROGRESS"),
        ("PROGRESS", "WAITING_USER"),
    ]
    assert world.value("SELECT state FROM conversations") == "WAITING_USER"


@pytest.mark.parametrize(
    ("kind", "extra"),
    [
        ("location", {"Latitude": "-23.55", "Longitude": "-46.63", "Address": "Praça da Sé", "Label": "Sé", "Body": ""}),
        ("button", {"ButtonText": "Sim", "ButtonPayload": "yes", "ButtonType": "QUICK_REPLY", "Body": "Sim"}),
        ("list", {"ListId": "item-2", "ListTitle": "Pão francês", "Body": "Pão francês"}),
        ("text", {"OriginalRepliedMessageSid": "SM" + "a" * 32, "OriginalRepliedMessageSender": "whatsapp:+551130000001"}),
        ("text", {"ReferralSourceId": "123", "ReferralSourceType": "ad", "ReferralHeadline": "Promoção"}),
        ("text", {"AFieldOfTomorrow": "um valor novo"}),
    ],
    ids=["location", "button", "list", "reply", "referral", "unknown field"],
)
async def test_each_kind_of_message_is_answered_and_kept_as_it_came(world: World, kind: str, extra: dict[str, str]) -> None:
    async with world.running():
        assert (await world.say(ANA, "oi", extra=tuple(extra.items()))).status == 200
        await world.answers_to(ANA, 1)
    (row,) = world.rows("SELECT kind, body, raw, details, quoted_sid FROM messages WHERE direction = 'inbound'")
    assert row["kind"] == kind
    assert row["body"] == extra.get("Body", "oi")
    assert extra.items() <= dict(parse_qsl(row["raw"], keep_blank_values=True)).items()
    assert row["quoted_sid"] == extra.get("OriginalRepliedMessageSid")
    if kind != "text" or "ReferralHeadline" in extra:
        assert row["details"]


@pytest.mark.parametrize(
    ("content_type", "kind"),
    [("image/jpeg", "image"), ("audio/ogg", "audio"), ("application/pdf", "document"), ("text/vcard", "contact")],
)
async def test_an_attachment_is_answered_and_its_address_kept(world: World, content_type: str, kind: str) -> None:
    async with world.running():
        await world.say(ANA, "", media=[(content_type, b"conte\xc3\xbado")])
        (answer,) = await world.answers_to(ANA, 1)
    assert answer.startswith("eco: [")
    assert world.value("SELECT kind FROM messages WHERE direction = 'inbound'") == kind
    (media,) = world.rows("SELECT content_type, url FROM media")
    assert media["content_type"] == content_type
    assert media["url"].startswith(f"{world.twilio.url}/2010-04-01/Accounts/{world.line.account_sid}/")


async def test_a_person_without_a_phone_number_is_answered_at_whatsapps_id_of_them(world: World) -> None:
    nameless = "whatsapp:BR.1234567890123456"
    async with world.running():
        await world.say(nameless, "oi")
        await world.say(nameless, "de novo")
        await world.twilio.until(lambda: "de novo" in "".join(message.body for message in world.sent_to(nameless)))
    assert world.value("SELECT count(*) FROM users") == 1
    assert world.value("SELECT count(*) FROM conversations") == 1


async def test_a_brazilian_number_with_and_without_the_ninth_digit_is_one_person_answered_where_they_wrote(world: World) -> None:
    short = ANA.replace("+55119", "+5511")
    hidden = {"extra": (("ExternalUserId", ""),)}
    async with world.running():
        await world.say(ANA, "com nove", **hidden)
        assert await world.answers_to(ANA, 1) == ["eco: com nove"]
        await world.say(short, "sem nove", **hidden)
        assert await world.answers_to(short, 1) == ["eco: sem nove"]
    assert world.value("SELECT count(*) FROM users") == 1


async def test_two_owners_with_the_same_customer_do_not_see_each_other(data_dir: Path) -> None:
    async with open_world(data_dir, owners=2) as world, world.running():
        one, two = world.lines
        await asyncio.gather(world.say(ANA, "sou da um", line=one), world.say(ANA, "sou da dois", line=two))
        await world.answers_to(ANA, 2)
        await world.say(ANA, "e agora?", line=one)
        await world.answers_to(ANA, 3)
        await world.at_rest()
        sent = {(message.account, message.from_, message.body) for message in world.twilio.accepted}
        assert sent == {
            (one.account_sid, one.number, "eco: sou da um"),
            (two.account_sid, two.number, "eco: sou da dois"),
            (one.account_sid, one.number, "eco: e agora?"),
        }
        prompts = [json.dumps(request, ensure_ascii=False) for request in world.model.requests]
        assert not [prompt for prompt in prompts if "sou da um" in prompt and "sou da dois" in prompt]
        assert world.value("SELECT count(DISTINCT owner_id) FROM messages") == 2


async def test_a_long_answer_goes_out_in_parts_in_order_and_the_next_answer_behind_them(world: World) -> None:
    sentences = [f"Esta é a frase de número {number}, que tem a sua própria posição." for number in range(80)]
    world.model.enqueue([says(" ".join(sentences)), says("curta")])
    async with world.running():
        await world.say(ANA, "conte tudo")
        await world.twilio.until(lambda: "número 79" in "".join(message.body for message in world.sent_to(ANA)))
        await world.say(ANA, "e depois?")
        await world.twilio.until(lambda: world.sent_to(ANA)[-1].body == "curta")
    *parts, last = [message.body for message in world.sent_to(ANA)]
    assert (len(parts), last) == (4, "curta")
    assert all(len(part) <= 1_500 and part.endswith(".") for part in parts)
    assert " ".join(parts) == " ".join(sentences)


async def test_markdown_of_the_model_arrives_in_whatsapps_own_formatting(world: World) -> None:
    world.model.enqueue([says("# Preços\n\n**Pão**: [cardápio](https://padaria.example/c)\n* um\n* dois")])
    async with world.running():
        await world.say(ANA, "preços?")
        (answer,) = await world.answers_to(ANA, 1)
    assert answer == "*Preços*\n\n*Pão*: cardápio: https://padaria.example/c\n- um\n- dois"


async def test_a_burst_is_answered_by_one_turn_that_covers_all_of_it(data_dir: Path) -> None:
    async with open_world(data_dir, conversation={"burst_quiet_ms": 1_500}) as world, world.running():
        for text in ("oi", "queria saber", "se abre domingo"):
            await world.say(ANA, text)
            await asyncio.sleep(0.1)
        assert await world.answers_to(ANA, 1) == ["eco: oi | queria saber | se abre domingo"]
        await world.at_rest()
        assert len(world.twilio.accepted) == 1
        assert len(world.model.requests) == 1


async def test_a_message_during_the_model_call_voids_the_draft_and_one_answer_covers_both(world: World) -> None:
    world.model.latency_seconds = 1.5
    async with world.running():
        await world.say(ANA, "primeira")
        await world.until(lambda: world.model.counts.total() == 1)
        await world.say(ANA, "segunda")
        assert await world.answers_to(ANA, 1) == ["eco: primeira | segunda"]
        await world.at_rest()
    assert len(world.twilio.accepted) == 1
    assert world.value("SELECT count(*) FROM ai_results") == 1


async def test_who_never_stops_writing_gets_the_third_draft_and_then_the_rest(world: World) -> None:
    world.model.latency_seconds = 1.0
    async with world.running():
        for number in range(1, 5):
            await world.say(ANA, f"m{number}")
            await world.until(lambda wanted=number: world.model.counts.total() >= wanted)
        assert await world.answers_to(ANA, 2) == ["eco: m1 | m2 | m3", "eco: m4"]
        await world.at_rest()
        assert world.value("SELECT state FROM conversations") == "WAITING_USER"
    assert [row["body"] for row in world.outbound()] == ["eco: m1 | m2 | m3", "eco: m4"]


async def test_a_turn_waits_while_the_model_is_down_and_answers_once_it_is_back(world: World) -> None:
    world.model.faults.arm(ModelFault.ERROR, times=4)
    async with world.running():
        await world.say(ANA, "oi")
        assert await world.answers_to(ANA, 1) == ["eco: oi"]
        await world.at_rest()
    assert len(world.twilio.accepted) == 1


async def test_a_model_that_stays_down_ends_with_a_person_who_is_told_once(world: World) -> None:
    world.model.faults.arm(ModelFault.ERROR, times=None)
    async with world.running(worker={"max_attempts": 2}):
        await world.say(ANA, "oi")
        assert await world.answers_to(ANA, 1) == [texts("pt-BR").failed]
        await world.at_rest()
    assert world.value("SELECT state FROM conversations") == "HANDOFF"
    assert world.rows("SELECT outcome FROM ai_results ORDER BY id") == [{"outcome": "failed"}]


@pytest.mark.parametrize(
    ("status", "code"), [(401, "invalid_api_key"), (429, "insufficient_quota"), (400, "context_length_exceeded")]
)
async def test_a_model_that_refuses_ends_in_the_fallback_text_at_once(world: World, status: int, code: str) -> None:
    error = {"message": "no", "type": "invalid_request_error", "param": None, "code": code}
    world.model.enqueue([{"status": status, "body": {"error": error}}], repeat_last=True)
    async with world.running():
        await world.say(ANA, "oi")
        assert await world.answers_to(ANA, 1) == [apology("pt-BR")]
        await world.at_rest()
    assert world.value("SELECT outcome FROM ai_results") == code
    assert world.model.counts.total() == 1
    assert len(world.twilio.accepted) == 1


async def test_without_a_key_messages_are_kept_and_turns_wait_for_one(world: World) -> None:
    async with world.running(openai={"base_url": "https://api.openai.com/v1", "api_key": None}):
        assert (await world.say(ANA, "oi")).status == 200
        await world.until(lambda: world.value("SELECT count(*) FROM jobs WHERE failures > 0") == 1)
        assert not world.twilio.accepted
    async with world.running():  # the operator has set one
        assert await world.answers_to(ANA, 1) == ["eco: oi"]


async def test_the_beginning_of_what_the_model_reads_stays_the_same_over_twenty_turns(world: World) -> None:
    """Whole turns leave the window in blocks of eight, so that a provider's prefix cache holds from one turn to the next."""
    async with world.running():
        for number in range(20):
            await world.say(ANA, f"pergunta {number}")
            await world.answers_to(ANA, number + 1)
    lasting = [
        [message for message in request["messages"] if not message["content"].startswith("(Automatic note")]
        for request in world.model.requests
    ]
    spoken = [json.dumps(messages, ensure_ascii=False)[:-1] for messages in lasting]
    notes = [index for request in world.model.requests for index in _notes(request["messages"])]
    tools = {json.dumps(request.get("tools")) for request in world.model.requests}
    kept = [later.startswith(earlier) for earlier, later in pairwise(spoken)]
    assert len(spoken) == 20
    assert len(tools) == 1
    assert kept.count(False) <= 1
    assert notes == [-2] * 20, "what changes with the day comes behind all that lasts"
    assert "pergunta 18" in spoken[-1]


def _notes(messages: list[dict[str, str]]) -> list[int]:
    """Where the automatic notes stand, counted from the end."""
    return [at - len(messages) for at, message in enumerate(messages) if message["content"].startswith("(Automatic note")]


async def test_a_thousand_messages_posted_twice_and_out_of_order_are_stored_and_answered_once_and_in_order(
    data_dir: Path, free_port: int
) -> None:
    people = [person(number) for number in range(50)]
    posts = [(people[number % 50], f"t{number:04}", f"SM{number:032x}") for number in range(1_000)] * 2
    random.Random(7).shuffle(posts)
    gate = asyncio.Semaphore(48)
    async with open_world(data_dir) as world, world.process(free_port):

        async def post(from_: str, text: str, sid: str) -> int:
            async with gate:
                return (await world.say(from_, text, sid=sid)).status

        assert set(await asyncio.gather(*(post(*one) for one in posts))) == {200}
        await world.at_rest(seconds=120)
        stored = world.rows(
            """SELECT user_address AS who, body FROM messages m JOIN conversations c ON c.id = m.conversation_id
            WHERE direction = 'inbound' ORDER BY m.id"""
        )
        heard = {who: [row["body"] for row in stored if row["who"] == who] for who in people}
        verdict = judge(heard, world.twilio.accepted)
        assert len(stored) == 1_000
        assert (verdict.broken, verdict.apologized, verdict.answered) == ({}, [], 1_000)
        twice = """SELECT m.id FROM messages m LEFT JOIN ai_results r ON r.conversation_id = m.conversation_id
            AND m.id <= r.through_message_id AND m.id > (SELECT coalesce(max(through_message_id), 0) FROM ai_results e
            WHERE e.conversation_id = m.conversation_id AND e.through_message_id < r.through_message_id)
            WHERE m.direction = 'inbound' GROUP BY m.id HAVING count(r.id) <> 1"""
        assert world.rows(twice) == []
        assert {row["status"] for row in world.outbound()} <= {"sent", "delivered"}


async def test_a_number_that_moved_to_another_account_is_answered_from_there(world: World) -> None:
    line, other, token = world.line, "AC" + "f" * 32, world.data_dir / "token"
    token.write_text("outro-segredo")
    world.command(
        "twilio", "connect", line.owner, "--account-sid", other, "--auth-token-file", str(token), "--number", line.number
    )
    world.twilio.add_account(other, "outro-segredo", numbers=(line.number,))
    async with world.running():
        await world.say(person(1), "oi")
        await world.answers_to(person(1), 1)
        await world.at_rest()
    assert [message.account for message in world.twilio.accepted] == [other]


async def test_the_start_tells_the_webhook_with_its_retries(world: World, free_port: int) -> None:
    async with world.process(free_port) as process:
        assert f"http://127.0.0.1:{free_port}{inbound_address('')}  " in process.log


async def test_a_worker_by_itself_has_to_know_where_callbacks_go(world: World) -> None:
    with pytest.raises(SettingsError, match=r"server\.public_url"):
        async with world.running(role="worker"):
            pass
