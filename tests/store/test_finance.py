"""A ledger is exact, belongs to one user of one owner, and is changed only as it was asked for."""

import json
import random
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import ValidationError
from pydantic_core import to_json

from tests.schema import new_database
from wtai.ai.tools.finance import FinanceConfig, finance_tools
from wtai.ai.tools.finance_ledger import SHOWN
from wtai.ai.tools.money import MOST, format_money
from wtai.ai.tools.tool import IDENTITY, AnyTool, Effect, ToolContext, ToolError
from wtai.conversation.inbox import receive
from wtai.conversation.model import Inbound, Kind
from wtai.db.sqlite import SqliteDatabase
from wtai.db.tx import OwnerTx
from wtai.identity.preferences import Preferences
from wtai.identity.store import create_owner

FRIDAY = int(datetime(2026, 11, 20, 15, 0, tzinfo=UTC).timestamp() * 1000)
MOST_OF_A_RESULT = 4_000
SQL_LIKE = "'); DROP TABLE ledger_entries; -- \" % _ \\ :owner ?1"


@dataclass(frozen=True)
class Person:
    """A user of an owner who writes."""

    context: ToolContext

    def at(self, now: int) -> "Person":
        return self.seen(now=now)

    def seen(self, **changes: object) -> "Person":
        values = {name: getattr(self.context, name) for name in ToolContext.__slots__}
        return Person(ToolContext(**{**values, **changes}))


@dataclass
class Desk:
    """The finance tools over a real database, as a turn uses them: arguments from JSON, results to JSON."""

    database: SqliteDatabase
    people: list[Person] = field(default_factory=list)
    tools: dict[str, AnyTool] = field(default_factory=lambda: by_name(FinanceConfig()))

    async def use(self, person: Person, name: str, **arguments: object) -> dict:
        tool = self.tools[name]
        parsed = tool.arguments.model_validate_json(json.dumps(arguments))
        assert tool.work is not None
        run = self.database.read if tool.effect is Effect.READ else self.database.write
        return json.loads(to_json(await run(person.context.owner_id, tool.work, person.context, parsed)))

    async def question(self, person: Person, name: str, **arguments: object) -> str:
        tool = self.tools[name]
        parsed = tool.arguments.model_validate_json(json.dumps(arguments))
        assert tool.question is not None
        assert tool.must_ask(parsed)
        return await self.database.read(person.context.owner_id, tool.question, person.context, parsed)

    def asks(self, name: str, **arguments: object) -> bool:
        tool = self.tools[name]
        return tool.must_ask(tool.arguments.model_validate_json(json.dumps(arguments)))

    async def entries(self, person: Person) -> list[dict]:
        return (await self.use(person, "list_entries", period="tudo"))["entries"]

    async def rows(self) -> int:
        return await self.database.system_read(lambda tx: int(tx.all("SELECT count(*) AS n FROM ledger_entries")[0]["n"]))


def by_name(config: FinanceConfig) -> dict[str, AnyTool]:
    return {tool.name: tool for tool in finance_tools(config)}


def arrival(tx: OwnerTx, number: int) -> ToolContext:
    """A user writes for the first time."""
    address = f"whatsapp:+55119876543{number:02}"
    inbound = Inbound("whatsapp", f"SM{number}", "whatsapp:+551140001234", address, (address,), (), Kind.TEXT, "oi")
    received = receive(tx, inbound, Preferences(), now=FRIDAY)
    row = tx.one("SELECT c.user_id, m.id FROM conversations c JOIN messages m ON m.conversation_id = c.id WHERE c.id = :id",
                 id=received.conversation_id)  # fmt: skip
    assert row is not None
    assert received.conversation_id is not None
    return ToolContext(tx.owner_id, row["user_id"], received.conversation_id, row["id"], FRIDAY, "America/Sao_Paulo", "pt-BR")


@pytest.fixture
async def desk(data_dir: Path) -> AsyncIterator[Desk]:
    """Two owners, each with two users."""
    path = data_dir / "wtai.db"
    new_database(path)
    database = await SqliteDatabase.open(path)
    opened = Desk(database)
    for name in ("Casa", "Loja"):
        owner = await database.system_write(create_owner, name, "pt-BR", now=FRIDAY)
        for number in (1, 2):
            opened.people.append(Person(await database.write(owner.id, arrival, number)))
    yield opened
    await database.close()


async def test_spent_32_50_on_lunch_yesterday_is_booked_as_said(desk: Desk) -> None:
    ana = desk.people[0]
    booked = (await desk.use(ana, "add_expense", amount="32,50", date="ontem", category="Alimentacao", description="almoço"))[
        "booked"
    ]
    assert booked.pop("id").startswith("ent_")
    assert booked == {
        "kind": "expense",
        "amount": "32.50",
        "text": "R$ 32,50",
        "date": "2026-11-19",
        "category": "alimentação",
        "description": "almoço",
    }
    kept = await desk.database.read(1, lambda tx: dict(tx.all("SELECT * FROM ledger_entries WHERE owner_id = :owner")[0]))
    assert (kept["amount"], kept["entry_date"], kept["message_id"]) == (3250, "2026-11-19", ana.context.message_id)
    assert (kept["owner_id"], kept["user_id"], kept["created_at"]) == (1, ana.context.user_id, FRIDAY)


async def test_what_is_left_out_is_today_in_the_last_category(desk: Desk) -> None:
    booked = (await desk.use(desk.people[0], "add_income", amount=10))["booked"]
    assert (booked["kind"], booked["date"], booked["category"], booked["description"]) == ("income", "2026-11-20", "outros", "")


async def test_an_entry_late_at_night_is_of_the_owners_day(desk: Desk) -> None:
    ana = desk.people[0].at(int(datetime(2026, 12, 1, 2, 30, tzinfo=UTC).timestamp() * 1000))
    assert (await desk.use(ana, "add_expense", amount="1"))["booked"]["date"] == "2026-11-30"
    assert (await desk.use(ana.seen(time_zone="Europe/Madrid"), "add_expense", amount="1"))["booked"]["date"] == "2026-12-01"
    assert (await desk.use(ana, "get_balance", period="mês"))["of_period"]["period"] == "2026-11-01..2026-11-30"


async def test_a_category_of_the_persons_own_is_kept_under_one_spelling(desk: Desk) -> None:
    ana, bia = desk.people[:2]
    for name in ("Ração do Rex", "racao do  rex", "RAÇÃO DO REX"):
        assert (await desk.use(ana, "add_expense", amount="5", category=name))["booked"]["category"] == "ração do rex"
    assert (await desk.use(ana, "list_entries", category="RACAO do rex"))["totals"]["expenses"]["amount"] == "15.00"
    with pytest.raises(ToolError, match="There is no category of this name; take one of: alimentação") as told:
        await desk.use(bia, "list_entries", category="ração do rex")
    assert "rex" not in str(told.value)


async def test_a_statement_totals_everything_and_lists_the_newest(desk: Desk) -> None:
    ana = desk.people[0]
    for number in range(SHOWN + 6):
        day = (date(2026, 11, 1) + timedelta(number % 10)).isoformat()
        await desk.use(ana, "add_expense", amount=f"{number + 1}.10", date=day, category="lazer")
    await desk.use(ana, "add_income", amount="5000", date="dia 5", category="salário")
    await desk.use(ana, "add_expense", amount="77.77", date="2026-10-31")
    statement = await desk.use(ana, "list_entries")
    spent = sum((Decimal(f"{number + 1}.10") for number in range(SHOWN + 6)), Decimal(0))
    assert statement["period"] == "2026-11-01..2026-11-30"
    assert statement["totals"]["count"] == SHOWN + 7
    assert statement["totals"]["expenses"]["amount"] == str(spent)
    assert statement["totals"]["income"] == {"amount": "5000.00", "text": "R$ 5.000,00"}
    assert statement["totals"]["balance"] == {"amount": str(5000 - spent), "text": format_money(5000 - spent, "BRL", "pt-BR")}
    assert statement["more"] is True
    dates = [entry["date"] for entry in statement["entries"]]
    assert len(dates) == SHOWN
    assert dates == sorted(dates, reverse=True)
    only = await desk.use(ana, "list_entries", kind="income", category="salario", period="novembro")
    assert [entry["text"] for entry in only["entries"]] == ["R$ 5.000,00"]
    assert only["more"] is False
    assert (await desk.use(ana, "list_entries", period="mês passado"))["totals"]["expenses"]["text"] == "R$ 77,77"


async def test_the_longest_results_fit_into_what_a_tool_may_say(desk: Desk) -> None:
    ana = desk.people[0]
    for number in range(SHOWN + 20):
        category = f"categoria de nome comprido número {number:09}"
        for day in ("2026-11-10", "2026-10-10"):
            await desk.use(ana, "add_expense", amount=str(MOST), date=day, category=category[:40], description="d" * 200)
    for name, arguments in (("list_entries", {}), ("get_balance", {"period": "mês"}), ("monthly_summary", {})):
        assert (
            len(json.dumps(await desk.use(ana, name, **arguments), ensure_ascii=False, separators=(",", ":"))) <= MOST_OF_A_RESULT
        ), name


async def test_the_balance_is_of_today_and_tells_what_is_booked_ahead_apart(desk: Desk) -> None:
    ana = desk.people[0]
    assert (await desk.use(ana, "get_balance"))["totals"]["balance"]["text"] == "R$ 0,00"
    await desk.use(ana, "add_income", amount="100", date="2025-01-31")
    await desk.use(ana, "add_expense", amount="30.05", date="hoje")
    await desk.use(ana, "add_expense", amount="500", date="amanhã")
    balance = await desk.use(ana, "get_balance", period="2026-11")
    assert balance["today"] == "2026-11-20"
    assert balance["totals"]["balance"] == {"amount": "69.95", "text": "R$ 69,95"}
    assert balance["ahead"]["expenses"]["amount"] == "500.00"
    assert balance["of_period"]["totals"]["balance"] == {"amount": "-530.05", "text": "-R$ 530,05"}
    tomorrow = await desk.use(ana.at(FRIDAY + 86_400_000), "get_balance")
    assert (tomorrow["totals"]["balance"]["amount"], tomorrow["ahead"], tomorrow["of_period"]) == ("-430.05", None, None)


async def test_a_month_is_summed_up_against_the_month_before(desk: Desk) -> None:
    ana = desk.people[0]
    for amount, day, category in (
        ("100", "2026-11-02", "mercado"), ("50.50", "2026-11-30", "mercado"), ("20", "2026-11-10", "lazer"),
        ("80", "2026-10-01", "mercado"), ("10", "2026-10-31", "saúde"), ("999", "2026-09-30", "lazer"),
    ):  # fmt: skip
        await desk.use(ana, "add_expense", amount=amount, date=day, category=category)
    await desk.use(ana, "add_income", amount="1000", date="2026-10-05", category="salário")
    summary = await desk.use(ana, "monthly_summary")
    assert (summary["month"], summary["month_before"], summary["over"]) == ("2026-11", "2026-10", False)
    assert summary["totals"]["expenses"]["text"] == "R$ 170,50"
    assert summary["totals_before"]["expenses"]["text"] == "R$ 90,00"
    assert summary["expenses_difference"] == {"amount": "80.50", "text": "R$ 80,50"}
    assert summary["income_difference"] == {"amount": "-1000.00", "text": "-R$ 1.000,00"}
    assert [(one["kind"], one["category"], one["text"], one["before"]) for one in summary["categories"]] == [
        ("expense", "mercado", "R$ 150,50", "R$ 80,00"),
        ("expense", "lazer", "R$ 20,00", "R$ 0,00"),
        ("income", "salário", "R$ 0,00", "R$ 1.000,00"),
        ("expense", "saúde", "R$ 0,00", "R$ 10,00"),
    ]
    assert (await desk.use(ana, "monthly_summary", month="mês passado"))["over"] is True
    for wrong in ("semana", "2026", "tudo", "0001-01"):
        with pytest.raises(ToolError, match="takes one month"):
            await desk.use(ana, "monthly_summary", month=wrong)


async def test_any_field_of_an_entry_can_be_corrected_and_the_rest_stays(desk: Desk) -> None:
    ana = desk.people[0]
    entry = (await desk.use(ana, "add_expense", amount="32.50", date="ontem", category="lazer", description="almoço"))["booked"]
    for change, shown in (
        ({"amount": "23,50"}, {"amount": "23.50", "text": "R$ 23,50"}),
        ({"date": "anteontem"}, {"date": "2026-11-18"}),
        ({"category": "alimentacao"}, {"category": "alimentação"}),
        ({"description": "jantar"}, {"description": "jantar"}),
        ({"description": ""}, {"description": ""}),
        ({"kind": "income"}, {"kind": "income"}),
    ):
        changed = await desk.use(ana, "edit_entry", id=entry["id"], **change)
        assert changed == {"before": entry, "after": {**entry, **shown}}
        entry = changed["after"]
        assert await desk.entries(ana) == [entry]
    for nothing in ({}, {"amount": "23.50"}, {"kind": "income", "date": "2026-11-18"}):
        with pytest.raises(ToolError, match="already says that"):
            await desk.use(ana, "edit_entry", id=entry["id"], **nothing)


async def test_what_is_deleted_is_gone_and_nothing_else(desk: Desk) -> None:
    ana = desk.people[0]
    first = (await desk.use(ana, "add_expense", amount="1"))["booked"]
    second = (await desk.use(ana, "add_expense", amount="2"))["booked"]
    assert await desk.use(ana, "delete_entry", id=first["id"]) == {"deleted": first}
    assert await desk.entries(ana) == [second]
    with pytest.raises(ToolError, match="no entry with this id"):
        await desk.use(ana, "delete_entry", id=first["id"])


@pytest.mark.parametrize(
    ("locale", "delete", "delete_all", "add", "edit"),
    [
        (
            "pt-BR",
            "Apagar a despesa de R$ 32,50 (almoço) de 20/11/2026?",
            "Apagar de vez todos os 2 lançamentos (receitas de R$ 1.234,56 e despesas de R$ 32,50)?",
            "Lançar a receita de R$ 1.000,01 (salário) de 05/11/2026?",
            (
                "Mudar a despesa de R$ 32,50 (almoço, alimentação) de 20/11/2026 para a despesa de R$ 2.000,00 (almoço, lazer) "
                "de 20/11/2026?"
            ),
        ),
        (
            "es",
            "¿Borrar el gasto de R$ 32,50 (almoço) del 20/11/2026?",
            "¿Borrar para siempre los 2 movimientos (ingresos de R$ 1.234,56 y gastos de R$ 32,50)?",
            "¿Registrar el ingreso de R$ 1.000,01 (salário) del 05/11/2026?",
            (
                "¿Cambiar el gasto de R$ 32,50 (almoço, alimentação) del 20/11/2026 por el gasto de R$ 2.000,00 (almoço, lazer) "
                "del 20/11/2026?"
            ),
        ),
        (
            "en",
            "Delete the R$ 32.50 expense (almoço) of 20 Nov 2026?",
            "Permanently delete all 2 entries (income of R$ 1,234.56, expenses of R$ 32.50)?",
            "Record the R$ 1,000.01 income (salário) of 5 Nov 2026?",
            (
                "Change the R$ 32.50 expense (almoço, alimentação) of 20 Nov 2026 to the R$ 2,000.00 expense (almoço, lazer) of "
                "20 Nov 2026?"
            ),
        ),
    ],
)
async def test_a_question_names_the_exact_effect(
    desk: Desk, locale: str, delete: str, delete_all: str, add: str, edit: str
) -> None:
    ana = desk.people[0].seen(locale=locale)
    entry = (await desk.use(ana, "add_expense", amount="32.50", category="alimentação", description="almoço"))["booked"]
    await desk.use(ana, "add_income", amount="1234.56")
    assert await desk.question(ana, "delete_entry", id=entry["id"]) == delete
    assert await desk.question(ana, "delete_all_entries") == delete_all
    assert await desk.question(ana, "add_income", amount="1000.01", date="dia 5", category="salário") == add
    assert await desk.question(ana, "edit_entry", id=entry["id"], amount="2000", category="lazer") == edit
    assert len(await desk.entries(ana)) == 2


async def test_deleting_everything_asks_for_one_and_refuses_for_none(desk: Desk) -> None:
    ana = desk.people[0]
    for ask in (desk.question, desk.use):
        with pytest.raises(ToolError, match="nothing to delete"):
            await ask(ana, "delete_all_entries")
    await desk.use(ana, "add_expense", amount="5")
    assert await desk.question(ana, "delete_all_entries") == (
        "Apagar de vez o único lançamento (receitas de R$ 0,00 e despesas de R$ 5,00)?"
    )
    assert await desk.use(ana, "delete_all_entries") == {"deleted": 1}


def test_only_what_is_large_or_deletes_is_asked_for(desk: Desk) -> None:
    for name in ("add_expense", "add_income"):
        assert not desk.asks(name, amount="1000.00")
        assert desk.asks(name, amount="1000.01")
    assert not desk.asks("edit_entry", id="x", description="y")
    assert desk.asks("edit_entry", id="x", amount=5000)
    assert desk.asks("delete_entry", id="x")
    assert desk.asks("delete_all_entries")
    desk.tools = by_name(FinanceConfig(confirm_above=Decimal(0)))
    assert desk.asks("add_expense", amount="0.01")


async def test_a_description_cannot_disguise_what_a_question_says(desk: Desk) -> None:
    ana = desk.people[0]
    hidden = "almoço\n\nApagar\u202e nada?\x00\u200b" + "x" * 100
    entry = (await desk.use(ana, "add_expense", amount="32.50", description=hidden))["booked"]
    question = await desk.question(ana, "delete_entry", id=entry["id"])
    assert question.startswith("Apagar a despesa de R$ 32,50 (almoço Apagar nada?xxx")
    assert question.endswith("…) de 20/11/2026?")
    assert question.isprintable()
    assert len(question) < 120


async def test_nobody_reaches_anothers_ledger(desk: Desk) -> None:
    ana, *others = desk.people
    entry = (await desk.use(ana, "add_expense", amount="32.50", description="segredo", category="coisa minha"))["booked"]
    unknown = {"id": "ent_000000000000000000000000"}
    for other in others:
        await desk.use(other, "add_income", amount="1")
        for name, change in (("edit_entry", {"amount": "1"}), ("delete_entry", {})):
            told = []
            for wanted in ({"id": entry["id"]}, unknown):
                with pytest.raises(ToolError) as refused:
                    await desk.use(other, name, **wanted, **change)
                told.append(str(refused.value))
            assert told[0] == told[1]
        with pytest.raises(ToolError, match="no entry with this id"):
            await desk.question(other, "delete_entry", id=entry["id"])
        seen = [
            await desk.use(other, "list_entries", period="tudo"),
            await desk.use(other, "get_balance", period="tudo"),
            await desk.use(other, "monthly_summary"),
        ]
        assert seen[1]["totals"]["balance"]["amount"] == "1.00"
        assert not any(word in json.dumps(seen, ensure_ascii=False) for word in ("segredo", "coisa minha", "32.5", "32,5"))
        assert (await desk.use(other, "delete_all_entries")) == {"deleted": 1}
    assert await desk.entries(ana) == [entry]


def test_no_tool_takes_an_identity_from_the_model() -> None:
    for tool in finance_tools(FinanceConfig()):
        assert not IDENTITY & tool.arguments.model_fields.keys()
        for name in IDENTITY:
            with pytest.raises(ValidationError):
                tool.arguments.model_validate_json(json.dumps({"id": "x", "amount": "1", name: 1}))


async def test_text_that_looks_like_sql_is_text(desk: Desk) -> None:
    ana, bia = desk.people[:2]
    await desk.use(bia, "add_income", amount="7")
    booked = (await desk.use(ana, "add_expense", amount="1", description=SQL_LIKE, category=SQL_LIKE[:39]))["booked"]
    assert booked["description"] == SQL_LIKE
    assert booked["category"] == SQL_LIKE[:39].lower()
    assert (await desk.use(ana, "list_entries", category=SQL_LIKE[:39]))["entries"] == [booked]
    for name, arguments in (
        ("add_expense", {"amount": "1", "date": SQL_LIKE[:39]}),
        ("list_entries", {"period": SQL_LIKE}),
        ("list_entries", {"category": "' OR '1'='1"}),
        ("get_balance", {"period": SQL_LIKE}),
        ("monthly_summary", {"month": SQL_LIKE}),
        ("edit_entry", {"id": "' OR '1'='1", "amount": "5"}),
        ("edit_entry", {"id": booked["id"], "date": "x' OR 1=1"}),
        ("delete_entry", {"id": "' OR '1'='1"}),
        ("delete_entry", {"id": "%"}),
    ):
        with pytest.raises(ToolError):
            await desk.use(ana, name, **arguments)
    for name, arguments in (("add_expense", {"amount": SQL_LIKE}), ("list_entries", {"kind": SQL_LIKE})):
        with pytest.raises(ValidationError):
            await desk.use(ana, name, **arguments)
    assert await desk.rows() == 2


@pytest.mark.parametrize(
    "amount", ["-5", -5, 0, "0", "1e9", 1e9, "NaN", float("nan"), float("inf"), "1000000000", "5.001", True, None, "R$ 5"]
)
async def test_an_amount_that_is_none_books_nothing(desk: Desk, amount: object) -> None:
    with pytest.raises(ValidationError):
        await desk.use(desk.people[0], "add_expense", amount=amount)
    assert await desk.rows() == 0


@pytest.mark.parametrize("day", ["2028-11-20", "1969-12-31", "0001-01-01", "9999-12-31"])
async def test_a_day_too_far_away_is_sent_back(desk: Desk, day: str) -> None:
    with pytest.raises(ToolError, match="check the year"):
        await desk.use(desk.people[0], "add_expense", amount="5", date=day)
    assert await desk.rows() == 0


async def test_an_action_frozen_as_json_says_the_same_when_it_thaws(desk: Desk) -> None:
    for name, arguments in (
        ("add_expense", {"amount": 1500.5, "date": "ontem", "description": "ação “x”"}),
        ("edit_entry", {"id": "ent_1", "amount": "2.000,00", "kind": "income"}),
        ("delete_all_entries", {}),
    ):
        tool = desk.tools[name]
        parsed = tool.arguments.model_validate_json(json.dumps(arguments))
        assert tool.arguments.model_validate_json(parsed.model_dump_json(exclude_unset=True)) == parsed


async def test_the_largest_amounts_add_up_exactly(desk: Desk) -> None:
    ana = desk.people[0]
    for _ in range(7):
        await desk.use(ana, "add_income", amount=str(MOST))
    await desk.use(ana, "add_expense", amount="0.01")
    assert (await desk.use(ana, "get_balance"))["totals"]["balance"]["amount"] == str(MOST * 7 - Decimal("0.01"))


async def test_a_thousand_random_operations_agree_with_a_plain_model(desk: Desk) -> None:
    chance = random.Random(20261120)
    books: list[dict[str, dict]] = [{} for _ in desk.people]
    done: Counter[str] = Counter()
    for _ in range(1000):
        number = chance.randrange(len(desk.people))
        person, book = desk.people[number], books[number]
        operation = chance.choices(["add", "edit", "delete", "foreign", "all", "check"], [50, 20, 12, 8, 1, 9])[0]
        done[operation] += 1
        amount = str(Decimal(chance.randrange(1, 10_000_000)).scaleb(-2))
        day = (date(2026, 11, 20) - timedelta(chance.randrange(400))).isoformat()
        if operation == "add":
            name = chance.choice(["add_income", "add_expense"])
            booked = (await desk.use(person, name, amount=amount, date=day, category=chance.choice(["lazer", "Saúde"])))["booked"]
            book[booked["id"]] = booked
        elif operation == "edit" and book:
            entry = chance.choice(list(book))
            book[entry] = (await desk.use(person, "edit_entry", id=entry, amount=amount, date=day, description=f"n {amount}"))[
                "after"
            ]
        elif operation == "delete" and book:
            entry = chance.choice(list(book))
            assert (await desk.use(person, "delete_entry", id=entry))["deleted"] == book.pop(entry)
        elif operation == "foreign" and (theirs := books[number - 1]):
            with pytest.raises(ToolError):
                await desk.use(person, chance.choice(["delete_entry", "edit_entry"]), id=chance.choice(list(theirs)))
        elif operation == "all" and book:
            assert await desk.use(person, "delete_all_entries") == {"deleted": len(book)}
            book.clear()
        elif operation == "check":
            await agrees(desk, person, book)
    assert min(done.values()) > 0
    for person, book in zip(desk.people, books, strict=True):
        await agrees(desk, person, book)
    assert await desk.rows() == sum(map(len, books))


async def agrees(desk: Desk, person: Person, book: dict[str, dict]) -> None:
    """The ledger says of this person what the plain model does."""
    signed = {"income": 1, "expense": -1}
    balance = sum((Decimal(entry["amount"]) * signed[entry["kind"]] for entry in book.values()), Decimal("0.00"))
    totals = (await desk.use(person, "get_balance"))["totals"]
    assert (totals["balance"]["amount"], totals["count"]) == (str(balance), len(book))
    october = [entry for entry in book.values() if entry["date"].startswith("2026-10") and entry["category"] == "saúde"]
    statement = await desk.use(person, "list_entries", period="2026-10", category="saude")
    assert statement["totals"]["count"] == len(october)
    listed = {entry["id"]: entry for entry in statement["entries"]}
    assert len(listed) == min(SHOWN, len(october))
    assert all(book[entry_id] == entry for entry_id, entry in listed.items())
