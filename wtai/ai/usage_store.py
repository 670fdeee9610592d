"""SQL of what models were asked and cost, and the guard of the budgets. Days and months are those of UTC.

What a call may cost is held before it is made and settled after. A call that never came back, be it for a crash, a time-out or
a lost connection, stays held: it may have been paid for, so it counts as spent.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from functools import partial
from typing import Literal, TypeVar

from wtai.ai.llm import Usage
from wtai.ai.pricing import MICROS, Offer
from wtai.clock import DAY, SECOND
from wtai.db.tx import OwnerTx, Row
from wtai.events import Event, Told, emit, moment
from wtai.events_store import user_public_id
from wtai.identity.plans import PlanLimits, within_plan
from wtai.identity.plans_store import limits_of
from wtai.identity.preferences import Preferences
from wtai.identity.store import preferences

OfferT = TypeVar("OfferT", bound=Offer)


class Budget(StrEnum):
    """What may be limited: an owner's month, and each person's day."""

    MONTH = "month"
    USER_DAY = "user_day"


@dataclass(frozen=True, slots=True)
class Budgets:
    """What an owner may spend, in micros; None: no limit."""

    month: int | None = None
    user_day: int | None = None

    @classmethod
    def of(cls, chosen: Preferences, limits: PlanLimits) -> "Budgets":
        """What the owner chose, and no more than the plan has."""
        both = within_plan(chosen, limits)
        return cls(_micros(both.budget_month_usd), _micros(both.budget_user_day_usd))

    @property
    def limited(self) -> bool:
        """Whether there is anything to guard."""
        return self.month is not None or self.user_day is not None


@dataclass(frozen=True, slots=True)
class Purpose:
    """For whom, by which feature and on which day (YYYY-MM-DD) a call is made. It is settled on the day it was held."""

    user_id: int
    feature: str
    day: str

    @property
    def month(self) -> str:
        return self.day[:7]


@dataclass(frozen=True, slots=True)
class Refused:
    """The budget that leaves too little; ``first``: for the first time in its period."""

    budget: Budget
    first: bool


@dataclass(frozen=True, slots=True)
class Total:
    """What was used under ``key``: a day, a feature, a person's public id, or a month. ``cost`` and ``held`` in micros."""

    key: str
    usage: Usage
    cost: int
    held: int


def day_of(now: int) -> str:
    """The day of a moment (ms), in UTC."""
    return datetime.fromtimestamp(now // SECOND, UTC).date().isoformat()


def resets_at(budget: Budget, now: int) -> int:
    """When the budget in force at ``now`` starts anew (ms): the next midnight, or the next month's first, in UTC."""
    if budget is Budget.USER_DAY:
        return (now // DAY + 1) * DAY
    today = datetime.fromtimestamp(now // SECOND, UTC)
    year, month = divmod(today.year * 12 + today.month, 12)
    return round(datetime(year, month + 1, 1, tzinfo=UTC).timestamp()) * SECOND


def budgets_of(tx: OwnerTx, base: Preferences) -> Budgets:
    """The budgets of an owner whose choices are over ``base``."""
    return Budgets.of(preferences(tx, base), limits_of(tx))


def hold(tx: OwnerTx, purpose: Purpose, budgets: Budgets, offers: Sequence[OfferT], *, now: int) -> OfferT | Refused:
    """Hold what the first offer that the budgets have room for costs at most, and return it, with less output if need be.

    Looking and holding are one transaction, and there is one writer: however many calls ask at once, what is spent and held
    together never exceeds a budget.
    """
    rooms = _rooms(tx, purpose, budgets)
    tightest = min(rooms, key=rooms.__getitem__)
    for offer in offers:
        affordable = offer.within(rooms[tightest])
        if affordable is not None:
            _add(tx, purpose, held=affordable.most, cost=0, usage=Usage())
            return affordable
    first = _alert(tx, purpose, tightest, now=now)
    if first:
        emit(tx, Event.BUDGET_REACHED, partial(_told, tx, purpose, tightest, now), now=now)
    return Refused(tightest, first)


def settle(tx: OwnerTx, purpose: Purpose, *, held: int, cost: int, usage: Usage) -> None:
    """Replace what was held for a call by what it cost; nothing, for a call that failed for certain."""
    tx.run(
        """
        UPDATE usage SET held = held - :held, cost = cost + :cost, requests = requests + :requests,
            prompt_tokens = prompt_tokens + :prompt, cached_tokens = cached_tokens + :cached,
            completion_tokens = completion_tokens + :completion
        WHERE owner_id = :owner AND day = :day AND user_id = :user_id AND feature = :feature
        """,
        held=held,
        cost=cost,
        requests=usage.requests,
        prompt=usage.prompt,
        cached=usage.cached,
        completion=usage.completion,
        day=purpose.day,
        user_id=purpose.user_id,
        feature=purpose.feature,
    )
    tx.run(
        "UPDATE usage_months SET booked = booked + :change WHERE owner_id = :owner AND month = :month",
        change=cost - held,
        month=purpose.month,
    )


def book(tx: OwnerTx, purpose: Purpose, *, cost: int, usage: Usage) -> None:
    """Count a call for which nothing was held."""
    _add(tx, purpose, held=0, cost=cost, usage=usage)


def usage_of(tx: OwnerTx, by: Literal["day", "feature", "user"], first: str, last: str) -> list[Total]:
    """What was used from day ``first`` through ``last`` (YYYY-MM-DD), by day, by feature or by the person's public id."""
    rows = tx.all(
        """
        SELECT CASE :by WHEN 'day' THEN usage.day WHEN 'feature' THEN usage.feature ELSE users.public_id END AS key,
            sum(requests) AS requests, sum(prompt_tokens) AS prompt, sum(cached_tokens) AS cached,
            sum(completion_tokens) AS completion, sum(cost) AS cost, sum(held) AS held
        FROM usage JOIN users ON users.id = usage.user_id
        WHERE usage.owner_id = :owner AND usage.day BETWEEN :first AND :last
        GROUP BY 1 ORDER BY 1
        """,
        by=by,
        first=first,
        last=last,
    )
    return [_total(row) for row in rows]


def months(tx: OwnerTx, first: str, last: str) -> list[Total]:
    """The totals of each month with usage from ``first`` through ``last`` (YYYY-MM)."""
    rows = tx.all(
        """
        SELECT substr(day, 1, 7) AS key, sum(requests) AS requests, sum(prompt_tokens) AS prompt, sum(cached_tokens) AS cached,
            sum(completion_tokens) AS completion, sum(cost) AS cost, sum(held) AS held
        FROM usage WHERE owner_id = :owner AND day BETWEEN :first || '-01' AND :last || '-31'
        GROUP BY 1 ORDER BY 1
        """,
        first=first,
        last=last,
    )
    return [_total(row) for row in rows]


def _rooms(tx: OwnerTx, purpose: Purpose, budgets: Budgets) -> dict[Budget, int]:
    """What each budget leaves, in micros; below zero after a budget was lowered."""
    row = tx.all(
        """
        SELECT
            coalesce((SELECT booked FROM usage_months WHERE owner_id = :owner AND month = :month), 0) AS month,
            coalesce((SELECT sum(cost + held) FROM usage WHERE owner_id = :owner AND day = :day AND user_id = :user_id), 0)
                AS user_day
        """,
        month=purpose.month,
        day=purpose.day,
        user_id=purpose.user_id,
    )[0]
    limits = {Budget.MONTH: budgets.month, Budget.USER_DAY: budgets.user_day}
    return {budget: limit - int(row[budget]) for budget, limit in limits.items() if limit is not None}


def _add(tx: OwnerTx, purpose: Purpose, *, held: int, cost: int, usage: Usage) -> None:
    tx.run(
        """
        INSERT INTO usage (owner_id, user_id, feature, day, requests, prompt_tokens, cached_tokens, completion_tokens, cost, held)
        VALUES (:owner, :user_id, :feature, :day, :requests, :prompt, :cached, :completion, :cost, :held)
        ON CONFLICT (owner_id, day, user_id, feature) DO UPDATE SET requests = usage.requests + excluded.requests,
            prompt_tokens = usage.prompt_tokens + excluded.prompt_tokens,
            cached_tokens = usage.cached_tokens + excluded.cached_tokens,
            completion_tokens = usage.completion_tokens + excluded.completion_tokens,
            cost = usage.cost + excluded.cost, held = usage.held + excluded.held
        """,
        user_id=purpose.user_id,
        feature=purpose.feature,
        day=purpose.day,
        requests=usage.requests,
        prompt=usage.prompt,
        cached=usage.cached,
        completion=usage.completion,
        cost=cost,
        held=held,
    )
    tx.run(
        """
        INSERT INTO usage_months (owner_id, month, booked) VALUES (:owner, :month, :booked)
        ON CONFLICT (owner_id, month) DO UPDATE SET booked = usage_months.booked + excluded.booked
        """,
        month=purpose.month,
        booked=cost + held,
    )


def _alert(tx: OwnerTx, purpose: Purpose, budget: Budget, *, now: int) -> bool:
    """Note that the budget is reached; whether that is news."""
    of_user = budget is Budget.USER_DAY
    noted = tx.run(
        """
        INSERT INTO budget_alerts (owner_id, budget, period, user_id, created_at)
        VALUES (:owner, :budget, :period, :user_id, :now) ON CONFLICT DO NOTHING
        """,
        budget=budget,
        period=purpose.day if of_user else purpose.month,
        user_id=purpose.user_id if of_user else None,
        now=now,
    )
    return noted == 1


def _told(tx: OwnerTx, purpose: Purpose, budget: Budget, now: int) -> Told:
    of_user = budget is Budget.USER_DAY
    data = {
        "budget": budget,
        "period": purpose.day if of_user else purpose.month,
        "user": user_public_id(tx, purpose.user_id) if of_user else None,
        "resets_at": moment(resets_at(budget, now)),
    }
    return Told(data, purpose.user_id if of_user else None)


def _total(row: Row) -> Total:
    usage = Usage(row["prompt"], row["completion"], row["cached"], row["requests"])
    return Total(row["key"], usage, row["cost"], row["held"])


def _micros(dollars: Decimal | None) -> int | None:
    return None if dollars is None else int(dollars * MICROS)
