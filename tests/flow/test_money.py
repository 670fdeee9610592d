"""What is done beside the turns costs money, too: it is booked, and no budget and no plan is gone beyond for it."""

from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest

from tests.program import World, open_world, person
from wtai.ai.memory.extraction import EXTRACT
from wtai.ai.memory.summaries import SUMMARIZE
from wtai.conversation.texts import texts
from wtai.identity.plans import PlanLimits

ANA = person(1)
PT = texts("pt-BR")
CHAT = "/v1/chat/completions"
TINY = PlanLimits(cost_usd_per_month=Decimal("0.000001"))


@pytest.fixture
async def world(data_dir: Path) -> AsyncIterator[World]:
    async with open_world(data_dir) as opened:
        yield opened


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
