"""``wtai jobs``: what waits, what died, and what is to become of it."""

import json
from dataclasses import asdict

import click

from wtai.cli.configuration import settings_of
from wtai.cli.data import with_database
from wtai.cli.main import SharedOptions
from wtai.clock import SystemClock
from wtai.jobs import store

STATES = ("waiting", "scheduled", "ready", "running", "dead")


@click.group()
def jobs() -> None:
    """List, retry and discard jobs."""


@jobs.command("list")
@click.option("--state", type=click.Choice(STATES), help="Only jobs in this state.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True, help="Most jobs shown.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_obj
def list_jobs(options: SharedOptions, state: str | None, limit: int, as_json: bool) -> None:
    """Show jobs, oldest first. Completed ones are gone."""
    rows = with_database(settings_of(options), lambda database: database.system_read(store.list_jobs, state=state, limit=limit))
    if as_json:
        click.echo(json.dumps([asdict(row) for row in rows], indent=2))
        return
    for row in rows:
        tries = f"{row.failures} failed, {row.rescues} rescued"
        click.echo(f"{row.id:>8}  {row.state:<9}  {row.kind:<14}  {row.key or '-':<24}  {tries}  {row.error or ''}".rstrip())
    if not rows:
        click.echo("no jobs", err=True)


@jobs.command()
@click.argument("job_id", type=int)
@click.pass_obj
def retry(options: SharedOptions, job_id: int) -> None:
    """Run a dead job again, with all its tries."""
    now = SystemClock().now()
    with_database(settings_of(options), lambda database: database.system_write(store.retry_dead, job_id, now=now))
    click.echo(f"job {job_id} runs again", err=True)


@jobs.command()
@click.argument("job_id", type=int)
@click.pass_obj
def discard(options: SharedOptions, job_id: int) -> None:
    """Delete a dead job."""
    with_database(settings_of(options), lambda database: database.system_write(store.discard_dead, job_id))
    click.echo(f"job {job_id} is gone", err=True)
