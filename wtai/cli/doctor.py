"""``wtai doctor``: what keeps wtai from working here, each problem with its mend."""

import json
import platform
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Final

import click

from wtai import failpoints as failpoint_table
from wtai.ai.llm import LlmRequest, User
from wtai.ai.openai import OpenAiLlm
from wtai.channels.accounts import Accounts
from wtai.channels.store import numbers
from wtai.channels.twilio.client import TwilioChannel
from wtai.channels.twilio.errors import Reaction, reaction
from wtai.cli.configuration import read_keys, settings_of
from wtai.cli.data import with_database
from wtai.cli.main import SharedOptions
from wtai.cli.owners import webhook_url
from wtai.clock import SystemClock
from wtai.db import sqlite
from wtai.db.migrate import status
from wtai.db.sqlite import SqliteDatabase
from wtai.errors import EnvironmentProblem, LlmError, LlmRefused, SchemaError, SendError, SendRejected, SettingsError, WtaiError
from wtai.identity.from_settings import sealer
from wtai.identity.store import owners
from wtai.sealed_store import inventory
from wtai.secrets import UnsealError
from wtai.settings import Settings

_SECONDS: Final = 15.0
"""How long Twilio and the model may take to answer."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check saw; ``problem`` says what is wrong and mends it, ``advice`` what is yet to do. Neither: all is well."""

    check: str
    seen: str
    problem: str | None = None
    advice: str | None = None


@click.command()
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.option("--failpoints", is_flag=True, help="List the names for WTAI_FAILPOINTS and check nothing.")
@click.pass_obj
def doctor(options: SharedOptions, as_json: bool, failpoints: bool) -> None:
    """Look for what keeps wtai from working here, with the mend of each.

    Asks Twilio for a list of messages with the credentials of each account, and the model for one word.
    """
    if failpoints:
        click.echo("\n".join(failpoint_table.NAMES))
        return
    findings = list(_findings(options))
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        for number, finding in enumerate(findings, 1):
            _show(number, finding)
    problems = sum(finding.problem is not None for finding in findings)
    if problems:
        raise EnvironmentProblem(f"{problems} of {len(findings)} checks failed: see above for the mends")


def _show(number: int, finding: Finding) -> None:
    verdict = "FAIL" if finding.problem is not None else "to do" if finding.advice is not None else "ok"
    click.echo(f"[{number}] {f'{finding.check}: {finding.seen} ':.<66} {verdict}")
    more = finding.problem or finding.advice
    if more is not None:
        click.echo(f"    {more}")


def _findings(options: SharedOptions) -> Iterator[Finding]:
    yield Finding("python", f"{platform.python_version()}, {platform.system()} {platform.machine()}")
    yield _seen("sqlite", f"{sqlite.driver.sqlite_version} ({sqlite.DRIVER})", sqlite.require_usable_driver)
    try:
        settings = settings_of(options)
    except SettingsError as exc:
        yield Finding("settings", "not usable", str(exc))
        return
    yield Finding("settings", "valid")
    keys = _seen("key file", str(settings.security.key_file), lambda: read_keys(settings))
    database = _seen("database", str(settings.database_path), lambda: _read_schema(settings))
    yield from (keys, database)
    if keys.problem is None and database.problem is None:
        yield from with_database(settings, lambda opened: _connected(settings, opened))


def _seen(check: str, seen: str, require: Callable[[], None]) -> Finding:
    try:
        require()
    except WtaiError as exc:
        return Finding(check, seen, str(exc))
    return Finding(check, seen)


def _read_schema(settings: Settings) -> None:
    path = settings.database_path
    if not path.exists():
        raise SchemaError(f"there is no database {path}; mend: `wtai init`")
    if pending := status(path).pending:
        raise SchemaError(f"its schema lacks {', '.join(pending)}; mend: `wtai db migrate`, or start the service once")


async def _connected(settings: Settings, database: SqliteDatabase) -> list[Finding]:
    found = await database.system_read(inventory, sealer(settings))
    broken = f"{len(found.broken)} do not open; mend: `wtai keys check` tells which" if found.broken else None
    return [
        Finding("credentials", f"{sum(found.counts.values())} sealed", broken),
        *[finding async for finding in _twilio(settings, database)],
        await _model(settings),
    ]


async def _twilio(settings: Settings, database: SqliteDatabase) -> AsyncIterator[Finding]:
    unset = "set server.public_url to what Twilio calls: its signatures are checked against it"
    yield Finding("webhook", webhook_url(settings), advice=None if settings.server.public_url else unset)
    connected = [
        (owner, sid, address)
        for owner in await database.system_read(owners)
        for sid, address in dict(await database.read(owner.id, numbers)).items()
    ]
    if not connected:
        yield Finding("twilio", "no account", advice="`wtai twilio connect OWNER …` connects an owner's account and its numbers")
        return
    clock, accounts = SystemClock(), Accounts(database, sealer(settings), SystemClock())
    channel = TwilioChannel(base_url=settings.twilio.base_url, send_seconds=_SECONDS)
    try:
        for owner, sid, address in connected:
            seen = f"{sid} of {owner.public_id}"
            try:
                await channel.listing(await accounts.of_owner(owner.id, address), address, address, clock.now())
            except UnsealError as exc:
                yield Finding("twilio", seen, f"{exc}; mend: `wtai keys check` tells what does not open")
            except SendError as exc:
                if not isinstance(exc, SendRejected) and reaction(exc.code) is not Reaction.CONFIGURATION:
                    mend = f"let this machine reach {settings.twilio.base_url}, and try again"
                    yield Finding("twilio", seen, f"{exc}; mend: {mend}")
                    continue
                mend = f"`wtai twilio rotate {owner.public_id} --account-sid {sid} --auth-token-file -`"
                yield Finding("twilio", seen, f"{exc}; mend: {mend}")
            else:
                yield Finding("twilio", seen)
    finally:
        await channel.close()


async def _model(settings: Settings) -> Finding:
    openai = settings.openai
    seen, key = f"{openai.model} at {openai.base_url}", openai.api_key.get_secret_value() if openai.api_key else None
    llm = OpenAiLlm(
        base_url=openai.base_url,
        api_key=key,
        api=openai.api,
        model=openai.model,
        timeout_seconds=min(_SECONDS, openai.timeout_seconds),
    )
    try:
        await llm.reply(LlmRequest((User("Say: ok"),), max_output_tokens=64))
    except LlmRefused as exc:
        if exc.code == "missing_api_key":
            return Finding("model", seen, advice="set openai.api_key_file: without a key messages are kept and turns wait")
        return Finding("model", seen, f"{exc}; mend: set openai.* in the settings, see `wtai config show`")
    except LlmError as exc:
        return Finding("model", seen, f"{exc}; mend: let this machine reach {openai.base_url}, and try again")
    finally:
        await llm.close()
    return Finding("model", seen)
