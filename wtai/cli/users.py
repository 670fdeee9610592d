"""``wtai user``: who may log in. OWNER is an owner's id, or ``platform`` for those who run the machine."""

import json
from collections.abc import Callable
from typing import Literal, TextIO

import click

from wtai.cli.configuration import settings_of
from wtai.cli.data import with_database
from wtai.cli.main import SharedOptions
from wtai.cli.passwords import hash_of_new_password
from wtai.cli.privacy import erase_user, export_user
from wtai.clock import SystemClock
from wtai.db.sqlite import SqliteDatabase
from wtai.db.tx import PLATFORM, OwnerTx
from wtai.identity import registration, store, users_store
from wtai.identity.access import Role
from wtai.identity.audit_store import OPERATOR
from wtai.identity.model import User

PLATFORM_NAME = "platform"


async def owner_key(database: SqliteDatabase, owner_id: str) -> int:
    """The key of the owner that a command names. NotFound."""
    if owner_id == PLATFORM_NAME:
        return PLATFORM
    return (await database.system_read(store.owner_of_public_id, owner_id)).id


@click.group()
def user() -> None:
    """Create and show who may log in, set passwords and roles.

    OWNER is an owner's id, or "platform" for the people who run the machine. USER is a user's id or e-mail address.
    """


user.add_command(export_user)
user.add_command(erase_user)


@user.command()
@click.argument("owner_id", metavar="OWNER")
@click.option("--email", required=True, help="E-mail address to log in with.")
@click.option("--name", help="Name of the person.")
@click.option("--role", type=click.Choice(["admin", "agent"]), help="What an owner's user may do; agent by default.")
@click.option("--password-file", type=click.File("r"), help="File with the password; '-' reads standard input.")
@click.option("--json", "as_json", is_flag=True, help="As JSON, with the id.")
@click.pass_obj
def create(
    options: SharedOptions,
    owner_id: str,
    email: str,
    name: str | None,
    role: str | None,
    password_file: TextIO | None,
    as_json: bool,
) -> None:
    """Create someone who may log in, and print its id."""
    if role is not None and owner_id == PLATFORM_NAME:
        raise click.UsageError("the platform's users have no other role: leave --role out")
    settings = settings_of(options)
    password_hash = hash_of_new_password(settings, email, password_file)
    is_a = Role.PLATFORM if owner_id == PLATFORM_NAME else Role(role or Role.AGENT)

    async def write(database: SqliteDatabase) -> User:
        key = await owner_key(database, owner_id)
        now = SystemClock().now()
        return await database.write(key, registration.add_user, is_a, name, email, password_hash, actor=OPERATOR, now=now)

    made = with_database(settings, write)
    click.echo(json.dumps(_shown(made), ensure_ascii=False) if as_json else made.public_id)


@user.command("list")
@click.argument("owner_id", metavar="OWNER")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_obj
def list_users(options: SharedOptions, owner_id: str, as_json: bool) -> None:
    """Show who may log in."""

    async def read(database: SqliteDatabase) -> list[User]:
        return await database.read(await owner_key(database, owner_id), users_store.staff)

    found = with_database(settings_of(options), read)
    if as_json:
        click.echo(json.dumps([_shown(one) for one in found], indent=2, ensure_ascii=False))
        return
    for one in found:
        click.echo(f"{one.public_id}  {one.status:<8}  {one.role:<8}  {one.email}  {one.name or ''}".rstrip())
    if not found:
        click.echo("nobody; `wtai user create` makes someone", err=True)


@user.command()
@click.argument("owner_id", metavar="OWNER")
@click.argument("user_id", metavar="USER")
@click.option("--password-file", type=click.File("r"), help="File with the password; '-' reads standard input.")
@click.pass_obj
def password(options: SharedOptions, owner_id: str, user_id: str, password_file: TextIO | None) -> None:
    """Give a user another password; all its sessions end."""
    settings = settings_of(options)

    async def read(database: SqliteDatabase) -> User:
        return await database.read(await owner_key(database, owner_id), _named, user_id)

    found = with_database(settings, read)
    if found.email is None:
        raise click.UsageError(f"{user_id} is an end user, who does not log in")
    password_hash = hash_of_new_password(settings, found.email, password_file)
    _change(
        options,
        owner_id,
        user_id,
        lambda tx, one, now: registration.give_password(tx, one, password_hash, actor=OPERATOR, now=now),
    )


@user.command()
@click.argument("owner_id", metavar="OWNER")
@click.argument("user_id", metavar="USER")
@click.argument("new_role", metavar="ROLE", type=click.Choice(["admin", "agent"]))
@click.pass_obj
def role(options: SharedOptions, owner_id: str, user_id: str, new_role: str) -> None:
    """Make a user of an owner an admin or an agent."""
    if owner_id == PLATFORM_NAME:
        raise click.UsageError("the platform's users have no other role")
    _change(
        options, owner_id, user_id, lambda tx, one, now: registration.give_role(tx, one, Role(new_role), actor=OPERATOR, now=now)
    )


@user.command()
@click.argument("owner_id", metavar="OWNER")
@click.argument("user_id", metavar="USER")
@click.pass_obj
def disable(options: SharedOptions, owner_id: str, user_id: str) -> None:
    """Shut a user out: its sessions and the API tokens it made end."""
    _let(options, owner_id, user_id, "disabled")


@user.command()
@click.argument("owner_id", metavar="OWNER")
@click.argument("user_id", metavar="USER")
@click.pass_obj
def enable(options: SharedOptions, owner_id: str, user_id: str) -> None:
    """Let a disabled user in again."""
    _let(options, owner_id, user_id, "active")


def _let(options: SharedOptions, owner_id: str, user_id: str, status: Literal["active", "disabled"]) -> None:
    _change(options, owner_id, user_id, lambda tx, one, now: registration.let(tx, one, status, actor=OPERATOR, now=now))


def _change(options: SharedOptions, owner_id: str, user_id: str, change: Callable[[OwnerTx, User, int], User]) -> None:
    def work(tx: OwnerTx) -> User:
        found = _named(tx, user_id)
        if found.email is None:
            raise click.UsageError(f"{user_id} is an end user, who does not log in")
        return change(tx, found, SystemClock().now())

    async def write(database: SqliteDatabase) -> User:
        return await database.write(await owner_key(database, owner_id), work)

    changed = with_database(settings_of(options), write)
    click.echo(f"{changed.public_id} is {changed.role}, {changed.status}", err=True)


def _named(tx: OwnerTx, user_id: str) -> User:
    find = users_store.user_of_email if "@" in user_id else users_store.user_of_public_id
    return find(tx, user_id)


def _shown(one: User) -> dict[str, object]:
    return {
        "id": one.public_id,
        "email": one.email,
        "name": one.name,
        "role": one.role,
        "status": one.status,
        "created_at": one.created_at,
    }
