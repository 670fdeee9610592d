"""The audit log: it is added to, and a person can be taken out of it, and nothing else happens to it."""

from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.store.identity import House, open_house
from wtai.db.sqlite import connect, driver
from wtai.db.tx import OwnerTx
from wtai.identity.audit_store import OPERATOR, Actor, audit, audit_entries, erase_audit, erase_from_audit


@pytest.fixture
async def house(data_dir: Path) -> AsyncIterator[House]:
    async with open_house(data_dir) as opened:
        await opened.database.write(opened.home.owner.id, note)
        yield opened


def note(tx: OwnerTx) -> None:
    audit(tx, Actor("user", "usr_ana", "203.0.113.9"), "memories.delete", "usr_caio", details="2", now=5)
    audit(tx, Actor("token", "tok_1", "203.0.113.9"), "end_users.update", "usr_caio", now=6)
    audit(tx, Actor("user", "usr_bia", "203.0.113.10"), "users.update", "usr_ana", outcome="refused", now=7)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_log SET outcome = 'done'",
        "UPDATE audit_log SET actor = NULL WHERE actor = 'usr_ana'",
        "DELETE FROM audit_log",
        "DELETE FROM audit_log WHERE id = 1",
        "INSERT OR REPLACE INTO audit_log SELECT * FROM audit_log WHERE id = 1",
    ],
)
async def test_no_line_is_changed_or_deleted(house: House, statement: str) -> None:
    with closing(connect(house.path)) as connection, pytest.raises(driver.IntegrityError, match="only added to"):
        connection.execute(statement)


async def test_without_its_triggers_it_could_be(house: House) -> None:
    with closing(connect(house.path)) as connection:
        connection.execute("DROP TRIGGER audit_log_is_not_deleted")
        assert connection.execute("DELETE FROM audit_log").rowcount > 0


async def test_the_newest_come_first_page_by_page_and_by_target(house: House) -> None:
    owner_id = house.home.owner.id
    newest = await house.database.read(owner_id, audit_entries, limit=2)
    assert [line.created_at for line in newest] == [7, 6]
    older = await house.database.read(owner_id, audit_entries, before=newest[-1].id, limit=1)
    assert [(line.created_at, line.details, line.outcome) for line in older] == [(5, "2", "done")]
    of_ana = await house.database.read(owner_id, audit_entries, target="usr_ana")
    assert [line.actor for line in of_ana] == ["usr_bia"]


async def test_each_owner_reads_its_own(house: House) -> None:
    lines = await house.audited(house.other.owner.id)
    assert not {"usr_ana", "usr_bia"} & {line.actor for line in lines}
    assert len(lines) == 2


async def test_an_erased_person_leaves_the_lines_and_no_trace_in_them(house: House) -> None:
    owner_id = house.home.owner.id
    before = await house.audited()
    assert await house.database.write(owner_id, erase_from_audit, "usr_ana") == 2
    after = await house.audited()
    assert [(line.id, line.action, line.created_at) for line in after] == [
        (line.id, line.action, line.created_at) for line in before
    ]
    assert "usr_ana" not in {name for line in after for name in (line.actor, line.target)}
    assert [(line.actor, line.target, line.address) for line in after[-3:]] == [
        ("erased", "usr_caio", None),
        ("tok_1", "usr_caio", "203.0.113.9"),
        ("usr_bia", "erased", "203.0.113.10"),
    ]
    with closing(connect(house.path)) as connection, pytest.raises(driver.IntegrityError):
        connection.execute("DELETE FROM audit_log")


async def test_an_erased_owners_log_is_gone_and_nobody_elses(house: House) -> None:
    others = await house.audited(house.other.owner.id)
    assert await house.database.write(house.home.owner.id, erase_audit) == 5
    assert await house.audited() == []
    assert await house.audited(house.other.owner.id) == others


async def test_an_erasure_that_fails_leaves_the_log_closed_and_whole(house: House) -> None:
    def fail(tx: OwnerTx) -> None:
        erase_audit(tx)
        raise RuntimeError("on the way")

    with pytest.raises(RuntimeError):
        await house.database.write(house.home.owner.id, fail)
    assert len(await house.audited()) == 5
    with closing(connect(house.path)) as connection, pytest.raises(driver.IntegrityError):
        connection.execute("DELETE FROM audit_log")


async def test_the_operator_has_no_address(house: House) -> None:
    assert (OPERATOR.id, OPERATOR.address) == (None, None)
    assert {line.address for line in await house.audited() if line.actor_kind == "operator"} == {None}
