"""What a route is: everything that routing, access, validation and documentation need to know of it, said once."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from pydantic import BaseModel

from wtai.identity.access import ACTIONS, Role
from wtai.web.api.call import Call
from wtai.web.api.models import Versioned
from wtai.web.problems import Kind

ROOT: Final = "/api/v1"

Handler = Callable[[Call[Any, Any]], Awaitable[BaseModel | None]]


@dataclass(frozen=True, slots=True)
class Route:
    """One operation.

    ``action`` is what the principal must be allowed to; None: everybody is let in. ``problems`` are those of its own, besides
    what any route may answer. ``needs_if_match``: without ``If-Match`` it is not done. ``of_tenants``: it makes no sense for the
    platform itself, which names an owner in the path. ``audits_itself``: what it calls writes the line in the audit log.
    ``location`` is the path of what was made, with ``{id}``.
    """

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: str
    handler: Handler
    summary: str
    tag: str
    returns: Mapping[int, type[BaseModel] | None]
    action: str | None
    body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    problems: tuple[Kind, ...] = ()
    needs_if_match: bool = False
    of_tenants: bool = False
    audits_itself: bool = False
    location: str | None = None

    @property
    def name(self) -> str:
        """What tells it from every other."""
        return f"{self.method} {self.path}"

    @property
    def status(self) -> int:
        """What it answers when all went well."""
        return next(iter(self.returns))

    @property
    def needs_body(self) -> bool:
        """Whether something has to be said. A POST may leave out a body of which every member may be left out."""
        if self.body is None:
            return False
        return self.method != "POST" or any(field.is_required() for field in self.body.model_fields.values())

    @property
    def takes_key(self) -> bool:
        """Whether it is done once for each Idempotency-Key."""
        return self.method == "POST" and self.action is not None

    @property
    def takes_if_match(self) -> bool:
        """Whether ``If-Match`` counts."""
        shows_version = any(model is not None and issubclass(model, Versioned) for model in self.returns.values())
        return self.needs_if_match or (self.method in ("POST", "PUT") and self.status == 200 and shows_version)


def for_platform(route: Route) -> Route:
    """The same operation on the owner that the path names."""
    location = route.location and f"{ROOT}/owners/{{owner}}{route.location.removeprefix(ROOT)}"
    return replace(route, path=f"{ROOT}/owners/{{owner}}{route.path.removeprefix(ROOT)}", location=location)


def is_for_platform(route: Route) -> bool:
    """Whether the platform may do it for any owner."""
    return route.action is not None and Role.PLATFORM in ACTIONS[route.action]
