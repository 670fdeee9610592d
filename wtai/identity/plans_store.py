"""SQL of plans and subscriptions."""

from typing import Final, Literal

from wtai.db.tx import OwnerTx, Row, SystemTx
from wtai.errors import NotFound, StaleVersion, WtaiError
from wtai.identity.plans import Plan, PlanLimits, Subscription, month_of
from wtai.ids import public_id

DEFAULT_PLAN: Final = "unlimited"

_PLAN: Final = "SELECT id, public_id, name, limits, version, created_at, updated_at FROM plans"


class PlanConflict(WtaiError):
    """A plan's name is taken, or owners still subscribe to it."""


def plans(tx: SystemTx, *, after: int = 0, limit: int = -1) -> list[Plan]:
    """Plans, oldest first: up to ``limit`` (all, below zero) with a key above ``after``."""
    return [_plan(row) for row in tx.all(f"{_PLAN} WHERE id > :after ORDER BY id LIMIT :limit", after=after, limit=limit)]


def plan_named(tx: SystemTx, name: str) -> Plan:
    """NotFound if no plan has this name."""
    return _found(tx.one(f"{_PLAN} WHERE name = :name", name=name), f"no plan {name}; `wtai plan list` shows them")


def plan_of_public_id(tx: SystemTx, public: str) -> Plan:
    """NotFound if there is no such plan."""
    return _found(tx.one(f"{_PLAN} WHERE public_id = :public", public=public), f"no plan {public}")


def create_plan(tx: SystemTx, name: str, limits: PlanLimits, *, now: int) -> Plan:
    """A new plan. PlanConflict if its name is taken."""
    rows = tx.all(
        """
        INSERT INTO plans (public_id, name, limits, created_at, updated_at) VALUES (:public_id, :name, :limits, :now, :now)
        ON CONFLICT (name) DO NOTHING
        RETURNING id, public_id, name, limits, version, created_at, updated_at
        """,
        public_id=public_id("pln"),
        name=name,
        limits=limits.model_dump_json(exclude_defaults=True),
        now=now,
    )
    if not rows:
        raise PlanConflict(f"there is a plan {name} already")
    return _plan(rows[0])


def update_plan(tx: SystemTx, plan: Plan, name: str, limits: PlanLimits, *, version: int | None = None, now: int) -> Plan:
    """Change a plan, for all who subscribe to it. StaleVersion if it is not at ``version`` any more; PlanConflict; NotFound."""
    other = tx.one(f"{_PLAN} WHERE name = :name AND id <> :id", name=name, id=plan.id)
    if other is not None:
        raise PlanConflict(f"there is a plan {name} already")
    rows = tx.all(
        """
        UPDATE plans SET name = :name, limits = :limits, version = version + 1, updated_at = :now
        WHERE id = :id AND version = coalesce(:version, version)
        RETURNING id, public_id, name, limits, version, created_at, updated_at
        """,
        id=plan.id,
        name=name,
        limits=limits.model_dump_json(exclude_defaults=True),
        version=version,
        now=now,
    )
    if not rows:
        current = plan_of_public_id(tx, plan.public_id)
        raise StaleVersion(f"plan {current.public_id} is at version {current.version}, not {version}: read it again")
    return _plan(rows[0])


def delete_plan(tx: SystemTx, plan: Plan, *, version: int | None = None) -> None:
    """Remove a plan that nobody subscribes to. PlanConflict if somebody does, or it is the default; StaleVersion; NotFound."""
    if plan.name == DEFAULT_PLAN:
        raise PlanConflict(f"{DEFAULT_PLAN} is the plan of owners without another")
    if tx.one("SELECT id FROM subscriptions WHERE plan_id = :id LIMIT 1", id=plan.id) is not None:
        raise PlanConflict(f"owners subscribe to {plan.name}; give them another plan first")
    if not tx.run("DELETE FROM plans WHERE id = :id AND version = coalesce(:version, version)", id=plan.id, version=version):
        current = plan_of_public_id(tx, plan.public_id)
        raise StaleVersion(f"plan {current.public_id} is at version {current.version}, not {version}: read it again")


def subscribe(tx: OwnerTx, plan: Plan, *, version: int | None = None, now: int) -> Subscription:
    """Put the owner on ``plan`` from now on. StaleVersion if its subscription is not at ``version`` any more."""
    start, end = month_of(now)
    changed = tx.run(
        """
        INSERT INTO subscriptions (owner_id, public_id, plan_id, period_start, period_end, created_at, updated_at)
        VALUES (:owner, :public_id, :plan_id, :start, :end, :now, :now)
        ON CONFLICT (owner_id) DO UPDATE SET plan_id = excluded.plan_id, version = subscriptions.version + 1, updated_at = :now
        WHERE subscriptions.version = coalesce(:version, subscriptions.version)
        """,
        public_id=public_id("sub"),
        plan_id=plan.id,
        start=start,
        end=end,
        version=version,
        now=now,
    )
    return _after_change(tx, changed, version, now)


def set_subscription_status(
    tx: OwnerTx, status: Literal["active", "suspended"], *, version: int | None = None, now: int
) -> Subscription:
    """Suspend a subscription, or take it up again. NotFound; StaleVersion as above."""
    changed = tx.run(
        """
        UPDATE subscriptions SET status = :status, version = version + 1, updated_at = :now
        WHERE owner_id = :owner AND version = coalesce(:version, version)
        """,
        status=status,
        version=version,
        now=now,
    )
    return _after_change(tx, changed, version, now)


def subscription(tx: OwnerTx, *, now: int) -> Subscription:
    """The owner's subscription, in the period of ``now``. NotFound if it has none."""
    row = tx.one(
        """
        SELECT s.public_id AS subscription_public_id, s.status, s.version AS subscription_version,
            s.created_at AS subscribed_at, s.updated_at AS subscription_updated_at,
            p.id, p.public_id, p.name, p.limits, p.version, p.created_at, p.updated_at
        FROM subscriptions s JOIN plans p ON p.id = s.plan_id WHERE s.owner_id = :owner
        """
    )
    if row is None:
        raise NotFound(f"the owner with key {tx.owner_id} has no subscription")
    start, end = month_of(now)
    return Subscription(
        row["subscription_public_id"],
        _plan({name: row[name] for name in ("id", "public_id", "name", "limits", "version", "created_at", "updated_at")}),
        row["status"],
        start,
        end,
        row["subscription_version"],
        row["subscribed_at"],
        row["subscription_updated_at"],
    )


def limits_of(tx: OwnerTx) -> PlanLimits:
    """The limits of the owner's plan; none without a subscription. A suspended one leaves no messages."""
    row = tx.one("SELECT p.limits, s.status FROM subscriptions s JOIN plans p ON p.id = s.plan_id WHERE s.owner_id = :owner")
    if row is None:
        return PlanLimits()
    limits = PlanLimits.model_validate_json(row["limits"])
    return limits if row["status"] == "active" else limits.model_copy(update={"messages_per_month": 0, "at_limit": "handoff"})


def roll_periods(tx: SystemTx, *, limit: int = 500, now: int) -> int:
    """Write down the new period of up to ``limit`` subscriptions whose last one is over; returns how many there were."""
    start, end = month_of(now)
    return tx.run(
        """
        UPDATE subscriptions SET period_start = :start, period_end = :end
        WHERE id IN (SELECT id FROM subscriptions WHERE period_end <= :now ORDER BY period_end LIMIT :limit)
        """,
        start=start,
        end=end,
        limit=limit,
        now=now,
    )


def _after_change(tx: OwnerTx, changed: int, version: int | None, now: int) -> Subscription:
    current = subscription(tx, now=now)
    if not changed:
        raise StaleVersion(f"the subscription is at version {current.version}, not {version}: read it again")
    return current


def _found(row: Row | None, absent: str) -> Plan:
    if row is None:
        raise NotFound(absent)
    return _plan(row)


def _plan(row: Row) -> Plan:
    return Plan(**{**row, "limits": PlanLimits.model_validate_json(row["limits"])})
