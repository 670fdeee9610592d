"""``wtai feature``: what an owner's AI may do."""

import json
from typing import TextIO

import click

from wtai.ai.features_store import Feature, features, set_feature
from wtai.ai.specialists import FAMILIES, WrongFeature, checked
from wtai.cli.configuration import settings_of
from wtai.cli.data import with_database
from wtai.cli.main import SharedOptions
from wtai.clock import SystemClock
from wtai.db.sqlite import SqliteDatabase
from wtai.db.tx import OwnerTx
from wtai.identity.audit_store import OPERATOR, audit
from wtai.identity.plans import allowed_features
from wtai.identity.plans_store import limits_of
from wtai.identity.store import owner_of_public_id


@click.group()
def feature() -> None:
    """Show and set what an owner's AI may do."""


@feature.command("list")
@click.argument("owner_id", metavar="OWNER")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_obj
def list_features(options: SharedOptions, owner_id: str, as_json: bool) -> None:
    """Show the specialists that come with wtai and the owner's own."""

    async def read(database: SqliteDatabase) -> list[dict[str, object]]:
        found = await database.system_read(owner_of_public_id, owner_id)
        return await database.read(found.id, _listed)

    rows = with_database(settings_of(options), read)
    if as_json:
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    for row in rows:
        state = "on" if row["enabled"] and row["in_plan"] else "not in plan" if row["enabled"] else "off"
        click.echo(f"{row['name']:<20}  {state:<11}  {json.dumps(row['config'], ensure_ascii=False)}")


@feature.command("set")
@click.argument("owner_id", metavar="OWNER")
@click.argument("name")
@click.option("--enable/--disable", "enabled", default=None, help="Switch it on or off; as it is by default.")
@click.option("--config-file", type=click.File("r"), help="File with its configuration as JSON; '-' reads standard input.")
@click.pass_obj
def set_one(options: SharedOptions, owner_id: str, name: str, enabled: bool | None, config_file: TextIO | None) -> None:
    """Switch a specialist and set its configuration, or add one of the owner's own."""
    if enabled is None and config_file is None:
        raise click.UsageError("give --enable, --disable, --config-file, or more of them")
    config = config_file.read() if config_file else None

    def work(tx: OwnerTx) -> None:
        known = {one.name: one for one in features(tx)}
        before = known.get(name, Feature(name, enabled=True, config="{}"))
        wanted = Feature(name, before.enabled if enabled is None else enabled, before.config if config is None else config)
        checked(wanted.name, wanted.config)
        if wanted.enabled and not allowed_features(limits_of(tx), [name]):
            raise WrongFeature(f"feature {name}: the owner's plan does not have it")
        now = SystemClock().now()
        set_feature(tx, wanted, actor=OPERATOR, now=now)
        audit(tx, OPERATOR, "features.update", name, details="enabled" if wanted.enabled else "disabled", now=now)

    async def write(database: SqliteDatabase) -> None:
        found = await database.system_read(owner_of_public_id, owner_id)
        await database.write(found.id, work)

    with_database(settings_of(options), write)
    click.echo(f"feature {name} is set", err=True)


def _listed(tx: OwnerTx) -> list[dict[str, object]]:
    known = {one.name: one for one in features(tx)}
    names = list(dict.fromkeys([*FAMILIES, *known]))
    in_plan = allowed_features(limits_of(tx), names)
    return [
        {
            "name": name,
            "enabled": known[name].enabled if name in known else True,
            "in_plan": name in in_plan,
            "config": json.loads(known[name].config) if name in known else {},
        }
        for name in names
    ]
