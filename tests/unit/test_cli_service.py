"""What ``wtai service`` and ``wtai completion`` print, as the shell and the programs that read it see it."""

import os
import shutil
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def wtai(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("WTAI_")}
    return subprocess.run(
        [sys.executable, "-m", "wtai", *arguments],
        cwd=cwd, env={**clean, "PYTHONPATH": str(ROOT), **environment},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip


def printed(*arguments: str, cwd: Path, **environment: str) -> str:
    done = wtai(*arguments, cwd=cwd, **environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def unit(text: str) -> ConfigParser:
    parser = ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str
    parser.read_string(text)
    return parser


def test_the_unit_runs_this_program_on_these_data_and_gives_jobs_time_to_end(data_dir: Path) -> None:
    elsewhere = data_dir.parent / "copies 100%"
    (data_dir / "config.toml").write_text(
        f'[worker]\nshutdown_grace_seconds = 40\n[backup]\ndirectory = "{elsewhere}"\n[media]\ndirectory = "pictures"\n'
    )
    service = unit(printed("service", "show", "systemd", cwd=data_dir))["Service"]
    assert service["ExecStart"] == f"{sys.executable} -m wtai run --data-dir {data_dir}"
    assert service["ExecStartPre"] == f"{sys.executable} -m wtai check --data-dir {data_dir}"
    assert service["WorkingDirectory"] == str(data_dir)
    assert int(service["TimeoutStopSec"]) > 40
    assert service["ReadWritePaths"] == f"'{data_dir.parent}/copies 100%%' {data_dir}"
    assert service["RestartPreventExitStatus"].split() == ["2", "3", "4", "5"]
    named = unit(printed("--config", "config.toml", "service", "show", "systemd", "--data-dir", "deep", cwd=data_dir))["Service"]
    assert named["ExecStart"].endswith(f" run --data-dir {data_dir}/deep --config {data_dir}/config.toml")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not on every machine")
def test_systemd_takes_the_unit_and_finds_it_closed(data_dir: Path) -> None:
    file = data_dir / "wtai.service"
    file.write_text(printed("service", "show", "systemd", cwd=data_dir))
    verified = subprocess.run(["systemd-analyze", "verify", file], capture_output=True, text=True, check=False)
    assert (verified.returncode, verified.stderr) == (0, "")
    rated = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=15", file], capture_output=True, text=True, check=False
    )
    assert rated.returncode == 0, rated.stdout


def test_proxies_pass_on_what_comes_for_the_public_address(data_dir: Path) -> None:
    settings = {
        "WTAI_SERVER__PUBLIC_URL": "https://bot.padaria.example",
        "WTAI_SERVER__HOST": "0.0.0.0",
        "WTAI_SERVER__PORT": "8181",
        "WTAI_LIMITS__API_BODY_BYTES": "3000000",
    }
    caddy = printed("service", "show", "caddy", cwd=data_dir, **settings)
    assert "\nbot.padaria.example {" in caddy
    nginx = printed("service", "show", "nginx", cwd=data_dir, **settings)
    assert "server_name bot.padaria.example;" in nginx
    assert "proxy_set_header X-Forwarded-For $remote_addr;" in nginx
    for text in (caddy, nginx):
        assert "127.0.0.1:8181" in text
        assert " 3000000" in text
    by_name = printed("service", "show", "caddy", cwd=data_dir, **{**settings, "WTAI_SERVER__HOST": "::1"})
    assert "reverse_proxy [::1]:8181 {" in by_name


def test_what_the_settings_do_not_say_is_told(data_dir: Path) -> None:
    done = wtai("service", "show", "nginx", cwd=data_dir)
    assert "bot.example.com" in done.stdout
    assert "server.public_url is not set" in done.stderr
    assert wtai("service", "show", "caddy", cwd=data_dir, WTAI_SERVER__PORT="0").returncode == 3
    assert wtai("service", "show", "apache", cwd=data_dir).returncode == 2


@pytest.mark.parametrize(
    ("words", "expected"),
    [("wtai own", {"owner"}), ("wtai service show ", {"systemd", "caddy", "nginx"}), ("wtai owner cre", {"create"})],
)
def test_a_shell_completes_commands(data_dir: Path, words: str, expected: set[str]) -> None:
    asked = {"_WTAI_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    said = printed(cwd=data_dir, **asked)
    assert set(said.split()) == {f"plain,{word}" for word in expected}


def test_a_shell_that_is_not_named_is_bash(data_dir: Path) -> None:
    assert printed("completion", cwd=data_dir) == printed("completion", "bash", cwd=data_dir)
    assert wtai("completion", "cmd", cwd=data_dir).returncode == 2


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_for_a_shell_asks_wtai(data_dir: Path, shell: str) -> None:
    script = printed("completion", shell, cwd=data_dir)
    assert f"_WTAI_COMPLETE={shell}_complete" in script
    if shutil.which(shell):
        assert subprocess.run([shell, "-n"], input=script, text=True, check=False).returncode == 0
