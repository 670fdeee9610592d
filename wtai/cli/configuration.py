"""``wtai init``, ``check``, ``config`` and ``version``; and how every command comes by its settings."""

import json
import os
import platform
from collections.abc import Mapping
from importlib.metadata import version as version_of
from pathlib import Path

import click
from pydantic import SecretStr

from wtai import __version__, failpoints, logs
from wtai.cli.main import SharedOptions
from wtai.db import sqlite
from wtai.db.migrate import migrate, status
from wtai.errors import EnvironmentProblem, WtaiError
from wtai.secrets import create_key_file, read_key_file
from wtai.settings import SECTIONS, Settings
from wtai.settings_source import DEFAULT_FILE, failpoint_spec, keys, read, settings_from, toml_value, variable

MASK = "********"


def settings_of(options: SharedOptions, overrides: Mapping[str, object] | None = None) -> Settings:
    """The settings a command works with; logging and failpoints are set up from them.

    ``overrides`` are the command's own flags, by ``section.key``. SettingsError if something is wrong.
    """
    level = {"logging.level": "debug"} if options.verbose else {}
    sources = read(options.config, options.data_dir, {**level, **(overrides or {})})
    settings = settings_from(sources)
    logs.configure(settings.logging.format, settings.logging.level)
    failpoints.arm(failpoint_spec())
    return settings


def render_example(*, commented: bool = False) -> str:
    """Every setting with its explanation and default as TOML; ``commented`` leaves each default to the program.

    A key without a default is always commented out, with an example.
    """
    lines = ["# Settings of wtai. Each can also be set in the environment, for example:", f"# {variable('server.port')}=8080"]
    for section, model in SECTIONS.items():
        lines += ["", f"# {(model.__doc__ or '').strip()}", f"[{section}]"]
        for name, field in model.model_fields.items():
            absent = field.default is None
            value = field.examples[0] if absent and field.examples else field.default
            lines += [f"# {field.description}", f"{'#' if absent or commented else ''}{name} = {toml_value(value)}"]
    return "\n".join(lines) + "\n"


@click.command()
@click.option("--force", is_flag=True, help="Replace a settings file that exists; a key is never replaced.")
@click.pass_obj
def init(options: SharedOptions, force: bool) -> None:
    """Write config.toml and a key file, create the database.

    What exists is kept; without anything to do it is an error.
    """
    data_dir = (options.data_dir or Path()).absolute()
    file = options.config or data_dir / DEFAULT_FILE
    write = force or not file.exists()
    if write:
        _make_directory(data_dir)
        _write_settings_file(file)
    settings = settings_of(SharedOptions(file, data_dir, options.verbose))
    key_file = settings.security.key_file
    if not write and key_file.exists():
        raise WtaiError(f"{file} and {key_file} exist already; mend: --force writes the settings file anew")
    click.echo(f"{'wrote' if write else 'kept '}  {file}", err=True)
    if key_file.exists():
        click.echo(f"kept   {key_file}", err=True)
    else:
        _make_directory(key_file.parent)
        create_key_file(key_file)
        click.echo(f"wrote  {key_file}  (keep a copy apart from the database)", err=True)
    made = migrate(settings.database_path)
    click.echo(f"{'wrote' if made else 'kept '}  {settings.database_path}", err=True)


def read_keys(settings: Settings) -> None:
    """EnvironmentProblem, naming the mend, if one of the key files cannot be used."""
    for path in (settings.security.key_file, *settings.security.previous_key_files):
        read_key_file(path)


@click.command()
@click.pass_obj
def check(options: SharedOptions) -> None:
    """Say whether the program could start here: settings, SQLite, keys, database. Starts nothing."""
    settings = settings_of(options)
    sqlite.require_usable_driver()
    read_keys(settings)
    if settings.database_path.exists():
        status(settings.database_path)
    sources = read(options.config, options.data_dir)
    variables = sum(len(table) for table in sources.environment.values())
    click.echo(f"ok: {sources.file or 'no settings file'}, {variables} from the environment")


@click.group()
def config() -> None:
    """Show the settings: in effect, their schema, their reference."""


@config.command()
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_obj
def show(options: SharedOptions, as_json: bool) -> None:
    """Show each setting in effect and where it comes from; secrets are masked."""
    sources = read(options.config, options.data_dir)
    settings = settings_from(sources)
    effective = {key: (_shown(settings, key), sources.origin(key)) for key in keys()}
    if as_json:
        click.echo(json.dumps({key: {"value": value, "origin": origin} for key, (value, origin) in effective.items()}, indent=2))
        return
    for key, (value, origin) in effective.items():
        text = "none" if value is None else toml_value(value)
        click.echo(f"{f'{key} = {text}':<72}  # {origin}")


@config.command()
def schema() -> None:
    """Print the JSON Schema of config.toml."""
    click.echo(json.dumps(Settings.model_json_schema(), indent=2, ensure_ascii=False))


@config.command()
def docs() -> None:
    """Print every setting with its explanation and default, as a settings file."""
    click.echo(render_example(), nl=False)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def version(as_json: bool) -> None:
    """Show the versions of wtai, Python and SQLite."""
    versions = {
        "wtai": __version__,
        "python": platform.python_version(),
        "sqlite": sqlite.driver.sqlite_version,
        "sqlite_driver": sqlite.DRIVER,
        "sqlite_vec": version_of("sqlite-vec"),
    }
    if as_json:
        click.echo(json.dumps(versions))
    else:
        click.echo(
            f"wtai {versions['wtai']} · Python {versions['python']} · SQLite {versions['sqlite']} ({versions['sqlite_driver']})"
            f" · sqlite-vec {versions['sqlite_vec']}"
        )


def _shown(settings: Settings, key: str) -> object:
    section, _, name = key.partition(".")
    value = getattr(getattr(settings, section), name)
    if isinstance(value, SecretStr):
        return MASK
    if isinstance(value, Path):
        return str(value)
    return [str(item) for item in value] if isinstance(value, tuple) else value


def _make_directory(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise EnvironmentProblem(f"cannot make the directory {path}: {exc.strerror}; make its parent writable") from exc


def _write_settings_file(file: Path) -> None:
    """Written whole or not at all; for its owner alone, because a key may come to stand in it."""
    fresh = file.with_name(f"{file.name}.new")
    try:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as output:
            output.write(render_example(commented=True))
        fresh.replace(file)
    except OSError as exc:
        raise EnvironmentProblem(f"cannot write {file}: {exc.strerror}; make its folder writable") from exc
