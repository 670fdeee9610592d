"""Moments and birthdays as people and models write them: what is certain is read, the rest is sent back with the mend."""

from datetime import date, datetime, time
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wtai.ai.tools.birthdays import Birthday, read_birthday
from wtai.ai.tools.moments import Moment, read_moment
from wtai.ai.tools.tool import ToolContext, ToolError

ZONE = "America/Sao_Paulo"
NOW = datetime(2026, 11, 20, 14, 30, tzinfo=ZoneInfo(ZONE))
CONTEXT = ToolContext(1, 1, 1, 1, int(NOW.timestamp() * 1000), ZONE, "pt-BR")
TODAY, TOMORROW = date(2026, 11, 20), date(2026, 11, 21)


@pytest.mark.parametrize(
    ("when", "day", "at"),
    [
        ("2026-11-22T09:00", date(2026, 11, 22), time(9)),
        ("2026-11-22 09:00:00", date(2026, 11, 22), time(9)),
        ("2026-11-22T12:00Z", date(2026, 11, 22), time(9)),
        ("2026-11-22T01:00+00:00", TOMORROW, time(22)),
        ("2026-11-22", date(2026, 11, 22), None),
        ("2026-11-22 às 9h", date(2026, 11, 22), time(9)),
        ("amanhã", TOMORROW, None),
        ("amanhã às 9h", TOMORROW, time(9)),
        ("Amanhã às 9", TOMORROW, time(9)),
        ("amanhã 9h30", TOMORROW, time(9, 30)),
        ("amanhã, 9:30", TOMORROW, time(9, 30)),
        ("amanhã às 9 da noite", TOMORROW, time(21)),
        ("amanhã às 3 da tarde", TOMORROW, time(15)),
        ("amanhã às 15h da tarde", TOMORROW, time(15)),
        ("amanhã às 8 da manhã", TOMORROW, time(8)),
        ("amanhã ao meio-dia", TOMORROW, time(12)),
        ("às 9h de amanhã", TOMORROW, time(9)),
        ("9h da manhã de amanhã", TOMORROW, time(9)),
        ("sexta 15:30", date(2026, 11, 27), time(15, 30)),
        ("segunda-feira às 8h", date(2026, 11, 23), time(8)),
        ("20/12 às 10h", date(2026, 12, 20), time(10)),
        ("20/12", date(2026, 12, 20), None),
        ("dia 5", date(2026, 12, 5), None),
        ("dia 5 às 7", date(2026, 12, 5), time(7)),
        ("25 de dezembro às 20h", date(2026, 12, 25), time(20)),
        ("daqui a 2 dias às 9h", date(2026, 11, 22), time(9)),
        ("daqui a uma semana", date(2026, 11, 27), None),
        ("hoje às 18h", TODAY, time(18)),
        ("18h", None, time(18)),
        ("às 18:15", None, time(18, 15)),
        ("daqui a 20 minutos", TODAY, time(14, 50)),
        ("em 2 horas", TODAY, time(16, 30)),
        ("em 1h", TODAY, time(15, 30)),
        ("daqui a meia hora", TODAY, time(15)),
        ("daqui a 10 horas", TOMORROW, time(0, 30)),
        ("mañana a las 9", TOMORROW, time(9)),
        ("mañana a las 9 de la noche", TOMORROW, time(21)),
        ("dentro de una hora", TODAY, time(15, 30)),
        ("el viernes a las 10:00", date(2026, 11, 27), time(10)),
        ("tomorrow at 9am", TOMORROW, time(9)),
        ("tomorrow at 9 p.m.", TOMORROW, time(21)),
        ("tomorrow at noon", TOMORROW, time(12)),
        ("tomorrow at 12am", TOMORROW, time(0)),
        ("on friday at 3 pm", date(2026, 11, 27), time(15)),
        ("in 20 minutes", TODAY, time(14, 50)),
    ],
)
def test_a_moment_is_read_as_people_write_it(when: str, day: date | None, at: time | None) -> None:
    assert read_moment(when, None, CONTEXT) == Moment(day, at)


@pytest.mark.parametrize(
    "when",
    [
        "qualquer dia",
        "",
        "mais tarde",
        "amanhã de manhã",
        "amanhã às 25h",
        "amanhã às 9:75",
        "amanhã à meia-noite",
        "às 12 da noite",
        "às 3 da noite",
        "tomorrow at 15pm",
        "2026-02-30T09:00",
        "2026-11-22T25:00",
        "0001-01-01T00:00+14:00",
        "31/02 às 9h",
        "9; DROP TABLE reminders",
        "em",
        "::",
    ],
)
def test_what_cannot_be_read_for_certain_is_sent_back_with_the_mend(when: str) -> None:
    with pytest.raises(ToolError, match="write it as"):
        read_moment(when, None, CONTEXT)


@pytest.mark.parametrize(
    ("clock", "at"), [("09:00", time(9)), ("9", time(9)), ("9h", time(9)), ("às 21h15", time(21, 15)), ("3pm", time(15))]
)
def test_the_time_may_be_told_beside_the_day(clock: str, at: time) -> None:
    assert read_moment("amanhã", clock, CONTEXT) == Moment(TOMORROW, at)
    assert read_moment(None, clock, CONTEXT) == Moment(None, at)


def test_the_same_time_told_twice_is_one_and_two_times_are_refused() -> None:
    assert read_moment("amanhã às 9h", "09:00", CONTEXT) == Moment(TOMORROW, time(9))
    with pytest.raises(ToolError, match="give one of them"):
        read_moment("amanhã às 9h", "10:00", CONTEXT)
    with pytest.raises(ToolError, match="HH:MM"):
        read_moment("amanhã", "cedo", CONTEXT)


@given(st.text(max_size=80))
def test_no_text_breaks_the_reader(text: str) -> None:
    try:
        moment = read_moment(text, None, CONTEXT)
    except ToolError:
        return
    assert moment != Moment(None, None)


@given(st.datetimes(datetime.fromisoformat("2026-11-21"), datetime.fromisoformat("2035-01-01")))
def test_an_iso_moment_is_taken_as_it_stands(moment: datetime) -> None:
    whole = moment.replace(second=0, microsecond=0)
    assert read_moment(f"{whole:%Y-%m-%dT%H:%M}", None, CONTEXT) == Moment(whole.date(), whole.time())


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("1985-03-12", "1985-03-12"),
        ("--03-12", "--03-12"),
        ("--0312", "--03-12"),
        ("12/03", "--03-12"),
        ("12/3/1985", "1985-03-12"),
        ("12 de março", "--03-12"),
        ("12 de Março de 1985", "1985-03-12"),
        ("dia 1º de maio", "--05-01"),
        ("12 de marzo de 1985", "1985-03-12"),
        ("March 12, 1985", "1985-03-12"),
        ("12th of March", "--03-12"),
        ("29/02", "--02-29"),
        ("29/02/2000", "2000-02-29"),
        ("2026-11-20", "2026-11-20"),
    ],
)
def test_a_birthday_is_kept_with_its_year_or_without(text: str, kept: str) -> None:
    birthday = read_birthday(text, TODAY)
    assert str(birthday) == kept
    assert Birthday.of(kept) == birthday


@pytest.mark.parametrize(
    "text", ["", "maio", "03-12", "31/04", "29/02/1985", "0000-03-12", "1899-12-31", "2026-11-21", "12/13", "não sei"]
)
def test_what_cannot_be_a_birthday_is_refused_with_the_mend(text: str) -> None:
    with pytest.raises(ToolError, match="--MM-DD"):
        read_birthday(text, TODAY)


@pytest.mark.parametrize(
    ("kept", "today", "following", "age", "turns"),
    [
        ("1985-03-12", date(2026, 11, 20), date(2027, 3, 12), 41, 42),
        ("1985-11-20", date(2026, 11, 20), date(2026, 11, 20), 41, 41),
        ("1985-11-21", date(2026, 11, 20), date(2026, 11, 21), 40, 41),
        ("--12-31", date(2026, 11, 20), date(2026, 12, 31), None, None),
        ("--01-01", date(2026, 12, 31), date(2027, 1, 1), None, None),
        ("2000-02-29", date(2027, 2, 27), date(2027, 2, 28), 26, 27),
        ("2000-02-29", date(2027, 2, 28), date(2027, 2, 28), 27, 27),
        ("2000-02-29", date(2027, 3, 1), date(2028, 2, 29), 27, 28),
        ("2000-02-29", date(2028, 2, 28), date(2028, 2, 29), 27, 28),
    ],
)
def test_age_and_the_next_birthday_follow_the_calendar(
    kept: str, today: date, following: date, age: int | None, turns: int | None
) -> None:
    birthday = Birthday.of(kept)
    assert birthday.next_after(today) == following
    assert (birthday.age_on(today), birthday.age_on(following)) == (age, turns)
