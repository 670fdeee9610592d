"""The management API, built from the settings: all its routes, and what they answer when something breaks."""

from collections.abc import Awaitable, Callable

import structlog
from aiohttp import web

from wtai.clock import MINUTE, Clock
from wtai.db.sqlite import SqliteDatabase
from wtai.egress import Egress
from wtai.errors import StorageUnavailable
from wtai.identity.from_settings import preferences, sealer
from wtai.identity.passwords import Passwords
from wtai.identity.sessions import Sessions
from wtai.privacy.eraser import Eraser
from wtai.settings import Settings
from wtai.web.api import docs
from wtai.web.api.call import Means
from wtai.web.api.client import INSTANCE, correlation_id
from wtai.web.api.dispatch import Api, ApiLimits, problem_response
from wtai.web.api.routes import ROUTES
from wtai.web.problems import INTERNAL, UNAVAILABLE, Problem

log = structlog.get_logger(__name__)

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def routes(settings: Settings, database: SqliteDatabase, clock: Clock) -> list[web.RouteDef]:
    """All paths below ``/api``."""
    found = [*docs.routes(), *_api(settings, database, clock).routes()]
    return [web.route(route.method, route.path, _with_errors(route.handler), **route.kwargs) for route in found]


def _with_errors(handler: _Handler) -> _Handler:
    async def answered(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except web.HTTPException:
            raise
        except StorageUnavailable as exc:
            log.warning("http.storage_unavailable", path=request.path, error=str(exc))
            return _told(request, Problem(UNAVAILABLE, "the database cannot be written now", headers={"Retry-After": "5"}))
        except Exception:
            log.exception("http.failed", path=request.path, request_id=request.get(INSTANCE))
            return _told(request, Problem(INTERNAL, "something broke; the log has it under this instance"))

    return answered


def _told(request: web.Request, problem: Problem) -> web.Response:
    return problem_response(problem, request.get(INSTANCE) or correlation_id(request))


def _api(settings: Settings, database: SqliteDatabase, clock: Clock) -> Api:
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
    egress, eraser = Egress(settings.egress.allowed_private_hosts), Eraser.of(settings, database, clock)
    means = Means(seal, sessions, passwords, egress, eraser, preferences(settings))
    return Api(ROUTES, database, means, clock, limits=limits, trusted_proxies=settings.server.trusted_proxies)
