"""The composition root: builds the program from its settings, starts it, and stops it in reverse."""

import asyncio
import secrets
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal

import structlog
from aiohttp import web

from wtai.ai.llm import Llm
from wtai.ai.loop import DEFAULT_LIMITS, Limits
from wtai.ai.memory.ended import Ended
from wtai.ai.memory.extraction import EXTRACT, Extraction
from wtai.ai.memory.memories import Memories
from wtai.ai.memory.summaries import SUMMARIZE, Summarizing
from wtai.ai.memory.writing import EMBED
from wtai.ai.metering import Meter
from wtai.ai.openai import OpenAiLlm
from wtai.ai.openai_embeddings import embedder
from wtai.ai.pricing import Prices
from wtai.ai.specialists import Specialists
from wtai.ai.thinking import Thinker
from wtai.ai.tools.general import current_time
from wtai.ai.tools.handoff import call_person
from wtai.ai.tools.http import HttpTools
from wtai.ai.tools.memory import memory_tools
from wtai.ai.transcription import Transcription
from wtai.ai.turn import APOLOGIZE, Turns
from wtai.channels.accounts import Accounts
from wtai.channels.media import FORGO, Attachments
from wtai.channels.media_files import MediaFiles
from wtai.channels.sender import Sender
from wtai.channels.twilio.client import TwilioChannel
from wtai.channels.twilio.media import MediaDownload
from wtai.channels.typing import TypingIndicator
from wtai.clock import MINUTE, Clock, SystemClock
from wtai.conversation.inbox import FETCH, TRANSCRIBE, TURN
from wtai.conversation.lifecycle import ENDED
from wtai.conversation.outbox import SEND
from wtai.conversation.reminders import REMIND, Reminders
from wtai.conversation.timeouts import TIMEOUTS, Timeouts
from wtai.db.lock import InstanceLock
from wtai.db.migrate import migrate
from wtai.db.sqlite import SqliteDatabase
from wtai.db.tx import Database
from wtai.egress import Egress
from wtai.errors import EnvironmentProblem
from wtai.events import DELIVER, job_died
from wtai.hooks.delivery import Deliveries
from wtai.identity.passwords import Passwords
from wtai.identity.preferences import Preferences
from wtai.identity.sessions import Sessions
from wtai.identity.upkeep import UPKEEP, Upkeep
from wtai.jobs.sqlite import SqliteQueue
from wtai.jobs.worker import JobKind, Worker
from wtai.privacy.backups import BACKUP, Backups
from wtai.privacy.erase import FINISH
from wtai.privacy.eraser import Eraser
from wtai.privacy.tombstones import AddressDigests
from wtai.secrets import Sealer, open_sealer
from wtai.settings import Settings
from wtai.sweeps import sweeping
from wtai.web.api import docs
from wtai.web.api.call import Means
from wtai.web.api.dispatch import Api, ApiLimits
from wtai.web.api.routes import ROUTES
from wtai.web.server import Health, application
from wtai.web.webhooks import Webhooks

log = structlog.get_logger(__name__)

Role = Literal["all", "web", "worker"]

_AFTER_DEATH = {TURN: APOLOGIZE, FETCH: FORGO, TRANSCRIBE: FORGO}
"""Which kind of job takes over from a dead one."""

_SEND_ATTEMPTS = 20
"""Throttled sends wait for hours rather than fail: Twilio's own queue holds messages for four."""

_REQUEST_GRACE_SECONDS = 1.5
"""A request takes milliseconds; one that hangs must not eat up the time in which the service manager expects the end. aiohttp
waits this long twice, by default 60 seconds each."""

_LINGERING_SECONDS = 1.0
"""What is left of a body that was refused is read and thrown away for so long: less, and its sender would not see the answer;
more, and what swells when it is inflated would keep a core busy, aiohttp's 10 seconds by default."""


@dataclass(frozen=True, slots=True)
class Running:
    """The program at work; ``url`` is where it listens, None without the web role."""

    url: str | None
    database: Database


@dataclass(frozen=True, slots=True)
class Given:
    """What a measurement puts in place of what the program takes: time, what a turn may cost, and what it makes of the
    program's own specialists.
    """

    clock: Clock = field(default_factory=SystemClock)
    specialists: Callable[[Specialists], Specialists] = lambda own: own
    limits: Limits = DEFAULT_LIMITS


def sealer(settings: Settings) -> Sealer:
    """Opens and seals the owners' credentials. EnvironmentProblem if a key file is absent or not private."""
    security = settings.security
    return open_sealer(security.key_file, security.previous_key_files)


def preferences(settings: Settings) -> Preferences:
    """What holds for owners that chose nothing of their own."""
    return Preferences(
        idle_minutes=settings.conversation.idle_minutes,
        expire_minutes=settings.conversation.expire_minutes,
        burst_quiet_ms=settings.conversation.burst_quiet_ms,
        confirm_threshold=settings.closure.confirm_threshold,
        close_threshold=settings.closure.close_threshold,
    )


def metered(settings: Settings, database: Database, llm: Llm, clock: Clock) -> Meter:
    """What counts the calls of models, at the settings' prices."""
    openai = settings.openai
    return Meter(database, llm, Prices.of(settings.prices), clock, model=openai.model, small_model=openai.small_model)


def thinker(
    settings: Settings, database: Database, meter: Meter, memories: Memories, http_tools: HttpTools, given: Given
) -> Thinker:
    """What answers with the owners' specialists."""
    shared = (*memory_tools(memories), current_time(), call_person())
    specialists = given.specialists(Specialists(shared, router_model=settings.openai.router_model))
    media = settings.media.directory
    return Thinker(database, meter, specialists, memories, http_tools, given.clock, given.limits, media=media)


async def serve(settings: Settings, *, role: Role, on_ready: Callable[[Running], None]) -> None:
    """Run until SIGTERM or SIGINT; ``on_ready`` is called once the port is open and the worker at work."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with running(settings, role=role) as program:
        on_ready(program)
        await stop.wait()
        log.info("service.stopping")
    log.info("service.stopped")


@asynccontextmanager
async def running(settings: Settings, *, role: Role = "all", given: Given | None = None) -> AsyncIterator[Running]:
    """The program at work inside ``async with``. EnvironmentProblem or SchemaError if it cannot be."""
    given = given or Given()
    clock = given.clock
    async with AsyncExitStack() as stack:
        stack.enter_context(InstanceLock(settings.database_path, role))
        migrate(settings.database_path)
        listener = None if role == "worker" else stack.enter_context(_listen(settings))
        public_url = settings.server.public_url or (_local_url(listener) if listener else None)
        database = await SqliteDatabase.open(settings.database_path)
        stack.push_async_callback(database.close)
        accounts = Accounts(database, sealer(settings), clock)
        if role != "web":
            await stack.enter_async_context(_work(settings, database, accounts, given, public_url))
        if listener is not None and public_url is not None:
            webhooks = Webhooks(
                database,
                accounts,
                clock,
                public_url=public_url,
                base=preferences(settings),
                digests=AddressDigests(sealer(settings)).of,
                max_concurrency=settings.limits.webhook_concurrency,
                max_fields=settings.limits.webhook_fields,
            )
            routes = [
                *webhooks.routes(),
                *Health(database, clock).routes(),
                *docs.routes(),
                *_api(settings, database, clock).routes(),
            ]
            app = application(routes, max_body_bytes=settings.limits.webhook_body_bytes)
            await stack.enter_async_context(_listening(app, listener))
        yield Running(_local_url(listener) if listener else None, database)


def _api(settings: Settings, database: Database, clock: Clock) -> Api:
    """The management API."""
    seal = sealer(settings)
    passwords = Passwords.of(settings.security)
    limits = ApiLimits(
        body_bytes=settings.limits.api_body_bytes,
        per_principal=settings.limits.api_per_principal,
        per_owner=settings.limits.api_per_owner,
        per_address=settings.limits.api_per_address,
    )
    sessions = Sessions(
        database,
        seal,
        passwords,
        clock,
        access_lifetime_ms=settings.security.access_token_minutes * MINUTE,
        idle_days=settings.security.session_idle_days,
        days=settings.security.session_days,
    )
    means = Means(seal, sessions, passwords, Egress(settings.egress.allowed_private_hosts), preferences(settings))
    return Api(ROUTES, database, means, clock, limits=limits, trusted_proxies=settings.server.trusted_proxies)


@asynccontextmanager
async def _work(
    settings: Settings, database: SqliteDatabase, accounts: Accounts, given: Given, public_url: str | None
) -> AsyncIterator[None]:
    """The worker with its handlers, drained at the end."""
    clock = given.clock
    lease_ms = round(settings.worker.lease_seconds * 1000)
    async with AsyncExitStack() as stack:
        channel = TwilioChannel(
            base_url=settings.twilio.base_url,
            messaging_url=settings.twilio.messaging_url,
            public_url=public_url,
            send_seconds=settings.twilio.timeout_seconds,
        )
        stack.push_async_callback(channel.close)
        llm = OpenAiLlm(
            base_url=settings.openai.base_url,
            api_key=settings.openai.api_key.get_secret_value() if settings.openai.api_key else None,
            api=settings.openai.api,
            model=settings.openai.model,
            timeout_seconds=settings.openai.timeout_seconds,
        )
        stack.push_async_callback(llm.close)
        base = preferences(settings)
        channels = {"whatsapp": channel, "sms": channel}
        typing = TypingIndicator(accounts, channels)
        egress = Egress(settings.egress.allowed_private_hosts)
        stack.push_async_callback(egress.close)
        http_tools = HttpTools(database, sealer(settings), egress, clock)
        meter = metered(settings, database, llm, clock)
        memories = Memories(database, embedder(settings.openai, llm.post))
        thinking = thinker(settings, database, meter, memories, http_tools, given)
        turns = Turns(database, thinking, clock, base=base, show_typing=typing.show)
        reconcile_ms = round(settings.twilio.reconcile_seconds * 1000)
        sender = Sender(database, accounts, channels, clock, reconcile_ms=reconcile_ms)
        kinds = {
            TURN: JobKind(turns.handle, settings.worker.max_attempts),
            APOLOGIZE: JobKind(turns.apologize, settings.worker.max_attempts),
            SEND: JobKind(sender.handle, _SEND_ATTEMPTS),
            REMIND: JobKind(Reminders(database, clock).handle, settings.worker.max_attempts),
            TIMEOUTS: JobKind(Timeouts(database, base, clock).handle, settings.worker.max_attempts),
            UPKEEP: JobKind(Upkeep(database, clock).handle, settings.worker.max_attempts),
            DELIVER: JobKind(Deliveries(database, sealer(settings), egress, clock).handle, settings.worker.max_attempts),
            **_remembering(settings, database, memories, meter, clock),
            **_keeping(settings, database, clock),
            **await stack.enter_async_context(_media(settings, database, accounts, llm, clock)),
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


def eraser(settings: Settings, database: SqliteDatabase, clock: Clock) -> Eraser:
    """What erases people and owners, with their files."""
    digests = AddressDigests(sealer(settings))
    return Eraser(database, digests, clock, media=settings.media.directory, backups=settings.backup.directory)


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
    """The jobs that make back-ups and end erasures."""
    tries = settings.worker.max_attempts
    return {
        BACKUP: JobKind(backups(settings, database, clock).handle, tries),
        FINISH: JobKind(eraser(settings, database, clock).finish, tries),
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


def _remembering(settings: Settings, database: Database, memories: Memories, meter: Meter, clock: Clock) -> dict[str, JobKind]:
    """The jobs that keep facts and summaries, away from the turns."""
    base, model, tries = preferences(settings), settings.openai.small_model, settings.worker.max_attempts
    return {
        EMBED: JobKind(memories.embed, tries),
        EXTRACT: JobKind(Extraction(database, meter, clock, base=base, model=model).handle, tries),
        SUMMARIZE: JobKind(Summarizing(database, meter, base=base, model=model).handle, tries),
        ENDED: JobKind(Ended(database, clock).handle, tries),
    }


@asynccontextmanager
async def _media(
    settings: Settings, database: Database, accounts: Accounts, llm: OpenAiLlm, clock: Clock
) -> AsyncIterator[dict[str, JobKind]]:
    """The jobs that fetch attachments and have voice messages heard."""
    files = MediaFiles(settings.media.directory)
    await asyncio.to_thread(files.prepare)
    download = MediaDownload(base_url=settings.twilio.base_url, media_hosts=settings.twilio.media_hosts)
    downloads = {"whatsapp": download, "sms": download}
    transcription = Transcription(llm.upload, model=settings.openai.transcription_model)
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


def _listen(settings: Settings) -> socket.socket:
    """The listening socket, taken before anything slow, so that a port in use is told at once. EnvironmentProblem."""
    server = settings.server
    try:
        return socket.create_server((server.host, server.port), backlog=1024)
    except OSError as exc:
        raise EnvironmentProblem(
            f"cannot listen on {server.host}:{server.port}: {exc.strerror}; stop what uses the port, or set server.port"
        ) from exc


def _local_url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://{host}:{port}"


@asynccontextmanager
async def _listening(app: web.Application, listener: socket.socket) -> AsyncIterator[None]:
    runner = web.AppRunner(
        app,
        access_log=None,
        handle_signals=False,
        shutdown_timeout=_REQUEST_GRACE_SECONDS,
        lingering_time=_LINGERING_SECONDS,
    )
    await runner.setup()
    try:
        await web.SockSite(runner, listener).start()
        yield
    finally:
        await runner.cleanup()
