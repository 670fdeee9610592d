"""Birthdays, with their year or without it (ISO 8601-1:2004 writes the latter --MM-DD)."""

import re
from calendar import isleap
from dataclasses import dataclass
from datetime import date
from typing import Final, Self

from wtai.ai.tools.dates import MONTHS
from wtai.ai.tools.fold import fold
from wtai.ai.tools.tool import ToolError

MEND: Final = "write a birthday as YYYY-MM-DD, or --MM-DD without the year"

_LEAP_YEAR: Final = 2000
_FIRST_YEAR: Final = 1900
_MONTH: Final = "|".join(MONTHS)
_FORMS: Final = tuple(
    re.compile(pattern)
    for pattern in (
        r"(?P<year>\d{4})-(?P<month>\d{1,2})-(?P<day>\d{1,2})",
        r"--(?P<month>\d{2})-?(?P<day>\d{2})",
        r"(?P<day>\d{1,2})[/.](?P<month>\d{1,2})(?:[/.](?P<year>\d{4}))?",
        rf"(?:dia )?(?P<day>\d{{1,2}})(?:o|st|nd|rd|th)? (?:de |of )?(?P<month>{_MONTH})(?:,? (?:del? )?(?P<year>\d{{4}}))?",
        rf"(?P<month>{_MONTH}) (?P<day>\d{{1,2}})(?:st|nd|rd|th)?(?:,? (?P<year>\d{{4}}))?",
    )
)


@dataclass(frozen=True, slots=True)
class Birthday:
    """A day of the year, and the year of birth if it is known."""

    month: int
    day: int
    year: int | None

    @classmethod
    def of(cls, kept: str) -> Self:
        """From how it is kept: YYYY-MM-DD or --MM-DD."""
        year, month, day = kept.rsplit("-", 2)
        return cls(int(month), int(day), int(year) if year != "-" else None)

    def __str__(self) -> str:
        return f"{'-' if self.year is None else f'{self.year:04}'}-{self.month:02}-{self.day:02}"

    def next_after(self, today: date) -> date:
        """When it is celebrated next, perhaps today; the 29th of February on the 28th where the year lacks it."""
        this_year = self._in(today.year)
        return this_year if this_year >= today else self._in(today.year + 1)

    def age_on(self, day: date) -> int | None:
        """How old the person is; None if the year of birth is not known."""
        return None if self.year is None else day.year - self.year - (day < self._in(day.year))

    def _in(self, year: int) -> date:
        return date(year, self.month, 28 if (self.month, self.day) == (2, 29) and not isleap(year) else self.day)


def read_birthday(text: str, today: date) -> Birthday:
    """A birthday as people and models write it, day before month. ToolError, with the mend, for what cannot be one."""
    words = fold(text)
    found = next((match for form in _FORMS if (match := form.fullmatch(words))), None)
    if found is None:
        raise ToolError(f"The birthday cannot be read; {MEND}.")
    parts = found.groupdict()
    month, day, year = MONTHS.get(parts["month"]) or int(parts["month"]), int(parts["day"]), parts.get("year")
    try:
        whole = date(int(year or _LEAP_YEAR), month, day)
    except ValueError:
        raise ToolError(f"There is no such day in the calendar; {MEND}.") from None
    if year is not None and not (whole.year >= _FIRST_YEAR and whole <= today):
        raise ToolError(f"Nobody alive was born in that year; {MEND} if the year is not known.")
    return Birthday(month, day, int(year) if year else None)
