"""The commands for users, tokens, plans, features and keys, as the shell sees them."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from wtai.channels.accounts import TOKEN_FIELD
from wtai.db.sqlite import connect
from wtai.secrets import open_sealer
from wtai.settings import SECTIONS

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "quatro cavalos azuis"

Wtai = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def wtai(data_dir: Path) -> Wtai:
    """The real program, in a data directory that was set up."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("WTAI_")}
    cheap = {"WTAI_SECURITY__ARGON2_MEMORY_KIB": "19456", "WTAI_SECURITY__ARGON2_TIME_COST": "1"}

    def run(*arguments: str, stdin: str = "", code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "wtai", *arguments],
            cwd=data_dir, env={**clean, **cheap, "PYTHONPATH": str(ROOT)}, input=stdin,
            capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip
        assert done.returncode == code, done.stderr
        return done

    run("init")
    return run


def made(wtai: Wtai, *arguments: str, stdin: str = "") -> Any:
    return json.loads(wtai(*arguments, "--json", stdin=stdin).stdout)


@pytest.fixture
def owner(wtai: Wtai) -> str:
    arguments = ("owner", "create", "--name", "Padaria", "--admin-email", "Ana@x.example", "--password-file", "-")
    return str(made(wtai, *arguments, stdin=f"{PASSWORD}\n")["id"])


def test_an_owner_is_created_with_its_plan_and_administrator(wtai: Wtai, owner: str) -> None:
    [admin] = made(wtai, "user", "list", owner)
    assert (admin["email"], admin["role"], admin["status"]) == ("ana@x.example", "admin", "active")
    alone = made(wtai, "owner", "create", "--name", "Oficina")
    assert (alone["plan"], alone["admin"]) == ("unlimited", None)
    assert [one["name"] for one in made(wtai, "owner", "list")] == ["Padaria", "Oficina"]


@pytest.mark.parametrize(
    ("arguments", "stdin", "code"),
    [
        (("--admin-email", "ana@x.example", "--password-file", "-"), "short\n", 1),
        (("--admin-email", "ana@x.example", "--password-file", "-"), "", 1),
        (("--admin-email", "no address", "--password-file", "-"), f"{PASSWORD}\n", 1),
        (("--admin-email", "ana@x.example"), f"{PASSWORD}\n", 2),
        (("--password-file", "-"), f"{PASSWORD}\n", 2),
        (("--plan", "golden"), "", 1),
    ],
)
def test_an_owner_that_cannot_be_made_whole_is_not_made(wtai: Wtai, arguments: tuple[str, ...], stdin: str, code: int) -> None:
    refused = wtai("owner", "create", "--name", "X", *arguments, stdin=stdin, code=code)
    assert PASSWORD not in refused.stderr
    assert refused.stdout == ""
    assert made(wtai, "owner", "list") == []


def test_users_are_created_changed_and_shut_out(wtai: Wtai, owner: str) -> None:
    bia = made(wtai, "user", "create", owner, "--email", "bia@x.example", "--name", "Bia", "--password-file", "-", stdin=PASSWORD)
    assert (bia["role"], bia["name"]) == ("agent", "Bia")
    wtai("user", "create", owner, "--email", "BIA@x.example", "--password-file", "-", stdin=PASSWORD, code=1)
    wtai("user", "role", owner, bia["id"], "admin")
    wtai("user", "password", owner, "Bia@x.example", "--password-file", "-", stdin="another good one")
    wtai("user", "disable", owner, "bia@x.example")
    assert [(one["role"], one["status"]) for one in made(wtai, "user", "list", owner)] == [
        ("admin", "active"),
        ("admin", "disabled"),
    ]
    refused = wtai("user", "disable", owner, "ana@x.example", code=1)
    assert "last administrator" in refused.stderr
    wtai("user", "enable", owner, bia["id"])
    wtai("user", "list", "own_unknown", code=1)


def test_the_machines_own_people_are_made_at_the_machine(wtai: Wtai, owner: str) -> None:
    operator = made(wtai, "user", "create", "platform", "--email", "op@x.example", "--password-file", "-", stdin=PASSWORD)
    assert operator["role"] == "platform"
    wtai(
        "user", "create", "platform", "--email", "x@x.example", "--role", "admin", "--password-file", "-", stdin=PASSWORD, code=2
    )
    wtai("user", "role", "platform", operator["id"], "admin", code=2)
    assert [one["id"] for one in made(wtai, "user", "list", "platform")] == [operator["id"]]


def test_a_token_is_shown_when_it_is_made_and_never_again(wtai: Wtai, owner: str) -> None:
    token = made(wtai, "token", "create", owner, "--name", "crm", "--scope", "read", "--scope", "messages.create", "--days", "30")
    listed = wtai("token", "list", owner, "--json").stdout
    assert token["token"] not in listed
    assert token["token"].rpartition("_")[2] not in listed
    [one] = json.loads(listed)
    assert (one["prefix"], one["scopes"], one["role"]) == (token["token"][:13], ["read", "messages.create"], "admin")
    wtai("token", "revoke", owner, one["id"])
    assert json.loads(wtai("token", "list", owner, "--json").stdout)[0]["revoked_at"] is not None
    assert "no scope 'everything'" in wtai("token", "create", owner, "--name", "x", "--scope", "everything", code=1).stderr


def test_a_plan_is_set_and_binds_its_owners(wtai: Wtai, owner: str) -> None:
    wtai("plan", "set", "small", "--limits-file", "-", "--owner", owner, stdin='{"users": 1, "features": ["general"]}')
    assert made(wtai, "plan", "list")[1]["limits"] == {"users": 1, "features": ["general"]}
    refused = wtai("user", "create", owner, "--email", "b@x.example", "--password-file", "-", stdin=PASSWORD, code=1)
    assert "room for 1 users" in refused.stderr
    assert "plan does not have it" in wtai("feature", "set", owner, "finance", "--enable", code=1).stderr
    assert {one["name"] for one in made(wtai, "feature", "list", owner) if one["in_plan"]} == {"general"}
    wtai("plan", "set", "small", "--limits-file", "-", stdin='{"users": 5}')
    wtai("feature", "set", owner, "finance", "--enable")
    refused = wtai("plan", "set", "small", "--limits-file", "-", stdin='{"messages": 5}', code=2)
    assert "messages: Extra inputs" in refused.stderr
    wtai("plan", "set", "unknown", "--owner", owner, code=1)
    wtai("plan", "set", "small", code=2)


def test_a_feature_is_checked_before_it_is_set(wtai: Wtai, owner: str) -> None:
    wtai("feature", "set", owner, "general", "--config-file", "-", stdin='{"model": "my-model"}')
    wtai("feature", "set", owner, "general", "--disable")
    [general] = [one for one in made(wtai, "feature", "list", owner) if one["name"] == "general"]
    assert (general["enabled"], general["config"]) == (False, {"model": "my-model"})
    refused = wtai("feature", "set", owner, "general", "--config-file", "-", stdin='{"modle": "x"}', code=1)
    assert "modle" in refused.stderr
    own = '{"description": "d", "prompt": "p"}'
    for name, said in (
        ("No Name", "lower case"),
        ("cobrança", "from a to z"),
        ("a" * 60, "up to 40"),
        ("memory", "program's own"),
    ):
        refused = wtai("feature", "set", owner, name, "--config-file", "-", stdin=own, code=1)
        assert said in refused.stderr
    wtai("feature", "set", owner, "general", code=2)


def test_a_disabled_owner_is_shown_as_such(wtai: Wtai, owner: str) -> None:
    wtai("owner", "disable", owner)
    assert made(wtai, "owner", "show", owner)["status"] == "disabled"
    wtai("owner", "enable", owner)
    assert made(wtai, "owner", "show", owner)["status"] == "active"


def test_the_tokens_of_an_account_are_rotated_from_the_shell(wtai: Wtai, owner: str, data_dir: Path) -> None:
    first, second = (f"AC{letter * 32}" for letter in "ab")

    def tokens() -> dict[str, list[str]]:
        seal = open_sealer(data_dir / "wtai.key")
        with closing(connect(data_dir / "wtai.db")) as connection:
            rows = connection.execute("SELECT owner_id, account_sid, tokens FROM twilio_accounts").fetchall()
        return {
            row["account_sid"]: [seal.unseal(row["owner_id"], TOKEN_FIELD, sealed) for sealed in json.loads(row["tokens"])]
            for row in rows
        }

    def account(sid: str, number: str) -> None:
        arguments = ("--account-sid", sid, "--auth-token-file", "-", "--number", number)
        assert "#rc=3" in wtai("twilio", "connect", owner, *arguments, stdin="t" * 32).stdout

    rotate = ("twilio", "rotate", owner, "--auth-token-file", "-")
    assert "none is connected" in wtai(*rotate, stdin="x" * 32, code=1).stderr
    account(first, "whatsapp:+5511900000001")
    (data_dir / "secondary").write_text("s" * 32)
    done = wtai(*rotate, "--secondary-token-file", "secondary", stdin="t" * 32)
    assert "s" * 32 not in done.stdout + done.stderr
    assert tokens() == {first: ["t" * 32, "s" * 32]}
    account(second, "+5511900000002")
    refused = wtai(*rotate, stdin="s" * 32, code=1)
    assert f"{first}, {second}" in refused.stderr
    wtai(*rotate, "--account-sid", first, stdin="s" * 32)
    assert tokens() == {first: ["s" * 32], second: ["t" * 32]}
    wtai(*rotate, "--account-sid", first, stdin="", code=2)
    assert {sid["address"] for sid in made(wtai, "owner", "show", owner)["addresses"]} == {
        "whatsapp:+5511900000001",
        "+5511900000002",
    }


def test_no_password_can_be_said_on_the_command_line(wtai: Wtai) -> None:
    for arguments in (("owner", "create"), ("user", "create"), ("user", "password")):
        options = wtai(*arguments, "--help").stdout
        assert "--password-file" in options
        assert "--password " not in options


def test_the_settings_of_security_are_named_in_the_example() -> None:
    example = (ROOT / "config.example.toml").read_text("utf-8")
    assert all(f"\n{name} = " in example for name in SECTIONS["security"].model_fields)
