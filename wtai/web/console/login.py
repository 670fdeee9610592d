"""Log-in, log-out, and what a browser keeps of its own: language and theme."""

from typing import Final

from aiohttp import web

from wtai.clock import DAY, SECOND
from wtai.identity.audit_store import Actor
from wtai.identity.passwords import PasswordsBusy
from wtai.identity.sessions import LoginRefused
from wtai.identity.sessions_store import revoke_session
from wtai.identity.throttle import Throttled
from wtai.identity.users_store import has_admin
from wtai.web.console.dispatch import LOGIN, SETUP, THEME_COOKIE, THEMES, Console, theme_of
from wtai.web.console.language import COOKIE as LANGUAGE_COOKIE
from wtai.web.console.language import LANGUAGES, language_of
from wtai.web.console.page import HTML, ROOT
from wtai.web.console.rendering import render
from wtai.web.console.session import cookie_of, give_cookie, take_cookie

_YEAR_SECONDS: Final = 365 * DAY // SECOND
_MOST: Final = 1_024


class Login:
    """The door. Everybody may knock."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def routes(self) -> list[web.RouteDef]:
        """Open to everybody."""
        return [
            web.get(LOGIN, self.form),
            web.post(LOGIN, self.log_in),
            web.post(f"{ROOT}/logout", self.log_out),
            web.post(f"{ROOT}/appearance", self.choose_appearance),
        ]

    async def form(self, request: web.Request) -> web.StreamResponse:
        """The form; who is logged in already goes on, and while nobody can log in, one learns what to do about that."""
        if await self._console.means.sessions.of_cookie(cookie_of(request)) is not None:
            return web.Response(status=303, headers={"Location": _next(request.query.get("next"))})
        if not await self._console.means.database.system_read(has_admin):
            return web.Response(status=303, headers={"Location": SETUP})
        return self._shown(request, next_=_next(request.query.get("next")))

    async def log_in(self, request: web.Request) -> web.StreamResponse:
        """A fresh session with each log-in: a cookie from before it stands for nothing."""
        form = await request.post()
        email, password = _text(form.get("email")), _text(form.get("password"))
        next_ = _next(_text(form.get("next")))
        sessions = self._console.means.sessions
        try:
            secret = await sessions.log_in_browser(email, password, address=self._console.clients.address(request))
        except LoginRefused:
            return self._shown(request, error="refused", email=email, next_=next_, status=401)
        except Throttled as exc:
            seconds = -(-exc.retry_after_ms // SECOND)
            response = self._shown(request, error="throttled", seconds=seconds, email=email, next_=next_, status=429)
            response.headers["Retry-After"] = str(seconds)
            return response
        except PasswordsBusy:
            return self._shown(request, error="busy", email=email, next_=next_, status=503)
        await self._end(request)
        response = web.Response(status=303, headers={"Location": next_})
        give_cookie(response, secret)
        return response

    async def log_out(self, request: web.Request) -> web.StreamResponse:
        """The end of the session, here and at the server."""
        await self._end(request)
        response = web.Response(status=303, headers={"Location": LOGIN, "Clear-Site-Data": '"cache", "storage"'})
        take_cookie(response)
        return response

    async def choose_appearance(self, request: web.Request) -> web.StreamResponse:
        """Language and theme of this browser."""
        form = await request.post()
        language, theme = _text(form.get("language")), _text(form.get("theme"))
        response = web.Response(status=303, headers={"Location": _next(_text(form.get("next")))})
        if language in LANGUAGES:
            response.set_cookie(LANGUAGE_COOKIE, language, path="/", max_age=_YEAR_SECONDS, samesite="Lax", httponly=True)
        if theme in THEMES:
            response.set_cookie(THEME_COOKIE, theme, path="/", max_age=_YEAR_SECONDS, samesite="Lax", httponly=True)
        return response

    async def _end(self, request: web.Request) -> None:
        means = self._console.means
        principal = await means.sessions.of_cookie(cookie_of(request), keep=False)
        if principal is not None and principal.session is not None:
            actor = Actor.of(principal, self._console.clients.address(request))
            await means.database.write(
                principal.owner_id,
                revoke_session,
                principal.session,
                reason="logged out",
                actor=actor,
                now=self._console.now(),
            )

    def _shown(
        self, request: web.Request, *, error: str = "", seconds: int = 0, email: str = "", next_: str, status: int = 200
    ) -> web.Response:
        language = language_of(request)
        context = {"language": language, "theme": theme_of(request)}
        values = {"error": error, "seconds": seconds, "email": email, "next": next_}
        return web.Response(
            text=str(render("core/login.html", language, {**context, **values})), status=status, content_type=HTML
        )


def _text(value: object) -> str:
    return value[:_MOST] if isinstance(value, str) else ""


def _next(path: str | None) -> str:
    """Where to go afterwards: an address of the console alone, never another site's."""
    if not path or not path.startswith((f"{ROOT}/", f"{ROOT}?")):
        return ROOT
    return path if "//" not in path and "\\" not in path and path.isprintable() else ROOT
