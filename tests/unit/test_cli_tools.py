"""``wtai tool``, as the shell sees it: an owner's own HTTP tools are saved, shown and removed."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
DEFINITION: dict[str, Any] = {
    "name": "order_status",
    "description": "Tells the state of an order.",
    "parameters": {"type": "object", "properties": {"order": {"type": "string"}}, "required": ["order"]},
    "url": "https://shop.example/hook?key=s3cr3t",
    "effect": "read",
}


class Shell:
    """The real program in a data directory that was set up, with one owner."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self("init")
        self.owner = str(json.loads(self("owner", "create", "--name", "Padaria", "--json").stdout)["id"])

    def __call__(self, *arguments: str, stdin: str = "", code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "wtai", *arguments],
            cwd=self._directory, env={"PYTHONPATH": str(ROOT)}, input=stdin,
            capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip
        assert done.returncode == code, done.stderr
        return done

    def save(self, *options: str, code: int = 0, **changes: object) -> subprocess.CompletedProcess[str]:
        return self("tool", "set", self.owner, "-", *options, stdin=json.dumps({**DEFINITION, **changes}), code=code)

    def listed(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self("tool", "list", self.owner, "--json").stdout)
        return found


@pytest.fixture
def shell(data_dir: Path) -> Shell:
    return Shell(data_dir)


def test_a_tool_is_saved_with_a_secret_shown_once_changed_and_removed(shell: Shell) -> None:
    secret = shell.save().stdout.strip()
    assert secret.startswith("whsec_")
    [listed] = shell.listed()
    assert (listed["name"], listed["parameters"], listed["timeout_seconds"]) == ("order_status", DEFINITION["parameters"], 10.0)
    assert secret not in json.dumps(listed)
    assert "s3cr3t" not in shell("tool", "list", shell.owner).stdout
    again = json.loads(shell.save("--json", timeout_seconds=3).stdout)
    assert (again["id"], again["secret"], again["timeout_seconds"]) == (listed["id"], None, 3.0)
    shell("tool", "remove", shell.owner, "order_status")
    assert shell.listed() == []
    shell("tool", "remove", shell.owner, "order_status", code=1)


@pytest.mark.parametrize(
    ("place", "changes"),
    [
        ("/url", {"url": "http://shop.example/hook"}),
        ("/url", {"url": "https://10.0.0.1/hook"}),
        ("/parameters", {"parameters": {"type": "object", "properties": {"user_id": {"type": "string"}}}}),
        ("/effect", {"effect": "none"}),
        ("/timeout_seconds", {"timeout_seconds": 0}),
        ("/name", {"name": "add_expense"}),
        ("/name", {"name": "remember"}),
        ("/name", {"name": "call_person"}),
        ("/secret", {"secret": "whsec_in_the_wrong_place"}),
    ],
)
def test_what_is_wrong_with_a_definition_is_told_with_its_place(shell: Shell, place: str, changes: dict[str, object]) -> None:
    assert place in shell.save(code=2, **changes).stderr
    assert shell.listed() == []
