"""What an owner may use: plans with their limits, and subscriptions to them. Periods are the months of UTC."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from wtai.clock import SECOND
from wtai.identity.preferences import Dollars, Preferences

Count = Annotated[int, Field(ge=0, le=10**12)]


class PlanLimits(BaseModel):
    """None: no limit. ``messages`` are those of end users; ``users`` are staff who may log in.

    ``at_limit``: call a person and let the AI be silent, say a polite word and no more, or only tell and go on. Money is never
    gone on with: what a model call could cost is held within the limit before it is made.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    messages_per_month: Count | None = None
    tokens_per_month: Count | None = None
    cost_usd_per_month: Dollars | None = None
    messages_per_user_day: Count | None = None
    cost_usd_per_user_day: Dollars | None = None
    users: Count | None = None
    numbers: Count | None = None
    features: Annotated[tuple[Annotated[str, Field(min_length=1, max_length=64)], ...], Field(max_length=64)] | None = None
    at_limit: Literal["handoff", "stop", "allow"] = "handoff"


@dataclass(frozen=True, slots=True)
class Plan:
    """Limits under a name."""

    id: int
    public_id: str
    name: str
    limits: PlanLimits
    version: int
    created_at: int
    updated_at: int


@dataclass(frozen=True, slots=True)
class Subscription:
    """An owner's plan, and the period it is in (ms, ``period_end`` excluded)."""

    public_id: str
    plan: Plan
    status: Literal["active", "suspended"]
    period_start: int
    period_end: int
    version: int
    created_at: int
    updated_at: int


def month_of(now: int) -> tuple[int, int]:
    """The month of UTC that ``now`` (ms) is in: its start, and the start of the next."""
    today = datetime.fromtimestamp(now // SECOND, UTC)
    year, month = divmod(today.year * 12 + today.month, 12)
    start, end = datetime(today.year, today.month, 1, tzinfo=UTC), datetime(year, month + 1, 1, tzinfo=UTC)
    return round(start.timestamp()) * SECOND, round(end.timestamp()) * SECOND


def within_plan(chosen: Preferences, limits: PlanLimits) -> Preferences:
    """``chosen`` with budgets no higher than the plan's: the guard that holds money before each call then keeps both."""
    return chosen.model_copy(
        update={
            "budget_month_usd": _lower(chosen.budget_month_usd, limits.cost_usd_per_month),
            "budget_user_day_usd": _lower(chosen.budget_user_day_usd, limits.cost_usd_per_user_day),
        }
    )


def allowed_features(limits: PlanLimits, names: Iterable[str]) -> frozenset[str]:
    """Those of ``names`` that the plan has."""
    return frozenset(name for name in names if limits.features is None or name in limits.features)


def _lower(one: Decimal | None, other: Decimal | None) -> Decimal | None:
    known = [limit for limit in (one, other) if limit is not None]
    return min(known, default=None)
