"""Plans, which the platform makes, and an owner's subscription to one."""

from datetime import datetime
from typing import Literal

from wtai.db.tx import SystemTx
from wtai.errors import NotFound
from wtai.identity import plans_store
from wtai.identity.plans import Plan, PlanLimits, Subscription
from wtai.web.api.call import Call
from wtai.web.api.errors import wrong
from wtai.web.api.models import Given, Id, Line, Page, Paging, Versioned, at
from wtai.web.api.route import ROOT, Route
from wtai.web.problems import CONFLICT, NOT_FOUND, Fault, Problem

_TAG = "plans"
_PATH = f"{ROOT}/plans"
_ONE = f"{_PATH}/{{plan}}"
_SUBSCRIPTION = f"{ROOT}/subscription"


class PlanGiven(Given):
    """A plan. What is not limited may be left out."""

    name: Line
    limits: PlanLimits


class PlanView(Versioned):
    """A plan."""

    name: str
    limits: PlanLimits
    created_at: datetime
    updated_at: datetime


class SubscriptionChange(Given):
    """``plan`` is a plan's id. What is absent stays as it is."""

    plan: Id | None = None
    status: Literal["active", "suspended"] | None = None


class SubscriptionView(Versioned):
    """An owner's plan, and the period it is in."""

    plan: PlanView
    status: Literal["active", "suspended"]
    period_start: datetime
    period_end: datetime


async def list_plans(call: Call[None, Paging]) -> Page[PlanView]:
    """The oldest first."""
    rows = await call.database.system_read(plans_store.plans, after=(call.after(1) or (0,))[0], limit=call.limit + 1)
    return call.page(Page[PlanView], rows, _shown, lambda row: (row.id,))


async def create_plan(call: Call[PlanGiven, None]) -> PlanView:
    """A new plan."""

    def work(tx: SystemTx) -> PlanView:
        return _shown(plans_store.create_plan(tx, call.body.name.strip(), call.body.limits, now=call.now))

    return await call.commit_across(work)


async def read_plan(call: Call[None, None]) -> PlanView:
    """One plan."""
    return _shown(await call.database.system_read(plans_store.plan_of_public_id, call.ids["plan"]))


async def change_plan(call: Call[PlanGiven, None]) -> PlanView:
    """For all who subscribe to it."""

    def work(tx: SystemTx) -> PlanView:
        plan = plans_store.plan_of_public_id(tx, call.ids["plan"])
        name, limits = call.body.name.strip(), call.body.limits
        if plan.name == plans_store.DEFAULT_PLAN != name:
            words = "the plan of owners without another keeps its name"
            raise Problem(CONFLICT, words, [Fault("/name", words)])
        return _shown(plans_store.update_plan(tx, plan, name, limits, version=call.if_match, now=call.now))

    return await call.commit_across(work)


async def delete_plan(call: Call[None, None]) -> None:
    """Only what nobody subscribes to."""

    def work(tx: SystemTx) -> None:
        plan = plans_store.plan_of_public_id(tx, call.ids["plan"])
        plans_store.delete_plan(tx, plan, version=call.if_match)

    await call.commit_across(work)


async def read_subscription(call: Call[None, None]) -> SubscriptionView:
    """The owner's."""
    return _subscription(await call.read(plans_store.subscription, now=call.now))


async def change_subscription(call: Call[SubscriptionChange, None]) -> SubscriptionView:
    """Another plan from now on, or a pause."""

    def work(tx: SystemTx) -> SubscriptionView:
        bound = tx.for_owner(call.owner_id)
        version = call.if_match
        if call.body.plan is not None:
            plan = named_plan(tx, call.body.plan)
            version = plans_store.subscribe(bound, plan, version=version, now=call.now).version
        if call.body.status is not None:
            plans_store.set_subscription_status(bound, call.body.status, version=version, now=call.now)
        return _subscription(plans_store.subscription(bound, now=call.now))

    return await call.commit_across(work)


def named_plan(tx: SystemTx, public: str) -> Plan:
    """The plan that a body names. Problem."""
    try:
        return plans_store.plan_of_public_id(tx, public)
    except NotFound as exc:
        raise wrong("/plan", "there is no such plan") from exc


def _shown(plan: Plan) -> PlanView:
    return PlanView(
        id=plan.public_id,
        version=plan.version,
        name=plan.name,
        limits=plan.limits,
        created_at=at(plan.created_at),
        updated_at=at(plan.updated_at),
    )


def _subscription(subscription: Subscription) -> SubscriptionView:
    return SubscriptionView(
        id=subscription.public_id,
        version=subscription.version,
        plan=_shown(subscription.plan),
        status=subscription.status,
        period_start=at(subscription.period_start),
        period_end=at(subscription.period_end),
    )


PLANS = (
    Route("GET", _PATH, list_plans, "List plans", _TAG, {200: Page[PlanView]}, action="plans.read", query=Paging),
    Route(
        "POST",
        _PATH,
        create_plan,
        "Make a plan",
        _TAG,
        {201: PlanView},
        action="plans.create",
        body=PlanGiven,
        problems=(CONFLICT,),
        location=f"{_PATH}/{{id}}",
    ),
    Route("GET", _ONE, read_plan, "Read a plan", _TAG, {200: PlanView}, action="plans.read"),
    Route(
        "PUT",
        _ONE,
        change_plan,
        "Change a plan",
        _TAG,
        {200: PlanView},
        action="plans.update",
        body=PlanGiven,
        problems=(CONFLICT,),
        needs_if_match=True,
    ),
    Route(
        "DELETE",
        _ONE,
        delete_plan,
        "Delete a plan",
        _TAG,
        {204: None},
        action="plans.delete",
        problems=(CONFLICT,),
        needs_if_match=True,
    ),
)
ROUTES = (
    Route(
        "GET",
        _SUBSCRIPTION,
        read_subscription,
        "Read the subscription",
        _TAG,
        {200: SubscriptionView},
        action="subscription.read",
        problems=(NOT_FOUND,),
        of_tenants=True,
    ),
    Route(
        "PATCH",
        _SUBSCRIPTION,
        change_subscription,
        "Change the subscription",
        _TAG,
        {200: SubscriptionView},
        action="subscription.update",
        body=SubscriptionChange,
        problems=(NOT_FOUND,),
        needs_if_match=True,
        of_tenants=True,
    ),
)
