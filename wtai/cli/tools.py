"""``wtai tool``: HTTP tools of an owner's own, for its specialists to use."""

import json
from typing import Annotated, TextIO

import click
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from wtai.ai.memory.embedder import HashedEmbedder
from wtai.ai.memory.memories import Memories
from wtai.ai.specialists import built_in_names, shared_tools
from wtai.ai.tools.http_store import (
    HttpTool,
    HttpToolDraft,
    InvalidHttpTool,
    Saved,
    delete_http_tool,
    http_tools,
    save_http_tool,
)
from wtai.ai.tools.tool import Effect
from wtai.cli.configuration import settings_of
from wtai.cli.data import with_database
from wtai.cli.main import SharedOptions
from wtai.cli.users import owner_key
from wtai.clock import SystemClock
from wtai.db.sqlite import SqliteDatabase
from wtai.db.tx import OwnerTx
from wtai.egress import Egress
from wtai.identity.audit_store import OPERATOR, audit
from wtai.identity.from_settings import sealer


class Definition(BaseModel):
    """A tool as its file says it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    description: str
    parameters: dict[str, JsonValue]
    url: str
    effect: Effect
    timeout_seconds: Annotated[float, Field(allow_inf_nan=False)] = 10.0


@click.group()
def tool() -> None:
    """Show and set HTTP tools: what an owner's specialists may call at a URL of the owner's.

    A call is posted as JSON, signed as Standard Webhooks has it. A specialist uses the tools that its configuration names:
    `wtai feature set OWNER NAME --config-file FILE` with {"tools": ["order_status"], …}.
    """


@tool.command("list")
@click.argument("owner_id", metavar="OWNER")
@click.option("--json", "as_json", is_flag=True, help="As JSON, without the secrets.")
@click.pass_obj
def list_tools(options: SharedOptions, owner_id: str, as_json: bool) -> None:
    """Show an owner's tools."""

    async def read(database: SqliteDatabase) -> tuple[HttpTool, ...]:
        return await database.read(await owner_key(database, owner_id), http_tools)

    found = with_database(settings_of(options), read)
    if as_json:
        click.echo(json.dumps([_shown(one) for one in found], indent=2, ensure_ascii=False))
        return
    for one in found:
        click.echo(f"{one.name:<24}  {one.effect:<12}  {one.timeout_seconds:>4g} s  {one.url.partition('?')[0]}")
    if not found:
        click.echo("no tools; `wtai tool set` makes one", err=True)


@tool.command("set")
@click.argument("owner_id", metavar="OWNER")
@click.argument("definition_file", metavar="FILE", type=click.File("r"))
@click.option("--secret-file", type=click.File("r"), help="File with the signing secret (whsec_…); '-' reads standard input.")
@click.option("--json", "as_json", is_flag=True, help="As JSON, with the secret if one was made.")
@click.pass_obj
def set_one(options: SharedOptions, owner_id: str, definition_file: TextIO, secret_file: TextIO | None, as_json: bool) -> None:
    """Save the tool that FILE defines, in place of the owner's of the same name, and print the secret of a new one.

    FILE holds JSON: name, description, parameters (the JSON schema of the arguments), url (https), effect (read, reversible, or
    irreversible: the person is asked first), and timeout_seconds (10 by default). '-' reads standard input.
    """
    settings = settings_of(options)
    secret = secret_file.read().strip() if secret_file else None
    try:
        definition = Definition.model_validate_json(definition_file.read())
    except ValidationError as error:
        places = "; ".join(f"/{'/'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise click.UsageError(f"{definition_file.name}: {places}") from error
    draft = HttpToolDraft(**dict(definition), secret=secret)

    async def write(database: SqliteDatabase) -> Saved:
        names = built_in_names(shared_tools(Memories(database, HashedEmbedder())))
        egress, seal, now = Egress(settings.egress.allowed_private_hosts), sealer(settings), SystemClock().now()

        def work(tx: OwnerTx) -> Saved:
            saved = save_http_tool(tx, draft, sealer=seal, egress=egress, built_in=names, now=now)
            audit(tx, OPERATOR, "http_tools.update", saved.tool.public_id, details=draft.name, now=now)
            return saved

        return await database.write(await owner_key(database, owner_id), work)

    try:
        saved = with_database(settings, write)
    except InvalidHttpTool as error:
        raise click.UsageError(f"{definition_file.name}: {error}") from error
    if as_json:
        click.echo(json.dumps({**_shown(saved.tool), "secret": saved.new_secret}, ensure_ascii=False))
        return
    if saved.new_secret is not None:
        click.echo(saved.new_secret)
        click.echo(f"{saved.tool.name}: keep the secret now, it is not shown again", err=True)
    else:
        click.echo(f"{saved.tool.name} is set", err=True)


@tool.command("remove")
@click.argument("owner_id", metavar="OWNER")
@click.argument("name")
@click.pass_obj
def remove(options: SharedOptions, owner_id: str, name: str) -> None:
    """Forget a tool. Specialists that name it go on without."""

    def work(tx: OwnerTx) -> None:
        delete_http_tool(tx, name)
        audit(tx, OPERATOR, "http_tools.delete", name, now=SystemClock().now())

    async def write(database: SqliteDatabase) -> None:
        await database.write(await owner_key(database, owner_id), work)

    with_database(settings_of(options), write)
    click.echo(f"{name} is removed", err=True)


def _shown(one: HttpTool) -> dict[str, object]:
    return {
        "id": one.public_id,
        "name": one.name,
        "description": one.description,
        "parameters": json.loads(one.parameters),
        "url": one.url,
        "effect": one.effect,
        "timeout_seconds": one.timeout_seconds,
    }
