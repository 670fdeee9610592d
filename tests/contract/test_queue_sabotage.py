"""The queue's guarantees switched off one by one: what was promised then breaks, so the suite can see it."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.contract.backends import House, sqlite
from tests.contract.test_queue import test_whoever_lost_a_job_cannot_settle_it as _fencing_holds
from wtai.db import units as module
from wtai.db.sqlite import driver
from wtai.db.tx import SystemTx


class Unfenced(module.Statements):
    """SQL without the fencing token."""

    def change(self, sql: str, parameters: Mapping[str, object]) -> int:
        return super().change(sql.replace("AND attempt = :attempt\n", "\n").removesuffix("AND attempt = :attempt"), parameters)


async def test_without_the_attempt_guard_a_lost_job_is_settled(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "Statements", Unfenced)
    async with sqlite(data_dir) as house:
        with pytest.raises(AssertionError):
            await _fencing_holds(house)


async def two_of_a_key(house: House) -> None:
    await house.put(key="k")
    await house.put(key="k")


def forget_the_head(tx: SystemTx) -> None:
    tx.run("UPDATE jobs SET state = 'ready' WHERE state = 'waiting'")


async def test_two_jobs_of_a_key_cannot_be_ready_whatever_the_program_does(data_dir: Path) -> None:
    async with sqlite(data_dir) as house:
        await two_of_a_key(house)
        with pytest.raises(driver.IntegrityError):
            await house.database.system_write(forget_the_head)
        assert len(await house.connect("a").claim(10)) == 1


async def test_without_the_index_of_heads_two_jobs_of_a_key_run_at_once(data_dir: Path) -> None:
    async with sqlite(data_dir) as house:
        await two_of_a_key(house)
        await house.database.system_write(lambda tx: tx.run("DROP INDEX jobs_one_head"))
        await house.database.system_write(forget_the_head)
        assert len(await house.connect("a").claim(10)) == 2
