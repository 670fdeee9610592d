"""What models were asked and cost: by day, feature or person."""

from datetime import date
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field

from wtai.ai.usage_store import Total, day_of, usage_of
from wtai.web.api.ai_results import dollars
from wtai.web.api.call import Call
from wtai.web.api.errors import wrong
from wtai.web.api.models import Day, Page, Paging, View
from wtai.web.api.route import ROOT, Route

_TAG = "usage"
_MOST_DAYS = 366


class UsageOf(Paging):
    """From ``first`` through ``last``, days of UTC; this month, if they are absent."""

    by: Annotated[Literal["day", "feature", "user"], Field(description="What to add up by.")] = "day"
    first: Day | None = None
    last: Day | None = None


class TotalView(View):
    """``key`` is the day, the feature, or the person's id. ``held_usd`` is what calls may cost whose outcome is not known."""

    key: str
    requests: int
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    cost_usd: Decimal
    held_usd: Decimal


class UsageView(Page[TotalView]):
    """The totals in the order of their keys."""

    by: Literal["day", "feature", "user"]
    first: date
    last: date


async def read_usage(call: Call[None, UsageOf]) -> UsageView:
    """The owner's."""
    today = date.fromisoformat(day_of(call.now))
    first, last = call.query.first or today.replace(day=1), call.query.last or today
    if first > last:
        raise wrong("last", "must not be before first")
    if (last - first).days > _MOST_DAYS:
        raise wrong("first", f"must be within {_MOST_DAYS} days of last")
    totals = list(enumerate(await call.read(usage_of, call.query.by, first.isoformat(), last.isoformat()), 1))
    behind = (call.after(1) or (0,))[0]
    page = call.page(Page[TotalView], totals[behind:], lambda row: _shown(row[1]), lambda row: (row[0],))
    return UsageView(by=call.query.by, first=first, last=last, items=page.items, next=page.next)


def _shown(total: Total) -> TotalView:
    return TotalView(
        key=total.key,
        requests=total.usage.requests,
        prompt_tokens=total.usage.prompt,
        cached_tokens=total.usage.cached,
        completion_tokens=total.usage.completion,
        cost_usd=dollars(total.cost),
        held_usd=dollars(total.held),
    )


ROUTES = (
    Route(
        "GET",
        f"{ROOT}/usage",
        read_usage,
        "Read what models were asked and cost",
        _TAG,
        {200: UsageView},
        action="usage.read",
        query=UsageOf,
        of_tenants=True,
    ),
)
