"""The master key is changed while the service runs, is killed anywhere on the way, and no credential is ever lost."""

import asyncio
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from wtai.channels.accounts import TOKEN_FIELD
from wtai.channels.accounts import connect as connect_account
from wtai.db.migrate import migrate
from wtai.db.sqlite import SqliteDatabase, connect
from wtai.db.tx import SystemTx
from wtai.errors import EnvironmentProblem
from wtai.identity.from_settings import sealer
from wtai.identity.store import create_owner
from wtai.sealed_store import SEALED, inventory, reseal_batch
from wtai.secrets import Sealer, UnsealError, add_key, create_key_file, one_rotation, open_sealer, read_keys
from wtai.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
OWNERS, EACH = 2, 150


def account_sid(owner: int, number: int) -> str:
    return f"AC{owner:04}{number:028}"


def token(owner: int, number: int) -> str:
    return f"secret of {owner} and {number}"


def _fill(tx: SystemTx, seal: Sealer) -> list[int]:
    made = []
    for _ in range(OWNERS):
        owner = create_owner(tx, "Casa", "pt-BR", now=0).id
        bound = tx.for_owner(owner)
        for number in range(EACH):
            connect_account(bound, seal, account_sid(owner, number), [token(owner, number), "second"], [], now=0)
        bound.run(
            """
            INSERT INTO http_tools (owner_id, public_id, name, description, parameters, url, secret, effect, timeout_seconds,
                created_at, updated_at) VALUES (:owner, :public, 'crm', 'd', '{}', 'https://x.example', :secret, 'read', 5, 0, 0)
            """,
            public=f"tool_{owner}",
            secret=seal.seal(owner, "http_tools.secret", "hidden"),
        )
        made.append(owner)
    return made


@pytest.fixture
def filled(data_dir: Path) -> list[int]:
    """Owners with sealed credentials."""
    create_key_file(data_dir / "wtai.key")
    migrate(data_dir / "wtai.db")

    async def fill() -> list[int]:
        database = await SqliteDatabase.open(data_dir / "wtai.db", readers=1)
        try:
            return await database.system_write(_fill, open_sealer(data_dir / "wtai.key"))
        finally:
            await database.close()

    return asyncio.run(fill())


def opened(data_dir: Path, owner: int, number: int, seal: Sealer) -> str:
    with closing(connect(data_dir / "wtai.db", read_only=True)) as connection:
        sealed = connection.execute(
            "SELECT tokens FROM twilio_accounts WHERE owner_id = ? AND account_sid = ?", (owner, account_sid(owner, number))
        ).fetchone()[0]
    return seal.unseal(owner, TOKEN_FIELD, json.loads(sealed)[0])


def everything_opens(data_dir: Path, owners: list[int]) -> None:
    seal = open_sealer(data_dir / "wtai.key")
    assert all(opened(data_dir, owner, number, seal) == token(owner, number) for owner in owners for number in range(EACH))


def keys_in_use(data_dir: Path) -> set[str]:
    with closing(connect(data_dir / "wtai.db", read_only=True)) as connection:
        rows = connection.execute("SELECT tokens AS value FROM twilio_accounts UNION ALL SELECT secret FROM http_tools")
        return {key for row in rows for key in re.findall(r"v1\.(\w+)\.", row["value"])}


def wtai(data_dir: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    with start(data_dir, *arguments) as process:
        output, errors = process.communicate(timeout=30)
        return subprocess.CompletedProcess(arguments, process.returncode, output, errors)


def start(data_dir: Path, *arguments: str) -> subprocess.Popen[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("WTAI_")}
    return subprocess.Popen(
        [sys.executable, "-m", "wtai", *arguments], cwd=data_dir, env={**clean, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_a_rotation_seals_everything_anew_and_the_old_key_stays_at_hand(data_dir: Path, filled: list[int]) -> None:
    [old] = read_keys(data_dir / "wtai.key")
    assert wtai(data_dir, "keys", "rotate").returncode == 0
    new, kept = read_keys(data_dir / "wtai.key")
    assert kept == old
    assert keys_in_use(data_dir) == {new.id}
    assert (data_dir / "wtai.key").stat().st_mode & 0o777 == 0o600
    everything_opens(data_dir, filled)
    report = json.loads(wtai(data_dir, "keys", "check", "--json").stdout)
    assert report["broken"] == []
    assert {(one["field"], one["count"], one["current"]) for one in report["sealed"]} == {
        (TOKEN_FIELD, 2 * OWNERS * EACH, True),
        ("http_tools.secret", OWNERS, True),
    }


@pytest.mark.slow
def test_killed_at_any_moment_everything_opens_and_the_next_rotation_finishes(data_dir: Path, filled: list[int]) -> None:
    began = time.monotonic()
    assert wtai(data_dir, "keys", "rotate").returncode == 0
    whole = time.monotonic() - began
    chance = random.Random(7)
    killed = 0
    for _ in range(12):
        with start(data_dir, "keys", "rotate") as rotation:
            time.sleep(whole * (0.4 + 0.6 * chance.random()))  # the first part is the start of Python
            rotation.send_signal(signal.SIGKILL)
            rotation.communicate(timeout=60)
            killed += rotation.returncode == -signal.SIGKILL
            if rotation.returncode == 0:
                whole *= 0.8  # the first one was slower: it found no file in memory
        everything_opens(data_dir, filled)
    assert killed >= 3
    keys = {key.id for key in read_keys(data_dir / "wtai.key")}
    assert keys_in_use(data_dir) <= keys
    for _ in range(2):
        assert wtai(data_dir, "keys", "rotate").returncode == 0
    assert keys_in_use(data_dir) == {read_keys(data_dir / "wtai.key")[0].id}
    everything_opens(data_dir, filled)


async def test_cut_short_after_each_batch_every_row_opens_and_the_rest_follows(data_dir: Path) -> None:
    create_key_file(data_dir / "wtai.key")
    migrate(data_dir / "wtai.db")
    database = await SqliteDatabase.open(data_dir / "wtai.db", readers=1)
    try:
        owners = await database.system_write(_fill, open_sealer(data_dir / "wtai.key"))
        add_key(data_dir / "wtai.key")
        seal = open_sealer(data_dir / "wtai.key")
        after, batches = 0, 0
        while (batch := await database.system_write(reseal_batch, seal, SEALED[0], after, limit=50)).last is not None:
            after, batches = batch.last, batches + 1
            found = await database.system_read(inventory, seal)
            assert found.broken == ()
            done = found.counts[TOKEN_FIELD, seal.key_ids[0]]
            assert done == 2 * 50 * batches
        assert batches == OWNERS * EACH // 50
        again = await database.system_write(reseal_batch, seal, SEALED[0], 0, limit=50)
        assert again.resealed == 0
        assert len(owners) == OWNERS
    finally:
        await database.close()


def test_a_process_at_work_follows_a_rotation_it_was_not_told_of(data_dir: Path, filled: list[int]) -> None:
    at_work = sealer(Settings(security={"key_file": data_dir / "wtai.key"}))  # type: ignore[arg-type]
    before = at_work.derived("access tokens")
    assert wtai(data_dir, "keys", "rotate").returncode == 0
    new, old = read_keys(data_dir / "wtai.key")
    assert opened(data_dir, filled[0], 3, at_work) == token(filled[0], 3)
    assert at_work.seal(1, "f", "x").split(".")[1] == new.id
    assert list(at_work.derived("access tokens")) == [new.id, old.id]
    assert at_work.derived("access tokens")[old.id] == before[old.id]


def test_while_the_key_file_is_away_what_is_known_stays_in_force(data_dir: Path, filled: list[int]) -> None:
    at_work = open_sealer(data_dir / "wtai.key")
    (data_dir / "wtai.key").rename(data_dir / "elsewhere")
    assert opened(data_dir, filled[0], 3, at_work) == token(filled[0], 3)
    assert at_work.unseal(1, "f", at_work.seal(1, "f", "x")) == "x"
    (data_dir / "elsewhere").rename(data_dir / "wtai.key")
    assert at_work.unseal(1, "f", at_work.seal(1, "f", "x")) == "x"


def test_two_rotations_at_once_are_refused(data_dir: Path, filled: list[int]) -> None:
    with one_rotation(data_dir / "wtai.key"):
        assert wtai(data_dir, "keys", "rotate").returncode == 4
        with pytest.raises(EnvironmentProblem, match="another rotation"), one_rotation(data_dir / "wtai.key"):
            pass
    assert len(read_keys(data_dir / "wtai.key")) == 1


def test_a_row_moved_to_another_owner_does_not_open_and_stops_a_rotation(data_dir: Path, filled: list[int]) -> None:
    mine, theirs = filled
    with closing(connect(data_dir / "wtai.db")) as connection:
        connection.execute(
            """
            UPDATE twilio_accounts SET tokens = (SELECT tokens FROM twilio_accounts WHERE account_sid = ?) WHERE account_sid = ?
            """,
            (account_sid(theirs, 0), account_sid(mine, 0)),
        )
    with pytest.raises(UnsealError, match="sealed for another place"):
        opened(data_dir, mine, 0, open_sealer(data_dir / "wtai.key"))
    before = read_keys(data_dir / "wtai.key")
    assert wtai(data_dir, "keys", "check").returncode == 1
    rotation = wtai(data_dir, "keys", "rotate")
    assert (rotation.returncode, read_keys(data_dir / "wtai.key")) == (1, before)
    assert token(theirs, 0) not in rotation.stdout + rotation.stderr


def test_every_field_that_is_sealed_anywhere_is_in_the_registry() -> None:
    named = re.compile(r'_FIELD(?:: Final)? = "(\w+\.\w+)"')
    found = {name for path in (ROOT / "wtai").rglob("*.py") for name in named.findall(path.read_text("utf-8"))}
    assert found == {column.field for column in SEALED}
