"""When repeating things come: by the clock on the wall, on the day that was agreed."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wtai.clock import HOUR
from wtai.conversation.recurrence import Repeats, next_due, to_local, to_ms

SAO_PAULO, NEW_YORK = "America/Sao_Paulo", "America/New_York"


def wall(text: str) -> datetime:
    """A time on the wall."""
    return datetime.fromisoformat(text)


MOMENTS = st.datetimes(wall("2020-01-01T00:00"), wall("2040-01-01T00:00")).map(lambda moment: moment.replace(microsecond=0))
REPEATING = st.sampled_from([repeats for repeats in Repeats if repeats is not Repeats.NEVER])
ZONES = st.sampled_from([SAO_PAULO, NEW_YORK, "Europe/Lisbon", "Asia/Kathmandu", "Pacific/Apia"])


def times(first: str, repeats: Repeats, count: int, zone: str = SAO_PAULO) -> list[str]:
    """The first ``count`` local times."""
    begin = datetime.fromisoformat(first)
    dues = [to_ms(begin, zone)]
    while len(dues) < count:
        due = next_due(begin, repeats, zone, after=dues[-1])
        assert due is not None
        dues.append(due)
    return [f"{to_local(due, zone):%Y-%m-%d %H:%M}" for due in dues]


@pytest.mark.parametrize(
    ("first", "repeats", "then"),
    [
        ("2026-12-31T09:00", Repeats.DAILY, ["2027-01-01 09:00", "2027-01-02 09:00"]),
        ("2026-12-28T23:59", Repeats.WEEKLY, ["2027-01-04 23:59", "2027-01-11 23:59"]),
        ("2027-01-31T09:00", Repeats.MONTHLY, ["2027-02-28 09:00", "2027-03-31 09:00", "2027-04-30 09:00", "2027-05-31 09:00"]),
        ("2028-01-30T09:00", Repeats.MONTHLY, ["2028-02-29 09:00", "2028-03-30 09:00"]),
        ("2028-02-29T09:00", Repeats.YEARLY, ["2029-02-28 09:00", "2030-02-28 09:00", "2031-02-28 09:00", "2032-02-29 09:00"]),
    ],
)
def test_it_comes_on_the_day_agreed_or_on_the_last_of_a_month_that_lacks_it(
    first: str, repeats: Repeats, then: list[str]
) -> None:
    assert times(first, repeats, len(then) + 1)[1:] == then


def test_what_comes_once_does_not_come_again() -> None:
    assert next_due(wall("2026-11-20T09:00"), Repeats.NEVER, SAO_PAULO, after=0) is None


def test_nine_in_the_morning_stays_nine_when_the_clocks_change() -> None:
    """New York, 2027: forward on the 14th of March, back on the 7th of November."""
    assert times("2027-03-13T09:00", Repeats.DAILY, 3, NEW_YORK) == ["2027-03-13 09:00", "2027-03-14 09:00", "2027-03-15 09:00"]
    spring, summer = to_ms(wall("2027-03-13T09:00"), NEW_YORK), to_ms(wall("2027-03-14T09:00"), NEW_YORK)
    assert summer - spring == 23 * HOUR


def test_a_time_that_the_clocks_skip_comes_an_hour_later_that_day_only() -> None:
    assert times("2027-03-13T02:30", Repeats.DAILY, 3, NEW_YORK) == ["2027-03-13 02:30", "2027-03-14 03:30", "2027-03-15 02:30"]


def test_a_time_skipped_across_midnight_still_comes_in_the_first_hour_of_the_next_day() -> None:
    """Scoresbysund goes from 23:00 on Saturday the 27th of March 2027 straight to Sunday."""
    zone = "America/Scoresbysund"
    due = next_due(wall("2027-03-01T23:30"), Repeats.DAILY, zone, after=to_ms(wall("2027-03-28T00:10"), zone))
    assert due == to_ms(wall("2027-03-28T00:30"), zone)


def test_a_time_that_comes_twice_is_meant_once_the_first_time() -> None:
    first = to_ms(wall("2027-11-07T01:30"), NEW_YORK)
    assert first == to_ms(wall("2027-11-07T00:30"), NEW_YORK) + HOUR
    following = next_due(wall("2027-11-06T01:30"), Repeats.DAILY, NEW_YORK, after=first)
    assert following == to_ms(wall("2027-11-08T01:30"), NEW_YORK)


@given(MOMENTS, REPEATING, ZONES, MOMENTS)
def test_the_next_time_is_the_first_one_after(first: datetime, repeats: Repeats, zone: str, now: datetime) -> None:
    after = to_ms(now, zone)
    due = next_due(first, repeats, zone, after=after)
    assert due is not None
    assert due > after
    assert due >= to_ms(first, zone)
    longest = {Repeats.DAILY: 2, Repeats.WEEKLY: 8, Repeats.MONTHLY: 32, Repeats.YEARLY: 367}[repeats]
    assert to_local(due, zone) - to_local(max(after, to_ms(first, zone)), zone) <= timedelta(days=longest)
    again = next_due(first, repeats, zone, after=due)
    assert again is not None
    assert again > due


@given(MOMENTS, ZONES)
def test_a_local_time_survives_the_way_to_milliseconds_and_back_unless_the_clocks_skip_it(moment: datetime, zone: str) -> None:
    back = to_local(to_ms(moment, zone), zone)
    if back != moment:  # skipped: no time on this wall
        assert timedelta(0) < back - moment <= timedelta(hours=1)
