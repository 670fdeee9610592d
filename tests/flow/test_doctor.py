"""``wtai doctor`` on a machine that is set up: Twilio and the model are asked, over HTTP, and each problem names its mend."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.program import ROOT, World, open_world
from wtai.db.sqlite import connect


@pytest.fixture
async def world(data_dir: Path) -> AsyncIterator[World]:
    async with open_world(data_dir, owners=2) as opened:
        (data_dir / "config.toml").write_text(
            f'[server]\npublic_url = "https://bot.padaria.example"\n[twilio]\nbase_url = "{opened.twilio.url}"\n'
            f'[openai]\nbase_url = "{opened.model.url}/v1"\n'
        )
        yield opened


async def examined(world: World, code: int, **environment: str) -> list[dict[str, Any]]:
    """What the doctor found; what it says has no secret in it."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("WTAI_")}
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "wtai", "doctor", "--json", "--data-dir", str(world.data_dir)],
        env={**clean, "PYTHONPATH": str(ROOT), **environment}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    assert not any(line.token in done.stdout + done.stderr for line in world.lines)
    return list(json.loads(done.stdout))


async def test_all_is_well_where_twilio_and_the_model_answer(world: World) -> None:
    found = await examined(world, 0)
    assert not [one for one in found if one["problem"] or one["advice"]], found
    assert [one["check"] for one in found] == [
        *("python", "sqlite", "settings", "key file", "database", "credentials", "webhook", "twilio", "twilio", "model")
    ]
    [webhook] = [one["seen"] for one in found if one["check"] == "webhook"]
    assert webhook == "https://bot.padaria.example/webhooks/twilio/inbound#rc=3&rp=all&ct=3000&rt=4500"
    assert [one["seen"] for one in found if one["check"] == "twilio"] == [
        f"{line.account_sid} of {line.owner}" for line in world.lines
    ]
    assert len(world.model.requests) == 1
    assert world.twilio.accepted == []


async def test_a_token_that_twilio_refuses_is_named_with_the_command_that_mends_it(world: World) -> None:
    line = world.lines[1]
    world.twilio.add_account(line.account_sid, "promoted" * 4, numbers=(line.number,))
    [problem] = [one["problem"] for one in await examined(world, 4) if one["problem"]]
    assert "20003" in problem
    assert f"`wtai twilio rotate {line.owner} --account-sid {line.account_sid} --auth-token-file -`" in problem


async def test_who_cannot_be_reached_is_told_apart_from_who_refuses(world: World, free_port: int) -> None:
    nowhere = f"http://127.0.0.1:{free_port}"
    found = await examined(world, 4, WTAI_OPENAI__BASE_URL=f"{nowhere}/v1", WTAI_TWILIO__BASE_URL=nowhere)
    problems = {one["check"]: one["problem"] for one in found if one["problem"]}
    assert set(problems) == {"twilio", "model"}
    assert all(f"let this machine reach {nowhere}" in problem for problem in problems.values())


async def test_credentials_that_do_not_open_and_a_database_that_is_behind_are_found(world: World) -> None:
    with closing(connect(world.data_dir / "wtai.db")) as connection:
        connection.execute("UPDATE twilio_accounts SET tokens = replace(tokens, 'v1.', 'v1.00')")
        found = await examined(world, 4)
        problems = {one["check"]: one["problem"] for one in found if one["problem"]}
        assert set(problems) == {"credentials", "twilio"}
        assert all("`wtai keys check`" in problem for problem in problems.values())
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        connection.execute(f"PRAGMA user_version = {version - 1}")
        behind = await examined(world, 4)
        assert "`wtai db migrate`" in next(one["problem"] for one in behind if one["check"] == "database")
        connection.execute(f"PRAGMA user_version = {version + 1}")
        ahead = await examined(world, 4)
        assert "newer wtai" in next(one["problem"] for one in ahead if one["check"] == "database")
