"""A conversation that ends as people end them: a goodbye, a question whether that was all, and the one after it."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.program import World, open_world, person
from wtai.ai import turn
from wtai.ai.memory.window import Windows
from wtai.ai.store import AiResult
from wtai.ai.turn import Answer
from wtai.app import Running
from wtai.conversation.model import Question
from wtai.conversation.texts import texts
from wtai.db.tx import OwnerTx
from wtai.identity.preferences import Preferences
from wtai.identity.store import choose

ANA = person(1)
PT = texts("pt-BR")


@pytest.fixture
async def world(data_dir: Path) -> AsyncIterator[World]:
    async with open_world(data_dir) as opened:
        yield opened


async def prefer(program: Running, world: World, *, locale: str = "pt-BR", **chosen: object) -> None:
    """What the owner chooses, before its first message comes in."""

    def unit(tx: OwnerTx) -> None:
        choose(tx, Preferences(), json.dumps(chosen))
        tx.run("UPDATE owners SET locale = :locale WHERE id = :owner", locale=locale)

    await program.database.write(world.line.owner_id, unit)


async def says(world: World, *lines: tuple[str, str]) -> None:
    """Ana says one thing after the other, and is answered each time as expected."""
    for said, answer in lines:
        known = len(world.sent_to(ANA))
        await world.say(ANA, said)
        assert (await world.answers_to(ANA, known + 1))[known:] == [answer], said
        await world.at_rest()


def states(world: World) -> list[str]:
    return [row["state"] for row in world.rows("SELECT state FROM conversations ORDER BY id")]


async def test_a_goodbye_is_answered_with_one_farewell_and_no_model_call(world: World) -> None:
    async with world.running():
        await says(world, ("quero dois pães", "eco: quero dois pães"), ("obrigada, era só isso, tchau!", PT.farewell))
        await world.at_rest()
    assert len(world.model.requests) == 1
    assert len(world.sent_to(ANA)) == 2
    assert states(world) == ["USER_CLOSED"]
    (event,) = world.rows("SELECT actor, reason FROM conversation_events WHERE to_state = 'USER_CLOSED'")
    assert event == {"actor": "user", "reason": "said goodbye"}


@pytest.mark.parametrize(
    ("locale", "hello", "bye"),
    [("pt-BR", "quero pão", "tchau, obrigada!"), ("es", "quiero pan", "chau, gracias!"), ("en", "I want bread", "bye, thanks!")],
)
async def test_the_farewell_is_in_the_owners_language(world: World, locale: str, hello: str, bye: str) -> None:
    async with world.running() as program:
        await prefer(program, world, locale=locale)
        await says(world, (hello, f"eco: {hello}"), (bye, texts(locale).farewell))


async def test_the_owner_has_words_of_its_own(world: World) -> None:
    async with world.running() as program:
        await prefer(program, world, farewell_text="A Padaria agradece!", closing_keywords=["bom forno"])
        await says(world, ("quero pão", "eco: quero pão"), ("bom forno", "A Padaria agradece!"))
    assert states(world) == ["USER_CLOSED"]


async def test_another_owner_does_not_know_those_words(world: World) -> None:
    async with world.running():
        await says(world, ("quero pão", "eco: quero pão"), ("bom forno", "eco: bom forno"))
    assert states(world) == ["WAITING_USER"]


@pytest.mark.parametrize(
    ("answer", "said", "state"),
    [
        ("sim", PT.farewell, "USER_CLOSED"),
        ("pode sim", PT.farewell, "USER_CLOSED"),
        ("não", "eco: não", "WAITING_USER"),
        ("quanto custa o bolo?", "eco: quanto custa o bolo?", "WAITING_USER"),
    ],
)
async def test_where_it_may_be_the_end_we_ask_and_the_answer_decides(world: World, answer: str, said: str, state: str) -> None:
    async with world.running():
        await says(world, ("quero pão", "eco: quero pão"), ("obrigado", PT.may_close), (answer, said))
        assert states(world) == [state]
        assert world.value("SELECT question FROM conversations") is None or state == "USER_CLOSED"


async def test_the_question_is_forgotten_once_it_was_not_answered(world: World) -> None:
    async with world.running():
        await says(
            world,
            ("quero pão", "eco: quero pão"),
            ("obrigado", PT.may_close),
            ("e tem bolo?", "eco: e tem bolo?"),
            ("sim", "eco: sim"),  # answers the model now, not the question of before
        )
    assert states(world) == ["WAITING_USER"]


async def test_the_next_message_opens_a_conversation_that_knows_the_one_before(world: World) -> None:
    async with world.running():
        await says(world, ("quero pão", "eco: quero pão"), ("tchau, obrigada!", PT.farewell), ("oi de novo", "eco: oi de novo"))
        await says(world, ("tchau, até mais!", PT.farewell), ("voltei", "eco: voltei"))
    assert states(world) == ["USER_CLOSED", "USER_CLOSED", "WAITING_USER"]
    rows = world.rows("SELECT id, previous_id FROM conversations ORDER BY id")
    assert [row["previous_id"] for row in rows] == [None, rows[0]["id"], rows[1]["id"]]


async def test_every_judgement_is_kept_with_its_scores(world: World) -> None:
    async with world.running():
        await says(world, ("quero pão", "eco: quero pão"), ("obrigado", PT.may_close), ("tchau, obrigada!", PT.farewell))
    kept = world.rows(
        """SELECT m.body, d.decision, d.keyword, d.pattern, d.context, d.modifier, d.confidence
        FROM closure_decisions d JOIN messages m ON m.id = d.message_id ORDER BY d.id"""
    )
    assert [(row["body"], row["decision"]) for row in kept] == [
        ("quero pão", "carry_on"),
        ("obrigado", "confirm"),
        ("tchau, obrigada!", "close"),
    ]
    for row in kept[1:]:
        formula = (row["keyword"] * 0.5 + row["pattern"] * 0.3 + row["context"] * 0.2) * row["modifier"]
        assert row["confidence"] == pytest.approx(formula, abs=0.001)


async def test_thresholds_are_the_owners_choice(world: World) -> None:
    async with world.running() as program:
        await prefer(program, world, confirm_threshold=0.5, close_threshold=0.55)
        await says(world, ("quero pão", "eco: quero pão"), ("obrigado", PT.farewell))
    assert states(world) == ["USER_CLOSED"]


async def test_a_goodbye_with_more_behind_it_does_not_end_what_goes_on(data_dir: Path) -> None:
    async with open_world(data_dir, conversation={"burst_quiet_ms": 1_500}) as world, world.running():
        await says(world, ("quero pão", "eco: quero pão"))
        await world.say(ANA, "obrigado por tudo até agora")
        await world.say(ANA, "mas ainda preciso de um bolo para sábado")
        await world.answers_to(ANA, 2)
        await world.at_rest()
        assert states(world) == ["WAITING_USER"]
        assert "preciso de um bolo" in world.sent_to(ANA)[-1].body


async def test_what_was_written_before_the_question_came_does_not_answer_it(world: World) -> None:
    """The third draft asks whether that was all; the yes that waits behind it was meant for something else."""
    line = world.line.owner_id
    async with world.running(role="web") as program:
        await world.say(ANA, "valeu")
        conversation_id = world.value("SELECT id FROM conversations")
        owed = await program.database.write(line, turn._begin, conversation_id, Preferences(), Windows(), now=1)
        assert owed is not None
        await world.say(ANA, "sim")
        asking = Answer(AiResult("general", "asked", "", ""), PT.may_close, question=Question.CLOSURE)
        await program.database.write(line, turn._commit, owed, asking, final=True, now=2)
    assert states(world) == ["PROGRESS"]
    assert world.value("SELECT question FROM conversations") is None
