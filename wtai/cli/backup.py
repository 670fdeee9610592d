"""``wtai backup``: copies of the database and of people's files, made while the service runs."""

import json
from datetime import UTC, datetime
from pathlib import Path

import click

from wtai.cli.configuration import settings_of
from wtai.cli.data import with_database
from wtai.cli.main import SharedOptions
from wtai.clock import SECOND, SystemClock
from wtai.db import backup as archive
from wtai.working import backups

KEY_NOTE = "The credentials inside open only with the key file {}: keep a copy of it apart from the back-ups."


@click.group()
def backup() -> None:
    """Make, show and check back-ups."""


@backup.command()
@click.option("--media/--no-media", default=True, show_default=True, help="With the files that people sent, or without.")
@click.pass_obj
def create(options: SharedOptions, media: bool) -> None:
    """Make a back-up now, beside a running service or without one, and print its file."""
    settings = settings_of(options)
    made = with_database(settings, lambda database: backups(settings, database, SystemClock()).create(with_media=media))
    click.echo(made.path)
    click.echo(KEY_NOTE.format(settings.security.key_file), err=True)


@backup.command("list")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_obj
def list_backups(options: SharedOptions, as_json: bool) -> None:
    """Show the back-ups, oldest first. `backup verify` reads every byte of one."""
    found = archive.found(settings_of(options).backup.directory)
    if as_json:
        click.echo(json.dumps([_shown(one) for one in found], indent=2))
        return
    for one in found:
        if one.manifest is None:
            click.echo(f"{one.path}  {one.size:>12}  BROKEN")
            continue
        media = "with media" if one.manifest.with_media else "without media"
        made, schema = _moment(one.manifest.created_at), one.manifest.schema_version
        click.echo(f"{one.path}  {one.size:>12}  {made}  schema {schema}  {media}")
    if not found:
        click.echo("no back-ups; `wtai backup create` makes one", err=True)


@backup.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False), required=False)
@click.pass_obj
def verify(options: SharedOptions, file: Path | None) -> None:
    """Read every byte of a back-up, the newest unless FILE names one, as a restore would."""
    directory = settings_of(options).backup.directory
    found = archive.found(directory)
    if file is None and not found:
        raise archive.BackupBroken(f"there is no back-up in {directory}; mend: `wtai backup create`")
    chosen = file or found[-1].path
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    manifest = archive.verify(chosen, directory)
    click.echo(f"{chosen}: whole, schema {manifest.schema_version}, {len(manifest.members)} files", err=True)


def _shown(one: archive.Backup) -> dict[str, object]:
    manifest = one.manifest
    return {
        "file": str(one.path),
        "size": one.size,
        "whole": manifest is not None,
        "created_at": manifest.created_at if manifest else None,
        "schema_version": manifest.schema_version if manifest else None,
        "with_media": manifest.with_media if manifest else None,
    }


def _moment(at: int) -> str:
    return datetime.fromtimestamp(at // SECOND, UTC).isoformat()
