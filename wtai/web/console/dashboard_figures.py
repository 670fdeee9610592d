"""Which figures the dashboard shows: of what time, and of whom."""

from collections import Counter as Counts
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from wtai.clock import SECOND
from wtai.rollups.counting import hour_of
from wtai.rollups.model import Measure, Span
from wtai.rollups.store import Counted

_HOURS: Final = 24
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Period(StrEnum):
    """Up to now."""

    DAY = "24h"
    WEEK = "7d"
    MONTH = "30d"
    QUARTER = "90d"


@dataclass(frozen=True, slots=True)
class Choice:
    """What is looked at: ``starts`` are the hours or days of the period in their order, ``days`` and ``utc_days`` all days that
    it touches, of the owner's time zone and of UTC.
    """

    period: Period
    feature: str | None
    zone: ZoneInfo
    starts: tuple[str, ...]
    days: tuple[str, ...]
    utc_days: tuple[str, ...]

    @classmethod
    def of(cls, period: str, feature: str | None, time_zone: str, *, now: int) -> "Choice":
        """A week, if the period is none of ours."""
        chosen = Period(period) if period in set(Period) else Period.WEEK
        zone, moment = ZoneInfo(time_zone), datetime.fromtimestamp(now // SECOND, UTC)
        local = moment.astimezone(zone)
        if chosen is Period.DAY:
            starts = tuple(hour_of(moment - timedelta(hours=ago)) for ago in range(_HOURS - 1, -1, -1))
            return cls(chosen, feature, zone, starts, _days(local, 2), _days(moment, 2))
        days = int(chosen.removesuffix("d"))
        return cls(chosen, feature, zone, _days(local, days), _days(local, days), _days(moment, days))

    @property
    def span(self) -> Span:
        """What of the counters is read."""
        return "hour" if self.period is Period.DAY else "day"

    @property
    def query(self) -> str:
        """For an address of the same."""
        return urlencode({"period": self.period, **({"feature": self.feature} if self.feature else {})})

    def label(self, start: str, language: str) -> str:
        """How an hour or a day is written."""
        if self.span == "hour":
            return datetime.fromisoformat(f"{start}:00+00:00").astimezone(self.zone).strftime("%H:%M")
        return day_label(start, language)

    def exact(self, start: str) -> str:
        """An hour in the owner's time zone, or a day, as ISO 8601 has it."""
        if self.span == "hour":
            return datetime.fromisoformat(f"{start}:00+00:00").astimezone(self.zone).isoformat(timespec="minutes")
        return start


@dataclass(frozen=True, slots=True)
class Figures:
    """What was read: counts by measure, hour or day, and key; and (day, specialist, key, count) of usage."""

    choice: Choice
    counted: Counted
    used: Sequence[tuple[str, str, str, int]]

    def by_start(self, measure: Measure) -> Mapping[str, Mapping[str, int]]:
        """The counts of a measure by key, of each hour or day that has any."""
        return self.counted[measure]

    def totals(self, measure: Measure) -> Counts[str]:
        """The counts of a measure by key, of the whole period."""
        found: Counts[str] = Counts()
        for counts in self.by_start(measure).values():
            for key, count in counts.items():
                found[key] += count
        return found


def day_label(day: str, language: str) -> str:
    """A day without its year."""
    _, month, number = day.split("-")
    return f"{_MONTHS[int(month) - 1]} {int(number)}" if language == "en" else f"{number}/{month}"


def _days(last: datetime, count: int) -> tuple[str, ...]:
    return tuple((last.date() - timedelta(days=ago)).isoformat() for ago in range(count - 1, -1, -1))
