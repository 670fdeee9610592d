"""When something that repeats is due: by the clock on the wall, whatever the clocks do in between."""

from calendar import monthrange
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from itertools import count
from zoneinfo import ZoneInfo

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Repeats(StrEnum):
    """How often something comes again."""

    NEVER = "never"
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"
    YEARLY = "yearly"


def to_ms(local: datetime, time_zone: str) -> int:
    """A time on the wall as ms since 1970.

    One that the clocks skip is read as if they did not; one that comes twice is its first. Source: RFC 5545, 3.3.5.
    """
    return (local.replace(tzinfo=ZoneInfo(time_zone), fold=0) - _EPOCH) // timedelta(milliseconds=1)


def to_local(milliseconds: int, time_zone: str) -> datetime:
    """What the clock on the wall shows (no zone in the value)."""
    return (_EPOCH + timedelta(milliseconds=milliseconds)).astimezone(ZoneInfo(time_zone)).replace(tzinfo=None)


def next_due(first: datetime, repeats: Repeats, time_zone: str, *, after: int) -> int | None:
    """The first time (ms) later than ``after`` of what began at ``first`` on the wall; None if it does not come again.

    What falls on a day that a month lacks comes on the month's last day, and the month after on its own day again.
    """
    if repeats is Repeats.NEVER:
        return None
    passed = _whole_periods(first.date(), to_local(after, time_zone).date(), repeats)
    dues = (to_ms(_nth(first, repeats, number), time_zone) for number in count(max(0, passed - 1)))
    return next(due for due in dues if due > after)


def _whole_periods(first: date, today: date, repeats: Repeats) -> int:
    match repeats:
        case Repeats.YEARLY:
            return today.year - first.year
        case Repeats.MONTHLY:
            return (today.year - first.year) * 12 + today.month - first.month
        case Repeats.WEEKLY:
            return (today - first).days // 7
        case _:
            return (today - first).days


def _nth(first: datetime, repeats: Repeats, number: int) -> datetime:
    match repeats:
        case Repeats.YEARLY:
            return _months_later(first, 12 * number)
        case Repeats.MONTHLY:
            return _months_later(first, number)
        case Repeats.WEEKLY:
            return first + timedelta(weeks=number)
        case _:
            return first + timedelta(days=number)


def _months_later(first: datetime, months: int) -> datetime:
    year, month = divmod(first.year * 12 + first.month - 1 + months, 12)
    return first.replace(year=year, month=month + 1, day=min(first.day, monthrange(year, month + 1)[1]))
