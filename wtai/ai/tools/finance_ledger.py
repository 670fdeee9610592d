"""The ledger of a user: what the finance tools do in it."""

from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Final

from wtai.ai.tools import finance_store as store
from wtai.ai.tools.dates import local_today, resolve_date
from wtai.ai.tools.finance_arguments import BalanceWanted, Edit, Everything, Month, NewEntry, OneEntry, Wanted
from wtai.ai.tools.finance_questions import Asker
from wtai.ai.tools.finance_report import Balance, Booked, Changed, Deleted, DeletedAll, Presenter, Statement, Summary
from wtai.ai.tools.finance_store import Booking, Entry, Filter, Kind
from wtai.ai.tools.fold import fold
from wtai.ai.tools.money import Currency, to_cents
from wtai.ai.tools.periods import ALL_TIME, Period, month_of, resolve_period
from wtai.ai.tools.tool import ToolContext, ToolError
from wtai.db.tx import OwnerTx

SHOWN: Final = 14
"""How many entries a statement lists; its totals count all of them."""

_EARLIEST: Final = date(1970, 1, 1)
_AHEAD: Final = timedelta(366)

_NONE: Final = "The person has no entries; there is nothing to delete."


@dataclass(frozen=True, slots=True)
class Ledger:
    """The work of the tools, as an owner set it: amounts in ``currency``, ``categories`` to choose from, of which the last takes
    what fits no other, and the amount above which a booking has to be confirmed. A user reaches their own entries only.
    """

    currency: Currency
    categories: tuple[str, ...]
    confirm_above: Decimal

    def is_large(self, arguments: NewEntry) -> bool:
        """Whether the amount has to be confirmed."""
        return arguments.amount > self.confirm_above

    def is_large_edit(self, arguments: Edit) -> bool:
        """Whether the new amount has to be confirmed."""
        return arguments.amount is not None and arguments.amount > self.confirm_above

    def ask_expense(self, tx: OwnerTx, context: ToolContext, arguments: NewEntry) -> str:
        """Before a large expense."""
        return self._asker(context).add(self._booking(tx, context, Kind.EXPENSE, arguments))

    def ask_income(self, tx: OwnerTx, context: ToolContext, arguments: NewEntry) -> str:
        """Before a large income."""
        return self._asker(context).add(self._booking(tx, context, Kind.INCOME, arguments))

    def add_expense(self, tx: OwnerTx, context: ToolContext, arguments: NewEntry) -> Booked:
        """Book money spent."""
        return self._add(tx, context, self._booking(tx, context, Kind.EXPENSE, arguments))

    def add_income(self, tx: OwnerTx, context: ToolContext, arguments: NewEntry) -> Booked:
        """Book money received."""
        return self._add(tx, context, self._booking(tx, context, Kind.INCOME, arguments))

    def list_entries(self, tx: OwnerTx, context: ToolContext, arguments: Wanted) -> Statement:
        """The statement of a period."""
        chosen = Filter(
            resolve_period(arguments.period or "mês", local_today(context)),
            Kind(arguments.kind) if arguments.kind else None,
            self._known_category(tx, context, arguments.category) if arguments.category else None,
        )
        entries = store.newest_entries(tx, context.user_id, chosen, limit=SHOWN)
        return self._presenter(context).statement(chosen.period, store.sums(tx, context.user_id, chosen), entries)

    def get_balance(self, tx: OwnerTx, context: ToolContext, arguments: BalanceWanted) -> Balance:
        """What there is today, what is booked ahead, and what a period came to."""
        today = local_today(context)
        period = resolve_period(arguments.period, today) if arguments.period else None
        return self._presenter(context).balance(
            today,
            until_today=store.sums(tx, context.user_id, Filter(Period(ALL_TIME.first, today))),
            ahead=store.sums(tx, context.user_id, Filter(Period(today + timedelta(1), ALL_TIME.last))),
            of_period=(period, store.sums(tx, context.user_id, Filter(period))) if period else None,
        )

    def monthly_summary(self, tx: OwnerTx, context: ToolContext, arguments: Month) -> Summary:
        """A month by category against the one before."""
        today = local_today(context)
        month = resolve_period(arguments.month or "mês", today)
        if not month.is_month or month.first < _EARLIEST:
            raise ToolError("monthly_summary takes one month, such as 2026-11; for another period use list_entries.")
        before = month_of(month.first - timedelta(1))
        return self._presenter(context).summary(
            month,
            store.sums(tx, context.user_id, Filter(month)),
            before,
            store.sums(tx, context.user_id, Filter(before)),
            over=month.last < today,
        )

    def ask_edit(self, tx: OwnerTx, context: ToolContext, arguments: Edit) -> str:
        """Before an entry gets a large amount."""
        old = _entry(tx, context, arguments.id)
        return self._asker(context).edit(old, self._edited(tx, context, old, arguments))

    def edit(self, tx: OwnerTx, context: ToolContext, arguments: Edit) -> Changed:
        """Change an entry."""
        old = _entry(tx, context, arguments.id)
        new = self._edited(tx, context, old, arguments)
        store.update_entry(tx, context.user_id, new, now=context.now)
        presenter = self._presenter(context)
        return Changed(presenter.entry(old), presenter.entry(new))

    def ask_delete(self, tx: OwnerTx, context: ToolContext, arguments: OneEntry) -> str:
        """Before an entry is deleted."""
        return self._asker(context).delete(_entry(tx, context, arguments.id))

    def delete(self, tx: OwnerTx, context: ToolContext, arguments: OneEntry) -> Deleted:
        """Delete an entry."""
        entry = _entry(tx, context, arguments.id)
        store.delete_entry(tx, context.user_id, entry.id)
        return Deleted(self._presenter(context).entry(entry))

    def ask_delete_all(self, tx: OwnerTx, context: ToolContext, _arguments: Everything) -> str:
        """Before the whole ledger of the user is deleted."""
        sums = store.sums(tx, context.user_id, Filter(ALL_TIME))
        if not sums:
            raise ToolError(_NONE)
        count = sum(one.count for one in sums)
        return self._asker(context).delete_all(count, store.total(sums, Kind.INCOME), store.total(sums, Kind.EXPENSE))

    def delete_all(self, tx: OwnerTx, context: ToolContext, _arguments: Everything) -> DeletedAll:
        """Delete the whole ledger of the user."""
        count = store.delete_entries(tx, context.user_id)
        if count == 0:
            raise ToolError(_NONE)
        return DeletedAll(count)

    def _add(self, tx: OwnerTx, context: ToolContext, booking: Booking) -> Booked:
        entry = store.insert_entry(tx, context.user_id, booking, message_id=context.message_id, now=context.now)
        return Booked(self._presenter(context).entry(entry))

    def _booking(self, tx: OwnerTx, context: ToolContext, kind: Kind, arguments: NewEntry) -> Booking:
        return Booking(
            kind,
            to_cents(arguments.amount),
            self._category(tx, context, arguments.category or self.categories[-1]),
            _one_line(arguments.description),
            _day(arguments.date, local_today(context)) if arguments.date else local_today(context),
        )

    def _edited(self, tx: OwnerTx, context: ToolContext, old: Entry, arguments: Edit) -> Entry:
        new = old
        if arguments.amount is not None:
            new = replace(new, amount=to_cents(arguments.amount))
        if arguments.date is not None:
            new = replace(new, day=_day(arguments.date, local_today(context)))
        if arguments.category is not None:
            new = replace(new, category=self._category(tx, context, arguments.category))
        if arguments.description is not None:
            new = replace(new, description=_one_line(arguments.description))
        if arguments.kind is not None:
            new = replace(new, kind=Kind(arguments.kind))
        if new == old:
            raise ToolError("The entry already says that; nothing was changed. Give the field that is wrong, with its new value.")
        return new

    def _category(self, tx: OwnerTx, context: ToolContext, name: str) -> str:
        """The category as it is spelled already, however the name is written; a name not known yet becomes one."""
        return self._spelled(tx, context, name) or _one_line(name).lower() or self.categories[-1]

    def _known_category(self, tx: OwnerTx, context: ToolContext, name: str) -> str:
        found = self._spelled(tx, context, name)
        if found is None:
            known = ", ".join(dict.fromkeys([*self.categories, *store.used_categories(tx, context.user_id)]))
            raise ToolError(f"There is no category of this name; take one of: {known}.")
        return found

    def _spelled(self, tx: OwnerTx, context: ToolContext, name: str) -> str | None:
        wanted = fold(name)
        known = (*self.categories, *store.used_categories(tx, context.user_id))
        return next((category for category in known if fold(category) == wanted), None)

    def _asker(self, context: ToolContext) -> Asker:
        return Asker(self.currency, context.locale)

    def _presenter(self, context: ToolContext) -> Presenter:
        return Presenter(self.currency, context.locale)


def _entry(tx: OwnerTx, context: ToolContext, entry_id: str) -> Entry:
    """The user's entry. ToolError, the same for another's as for one that never was."""
    entry = store.find_entry(tx, context.user_id, entry_id)
    if entry is None:
        raise ToolError("There is no entry with this id. Find it with list_entries and use the id given there.")
    return entry


def _day(text: str, today: date) -> date:
    day = resolve_date(text, today)
    if not _EARLIEST <= day <= today + _AHEAD:
        raise ToolError(f"{day} is too far away for a booking; check the year with the person and write the day as YYYY-MM-DD.")
    return day


def _one_line(text: str) -> str:
    """A text without line breaks and without characters that do not show, which could disguise what a question says."""
    return " ".join("".join(letter for letter in text if letter.isprintable() or letter.isspace()).split())
