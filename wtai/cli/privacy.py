"""``wtai owner erase|export`` and ``wtai user erase|export``: what is kept of people, handed over or erased."""

import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from wtai.cli.configuration import settings_of
from wtai.cli.data import with_database
from wtai.cli.main import SharedOptions
from wtai.clock import SystemClock
from wtai.db.sqlite import SqliteDatabase
from wtai.db.tx import PLATFORM
from wtai.identity import store
from wtai.identity.audit_store import OPERATOR
from wtai.identity.model import Owner
from wtai.privacy.erase import Receipt
from wtai.privacy.eraser import Eraser
from wtai.privacy.export import Export, export

_OUTPUT = click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Zip file to write; it must not exist. Standard output by default.",
)
_YES = click.option("--yes", is_flag=True, help="Do not ask whether you are sure.")


@click.command("erase")
@click.argument("owner_id", metavar="OWNER")
@_YES
@click.pass_obj
def erase_owner(options: SharedOptions, owner_id: str, yes: bool) -> None:
    """Erase an owner with all its people, for good, and print the receipt as JSON."""
    _sure(yes, f"Erase owner {owner_id} with all people, conversations and files? This cannot be undone.")
    settings = settings_of(options)

    async def write(database: SqliteDatabase) -> Receipt:
        found = await database.system_read(store.owner_of_public_id, owner_id)
        return await Eraser.of(settings, database, SystemClock()).erase_owner(found.id, OPERATOR)

    _show(with_database(settings, write))


@click.command("erase")
@click.argument("owner_id", metavar="OWNER")
@click.argument("user_id", metavar="USER")
@_YES
@click.pass_obj
def erase_user(options: SharedOptions, owner_id: str, user_id: str, yes: bool) -> None:
    """Erase a person, end user or staff, for good, and print the receipt as JSON."""
    _sure(yes, f"Erase {user_id} with all conversations, memories and files? This cannot be undone.")
    settings = settings_of(options)

    async def write(database: SqliteDatabase) -> Receipt:
        key = (await _owner(database, owner_id)).id
        return await Eraser.of(settings, database, SystemClock()).erase_user(key, user_id, OPERATOR)

    _show(with_database(settings, write))


@click.command("export")
@click.argument("owner_id", metavar="OWNER")
@_OUTPUT
@click.pass_obj
def export_owner(options: SharedOptions, owner_id: str, output: Path | None) -> None:
    """Write everything of an owner to a zip file: JSON Lines per table, files, a README."""
    _export(options, owner_id, None, output)


@click.command("export")
@click.argument("owner_id", metavar="OWNER")
@click.argument("user_id", metavar="USER")
@_OUTPUT
@click.pass_obj
def export_user(options: SharedOptions, owner_id: str, user_id: str, output: Path | None) -> None:
    """Write everything that is kept of a person to a zip file: JSON Lines per table, files, a README."""
    _export(options, owner_id, user_id, output)


def _export(options: SharedOptions, owner_id: str, user_id: str | None, output: Path | None) -> None:
    if output is None and sys.stdout.isatty():
        raise click.UsageError("a zip file is nothing for a terminal: give --output, or send it to a file")
    settings = settings_of(options)

    async def write(database: SqliteDatabase, target: Path) -> Export:
        found = await _owner(database, owner_id)
        media = settings.media.directory
        return await export(database, found.id, user_id, owner=found.public_id, media=media, target=target, clock=SystemClock())

    with TemporaryDirectory(prefix="wtai-export-") as folder:
        target = output or Path(folder) / "export.zip"
        done = with_database(settings, lambda database: write(database, target))
        if output is None:
            with target.open("rb") as packed:
                shutil.copyfileobj(packed, sys.stdout.buffer)
    click.echo(f"{sum(done.rows.values())} rows of {len(done.rows)} tables, {done.files} files", err=True)


async def _owner(database: SqliteDatabase, owner_id: str) -> Owner:
    if owner_id == "platform":
        return await database.read(PLATFORM, store.owner)
    return await database.system_read(store.owner_of_public_id, owner_id)


def _sure(yes: bool, question: str) -> None:
    """Ask, unless told not to. UsageError where there is nobody to ask."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError("there is nobody to ask whether you are sure: add --yes")
    click.confirm(question, abort=True, err=True)


def _show(receipt: Receipt) -> None:
    click.echo(receipt.model_dump_json(indent=2))
    if not receipt.files_rewritten:
        click.echo("the rows are gone; their bytes in the file go within a quarter of an hour of `wtai run`", err=True)
    for line in receipt.not_covered:
        click.echo(f"not covered: {line}", err=True)
