"""The composition root: builds the program from its settings, starts it, and stops it in reverse."""

import asyncio
import importlib
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Literal

import structlog
from aiohttp import web

from wtai.channels.accounts import Accounts
from wtai.clock import Clock, SystemClock
from wtai.db.lock import InstanceLock
from wtai.db.migrate import migrate
from wtai.db.sqlite import SqliteDatabase
from wtai.db.tx import Database
from wtai.errors import EnvironmentProblem, SettingsError
from wtai.identity.first_run import SetUpLink
from wtai.identity.from_settings import preferences, sealer
from wtai.identity.users_store import has_admin
from wtai.privacy.tombstones import AddressDigests
from wtai.settings import Settings
from wtai.web.server import Health, application
from wtai.web.webhooks import Webhooks

log = structlog.get_logger(__name__)

Role = Literal["all", "web", "worker"]

_REQUEST_GRACE_SECONDS = 1.5
"""A request takes milliseconds; one that hangs must not eat up the time in which the service manager expects the end. aiohttp
waits this long twice, by default 60 seconds each."""

_LINGERING_SECONDS = 1.0
"""What is left of a body that was refused is read and thrown away for so long: less, and its sender would not see the answer;
more, and what swells when it is inflated would keep a core busy, aiohttp's 10 seconds by default."""


Work = Callable[[Settings, SqliteDatabase, Accounts, Clock, str | None], AbstractAsyncContextManager[None]]
"""What makes the worker, with the URL that is called from outside; at work inside ``async with``."""


@dataclass(frozen=True, slots=True)
class Running:
    """The program at work; ``url`` is where it listens, None without the web role. ``console_path`` is where people enter: by a
    link that is good once and is to be shown to the operator alone, while there is no administrator.
    """

    url: str | None
    database: Database
    console_path: str = "/console"


async def serve(settings: Settings, *, role: Role, on_ready: Callable[[Running], None], simulator_url: str | None = None) -> None:
    """Run until SIGTERM or SIGINT; ``on_ready`` is called once the port is open and the worker at work."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with running(settings, role=role, simulator_url=simulator_url) as program:
        on_ready(program)
        await stop.wait()
        log.info("service.stopping")
    log.info("service.stopped")


@asynccontextmanager
async def running(
    settings: Settings,
    *,
    role: Role = "all",
    clock: Clock | None = None,
    work: Work | None = None,
    simulator_url: str | None = None,
) -> AsyncIterator[Running]:
    """The program at work inside ``async with``. EnvironmentProblem or SchemaError if it cannot be.

    Messages are taken as soon as possible; the worker, whose code is most of the program, is loaded meanwhile. At the end it is
    the other way round. ``work`` takes the place of :func:`wtai.working.working`; ``simulator_url`` is a page that the console
    links to.
    """
    clock = clock or SystemClock()
    if role == "worker" and settings.server.public_url is None:
        raise SettingsError("server.public_url is not set: a worker by itself cannot tell Twilio where to report; mend: set it")
    async with AsyncExitStack() as stack:
        stack.enter_context(InstanceLock(settings.database_path, role))
        migrate(settings.database_path)
        listener = None if role == "worker" else stack.enter_context(_listen(settings))
        public_url = settings.server.public_url or (_local_url(listener) if listener else None)
        database = await SqliteDatabase.open(settings.database_path)
        stack.push_async_callback(database.close)
        accounts = Accounts(database, sealer(settings), clock)
        worker = await stack.enter_async_context(AsyncExitStack())
        link = SetUpLink(clock)
        if listener is not None and public_url is not None:
            app = _application(settings, database, accounts, clock, public_url, link, simulator_url)
            await stack.enter_async_context(_listening(app, listener))
        if role != "web":
            work = work or (await asyncio.to_thread(importlib.import_module, "wtai.working")).working
            await worker.enter_async_context(work(settings, database, accounts, clock, public_url))
        is_set_up = listener is None or await database.system_read(has_admin)
        console_path = "/console" if is_set_up else f"/console/setup/{link.issue()}"
        yield Running(_local_url(listener) if listener else None, database, console_path)


def _application(
    settings: Settings,
    database: SqliteDatabase,
    accounts: Accounts,
    clock: Clock,
    public_url: str,
    link: SetUpLink,
    simulator_url: str | None,
) -> web.Application:
    """The HTTP side: webhooks and health at once, the management API and the console once somebody asks for them."""
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

    stopping = asyncio.Event()

    def management() -> list[web.RouteDef]:
        # Here and not at the top: its models take a tenth of the start, and many a program is never asked.
        from wtai.web.api import build

        return build.routes(settings, database, clock)

    def console() -> list[web.RouteDef]:
        from wtai.web.console import build

        return build.routes(
            settings, database, clock, public_url=public_url, simulator_url=simulator_url, link=link, stopping=stopping
        )

    routes = [*webhooks.routes(), *Health(database, clock).routes()]
    late = {"/api": management, "/console": console}
    app = application(routes, late=late, max_body_bytes=settings.limits.webhook_body_bytes)
    app.on_shutdown.append(_set(stopping))
    return app


def _set(event: asyncio.Event) -> Callable[[web.Application], Awaitable[None]]:
    """Streams would be waited for: they end as soon as the server stops listening."""

    async def set_it(_app: web.Application) -> None:
        event.set()

    return set_it


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
