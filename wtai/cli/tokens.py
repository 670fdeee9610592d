"""``wtai token``: API tokens of owners and of the platform."""

import json

import click

from wtai.cli.configuration import settings_of
from wtai.cli.data import with_database
from wtai.cli.main import SharedOptions
from wtai.cli.users import owner_key
from wtai.clock import DAY, SystemClock
from wtai.db.sqlite import SqliteDatabase
from wtai.db.tx import PLATFORM
from wtai.identity.access import Role
from wtai.identity.api_tokens import Issued, end_api_token, issue_api_token
from wtai.identity.api_tokens_store import ApiToken, api_tokens
from wtai.identity.audit_store import OPERATOR


@click.group()
def token() -> None:
    """Create, show and revoke API tokens.

    OWNER is an owner's id, or "platform".
    """


@token.command()
@click.argument("owner_id", metavar="OWNER")
@click.option("--name", required=True, help="What the token is for.")
@click.option("--scope", "scopes", multiple=True, required=True, help="all, read, a resource, or an action; may be repeated.")
@click.option("--role", type=click.Choice(["admin", "agent"]), help="The most it may be for an owner; admin by default.")
@click.option("--days", type=click.IntRange(1, 3_650), help="Days until it expires; never by default.")
@click.option("--json", "as_json", is_flag=True, help="As JSON, with the token.")
@click.pass_obj
def create(
    options: SharedOptions,
    owner_id: str,
    name: str,
    scopes: tuple[str, ...],
    role: str | None,
    days: int | None,
    as_json: bool,
) -> None:
    """Create a token and print it: it is shown this once."""
    if not name.strip():
        raise click.BadParameter("must not be blank", param_hint="--name")

    async def write(database: SqliteDatabase) -> Issued:
        key = await owner_key(database, owner_id)
        if key == PLATFORM and role is not None:
            raise click.UsageError("the platform's tokens have no other role: leave --role out")
        is_a = Role.PLATFORM if key == PLATFORM else Role(role or Role.ADMIN)
        now = SystemClock().now()
        expires_at = None if days is None else now + days * DAY
        return await database.write(key, issue_api_token, name.strip(), is_a, scopes, maker=None, expires_at=expires_at, now=now)

    made = with_database(settings_of(options), write)
    if as_json:
        click.echo(json.dumps({**_shown(made.token), "token": made.text}, ensure_ascii=False))
        return
    click.echo(made.text)
    click.echo(f"{made.token.public_id}: keep the token now, it is not shown again", err=True)


@token.command("list")
@click.argument("owner_id", metavar="OWNER")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_obj
def list_tokens(options: SharedOptions, owner_id: str, as_json: bool) -> None:
    """Show an owner's tokens, by their visible start."""

    async def read(database: SqliteDatabase) -> list[ApiToken]:
        return await database.read(await owner_key(database, owner_id), api_tokens)

    found = with_database(settings_of(options), read)
    if as_json:
        click.echo(json.dumps([_shown(one) for one in found], indent=2, ensure_ascii=False))
        return
    now = SystemClock().now()
    for one in found:
        state = "in force" if one.is_good(now) else "void"
        click.echo(f"{one.public_id}  {one.prefix}…  {state:<8}  {one.role:<8}  {','.join(one.scopes)}  {one.name}")
    if not found:
        click.echo("no tokens; `wtai token create` makes one", err=True)


@token.command()
@click.argument("owner_id", metavar="OWNER")
@click.argument("token_id", metavar="TOKEN")
@click.pass_obj
def revoke(options: SharedOptions, owner_id: str, token_id: str) -> None:
    """End a token, by its id."""

    async def write(database: SqliteDatabase) -> None:
        key = await owner_key(database, owner_id)
        await database.write(key, end_api_token, token_id, OPERATOR, now=SystemClock().now())

    with_database(settings_of(options), write)
    click.echo(f"{token_id} is revoked", err=True)


def _shown(one: ApiToken) -> dict[str, object]:
    return {
        "id": one.public_id,
        "name": one.name,
        "prefix": one.prefix,
        "role": one.role,
        "scopes": list(one.scopes),
        "created_at": one.created_at,
        "expires_at": one.expires_at,
        "last_used_at": one.last_used_at,
        "revoked_at": one.revoked_at,
    }
