"""Stretches of whole days as people and models name them: "mês passado", "2026-11", "novembro", "últimos 7 dias", a range."""

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from wtai.ai.tools.dates import MONTHS, add_months, resolve_date
from wtai.ai.tools.fold import fold
from wtai.ai.tools.tool import ToolError

_THIS: Final = r"(?:(?:est[ea]|ness[ea]|nest[ea]|es[ae]|current|this) )?"
_NOW: Final = r"(?: (?:atual|actual|corrente|em curso))?"
_BEFORE: Final = r"(?:(?P<b>ultim[oa]|last|previous) )?(?:{})(?P<a> (?:passad[oa]|pasad[oa]|anterior))?"
_ARTICLE: Final = re.compile(r"^(?:(?:de|do|da|desde|entre|no|na|en|em|in|del|o|a|el|la|the|from|between|los|os|as) )+")
_ALL: Final = frozenset({"tudo", "todos", "todo", "todas", "sempre", "siempre", "all", "all time", "always", "everything"})
_SPAN: Final = re.compile(r"(?:(?:nos|os|los|the) )?(?:ultim[oa]s|last|past) (\d{1,3}) (dias|days|semanas|weeks|meses|months)")
_UNIT: Final = {
    "week": re.compile(rf"{_THIS}(?:semana|week){_NOW}"),
    "month": re.compile(rf"{_THIS}(?:mes|month){_NOW}"),
    "year": re.compile(rf"{_THIS}(?:ano|year){_NOW}"),
}
_UNIT_BEFORE: Final = {
    "week": re.compile(_BEFORE.format("semana|week")),
    "month": re.compile(_BEFORE.format("mes|month")),
    "year": re.compile(_BEFORE.format("ano|year")),
}
_YEAR_MONTH: Final = re.compile(r"(?P<y1>\d{4})-(?P<m1>\d{1,2})|(?P<m2>\d{1,2})/(?P<y2>\d{4})")
_YEAR: Final = re.compile(r"\d{4}")
_MONTH: Final = re.compile(rf"(?:mes de )?(?P<month>{'|'.join(MONTHS)})(?:(?: de| del|/| of)? ?(?P<year>\d{{4}}))?")
_TO: Final = re.compile(
    r"\s*(?:\.\.+|(?<=\d)/(?=\d{4}-)|\s(?:a|ao|al|ate|ate o|to|until|through|hasta|hasta el|e|y|and|-|–)\s)\s*"
)

MEND: Final = (
    'write a period as "hoje", "semana", "mês", "mês passado", "ano", "tudo", a month such as 2026-11, '
    "or two days such as 2026-11-01..2026-11-15"
)


@dataclass(frozen=True, slots=True)
class Period:
    """From ``first`` to ``last``, both included."""

    first: date
    last: date

    @property
    def is_month(self) -> bool:
        """Whether it is one whole calendar month."""
        return self == month_of(self.first)


ALL_TIME: Final = Period(date.min, date.max)


def month_of(day: date) -> Period:
    """The calendar month of ``day``."""
    return Period(day.replace(day=1), day.replace(day=monthrange(day.year, day.month)[1]))


def resolve_period(text: str, today: date) -> Period:
    """The period that ``text`` names. Weeks begin on Monday (ISO 8601); a month without its year is the latest that has begun;
    a single day, in any form that resolve_date reads, is a period too. ToolError, with the mend, for what cannot be read.
    """
    words = fold(text)
    ends = _TO.split(words)
    if len(ends) == 2 and all(ends):
        return _between(_named(ends[0], today), _named(ends[1], today))
    return _named(words, today)


def _between(start: Period, end: Period) -> Period:
    if start.first > end.last:
        raise ToolError(f"The period ends before it begins; {MEND}.")
    return Period(start.first, end.last)


def _named(words: str, today: date) -> Period:
    bare = _ARTICLE.sub("", words)
    if bare in _ALL:
        return ALL_TIME
    try:
        period = _unit(bare, today) or _span(bare, today) or _calendar(bare, today)
    except (ValueError, OverflowError):
        raise ToolError(f"There is no such period in the calendar; {MEND}.") from None
    if period is not None:
        return period
    try:
        day = resolve_date(bare, today)
    except ToolError:
        raise ToolError(f"The period cannot be read; {MEND}.") from None
    return Period(day, day)


def _unit(words: str, today: date) -> Period | None:
    """A week, month or year: this one or the one before."""
    for unit, pattern in _UNIT.items():
        if pattern.fullmatch(words):
            return _whole(unit, today)
        before = _UNIT_BEFORE[unit].fullmatch(words)
        if before is not None and (before["b"] or before["a"]):
            return _whole(unit, _whole(unit, today).first - timedelta(1))
    return None


def _whole(unit: str, day: date) -> Period:
    match unit:
        case "week":
            monday = day - timedelta(day.weekday())
            return Period(monday, monday + timedelta(6))
        case "month":
            return month_of(day)
        case _:
            return Period(date(day.year, 1, 1), date(day.year, 12, 31))


def _span(words: str, today: date) -> Period | None:
    """The last so many days, today included."""
    found = _SPAN.fullmatch(words)
    if found is None:
        return None
    count, unit = int(found.group(1)), found.group(2)
    if unit in ("meses", "months"):
        return Period(add_months(today, -count) + timedelta(1), today)
    days = count * 7 if unit in ("semanas", "weeks") else count
    return Period(today - timedelta(max(days, 1) - 1), today)


def _calendar(words: str, today: date) -> Period | None:
    """A month or a year by its number or name."""
    if found := _YEAR_MONTH.fullmatch(words):
        return month_of(date(int(found["y1"] or found["y2"]), int(found["m1"] or found["m2"]), 1))
    if _YEAR.fullmatch(words):
        return _whole("year", date(int(words), 1, 1))
    found = _MONTH.fullmatch(words)
    if found is None:
        return None
    month = MONTHS[found["month"]]
    year = int(found["year"]) if found["year"] else today.year - (month > today.month)
    return month_of(date(year, month, 1))
