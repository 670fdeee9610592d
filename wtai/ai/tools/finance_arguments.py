"""What the tools of the finance specialist take."""

from typing import Annotated, Final, Literal

from pydantic import Field

from wtai.ai.tools.money import Amount
from wtai.ai.tools.tool import Arguments

EntryId = Annotated[
    str, Field(min_length=1, max_length=40, description="The entry's id, as its booking or list_entries gave it.")
]
Day = Annotated[str, Field(max_length=40)]
Stretch = Annotated[str, Field(max_length=60)]
Category = Annotated[str, Field(max_length=40)]
Description = Annotated[str, Field(max_length=200)]
Direction = Literal["income", "expense"]

_AMOUNT: Final = 'Decimal number as a string, such as "32.50"; no currency, no sign.'
_DAY: Final = "YYYY-MM-DD or the person's word: hoje, ontem, sexta, dia 5, 20/11."
_PERIOD: Final = "hoje, semana, mês, mês passado, ano, tudo, 2026-11, or 2026-11-01..2026-11-15."
_CATEGORY: Final = "One of the categories; another only if the person names it."
_DESCRIPTION: Final = "What for, in the person's words, without amount or date."


class NewEntry(Arguments):
    """An entry to be booked."""

    amount: Amount = Field(description=_AMOUNT)
    date: Day | None = Field(None, description=f"{_DAY} Omitted: today.")
    category: Category | None = Field(None, description=_CATEGORY)
    description: Description = Field("", description=_DESCRIPTION)


class Wanted(Arguments):
    """Which entries to list."""

    period: Stretch | None = Field(None, description=f"{_PERIOD} Omitted: mês.")
    category: Category | None = Field(None, description="Only this category.")
    kind: Direction | None = Field(None, description="Only income, or only expenses.")


class BalanceWanted(Arguments):
    """The balance of what."""

    period: Stretch | None = Field(None, description=f"Also the sums of this period: {_PERIOD}")


class Month(Arguments):
    """Which month to sum up."""

    month: Stretch | None = Field(None, description="2026-11, novembro, mês passado. Omitted: this month.")


class Edit(Arguments):
    """What an entry is to say from now on; what is omitted stays."""

    id: EntryId
    amount: Amount | None = Field(None, description=_AMOUNT)
    date: Day | None = Field(None, description=_DAY)
    category: Category | None = Field(None, description=_CATEGORY)
    description: Description | None = Field(None, description=_DESCRIPTION)
    kind: Direction | None = None


class OneEntry(Arguments):
    """Which entry."""

    id: EntryId


class Everything(Arguments):
    """The whole ledger of the person."""
