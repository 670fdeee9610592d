"""The finance specialist: a ledger of income and expenses for each user, and what an owner may set of it."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Final

from pydantic import Field

from wtai.ai.features import FeatureConfig
from wtai.ai.tools.finance_arguments import BalanceWanted, Edit, Everything, Month, NewEntry, OneEntry, Wanted
from wtai.ai.tools.finance_claims import ADDED, DELETED, EDITED
from wtai.ai.tools.finance_ledger import SHOWN, Ledger
from wtai.ai.tools.money import Currency
from wtai.ai.tools.tool import AnyTool, Effect, Tool

_DEFAULT_CATEGORIES: Final = (
    "alimentação",
    "mercado",
    "moradia",
    "contas",
    "transporte",
    "saúde",
    "educação",
    "lazer",
    "compras",
    "assinaturas",
    "impostos",
    "salário",
    "vendas",
    "outros",
)

LANGUAGES: Final[Mapping[str, Mapping[str, object]]] = {
    "es": {
        "currency": "EUR",
        "categories": (
            "alimentación",
            "supermercado",
            "vivienda",
            "facturas",
            "transporte",
            "salud",
            "educación",
            "ocio",
            "compras",
            "suscripciones",
            "impuestos",
            "salario",
            "ventas",
            "otros",
        ),
    },
    "en": {
        "currency": "USD",
        "categories": (
            "eating out",
            "groceries",
            "housing",
            "bills",
            "transport",
            "health",
            "education",
            "leisure",
            "shopping",
            "subscriptions",
            "taxes",
            "salary",
            "sales",
            "other",
        ),
    },
}
"""What holds for owners of other languages than Brazilian Portuguese where they set nothing."""

CategoryName = Annotated[str, Field(min_length=1, max_length=40)]


class FinanceConfig(FeatureConfig):
    """What an owner may set of the finance specialist. The defaults are those of Brazil; see ``LANGUAGES``."""

    currency: Currency = Field("BRL", description="ISO 4217 code of every amount. A change converts nothing.")
    categories: tuple[CategoryName, ...] = Field(
        _DEFAULT_CATEGORIES,
        min_length=1,
        max_length=40,
        description="Categories to choose from; the last takes what fits no other.",
    )
    confirm_above: Decimal = Field(
        Decimal(1000), ge=0, allow_inf_nan=False, description="An amount above this is booked only once the person has said yes."
    )


def finance_tools(config: FinanceConfig) -> tuple[AnyTool, ...]:
    """The specialist's tools, with an owner's settings."""
    ledger = Ledger(config.currency, config.categories, config.confirm_above)
    return (*_booking_tools(ledger), *_reading_tools(ledger), *_correcting_tools(ledger))


def _booking_tools(ledger: Ledger) -> tuple[AnyTool, ...]:
    named = f"Categories: {', '.join(ledger.categories)}."
    return (
        Tool(
            "add_expense",
            f"Books money that the person spent or paid. {named}",
            NewEntry,
            work=ledger.add_expense,
            effect=Effect.REVERSIBLE,
            asks=ledger.is_large,
            question=ledger.ask_expense,
            claims=ADDED,
        ),
        Tool(
            "add_income",
            f"Books money that the person received or earned. {named}",
            NewEntry,
            work=ledger.add_income,
            effect=Effect.REVERSIBLE,
            asks=ledger.is_large,
            question=ledger.ask_income,
            claims=ADDED,
        ),
    )


def _reading_tools(ledger: Ledger) -> tuple[AnyTool, ...]:
    return (
        Tool(
            "list_entries",
            f"Statement of a period: exact totals of everything that fits, and the newest {SHOWN} entries with their ids. "
            "With more=true there are others: ask for a shorter period.",
            Wanted,
            work=ledger.list_entries,
        ),
        Tool(
            "get_balance",
            "Balance: all income minus all expenses up to today; and the sums of a period if one is given.",
            BalanceWanted,
            work=ledger.get_balance,
        ),
        Tool(
            "monthly_summary",
            "A month by category, with income, expenses and balance, against the month before.",
            Month,
            work=ledger.monthly_summary,
        ),
    )


def _correcting_tools(ledger: Ledger) -> tuple[AnyTool, ...]:
    return (
        Tool(
            "edit_entry",
            "Corrects an entry that is already booked: amount, date, category, description or kind.",
            Edit,
            work=ledger.edit,
            effect=Effect.REVERSIBLE,
            asks=ledger.is_large_edit,
            question=ledger.ask_edit,
            claims=EDITED,
        ),
        Tool(
            "delete_entry",
            "Deletes one entry. The person is asked first.",
            OneEntry,
            work=ledger.delete,
            effect=Effect.IRREVERSIBLE,
            question=ledger.ask_delete,
            claims=DELETED,
        ),
        Tool(
            "delete_all_entries",
            "Deletes every entry of the person, of all time. The person is asked first.",
            Everything,
            work=ledger.delete_all,
            effect=Effect.IRREVERSIBLE,
            question=ledger.ask_delete_all,
            claims=DELETED,
        ),
    )
