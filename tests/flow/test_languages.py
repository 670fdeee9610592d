"""An owner of another language than Portuguese: what specialists are told and have is in it, or in the English of the tools."""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.flow.test_images import PNG
from tests.flow.test_specialists import ALL, ANA, calls, last_result, picks, say, says
from tests.flow.test_voice import speak
from tests.program import World, open_world
from wtai.ai.features_store import Feature, set_feature
from wtai.app import Running
from wtai.identity.audit_store import OPERATOR

COFFEE = calls("add_expense", amount="10", description="coffee")
WEEKDAYS = {"en": r"(Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day", "es": "lunes|martes|miércoles|jueves|viernes|sábado|domingo"}
LANGUAGES = pytest.mark.parametrize("locale", ["en", "es"])


@pytest.fixture
async def world(data_dir: Path) -> AsyncIterator[World]:
    async with open_world(data_dir, specialists=ALL) as opened:
        yield opened


async def speaks(program: Running, world: World, locale: str) -> None:
    def work(tx: Any) -> None:
        tx.run("UPDATE owners SET locale = :locale WHERE id = :owner", locale=locale)

    await program.database.write(world.line.owner_id, work)


def described(world: World, *, at: int = -1) -> dict[str, str]:
    """The tools of a request, each with all that is said of it."""
    request: Any = world.model.requests[at]
    return {tool["function"]["name"]: json.dumps(tool, ensure_ascii=False) for tool in request["tools"]}


def results(world: World) -> list[Any]:
    return [json.loads(call["result"]) for call in json.loads(last_result(world)["calls"])]


@pytest.mark.parametrize(
    ("locale", "categories", "money"),
    [("en", "eating out, groceries, housing", "US$ 10.00"), ("es", "alimentación, supermercado, vivienda", "€ 10,00")],
)
async def test_money_is_booked_in_the_owners_currency_and_categories(
    world: World, locale: str, categories: str, money: str
) -> None:
    async with world.running() as program:
        await speaks(program, world, locale)
        await say(world, "I spent 10 on coffee", picks("finance"), COFFEE, says("Booked."))
        tools = described(world)
        assert money in json.dumps(results(world), ensure_ascii=False)
    assert f"Categories: {categories}" in tools["add_expense"]
    assert "alimentação" not in json.dumps(tools, ensure_ascii=False)
    request: Any = world.model.requests[-1]
    assert "R$ 32" not in request["messages"][0]["content"]


async def test_what_an_owner_set_holds_in_every_language_and_only_the_rest_follows_it(world: World) -> None:
    own = Feature("finance", True, json.dumps({"currency": "BRL"}))
    async with world.running() as program:
        await speaks(program, world, "en")
        await program.database.write(world.line.owner_id, set_feature, own, actor=OPERATOR, now=0)
        await say(world, "I spent 10 on coffee", picks("finance"), COFFEE, says("Booked."))
        assert "R$ 10.00" in json.dumps(results(world))
    assert "groceries" in described(world)["add_expense"]


@LANGUAGES
async def test_the_day_has_its_name_in_the_owners_language(world: World, locale: str) -> None:
    async with world.running() as program:
        await speaks(program, world, locale)
        await say(world, "what day is it?", picks("general"), calls("current_time"), says("See for yourself."))
        (now,) = results(world)
    assert re.fullmatch(WEEKDAYS[locale], now["weekday"])
    tools = described(world)
    assert "time zone of the business" in tools["current_time"]
    assert "Calls a person" in tools["call_person"]
    assert not re.search("[ãõç]", json.dumps(tools, ensure_ascii=False))


@pytest.mark.parametrize(
    ("locale", "image", "audio", "example"),
    [("en", "image", "transcribed audio", "location"), ("es", "imagen", "audio transcrito", "ubicación")],
)
async def test_what_a_message_carries_is_named_in_the_owners_language_as_the_rules_say(
    data_dir: Path, locale: str, image: str, audio: str, example: str
) -> None:
    async with open_world(data_dir) as world, world.running() as program:
        await speaks(program, world, locale)
        await world.say(ANA, "which plant is this?", media=[("image/png", PNG)])
        await world.answers_to(ANA, 1)
        await world.at_rest()
        await speak(world, ANA, "and this one?")
        assert await world.answers_to(ANA, 2) == [
            f"eco: [{image}] which plant is this?",
            f"eco: [{audio}] and this one?",
        ]
        await world.at_rest()
    asked: Any = next(request for request in reversed(world.model.requests) if "messages" in request)  # type: ignore[operator]
    rules, *said = [message["content"] for message in asked["messages"]]
    assert f"[{audio}]" in rules
    assert f"[{example} …]" in rules
    assert f"[{image}] which plant is this?" in said, "also in a later turn"
