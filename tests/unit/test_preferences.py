"""What an owner chooses: merged over the settings, refused where it makes no sense, and its business hours by its own clock."""

import json
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from wtai.identity.preferences import Preferences, merged

BASE = Preferences(idle_minutes=30, close_threshold=0.9)
WEEK = ["monday", "tuesday", "wednesday", "thursday", "friday"]


def hours(*shifts: tuple[list[str], str, str], zone: str = "America/Sao_Paulo") -> Preferences:
    chosen = [{"days": days, "start": start, "end": end} for days, start, end in shifts]
    return merged(BASE, json.dumps({"business_hours": chosen, "time_zone": zone}))


def at(text: str, zone: str = "America/Sao_Paulo") -> int:
    """Milliseconds of a local time."""
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


def test_what_an_owner_did_not_choose_follows_the_settings() -> None:
    chosen = merged(BASE, '{"expire_minutes": 5, "closing_keywords": ["fechou"]}')
    assert (chosen.idle_minutes, chosen.expire_minutes) == (30, 5)
    assert (chosen.close_threshold, chosen.closing_keywords) == (0.9, ("fechou",))
    assert merged(BASE, "{}") == BASE


@pytest.mark.parametrize(
    "chosen",
    [
        {"idle_minutes": 0},
        {"expire_minutes": 525_601},
        {"burst_quiet_ms": -1},
        {"confirm_threshold": 0.95, "close_threshold": 0.94},
        {"confirm_threshold": 1.1},
        {"close_threshold": float("nan")},
        {"farewell_text": ""},
        {"handoff_text": "x" * 1_001},
        {"closing_keywords": [""]},
        {"time_zone": "America/Atlantida"},
        {"time_zone": "../etc/passwd"},
        {"time_zone": ""},
        {"handoff_after_failures": 0},
        {"idle_minuts": 5},
        {"business_hours": [{"days": ["segunda"], "start": "09:00", "end": "18:00"}]},
        {"business_hours": [{"days": ["monday"], "start": "18:00", "end": "09:00"}]},
        {"business_hours": [{"days": ["monday"], "start": "09:00", "end": "09:00"}]},
        {"business_hours": [{"days": ["monday"], "start": "09:00Z", "end": "18:00Z"}]},
        {"business_hours": [{"days": ["monday"], "start": "09:00", "end": "18:00-03:00"}]},
        {"business_hours": [{"days": ["monday"], "start": "9h", "end": "18h"}]},
        [],
        None,
        "idle_minutes",
        5,
    ],
)
def test_a_choice_that_makes_no_sense_is_refused(chosen: object) -> None:
    with pytest.raises(ValueError, match=r"."):
        merged(BASE, json.dumps(chosen))


@pytest.mark.parametrize(
    ("chosen", "thresholds"),
    [
        ({}, (0.6, 0.9)),
        ({"confirm_threshold": 0.95}, (0.95, 0.95)),
        ({"close_threshold": 0.5}, (0.5, 0.5)),
        ({"confirm_threshold": 0.7}, (0.7, 0.9)),
        ({"confirm_threshold": 0.1, "close_threshold": 0.2}, (0.1, 0.2)),
    ],
)
def test_a_threshold_chosen_alone_takes_the_other_along_so_that_no_setting_makes_a_choice_invalid(
    chosen: dict[str, float], thresholds: tuple[float, float]
) -> None:
    found = merged(BASE, json.dumps(chosen))
    assert (found.confirm_threshold, found.close_threshold) == thresholds


def test_what_is_not_json_is_refused() -> None:
    with pytest.raises(ValueError, match=r"."):
        merged(BASE, "{")


def test_without_business_hours_somebody_is_always_there() -> None:
    assert BASE.is_open(0)


@pytest.mark.parametrize(
    ("local", "is_open"),
    [
        ("2026-11-20 08:59:59.999", False),  # a Friday
        ("2026-11-20 09:00", True),
        ("2026-11-20 17:59:59.999", True),
        ("2026-11-20 18:00", False),
        ("2026-11-21 10:00", False),
        ("2026-11-23 10:00", True),
    ],
)
def test_a_shift_is_on_from_its_start_up_to_its_end_on_its_days(local: str, is_open: bool) -> None:
    assert hours((WEEK, "09:00", "18:00")).is_open(at(local)) is is_open


def test_the_time_is_the_owners_own() -> None:
    moment = at("2026-11-20 17:30", "America/Sao_Paulo")
    assert hours((WEEK, "09:00", "18:00")).is_open(moment)
    assert not hours((WEEK, "09:00", "18:00"), zone="Europe/Lisbon").is_open(moment)
    assert hours((["saturday"], "00:00", "09:00"), zone="Asia/Tokyo").is_open(moment)


def test_a_day_has_as_many_shifts_as_the_owner_likes() -> None:
    split = hours((["friday"], "09:00", "12:00"), (["friday"], "13:30", "18:00"), (["saturday"], "09:00", "12:00"))
    moments = ("2026-11-20 11:59", "2026-11-20 12:30", "2026-11-20 13:30", "2026-11-21 11:00", "2026-11-21 14:00")
    assert [split.is_open(at(moment)) for moment in moments] == [True, False, True, True, False]


def test_midnight_as_the_end_is_the_end_of_the_day() -> None:
    late = hours((["friday"], "22:00", "00:00"), (["saturday"], "00:00", "02:00"))
    moments = ("2026-11-20 23:59:59.999", "2026-11-21 00:00", "2026-11-21 01:59", "2026-11-21 02:00", "2026-11-20 21:59")
    assert [late.is_open(at(moment)) for moment in moments] == [True, True, True, False, False]


def test_shifts_follow_the_clocks_when_they_change() -> None:
    shop = hours((["sunday"], "09:00", "18:00"), zone="Europe/Lisbon")
    assert shop.is_open(at("2026-10-25 09:00", "Europe/Lisbon"))  # an hour later by UTC than the Sunday before
    assert not shop.is_open(at("2026-10-25 08:59", "Europe/Lisbon"))
    assert shop.is_open(at("2026-10-18 09:00", "Europe/Lisbon"))
