"""What the tools of the finance specialist take."""

from typing import Annotated, Literal

from pydantic import Field

from wtai.ai.tools.money import Amount
from wtai.ai.tools.tool import Arguments

EntryId = Annotated[
    str, Field(min_length=1, max_length=40, description="The entry's id, as list_entries or the booking gave it.")
]
Day = Annotated[str, Field(max_length=40, description="YYYY-MM-DD, or the person's word: hoje, ontem, sexta, dia 5, 20/11.")]
Stretch = Annotated[
    str,
    Field(max_length=60, description="hoje, ontem, semana, mês, mês passado, ano, tudo, 2026-11, or 2026-11-01..2026-11-15."),
]
Category = Annotated[str, Field(max_length=40, description="One of the categories; another only if the person names it.")]
Description = Annotated[str, Field(max_length=200, description="What for, in the person's words, without amount or date.")]


class NewEntry(Arguments):
    """An entry to be booked."""

    amount: Amount = Field(description='Decimal number as a string, such as "32.50"; no currency, no sign.')
    date: Day | None = Field(
        None, description="The day: YYYY-MM-DD or a word (hoje, ontem, sexta, dia 5, 20/11). Omitted: today."
    )
    category: Category | None = None
    description: Description = ""


class Wanted(Arguments):
    """Which entries to list."""

    period: Stretch | None = Field(None, description="hoje, semana, mês, mês passado, ano, tudo, 2026-11, a range. Omitted: mês.")
    category: Category | None = Field(None, description="Only this category.")
    kind: Literal["income", "expense"] | None = Field(None, description="Only income, or only expenses.")


class BalanceWanted(Arguments):
    """The balance of what."""

    period: Stretch | None = Field(None, description="Also the sums of this period: mês, mês passado, 2026-11, a range.")


class Month(Arguments):
    """Which month to sum up."""

    month: Stretch | None = Field(None, description="2026-11, novembro, mês passado. Omitted: this month.")


class Edit(Arguments):
    """What an entry is to say from now on; what is omitted stays."""

    id: EntryId
    amount: Amount | None = Field(None, description='Decimal number as a string, such as "32.50".')
    date: Day | None = None
    category: Category | None = None
    description: Description | None = None
    kind: Literal["income", "expense"] | None = None


class OneEntry(Arguments):
    """Which entry."""

    id: EntryId


class Everything(Arguments):
    """The whole ledger of the person."""
