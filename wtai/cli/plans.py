"""``wtai plan``: what owners may use."""

import json
from typing import TextIO

import click
from pydantic import ValidationError

from wtai.cli.configuration import settings_of
from wtai.cli.data import with_database
from wtai.cli.main import SharedOptions
from wtai.clock import SystemClock
from wtai.db.tx import SystemTx
from wtai.errors import NotFound
from wtai.identity.audit_store import OPERATOR, audit
from wtai.identity.plans import Plan, PlanLimits
from wtai.identity.plans_store import create_plan, plan_named, plans, subscribe, update_plan
from wtai.identity.store import owner_of_public_id


@click.group()
def plan() -> None:
    """Show and set plans, and who is on which."""


@plan.command("list")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_obj
def list_plans(options: SharedOptions, as_json: bool) -> None:
    """Show all plans with their limits."""
    found = with_database(settings_of(options), lambda database: database.system_read(plans))
    if as_json:
        click.echo(json.dumps([_shown(one) for one in found], indent=2, ensure_ascii=False))
        return
    for one in found:
        click.echo(f"{one.public_id}  {one.name:<16}  {one.limits.model_dump_json(exclude_defaults=True)}")


@plan.command("set")
@click.argument("name")
@click.option("--limits-file", type=click.File("r"), help="File with the limits as JSON; '-' reads standard input.")
@click.option("--owner", "owner_ids", multiple=True, help="An owner to put on the plan; may be repeated.")
@click.pass_obj
def set_plan(options: SharedOptions, name: str, limits_file: TextIO | None, owner_ids: tuple[str, ...]) -> None:
    """Make or change a plan, put owners on it, or both.

    Limits are a JSON object such as {"messages_per_month": 5000, "cost_usd_per_month": "20", "at_limit": "handoff"}.
    """
    if limits_file is None and not owner_ids:
        raise click.UsageError("give --limits-file, --owner, or both")
    limits = _limits(limits_file.read()) if limits_file else None
    now = SystemClock().now()

    def work(tx: SystemTx) -> Plan:
        found = plan_named(tx, name) if limits is None else _put(tx, name, limits, now=now)
        for owner_id in owner_ids:
            bound = tx.for_owner(owner_of_public_id(tx, owner_id).id)
            subscribed = subscribe(bound, found, now=now)
            audit(bound, OPERATOR, "subscription.update", subscribed.public_id, details=found.public_id, now=now)
        return found

    changed = with_database(settings_of(options), lambda database: database.system_write(work))
    click.echo(f"{changed.public_id}  {changed.name}  {changed.limits.model_dump_json(exclude_defaults=True)}", err=True)


def _put(tx: SystemTx, name: str, limits: PlanLimits, *, now: int) -> Plan:
    try:
        known = plan_named(tx, name)
    except NotFound:
        return create_plan(tx, name, limits, now=now)
    return update_plan(tx, known, name, limits, now=now)


def _limits(text: str) -> PlanLimits:
    try:
        return PlanLimits.model_validate_json(text)
    except ValidationError as exc:
        places = "; ".join(f"{'.'.join(map(str, error['loc'])) or 'limits'}: {error['msg']}" for error in exc.errors())
        raise click.BadParameter(places, param_hint="--limits-file") from exc


def _shown(one: Plan) -> dict[str, object]:
    return {
        "id": one.public_id,
        "name": one.name,
        "limits": one.limits.model_dump(mode="json", exclude_defaults=True),
        "version": one.version,
    }
