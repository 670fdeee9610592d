"""What a person is asked before their ledger changes in a way that matters: the exact effect, in their owner's language."""

from dataclasses import dataclass
from typing import Final

from wtai.ai.tools.dates import spoken_date
from wtai.ai.tools.finance_report import shortened
from wtai.ai.tools.finance_store import Booking, Kind
from wtai.ai.tools.money import Currency, format_money, from_cents

_LONGEST: Final = 60


@dataclass(frozen=True, slots=True)
class _Phrases:
    """Templates of one language. ``entries`` names one entry by its kind."""

    entries: dict[Kind, str]
    add: str
    edit: str
    delete: str
    delete_only: str
    delete_all: str


_PHRASES: Final = {
    "pt-BR": _Phrases(
        {
            Kind.EXPENSE: "a despesa de {amount} ({label}) de {day}",
            Kind.INCOME: "a receita de {amount} ({label}) de {day}",
        },
        add="Lançar {entry}?",
        edit="Mudar {entry} para {new}?",
        delete="Apagar {entry}?",
        delete_only="Apagar de vez o único lançamento (receitas de {income} e despesas de {expense})?",
        delete_all="Apagar de vez todos os {count} lançamentos (receitas de {income} e despesas de {expense})?",
    ),
    "es": _Phrases(
        {
            Kind.EXPENSE: "el gasto de {amount} ({label}) del {day}",
            Kind.INCOME: "el ingreso de {amount} ({label}) del {day}",
        },
        add="¿Registrar {entry}?",
        edit="¿Cambiar {entry} por {new}?",
        delete="¿Borrar {entry}?",
        delete_only="¿Borrar para siempre el único movimiento (ingresos de {income} y gastos de {expense})?",
        delete_all="¿Borrar para siempre los {count} movimientos (ingresos de {income} y gastos de {expense})?",
    ),
    "en": _Phrases(
        {
            Kind.EXPENSE: "the {amount} expense ({label}) of {day}",
            Kind.INCOME: "the {amount} income ({label}) of {day}",
        },
        add="Record {entry}?",
        edit="Change {entry} to {new}?",
        delete="Delete {entry}?",
        delete_only="Permanently delete the only entry (income of {income}, expenses of {expense})?",
        delete_all="Permanently delete all {count} entries (income of {income}, expenses of {expense})?",
    ),
}


@dataclass(frozen=True, slots=True)
class Asker:
    """Asks in one ``locale``, with amounts in ``currency``."""

    currency: Currency
    locale: str

    def add(self, booking: Booking) -> str:
        """Before an entry is booked."""
        return self._phrases.add.format(entry=self._entry(booking, _label(booking)))

    def edit(self, old: Booking, new: Booking) -> str:
        """Before an entry becomes another. The category is told where it changes."""
        moved = old.category != new.category
        return self._phrases.edit.format(
            entry=self._entry(old, _label(old, with_category=moved)), new=self._entry(new, _label(new, with_category=moved))
        )

    def delete(self, booking: Booking) -> str:
        """Before an entry is deleted."""
        return self._phrases.delete.format(entry=self._entry(booking, _label(booking)))

    def delete_all(self, count: int, income: int, expense: int) -> str:
        """Before the whole ledger of a user is deleted; sums in cents."""
        template = self._phrases.delete_only if count == 1 else self._phrases.delete_all
        return template.format(count=count, income=self._money(income), expense=self._money(expense))

    @property
    def _phrases(self) -> _Phrases:
        return _PHRASES[self.locale]

    def _entry(self, booking: Booking, label: str) -> str:
        template = self._phrases.entries[booking.kind]
        return template.format(amount=self._money(booking.amount), label=label, day=spoken_date(booking.day, self.locale))

    def _money(self, cents: int) -> str:
        return format_money(from_cents(cents), self.currency, self.locale)


def _label(booking: Booking, *, with_category: bool = False) -> str:
    """What the entry is for, in a few words."""
    named = shortened(booking.description or booking.category, _LONGEST)
    return f"{named}, {booking.category}" if with_category and booking.description else named
