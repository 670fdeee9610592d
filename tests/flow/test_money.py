"""What is done beside the turns costs money, too: it is booked, and no budget and no plan is gone beyond for it."""

import json
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest

from tests.program import World, open_world, person
from wtai.ai.memory.extraction import EXTRACT
from wtai.ai.memory.summaries import SUMMARIZE
from wtai.ai.memory.writing import EMBED, Told, remember
from wtai.app import Running
from wtai.conversation.texts import texts
from wtai.db.tx import OwnerTx
from wtai.identity.plans import PlanLimits
from wtai.identity.preferences import Preferences
from wtai.identity.store import choose
from wtai.simulator.model import ModelFault
from wtai.simulator.voice import voice_note

ANA = person(1)
PT = texts("pt-BR")
CHAT = "/v1/chat/completions"
EMBEDDINGS = "/v1/embeddings"
TRANSCRIPTIONS = "/v1/audio/transcriptions"
FREE_TALK = [
    *(f"{model} input 0 cached 0 output 0" for model in ("gpt-5.4-mini", "gpt-5.4-nano")),
    *("text-embedding-3-small input 0.02 cached 0.02 output 0", "gpt-transcribe minute 0.0045"),
]
"""Prices at which answers cost nothing, and what is done beside them does."""
TINY = PlanLimits(cost_usd_per_month=Decimal("0.000001"))


@pytest.fixture
async def world(data_dir: Path) -> AsyncIterator[World]:
    async with open_world(data_dir) as opened:
        yield opened


async def choose_budget(program: Running, world: World, **chosen: str | None) -> None:
    await program.database.write(world.line.owner_id, choose, Preferences(), json.dumps(chosen))


async def speak(world: World, said: str) -> str:
    """Ana sends a voice note of two seconds; the answer."""
    known = len(world.sent_to(ANA))
    await world.say(ANA, "", media=[("audio/ogg", voice_note(said, seconds=2))])
    return (await world.answers_to(ANA, known + 1))[-1]


def usage(world: World) -> dict[str, dict[str, int]]:
    """What is in the books, by feature."""
    rows = world.rows("SELECT feature, requests, prompt_tokens, cost, held FROM usage")
    return {row.pop("feature"): row for row in rows}


async def told(world: World, *said: str) -> list[str]:
    """Ana says one thing after the other; the answers."""
    known = len(world.sent_to(ANA))
    for number, text in enumerate(said, known + 1):
        await world.say(ANA, text)
        await world.answers_to(ANA, number)
        await world.until(lambda: not left(world))
    return [message.body for message in world.sent_to(ANA)[known:]]


def left(world: World) -> list[str]:
    """The kinds of the jobs that wait for nothing but their turn."""
    return [row["kind"] for row in world.rows("SELECT kind FROM jobs WHERE state NOT IN ('scheduled', 'dead')")]


async def test_facts_and_summaries_keep_within_the_money_of_the_plan_and_come_once_there_is_some(world: World) -> None:
    async with world.running() as program:
        await told(world, *(f"meu nome é Ana e moro em Santos, {'muito ' * 60}" for _ in range(2)))
        turns = world.model.counts[CHAT]
        await world.subscribe(program, TINY)
        assert await told(world, "era só isso, tchau!") == [PT.farewell]
        assert world.value("SELECT state FROM conversations") == "USER_CLOSED"
        assert world.model.counts[CHAT] == turns
        assert world.value("SELECT count(*) FROM memories") == 0
        waits = world.rows("SELECT kind, failures, error FROM jobs ORDER BY id")
        assert [(job["kind"], job["failures"]) for job in waits] == [(EXTRACT, 0), (SUMMARIZE, 0)]
        assert all("budget_month_usd" in job["error"] for job in waits)

        await program.database.system_write(lambda tx: tx.run("DELETE FROM subscriptions"))
        await program.database.system_write(lambda tx: tx.run("UPDATE jobs SET run_at = 0"))
        await world.at_rest()
        assert world.value("SELECT count(*) FROM memories") > 0
        assert world.value("SELECT count(*) FROM conversations WHERE summary IS NOT NULL") == 1


# Voice


async def test_what_is_heard_is_booked_by_its_length(world: World) -> None:
    async with world.running():
        assert await speak(world, "queria dois pães") == "eco: [áudio transcrito] queria dois pães"
        await world.at_rest()
    assert usage(world)["voice"] == {"requests": 1, "prompt_tokens": 0, "cost": 75, "held": 0}, "the server tells of one second"


@pytest.mark.parametrize("budget", ["budget_month_usd", "budget_user_day_usd"])
async def test_a_note_is_heard_while_the_budget_has_room_for_its_length(data_dir: Path, budget: str) -> None:
    async with open_world(data_dir, prices={"models": FREE_TALK}) as world, world.running() as program:
        await choose_budget(program, world, **{budget: "0.00015"})  # two seconds
        assert await speak(world, "queria dois pães") == "eco: [áudio transcrito] queria dois pães"
        assert (usage(world)["voice"]["cost"], usage(world)["voice"]["held"]) == (75, 0)
        assert await speak(world, "e um bolo") == PT.unheard, "one second is left"
        assert world.model.counts[TRANSCRIPTIONS] == 1


async def test_without_money_a_note_is_kept_for_staff_and_the_conversation_goes_on(data_dir: Path) -> None:
    async with open_world(data_dir, prices={"models": FREE_TALK}) as world, world.running() as program:
        await choose_budget(program, world, budget_month_usd="0")
        assert await speak(world, "queria dois pães") == PT.unheard
        await told(world, "queria dois pães")
        assert world.sent_to(ANA)[-1].body == "eco: queria dois pães"
        assert world.model.counts[TRANSCRIPTIONS] == 0
        (media,) = world.rows("SELECT status, path, error FROM media")
        assert (media["status"], media["error"]) == ("failed", "not transcribed: budget")
        assert (world.data_dir / "media" / media["path"]).read_bytes() == voice_note("queria dois pães", seconds=2)
        assert "voice" not in usage(world)


async def test_a_plans_ceiling_holds_for_what_is_heard(world: World) -> None:
    async with world.running() as program:
        await world.subscribe(program, PlanLimits(cost_usd_per_user_day=Decimal("0.000149")))
        assert await speak(world, "queria dois pães") == PT.unheard
    assert world.model.counts[TRANSCRIPTIONS] == 0


async def test_a_note_that_the_server_refuses_costs_nothing_and_one_it_may_have_heard_stays_held(world: World) -> None:
    world.model.faults.arm(ModelFault.ERROR)
    world.model.faults.arm(ModelFault.MALFORMED)
    async with world.running() as program:
        await choose_budget(program, world, budget_month_usd="1")
        await speak(world, "queria dois pães")
        await world.at_rest()
    assert world.model.counts[TRANSCRIPTIONS] == 3
    assert usage(world)["voice"] == {"requests": 1, "prompt_tokens": 0, "cost": 75, "held": 150}


# Vectors


async def known_fact(program: Running, world: World) -> None:
    """Ana wrote before, and told where she lives."""
    await told(world, "oi")

    def keep(tx: OwnerTx) -> None:
        user_id = int(tx.all("SELECT user_id FROM conversations WHERE owner_id = :owner")[0]["user_id"])
        remember(tx, user_id, Told("Mora em Santos", 0), now=0)

    await program.database.write(world.line.owner_id, keep)


async def test_vectors_of_facts_and_of_questions_are_booked_under_memory(world: World) -> None:
    async with world.running() as program:
        await known_fact(program, world)
        await world.at_rest()
        fact = len("Mora em Santos") // 4
        assert usage(world)["memory"] == {"requests": 1, "prompt_tokens": fact, "cost": 1, "held": 0}
        question = "onde é que eu moro, hein?"
        await told(world, question)
    tokens = fact + len(question) // 4
    assert usage(world)["memory"] == {"requests": 2, "prompt_tokens": tokens, "cost": 2, "held": 0}
    assert world.model.counts[EMBEDDINGS] == 2


async def test_without_money_words_alone_find_the_facts_and_vectors_come_once_there_is_some(data_dir: Path) -> None:
    async with open_world(data_dir, prices={"models": FREE_TALK}) as world, world.running() as program:
        await choose_budget(program, world, budget_user_day_usd="0")
        await known_fact(program, world)
        assert await told(world, "onde é que eu moro?") == ["eco: onde é que eu moro?"]
        assert "Mora em Santos" in json.dumps(world.model.requests[-1], ensure_ascii=False)
        assert world.model.counts[EMBEDDINGS] == 0
        (job,) = world.rows("SELECT kind, failures FROM jobs")
        assert job == {"kind": EMBED, "failures": 0}

        await choose_budget(program, world, budget_user_day_usd="1")
        await program.database.system_write(lambda tx: tx.run("UPDATE jobs SET run_at = 0"))
        await world.at_rest()
        assert world.value("SELECT count(*) FROM memory_vectors") == 1
        assert usage(world)["memory"]["held"] == 0


async def test_what_costs_nothing_is_done_whatever_the_budget(data_dir: Path) -> None:
    free = [*FREE_TALK[:2], "text-embedding-3-small input 0 cached 0 output 0", "gpt-transcribe minute 0"]
    async with open_world(data_dir, prices={"models": free}) as world, world.running() as program:
        await choose_budget(program, world, budget_month_usd="0")
        await known_fact(program, world)
        assert await speak(world, "onde é que eu moro?") == "eco: [áudio transcrito] onde é que eu moro?"
        await world.at_rest()
        assert (usage(world)["voice"]["requests"], usage(world)["memory"]["requests"]) == (1, 2)
