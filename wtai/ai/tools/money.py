"""Money: Decimal in code, whole cents in the database, never a float. Read from what models write, written as people read it."""

import re
from decimal import Decimal
from math import isfinite
from typing import Annotated, Final, Literal

from pydantic import Field, PlainSerializer, PlainValidator

Currency = Literal["ARS", "BOB", "BRL", "COP", "EUR", "GBP", "MXN", "PEN", "USD", "UYU"]
"""Currencies by ISO 4217 code, all with two decimals."""

_SYMBOLS: Final[dict[Currency, str]] = {
    "ARS": "AR$",
    "BOB": "Bs",
    "BRL": "R$",
    "COP": "CO$",
    "EUR": "€",
    "GBP": "£",
    "MXN": "MX$",
    "PEN": "S/",
    "USD": "US$",
    "UYU": "UY$",
}

MOST: Final = Decimal("999999999.99")
"""The largest amount of one entry. It has fewer digits than a double holds: a JSON number that a parser took for one is exact."""

MEND: Final = 'write only the number, positive, with at most two decimals and without currency or sign, such as "32.50"'

_CENT: Final = Decimal("0.01")
_PLAIN: Final = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,2})?")
_BRAZILIAN: Final = re.compile(r"[0-9]{1,12},[0-9]{1,2}|[0-9]{1,3}(?:\.[0-9]{3})+,[0-9]{1,2}|[0-9]{1,3}(?:\.[0-9]{3}){2,}")
_THOUSANDS_OR_DECIMALS: Final = re.compile(r"[0-9]{1,3}[.,][0-9]{3}")


def read_amount(value: object) -> Decimal:
    """An amount above zero, of at most ``MOST``: "1234.56", "1.234,56", or a JSON number with at most two decimals.

    "1.234" is refused, not guessed: it is a thousandfold apart in two notations. ValueError says how to write it.
    """
    amount = _read(value)
    if amount <= 0:
        raise ValueError(f"the amount must be above zero; {MEND}")
    if amount > MOST:
        raise ValueError(f"the amount is above {MOST}, the largest that is kept; check it with the person")
    if amount != amount.quantize(_CENT):
        raise ValueError(f"the amount is not in whole cents; {MEND}")
    return amount.quantize(_CENT)


def _read(value: object) -> Decimal:
    match value:
        case str():
            return _written(value.strip())
        case int() if not isinstance(value, bool):
            return Decimal(value)
        case float() | Decimal() if isfinite(value):
            return Decimal(str(value))
        case _:
            raise ValueError(f"not an amount; {MEND}")


def _written(text: str) -> Decimal:
    if _PLAIN.fullmatch(text):
        return Decimal(text)
    if _BRAZILIAN.fullmatch(text):
        return Decimal(text.replace(".", "").replace(",", "."))
    if _THOUSANDS_OR_DECIMALS.fullmatch(text):
        raise ValueError(f"the amount may be thousands or decimals; {MEND}")
    raise ValueError(f"the amount cannot be read; {MEND}")


Amount = Annotated[
    Decimal,
    PlainValidator(read_amount, json_schema_input_type=Annotated[str, Field(examples=["32.50"])]),
    PlainSerializer(str, return_type=str),
]
"""An amount among a tool's arguments: a string to the model, a number of the model's taken as it is."""


def to_cents(amount: Decimal) -> int:
    """An amount in whole cents. ValueError if it is not one."""
    cents = amount.scaleb(2)
    if cents != int(cents):
        raise ValueError(f"{amount} is not in whole cents")
    return int(cents)


def from_cents(cents: int) -> Decimal:
    """The amount of so many cents, with two decimals."""
    return Decimal(cents).scaleb(-2)


def format_money(amount: Decimal, currency: Currency, locale: str) -> str:
    """The amount as people write it: R$ 1.234,56; in English R$ 1,234.56."""
    number = f"{abs(amount):,.2f}"
    if locale != "en":
        number = number.translate(str.maketrans(",.", ".,"))
    return f"{'-' if amount < 0 else ''}{_SYMBOLS[currency]} {number}"
