"""What models cost is counted by owner, person, feature and day of UTC; and what calls may cost is held inside the budgets."""

import random
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest

from tests.schema import new_database
from wtai.ai.llm import Usage
from wtai.ai.pricing import MICROS, Price, Quote
from wtai.ai.usage_store import (
    Budget,
    Budgets,
    Purpose,
    Refused,
    Total,
    book,
    day_of,
    hold,
    months,
    resets_at,
    settle,
    usage_of,
)
from wtai.db.sqlite import SqliteDatabase, connect
from wtai.db.tx import OwnerTx, Row
from wtai.identity.plans import PlanLimits
from wtai.identity.preferences import Preferences, merged
from wtai.identity.store import create_owner

MICRO = Price(MICROS, MICROS, MICROS)
"""One micro per token."""


@dataclass
class Books:
    """A database with two owners, of two people each."""

    path: Path
    database: SqliteDatabase
    owner: int = 0
    other: int = 0
    ana: int = 0
    bia: int = 0
    stranger: int = 0

    async def open(self) -> None:
        self.owner = (await self.database.system_write(create_owner, "Padaria", "pt-BR", now=0)).id
        self.other = (await self.database.system_write(create_owner, "Oficina", "pt-BR", now=0)).id
        self.ana, self.bia = [await self.database.write(self.owner, new_user, name) for name in ("ana", "bia")]
        self.stranger = await self.database.write(self.other, new_user, "caio")

    async def hold(self, micros: int, budgets: Budgets, purpose: Purpose | None = None, *, least: int = 0) -> Quote | Refused:
        quote = Quote("m", MICRO, 0, micros, least or micros)
        return await self.database.write(self.owner, hold, purpose or self.of_ana(), budgets, [quote], now=0)

    async def settle(self, held: int, cost: int, purpose: Purpose | None = None, usage: Usage | None = None) -> None:
        purpose = purpose or self.of_ana()
        await self.database.write(self.owner, settle, purpose, held=held, cost=cost, usage=usage or Usage(requests=1))

    def of_ana(self, feature: str = "general", day: str = "2026-11-20") -> Purpose:
        return Purpose(self.ana, feature, day)

    def of_bia(self, feature: str = "general", day: str = "2026-11-20") -> Purpose:
        return Purpose(self.bia, feature, day)

    def rows(self, sql: str) -> list[Row]:
        with closing(connect(self.path, read_only=True)) as connection:
            return [dict(row) for row in connection.execute(sql).fetchall()]

    def booked(self) -> dict[str, int]:
        """The sum of every owner and month, which has to be the sum of its usage."""
        kept = self.rows("SELECT owner_id || ' ' || month AS of, booked FROM usage_months")
        added = self.rows("SELECT owner_id || ' ' || substr(day, 1, 7) AS of, sum(cost + held) AS n FROM usage GROUP BY 1")
        assert {row["of"]: row["booked"] for row in kept} == {row["of"]: row["n"] for row in added}
        return {str(row["of"]): int(row["booked"]) for row in kept}


def new_user(tx: OwnerTx, name: str) -> int:
    return int(
        tx.all("INSERT INTO users (owner_id, public_id, created_at) VALUES (:owner, :name, 0) RETURNING id", name=f"usr_{name}")[
            0
        ]["id"]
    )


@pytest.fixture
async def books(data_dir: Path) -> AsyncIterator[Books]:
    path = data_dir / "wtai.db"
    new_database(path)
    database = await SqliteDatabase.open(path)
    opened = Books(path, database)
    await opened.open()
    yield opened
    await database.close()


def at(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


# --- Holding and settling


async def test_what_is_spent_and_held_together_stays_within_the_month(books: Books) -> None:
    budget = Budgets(month=100)
    assert isinstance(await books.hold(60, budget), Quote)
    assert await books.hold(41, budget) == Refused(Budget.MONTH, first=True)
    assert isinstance(await books.hold(40, budget, books.of_bia("finance", "2026-11-01")), Quote)
    assert isinstance(await books.hold(1, budget), Refused)
    await books.settle(held=60, cost=25)
    assert books.booked() == {f"{books.owner} 2026-11": 65}
    assert isinstance(await books.hold(36, budget), Refused)
    assert isinstance(await books.hold(35, budget), Quote)


async def test_a_persons_day_is_limited_over_all_features_and_nobody_elses(books: Books) -> None:
    budget = Budgets(user_day=100)
    await books.hold(60, budget, books.of_ana("finance"))
    assert await books.hold(41, budget, books.of_ana("general")) == Refused(Budget.USER_DAY, first=True)
    assert isinstance(await books.hold(41, budget, books.of_bia()), Quote)
    assert isinstance(await books.hold(41, budget, books.of_ana(day="2026-11-21")), Quote)


async def test_of_two_budgets_the_tighter_one_refuses(books: Books) -> None:
    await books.hold(60, Budgets(month=1_000), books.of_bia())
    assert await books.hold(50, Budgets(month=100, user_day=45)) == Refused(Budget.MONTH, first=True)
    assert await books.hold(50, Budgets(month=100, user_day=39)) == Refused(Budget.USER_DAY, first=True)


async def test_a_budget_of_another_owner_is_another_budget(books: Books) -> None:
    await books.database.write(books.other, book, Purpose(books.stranger, "general", "2026-11-20"), cost=99, usage=Usage())
    assert isinstance(await books.hold(100, Budgets(month=100)), Quote)


async def test_the_first_quote_with_room_is_held_and_the_last_may_be_shortened(books: Books) -> None:
    dear, cheap = Quote("dear", Price(0, 0, 3 * MICROS), 0, 100, 100), Quote("cheap", MICRO, 0, 100, 100)
    short = Quote("cheap", MICRO, 0, 100, 20)

    async def held(month: int) -> tuple[str, int] | None:
        budgets = Budgets(month=sum(books.booked().values()) + month)
        found = await books.database.write(books.owner, hold, books.of_ana(), budgets, [dear, cheap, short], now=0)
        return (found.model, found.output_tokens) if isinstance(found, Quote) else None

    assert await held(300) == ("dear", 100)
    assert await held(299) == ("cheap", 100)
    assert await held(99) == ("cheap", 99)
    assert await held(20) == ("cheap", 20)
    assert await held(19) is None
    assert books.booked() == {f"{books.owner} 2026-11": 300 + 100 + 99 + 20}


async def test_a_budget_of_nothing_and_one_that_was_lowered_refuse(books: Books) -> None:
    assert isinstance(await books.hold(1, Budgets(month=0)), Refused)
    await books.hold(100, Budgets(month=100))
    assert isinstance(await books.hold(1, Budgets(month=50)), Refused)
    assert isinstance(await books.hold(0, Budgets(month=50)), Refused)


async def test_calls_before_there_was_a_budget_count_against_it(books: Books) -> None:
    await books.database.write(books.owner, book, books.of_ana(), cost=80, usage=Usage(10, 10, 0, 1))
    assert isinstance(await books.hold(21, Budgets(month=100)), Refused)
    assert isinstance(await books.hold(21, Budgets(user_day=100)), Refused)


async def test_what_a_dead_process_held_counts_after_the_start(books: Books) -> None:
    await books.hold(80, Budgets(month=100))
    await books.database.close()
    books.database = await SqliteDatabase.open(books.path)
    try:
        assert isinstance(await books.hold(21, Budgets(month=100)), Refused)
    finally:
        await books.database.close()


async def test_whatever_the_order_the_books_add_up_and_no_budget_is_passed(books: Books) -> None:
    chance, limits = random.Random(7), Budgets(month=1_000, user_day=300)
    purposes = [
        Purpose(user, feature, day)
        for user in (books.ana, books.bia)
        for feature in ("general", "finance")
        for day in ("2026-11-29", "2026-11-30", "2026-12-01")
    ]
    under_way: list[tuple[Purpose, int]] = []
    refused = 0
    for _ in range(600):
        if under_way and chance.random() < 0.4:
            purpose, held = under_way.pop(chance.randrange(len(under_way)))
            await books.settle(held, chance.randint(0, held), purpose)
        else:
            purpose = chance.choice(purposes)
            match await books.hold(chance.randint(1, 60), limits, purpose):
                case Quote() as quote:
                    under_way.append((purpose, quote.most))
                case Refused():
                    refused += 1
        assert max(books.booked().values()) <= 1_000
        days = books.rows("SELECT sum(cost + held) AS n FROM usage GROUP BY day, user_id")
        assert max(row["n"] for row in days) <= 300
    assert refused > 50


# --- Periods


@pytest.mark.parametrize(
    ("moment", "day", "month_ends", "day_ends"),
    [
        ("2026-11-20T12:00:00+00:00", "2026-11-20", "2026-12-01", "2026-11-21"),
        ("2026-11-30T23:59:59.999+00:00", "2026-11-30", "2026-12-01", "2026-12-01"),
        ("2026-12-01T00:00:00+00:00", "2026-12-01", "2027-01-01", "2026-12-02"),
        ("2026-12-31T23:59:59.999+00:00", "2026-12-31", "2027-01-01", "2027-01-01"),
        ("2028-02-28T23:00:00+00:00", "2028-02-28", "2028-03-01", "2028-02-29"),
        ("2026-11-30T21:30:00-03:00", "2026-12-01", "2027-01-01", "2026-12-02"),  # December in UTC, November in São Paulo
    ],
)
def test_days_and_months_are_those_of_utc(moment: str, day: str, month_ends: str, day_ends: str) -> None:
    assert day_of(at(moment)) == day
    assert resets_at(Budget.MONTH, at(moment)) == at(f"{month_ends}T00:00:00+00:00")
    assert resets_at(Budget.USER_DAY, at(moment)) == at(f"{day_ends}T00:00:00+00:00")


async def test_that_a_budget_is_reached_is_news_once_a_period(books: Books) -> None:
    months_, days = Budgets(month=0), Budgets(user_day=0)
    asked = [
        (months_, books.of_ana(day="2026-11-20"), True),
        (months_, books.of_bia(day="2026-11-30"), False),
        (months_, books.of_ana(day="2026-12-01"), True),
        (days, books.of_ana("general", "2026-11-20"), True),
        (days, books.of_ana("finance", "2026-11-20"), False),
        (days, books.of_bia(day="2026-11-20"), True),
        (days, books.of_ana(day="2026-11-21"), True),
    ]
    for budgets, purpose, first in asked:
        refused = await books.hold(1, budgets, purpose)
        assert isinstance(refused, Refused)
        assert refused.first is first, (budgets, purpose)
    assert books.rows("SELECT budget, period, user_id FROM budget_alerts ORDER BY id") == [
        {"budget": "month", "period": "2026-11", "user_id": None},
        {"budget": "month", "period": "2026-12", "user_id": None},
        {"budget": "user_day", "period": "2026-11-20", "user_id": books.ana},
        {"budget": "user_day", "period": "2026-11-20", "user_id": books.bia},
        {"budget": "user_day", "period": "2026-11-21", "user_id": books.ana},
    ]


# --- Reading


async def test_usage_is_read_by_day_by_feature_by_person_and_by_month(books: Books) -> None:
    calls = [
        (books.of_ana("general", "2026-10-31"), 1, Usage(10, 1, 5, 1)),
        (books.of_ana("general", "2026-11-01"), 2, Usage(20, 2, 0, 1)),
        (books.of_ana("finance", "2026-11-02"), 4, Usage(30, 3, 0, 2)),
        (books.of_bia("general", "2026-11-02"), 8, Usage(40, 4, 7, 1)),
        (books.of_bia("general", "2026-12-01"), 16, Usage(50, 5, 0, 1)),
    ]
    for purpose, cost, usage in calls:
        await books.database.write(books.owner, book, purpose, cost=cost, usage=usage)
    await books.hold(3, Budgets(month=1_000), books.of_bia("finance", "2026-11-30"))
    await books.database.write(
        books.other, book, Purpose(books.stranger, "general", "2026-11-02"), cost=512, usage=Usage(9, 9, 9, 9)
    )

    read = books.database.read
    assert await read(books.owner, usage_of, "day", "2026-11-01", "2026-11-30") == [
        Total("2026-11-01", Usage(20, 2, 0, 1), 2, 0),
        Total("2026-11-02", Usage(70, 7, 7, 3), 12, 0),
        Total("2026-11-30", Usage(), 0, 3),
    ]
    assert await read(books.owner, usage_of, "feature", "2026-11-01", "2026-11-30") == [
        Total("finance", Usage(30, 3, 0, 2), 4, 3),
        Total("general", Usage(60, 6, 7, 2), 10, 0),
    ]
    assert await read(books.owner, usage_of, "user", "2026-11-01", "2026-11-30") == [
        Total("usr_ana", Usage(50, 5, 0, 3), 6, 0),
        Total("usr_bia", Usage(40, 4, 7, 1), 8, 3),
    ]
    assert await read(books.owner, months, "2026-10", "2026-11") == [
        Total("2026-10", Usage(10, 1, 5, 1), 1, 0),
        Total("2026-11", Usage(90, 9, 7, 4), 14, 3),
    ]
    assert [total.cost for total in await read(books.other, months, "2020-01", "2030-12")] == [512]


# --- What an owner chooses


def test_an_owners_budgets_are_exact_dollars_or_none() -> None:
    assert Budgets.of(Preferences(), PlanLimits()) == Budgets()
    assert not Budgets.of(Preferences(), PlanLimits()).limited
    chosen = merged(Preferences(), '{"budget_month_usd": "49.999999", "budget_user_day_usd": 0.1}')
    assert chosen.budget_user_day_usd == Decimal("0.1")
    assert Budgets.of(chosen, PlanLimits()) == Budgets(month=49_999_999, user_day=100_000)
    assert Budgets.of(merged(Preferences(), '{"budget_user_day_usd": 0}'), PlanLimits()) == Budgets(user_day=0)
    assert Budgets(user_day=0).limited


@pytest.mark.parametrize("dollars", ['"-1"', "-0.01", '"0.0000001"', '"NaN"', '"Infinity"', '"dez"', '"10,00"', "[]"])
def test_a_budget_that_is_no_amount_of_dollars_is_refused(dollars: str) -> None:
    with pytest.raises(ValueError, match="budget_month_usd"):
        merged(Preferences(), f'{{"budget_month_usd": {dollars}}}')
