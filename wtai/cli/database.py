"""``wtai db``: migrations, and the counters that can be made anew."""

import json
from pathlib import Path

import click

from wtai.cli.configuration import settings_of
from wtai.cli.data import with_database
from wtai.cli.main import SharedOptions
from wtai.db import migrate as migrations
from wtai.db.check import damage
from wtai.errors import SchemaError, WtaiError
from wtai.rollups.store import forget


@click.group()
def db() -> None:
    """Migrate the database, show its state, and check it."""


@db.command()
@click.pass_obj
def migrate(options: SharedOptions) -> None:
    """Bring the database to this program's schema; makes it if there is none."""
    settings = settings_of(options)
    applied = migrations.migrate(settings.database_path)
    for name in applied:
        click.echo(name)
    click.echo(f"{settings.database_path}: {len(applied)} applied" if applied else "nothing to do", err=True)


@db.command()
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_obj
def status(options: SharedOptions, as_json: bool) -> None:
    """Show which schema the database has and what would be applied."""
    found = migrations.status(_existing(options))
    if as_json:
        click.echo(json.dumps({"version": found.version, "newest": found.newest, "pending": list(found.pending)}))
    else:
        click.echo(f"schema {found.version} of {found.newest}; pending: {', '.join(found.pending) or 'none'}")


@db.command()
@click.pass_obj
def recount(options: SharedOptions) -> None:
    """Forget the dashboard's figures: the service counts them anew from what is kept, in minutes."""
    with_database(settings_of(options), lambda database: database.system_write(forget))


@db.command()
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_obj
def check(options: SharedOptions, as_json: bool) -> None:
    """Read all of the database and say what is damaged, also while the service runs."""
    path = _existing(options)
    found = damage(path)
    if as_json:
        click.echo(json.dumps({"file": str(path), "whole": not found, "damage": found}))
    elif not found:
        click.echo(f"{path} is whole, schema {migrations.status(path).version}")
    for line in found if not as_json else ():
        click.echo(line)
    if found:
        raise WtaiError(f"{path} is damaged; mend: stop the service, and `wtai restore` the newest back-up that is whole")


def _existing(options: SharedOptions) -> Path:
    path = settings_of(options).database_path
    if not path.exists():
        raise SchemaError(f"there is no database {path}; mend: `wtai init`, or name its folder with --data-dir")
    return path
