"""Amounts are exact from the model's words to the person's eyes."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from wtai.ai.tools.finance import FinanceConfig
from wtai.ai.tools.money import MOST, Amount, format_money, from_cents, read_amount, to_cents
from wtai.ai.tools.tool import Arguments

CENTS = st.integers(1, to_cents(MOST))


class Payment(Arguments):
    """An amount among arguments."""

    amount: Amount


def read(json: str) -> Decimal:
    return Payment.model_validate_json(f'{{"amount": {json}}}').amount


@pytest.mark.parametrize(
    ("json", "cents"),
    [
        ('"32.50"', 3250),
        ('"32,50"', 3250),
        ('"32,5"', 3250),
        ('"32"', 3200),
        ('" 32.5 "', 3250),
        ('"0.01"', 1),
        ('"1.234,56"', 123456),
        ('"1234,56"', 123456),
        ('"1234.56"', 123456),
        ('"1.234.567"', 123456700),
        ('"1.234.567,89"', 123456789),
        ("32.5", 3250),
        ("32", 3200),
        ("0.1", 10),
        ("0.07", 7),
        ("1.10", 110),
        ("1e2", 10000),
        ("999999999.99", 99999999999),
    ],
)
def test_an_amount_is_read_exactly(json: str, cents: int) -> None:
    assert to_cents(read(json)) == cents


@pytest.mark.parametrize(
    "json",
    ['"-5"', "-5", "-0.01", "0", '"0"', '"0,00"', '"1e9"', "1e9", "1e300", "1e400", '"NaN"', "NaN", "Infinity",
     '"-Infinity"', '"inf"',
     '"1000000000"', "1000000000", "1" + "0" * 400, "1" + "0" * 4200,
     '"' + "9" * 400 + '"', "0.001", '"0.001"', "0.30000000000000004", '"32.505"',
     '"1.234"', '"1,234"', "1.234", '"1,234.56"', '"12.34.56"', '"R$ 32,50"', '"32,50 reais"', '"trinta"', '""', '" "', '"٣٢"',
     '"0x10"',
     '"1_000"', '"+5"', '"5; DROP TABLE ledger_entries"', "true", "null", "[]", "{}", '["5"]'],
)  # fmt: skip
def test_what_is_no_certain_amount_is_refused_with_a_mend(json: str) -> None:
    with pytest.raises(ValidationError, match=r"write only the number|check it with the person"):
        read(json)


@given(CENTS)
def test_an_amount_survives_every_notation_and_the_freezing_of_an_action(cents: int) -> None:
    amount = from_cents(cents)
    assert to_cents(amount) == cents
    assert read_amount(str(amount)) == amount
    assert read_amount(format_money(amount, "BRL", "pt-BR").removeprefix("R$ ")) == amount
    assert read(f"{amount}") == amount
    frozen = Payment(amount=amount).model_dump_json(exclude_unset=True)
    assert Payment.model_validate_json(frozen).amount == amount


@given(st.lists(CENTS, max_size=50), st.randoms())
def test_sums_are_the_same_in_any_order(cents: list[int], random) -> None:
    amounts = [from_cents(one) for one in cents]
    random.shuffle(amounts)
    assert sum(amounts, Decimal(0)) == from_cents(sum(cents))


@pytest.mark.parametrize(
    ("cents", "currency", "locale", "text"),
    [
        (3250, "BRL", "pt-BR", "R$ 32,50"),
        (123456789, "BRL", "pt-BR", "R$ 1.234.567,89"),
        (-5, "BRL", "pt-BR", "-R$ 0,05"),
        (0, "BRL", "pt-BR", "R$ 0,00"),
        (123456, "BRL", "es", "R$ 1.234,56"),
        (123456, "USD", "en", "US$ 1,234.56"),
        (100000, "EUR", "es", "€ 1.000,00"),
    ],
)
def test_an_amount_is_written_as_people_read_it(cents: int, currency, locale: str, text: str) -> None:
    assert format_money(from_cents(cents), currency, locale) == text


def test_what_is_not_in_whole_cents_does_not_become_cents() -> None:
    with pytest.raises(ValueError, match="whole cents"):
        to_cents(Decimal("0.001"))


def test_an_owner_may_set_currency_categories_and_the_limit() -> None:
    config = FinanceConfig.model_validate_json(
        '{"currency": "EUR", "categories": ["comida", "otros"], "confirm_above": "250.50"}'
    )
    assert (config.currency, config.categories, config.confirm_above) == ("EUR", ("comida", "otros"), Decimal("250.50"))
    assert FinanceConfig().currency == "BRL"
    assert FinanceConfig().confirm_above == 1000


@pytest.mark.parametrize(
    "json",
    ['{"currency": "CLP"}', '{"currency": "brl"}', '{"categories": []}', '{"categories": [""]}', '{"confirm_above": "NaN"}',
     '{"confirm_above": -1}', '{"limit": 5}'],
)  # fmt: skip
def test_a_setting_that_makes_no_sense_is_refused(json: str) -> None:
    with pytest.raises(ValidationError):
        FinanceConfig.model_validate_json(json)
