"""The HTTP server: routes, the answers to errors, health."""

from collections.abc import Awaitable, Callable, Iterable, Mapping

import structlog
from aiohttp import web

from wtai.clock import Clock
from wtai.db.tx import Database
from wtai.errors import StorageUnavailable
from wtai.jobs.store import probe
from wtai.web.late import LateRoutes, Load

log = structlog.get_logger(__name__)

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def application(
    routes: Iterable[web.RouteDef], *, late: Mapping[str, Load] | None = None, max_body_bytes: int
) -> web.Application:
    """The application over ``routes``. A larger body is answered 413, an error nobody expects 500, a write that failed 503.

    ``late`` are routes by the prefix of their paths, loaded at the first request for one of them; they answer for their errors.
    """
    app = web.Application(client_max_size=max_body_bytes)
    # Around the handlers and not as a middleware, whose machinery would cost every webhook several microseconds.
    app.add_routes([web.route(route.method, route.path, _with_errors(route.handler), **route.kwargs) for route in routes])
    for prefix, load in (late or {}).items():
        app.router.register_resource(LateRoutes(prefix, load))
    return app


def _with_errors(handler: _Handler) -> _Handler:
    async def answered(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except web.HTTPException:
            raise
        except StorageUnavailable as exc:
            log.warning("http.storage_unavailable", path=request.path, error=str(exc))
            return web.Response(status=503, text="the database cannot be written now", headers={"Retry-After": "5"})
        except Exception:
            log.exception("http.failed", path=request.path)
            return web.Response(status=500, text="internal error")

    return answered


class Health:
    """Tells whether the program lives and whether it can do its work."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def routes(self) -> list[web.RouteDef]:
        """Open to everybody: they tell nothing of any owner."""
        return [
            web.get("/health", self.alive),
            web.get("/webhooks/twilio/health", self.alive),
            web.get("/ready", self.ready),
        ]

    async def alive(self, _request: web.Request) -> web.Response:
        """200 while the process answers."""
        return web.json_response({"status": "ok"})

    async def ready(self, _request: web.Request) -> web.Response:
        """200 if the database takes a write; tells how long the oldest due job has waited (ms). Else 503."""
        now = self._clock.now()
        oldest = await self._database.system_write(probe)
        return web.json_response({"status": "ready", "lag_ms": max(0, now - oldest) if oldest is not None else 0})
