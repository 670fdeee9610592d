"""``wtai keys``: whether all credentials can be opened, and how they come under a new master key."""

import json

import click

from wtai.cli.configuration import settings_of
from wtai.cli.data import with_database
from wtai.cli.main import SharedOptions
from wtai.db.sqlite import SqliteDatabase
from wtai.errors import WtaiError
from wtai.sealed_store import SEALED, Inventory, inventory, reseal_batch
from wtai.secrets import Sealer, add_key, one_rotation, open_sealer
from wtai.settings import Settings


@click.group()
def keys() -> None:
    """Check and rotate the keys that seal credentials."""


@keys.command()
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_obj
def check(options: SharedOptions, as_json: bool) -> None:
    """Open every sealed credential, and say which key seals how many."""
    settings = settings_of(options)
    sealer = _sealer(settings)
    found = with_database(settings, lambda database: database.system_read(inventory, sealer))
    known = sealer.key_ids
    if as_json:
        counts = [
            {"field": field, "key": key, "current": key == known[0], "count": count}
            for (field, key), count in sorted(found.counts.items())
        ]
        click.echo(json.dumps({"keys": list(known), "sealed": counts, "broken": list(found.broken)}, indent=2))
    else:
        _show(found, known)
    if found.broken:
        raise WtaiError(f"{len(found.broken)} sealed values do not open:\n" + "\n".join(found.broken))


@keys.command()
@click.pass_obj
def rotate(options: SharedOptions) -> None:
    """Put a new key on top of the key file and seal every credential with it, also while the service runs.

    A rotation that was cut short is finished first; nothing is lost in between, for both keys stay in the file. Keep a copy of
    the changed key file. Back-ups made before need the old key.
    """
    settings = settings_of(options)
    path = settings.security.key_file
    with one_rotation(path):
        sealer = _sealer(settings)
        found = with_database(settings, lambda database: database.system_read(inventory, sealer))
        if found.broken:
            raise WtaiError(
                f"{len(found.broken)} sealed values do not open, see `wtai keys check`: mend that first; nothing was changed"
            )
        current = sealer.key_ids[0]
        if all(key == current for _, key in found.counts):
            current = add_key(path).id
            click.echo(f"new key {current} in {path}: keep a copy of the file", err=True)
        else:
            click.echo(f"an earlier rotation was not finished: going on with key {current}", err=True)
        resealed = with_database(settings, lambda database: _reseal(database, sealer))
    click.echo(f"{resealed} rows sealed with key {current}", err=True)


async def _reseal(database: SqliteDatabase, sealer: Sealer) -> int:
    """Seal everything with the current key, a batch at a time; returns the number of rows changed."""
    changed = 0
    for column in SEALED:
        after: int | None = 0
        while after is not None:
            batch = await database.system_write(reseal_batch, sealer, column, after)
            changed += batch.resealed
            after = batch.last
    return changed


def _sealer(settings: Settings) -> Sealer:
    return open_sealer(settings.security.key_file, settings.security.previous_key_files)


def _show(found: Inventory, known: tuple[str, ...]) -> None:
    for (field, key), count in sorted(found.counts.items()):
        click.echo(f"{field:<28}  {key or 'no key':<10}  {'current' if key == known[0] else 'older':<8}  {count}")
    for key in known[1:]:
        if all(key != used for _, used in found.counts):
            click.echo(f"key {key} seals nothing here any more; back-ups made before the rotation need it", err=True)
    if not found.counts:
        click.echo("nothing is sealed yet", err=True)
