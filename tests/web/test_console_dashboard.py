"""The dashboard without a browser: its figures are the owner's own and current, its CSV is text to a spreadsheet."""

import csv
import html
import re
from collections.abc import AsyncIterator
from io import StringIO
from pathlib import Path

import pytest

from tests.program import away_from_the_hour, person
from tests.web.console_client import Staff, Visitor, open_staff
from wtai.web.console.dashboard_table import Column, Line, Table, Unit, csv_of, plain, shown

PATH = "/console/dashboard"
TABLES = (
    "messages", "conversations", "ai-response", "staff-response", "containment", "handoffs", "endings", "closure-scores",
    "failed-sends", "cost", "tokens", "usage",
)  # fmt: skip


@pytest.fixture
async def staff(data_dir: Path) -> AsyncIterator[Staff]:
    async with open_staff(data_dir) as opened:
        yield opened


async def sheet(visitor: Visitor, table: str, **query: str) -> list[list[str]]:
    words = "&".join(f"{name}={value}" for name, value in query.items())
    reply = await visitor.get(f"{PATH}/{table}.csv?{words}")
    assert reply.status == 200
    assert reply.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert "attachment" in reply.headers["Content-Disposition"]
    return list(csv.reader(StringIO(reply.text.lstrip("\ufeff"), newline="")))


def table_of(text: str, name: str) -> list[list[str]]:
    section = text[text.index(f'id="figure-{name}"') :].partition("</section>")[0]
    rows = re.findall(r"<tr>(.*?)</tr>", section, re.DOTALL)
    return [[html.unescape(cell) for cell in re.findall(r"<t[hd][^>]*>([^<]*)</t[hd]>", row)] for row in rows]


@pytest.mark.parametrize("period", ["24h", "7d", "30d", "90d"])
async def test_what_happened_a_second_ago_is_on_the_page_and_in_its_csv(staff: Staff, period: str) -> None:
    await away_from_the_hour()
    await staff.conversation(person(1), "oi")
    await staff.conversation(person(2), "quero falar com uma pessoa")
    page = await staff.admin.get(f"{PATH}?period={period}")
    assert page.status == 200
    told = table_of(page.text, "messages")
    assert told[0] == ["Hour" if period == "24h" else "Day", "Customers", "AI", "Staff", "System"]
    assert told[-1][1:] == ["2", "1", "0", "1"]
    assert len(told) == {"24h": 25, "7d": 8, "30d": 31, "90d": 91}[period]
    written = await sheet(staff.admin, "messages", period=period)
    assert [row[1:] for row in written] == [row[1:] for row in told]
    assert table_of(page.text, "handoffs")[1][:2] == ["The customer asked for a person", "1"]
    assert (await sheet(staff.admin, "conversations", period=period))[-1][1:] == ["2", "0"]
    answered = (await sheet(staff.admin, "ai-response", period=period))[-1]
    assert 0 <= float(answered[1]) <= float(answered[2]) < 20
    assert answered[3] == "1"


async def test_every_table_is_there_as_csv_in_the_visitors_language(staff: Staff) -> None:
    await staff.conversation(person(1), "oi")
    staff.admin.language = "pt-BR"
    for table in TABLES:
        assert len(await sheet(staff.admin, table, period="90d")) >= 1
    assert (await sheet(staff.admin, "messages"))[0] == ["Dia", "Clientes", "IA", "Equipe", "Sistema"]
    assert (await staff.admin.get(f"{PATH}/nothing.csv")).status == 404


async def test_one_owner_sees_nothing_of_another(staff: Staff) -> None:
    await staff.conversation(person(1), "oi")
    await staff.admin.get(PATH)
    for table in TABLES:
        assert not any(re.search(r"[1-9]", cell) for row in (await sheet(staff.other, table))[1:] for cell in row[1:])


async def test_a_specialist_is_shown_alone(staff: Staff) -> None:
    await staff.conversation(person(1), "oi")
    general = await sheet(staff.admin, "messages", feature="general")
    assert general[-1][1:] == ["0", "1", "0", "0"]
    assert not any(
        re.search(r"[1-9]", cell) for row in (await sheet(staff.admin, "messages", feature="finance"))[1:] for cell in row[1:]
    )
    assert (await staff.admin.get(f"{PATH}?feature=%3Cscript%3Ealert(1)%3C/script%3E")).text.count("<script>") == 0


async def test_it_is_for_administrators(staff: Staff) -> None:
    assert (await staff.agent.get(PATH)).status == 403
    assert (await staff.agent.get(f"{PATH}/messages.csv")).status == 403
    assert (await staff.nobody.get(PATH)).status == 303


async def test_an_open_page_gets_the_figures_alone(staff: Staff) -> None:
    part = await staff.admin.get(PATH, HX_Request="true")
    assert "<html" not in part.text
    assert 'class="tiles"' in part.text


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_no_cell_of_the_csv_is_a_formula(start: str) -> None:
    evil = f'{start}HYPERLINK("http://evil.example";"x")'
    table = Table(evil, [Column(evil)], [Line(evil, evil, [1], evil)], about=evil)
    rows = list(csv.reader(StringIO(csv_of(table).decode("utf-8-sig"), newline="")))
    assert rows == [[f"'{evil}"] * 3, [f"'{evil}", f"'{evil}", "1"]]
    assert plain("3,5") == "3,5"


@pytest.mark.parametrize(
    ("value", "unit", "english", "portuguese"),
    [
        (1_234_567, Unit.COUNT, "1,234,567", "1.234.567"),
        (0.5, Unit.SHARE, "50%", "50%"),
        (None, Unit.SHARE, "–", "–"),
        (1_500_000, Unit.DOLLARS, "US$ 1.50", "US$ 1,50"),
        (1_200, Unit.DOLLARS, "US$ 0.0012", "US$ 0,0012"),
        (0, Unit.DOLLARS, "US$ 0.00", "US$ 0,00"),
        (2_449, Unit.WAIT, "2.4 s", "2,4 s"),
        (59_990, Unit.WAIT, "1 min", "1 min"),
        (3_599_000, Unit.WAIT, "1 h 00 min", "1 h 00 min"),
        (7_500_000, Unit.WAIT, "2 h 05 min", "2 h 05 min"),
        (200_000_000, Unit.WAIT, "2 d 7 h", "2 d 7 h"),
    ],
)
def test_values_are_written_as_people_read_them(value: float, unit: Unit, english: str, portuguese: str) -> None:
    assert (shown(value, unit, "en"), shown(value, unit, "pt-BR")) == (english, portuguese)
