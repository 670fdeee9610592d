"""Replay: stored conversations run again with recorded tools, on a copy, and what changed is told turn by turn."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from wtai.app import running
from wtai.clock import SystemClock
from wtai.db.sqlite import SqliteDatabase
from wtai.identity.plans import PlanLimits
from wtai.identity.plans_store import create_plan, subscribe
from wtai.simulator.model import ScriptedModel

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from evaluation.world import World, founded, person  # noqa: E402 - a script's module

SAID = ("gastei 45 com uber", "quanto gastei este mês?", "obrigado, era só isso")


@pytest.fixture
async def model() -> AsyncIterator[ScriptedModel]:
    async with ScriptedModel(SystemClock()) as scripted:
        yield scripted


@pytest.fixture
async def world(model: ScriptedModel) -> AsyncIterator[World]:
    """A conversation with a specialist, closed by the person, and one of another person in which an action was confirmed."""
    openai = {"base_url": f"{model.url}/v1", "api_key": "sk-test", "api": "chat"}
    async with founded(owners=1, clock=SystemClock(), sections={"openai": openai}) as founded_world:
        async with running(founded_world.settings) as program:
            founded_world.twilio.webhook_url = program.url or ""
            for text in SAID:
                await say(founded_world, person(1), text)
            await confirm_a_deletion(founded_world, model)
        yield founded_world


async def say(world: World, address: str, text: str) -> None:
    await world.twilio.send(address, world.lines[0].number, text)
    await world.at_rest(seconds=60)


def completion(text: str | None, *calls: tuple[str, dict[str, object]]) -> dict[str, object]:
    made = [
        {"id": f"c{at}", "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
        for at, (name, arguments) in enumerate(calls)
    ]
    message = {"role": "assistant", "content": text, **({"tool_calls": made} if made else {})}
    usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
    choices = [{"index": 0, "message": message, "finish_reason": "tool_calls" if made else "stop"}]
    return {"status": 200, "body": {"model": "scripted", "choices": choices, "usage": usage}}


DELETION = [
    completion('{"agent": "finance"}'),
    completion(None, ("add_expense", {"amount": "9.00", "description": "engano"})),
    completion("Registrei."),
    completion(None, ("delete_all_entries", {})),
    completion("Certo."),
    completion("Apaguei tudo."),
]


async def confirm_a_deletion(world: World, model: ScriptedModel) -> None:
    model.enqueue(DELETION)
    for text in ("lança 9 de engano", "apaga tudo", "sim"):
        await say(world, person(2), text)
    model.forget_script()


async def replayed(world: World, model: ScriptedModel, *options: str) -> dict[str, Any]:
    """The report on the world's database, which must be as it was afterwards."""
    database = world.settings.database_path

    def run() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(ROOT / "scripts" / "evaluate.py"), "replay", "--database", str(database), "--json"]
        command += ["--base-url", f"{model.url}/v1", "--api", "chat", *options]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    before, sent = contents(world), len(world.twilio.accepted)
    done = await asyncio.to_thread(run)
    assert done.returncode == 0, done.stderr
    assert contents(world) == before
    assert len(world.twilio.accepted) == sent
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def contents(world: World) -> str:
    """What the database holds."""
    names = [row["name"] for row in world.rows("SELECT name FROM sqlite_master WHERE type = 'table' AND sql LIKE '%owner_id%'")]
    return sha256(json.dumps([world.rows(f"SELECT * FROM {name}") for name in names], default=str).encode()).hexdigest()


async def test_the_same_model_changes_nothing_and_tools_answer_as_recorded(world: World, model: ScriptedModel) -> None:
    model.requests.clear()
    report = await replayed(world, model)
    # The second person's turns were scripted otherwise than this model answers; the first person's are as they were.
    assert not {SAID[0], SAID[1]} & {one["said"][0] for one in report["differences"]}
    assert report["turns"] == 5
    assert report["failed"] == 0
    asked = json.dumps(list(model.requests), ensure_ascii=False)
    assert "45.00" in asked  # the statement's recorded result


async def test_what_a_plan_leaves_now_is_nothing_to_the_turns_of_the_past(world: World, model: ScriptedModel) -> None:
    limits = PlanLimits(messages_per_month=2, tokens_per_month=1, features=("general", "finance"))
    await subscribed(world, limits)
    model.requests.clear()
    report = await replayed(world, model, "--limit", "5")
    assert report["turns"] == 5
    assert not report["changed"]["outcome"]
    assert not {SAID[0], SAID[1]} & {one["said"][0] for one in report["differences"]}
    offered = {tool["function"]["name"] for body in model.requests if isinstance(body, dict) for tool in body.get("tools", [])}
    assert "transfer_to_general" in offered
    assert "transfer_to_relationship" not in offered, "which specialists there are still is the plan's"


async def subscribed(world: World, limits: PlanLimits) -> None:
    database = await SqliteDatabase.open(world.settings.database_path)
    now = world.clock.now()
    plan = await database.system_write(create_plan, "small", limits, now=now)
    await database.write(world.lines[0].owner_id, subscribe, plan, now=now)
    await database.close()


async def test_turns_are_owed_as_they_were_with_their_history_and_what_the_person_confirmed(
    world: World, model: ScriptedModel
) -> None:
    # The newest turn is asked first, hence the script of the second person's turns from the last to the first.
    model.enqueue([DELETION[5], DELETION[3], DELETION[4], DELETION[0], DELETION[1], DELETION[2]])
    model.requests.clear()
    report = await replayed(world, model, "--limit", "3")
    assert report["turns"] == 3
    assert report["differences"] == []
    assert report["calls_not_recorded"] == 0
    confirmed, *_ = model.requests
    assert "delete_all_entries" in json.dumps(confirmed)


async def test_another_prompt_reaches_the_model_and_what_it_changes_is_told(
    world: World, model: ScriptedModel, tmp_path: Path
) -> None:
    prompt, router = tmp_path / "finance.md", tmp_path / "router.md"
    prompt.write_text("Responda como um contador.")
    router.write_text("Escolha bem.")
    model.requests.clear()
    model.echo = True
    report = await replayed(
        world, model, "--prompt", f"finance={prompt}", "--prompt", f"router={router}", "--model", "other-model"
    )
    asked = [body for body in model.requests if isinstance(body, dict)]
    systems = [json.dumps(body["messages"], ensure_ascii=False) for body in asked]
    assert any("Responda como um contador." in system for system in systems)
    assert any("Escolha bem." in system for system in systems)
    assert {body["model"] for body in asked if "tools" in body} == {"other-model"}
    changed = {one["said"][0]: one for one in report["differences"]}
    assert {"reply", "tool_calls"} <= set(changed[SAID[1]]["changed"])
    assert changed[SAID[1]]["after"]["reply"] == f"eco: {SAID[1]}"
    assert report["before"]["requests"] > report["after"]["requests"] > 0


async def test_a_call_that_was_not_made_then_is_answered_with_an_error(world: World, model: ScriptedModel) -> None:
    model.enqueue([completion(None, ("get_balance", {"period": "ano"})), completion("Não sei.")])
    report = await replayed(world, model, "--limit", "1")
    assert report["calls_not_recorded"] == 1
    (one,) = report["differences"]
    assert "tool_calls" in one["changed"]
    assert one["after"]["tool_calls"][-1]["failed"]


async def test_a_model_that_does_not_answer_is_a_failed_turn_and_not_the_end(world: World, model: ScriptedModel) -> None:
    model.enqueue([{"status": 401, "body": {"error": {"message": "no", "code": "invalid_api_key"}}}], repeat_last=True)
    report = await replayed(world, model, "--limit", "2")
    assert report["turns"] == 2
    assert report["changed"]["outcome"] == 2


def test_a_database_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "scripts" / "evaluate.py"), "replay", "--database", str(tmp_path / "none.db")]
    done = subprocess.run(
        [*command, "--base-url", "http://127.0.0.1:9/v1"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert "there is no database" in done.stderr
