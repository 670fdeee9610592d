"""How long a delivery waits, and what an event says of a time."""

from collections.abc import Mapping

import pytest

from wtai.clock import DAY, HOUR, SECOND
from wtai.events import moment
from wtai.hooks.delivery import retry_after_ms
from wtai.hooks.model import SCHEDULE_MS, Outcome

NOW = 1_800_000_000_000  # Fri, 15 Jan 2027 08:00:00 GMT


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({}, None),
        ({"Retry-After": "120"}, 120 * SECOND),
        ({"Retry-After": "0"}, 0),
        ({"Retry-After": "Fri, 15 Jan 2027 09:00:00 GMT"}, HOUR),
        ({"Retry-After": "Fri, 15 Jan 2027 07:00:00 GMT"}, 0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "inf"}, None),
        ({"Retry-After": "Fri, 99 Jan 2027 99:00:00 GMT"}, None),
    ],
)
def test_a_receiver_may_ask_for_a_wait_in_seconds_or_up_to_a_date(headers: Mapping[str, str], wait: int | None) -> None:
    assert retry_after_ms(headers, NOW) == wait


def test_a_delivery_is_tried_for_days_at_growing_distances() -> None:
    assert list(SCHEDULE_MS) == sorted(SCHEDULE_MS)
    assert sum(SCHEDULE_MS) > 3 * DAY


@pytest.mark.parametrize(
    ("status", "delivered"), [(200, True), (204, True), (299, True), (301, False), (410, False), (500, False), (None, False)]
)
def test_any_2xx_and_nothing_else_takes_an_event_over(status: int | None, delivered: bool) -> None:
    assert Outcome(status, None).delivered is delivered


@pytest.mark.parametrize(
    ("at", "text"), [(0, "1970-01-01T00:00:00.000Z"), (NOW, "2027-01-15T08:00:00.000Z"), (NOW + 7, "2027-01-15T08:00:00.007Z")]
)
def test_times_are_told_in_utc_with_milliseconds(at: int, text: str) -> None:
    assert moment(at) == text
