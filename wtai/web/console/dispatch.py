"""Takes requests to their pages: who is there, whether they may, from where they come, and what goes out with every answer."""

import re
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote, urlsplit

import structlog
from aiohttp import web

import wtai
from wtai.clock import Clock
from wtai.db.tx import PLATFORM, OwnerTx
from wtai.errors import StorageUnavailable
from wtai.identity.access import Principal, allowed
from wtai.identity.model import Owner, User
from wtai.identity.store import owner
from wtai.identity.users_store import user_of_public_id
from wtai.web.api.client import INSTANCE, REQUEST_ID, Clients, correlation_id
from wtai.web.api.errors import ANSWERED, problem_of
from wtai.web.console.language import language_of
from wtai.web.console.page import HTML, ROOT, Means, Page, Visit
from wtai.web.console.rendering import render
from wtai.web.console.session import PRIVATE, cookie_of, is_from_here
from wtai.web.problems import FORBIDDEN, INTERNAL, NOT_FOUND, UNAVAILABLE, Problem

log = structlog.get_logger(__name__)

LOGIN: Final = f"{ROOT}/login"
SETUP: Final = f"{ROOT}/setup"
THEME_COOKIE: Final = "wtai_theme"
THEMES: Final = ("auto", "light", "dark")
_SECRET_PATH: Final = re.compile(rf"^({SETUP}/).+")

Open = Callable[[web.Request], Awaitable[web.StreamResponse]]
"""What answers a request of anybody: the log-in, the set-up, the files."""


class Console:
    """The pages at work."""

    def __init__(self, means: Means, clock: Clock, *, trusted_proxies: tuple[str, ...]) -> None:
        self.means = means
        self._clock = clock
        self.clients = Clients(trusted_proxies)

    def now(self) -> int:
        """The time in ms."""
        return self._clock.now()

    def routes(self, pages: Iterable[Page], opened: Iterable[web.RouteDef]) -> list[web.RouteDef]:
        """For the server; ``opened`` are those that let everybody in. What is left over is not there."""
        found = [web.route(page.method, page.path, self._answering(self._let_in(page)), name=None) for page in pages]
        found += [web.route(one.method, one.path, self._answering(one.handler), **one.kwargs) for one in opened]
        return [*found, web.route("*", f"{ROOT}/{{rest:.*}}", self._answering(_nothing))]

    def _let_in(self, page: Page) -> Open:
        async def answered(request: web.Request) -> web.StreamResponse:
            principal = await self.means.sessions.of_cookie(cookie_of(request))
            if principal is None:
                return _to_login(request)
            structlog.contextvars.bind_contextvars(owner=principal.owner_id, principal=principal.id)
            if not allowed(principal, page.action) or principal.owner_id == PLATFORM:
                raise Problem(FORBIDDEN, "this page is not for your role")
            return await page.handler(await self._visit(request, principal))

        return answered

    async def _visit(self, request: web.Request, principal: Principal) -> Visit:
        def read(tx: OwnerTx) -> tuple[User, Owner]:
            return user_of_public_id(tx, principal.id), owner(tx)

        user, of = await self.means.database.read(principal.owner_id, read)
        return Visit(
            request=request,
            means=self.means,
            principal=principal,
            user=user,
            owner=of,
            address=self.clients.address(request),
            language=language_of(request),
            theme=theme_of(request),
            now=self.now(),
        )

    def _answering(self, handler: Open) -> Open:
        """Around every page: the check of where a change comes from, errors as pages, and the headers."""

        async def answered(request: web.Request) -> web.StreamResponse:
            instance = correlation_id(request)
            request[INSTANCE] = instance
            with structlog.contextvars.bound_contextvars(request_id=instance, owner=None, principal=None):
                response = await self._tried(handler, request)
                log.debug("console.answered", method=request.method, path=_path(request), status=response.status)
            if not response.prepared:
                response.headers.update({name: value for name, value in PRIVATE.items() if name not in response.headers})
                response.headers[REQUEST_ID] = instance
            return response

        return answered

    async def _tried(self, handler: Open, request: web.Request) -> web.StreamResponse:
        if request.method not in ("GET", "HEAD") and not is_from_here(request, self.means.public_url):
            return self._told(request, Problem(FORBIDDEN, "the request comes from another site"))
        try:
            return await handler(request)
        except Problem as problem:
            return self._told(request, problem)
        except StorageUnavailable as exc:
            log.warning("http.storage_unavailable", path=_path(request), error=str(exc))
            return self._told(request, Problem(UNAVAILABLE, "the database cannot be written now"))
        except ANSWERED as exc:
            return self._told(request, problem_of(exc))
        except web.HTTPException:
            raise
        except ConnectionResetError:  # a tab that was closed while it sent
            log.debug("console.left", path=request.path)
            return web.Response(status=400)
        except Exception:
            log.exception("http.failed", path=_path(request))
            return self._told(request, Problem(INTERNAL, "something broke; the log has it"))

    def _told(self, request: web.Request, problem: Problem) -> web.Response:
        """A problem as a page, or as a notice where a part of a page was asked for."""
        language = language_of(request)
        partial = request.headers.get("HX-Request") == "true"
        context = {
            "problem": problem,
            "instance": request[INSTANCE],
            "path": f"{request.method} {_path(request)}",
            "at": datetime.fromtimestamp(self.now() // 1000, UTC).isoformat(),
            "version": wtai.__version__,
            "language": language,
            "theme": theme_of(request),
        }
        text = render("core/problem_part.html" if partial else "core/problem.html", language, context)
        response = web.Response(text=str(text), status=problem.kind.status, content_type=HTML)
        if partial:  # a notice has a place of its own, whatever the answer was to replace
            response.headers["HX-Retarget"] = "#notices"
            response.headers["HX-Reswap"] = "innerHTML"
        return response


def theme_of(request: web.Request) -> str:
    """What was chosen in this browser: light, dark, or as the system has it."""
    chosen = request.cookies.get(THEME_COOKIE, "")
    return chosen if chosen in THEMES else THEMES[0]


def _to_login(request: web.Request) -> web.Response:
    """To the door, and from there back to the page that was open."""
    if request.headers.get("HX-Request") == "true":
        page = urlsplit(request.headers.get("HX-Current-URL", ""))
        return web.Response(status=204, headers={"HX-Redirect": _login(page.path, page.query)})
    if request.method != "GET":
        return web.Response(status=303, headers={"Location": LOGIN})
    return web.Response(status=303, headers={"Location": _login(request.path, request.query_string)})


def _path(request: web.Request) -> str:
    """The path, for the log: that of the set-up link is a secret."""
    return _SECRET_PATH.sub(r"\1…", request.path)


def _login(path: str, query: str) -> str:
    back = f"{path}?{query}" if query else path
    return f"{LOGIN}?next={quote(back, safe='')}" if back else LOGIN


async def _nothing(_request: web.Request) -> web.StreamResponse:
    raise Problem(NOT_FOUND, "nothing at this address")
