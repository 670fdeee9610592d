"""An owner comes with its subscription and administrator, or not at all; and who logs in is kept by the database's own rules."""

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from tests.schema import new_database
from tests.store.identity import CHEAP, PASSWORD, House, open_house
from wtai.clock import SystemClock
from wtai.db.sqlite import SqliteConnection, connect, driver
from wtai.db.tx import PLATFORM, OwnerTx, Row, SystemTx
from wtai.db.units import Statements
from wtai.errors import NotFound, StaleVersion
from wtai.identity import registration, store, users_store
from wtai.identity.access import Role
from wtai.identity.audit_store import OPERATOR
from wtai.identity.plans import PlanLimits
from wtai.identity.plans_store import (
    PlanConflict,
    create_plan,
    delete_plan,
    plan_named,
    plans,
    subscribe,
    subscription,
    update_plan,
)
from wtai.identity.quota import QuotaReached
from wtai.identity.registration import Admin, register
from wtai.identity.users_store import EmailTaken, LastAdmin, WrongEmail, check_email

TABLES = ("owners", "users", "subscriptions", "audit_log")
NOW = 1_800_000_000_000


@pytest.fixture
async def house(data_dir: Path) -> AsyncIterator[House]:
    async with open_house(data_dir) as opened:
        yield opened


class DiesAt:
    """A connection that ends the process at its n-th statement."""

    def __init__(self, connection: SqliteConnection, statements: int) -> None:
        self._of = Statements(connection)
        self._left = statements

    def query(self, sql: str, parameters: Mapping[str, object]) -> Sequence[Row]:
        self._count()
        return self._of.query(sql, parameters)

    def change(self, sql: str, parameters: Mapping[str, object]) -> int:
        self._count()
        return self._of.change(sql, parameters)

    def insert(self, sql: str, parameters: Mapping[str, object]) -> int | None:
        self._count()
        return self._of.insert(sql, parameters)

    def _count(self) -> None:
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def register_and_die(path: str, statement: str) -> None:
    """Run in a process of its own."""
    with closing(connect(Path(path))) as connection:
        connection.execute("BEGIN IMMEDIATE")
        tx = SystemTx(DiesAt(connection, int(statement)), set())
        register(tx, "Padaria", "pt-BR", admin=Admin("ana@x.example", "hash"), actor=OPERATOR, now=NOW)
        connection.execute("COMMIT")


def counts(path: Path) -> list[int]:
    with closing(connect(path)) as connection:
        return [connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in TABLES]


def test_killed_at_any_statement_nothing_of_an_owner_remains(data_dir: Path) -> None:
    path = data_dir / "wtai.db"
    new_database(path)
    before = counts(path)
    code = "import sys; from tests.store.test_registration import register_and_die; register_and_die(*sys.argv[1:])"
    root = str(Path(__file__).resolve().parents[2])
    killed = 0
    for statement in range(1, 30):
        done = subprocess.run(
            [sys.executable, "-c", code, str(path), str(statement)], cwd=root, env={"PYTHONPATH": root}, timeout=30, check=False
        )
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL
        assert counts(path) == before
        killed += 1
    assert killed >= 8
    assert [after - was for after, was in zip(counts(path), before, strict=True)] == [1, 1, 1, 2]


async def test_an_owner_with_a_plan_that_is_not_there_is_not_made(house: House) -> None:
    before = counts(house.path)
    with pytest.raises(NotFound, match="no plan golden"):
        await house.database.system_write(register, "X", "es", plan="golden", admin=None, actor=OPERATOR, now=NOW)
    assert counts(house.path) == before


async def test_an_owner_is_registered_with_all_that_belongs_to_it(house: House) -> None:
    home = house.home
    assert home.admin is not None
    assert (home.admin.email, home.admin.role, home.subscription.plan.name) == ("admin@padaria.example", Role.ADMIN, "unlimited")
    assert [(line.actor_kind, line.action, line.target) for line in await house.audited()] == [
        ("operator", "owners.create", home.owner.public_id),
        ("operator", "users.create", home.admin.public_id),
    ]


async def test_the_platform_is_no_tenant(house: House) -> None:
    found = await house.database.system_read(store.owners)
    assert [one.id for one in found] == [house.home.owner.id, house.other.owner.id]
    with pytest.raises(NotFound):
        await house.database.system_read(store.owner_of_public_id, "own_platform")
    with pytest.raises(StaleVersion):
        await house.database.write(PLATFORM, store.set_owner_status, "disabled")


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO users (owner_id, public_id, role, email, password_hash, created_at) VALUES (1, '', 'platform', '', '', 0)",
        "INSERT INTO users (owner_id, public_id, role, email, password_hash, created_at) VALUES (0, 'u', 'admin', 'e', 'h', 0)",
        "INSERT INTO users (owner_id, public_id, role, created_at) VALUES (0, 'u', 'user', 0)",
        "INSERT INTO users (owner_id, public_id, role, created_at) VALUES (1, 'u', 'admin', 0)",
        "INSERT INTO users (owner_id, public_id, role, email, created_at) VALUES (1, 'u', 'agent', 'e', 0)",
        "INSERT INTO users (owner_id, public_id, role, email, created_at) VALUES (1, 'u', 'user', 'e', 0)",
        "UPDATE users SET role = 'platform' WHERE owner_id = 1",
        "UPDATE users SET role = 'user' WHERE owner_id = 1",
        "INSERT INTO api_tokens SELECT 1, 1, 't', 'n', 'p', 'h', 'platform', '[]', NULL, 0, NULL, NULL, NULL",
        "INSERT INTO subscriptions SELECT 99, 1, 's', 1, 'active', 0, 1, 1, 0, 0",
    ],
)
async def test_the_database_itself_refuses(house: House, statement: str) -> None:
    with closing(connect(house.path)) as connection, pytest.raises(driver.IntegrityError):
        connection.execute(statement)


async def test_an_address_is_one_users_of_an_owner_whatever_its_case(house: House) -> None:
    async def add(owner_id: int, email: str) -> None:
        await house.database.write(owner_id, registration.add_user, Role.AGENT, None, email, "h", actor=OPERATOR, now=NOW)

    await add(house.home.owner.id, "Bia@Padaria.example")
    await add(house.other.owner.id, "bia@padaria.example")
    with pytest.raises(EmailTaken):
        await add(house.home.owner.id, " BIA@padaria.EXAMPLE ")


@pytest.mark.parametrize(
    "text", ["", "ana", "ana@", "@x.example", "a@b", "a b@x.example", "a@x.example\n", "a" * 250 + "@x.br", "<a@x.br>"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(WrongEmail):
        check_email(text)


async def test_the_last_administrator_stays(house: House) -> None:
    owner_id, admin = house.home.owner.id, house.home.admin
    assert admin is not None
    for change in (registration.give_role, registration.let):
        with pytest.raises(LastAdmin):
            await house.database.write(
                owner_id, change, admin, Role.AGENT if change is registration.give_role else "disabled", actor=OPERATOR, now=NOW
            )
    await house.database.write(owner_id, registration.add_user, Role.ADMIN, None, "b@x.example", "h", actor=OPERATOR, now=NOW)
    changed = await house.database.write(owner_id, registration.give_role, admin, Role.AGENT, actor=OPERATOR, now=NOW)
    assert (changed.role, changed.version, changed.token_version) == (Role.AGENT, 2, 1)


async def test_a_change_of_an_older_version_is_refused(house: House) -> None:
    owner_id, admin = house.home.owner.id, house.home.admin
    assert admin is not None
    renamed = await house.database.write(owner_id, users_store.rename_user, admin, "Ana", version=1, now=NOW)
    assert (renamed.name, renamed.version, renamed.token_version, renamed.role) == ("Ana", 2, 0, Role.ADMIN)
    with pytest.raises(StaleVersion, match="is at version 2, not 1"):
        await house.database.write(owner_id, users_store.rename_user, admin, "Bia", version=1, now=NOW)
    with pytest.raises(NotFound):
        await house.database.write(house.other.owner.id, users_store.rename_user, admin, "Eva", now=NOW)


async def test_a_plan_limits_who_may_log_in(house: House) -> None:
    owner_id = house.home.owner.id

    def on_small(tx: SystemTx) -> None:
        subscribe(tx.for_owner(owner_id), create_plan(tx, "small", PlanLimits(users=2), now=NOW), now=NOW)

    async def add(email: str) -> users_store.User:
        return await house.database.write(owner_id, registration.add_user, Role.AGENT, None, email, "h", actor=OPERATOR, now=NOW)

    await house.database.system_write(on_small)
    bia = await add("bia@x.example")
    with pytest.raises(QuotaReached, match="room for 2 users"):
        await add("caio@x.example")
    shut = await house.database.write(owner_id, registration.let, bia, "disabled", actor=OPERATOR, now=NOW)
    await add("caio@x.example")
    with pytest.raises(QuotaReached):
        await house.database.write(owner_id, registration.let, shut, "active", actor=OPERATOR, now=NOW)


async def test_plans_are_made_changed_and_removed_while_nobody_needs_them(house: House) -> None:
    database, owner_id = house.database, house.home.owner.id
    small = await database.system_write(create_plan, "small", PlanLimits(messages_per_month=10), now=NOW)
    with pytest.raises(PlanConflict):
        await database.system_write(create_plan, "small", PlanLimits(), now=NOW)
    bigger = await database.system_write(update_plan, small, "bigger", PlanLimits(messages_per_month=20), version=1, now=NOW)
    assert (bigger.name, bigger.limits.messages_per_month, bigger.version) == ("bigger", 20, 2)
    with pytest.raises(StaleVersion):
        await database.system_write(update_plan, small, "x", PlanLimits(), version=1, now=NOW)
    with pytest.raises(PlanConflict):
        await database.system_write(update_plan, small, "unlimited", PlanLimits(), now=NOW)
    subscribed = await database.write(owner_id, subscribe, bigger, version=1, now=NOW)
    assert (subscribed.plan, subscribed.version) == (bigger, 2)
    with pytest.raises(StaleVersion):
        await database.write(owner_id, subscribe, bigger, version=1, now=NOW)
    with pytest.raises(PlanConflict):
        await database.system_write(delete_plan, bigger)
    default = await database.system_read(plan_named, "unlimited")
    await database.write(owner_id, subscribe, default, now=NOW)
    await database.system_write(delete_plan, bigger)
    with pytest.raises(PlanConflict):
        await database.system_write(delete_plan, default)
    assert [plan.name for plan in await database.system_read(plans)] == ["unlimited"]
    assert (await database.read(owner_id, subscription, now=NOW)).plan.name == "unlimited"


async def test_an_owner_made_before_without_an_administrator_can_get_one(house: House) -> None:
    database = house.database
    made = await database.system_write(register, "X", "es", admin=None, actor=OPERATOR, now=SystemClock().now())
    assert made.admin is None

    def add(tx: OwnerTx) -> users_store.User:
        return registration.add_user(tx, Role.ADMIN, "X", "x@x.example", CHEAP.hash(PASSWORD), actor=OPERATOR, now=NOW)

    await database.write(made.owner.id, add)
    assert (await house.sessions().log_in("x@x.example", PASSWORD, address=None)).session.startswith("ses_")
