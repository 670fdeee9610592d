"""The first run: whoever has the link that the program printed becomes the first administrator."""

from collections.abc import Mapping
from typing import Final

from aiohttp import web

from wtai.identity.audit_store import Actor
from wtai.identity.first_run import AlreadySetUp, Business, SetUpLink, set_up, waiting_owner
from wtai.identity.model import Owner
from wtai.identity.passwords import MIN_CHARACTERS, PasswordsBusy, WeakPassword, check_password
from wtai.identity.registration import Admin
from wtai.identity.sessions import LoginRefused
from wtai.identity.throttle import Throttle, Throttled
from wtai.identity.users_store import EmailTaken, WrongEmail, check_email
from wtai.web.console.dispatch import LOGIN, SETUP, Console, theme_of
from wtai.web.console.language import language_of
from wtai.web.console.page import HTML, ROOT
from wtai.web.console.rendering import render
from wtai.web.console.session import cookie_of, give_cookie

NUMBER: Final = f"{SETUP}/number"
LOCALES: Final = ("pt-BR", "es", "en")

_LONGEST: Final = 100
_FIELDS: Final = ("name", "email", "password", "business", "locale")
_DEMO: Final = {"name": "Ana", "email": "ana@demo.example", "password": "padaria-demo"}
"""What `wtai dev` proposes for its data, which are thrown away."""


class SetUp:
    """The set-up page. Everybody may knock; who has no good link learns how to get one, and nothing else."""

    def __init__(self, console: Console, link: SetUpLink) -> None:
        self._console = console
        self._link = link
        self._throttle = Throttle()

    def routes(self) -> list[web.RouteDef]:
        """Open to everybody."""
        return [
            web.get(SETUP, self.alone),
            web.get(f"{SETUP}/{{token}}", self.form),
            web.post(f"{SETUP}/{{token}}", self.submit),
        ]

    async def alone(self, request: web.Request) -> web.StreamResponse:
        """How to get a link."""
        return self._closed(request, "alone")

    async def form(self, request: web.Request) -> web.StreamResponse:
        """The form, for who has the link."""
        refused = await self._refused(request)
        if refused is not None:
            return refused
        values = _DEMO if self._console.means.simulator_url else {}
        return self._shown(request, await self._owner(), {"locale": language_of(request), **values})

    async def submit(self, request: web.Request) -> web.StreamResponse:
        """Make the administrator and let it in. What is wrong is told, and the link stays good."""
        refused = await self._refused(request)
        if refused is not None:
            return refused
        form = await request.post()
        given = {field: value for field in _FIELDS if isinstance(value := form.get(field), str)}
        given |= {field: value.strip() for field, value in given.items() if field != "password"}
        owner = await self._owner()
        wrong = _wrong(given, owner)
        if wrong:
            return self._shown(request, owner, given, wrong, status=422)
        means = self._console.means
        actor = Actor("operator", None, self._console.clients.address(request))
        try:
            password_hash = await means.passwords.hashed(given["password"])
            admin = Admin(given["email"], password_hash, given["name"])
            business = Business(given.get("business", ""), given.get("locale", LOCALES[0]))
            made = await means.database.system_write(set_up, business, admin, actor=actor, now=self._console.now())
        except EmailTaken:
            return self._shown(request, owner, given, {"email": "taken"}, status=409)
        except PasswordsBusy:
            return self._shown(request, owner, given, {"form": "busy"}, status=503)
        except AlreadySetUp:
            self._link.spend()
            return self._closed(request, "refused", status=404)
        self._link.spend()
        return await self._let_in(request, given, made)

    async def _let_in(self, request: web.Request, given: Mapping[str, str], owner: Owner) -> web.StreamResponse:
        response = web.Response(status=303, headers={"Location": NUMBER})
        address = self._console.clients.address(request)
        try:
            secret = await self._console.means.sessions.log_in_browser(
                given["email"], given["password"], owner=owner.public_id, address=address
            )
        except (LoginRefused, Throttled, PasswordsBusy):  # it is all there: the door is for later
            response.headers["Location"] = f"{LOGIN}?next={NUMBER}"
            return response
        give_cookie(response, secret)
        return response

    async def _refused(self, request: web.Request) -> web.Response | None:
        """What those get who have no good link, whatever is wrong with it; None for who has one."""
        address = self._console.clients.address(request)
        try:
            self._throttle.attempt(address, address, now=self._console.now())
        except Throttled as exc:
            response = self._closed(request, "throttled", status=429)
            response.headers["Retry-After"] = str(-(-exc.retry_after_ms // 1000))
            return response
        if self._link.is_good(request.match_info["token"]):
            self._throttle.succeeded(address, address)
            return None
        if await self._console.means.sessions.of_cookie(cookie_of(request)) is not None:
            return web.Response(status=303, headers={"Location": ROOT})
        return self._closed(request, "refused", status=404)

    async def _owner(self) -> Owner | None:
        return await self._console.means.database.system_read(waiting_owner)

    def _shown(
        self,
        request: web.Request,
        owner: Owner | None,
        given: Mapping[str, str],
        wrong: Mapping[str, str] | None = None,
        *,
        status: int = 200,
    ) -> web.Response:
        values = {
            "address": request.path,
            "waiting": owner,
            "given": {field: given.get(field, "") for field in _FIELDS},
            "wrong": wrong or {},
            "least": MIN_CHARACTERS,
            "is_demo": self._console.means.simulator_url is not None,
        }
        return self._page(request, "setup/form.html", values, status)

    def _closed(self, request: web.Request, why: str, *, status: int = 200) -> web.Response:
        return self._page(request, "setup/closed.html", {"why": why}, status)

    def _page(self, request: web.Request, template: str, values: Mapping[str, object], status: int) -> web.Response:
        language = language_of(request)
        text = render(template, language, {"language": language, "theme": theme_of(request), **values})
        return web.Response(text=str(text), status=status, content_type=HTML)


def _wrong(given: Mapping[str, str], owner: Owner | None) -> dict[str, str]:
    """The fields that do not fit, each with why."""
    wrong = {}
    needed = ("name",) if owner is not None else ("name", "business")
    for field in needed:
        if not given.get(field) or len(given[field]) > _LONGEST or not given[field].isprintable():
            wrong[field] = "text"
    if owner is None and given.get("locale") not in LOCALES:
        wrong["locale"] = "choice"
    try:
        check_email(given.get("email", ""))
    except WrongEmail:
        wrong["email"] = "form"
    try:
        check_password(given.get("password", ""), [given[field] for field in ("email", "name", "business") if given.get(field)])
    except WeakPassword:
        wrong |= {"password": "weak"}
    return wrong
