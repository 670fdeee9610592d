"""The console, built from the settings: all its routes."""

import asyncio

from aiohttp import web

from wtai.clock import Clock
from wtai.db.sqlite import SqliteDatabase
from wtai.egress import Egress
from wtai.identity.first_run import SetUpLink
from wtai.identity.from_settings import preferences, sealer
from wtai.identity.passwords import Passwords
from wtai.identity.sessions import Sessions
from wtai.privacy.eraser import Eraser
from wtai.settings import Settings
from wtai.web.console import assets
from wtai.web.console.conversation_presence import Presence
from wtai.web.console.dispatch import Console
from wtai.web.console.live import Live
from wtai.web.console.login import Login
from wtai.web.console.page import Means
from wtai.web.console.pages import PAGES
from wtai.web.console.setup import SetUp


def routes(
    settings: Settings,
    database: SqliteDatabase,
    clock: Clock,
    *,
    public_url: str,
    simulator_url: str | None,
    link: SetUpLink,
    stopping: asyncio.Event,
) -> list[web.RouteDef]:
    """All paths below ``/console``. ``link`` lets the first administrator in; streams end once ``stopping`` is set."""
    seal = sealer(settings)
    means = Means(
        settings=settings,
        database=database,
        sealer=seal,
        sessions=Sessions.of(settings.security, database, seal, clock),
        passwords=Passwords.of(settings.security),
        egress=Egress(settings.egress.allowed_private_hosts),
        base=preferences(settings),
        live=Live(database, stopping),
        eraser=Eraser.of(settings, database, clock),
        clock=clock,
        presence=Presence(),
        public_url=public_url,
        simulator_url=simulator_url,
    )
    console = Console(means, clock, trusted_proxies=settings.server.trusted_proxies)
    files = web.get(f"{assets.PREFIX}/{{digest}}/{{file:.+}}", assets.serve)
    opened = [files, *Login(console).routes(), *SetUp(console, link).routes()]
    return console.routes(PAGES, opened)
