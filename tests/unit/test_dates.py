"""Days and periods as people write them: what is certain is read, the rest is sent back with the way to write it."""

from calendar import monthrange
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wtai.ai.tools.dates import Lean, add_months, local_today, resolve_date, spoken_date
from wtai.ai.tools.periods import ALL_TIME, Period, month_of, resolve_period
from wtai.ai.tools.tool import ToolContext, ToolError

FRIDAY = date(2026, 11, 20)
DAYS = st.dates(date(1990, 1, 1), date(2090, 12, 31))


def context(moment: datetime, time_zone: str) -> ToolContext:
    return ToolContext(1, 1, 1, 1, int(moment.timestamp() * 1000), time_zone, "pt-BR")


@pytest.mark.parametrize(
    ("words", "day"),
    [
        ("hoje", FRIDAY),
        ("Hoje", FRIDAY),
        ("hoy", FRIDAY),
        ("today", FRIDAY),
        (" ontem ", date(2026, 11, 19)),
        ("ayer", date(2026, 11, 19)),
        ("anteontem", date(2026, 11, 18)),
        ("antes de ayer", date(2026, 11, 18)),
        ("the day before yesterday", date(2026, 11, 18)),
        ("amanhã", date(2026, 11, 21)),
        ("AMANHA", date(2026, 11, 21)),
        ("mañana", date(2026, 11, 21)),
        ("depois de amanhã", date(2026, 11, 22)),
        ("pasado mañana", date(2026, 11, 22)),
        ("segunda", date(2026, 11, 16)),
        ("na segunda-feira", date(2026, 11, 16)),
        ("el lunes", date(2026, 11, 16)),
        ("on monday", date(2026, 11, 16)),
        ("sábado", date(2026, 11, 14)),
        ("terça passada", date(2026, 11, 17)),
        ("sábado que vem", date(2026, 11, 21)),
        ("próxima terça", date(2026, 11, 24)),
        ("last monday", date(2026, 11, 16)),
        ("next monday", date(2026, 11, 23)),
        ("2026-11-02", date(2026, 11, 2)),
        ("02/11", date(2026, 11, 2)),
        ("2/11/2025", date(2025, 11, 2)),
        ("2/11/25", date(2025, 11, 2)),
        ("02.11.2025", date(2025, 11, 2)),
        ("em 02/11", date(2026, 11, 2)),
        ("dia 5", date(2026, 11, 5)),
        ("no dia 31", date(2026, 10, 31)),
        ("5 de março", date(2026, 3, 5)),
        ("1º de janeiro de 2025", date(2025, 1, 1)),
        ("5 de mayo", date(2026, 5, 5)),
        ("Nov 5th, 2025", date(2025, 11, 5)),
        ("há 3 dias", date(2026, 11, 17)),
        ("três dias atrás", date(2026, 11, 17)),
        ("hace una semana", date(2026, 11, 13)),
        ("2 weeks ago", date(2026, 11, 6)),
        ("há um mês", date(2026, 10, 20)),
        ("daqui a 3 dias", date(2026, 11, 23)),
        ("em uma semana", date(2026, 11, 27)),
        ("in 2 days", date(2026, 11, 22)),
    ],
)
def test_a_day_is_read_in_the_words_people_use(words: str, day: date) -> None:
    assert resolve_date(words, FRIDAY) == day


@pytest.mark.parametrize(
    ("words", "past", "future"),
    [
        ("sexta", date(2026, 11, 13), date(2026, 11, 27)),
        ("quinta", date(2026, 11, 19), date(2026, 11, 26)),
        ("sábado", date(2026, 11, 14), date(2026, 11, 21)),
        ("20/11", FRIDAY, FRIDAY),
        ("21/11", date(2025, 11, 21), date(2026, 11, 21)),
        ("dia 20", FRIDAY, FRIDAY),
        ("dia 21", date(2026, 10, 21), date(2026, 11, 21)),
        ("dia 31", date(2026, 10, 31), date(2026, 12, 31)),
        ("29 de fevereiro", date(2024, 2, 29), date(2028, 2, 29)),
        ("ontem", date(2026, 11, 19), date(2026, 11, 19)),
        ("sexta passada", date(2026, 11, 13), date(2026, 11, 13)),
    ],
)
def test_a_day_that_could_be_two_leans_the_way_it_is_asked_to(words: str, past: date, future: date) -> None:
    assert resolve_date(words, FRIDAY) == past
    assert resolve_date(words, FRIDAY, lean=Lean.FUTURE) == future


@pytest.mark.parametrize(
    "words",
    ["", " ", "30/02", "2026-02-29", "31/04/2026", "11/20/2026", "00/00", "dia 0", "dia 32", "um dia desses", "há 9999 dias",
     "há muito tempo", "2026-11", "sexta ou sábado", "20/11/2026; DROP TABLE users", "\x00", "9" * 40, "0000-01-01"],
)  # fmt: skip
def test_a_day_that_cannot_be_read_is_sent_back_with_the_way_to_write_it(words: str) -> None:
    for lean in Lean:
        with pytest.raises(ToolError, match="write a day as YYYY-MM-DD"):
            resolve_date(words, FRIDAY, lean=lean)


@given(today=DAYS, weekday=st.sampled_from(["segunda", "terça", "quarta", "quinta", "sexta", "sábado", "domingo"]))
def test_a_weekday_is_within_the_week_before_or_after_and_never_today(today: date, weekday: str) -> None:
    past, future = resolve_date(weekday, today), resolve_date(weekday, today, lean=Lean.FUTURE)
    assert 1 <= (today - past).days <= 7
    assert 1 <= (future - today).days <= 7
    assert past.weekday() == future.weekday()


@given(today=DAYS, day=DAYS)
def test_a_day_without_its_year_is_the_nearest_in_its_direction(today: date, day: date) -> None:
    words = f"{day.day}/{day.month}"
    past, future = resolve_date(words, today), resolve_date(words, today, lean=Lean.FUTURE)
    assert past <= today <= future
    assert {(past.day, past.month), (future.day, future.month)} == {(day.day, day.month)}
    assert (future - past).days <= 8 * 366
    assert resolve_date(day.isoformat(), today) == day


@given(today=DAYS, day=st.integers(1, 31))
def test_a_day_alone_skips_the_months_that_do_not_have_it(today: date, day: int) -> None:
    past, future = resolve_date(f"dia {day}", today), resolve_date(f"dia {day}", today, lean=Lean.FUTURE)
    assert past <= today <= future
    assert past.day == future.day == day
    between = [past + timedelta(n) for n in range(1, (future - past).days)]
    assert not [one for one in between if one.day == day]


@given(words=st.text(max_size=60))
def test_no_text_breaks_the_reading(words: str) -> None:
    for read in (resolve_date, resolve_period):
        try:
            read(words, FRIDAY)
        except ToolError as error:
            assert "write a" in str(error)


@pytest.mark.parametrize(
    ("moment", "zone", "day"),
    [
        (datetime(2026, 11, 21, 2, 59, 59, tzinfo=UTC), "America/Sao_Paulo", date(2026, 11, 20)),
        (datetime(2026, 11, 21, 3, 0, 0, tzinfo=UTC), "America/Sao_Paulo", date(2026, 11, 21)),
        (datetime(2026, 11, 21, 2, 0, 0, tzinfo=UTC), "Europe/Madrid", date(2026, 11, 21)),
        (datetime(2026, 12, 31, 23, 30, 0, tzinfo=UTC), "Asia/Tokyo", date(2027, 1, 1)),
        (datetime(2027, 1, 1, 2, 30, 0, tzinfo=UTC), "America/Sao_Paulo", date(2026, 12, 31)),
        # the hour that a change of the clocks leaves out, and the one it repeats
        (datetime(2026, 3, 8, 7, 30, 0, tzinfo=UTC), "America/New_York", date(2026, 3, 8)),
        (datetime(2026, 11, 1, 5, 59, 0, tzinfo=UTC), "America/New_York", date(2026, 11, 1)),
        (datetime(2026, 11, 1, 3, 59, 0, tzinfo=UTC), "America/New_York", date(2026, 10, 31)),
    ],
)
def test_today_is_the_owners_and_not_the_servers(moment: datetime, zone: str, day: date) -> None:
    assert local_today(context(moment, zone)) == day == moment.astimezone(ZoneInfo(zone)).date()


@pytest.mark.parametrize(
    ("day", "months", "then"),
    [
        (date(2026, 1, 31), 1, date(2026, 2, 28)),
        (date(2028, 1, 31), 1, date(2028, 2, 29)),
        (date(2026, 12, 31), 2, date(2027, 2, 28)),
        (date(2026, 3, 31), -1, date(2026, 2, 28)),
        (date(2026, 1, 15), -1, date(2025, 12, 15)),
        (date(2024, 2, 29), 12, date(2025, 2, 28)),
        (date(2026, 10, 31), 0, date(2026, 10, 31)),
    ],
)
def test_months_away_ends_on_the_last_day_of_a_shorter_month(day: date, months: int, then: date) -> None:
    assert add_months(day, months) == then


def test_a_day_is_told_so_that_no_one_reads_another() -> None:
    assert spoken_date(date(2026, 3, 5), "pt-BR") == spoken_date(date(2026, 3, 5), "es") == "05/03/2026"
    assert spoken_date(date(2026, 3, 5), "en") == "5 Mar 2026"


@pytest.mark.parametrize(
    ("words", "first", "last"),
    [
        ("hoje", "2026-11-20", "2026-11-20"),
        ("ontem", "2026-11-19", "2026-11-19"),
        ("semana", "2026-11-16", "2026-11-22"),
        ("esta semana", "2026-11-16", "2026-11-22"),
        ("semana passada", "2026-11-09", "2026-11-15"),
        ("la semana pasada", "2026-11-09", "2026-11-15"),
        ("last week", "2026-11-09", "2026-11-15"),
        ("mês", "2026-11-01", "2026-11-30"),
        ("neste mês", "2026-11-01", "2026-11-30"),
        ("mês passado", "2026-10-01", "2026-10-31"),
        ("último mês", "2026-10-01", "2026-10-31"),
        ("el mes pasado", "2026-10-01", "2026-10-31"),
        ("ano", "2026-01-01", "2026-12-31"),
        ("año pasado", "2025-01-01", "2025-12-31"),
        ("2026-02", "2026-02-01", "2026-02-28"),
        ("2028-02", "2028-02-01", "2028-02-29"),
        ("02/2026", "2026-02-01", "2026-02-28"),
        ("2025", "2025-01-01", "2025-12-31"),
        ("novembro", "2026-11-01", "2026-11-30"),
        ("dezembro", "2025-12-01", "2025-12-31"),
        ("março de 2024", "2024-03-01", "2024-03-31"),
        ("últimos 7 dias", "2026-11-14", "2026-11-20"),
        ("last 3 months", "2026-08-21", "2026-11-20"),
        ("2026-11-01..2026-11-15", "2026-11-01", "2026-11-15"),
        ("2026-11-01/2026-11-15", "2026-11-01", "2026-11-15"),
        ("de 01/11 a 15/11", "2026-11-01", "2026-11-15"),
        ("entre 1 de novembro e 15 de novembro", "2026-11-01", "2026-11-15"),
        ("from monday to today", "2026-11-16", "2026-11-20"),
        ("de janeiro até março", "2026-01-01", "2026-03-31"),
        ("sexta", "2026-11-13", "2026-11-13"),
        ("tudo", "0001-01-01", "9999-12-31"),
    ],
)
def test_a_period_is_read_in_the_words_people_use(words: str, first: str, last: str) -> None:
    assert resolve_period(words, FRIDAY) == Period(date.fromisoformat(first), date.fromisoformat(last))


@pytest.mark.parametrize(
    "words", ["", "xyz", "2026-13", "0000", "2026-11-15..2026-11-01", "..", "a", "de a", "últimos dias", "' OR 1=1 --"]
)
def test_a_period_that_cannot_be_read_is_sent_back_with_the_way_to_write_it(words: str) -> None:
    with pytest.raises(ToolError, match="write a period as"):
        resolve_period(words, FRIDAY)


@given(today=DAYS)
def test_weeks_months_and_years_hold_today_and_join_without_a_gap(today: date) -> None:
    for word, before in (("semana", "semana passada"), ("mês", "mês passado"), ("ano", "ano passado")):
        now, then = resolve_period(word, today), resolve_period(before, today)
        assert now.first <= today <= now.last
        assert then.last + timedelta(1) == now.first
    assert resolve_period("semana", today).first.weekday() == 0
    assert month_of(today).last.day == monthrange(today.year, today.month)[1]
    assert month_of(today).is_month
    assert not ALL_TIME.is_month
