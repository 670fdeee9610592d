"""What is kept of a turn explains it, also where a server refused it or a budget ended it: whole turns through the program."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.flow.test_specialists import ALL, ANA, PT, calls, last_result, picks, say, says
from tests.program import World, open_world
from wtai.ai.texts import apology
from wtai.identity.preferences import Preferences
from wtai.identity.store import choose

REFUSED = {"status": 400, "body": {"error": {"message": "no", "code": "bad_request_of_ours"}}}
COFFEE = calls("remember", text="Prefere café sem açúcar.", kind="preference")
FREE = "input 0 cached 0 output 0"
PRICES = {"models": [f"{model} {FREE}" for model in ("tiny", "gpt-5.4-mini", "text-embedding-3-small")]}
"""Only what ``dear`` could cost is anything: the answers come from gpt-5.4-mini."""


@pytest.fixture
async def world(data_dir: Path) -> AsyncIterator[World]:
    async with open_world(data_dir, specialists=ALL) as opened:
        yield opened


def prompts(result: dict[str, Any]) -> list[str]:
    """The names of the prompts that a turn used; their hashes are there."""
    kept = json.loads(result["prompts"])
    assert all(len(one.partition("@")[2]) == 12 for one in kept)
    assert result["prompt_id"] == kept[-1]
    return [one.partition("@")[0] for one in kept]


def route(result: dict[str, Any]) -> tuple[str, str]:
    found = json.loads(result["route"])
    return found["agent"], found["how"]


async def test_a_turn_that_is_refused_keeps_all_that_led_to_it(world: World) -> None:
    async with world.running():
        await say(world, "oi, café sem açúcar, por favor, lembra disso", picks("general"), COFFEE, says("Anotado."))
        world.model.latency_seconds = 0.01
        said = await say(world, "quanto gastei em café?", calls("transfer_to_finance"), calls("get_balance"), REFUSED)
        assert said == apology("pt-BR")
        result = last_result(world)
    assert (result["outcome"], result["feature"], result["model"]) == ("bad_request_of_ours", "finance", "gpt-5.4-mini")
    assert route(result) == ("general", "sticky")
    assert prompts(result) == ["general", "finance"]
    assert [(call["name"], call["failed"]) for call in json.loads(result["calls"])] == [
        ("transfer_to_finance", False),
        ("get_balance", False),
    ]
    assert "balance" in json.loads(result["calls"])[1]["result"]
    (memory,) = json.loads(result["memories"])
    assert memory["score"] > 0
    assert (result["requests"], result["prompt_tokens"], result["completion_tokens"]) == (2, 2_000, 200)
    assert result["cost"] > 0
    assert result["latency_ms"] >= 30
    assert result["stepped_down"] == 0


async def test_a_turn_that_is_refused_at_once_names_the_model_that_was_asked(data_dir: Path) -> None:
    async with open_world(data_dir, specialists=ALL, openai={"model": "big", "router_model": "tiny"}) as world, world.running():
        await say(world, "quanto gastei?", picks("finance"), REFUSED)
        result = last_result(world)
    assert (result["model"], result["requests"]) == ("big", 1)
    assert route(result) == ("finance", "router")
    assert json.loads(result["route"])["model"] == "gpt-5.4-mini", "the name that the router's server gave"
    assert prompts(result) == ["router", "finance"]


async def limit(world: World, database: Any) -> None:
    """A budget that pays for what costs nothing."""
    chosen = json.dumps({"budget_month_usd": "0.000001"})
    await database.write(world.line.owner_id, choose, Preferences(), chosen)


async def test_a_turn_that_a_budget_ends_keeps_what_was_done_before(data_dir: Path) -> None:
    openai = {"model": "dear", "small_model": "dear", "router_model": "tiny"}
    async with (
        open_world(data_dir, specialists=ALL, openai=openai, prices=PRICES) as world,
        world.running() as program,
    ):
        await say(world, "Oi, bom dia!", COFFEE, says("Bom dia!"))
        await limit(world, program.database)
        assert await say(world, "quanto gastei em café?", picks("finance")) == PT.handoff
        result = last_result(world)
    assert (result["outcome"], result["feature"], result["requests"]) == ("no_budget", "finance", 1)
    assert (route(result), prompts(result)) == (("finance", "router"), ["router", "finance"])
    assert result["prompt_tokens"] == 1_000
    assert len(json.loads(result["memories"])) == 1


async def test_a_turn_for_which_a_budget_leaves_nothing_at_all_tells_who_would_have_answered(world: World) -> None:
    async with world.running() as program:
        await limit(world, program.database)
        assert await say(world, "quanto gastei?") == PT.handoff
        result = last_result(world)
    assert not world.model.requests
    assert (result["outcome"], result["requests"], result["cost"]) == ("no_budget", 0, 0)
    assert (route(result), prompts(result)) == (("general", "fallback"), ["general"])


async def test_a_step_down_to_the_small_model_is_told(data_dir: Path) -> None:
    openai = {"model": "dear", "small_model": "tiny", "router_model": "tiny"}
    async with (
        open_world(data_dir, specialists=ALL, openai=openai, prices=PRICES) as world,
        world.running() as program,
    ):
        await say(world, "quanto gastei?", picks("finance"), says("Nada."))
        assert last_result(world)["stepped_down"] == 0
        await limit(world, program.database)
        assert await say(world, "e ontem?", says("Também nada.")) == "Também nada."
        assert last_result(world)["stepped_down"] == 1
    asked: Any = world.model.requests[-1]
    assert asked["model"] == "tiny"
    assert world.sent_to(ANA)
