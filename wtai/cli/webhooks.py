"""``wtai webhook``: where owners are told of events, what of it did not arrive, and to tell it again."""

import json
from dataclasses import asdict
from datetime import UTC, datetime

import click

from wtai.cli.configuration import settings_of
from wtai.cli.data import with_database
from wtai.cli.main import SharedOptions
from wtai.cli.users import owner_key
from wtai.clock import SECOND, SystemClock
from wtai.db.sqlite import SqliteDatabase
from wtai.egress import Egress
from wtai.events import Event, moment
from wtai.hooks.deliveries_store import deliveries, replay, replay_failed
from wtai.hooks.endpoints_store import create_endpoint, endpoints
from wtai.hooks.model import Delivery, Endpoint, InvalidEndpoint, Issued, Status
from wtai.identity.from_settings import sealer

_EVENTS = [event.value for event in Event]


@click.group()
def webhook() -> None:
    """Create and show webhook endpoints, and deliver events again.

    Messages are told with their words. OWNER is an owner's id.
    """


@webhook.command()
@click.argument("owner_id", metavar="OWNER")
@click.option("--url", required=True, help="Where to post, by https.")
@click.option("--event", "events", multiple=True, type=click.Choice(_EVENTS), help="May be repeated; all by default.")
@click.option("--json", "as_json", is_flag=True, help="As JSON, with the secret.")
@click.pass_obj
def create(options: SharedOptions, owner_id: str, url: str, events: tuple[str, ...], as_json: bool) -> None:
    """Tell a URL of events, and print the signing secret: it is shown this once."""
    settings = settings_of(options)

    async def write(database: SqliteDatabase) -> Issued:
        egress = Egress(settings.egress.allowed_private_hosts)
        return await database.write(
            await owner_key(database, owner_id),
            create_endpoint,
            url,
            events or tuple(Event),
            sealer=sealer(settings),
            egress=egress,
            now=SystemClock().now(),
        )

    try:
        made = with_database(settings, write)
    except InvalidEndpoint as error:
        raise click.UsageError(str(error)) from error
    if as_json:
        click.echo(json.dumps({**_shown(made.endpoint), "secret": made.secret}))
        return
    click.echo(made.secret)
    click.echo(f"{made.endpoint.public_id}: keep the secret now, it is not shown again", err=True)


@webhook.command("list")
@click.argument("owner_id", metavar="OWNER")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_obj
def list_endpoints(options: SharedOptions, owner_id: str, as_json: bool) -> None:
    """Show an owner's endpoints."""

    async def read(database: SqliteDatabase) -> list[Endpoint]:
        return await database.read(await owner_key(database, owner_id), endpoints)

    found = with_database(settings_of(options), read)
    if as_json:
        click.echo(json.dumps([_shown(one) for one in found], indent=2))
        return
    for one in found:
        state = f"{one.status} ({one.disabled_reason})" if one.disabled_reason else one.status
        click.echo(f"{one.public_id}  {state:<16}  {one.url}  {','.join(one.events)}")
    if not found:
        click.echo("no endpoints; `wtai webhook create` makes one", err=True)


@webhook.command("deliveries")
@click.argument("owner_id", metavar="OWNER")
@click.option("--endpoint", help="Only those to this endpoint.")
@click.option("--status", type=click.Choice([status.value for status in Status]), help="Only those in this state.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True, help="Most deliveries shown.")
@click.option("--json", "as_json", is_flag=True, help="As JSON, without the payloads.")
@click.pass_obj
def list_deliveries(
    options: SharedOptions, owner_id: str, endpoint: str | None, status: str | None, limit: int, as_json: bool
) -> None:
    """Show what was told and what is to be, the newest first."""
    wanted = Status(status) if status else None

    async def read(database: SqliteDatabase) -> list[Delivery]:
        key = await owner_key(database, owner_id)
        return await database.read(key, deliveries, endpoint_id=endpoint, status=wanted, limit=limit)

    found = with_database(settings_of(options), read)
    if as_json:
        hidden = ("id", "payload")
        click.echo(json.dumps([{k: v for k, v in asdict(one).items() if k not in hidden} for one in found], indent=2))
        return
    for one in found:
        tries = f"{one.attempts} tries"
        told = f"{one.public_id}  {one.status:<9}  {one.event_type:<20}  {moment(one.created_at)}  {tries:<8}"
        click.echo(f"{told}  {one.last_error or ''}".rstrip())
    if not found:
        click.echo("no deliveries", err=True)


@webhook.command("replay")
@click.argument("owner_id", metavar="OWNER")
@click.option("--delivery", help="This one, whatever became of it.")
@click.option("--since", type=click.DateTime(), help="All that failed, of events since then (UTC).")
@click.option("--endpoint", help="With --since: only those to this endpoint.")
@click.pass_obj
def replay_deliveries(
    options: SharedOptions, owner_id: str, delivery: str | None, since: datetime | None, endpoint: str | None
) -> None:
    """Deliver again, under the same ids: one delivery, or all that failed since a time."""
    if (delivery is None) == (since is None) or (delivery is not None and endpoint is not None):
        raise click.UsageError("name one --delivery, or a time by --since (and, if need be, an --endpoint)")

    async def write(database: SqliteDatabase) -> int:
        key, now = await owner_key(database, owner_id), SystemClock().now()
        if delivery is not None:
            await database.write(key, replay, delivery, now=now)
            return 1
        at = 0 if since is None else round(since.replace(tzinfo=UTC).timestamp() * SECOND)
        return await database.write(key, replay_failed, since=at, endpoint_id=endpoint, now=now)

    count = with_database(settings_of(options), write)
    click.echo(f"{count} to be delivered again", err=True)


def _shown(one: Endpoint) -> dict[str, object]:
    return {
        "id": one.public_id,
        "url": one.url,
        "events": list(one.events),
        "status": one.status,
        "disabled_reason": one.disabled_reason,
        "version": one.version,
        "created_at": one.created_at,
    }
