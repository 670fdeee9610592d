"""``evaluate.py memory``: what the report says, and the figures that the program has to keep to on the cases."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
CASES = ROOT / "tests" / "cases"
SETS = {
    "dev": (CASES / "memory" / "memories.jsonl", CASES / "memory" / "queries.dev.jsonl"),
    "more": (CASES / "memory" / "memories.jsonl", CASES / "memory_own" / "queries_of_the_given.jsonl"),
    "own": (CASES / "memory_own" / "memories.jsonl", CASES / "memory_own" / "queries.jsonl"),
}


def evaluate(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "scripts" / "evaluate.py"), "memory", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def report(*arguments: object) -> Any:
    done = evaluate(*arguments, "--embedder", "hashed", "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", SETS)
def test_the_answer_is_found_and_never_somebody_elses(name: str) -> None:
    found = report(*SETS[name])
    assert found["recall_at_5"] >= 0.87
    assert found["recall_at_1"] >= 0.75
    assert found["leaks"] == found["degraded"] == 0


def test_what_holds_now_comes_before_what_held() -> None:
    reports = [report(*files) for files in SETS.values()]
    updates = sum(found["updates"] for found in reports)
    right = sum(found["updates"] * found["update_order"] for found in reports)
    assert updates >= 10
    assert right / updates >= 0.9


def test_a_miss_and_a_leak_are_counted(tmp_path: Path) -> None:
    memories, queries = tmp_path / "memories.jsonl", tmp_path / "queries.jsonl"
    memories.write_text(
        '{"id": "a", "user_id": "u", "date": "2025-01-01", "text": "Tenho um gato"}\n'
        '{"id": "b", "user_id": "u", "date": "2025-02-01", "text": "Moro em Santos"}\n'
    )
    queries.write_text(
        '{"id": "1", "user_id": "u", "query": "que bicho eu tenho", "relevant": ["a"], "tags": ["synonym"]}\n'
        '{"id": "2", "user_id": "u", "query": "que bicho eu tenho", "relevant": ["b"], "tags": ["update"]}\n'
        '{"id": "3", "user_id": "v", "query": "onde moro", "relevant": [], "tags": ["unanswerable"]}\n'
    )
    found = report(memories, queries)
    assert (found["queries"], found["answerable"], found["recall_at_1"], found["leaks"]) == (3, 2, 0.5, 0)
    assert found["tags"]["synonym"]["recall_at_1"] == 1.0
    assert found["rows"][2]["found"] == []


def test_a_file_that_cannot_be_read_ends_with_2(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.jsonl"
    wrong.write_text('{"id": "1"}\n')
    assert evaluate(wrong, wrong).returncode == 2
    assert evaluate(tmp_path / "none", wrong).returncode == 2
