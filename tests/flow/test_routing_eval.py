"""The measurement of routing, with a scripted model: every row is routed by the real program and counted as it went."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from wtai.clock import SystemClock
from wtai.simulator.model import ScriptedModel

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
CASES = ROOT / "tests" / "cases" / "routing" / "hand.dev.jsonl"
sys.path.insert(0, str(ROOT / "scripts"))

from evaluation import routing  # noqa: E402 - a script's module


def openai(model: ScriptedModel) -> dict[str, object]:
    return {"base_url": f"{model.url}/v1", "api_key": "sk-test", "api": "chat"}


def dev_rows() -> list[dict[str, Any]]:
    return [json.loads(line) for line in CASES.read_text("utf-8").splitlines()]


async def test_every_row_is_answered_and_what_has_a_specialist_is_not_routed_again() -> None:
    async with ScriptedModel(SystemClock()) as model:
        report = routing.summary(await routing.route_all(dev_rows(), openai(model)))
    assert report["rows"] == len(dev_rows())
    assert report["unanswered"] == []
    assert report["sticky"] == 1.0
    assert report["sticky_calls_per_message"] == 0.0
    # greetings, requests for a person and rows with a specialist cost no router
    assert 0 < report["calls_per_message"] < 1
    assert 0 < report["accuracy"] <= 1


ROWS = [
    {"id": "a", "text": "quanto gastei com mercado?", "label": "finance", "subtype": "report"},
    {"id": "b", "text": "quando é o aniversário da Ana?", "label": "relationship", "subtype": "birthday"},
    {"id": "c", "text": "e o da Bia?", "label": "relationship", "subtype": "sticky", "current_agent": "relationship"},
    {"id": "d", "text": "quanto gastei?", "label": "finance", "subtype": "switch", "current_agent": "relationship"},
]
"""Two that the router decides, one for the specialist that has the conversation, and one that it would have to hand over."""


@pytest.mark.parametrize(
    ("router_says", "wrong", "macro_f1"),
    [
        ('{"agent": "finance"}', {"b": "finance", "d": "relationship"}, 0.5),
        ('{"agent": "relationship"}', {"a": "relationship", "d": "relationship"}, 0.3333),
    ],
)
async def test_what_the_router_says_decides_who_is_right(router_says: str, wrong: dict[str, str], macro_f1: float) -> None:
    usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
    choices = [{"index": 0, "message": {"role": "assistant", "content": router_says}, "finish_reason": "stop"}]
    async with ScriptedModel(SystemClock()) as model:
        model.enqueue([{"status": 200, "body": {"model": "m", "choices": choices, "usage": usage}}], repeat_last=True)
        report = routing.summary(await routing.route_all(ROWS, openai(model)))
    assert report["accuracy"] == 0.5
    assert report["macro_f1"] == macro_f1
    assert report["sticky"] == 1.0
    assert report["switch"] == 0.0
    assert report["calls_per_message"] == 0.5
    assert {miss["id"]: miss["answered"] for miss in report["misses"]} == wrong


async def test_the_command_line_prints_the_figures_and_refuses_a_model_that_answers_nothing(tmp_path: Path) -> None:
    few = tmp_path / "few.jsonl"
    few.write_text("".join(json.dumps(row) + "\n" for row in (*dev_rows()[:2], dev_rows()[12])))  # the last one is a greeting

    def evaluated(url: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(ROOT / "scripts" / "evaluate.py"), "routing", str(few), "--base-url", url, "--json"]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    async with ScriptedModel(SystemClock()) as model:
        done = await asyncio.to_thread(evaluated, f"{model.url}/v1")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["rows"] == 3
    refused = await asyncio.to_thread(evaluated, "http://127.0.0.1:9/v1")
    assert refused.returncode == 2
    assert "answered nothing" in refused.stderr
