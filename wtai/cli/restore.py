"""``wtai restore``: a back-up comes back, without those who were erased since."""

import asyncio
import sys
from pathlib import Path

import click

from wtai.cli.backup import KEY_NOTE
from wtai.cli.configuration import settings_of
from wtai.cli.main import SharedOptions
from wtai.clock import SystemClock
from wtai.identity.from_settings import sealer
from wtai.privacy.restore import Places, Restored
from wtai.privacy.restore import restore as bring_back
from wtai.privacy.tombstones import AddressDigests


@click.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--yes", is_flag=True, help="Do not ask whether you are sure.")
@click.pass_obj
def restore(options: SharedOptions, file: Path, yes: bool) -> None:
    """Put a back-up in the place of the database, which is kept beside it. The service must be stopped."""
    settings = settings_of(options)
    if not yes and sys.stdin.isatty():
        click.confirm(f"Replace {settings.database_path} by {file}?", abort=True, err=True)
    places = Places(settings.database_path, settings.media.directory, settings.backup.directory)
    done = asyncio.run(bring_back(file, places, AddressDigests(sealer(settings)), SystemClock()))
    _tell(done, settings.database_path)
    click.echo(KEY_NOTE.format(settings.security.key_file), err=True)


def _tell(done: Restored, database: Path) -> None:
    for receipt in done.erased_again:
        rows = sum(receipt.removed.values())
        click.echo(f"erased again: {receipt.kind} of erasure {receipt.id}, {rows} rows, {receipt.files} files")
    if done.unread is not None:
        click.echo(f"warning: who was erased was read from the list beside the back-ups alone: {done.unread}", err=True)
    if done.to_find_out:
        click.echo(f"{done.to_find_out} messages may have been sent since: they are looked for before they are sent", err=True)
    for path in done.aside:
        click.echo(f"what was there before is in {path}; later erasures do not reach it: remove it once all is well", err=True)
    click.echo(f"{database} is restored, schema {done.manifest.schema_version} as backed up", err=True)
