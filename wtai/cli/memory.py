"""``wtai memory``: what is kept about people, made findable again after a change of the embedding model."""

import click

from wtai.ai.memory import facts
from wtai.ai.memory.memories import Memories
from wtai.ai.openai import OpenAiLlm
from wtai.ai.openai_embeddings import embedder
from wtai.ai.paying import Payers
from wtai.cli.configuration import settings_of
from wtai.cli.data import with_database
from wtai.cli.main import SharedOptions
from wtai.clock import SystemClock
from wtai.db.sqlite import SqliteDatabase
from wtai.errors import BudgetReached
from wtai.identity.from_settings import preferences
from wtai.identity.store import owner_of_public_id, owners
from wtai.settings import Settings


@click.group()
def memory() -> None:
    """Keep memories findable."""


@memory.command()
@click.argument("owner", required=False)
@click.pass_obj
def reembed(options: SharedOptions, owner: str | None) -> None:
    """Make the words and vectors of memories anew where another version or model made them; of one OWNER, or of all."""
    settings = settings_of(options)
    click.echo(f"{with_database(settings, lambda database: _reembed(settings, database, owner))} memories")


async def _reembed(settings: Settings, database: SqliteDatabase, public: str | None) -> int:
    found = [await database.system_read(owner_of_public_id, public)] if public else await database.system_read(owners)
    openai, base = settings.openai, preferences(settings)
    key = openai.api_key.get_secret_value() if openai.api_key else None
    server = OpenAiLlm(base_url=openai.base_url, api_key=key, model=openai.model, timeout_seconds=openai.timeout_seconds)
    try:
        memories = Memories(database, embedder(settings, server.post, Payers(database, SystemClock(), base)))
        done = 0
        for one in found:
            for user_id in await database.read(one.id, facts.people):
                try:
                    done += await memories.embed_missing(one.id, user_id)
                except BudgetReached as exc:
                    click.echo(f"{one.public_id}: a person's memories are left to be found by words alone: {exc}", err=True)
        return done
    finally:
        await server.close()
