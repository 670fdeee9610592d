"""The plan and its limits, what was used of them this month, and the budgets the owner sets itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Final

from aiohttp import web

from wtai.ai.pricing import MICROS
from wtai.ai.usage_store import Total, day_of, usage_of
from wtai.channels.views_store import count_addresses
from wtai.db.tx import OwnerTx
from wtai.errors import NotFound
from wtai.identity import quota_store, store
from wtai.identity.plans import PlanLimits, Subscription, month_of
from wtai.identity.plans_store import subscription
from wtai.identity.preferences import Preferences
from wtai.identity.users_store import count_staff
from wtai.web.console.page import Page, Visit
from wtai.web.console.settings.forms import BLANK, Form, sent, version_of
from wtai.web.console.settings.frame import PLACE, over, show
from wtai.web.console.settings.preferences import Choices, choose

_PATH: Final = f"{PLACE}/usage"
_BUDGETS: Final = ("budget_month_usd", "budget_user_day_usd")
_SWAPPED: Final = str.maketrans(",.", ".,")
_COUNTED: Final = 1_000_000
"""Messages beyond this are not counted for a page."""


@dataclass(frozen=True, slots=True)
class Used:
    """What was used in the plan's period."""

    plan: Subscription | None
    limits: PlanLimits
    messages: int
    tokens: int
    cost: Decimal
    users: int
    numbers: int
    features: tuple[Total, ...]
    chosen: Preferences
    version: int


async def usage(visit: Visit) -> web.StreamResponse:
    """This month's."""
    return await _shown(visit, BLANK)


async def set_budgets(visit: Visit) -> web.StreamResponse:
    """A budget that is left blank is none."""

    async def work(given: Mapping[str, str]) -> web.Response:
        choices: Choices = {name: given[name].strip() for name in _BUDGETS if given.get(name, "").strip()}
        await choose(visit, _BUDGETS, choices, version_of(given))
        return over(visit, _PATH, "saved")

    return await sent(visit, work, lambda form: _shown(visit, form))


def dollars(micros: int) -> Decimal:
    """Money as people read it."""
    return Decimal(micros) / MICROS


def number(language: str, value: Decimal | int, places: int = 0) -> str:
    """A number as the language writes it."""
    written = f"{value:,.{places}f}"
    return written if language == "en" else written.translate(_SWAPPED)


async def _shown(visit: Visit, form: Form) -> web.Response:
    used = await visit.read(_used, visit.means.base, visit.now)
    start, end = month_of(visit.now)
    return show(
        visit,
        "usage.html",
        _PATH,
        status=form.status,
        form=form,
        used=used,
        start=start,
        end=end,
        counted=_COUNTED,
        number=partial(number, visit.language),
        dollars=dollars,
    )


def _used(tx: OwnerTx, base: Preferences, now: int) -> Used:
    month = day_of(now)[:7]
    plan = _plan(tx, now)
    return Used(
        plan=plan,
        limits=plan.plan.limits if plan else PlanLimits(),
        messages=quota_store.messages_since(tx, month_of(now)[0], most=_COUNTED),
        tokens=quota_store.tokens_of_month(tx, month),
        cost=dollars(quota_store.cost_of_month(tx, month)),
        users=count_staff(tx),
        numbers=count_addresses(tx),
        features=tuple(usage_of(tx, "feature", f"{month}-01", f"{month}-31")),
        chosen=store.preferences(tx, base),
        version=store.owner(tx).version,
    )


def _plan(tx: OwnerTx, now: int) -> Subscription | None:
    try:
        return subscription(tx, now=now)
    except NotFound:
        return None


PAGES = (Page("GET", _PATH, usage, "usage.read"), Page("POST", _PATH, set_budgets, "owners.update"))
