"""The agent-loop transcripts, replayed by the script that measures them; and the script's own eyes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
CASES = ROOT / "tests" / "cases" / "agent_loop"
OWN_CASES = ROOT / "tests" / "cases" / "agent_loop_own"
NAMES = sorted(path.stem for folder in (CASES, OWN_CASES) for path in folder.glob("*.json"))


def evaluated(*arguments: str) -> dict:
    command = [sys.executable, str(ROOT / "scripts" / "evaluate.py"), "transcripts", "--json", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("api", ["chat", pytest.param("responses", marks=pytest.mark.slow)])
def test_every_transcript_passes_and_none_is_left_out(api: str) -> None:
    report = evaluated(str(CASES), str(OWN_CASES), "--api", api)
    assert report["failed"] == []
    assert report["pending"] == []
    assert sorted(report["passed"]) == NAMES


WRONG = [
    ("al-01-plain-text", {"llm_requests": 2}),
    ("al-01-plain-text", {"deliveries": 2}),
    ("al-01-plain-text", {"max_wall_s": 0}),
    ("al-01-plain-text", {"final": {"fallback": True}}),
    ("al-03-sequential-chain", {"tool_runs": [{"name": "add_expense", "count": 2}]}),
    ("al-03-sequential-chain", {"forbidden_tool_runs": ["add_expense"]}),
    ("al-03-sequential-chain", {"forbidden_tool_runs_before_input": {"1": ["add_expense"]}}),
    ("al-05-parallel-two", {"requests": [{"index": 1, "assert": [{"path": "messages[-1].content", "op": "eq", "value": 1}]}]}),
    ("al-47-handoff-ping-pong", {"invariants": ["stable_prefix"]}),
    ("al-49-handoff-plus-tool", {"active_agent": "finance"}),
    ("al-53-usage-sum", {"usage": {"cached_tokens": 0}}),
    ("al-61-markdown-to-whatsapp", {"each_delivery_max_len": 10}),
    # through the whole program
    ("al-59-confirmation-refused", {"tool_runs": [{"name": "delete_expense", "count": 1}]}),
    ("al-43-router-prose", {"llm_requests": 1}),
    ("al-45-sticky-no-router", {"active_agent": "relationship"}),
    ("own-01-confirmation-accepted", {"forbidden_tool_runs_before_input": {"2": ["delete_expense"]}}),
    ("own-01-confirmation-accepted", {"forbidden_tool_runs": [{"name": "delete_expense", "context": {"user_id": "user_1"}}]}),
    ("own-10-router", {"usage": {"requests": 3}}),
    ("own-14-greeting", {"deliveries": 2}),
]
SHORT_SCRIPT = "a script too short"


@pytest.fixture(scope="module")
def reasons(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Why each case failed, after its expectations were made wrong."""
    folder = tmp_path_factory.mktemp("wrong")
    for number, (name, wrong) in enumerate(WRONG):
        folder_of = CASES if name.startswith("al-") else OWN_CASES
        case = json.loads((folder_of / f"{name}.json").read_text("utf-8"))
        case["id"], case["expect"] = str(number), case["expect"] | wrong
        (folder / f"{number}.json").write_text(json.dumps(case), "utf-8")
    short = json.loads((CASES / "al-03-sequential-chain.json").read_text("utf-8"))
    short |= {"id": SHORT_SCRIPT, "script": short["script"][:-1], "expect": {}}
    (folder / "short.json").write_text(json.dumps(short), "utf-8")
    (folder / "unreadable.json").write_text(json.dumps({"id": "no case"}), "utf-8")
    return {entry["name"]: entry["why"] for entry in evaluated(str(folder))["failed"]}


@pytest.mark.parametrize("number", range(len(WRONG)))
def test_an_expectation_that_does_not_hold_is_reported_as_a_failure(reasons: dict[str, str], number: int) -> None:
    assert str(number) in reasons


def test_a_model_request_beyond_the_script_is_a_failure(reasons: dict[str, str]) -> None:
    assert "more than the script" in reasons[SHORT_SCRIPT]


def test_a_file_that_is_no_case_fails_alone(reasons: dict[str, str]) -> None:
    assert "raised KeyError" in reasons["no case"]


def test_a_directory_without_cases_is_an_error_not_a_success(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "scripts" / "evaluate.py"), "transcripts", str(tmp_path)]
    assert subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 2
