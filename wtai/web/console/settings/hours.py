"""When the owner's team is there: two or more shifts a day, in the owner's time zone."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Final
from zoneinfo import available_timezones

from aiohttp import web
from pydantic import JsonValue, ValidationError

from wtai.db.tx import OwnerTx
from wtai.identity import store
from wtai.identity.preferences import DAYS, Preferences, Shift
from wtai.web.console.page import Page, Visit
from wtai.web.console.settings.forms import BLANK, Form, sent, version_of
from wtai.web.console.settings.frame import PLACE, over, show
from wtai.web.console.settings.preferences import Choices, choose
from wtai.web.console.settings.words import Refused

_PATH: Final = f"{PLACE}/hours"
_SHIFTS: Final = 2
_MOST: Final = 12

Times = tuple[str, str]


async def hours(visit: Visit) -> web.StreamResponse:
    """The week."""
    return await _shown(visit, BLANK)


async def save(visit: Visit) -> web.StreamResponse:
    """Without any shift the team is always there."""

    async def work(given: Mapping[str, str]) -> web.Response:
        choices: Choices = {}
        if given.get("time_zone", "").strip():
            choices["time_zone"] = given["time_zone"].strip()
        if shifts := _shifts(visit, given):
            choices["business_hours"] = shifts
        await choose(visit, ("time_zone", "business_hours"), choices, version_of(given))
        return over(visit, _PATH, "saved")

    return await sent(visit, work, lambda form: _shown(visit, form))


def _shifts(visit: Visit, given: Mapping[str, str]) -> list[JsonValue]:
    """What the form says, with the days together that have the same times. Refused, at the field."""
    days: dict[Times, list[str]] = {}
    for day in DAYS:
        for number in range(_MOST):
            start, end = (given.get(f"{day}_{number}_{which}", "").strip() for which in ("start", "end"))
            if not (start or end):
                continue
            try:
                Shift.model_validate({"days": [day], "start": start, "end": end})
            except ValidationError as exc:
                words = visit.text("Give a start and an end after it. Past midnight, write two shifts.")
                raise Refused(f"{day}_{number}_start", words) from exc
            days.setdefault((start, end), []).append(day)
    return [{"days": list(on), "start": start, "end": end} for (start, end), on in days.items()]


def week(shifts: Sequence[Shift]) -> dict[str, list[Times]]:
    """The shifts of each day, with room for two."""
    found: dict[str, list[Times]] = {}
    for day in DAYS:
        times = sorted((f"{shift.start:%H:%M}", f"{shift.end:%H:%M}") for shift in shifts if day in shift.days)
        found[day] = times + [("", "")] * max(0, _SHIFTS - len(times))
    return found


async def _shown(visit: Visit, form: Form) -> web.Response:
    def work(tx: OwnerTx) -> tuple[int, Preferences]:
        return store.owner(tx).version, store.preferences(tx, visit.means.base)

    number, holds = await visit.read(work)
    return show(
        visit,
        "hours.html",
        _PATH,
        status=form.status,
        form=form,
        number=number,
        holds=holds,
        week=week(holds.business_hours),
        zones=_zones(),
        names=dict(zip(DAYS, _names(visit), strict=True)),
    )


@cache
def _zones() -> tuple[str, ...]:
    return tuple(sorted(name for name in available_timezones() if "/" in name and not name.startswith("Etc/")))


def _names(visit: Visit) -> list[str]:
    return [
        visit.text("Monday"),
        visit.text("Tuesday"),
        visit.text("Wednesday"),
        visit.text("Thursday"),
        visit.text("Friday"),
        visit.text("Saturday"),
        visit.text("Sunday"),
    ]


PAGES = (Page("GET", _PATH, hours, "owners.update"), Page("POST", _PATH, save, "owners.update"))
