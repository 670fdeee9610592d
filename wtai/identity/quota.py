"""Whether a plan leaves room: for another answer, another member of staff, another number."""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Literal

from wtai.clock import DAY, SECOND
from wtai.db.tx import OwnerTx
from wtai.errors import WtaiError
from wtai.events import Event, Told, emit, moment
from wtai.events_store import user_public_id
from wtai.identity import quota_store
from wtai.identity.plans import PlanLimits, month_of
from wtai.identity.plans_store import limits_of
from wtai.identity.users_store import count_staff

_MICROS = 1_000_000


class Quota(StrEnum):
    """What a plan limits of the AI's work; the names are those of its limits."""

    MESSAGES = "messages_per_month"
    TOKENS = "tokens_per_month"
    COST = "cost_usd_per_month"
    USER_MESSAGES = "messages_per_user_day"
    USER_COST = "cost_usd_per_user_day"


class QuotaReached(WtaiError):
    """The plan has no room for another of ``quota`` (``users`` or ``numbers``)."""

    def __init__(self, quota: Literal["users", "numbers"], limit: int) -> None:
        super().__init__(f"the plan has room for {limit} {quota}; the owner needs another plan for more")
        self.quota = quota
        self.limit = limit


@dataclass(frozen=True, slots=True)
class Reached:
    """A limit that is used up until ``resets_at`` (ms); ``period`` is YYYY-MM, or YYYY-MM-DD for ``user_id``'s day."""

    quota: Quota
    period: str
    user_id: int | None
    resets_at: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the AI may answer. If a limit was ``reached``: what the plan wants done, and whether it is news in its period."""

    allowed: bool
    at_limit: Literal["handoff", "stop", "allow"]
    reached: Reached | None = None
    first: bool = False


def check(tx: OwnerTx, user_id: int, *, now: int) -> Verdict:
    """Whether the AI may answer this end user now, by the plan of the owner; a limit that is reached is told, once in its period.

    The message that is to be answered is counted already. Money is looked at here to hand off before a call is tried; that a call
    does not go beyond it is for the budgets, which ``plans.within_plan`` keeps below the plan's.
    """
    limits = limits_of(tx)
    reached = reached_quota(tx, user_id, limits, now=now)
    if reached is None:
        return Verdict(allowed=True, at_limit=limits.at_limit)
    first = quota_store.note_quota(tx, reached.quota, reached.period, reached.user_id, now=now)
    if first:
        emit(tx, Event.BUDGET_REACHED, lambda: _told(tx, reached), now=now)
    of_money = reached.quota in (Quota.COST, Quota.USER_COST)
    allowed = limits.at_limit == "allow" and not of_money
    return Verdict(allowed, "handoff" if of_money and limits.at_limit == "allow" else limits.at_limit, reached, first)


def reached_quota(tx: OwnerTx, user_id: int, limits: PlanLimits, *, now: int) -> Reached | None:
    """The first limit that is used up, without noting it. Only what the plan limits is counted."""
    month_start, month_end = month_of(now)
    month, day = _month(now), _day(now)
    day_start, day_end = now // DAY * DAY, (now // DAY + 1) * DAY
    if _over_messages(tx, None, limits.messages_per_month, month_start):
        return Reached(Quota.MESSAGES, month, None, month_end)
    if limits.tokens_per_month is not None and quota_store.tokens_of_month(tx, month) >= limits.tokens_per_month:
        return Reached(Quota.TOKENS, month, None, month_end)
    if limits.cost_usd_per_month is not None and quota_store.cost_of_month(tx, month) >= limits.cost_usd_per_month * _MICROS:
        return Reached(Quota.COST, month, None, month_end)
    if _over_messages(tx, user_id, limits.messages_per_user_day, day_start):
        return Reached(Quota.USER_MESSAGES, day, user_id, day_end)
    most = limits.cost_usd_per_user_day
    if most is not None and quota_store.cost_of_user_day(tx, user_id, day) >= most * _MICROS:
        return Reached(Quota.USER_COST, day, user_id, day_end)
    return None


def require_room_for_user(tx: OwnerTx) -> None:
    """QuotaReached if the plan has no room for another member of staff. Asked in the transaction that makes one."""
    most = limits_of(tx).users
    if most is not None and count_staff(tx) >= most:
        raise QuotaReached("users", most)


def require_room_for_number(tx: OwnerTx, connected: int) -> None:
    """QuotaReached if the plan has no room for a number besides those ``connected``."""
    most = limits_of(tx).numbers
    if most is not None and connected >= most:
        raise QuotaReached("numbers", most)


def _told(tx: OwnerTx, reached: Reached) -> Told:
    user = user_public_id(tx, reached.user_id) if reached.user_id is not None else None
    data = {"budget": reached.quota, "period": reached.period, "user": user, "resets_at": moment(reached.resets_at)}
    return Told(data, reached.user_id)


def _over_messages(tx: OwnerTx, user_id: int | None, limit: int | None, start: int) -> bool:
    if limit is None:
        return False
    if user_id is None:
        return quota_store.messages_since(tx, start, most=limit + 1) > limit
    return quota_store.messages_of_user_since(tx, user_id, start, most=limit + 1) > limit


def _month(now: int) -> str:
    return _day(now)[:7]


def _day(now: int) -> str:
    return datetime.fromtimestamp(now // SECOND, UTC).date().isoformat()
