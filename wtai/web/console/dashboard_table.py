"""A table of the dashboard: what the charts draw, screen readers read and spreadsheets take."""

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from io import StringIO
from typing import Final

from markupsafe import Markup

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the beginning of a formula (owasp.org/www-community/attacks/CSV_Injection)."""

Value = int | float | None


class Unit(StrEnum):
    """Of what a column's values are: things, milliseconds, shares of one, or millionths of a US dollar."""

    COUNT = "count"
    WAIT = "wait"
    SHARE = "share"
    DOLLARS = "dollars"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of values; ``key`` tells which colour it has in a chart."""

    title: str
    unit: Unit = Unit.COUNT
    key: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """A row: what it is about, as people read it and as ``exact`` text, and a value for each column."""

    label: str
    exact: str
    values: Sequence[Value]
    about: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """Lines under ``title`` and, if ``about`` is set, a column of words beside it."""

    title: str
    columns: Sequence[Column]
    lines: Sequence[Line]
    about: str = ""
    hidden: frozenset[int] = field(default_factory=frozenset)

    @property
    def is_empty(self) -> bool:
        """Whether it says nothing."""
        return not any(value for line in self.lines for value in line.values)

    def rows(self, language: str, *, drawn: bool) -> Iterator["Row"]:
        """The lines as they are written in a language; ``drawn``: with the bare values, for a chart."""
        most = max((line.values[0] or 0 for line in self.lines), default=0) or 1
        writers = [_WRITERS[column.unit] for column in self.columns]
        for line in self.lines:
            texts = ("–" if value is None else write(value, language) for value, write in zip(line.values, writers, strict=True))
            if drawn:
                cells = "".join(
                    f'<td class="number" data-value="{"" if value is None else value}">{text}</td>'
                    for value, text in zip(line.values, texts, strict=True)
                )
            else:
                cells = "".join(f'<td class="number">{text}</td>' for text in texts)
            # Hundreds of them are put together here, where they are known to be numbers, rather than escaped one by one.
            yield Row(line.label, line.about, Markup(cells), round(100 * (line.values[0] or 0) / most, 1))  # noqa: S704


@dataclass(frozen=True, slots=True)
class Row:
    """A line in writing: the cells of its values, and what part the first one is of the largest in the table, in %."""

    label: str
    about: str
    cells: Markup
    percent: float


def shown(value: Value, unit: Unit, language: str) -> str:
    """A value as people of this language read it."""
    return "–" if value is None else _WRITERS[unit](value, language)


def csv_of(table: Table) -> bytes:
    """As RFC 4180 has it, in UTF-8 with the mark by which spreadsheets know it: numbers bare, waits in seconds, money in dollars.

    Text that a spreadsheet would take for a formula gets an apostrophe before it.
    """
    text = StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    about = [table.about] if table.about else []
    writer.writerow([plain(title) for title in (table.title, *about, *(_titled(column) for column in table.columns))])
    for line in table.lines:
        words = [line.about] if table.about else []
        values = (_bare(value, column.unit) for value, column in zip(line.values, table.columns, strict=True))
        writer.writerow([*(plain(word) for word in (line.exact, *words)), *values])
    return b"\xef\xbb\xbf" + text.getvalue().encode()


def plain(cell: str) -> str:
    """A cell that is text and nothing but text."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def _titled(column: Column) -> str:
    return {Unit.WAIT: f"{column.title} (s)", Unit.DOLLARS: f"{column.title} (USD)"}.get(column.unit, column.title)


def _bare(value: Value, unit: Unit) -> str:
    if value is None:
        return ""
    match unit:
        case Unit.WAIT:
            return f"{value / 1000:.1f}"
        case Unit.DOLLARS:
            return f"{value / 1_000_000:.6f}"
        case Unit.SHARE:
            return f"{value:.4f}"
        case Unit.COUNT:
            return str(value)


def _count(value: float, language: str) -> str:
    return _grouped(f"{value:,}", language)


def _share(value: float, _language: str) -> str:
    return f"{value * 100:.0f}%"


def _dollars(micros: float, language: str) -> str:
    dollars = micros / 1_000_000
    return "US$ " + _grouped(f"{dollars:,.2f}" if dollars >= 1 or not dollars else f"{dollars:.4f}", language)


def _wait(milliseconds: float, language: str) -> str:
    if milliseconds < 59_950:
        return _grouped(f"{milliseconds / 1000:.1f}", language) + " s"
    hours, minutes = divmod(round(milliseconds / 60_000), 60)
    if hours == 0:
        return f"{minutes} min"
    return f"{hours} h {minutes:02} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def _grouped(number: str, language: str) -> str:
    return number if language == "en" else number.translate(_PORTUGUESE)


_PORTUGUESE: Final = str.maketrans(",.", ".,")
_WRITERS: Final[Mapping[Unit, Callable[[float, str], str]]] = {
    Unit.COUNT: _count,
    Unit.SHARE: _share,
    Unit.DOLLARS: _dollars,
    Unit.WAIT: _wait,
}
