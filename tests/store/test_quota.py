"""What a plan leaves: counted by the months and days of UTC, told once, and for money never exceeded."""

from collections.abc import AsyncIterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest

from tests.store.identity import House, open_house
from wtai.channels.accounts import connect_number
from wtai.channels.store import numbers, put_account
from wtai.db.tx import OwnerTx, SystemTx
from wtai.identity.plans import PlanLimits, allowed_features, month_of, within_plan
from wtai.identity.plans_store import (
    create_plan,
    limits_of,
    roll_periods,
    set_subscription_status,
    subscribe,
    subscription,
)
from wtai.identity.preferences import Preferences
from wtai.identity.quota import Quota, QuotaReached, Reached, Verdict, check, require_room_for_number


def at(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


NOW = at("2026-11-21T12:00:00+00:00")
NEXT_DAY, NEXT_MONTH = at("2026-11-22T00:00:00+00:00"), at("2026-12-01T00:00:00+00:00")


class Shop:
    """An owner with a plan, and customers who write."""

    def __init__(self, house: House) -> None:
        self.database = house.database
        self.owner = house.home.owner.id
        self.other = house.other.owner.id
        self.messages = 0

    async def plan(self, **limits: object) -> None:
        def put(tx: SystemTx) -> None:
            plan = create_plan(tx, f"plan {limits}", PlanLimits.model_validate(limits), now=NOW)
            subscribe(tx.for_owner(self.owner), plan, now=NOW)

        await self.database.system_write(put)

    async def customer(self, name: str, owner: int | None = None) -> int:
        def put(tx: OwnerTx) -> int:
            rows = tx.all(
                "INSERT INTO users (owner_id, public_id, created_at) VALUES (:owner, :name, 0) RETURNING id", name=f"usr_{name}"
            )
            tx.run(
                """
                INSERT INTO conversations (owner_id, public_id, user_id, channel, address, user_address, state, opened_at,
                    updated_at)
                VALUES (:owner, :public, :user, 'sms', '+1', '+2', 'PENDING', 0, 0)
                """,
                public=f"cnv_{name}",
                user=rows[0]["id"],
            )
            return int(rows[0]["id"])

        return await self.database.write(owner or self.owner, put)

    async def write(self, user: int, count: int, *, now: int = NOW, owner: int | None = None) -> None:
        def put(tx: OwnerTx) -> None:
            for _ in range(count):
                self.messages += 1
                tx.run(
                    """
                    INSERT INTO messages (owner_id, public_id, conversation_id, direction, author, status, body, provider_sid,
                        created_at, updated_at)
                    SELECT :owner, :sid, id, 'inbound', 'user', 'received', 'oi', :sid, :now, :now FROM conversations
                    WHERE user_id = :user
                    """,
                    sid=f"SM{self.messages}",
                    user=user,
                    now=now,
                )

        await self.database.write(owner or self.owner, put)

    async def use(self, user: int, *, tokens: int = 0, micros: int = 0, day: str = "2026-11-21") -> None:
        def put(tx: OwnerTx) -> None:
            tx.run(
                """
                INSERT INTO usage (owner_id, user_id, feature, day, prompt_tokens, cost) VALUES (:owner, :user, :feature, :day,
                    :tokens, :micros)
                """,
                feature=f"f{tokens}-{micros}",
                user=user,
                day=day,
                tokens=tokens,
                micros=micros,
            )
            tx.run(
                """
                INSERT INTO usage_months (owner_id, month, booked) VALUES (:owner, :month, :micros)
                ON CONFLICT (owner_id, month) DO UPDATE SET booked = booked + :micros
                """,
                month=day[:7],
                micros=micros,
            )

        await self.database.write(self.owner, put)

    async def check(self, user: int, *, now: int = NOW) -> Verdict:
        return await self.database.write(self.owner, check, user, now=now)


@pytest.fixture
async def shop(data_dir: Path) -> AsyncIterator[Shop]:
    async with open_house(data_dir) as house:
        yield Shop(house)


async def test_without_limits_everything_is_answered(shop: Shop) -> None:
    ana = await shop.customer("ana")
    await shop.write(ana, 50)
    assert await shop.check(ana) == Verdict(allowed=True, at_limit="handoff")


async def test_as_many_messages_of_a_month_are_answered_as_the_plan_says(shop: Shop) -> None:
    await shop.plan(messages_per_month=3)
    ana, bia = await shop.customer("ana"), await shop.customer("bia")
    await shop.write(ana, 9, now=at("2026-10-31T23:59:59.999+00:00"))
    await shop.write(ana, 2, now=at("2026-11-01T00:00:00+00:00"))
    await shop.write(bia, 1)
    assert (await shop.check(bia)).allowed
    await shop.write(bia, 1)
    reached = Reached(Quota.MESSAGES, "2026-11", None, NEXT_MONTH)
    assert await shop.check(bia) == Verdict(allowed=False, at_limit="handoff", reached=reached, first=True)
    assert not (await shop.check(ana)).first
    assert (await shop.check(ana, now=NEXT_MONTH)).allowed


async def test_one_persons_day_is_limited_and_nobody_elses(shop: Shop) -> None:
    await shop.plan(messages_per_user_day=2, at_limit="stop")
    ana, bia = await shop.customer("ana"), await shop.customer("bia")
    await shop.write(ana, 9, now=NOW - 86_400_000)
    await shop.write(ana, 2)
    assert (await shop.check(ana)).allowed
    await shop.write(ana, 1)
    reached = Reached(Quota.USER_MESSAGES, "2026-11-21", ana, NEXT_DAY)
    assert await shop.check(ana) == Verdict(allowed=False, at_limit="stop", reached=reached, first=True)
    await shop.write(bia, 2)
    assert (await shop.check(bia)).allowed
    await shop.write(bia, 1)
    assert (await shop.check(bia)).first
    assert (await shop.check(ana, now=NEXT_DAY)).allowed


async def test_what_another_owner_uses_does_not_count(shop: Shop) -> None:
    await shop.plan(messages_per_month=1, messages_per_user_day=1)
    ana, stranger = await shop.customer("ana"), await shop.customer("caio", shop.other)
    await shop.write(stranger, 9, owner=shop.other)
    await shop.write(ana, 1)
    assert (await shop.check(ana)).allowed


@pytest.mark.parametrize(
    ("limits", "quota"),
    [
        ({"tokens_per_month": 100}, Quota.TOKENS),
        ({"cost_usd_per_month": "0.0001"}, Quota.COST),
        ({"cost_usd_per_user_day": "0.0001"}, Quota.USER_COST),
    ],
)
async def test_tokens_and_money_are_used_up_at_the_limit(shop: Shop, limits: dict[str, object], quota: Quota) -> None:
    await shop.plan(**limits)
    ana = await shop.customer("ana")
    await shop.use(ana, tokens=99, micros=99)
    await shop.use(ana, tokens=500, micros=500, day="2026-10-31")
    assert (await shop.check(ana)).allowed
    await shop.use(ana, tokens=1, micros=1)
    found = await shop.check(ana)
    assert found.reached is not None
    assert (found.allowed, found.reached.quota, found.first) == (False, quota, True)


async def test_a_plan_that_only_tells_tells_once_and_goes_on(shop: Shop) -> None:
    await shop.plan(messages_per_month=0, at_limit="allow")
    ana = await shop.customer("ana")
    await shop.write(ana, 1)
    verdicts = [await shop.check(ana) for _ in range(3)]
    assert [(found.allowed, found.first) for found in verdicts] == [(True, True), (True, False), (True, False)]


async def test_money_is_never_gone_on_with(shop: Shop) -> None:
    await shop.plan(cost_usd_per_month="0", at_limit="allow")
    found = await shop.check(await shop.customer("ana"))
    assert (found.allowed, found.at_limit) == (False, "handoff")


async def test_a_suspended_owner_is_answered_by_people_alone(shop: Shop) -> None:
    ana = await shop.customer("ana")
    await shop.write(ana, 1)
    await shop.database.write(shop.owner, set_subscription_status, "suspended", now=NOW)
    found = await shop.check(ana)
    assert (found.allowed, found.at_limit) == (False, "handoff")
    await shop.database.write(shop.owner, set_subscription_status, "active", now=NOW)
    assert (await shop.check(ana)).allowed


def test_the_lower_of_the_owners_budget_and_the_plans_holds() -> None:
    limits = PlanLimits(cost_usd_per_month=Decimal(20), cost_usd_per_user_day=Decimal(1))
    free = within_plan(Preferences(), limits)
    assert (free.budget_month_usd, free.budget_user_day_usd) == (20, 1)
    chosen = within_plan(Preferences(budget_month_usd=Decimal(5), budget_user_day_usd=Decimal(3)), limits)
    assert (chosen.budget_month_usd, chosen.budget_user_day_usd) == (5, 1)
    assert within_plan(Preferences(budget_month_usd=Decimal(5)), PlanLimits()).budget_month_usd == 5


def test_a_plan_without_a_list_has_all_features_and_with_an_empty_one_none() -> None:
    assert allowed_features(PlanLimits(), ["finance", "own"]) == {"finance", "own"}
    assert allowed_features(PlanLimits(features=("finance",)), ["finance", "own"]) == {"finance"}
    assert allowed_features(PlanLimits(features=()), ["finance"]) == frozenset()


@pytest.mark.parametrize(
    "limits",
    [{"messages_per_month": -1}, {"at_limit": "explode"}, {"messages": 1}, {"cost_usd_per_month": "NaN"}, {"users": 1.5}],
)
def test_limits_that_make_no_sense_are_refused(limits: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"."):
        PlanLimits.model_validate(limits)


async def test_a_number_more_than_the_plan_has_is_refused(shop: Shop) -> None:
    await shop.plan(numbers=2)
    await shop.database.read(shop.owner, require_room_for_number, 1)
    with pytest.raises(QuotaReached, match="2 numbers"):
        await shop.database.read(shop.owner, require_room_for_number, 2)
    await shop.database.read(shop.other, require_room_for_number, 99)


async def test_a_number_that_moves_to_another_account_is_not_one_more(shop: Shop) -> None:
    await shop.plan(numbers=1)
    sids, number = [f"AC{letter * 32}" for letter in "ab"], "+5511970000001"

    def move(tx: OwnerTx) -> list[tuple[str, str]]:
        for sid in sids:
            put_account(tx, sid, "[]", now=1)
            assert connect_number(tx, sid, number, now=1)
        return numbers(tx)

    assert await shop.database.write(shop.owner, move) == [(sids[1], number)]


@pytest.mark.parametrize(
    ("now", "start", "end"),
    [
        ("2026-11-21T12:00:00", "2026-11-01", "2026-12-01"),
        ("2026-12-31T23:59:59", "2026-12-01", "2027-01-01"),
        ("2028-02-29T00:00:00", "2028-02-01", "2028-03-01"),
        ("2026-11-01T00:00:00", "2026-11-01", "2026-12-01"),
    ],
)
def test_a_period_is_the_month_of_utc(now: str, start: str, end: str) -> None:
    assert month_of(at(f"{now}+00:00")) == (at(f"{start}T00:00:00+00:00"), at(f"{end}T00:00:00+00:00"))


async def test_a_period_moves_on_when_it_is_read_and_is_written_down_by_a_sweep(shop: Shop) -> None:
    await shop.plan()
    read = await shop.database.read(shop.owner, subscription, now=NEXT_MONTH)
    assert (read.period_start, read.period_end) == month_of(NEXT_MONTH)
    later = at("2100-06-15T00:00:00+00:00")
    assert await shop.database.system_write(roll_periods, now=later) == 2
    assert await shop.database.system_write(roll_periods, now=later) == 0
    assert (await shop.database.read(shop.owner, limits_of)) == PlanLimits()
