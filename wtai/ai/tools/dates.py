"""Days and periods as people and models write them, in Portuguese, Spanish and English, against today in the owner's time zone.

Nothing is guessed: what cannot be read for certain is a ToolError that tells the model how to write it.
"""

import re
from calendar import monthrange
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from enum import Enum
from typing import Final
from zoneinfo import ZoneInfo

from wtai.ai.tools.fold import fold
from wtai.ai.tools.tool import ToolContext, ToolError


class Lean(Enum):
    """Which way a day without its year, month or week is looked for: money was spent, reminders are to come."""

    PAST = -1
    FUTURE = 1


MONTHS: Final = {
    name: number
    for number, names in enumerate(
        (
            "janeiro jan enero ene january",
            "fevereiro fev febrero feb february",
            "marco mar marzo march",
            "abril abr april apr",
            "maio mai mayo may",
            "junho jun junio june",
            "julho jul julio july",
            "agosto ago august aug",
            "setembro set septiembre setiembre sep september sept",
            "outubro out octubre oct october",
            "novembro nov noviembre november",
            "dezembro dez diciembre dic december dec",
        ),
        1,
    )
    for name in names.split()
}
"""Months by their folded names."""

_SPOKEN_WEEKDAYS: Final = {
    "pt-BR": ("segunda-feira", "terça-feira", "quarta-feira", "quinta-feira", "sexta-feira", "sábado", "domingo"),
    "es": ("lunes", "martes", "miércoles", "jueves", "viernes", "sábado", "domingo"),
    "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
}

_WEEKDAYS: Final = {
    name: number
    for number, names in enumerate(
        (
            "segunda lunes monday",
            "terca martes tuesday",
            "quarta miercoles wednesday",
            "quinta jueves thursday",
            "sexta viernes friday",
            "sabado saturday",
            "domingo sunday",
        )
    )
    for name in names.split()
}
_DAYS_AWAY: Final = {
    phrase: days
    for days, phrases in {
        -2: ("anteontem", "antes de ontem", "anteayer", "antes de ayer", "day before yesterday"),
        -1: ("ontem", "ayer", "yesterday"),
        0: ("hoje", "hoy", "today"),
        1: ("amanha", "manana", "tomorrow"),
        2: ("depois de amanha", "pasado manana", "day after tomorrow"),
    }.items()
    for phrase in phrases
}
_COUNTS: Final = {
    **dict.fromkeys(("um", "uma", "un", "una", "one", "a"), 1),
    **dict.fromkeys(("dois", "duas", "dos", "two"), 2),
    **dict.fromkeys(("tres", "three"), 3),
}
_UNITS: Final = {
    **dict.fromkeys(("dia", "dias", "day", "days"), "day"),
    **dict.fromkeys(("semana", "semanas", "week", "weeks"), "week"),
    **dict.fromkeys(("mes", "meses", "month", "months"), "month"),
}
_COUNT: Final = rf"(\d{{1,3}}|{'|'.join(_COUNTS)}) ({'|'.join(_UNITS)})"
_AGO: Final = re.compile(rf"(?:ha|faz|hace) {_COUNT}(?: atras)?|{_COUNT} (?:atras|ago)")
_AHEAD: Final = re.compile(rf"(?:daqui a|daqui|em|dentro de|en|in) {_COUNT}")

_ISO: Final = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})")
_DAY_MONTH: Final = re.compile(r"(\d{1,2})[/.-](\d{1,2})(?:[/.-](\d{4}|\d{2}))?")
_NAMED: Final = tuple(
    re.compile(pattern)
    for pattern in (
        rf"(?P<day>\d{{1,2}})(?:o|º|st|nd|rd|th)? (?P<month>{'|'.join(MONTHS)})(?: (?P<year>\d{{4}}))?",
        rf"(?P<month>{'|'.join(MONTHS)}) (?P<day>\d{{1,2}})(?:st|nd|rd|th)?,?(?: (?P<year>\d{{4}}))?",
    )
)
_DAY: Final = re.compile(r"(\d{1,2})(?:st|nd|rd|th)?")
_WEEKDAY: Final = re.compile(
    rf"(?P<before>passad[oa]|ultim[oa]|last|proxim[oa]|next)? ?(?P<day>{'|'.join(_WEEKDAYS)})"
    r"(?: (?P<after>passad[oa]|pasad[oa]|ultim[oa]|que vem|que viene|proxim[oa]))?"
)
_FILLERS: Final = re.compile(
    r"\b(?:na|no|nesta|neste|nessa|nesse|esta|este|essa|esse|a|o|el|la|del|de|do|da|em|en|on|the|this|of|dia)\b"
)

_LEAP_YEAR: Final = 2000
_YEARS_TO_A_LEAP_DAY: Final = 8  # 1896 to 1904
_ENGLISH: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

MEND: Final = 'write a day as YYYY-MM-DD, or a word such as "hoje", "ontem", "sexta"'


def local_today(context: ToolContext) -> date:
    """The day it is where the owner is."""
    return datetime.fromtimestamp(context.now / 1000, UTC).astimezone(ZoneInfo(context.time_zone)).date()


def resolve_date(text: str, today: date, *, lean: Lean = Lean.PAST) -> date:
    """The day that ``text`` names: ISO, "hoje", "anteontem", "sexta", "sexta passada", "20/11", "20 de novembro", "dia 5",
    "há 3 dias", "daqui a uma semana".

    A bare weekday is the nearest before (or after) today, never today itself; a day without its year or month is the nearest up
    to (or from) today. Day before month, always. ToolError, with the mend, for what cannot be read or does not exist.
    """
    words = fold(text).removeprefix("the ")
    if words in _DAYS_AWAY:
        return today + timedelta(_DAYS_AWAY[words])
    bare = " ".join(_FILLERS.sub(" ", words.replace("-feira", "")).split())
    readers: tuple[Callable[[], date | None], ...] = (
        lambda: _counted(words, today),
        lambda: _iso(bare),
        lambda: _weekday(bare, today, lean),
        lambda: _day_month(bare, today, lean),
        lambda: _named_day(bare, today, lean),
        lambda: _day_alone(bare, today, lean),
    )
    try:
        found = next((day for reader in readers if (day := reader()) is not None), None)
    except (ValueError, OverflowError):
        raise ToolError(f"There is no such day in the calendar; {MEND}.") from None
    if found is None:
        raise ToolError(f"The day cannot be read; {MEND}.")
    return found


def add_months(day: date, months: int) -> date:
    """The same day of a later (or earlier) month; its last day where the month is shorter. ValueError outside of the calendar."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def spoken_weekday(day: date, locale: str) -> str:
    """The name of the day of the week."""
    return _SPOKEN_WEEKDAYS[locale][day.weekday()]


def spoken_date(day: date, locale: str) -> str:
    """The day as people write it: 20/11/2026; in English 20 Nov 2026, which no one reads as another."""
    return f"{day.day} {_ENGLISH[day.month - 1]} {day.year}" if locale == "en" else f"{day.day:02}/{day.month:02}/{day.year}"


def _counted(words: str, today: date) -> date | None:
    for pattern, sign in ((_AGO, -1), (_AHEAD, 1)):
        if found := pattern.fullmatch(words):
            count, unit = (group for group in found.groups() if group is not None)
            return _away(today, sign * (_COUNTS.get(count) or int(count)), _UNITS[unit])
    return None


def _away(day: date, count: int, unit: str) -> date:
    match unit:
        case "month":
            return add_months(day, count)
        case "week":
            return day + timedelta(weeks=count)
        case _:
            return day + timedelta(count)


def _iso(words: str) -> date | None:
    found = _ISO.fullmatch(words)
    return date(*(int(part) for part in found.groups())) if found else None


def _weekday(words: str, today: date, lean: Lean) -> date | None:
    found = _WEEKDAY.fullmatch(words)
    if found is None:
        return None
    which = found["before"] or found["after"]
    if which is not None:
        lean = Lean.PAST if which.startswith(("pas", "ultim", "last")) else Lean.FUTURE
    apart = (_WEEKDAYS[found["day"]] - today.weekday()) * lean.value % 7
    return today + timedelta((apart or 7) * lean.value)


def _day_month(words: str, today: date, lean: Lean) -> date | None:
    found = _DAY_MONTH.fullmatch(words)
    if found is None:
        return None
    day, month, year = found.groups()
    full_year = f"20{year}" if year and len(year) == 2 else year
    return _in_year(int(day), int(month), full_year, today, lean)


def _named_day(words: str, today: date, lean: Lean) -> date | None:
    found = next((match for pattern in _NAMED if (match := pattern.fullmatch(words))), None)
    return _in_year(int(found["day"]), MONTHS[found["month"]], found["year"], today, lean) if found else None


def _in_year(day: int, month: int, year: str | None, today: date, lean: Lean) -> date:
    if year is not None:
        return date(int(year), month, day)
    date(_LEAP_YEAR, month, day)  # a day of no year at all is refused here, not searched for
    days = (_valid(today.year + lean.value * apart, month, day) for apart in range(_YEARS_TO_A_LEAP_DAY + 1))
    return next(near for near in days if near is not None and not _beyond(near, today, lean))


def _day_alone(words: str, today: date, lean: Lean) -> date | None:
    found = _DAY.fullmatch(words)
    if found is None:
        return None
    day = int(found.group(1))
    date(_LEAP_YEAR, 1, day)
    months = (add_months(today.replace(day=1), lean.value * apart) for apart in range(3))
    days = (_valid(first.year, first.month, day) for first in months)
    return next(near for near in days if near is not None and not _beyond(near, today, lean))


def _valid(year: int, month: int, day: int) -> date | None:
    return date(year, month, day) if day <= monthrange(year, month)[1] else None


def _beyond(day: date, today: date, lean: Lean) -> bool:
    return (day - today).days * lean.value < 0
