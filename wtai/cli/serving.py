"""``wtai run`` and ``wtai dev``: the service."""

import asyncio
import gc
import platform
from collections.abc import Coroutine
from typing import Final

import click

from wtai import __version__
from wtai.app import Role, Running, serve
from wtai.cli.configuration import settings_of
from wtai.cli.main import SharedOptions
from wtai.clock import MINUTE
from wtai.db.sqlite import DRIVER, driver
from wtai.identity.first_run import LIFETIME_MS
from wtai.settings import Settings
from wtai.web.webhooks import inbound_address

_ALLOCATIONS_PER_COLLECTION: Final = 5_000
_ROLES: Final = ("all", "web", "worker")


@click.command()
@click.option("--host", help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65_535), help="Port to listen on; 0 takes a free one.")
@click.option("--role", type=click.Choice(_ROLES), default="all", show_default=True, help="Take messages, work, or both.")
@click.pass_obj
def run(options: SharedOptions, host: str | None, port: int | None, role: Role) -> None:
    """Start the service; SIGTERM or Ctrl-C ends it."""
    flags = {"server.host": host, "server.port": port}
    settings = settings_of(options, {key: value for key, value in flags.items() if value is not None})

    def on_ready(program: Running) -> None:
        announce(settings, program)
        click.echo("Ready (Ctrl-C to stop)", err=True)
        # What was built until now stays, and requests leave few cycles: looking for them costs each request 3 % of its time.
        gc.freeze()
        gc.set_threshold(_ALLOCATIONS_PER_COLLECTION)

    start_loop(serve(settings, role=role, on_ready=on_ready))


@click.command()
@click.option("--port", type=click.IntRange(0, 65_535), help="Port of the program; 0 takes a free one.")
@click.pass_obj
def dev(options: SharedOptions, port: int | None) -> None:
    """Start the service with simulated Twilio and model; SIGTERM or Ctrl-C ends it.

    Needs no keys. The data are thrown away unless --data-dir names a folder for them.
    """
    from wtai.cli.development import develop_until_stopped  # the fakes have no place in the memory of `run`

    develop_until_stopped(options, port, start_loop)


def announce(settings: Settings, program: Running) -> None:
    """Say what runs where, for a person who reads the first lines of the log."""
    versions = f"Python {platform.python_version()} · SQLite {driver.sqlite_version} ({DRIVER})"
    click.echo(f"wtai {__version__} · {versions}", err=True)
    click.echo(f"data     {settings.database_path}", err=True)
    if program.url is not None:
        public = settings.server.public_url
        note = "← put this in Twilio" if public else "(set server.public_url to what Twilio calls)"
        click.echo(f"  ├─ Console  {public or program.url}{program.console_path}  {_entry(program)}".rstrip(), err=True)
        click.echo(f"  ├─ Webhook  {inbound_address(public or program.url)}  {note}", err=True)
        click.echo(f"  └─ Health   {program.url}/health", err=True)


def _entry(program: Running) -> str:
    minutes = LIFETIME_MS // MINUTE
    return f"← no administrator yet: set up here, once, within {minutes} minutes" if "/setup/" in program.console_path else ""


def start_loop(main: Coroutine[None, None, None]) -> None:
    """Run ``main`` to its end, on uvloop where it is installed (extra ``fast``)."""
    try:
        import uvloop  # not on Windows, and not everybody wants it
    except ImportError:
        asyncio.run(main)
    else:
        uvloop.run(main)
