"""What the finance tools tell the model: exact amounts, each with the text in which a person reads it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Final

from wtai.ai.tools.finance_store import CategorySum, Entry, Kind, total
from wtai.ai.tools.money import Currency, format_money, from_cents
from wtai.ai.tools.periods import ALL_TIME, Period

# What a tool may tell the model is limited; these keep a statement and a summary whole.
_CATEGORIES_SHOWN: Final = 20
_DESCRIPTION_SHOWN: Final = 60


@dataclass(frozen=True, slots=True)
class Sum:
    """An amount, and how it is written to the person."""

    amount: Decimal
    text: str


@dataclass(frozen=True, slots=True)
class Totals:
    """``balance`` is income minus expenses."""

    count: int
    income: Sum
    expenses: Sum
    balance: Sum


@dataclass(frozen=True, slots=True)
class ShownEntry:
    """An entry of the ledger."""

    id: str
    kind: Kind
    amount: Decimal
    text: str
    date: date
    category: str
    description: str


@dataclass(frozen=True, slots=True)
class Booked:
    """What was booked."""

    booked: ShownEntry


@dataclass(frozen=True, slots=True)
class Changed:
    """An entry before and after."""

    before: ShownEntry
    after: ShownEntry


@dataclass(frozen=True, slots=True)
class Deleted:
    """What was deleted."""

    deleted: ShownEntry


@dataclass(frozen=True, slots=True)
class DeletedAll:
    """How many entries were deleted."""

    deleted: int


@dataclass(frozen=True, slots=True)
class Statement:
    """``totals`` of all that was asked for; ``entries`` the newest of it; ``more`` if there are others."""

    period: str
    totals: Totals
    more: bool
    entries: tuple[ShownEntry, ...]


@dataclass(frozen=True, slots=True)
class PeriodTotals:
    """The totals of a period."""

    period: str
    totals: Totals


@dataclass(frozen=True, slots=True)
class Balance:
    """All up to and with ``today``; ``ahead`` is what is booked for later, and no part of it."""

    today: date
    totals: Totals
    ahead: Totals | None
    of_period: PeriodTotals | None


@dataclass(frozen=True, slots=True)
class CategoryTotal:
    """What one category came to in the month, and in the month before."""

    kind: Kind
    category: str
    amount: Decimal
    text: str
    before: str


@dataclass(frozen=True, slots=True)
class Summary:
    """``over`` is false while the month is not: then the month before is compared as a whole with a part.

    Differences are this month minus the one before.
    """

    month: str
    over: bool
    totals: Totals
    month_before: str
    totals_before: Totals
    expenses_difference: Sum
    income_difference: Sum
    categories: tuple[CategoryTotal, ...]
    more: bool


@dataclass(frozen=True, slots=True)
class Presenter:
    """Writes sums of cents for one ``locale``, in ``currency``."""

    currency: Currency
    locale: str

    def entry(self, entry: Entry) -> ShownEntry:
        """One entry."""
        amount = from_cents(entry.amount)
        return ShownEntry(entry.id, entry.kind, amount, self._text(entry.amount), entry.day, entry.category, entry.description)

    def listed(self, entry: Entry) -> ShownEntry:
        """One entry of a list: a long description is cut."""
        return self.entry(replace(entry, description=shortened(entry.description, _DESCRIPTION_SHOWN)))

    def statement(self, period: Period, sums: Sequence[CategorySum], entries: Sequence[Entry]) -> Statement:
        """``sums`` of everything in the period, ``entries`` the newest of it."""
        totals = self._totals(sums)
        return Statement(_named(period), totals, totals.count > len(entries), tuple(map(self.listed, entries)))

    def balance(
        self,
        today: date,
        *,
        until_today: Sequence[CategorySum],
        ahead: Sequence[CategorySum],
        of_period: tuple[Period, Sequence[CategorySum]] | None,
    ) -> Balance:
        """The balance of today, with what is booked ahead if anything is, and a period if one was asked for."""
        return Balance(
            today,
            self._totals(until_today),
            self._totals(ahead) if ahead else None,
            PeriodTotals(_named(of_period[0]), self._totals(of_period[1])) if of_period else None,
        )

    def summary(
        self, month: Period, sums: Sequence[CategorySum], before: Period, sums_before: Sequence[CategorySum], *, over: bool
    ) -> Summary:
        """A month against the one before."""
        categories = self._categories(sums, sums_before)
        return Summary(
            _month(month),
            over,
            self._totals(sums),
            _month(before),
            self._totals(sums_before),
            self._sum(total(sums, Kind.EXPENSE) - total(sums_before, Kind.EXPENSE)),
            self._sum(total(sums, Kind.INCOME) - total(sums_before, Kind.INCOME)),
            categories[:_CATEGORIES_SHOWN],
            len(categories) > _CATEGORIES_SHOWN,
        )

    def _categories(self, sums: Iterable[CategorySum], sums_before: Iterable[CategorySum]) -> tuple[CategoryTotal, ...]:
        """Every category of either month: those of this one by size, then those that only the one before had."""
        now = {(one.kind, one.category): one.amount for one in sums}
        earlier = {(one.kind, one.category): one.amount for one in sums_before}
        return tuple(
            CategoryTotal(
                kind,
                category,
                from_cents(now.get((kind, category), 0)),
                self._text(now.get((kind, category), 0)),
                self._text(earlier.get((kind, category), 0)),
            )
            for kind, category in dict.fromkeys([*now, *earlier])
        )

    def _totals(self, sums: Sequence[CategorySum]) -> Totals:
        income, expenses = total(sums, Kind.INCOME), total(sums, Kind.EXPENSE)
        count = sum(one.count for one in sums)
        return Totals(count, self._sum(income), self._sum(expenses), self._sum(income - expenses))

    def _sum(self, cents: int) -> Sum:
        return Sum(from_cents(cents), self._text(cents))

    def _text(self, cents: int) -> str:
        return format_money(from_cents(cents), self.currency, self.locale)


def shortened(text: str, length: int) -> str:
    """The text, cut to ``length`` characters with an ellipsis as the last."""
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


def _named(period: Period) -> str:
    return "all" if period == ALL_TIME else f"{period.first}..{period.last}"


def _month(month: Period) -> str:
    return f"{month.first:%Y-%m}"
