"""What an owner may choose: the pace of conversations, texts, keywords, business hours. Kept as JSON of the values chosen."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, Final, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, TypeAdapter, model_validator

DAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
Text = Annotated[str, Field(min_length=1, max_length=1_000)]
Dollars = Annotated[Decimal, Field(ge=0, max_digits=12, decimal_places=6)]
_CHOICES: Final = TypeAdapter(dict[str, JsonValue])


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as exc:
        raise ValueError("must be a time zone such as America/Sao_Paulo") from exc
    return name


class Shift(BaseModel):
    """From ``start`` up to ``end`` on each of ``days``, in the owner's time zone; 00:00 as the end is midnight."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    days: tuple[str, ...]
    start: time
    end: time

    @model_validator(mode="after")
    def _sound(self) -> Self:
        unknown = [day for day in self.days if day not in DAYS]
        if unknown:
            raise ValueError(f"days must be of {', '.join(DAYS)}")
        if self.start.tzinfo or self.end.tzinfo:
            raise ValueError("start and end are local times such as 09:00, without a time zone")
        if self.end != time() and self.end <= self.start:
            raise ValueError("end must be after start; write a shift past midnight as two")
        return self

    def covers(self, moment: datetime) -> bool:
        """Whether the shift is on at this local time."""
        now = moment.time()
        return DAYS[moment.weekday()] in self.days and self.start <= now and (self.end == time() or now < self.end)

    def on(self, day: date, zone: ZoneInfo) -> tuple[int, int]:
        """From when to when (ms) the shift lasts, if it is on that day."""
        closes = datetime.combine(day if self.end != time() else day + timedelta(days=1), self.end, zone)
        return round(datetime.combine(day, self.start, zone).timestamp() * 1000), round(closes.timestamp() * 1000)


class Preferences(BaseModel):
    """The values in force for one owner; the defaults here are the program's, replaced by its settings, then by the owner's."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    idle_minutes: int = Field(60, ge=1, le=525_600)
    expire_minutes: int = Field(1_440, ge=1, le=525_600)
    expires_in_handoff: bool = False
    burst_quiet_ms: int = Field(1_500, ge=0, le=60_000)
    confirm_threshold: float = Field(0.6, ge=0, le=1)
    close_threshold: float = Field(0.8, ge=0, le=1)
    closing_keywords: tuple[Text, ...] = ()
    farewell_text: Text | None = None
    farewell_on_timeout: bool = False
    handoff_text: Text | None = None
    away_text: Text | None = None
    time_zone: Annotated[str, AfterValidator(_zone)] = "America/Sao_Paulo"
    business_hours: tuple[Shift, ...] = ()
    handoff_after_failures: int = Field(2, ge=1, le=20)
    # What models may cost, by the calendar of UTC: all of a month, and one person's day. None: no limit.
    budget_month_usd: Dollars | None = None
    budget_user_day_usd: Dollars | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.confirm_threshold > self.close_threshold:
            raise ValueError("confirm_threshold must not exceed close_threshold")
        return self

    def is_open(self, now: int) -> bool:
        """Whether the owner's staff are at work at ``now`` (ms); always, without business hours."""
        if not self.business_hours:
            return True
        local = datetime.fromtimestamp(now / 1000, UTC).astimezone(ZoneInfo(self.time_zone))
        return any(shift.covers(local) for shift in self.business_hours)

    def open_ms(self, start: int, end: int) -> int:
        """For how much of the time from ``start`` to ``end`` (ms) the owner's staff are at work; all of it, without business
        hours.
        """
        if not self.business_hours:
            return end - start
        zone = ZoneInfo(self.time_zone)
        day = datetime.fromtimestamp(start / 1000, UTC).astimezone(zone).date()
        last = datetime.fromtimestamp(end / 1000, UTC).astimezone(zone).date()
        times: list[tuple[int, int]] = []
        while day <= last:
            times += [shift.on(day, zone) for shift in self.business_hours if DAYS[day.weekday()] in shift.days]
            day += timedelta(days=1)
        total, reached = 0, start
        for opens, closes in sorted(times):  # shifts may overlap
            total += max(0, min(closes, end) - max(opens, reached))
            reached = max(reached, closes)
        return total


@lru_cache(maxsize=1_024)
def merged(base: Preferences, chosen: str) -> Preferences:
    """``base`` with what an owner chose: a JSON object of some of its fields. ValueError if it does not fit.

    Of the two thresholds one that was chosen alone takes the other along, so that what fits once fits over any ``base``.
    """
    values = _CHOICES.validate_json(chosen)
    own = Preferences.model_validate({"confirm_threshold": 0.0, "close_threshold": 1.0, **values})
    taken: dict[str, object] = {name: getattr(own, name) for name in values}
    taken.setdefault("confirm_threshold", min(base.confirm_threshold, own.close_threshold))
    taken.setdefault("close_threshold", max(base.close_threshold, own.confirm_threshold))
    return base.model_copy(update=taken)
