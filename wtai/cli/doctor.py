"""``wtai doctor``: what keeps wtai from working here, each problem with its mend."""

import json
import platform
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

import click

from wtai import failpoints as failpoint_table
from wtai.cli.configuration import settings_of
from wtai.cli.main import SharedOptions
from wtai.db import sqlite
from wtai.errors import EnvironmentProblem, SettingsError, WtaiError
from wtai.secrets import read_key_file
from wtai.settings import Settings


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check saw; ``problem`` says what is wrong and mends it, None if all is well."""

    check: str
    seen: str
    problem: str | None = None


@click.command()
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.option("--failpoints", is_flag=True, help="List the names for WTAI_FAILPOINTS and check nothing.")
@click.pass_obj
def doctor(options: SharedOptions, as_json: bool, failpoints: bool) -> None:
    """Look for what keeps wtai from working here, with the mend of each."""
    if failpoints:
        click.echo("\n".join(failpoint_table.NAMES))
        return
    findings = list(_findings(options))
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        for number, finding in enumerate(findings, 1):
            click.echo(f"[{number}] {f'{finding.check}: {finding.seen} ':.<66} {'ok' if finding.problem is None else 'FAIL'}")
            if finding.problem is not None:
                click.echo(f"    {finding.problem}")
    problems = sum(finding.problem is not None for finding in findings)
    if problems:
        raise EnvironmentProblem(f"{problems} of {len(findings)} checks failed: see above for the mends")


def _findings(options: SharedOptions) -> Iterator[Finding]:
    yield Finding("python", f"{platform.python_version()}, {platform.system()} {platform.machine()}")
    yield _seen("sqlite", f"{sqlite.driver.sqlite_version} ({sqlite.DRIVER})", sqlite.require_usable_driver)
    try:
        settings = settings_of(options)
    except SettingsError as exc:
        yield Finding("settings", "not usable", str(exc))
        return
    yield Finding("settings", "valid")
    yield _seen("key file", str(settings.security.key_file), lambda: _read_keys(settings))


def _seen(check: str, seen: str, require: Callable[[], None]) -> Finding:
    try:
        require()
    except WtaiError as exc:
        return Finding(check, seen, str(exc))
    return Finding(check, seen)


def _read_keys(settings: Settings) -> None:
    for path in (settings.security.key_file, *settings.security.previous_key_files):
        read_key_file(path)
