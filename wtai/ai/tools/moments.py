"""A day and a time of day as people and models write them: "amanhã às 9h", "2026-11-22T09:00", "daqui a 20 minutos".

Nothing is guessed: what cannot be read for certain is a ToolError that tells the model how to write it.
"""

import re
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Final
from zoneinfo import ZoneInfo

from wtai.ai.tools.dates import Lean, local_today, resolve_date
from wtai.ai.tools.fold import fold
from wtai.ai.tools.tool import ToolContext, ToolError
from wtai.clock import HOUR, MINUTE, SECOND
from wtai.conversation.recurrence import to_local

MEND: Final = 'write it as "2026-11-22T09:00", or a day with a time such as "amanhã às 9h", "sexta 15:30", "daqui a 20 minutos"'

_ISO: Final = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?(?:Z|[+-]\d{2}:\d{2})?", re.IGNORECASE)

_AMOUNT: Final = r"(\d{1,4}|um|uma|un|una|an|a|one)"
_SOON: Final = re.compile(
    rf"(?:daqui a|daqui|em|dentro de|en|in) {_AMOUNT} ?(s|segundos?|seconds?|min|minutos?|minutes?|h|horas?|hours?)"
)
_UNITS: Final = {"s": SECOND, "m": MINUTE, "h": HOUR}
_HALF_HOUR: Final = re.compile(r"(?:daqui a|daqui|em|dentro de|en|in) (?:meia hora|media hora|half an hour)")

_PART: Final = (
    r"da manha|da tarde|da noite|da madrugada|de la manana|de la tarde|de la noche|in the morning|in the afternoon|[ap]\.?m\.?"
)
_CLOCK: Final = re.compile(
    rf"(?:(?P<at>as|a las|a la|at|pelas|por volta das)? ?(?P<hour>\d{{1,2}})(?:(?::|h)(?P<minute>\d{{2}}))?"
    rf"(?P<unit> ?(?:h|hs|hrs|horas?))?(?: ?(?P<part>{_PART}))?|(?:ao |al |at )?(?P<noon>meio[- ]dia|mediodia|noon))"
)
_DAY_FIRST: Final = re.compile(rf"(?P<day>.*?)(?:^|[ ,]+){_CLOCK.pattern}")
_CLOCK_FIRST: Final = re.compile(rf"{_CLOCK.pattern}(?:,| (?:de|do|da|del|on))? (?P<day>.+)")
_AFTERNOON: Final = {**{hour: hour + 12 for hour in range(1, 8)}, 12: 12}
_NIGHT: Final = {hour: hour + 12 for hour in range(5, 12)}
_LATER: Final = (("tarde", _AFTERNOON), ("afternoon", _AFTERNOON), ("noite", _NIGHT), ("noche", _NIGHT))
"""Parts of the day, and the hours that are certain in them."""


@dataclass(frozen=True, slots=True)
class Moment:
    """What was said of a moment: the day, the time on the owner's clock, or both."""

    day: date | None
    time: time | None


def read_moment(when: str | None, clock: str | None, context: ToolContext) -> Moment:
    """The moment that ``when`` tells, with the time of day in ``clock`` if ``when`` has none. A day is the next such day.

    ToolError, with the mend, for what cannot be read.
    """
    said = _read(when, context) if when is not None else Moment(None, None)
    if clock is None:
        return said
    read = _clock(_CLOCK.fullmatch(fold(clock)))
    if read is None:
        raise ToolError("The time of day cannot be read; write it as HH:MM, such as 09:00.")
    if said.time not in (None, read):
        raise ToolError("when and time tell two different times of day; give one of them.")
    return Moment(said.day, read)


def _read(text: str, context: ToolContext) -> Moment:
    if _ISO.fullmatch(text.strip()):
        return _of(_iso(text.strip(), context))
    words = fold(text)
    ahead = _ahead(words)
    if ahead is not None:
        return _of(to_local(context.now + ahead, context.time_zone).replace(microsecond=0))
    for pattern in (_DAY_FIRST, _CLOCK_FIRST):
        split = pattern.fullmatch(words)
        clock = _clock(split) if split is not None and _is_marked(split) else None
        if split is not None and clock is not None:
            return Moment(_day(split["day"], context) if split["day"] else None, clock)
    return Moment(_day(text, context), None)


def _day(text: str, context: ToolContext) -> date:
    try:
        return resolve_date(text, local_today(context), lean=Lean.FUTURE)
    except ToolError:
        raise ToolError(f"The moment cannot be read, or there is no such day; {MEND}.") from None


def _of(local: datetime) -> Moment:
    return Moment(local.date(), local.time())


def _iso(text: str, context: ToolContext) -> datetime:
    try:
        moment = datetime.fromisoformat(text.upper())
        return moment.astimezone(ZoneInfo(context.time_zone)).replace(tzinfo=None) if moment.tzinfo else moment
    except (ValueError, OverflowError):
        raise ToolError(f"There is no such day or time; {MEND}.") from None


def _ahead(words: str) -> int | None:
    """Milliseconds from now, where that is how it was said."""
    if _HALF_HOUR.fullmatch(words):
        return 30 * MINUTE
    found = _SOON.fullmatch(words)
    if found is None:
        return None
    amount, unit = found.groups()
    return (int(amount) if amount.isdigit() else 1) * _UNITS[unit[0]]


def _is_marked(found: re.Match[str]) -> bool:
    """Whether the number at the end is a time of day and not part of a date."""
    return any(found[mark] for mark in ("at", "minute", "unit", "part", "noon"))


def _clock(found: re.Match[str] | None) -> time | None:
    if found is None:
        return None
    if found["noon"]:
        return time(12)
    hour, minute, part = int(found["hour"]), int(found["minute"] or 0), found["part"] or ""
    later = next((hours for name, hours in _LATER if name in part), None)
    if part.startswith(("a", "p")):
        hour = hour % 12 + 12 * part.startswith("p") if 1 <= hour <= 12 else 24
    elif later is not None:
        hour = later.get(hour, 24) if hour <= 12 else hour
    elif part and hour >= 12:
        hour = 24
    return time(hour, minute) if hour < 24 and minute < 60 else None
