"""``wtai owner`` and ``wtai twilio``: tenants and their accounts."""

import json
import re
from dataclasses import asdict
from typing import Literal, TextIO

import click

from wtai.channels.accounts import connect as connect_account
from wtai.channels.store import numbers
from wtai.channels.views_store import account_rows
from wtai.cli.configuration import settings_of
from wtai.cli.data import with_database
from wtai.cli.main import SharedOptions
from wtai.cli.passwords import hash_of_new_password
from wtai.cli.privacy import erase_owner, export_owner
from wtai.clock import SystemClock
from wtai.db.sqlite import SqliteDatabase
from wtai.db.tx import OwnerTx
from wtai.errors import NotFound
from wtai.identity import store
from wtai.identity.audit_store import OPERATOR, audit
from wtai.identity.from_settings import sealer
from wtai.identity.model import Owner
from wtai.identity.plans_store import DEFAULT_PLAN
from wtai.identity.registration import Admin, let_owner, register
from wtai.settings import Settings
from wtai.web.webhooks import inbound_address

_AUTH_TOKEN = click.option(
    "--auth-token-file", type=click.File("r"), required=True, help="File with the auth token; '-' reads it from standard input."
)
_SECONDARY_TOKEN = click.option(
    "--secondary-token-file", type=click.File("r"), help="File with the token that is to be promoted, during a rotation."
)
_ADDRESS = re.compile(r"whatsapp:\+?[A-Za-z0-9.]{3,130}|\+[0-9]{5,15}")


@click.group()
def owner() -> None:
    """Create and show owners, export and erase what is kept of them."""


owner.add_command(export_owner)
owner.add_command(erase_owner)


@owner.command()
@click.option("--name", required=True, help="Name of the business.")
@click.option("--locale", type=click.Choice(["pt-BR", "es", "en"]), default="pt-BR", show_default=True, help="Its language.")
@click.option("--plan", default=DEFAULT_PLAN, show_default=True, help="Its plan, by name.")
@click.option("--admin-email", help="E-mail address of its first administrator.")
@click.option("--password-file", type=click.File("r"), help="File with the administrator's password; '-' reads standard input.")
@click.option("--json", "as_json", is_flag=True, help="As JSON, with the id.")
@click.pass_obj
def create(
    options: SharedOptions,
    name: str,
    locale: str,
    plan: str,
    admin_email: str | None,
    password_file: TextIO | None,
    as_json: bool,
) -> None:
    """Create an owner with its subscription and first administrator, and print its id."""
    if not name.strip():
        raise click.BadParameter("must not be blank", param_hint="--name")
    if password_file is not None and admin_email is None:
        raise click.UsageError("--password-file goes with --admin-email")
    settings = settings_of(options)
    admin = Admin(admin_email, hash_of_new_password(settings, admin_email, password_file)) if admin_email else None
    now = SystemClock().now()
    made = with_database(
        settings,
        lambda database: database.system_write(register, name.strip(), locale, plan=plan, admin=admin, actor=OPERATOR, now=now),
    )
    if as_json:
        shown = {**_shown(made.owner), "plan": made.subscription.plan.name, "admin": made.admin.public_id if made.admin else None}
        click.echo(json.dumps(shown, ensure_ascii=False))
        return
    click.echo(made.owner.public_id)


@owner.command()
@click.argument("owner_id")
@click.pass_obj
def disable(options: SharedOptions, owner_id: str) -> None:
    """Shut an owner out: its webhooks, log-ins and tokens count for nothing until it is enabled again."""
    _let(options, owner_id, "disabled")


@owner.command()
@click.argument("owner_id")
@click.pass_obj
def enable(options: SharedOptions, owner_id: str) -> None:
    """Let a disabled owner in again."""
    _let(options, owner_id, "active")


@owner.command("list")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_obj
def list_owners(options: SharedOptions, as_json: bool) -> None:
    """Show all owners."""
    found = with_database(settings_of(options), lambda database: database.system_read(store.owners))
    if as_json:
        click.echo(json.dumps([_shown(one) for one in found], indent=2, ensure_ascii=False))
        return
    for one in found:
        click.echo(f"{one.public_id}  {one.status:<8}  {one.locale:<5}  {one.name}")
    if not found:
        click.echo("no owners; `wtai owner create` makes one", err=True)


@owner.command()
@click.argument("owner_id")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_obj
def show(options: SharedOptions, owner_id: str, as_json: bool) -> None:
    """Show one owner and its connected addresses."""

    async def read(database: SqliteDatabase) -> tuple[Owner, list[tuple[str, str]]]:
        found = await database.system_read(store.owner_of_public_id, owner_id)
        return found, await database.read(found.id, numbers)

    found, addresses = with_database(settings_of(options), read)
    if as_json:
        listed = [{"account_sid": sid, "address": address} for sid, address in addresses]
        click.echo(json.dumps({**_shown(found), "addresses": listed}, indent=2, ensure_ascii=False))
        return
    click.echo(f"{found.public_id}  {found.name}  ({found.status}, {found.locale})")
    for sid, address in addresses:
        click.echo(f"  {address}  with {sid}")


@click.group()
def twilio() -> None:
    """Connect owners' Twilio accounts and numbers."""


@twilio.command()
@click.argument("owner_id")
@click.option("--account-sid", required=True, help="The account's SID, AC…")
@_AUTH_TOKEN
@_SECONDARY_TOKEN
@click.option("--number", "addresses", multiple=True, required=True, help="whatsapp:+5511… or +5511… for SMS; may be repeated.")
@click.pass_obj
def connect(
    options: SharedOptions,
    owner_id: str,
    account_sid: str,
    auth_token_file: TextIO,
    secondary_token_file: TextIO | None,
    addresses: tuple[str, ...],
) -> None:
    """Connect a Twilio account and its numbers to an owner, or replace the account's tokens."""
    if not re.fullmatch(r"AC[0-9a-f]{32}", account_sid):
        raise click.BadParameter("must be AC and 32 hexadecimal digits, as Twilio's console shows it", param_hint="--account-sid")
    for address in addresses:
        if not _ADDRESS.fullmatch(address):
            raise click.BadParameter(f"{address} is no address such as whatsapp:+5511987654321", param_hint="--number")
    tokens = _tokens(auth_token_file, secondary_token_file)
    settings = settings_of(options)
    seal = sealer(settings)

    async def write(database: SqliteDatabase) -> None:
        found = await database.system_read(store.owner_of_public_id, owner_id)
        now = SystemClock().now()
        await database.write(found.id, connect_account, seal, account_sid, tokens, list(addresses), now=now)

    with_database(settings, write)
    click.echo(f"connected {', '.join(addresses)}", err=True)
    click.echo("In Twilio, set the number's webhook for incoming messages to (POST):", err=True)
    click.echo(webhook_url(settings))


@twilio.command()
@click.argument("owner_id")
@click.option("--account-sid", help="The account's SID; needed where the owner has several.")
@_AUTH_TOKEN
@_SECONDARY_TOKEN
@click.pass_obj
def rotate(
    options: SharedOptions,
    owner_id: str,
    account_sid: str | None,
    auth_token_file: TextIO,
    secondary_token_file: TextIO | None,
) -> None:
    """Give a connected account other tokens; a running service takes them within five seconds.

    First with the token in force and the secondary one that Twilio's console made; once it is promoted, with that one alone.
    """
    tokens = _tokens(auth_token_file, secondary_token_file)
    settings = settings_of(options)
    seal = sealer(settings)

    def work(tx: OwnerTx) -> str:
        known = [row.account_sid for row in account_rows(tx, limit=-1)]
        chosen = known if account_sid is None else [sid for sid in known if sid == account_sid]
        if len(chosen) != 1:
            raise NotFound(f"name one of the owner's accounts with --account-sid: {', '.join(known) or 'none is connected'}")
        connect_account(tx, seal, chosen[0], tokens, [], now=SystemClock().now())
        audit(tx, OPERATOR, "channel_accounts.update", chosen[0], now=SystemClock().now())
        return chosen[0]

    async def write(database: SqliteDatabase) -> str:
        found = await database.system_read(store.owner_of_public_id, owner_id)
        return await database.write(found.id, work)

    click.echo(f"{with_database(settings, write)} has its new tokens", err=True)


def webhook_url(settings: Settings) -> str:
    """What to set in Twilio."""
    return inbound_address(settings.server.public_url or "https://YOUR-HOST")


def _tokens(auth_token_file: TextIO, secondary_token_file: TextIO | None) -> list[str]:
    files = [auth_token_file, *([secondary_token_file] if secondary_token_file else [])]
    tokens = [file.read().strip() for file in files]
    if not all(tokens):
        raise click.BadParameter("the token is empty", param_hint="--auth-token-file")
    return tokens


def _let(options: SharedOptions, owner_id: str, status: Literal["active", "disabled"]) -> None:
    async def write(database: SqliteDatabase) -> None:
        found = await database.system_read(store.owner_of_public_id, owner_id)
        await database.write(found.id, let_owner, status, actor=OPERATOR, now=SystemClock().now())

    with_database(settings_of(options), write)
    click.echo(f"{owner_id} is {status}", err=True)


def _shown(one: Owner) -> dict[str, object]:
    fields = asdict(one)
    fields["id"] = fields.pop("public_id")
    return fields
