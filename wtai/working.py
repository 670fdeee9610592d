"""The composition of the worker: its handlers and what they need. Imported late, since it takes most of the program's start."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from wtai.ai.llm import Llm
from wtai.ai.loop import DEFAULT_LIMITS, Limits
from wtai.ai.memory.embedding import Embedding
from wtai.ai.memory.ended import Ended
from wtai.ai.memory.extraction import EXTRACT, Extraction
from wtai.ai.memory.memories import Memories
from wtai.ai.memory.summaries import SUMMARIZE, Summarizing
from wtai.ai.memory.writing import EMBED
from wtai.ai.metering import Meter
from wtai.ai.openai import OpenAiLlm
from wtai.ai.openai_embeddings import embedder
from wtai.ai.paying import Payers
from wtai.ai.pricing import Prices
from wtai.ai.specialists import Specialists, shared_tools
from wtai.ai.thinking import Thinker
from wtai.ai.tools.http import HttpTools
from wtai.ai.transcription import Transcription
from wtai.ai.turn import APOLOGIZE, Turns
from wtai.channels.accounts import Accounts
from wtai.channels.channel import Channel
from wtai.channels.media import FORGO, Attachments
from wtai.channels.media_files import MediaFiles
from wtai.channels.missed import MISSED, MISSED_OF, Missed
from wtai.channels.sender import ABANDON, Sender
from wtai.channels.twilio.client import TwilioChannel
from wtai.channels.twilio.media import MediaDownload
from wtai.channels.typing import TypingIndicator
from wtai.clock import Clock
from wtai.conversation.inbox import FETCH, TRANSCRIBE, TURN
from wtai.conversation.lifecycle import ENDED
from wtai.conversation.outbox import SEND
from wtai.conversation.reminders import REMIND, Reminders
from wtai.conversation.timeouts import TIMEOUTS, Timeouts
from wtai.db.sqlite import SqliteDatabase
from wtai.db.tx import Database
from wtai.egress import Egress
from wtai.events import DELIVER, job_died
from wtai.hooks.delivery import Deliveries
from wtai.identity.from_settings import preferences, sealer
from wtai.identity.upkeep import UPKEEP, Upkeep
from wtai.jobs.sqlite import SqliteQueue
from wtai.jobs.worker import JobKind, Worker
from wtai.privacy.backups import BACKUP, Backups
from wtai.privacy.erase import FINISH
from wtai.privacy.eraser import Eraser
from wtai.privacy.tombstones import AddressDigests
from wtai.rollups.rollups import ROLLUPS, Rollups
from wtai.search.indexing import INDEX, Indexing
from wtai.settings import Settings
from wtai.sweeps import sweeping

_AFTER_DEATH = {TURN: APOLOGIZE, SEND: ABANDON, FETCH: FORGO, TRANSCRIBE: FORGO}
"""Which kind of job takes over from a dead one."""

_SEND_ATTEMPTS = 20
"""Throttled sends wait for hours rather than fail: Twilio's own queue holds messages for four."""


@dataclass(frozen=True, slots=True)
class Given:
    """What a measurement puts in place of what the program takes: what a turn may cost, and what it makes of the program's own
    specialists.
    """

    specialists: Callable[[Specialists], Specialists] = lambda own: own
    limits: Limits = DEFAULT_LIMITS


NOTHING = Given()


def metered(settings: Settings, database: Database, llm: Llm, clock: Clock) -> Meter:
    """What counts the calls of models, at the settings' prices."""
    openai = settings.openai
    return Meter(database, llm, Prices.of(settings.prices), clock, model=openai.model, small_model=openai.small_model)


def thinker(
    settings: Settings,
    database: Database,
    meter: Meter,
    memories: Memories,
    http_tools: HttpTools,
    clock: Clock,
    given: Given = NOTHING,
) -> Thinker:
    """What answers with the owners' specialists."""
    openai, media = settings.openai, settings.media.directory
    specialists = given.specialists(Specialists(shared_tools(memories), router_model=openai.router_model))
    return Thinker(
        database,
        meter,
        specialists,
        memories,
        http_tools,
        clock,
        given.limits,
        media=media,
        vision_model=openai.vision_model,
    )


@asynccontextmanager
async def working(
    settings: Settings,
    database: SqliteDatabase,
    accounts: Accounts,
    clock: Clock,
    public_url: str | None,
    *,
    given: Given = NOTHING,
) -> AsyncIterator[None]:
    """The worker with its handlers, drained at the end."""
    lease_ms = round(settings.worker.lease_seconds * 1000)
    async with AsyncExitStack() as stack:
        channel, llm = _channel(settings, public_url), _model(settings)
        stack.push_async_callback(channel.close)
        stack.push_async_callback(llm.close)
        base = preferences(settings)
        channels = {"whatsapp": channel, "sms": channel}
        typing = TypingIndicator(accounts, channels)
        egress = Egress(settings.egress.allowed_private_hosts)
        stack.push_async_callback(egress.close)
        http_tools = HttpTools(database, sealer(settings), egress, clock)
        meter = metered(settings, database, llm, clock)
        payers = Payers(database, clock, base)
        memories = Memories(database, embedder(settings, llm.post, payers))
        thinking = thinker(settings, database, meter, memories, http_tools, clock, given)
        turns = Turns(database, thinking, clock, base=base, show_typing=typing.show)
        reconcile_ms = round(settings.twilio.reconcile_seconds * 1000)
        sender = Sender(database, accounts, channels, clock, reconcile_ms=reconcile_ms)
        kinds = {
            TURN: JobKind(turns.handle, settings.worker.max_attempts),
            APOLOGIZE: JobKind(turns.apologize, settings.worker.max_attempts),
            SEND: JobKind(sender.handle, _SEND_ATTEMPTS),
            ABANDON: JobKind(sender.abandon, settings.worker.max_attempts),
            **_listening(settings, database, accounts, channel, clock),
            REMIND: JobKind(Reminders(database, clock).handle, settings.worker.max_attempts),
            TIMEOUTS: JobKind(Timeouts(database, base, clock).handle, settings.worker.max_attempts),
            UPKEEP: JobKind(Upkeep(database, clock).handle, settings.worker.max_attempts),
            ROLLUPS: JobKind(Rollups(database, base, clock).handle, settings.worker.max_attempts),
            DELIVER: JobKind(Deliveries(database, sealer(settings), egress, clock).handle, settings.worker.max_attempts),
            **_remembering(settings, database, memories, meter, clock),
            **_keeping(settings, database, clock),
            **await stack.enter_async_context(_media(settings, database, accounts, llm, payers, clock)),
        }
        name = secrets.token_hex(8)  # fresh at each start: a job of any other name is an orphan
        queue = SqliteQueue(database, clock, worker=name, lease_ms=lease_ms, after_death=_AFTER_DEATH, on_death=job_died)
        worker = Worker(
            queue,
            kinds,
            clock,
            concurrency=settings.worker.concurrency,
            lease_ms=lease_ms,
            grace_seconds=settings.worker.shutdown_grace_seconds,
        )
        await stack.enter_async_context(_at_work(worker, database, clock))
        yield


def _channel(settings: Settings, public_url: str | None) -> TwilioChannel:
    twilio = settings.twilio
    return TwilioChannel(
        base_url=twilio.base_url,
        messaging_url=twilio.messaging_url,
        public_url=public_url,
        send_seconds=twilio.timeout_seconds,
    )


def _model(settings: Settings) -> OpenAiLlm:
    openai = settings.openai
    return OpenAiLlm(
        base_url=openai.base_url,
        api_key=openai.api_key.get_secret_value() if openai.api_key else None,
        api=openai.api,
        model=openai.model,
        timeout_seconds=openai.timeout_seconds,
    )


def backups(settings: Settings, database: SqliteDatabase, clock: Clock) -> Backups:
    """What makes back-ups."""
    chosen = settings.backup
    return Backups(
        database,
        clock,
        directory=chosen.directory,
        media=settings.media.directory,
        every_hours=chosen.every_hours,
        keep=chosen.keep,
    )


def _keeping(settings: Settings, database: SqliteDatabase, clock: Clock) -> dict[str, JobKind]:
    """The jobs that make back-ups, end erasures and fill the index of the search."""
    tries = settings.worker.max_attempts
    return {
        BACKUP: JobKind(backups(settings, database, clock).handle, tries),
        FINISH: JobKind(Eraser.of(settings, database, clock).finish, tries),
        INDEX: JobKind(Indexing(database).handle, tries),
    }


@asynccontextmanager
async def _at_work(worker: Worker, database: Database, clock: Clock) -> AsyncIterator[None]:
    """The worker and the timers, inside ``async with``."""
    async with asyncio.TaskGroup() as group:
        group.create_task(worker.run(), name="worker")
        try:
            async with sweeping(database, clock):
                yield
        finally:
            worker.stop()


def _listening(settings: Settings, database: Database, accounts: Accounts, channel: Channel, clock: Clock) -> dict[str, JobKind]:
    """The jobs that find what the webhooks missed."""
    missed = Missed(
        database,
        accounts,
        channel,
        clock,
        base=preferences(settings),
        digests=AddressDigests(sealer(settings)).of,
        grace_ms=round(settings.twilio.reconcile_seconds * 1000),
    )
    tries = settings.worker.max_attempts
    return {MISSED: JobKind(missed.handle, tries), MISSED_OF: JobKind(missed.handle_account, tries)}


def _remembering(settings: Settings, database: Database, memories: Memories, meter: Meter, clock: Clock) -> dict[str, JobKind]:
    """The jobs that keep facts and summaries, away from the turns."""
    base, model, tries = preferences(settings), settings.openai.small_model, settings.worker.max_attempts
    return {
        EMBED: JobKind(Embedding(memories, clock).handle, tries),
        EXTRACT: JobKind(Extraction(database, meter, clock, base=base, model=model).handle, tries),
        SUMMARIZE: JobKind(Summarizing(database, meter, base=base, model=model).handle, tries),
        ENDED: JobKind(Ended(database, clock).handle, tries),
    }


@asynccontextmanager
async def _media(
    settings: Settings, database: Database, accounts: Accounts, llm: OpenAiLlm, payers: Payers, clock: Clock
) -> AsyncIterator[dict[str, JobKind]]:
    """The jobs that fetch attachments and have voice messages heard."""
    files = MediaFiles(settings.media.directory)
    await asyncio.to_thread(files.prepare)
    download = MediaDownload(base_url=settings.twilio.base_url, media_hosts=settings.twilio.media_hosts)
    downloads = {"whatsapp": download, "sms": download}
    model = settings.openai.transcription_model
    transcription = Transcription(llm.upload, payers, model=model, price=Prices.of(settings.prices).minute(model))
    attachments = Attachments(database, accounts, downloads, files, transcription.text, clock, base=preferences(settings))
    tries = settings.worker.max_attempts
    try:
        yield {
            FETCH: JobKind(attachments.handle, tries),
            TRANSCRIBE: JobKind(attachments.handle, tries),
            FORGO: JobKind(attachments.forgo, tries),
        }
    finally:
        await download.close()
