"""What a page is, and a request for one as its handler sees it: who is there, for which owner, and the ways to the data."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Concatenate, Final, Literal, ParamSpec, TypeVar

from aiohttp import web
from markupsafe import Markup

from wtai.clock import Clock
from wtai.db.tx import Database, OwnerTx
from wtai.egress import Egress
from wtai.identity.access import Principal, allowed
from wtai.identity.audit_store import Actor, audit
from wtai.identity.model import Owner, User
from wtai.identity.passwords import Passwords
from wtai.identity.preferences import Preferences
from wtai.identity.sessions import Sessions
from wtai.privacy.eraser import Eraser
from wtai.secrets import Sealer
from wtai.settings import Settings
from wtai.web.console.conversation_presence import Presence
from wtai.web.console.language import catalogue
from wtai.web.console.live import Live
from wtai.web.console.rendering import render
from wtai.web.problems import INVALID, MALFORMED, Fault, Problem

P = ParamSpec("P")
T = TypeVar("T")

ROOT: Final = "/console"
HTML: Final = "text/html"


@dataclass(frozen=True, slots=True)
class Means:
    """What pages work with besides the data; ``base`` holds for owners that chose nothing of their own, ``simulator_url`` is the
    simulator's page, if there is one.
    """

    settings: Settings
    database: Database
    sealer: Sealer
    sessions: Sessions
    passwords: Passwords
    egress: Egress
    base: Preferences
    live: Live
    eraser: Eraser
    clock: Clock
    presence: Presence
    public_url: str
    simulator_url: str | None


@dataclass(frozen=True, slots=True)
class Visit:
    """A request of a member of staff who is let in. ``now`` in ms."""

    request: web.Request
    means: Means
    principal: Principal
    user: User
    owner: Owner
    address: str
    language: str
    theme: str
    now: int

    @property
    def actor(self) -> Actor:
        """Who acts, for the audit log."""
        return Actor.of(self.principal, self.address)

    @property
    def ids(self) -> dict[str, str]:
        """What the path names."""
        return dict(self.request.match_info)

    @property
    def is_partial(self) -> bool:
        """Whether a part of a page is asked for, not a page of its own."""
        return self.request.headers.get("HX-Request") == "true"

    def may(self, action: str) -> bool:
        """Whether the visitor is allowed to do this."""
        return allowed(self.principal, action)

    def text(self, message: str) -> str:
        """A text of the code in the visitor's language."""
        return catalogue(self.language).gettext(message)

    async def read(self, work: Callable[Concatenate[OwnerTx, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``work`` on one snapshot of the owner's data."""
        return await self.means.database.read(self.owner.id, work, *args, **kwargs)

    async def write(self, work: Callable[Concatenate[OwnerTx, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Change the owner's data. Whatever is worth a line in the audit log is written by ``work`` or :meth:`audited`."""
        return await self.means.database.write(self.owner.id, work, *args, **kwargs)

    async def audited(self, action: str, target: str | None, work: Callable[[OwnerTx], T]) -> T:
        """As :meth:`write`, with a line in the audit log in the same transaction."""

        def unit(tx: OwnerTx) -> T:
            result = work(tx)
            audit(tx, self.actor, action, target, now=self.now)
            return result

        return await self.write(unit)

    async def form(self) -> dict[str, str]:
        """The fields of a posted form; of one that comes twice, the last. Problem if it is none, or does not come whole."""
        try:
            fields = await self.request.post()
        except ConnectionError as exc:
            raise Problem(MALFORMED, "the connection was lost before the whole form had come") from exc
        return {name: value for name, value in fields.items() if isinstance(value, str)}

    def part(self, template: str, /, **context: object) -> Markup:
        """A template, rendered for this visitor."""
        known = {"visit": self, "user": self.user, "owner": self.owner, "language": self.language, "theme": self.theme}
        return render(template, self.language, {**known, **context})

    def page(self, template: str, /, *, status: int = 200, **context: object) -> web.Response:
        """A page, or a part of one, as the answer."""
        response = web.Response(text=str(self.part(template, **context)), status=status, content_type=HTML)
        response.enable_compression()
        return response

    def go(self, path: str) -> web.Response:
        """Send the browser on, also out of a part of a page."""
        if self.is_partial:
            return web.Response(status=204, headers={"HX-Redirect": path})
        return web.Response(status=303, headers={"Location": path})


Handler = Callable[[Visit], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Page:
    """An address of the console. ``action`` is what the visitor must be allowed to do, of identity.access.ACTIONS."""

    method: Literal["GET", "POST"]
    path: str
    handler: Handler
    action: str


def required(form: dict[str, str], name: str, *, most: int = 4_000) -> str:
    """A field that must be there and say something, without the blanks around it. Problem otherwise, pointing at it."""
    value = form.get(name, "").strip()
    if not value or len(value) > most:
        raise Problem(INVALID, f"{name} must have 1 to {most} characters", [Fault(name, "1")])
    return value
