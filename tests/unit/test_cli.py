"""The command line as the shell sees it: exit codes, output, and what it takes to print the help."""

import json
import os
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import click
import pytest
from jsonschema import Draft202012Validator

from wtai import failpoints
from wtai.cli.main import COMMANDS, run
from wtai.cli.main import wtai as group
from wtai.db import sqlite
from wtai.db.sqlite import connect
from wtai.errors import AlreadyRunning, EnvironmentProblem, NotFound, SchemaError, SettingsError, WtaiError
from wtai.settings_source import keys

ROOT = Path(__file__).resolve().parents[2]


def wtai(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the real program."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("WTAI_")}
    return subprocess.run(
        [sys.executable, "-m", "wtai", *arguments],
        cwd=cwd, env={**clean, "PYTHONPATH": str(ROOT), **environment},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip


def test_help_names_every_command_and_imports_nothing_heavy(data_dir: Path) -> None:
    """So that it is there in a moment, which scripts/bench.py measures."""
    code = (
        "import sys\nthere = set(sys.modules)\nfrom wtai.cli.main import run\nexit_code = run(['--help'])\n"
        "print('imported:', *sorted({name.partition('.')[0] for name in sys.modules.keys() - there}))\nsys.exit(exit_code)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=30, check=True)
    listed, _, imported = done.stdout.partition("imported:")
    for name, entry in COMMANDS.items():
        assert f"\n  {name} " in listed
        assert entry.help.split()[0] in listed
    loaded = set(imported.split())
    assert loaded - sys.stdlib_module_names == {"click", "wtai"}
    assert not loaded & {"asyncio", "http", "multiprocessing", "sqlite3", "ssl"}


COMMAND_NAMES = """
    run dev init check doctor restore trigger completion version
    config show|schema|docs
    owner create|list|show|disable|export|erase
    user create|list|password|role|disable
    twilio connect|rotate
    token create|list|revoke
    keys rotate|check
    plan list|set
    feature list|set
    db migrate|status|check
    backup create|list|verify
    jobs list|retry|discard
    service show
"""
"""The commands that other programs rely on: single ones, and then those of groups."""


def test_every_command_that_others_rely_on_is_there_and_lists_as_json() -> None:
    context = click.Context(group)
    single, *groups = [line.split() for line in COMMAND_NAMES.strip().splitlines()]
    assert [name for name in single if not isinstance(group.get_command(context, name), click.Command)] == []
    for name, parts in groups:
        found = group.get_command(context, name)
        assert isinstance(found, click.Group), name
        for part in parts.split("|"):
            assert part in found.commands, f"{name} {part}"
            options = {option for parameter in found.commands[part].params for option in parameter.opts}
            assert {"--config", "--data-dir"} <= options, f"{name} {part}"
            assert part != "list" or "--json" in options, name


def test_init_writes_settings_and_a_private_key_without_asking(data_dir: Path) -> None:
    done = wtai("init", cwd=data_dir)
    assert (done.returncode, done.stdout) == (0, "")
    assert stat.S_IMODE((data_dir / "wtai.key").stat().st_mode) == 0o600
    assert "[server]" in (data_dir / "config.toml").read_text("utf-8")
    assert wtai("check", cwd=data_dir).returncode == 0
    assert wtai("doctor", cwd=data_dir).returncode == 0


def test_check_looks_at_all_that_a_start_needs(data_dir: Path) -> None:
    assert wtai("init", cwd=data_dir).returncode == 0
    (data_dir / "wtai.key").chmod(0o644)
    refused = wtai("check", cwd=data_dir)
    assert (refused.returncode, "wtai.key" in refused.stderr) == (4, True)
    (data_dir / "wtai.key").chmod(0o600)
    with closing(connect(data_dir / "wtai.db")) as connection:
        connection.execute("PRAGMA user_version = 1000")
    newer = wtai("check", cwd=data_dir)
    assert (newer.returncode, "newer wtai" in newer.stderr) == (5, True)


def test_init_makes_the_data_directory(data_dir: Path) -> None:
    assert wtai("init", "--data-dir", "fresh/wtai", cwd=data_dir).returncode == 0
    assert (data_dir / "fresh/wtai/wtai.key").exists()


def test_init_never_replaces_a_key_and_replaces_settings_only_when_forced(data_dir: Path) -> None:
    wtai("init", cwd=data_dir)
    key = (data_dir / "wtai.key").read_text()
    settings = data_dir / "config.toml"
    settings.write_text("[server]\nport = 9\n")
    again = wtai("init", cwd=data_dir)
    assert again.returncode == 1
    assert "--force" in again.stderr
    assert settings.read_text() == "[server]\nport = 9\n"
    assert wtai("init", "--force", cwd=data_dir).returncode == 0
    assert "port = 9\n" not in settings.read_text()
    assert (data_dir / "wtai.key").read_text() == key


def test_init_keeps_settings_written_by_hand_and_adds_the_key(data_dir: Path) -> None:
    (data_dir / "config.toml").write_text('[security]\nkey_file = "keys/master.key"\n')
    assert wtai("init", cwd=data_dir).returncode == 0
    assert (data_dir / "keys/master.key").exists()
    assert (data_dir / "config.toml").read_text() == '[security]\nkey_file = "keys/master.key"\n'


@pytest.mark.parametrize("arguments", [["check", "--config", "it.toml"], ["--config", "it.toml", "check"]])
def test_shared_options_are_accepted_before_and_after_the_command(arguments: list[str], data_dir: Path) -> None:
    (data_dir / "it.toml").write_text("[server]\nport = 70000\n")
    done = wtai(*arguments, cwd=data_dir)
    assert done.returncode == 3
    assert done.stderr.startswith("error: it.toml:2  server.port = 70000 is not valid")


def test_shared_options_reach_the_commands_of_a_group(data_dir: Path) -> None:
    elsewhere = data_dir / "elsewhere"
    for arguments in (
        ["config", "show"],
        ["config", "--data-dir", str(elsewhere), "show"],
        ["config", "show", "--data-dir", str(elsewhere)],
    ):
        shown = wtai(*arguments, "--json", cwd=data_dir)
        assert shown.returncode == 0, shown.stderr
        where = elsewhere if "--data-dir" in arguments else data_dir
        assert json.loads(shown.stdout)["security.key_file"]["value"] == str(where / "wtai.key")


def test_every_wrong_setting_is_one_error_line_without_a_traceback(data_dir: Path) -> None:
    (data_dir / "config.toml").write_text("[server]\nport = 70000\nprot = 1\n")
    done = wtai("check", cwd=data_dir, WTAI_SEVER__PORT="1")
    lines = done.stderr.splitlines()
    assert (done.returncode, len(lines)) == (3, 3)
    assert all(line.startswith("error: ") for line in lines)


@pytest.mark.parametrize("arguments", [["nonsense"], ["check", "--nonsense"], []])
def test_wrong_usage_is_exit_2(arguments: list[str], data_dir: Path) -> None:
    assert wtai(*arguments, cwd=data_dir).returncode == 2


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SettingsError, 3),
        (EnvironmentProblem, 4),
        (AlreadyRunning, 4),
        (SchemaError, 5),
        (NotFound, 1),
        (WtaiError, 1),
        (click.UsageError, 2),
        (KeyboardInterrupt, 130),
    ],
)
def test_each_error_has_its_exit_code(
    error: type[BaseException], code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    @click.command()
    def failing() -> None:
        raise error("what is wrong; mend: this")

    monkeypatch.setitem(COMMANDS, "check", COMMANDS["check"]._replace(target=f"{__name__}:failing"))
    monkeypatch.setitem(globals(), "failing", failing)
    assert run(["check"]) == code
    talk = capsys.readouterr().err
    assert "Traceback" not in talk
    if issubclass(error, WtaiError):
        assert talk == "error: what is wrong; mend: this\n"


def test_an_unexpected_error_is_exit_1_with_a_traceback_that_holds_no_phone_number(data_dir: Path) -> None:
    (data_dir / "broken.py").write_text("def command():\n    raise ZeroDivisionError('for +5511987654321')\n")
    code = (
        "import click, sys, broken\nfrom wtai.cli.main import COMMANDS, run\nbroken.command = click.command()(broken.command)\n"
        "COMMANDS['check'] = COMMANDS['check']._replace(target='broken:command')\nsys.exit(run(['check']))"
    )
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{data_dir}"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert "ZeroDivisionError: for +55119****4321" in json.loads(done.stderr)["exception"]


def test_config_show_names_origins_and_masks_the_key(data_dir: Path) -> None:
    (data_dir / "config.toml").write_text("[server]\nport = 9\n")
    done = wtai("config", "show", cwd=data_dir, WTAI_OPENAI__API_KEY="sk-private")
    shown = {line.split(" = ")[0]: line.rpartition("# ")[2] for line in done.stdout.splitlines()}
    assert list(shown) == keys()
    assert shown["server.port"] == f"{data_dir}/config.toml:2"
    assert (shown["openai.api_key"], shown["server.host"]) == ("WTAI_OPENAI__API_KEY", "default")
    assert "sk-private" not in done.stdout
    masked = json.loads(wtai("config", "show", "--json", cwd=data_dir, WTAI_OPENAI__API_KEY="sk-private").stdout)
    assert masked["openai.api_key"] == {"value": "********", "origin": "WTAI_OPENAI__API_KEY"}
    assert masked["openai.api_key_file"]["value"] is None


def test_config_schema_is_a_json_schema_of_the_file(data_dir: Path) -> None:
    schema = json.loads(wtai("config", "schema", cwd=data_dir).stdout)
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    assert validator.is_valid({"server": {"port": 1}})
    assert not validator.is_valid({"server": {"port": 70000}})
    assert not validator.is_valid({"server": {"prot": 1}})


def test_config_docs_is_the_example_file(data_dir: Path) -> None:
    assert wtai("config", "docs", cwd=data_dir).stdout == (ROOT / "config.example.toml").read_text("utf-8")


def test_version_names_what_matters_in_a_report(data_dir: Path) -> None:
    versions = json.loads(wtai("version", "--json", cwd=data_dir).stdout)
    assert set(versions) == {"wtai", "python", "sqlite", "sqlite_driver", "sqlite_vec"}
    assert versions["sqlite"] in wtai("version", cwd=data_dir).stdout


def test_a_whole_database_is_said_to_be_whole(data_dir: Path) -> None:
    assert wtai("db", "check", cwd=data_dir).returncode == 5, "there is none"
    wtai("init", cwd=data_dir)
    assert "is whole" in wtai("db", "check", cwd=data_dir).stdout
    told = json.loads(wtai("db", "check", "--json", cwd=data_dir).stdout)
    assert told == {"file": f"{data_dir}/wtai.db", "whole": True, "damage": []}


def test_a_damaged_database_is_said_to_be_damaged(data_dir: Path) -> None:
    wtai("init", cwd=data_dir)
    file = data_dir / "wtai.db"
    with closing(sqlite.connect(file)) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute(
            "INSERT INTO users (owner_id, public_id, role, created_at) VALUES (77, 'usr_x', 'user', 1), (78, 'usr_y', 'user', 1)"
        )
        root = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'plans'").fetchone()[0]
        size = connection.execute("PRAGMA page_size").fetchone()[0]
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    lost = wtai("db", "check", cwd=data_dir)
    assert (lost.returncode, lost.stdout) == (1, "2 rows of users refer to rows of owners that are not there\n")
    assert "`wtai restore`" in lost.stderr
    with file.open("r+b") as pages:
        pages.seek((root - 1) * size)
        pages.write(b"\xee" * size)
    torn = wtai("db", "check", "--json", cwd=data_dir)
    assert torn.returncode == 1
    assert json.loads(torn.stdout)["damage"]


def test_doctor_names_each_problem_with_its_mend_and_exits_4(data_dir: Path) -> None:
    absent = wtai("doctor", "--json", cwd=data_dir)
    assert absent.returncode == 4
    problems = {finding["check"]: finding["problem"] for finding in json.loads(absent.stdout)}
    assert "mend: `wtai init`" in problems["key file"]
    wtai("init", cwd=data_dir)
    (data_dir / "wtai.key").chmod(0o644)
    opened = wtai("doctor", cwd=data_dir)
    assert opened.returncode == 4
    assert "chmod 600" in opened.stdout
    (data_dir / "config.toml").write_text("[server]\nprot = 1\n")
    wrong = wtai("doctor", cwd=data_dir)
    assert wrong.returncode == 4
    assert 'did you mean "port"?' in wrong.stdout


def test_doctor_lists_the_failpoints_one_a_line(data_dir: Path) -> None:
    done = wtai("doctor", "--failpoints", cwd=data_dir)
    assert done.stdout.splitlines() == list(failpoints.NAMES)


def test_an_unknown_failpoint_is_a_wrong_setting(data_dir: Path) -> None:
    done = wtai("check", cwd=data_dir, WTAI_FAILPOINTS="nowhere=1:kill")
    assert done.returncode == 3
    assert "WTAI_FAILPOINTS" in done.stderr
