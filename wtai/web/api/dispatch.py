"""Takes requests to their routes: who asks, whether they may, what they say, and the answer with its headers."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import structlog
from aiohttp import web
from pydantic import BaseModel

from wtai.clock import Clock
from wtai.db.tx import PLATFORM, Database
from wtai.errors import NotFound
from wtai.identity.access import Principal, Role, TokenRefused, allowed
from wtai.identity.audit_store import Actor
from wtai.identity.store import owner_of_public_id
from wtai.web.api import limits, reading
from wtai.web.api.call import Call, Means
from wtai.web.api.client import INSTANCE, REQUEST_ID, Clients, correlation_id
from wtai.web.api.cursors import Cursors
from wtai.web.api.errors import ANSWERED, problem_of, too_many
from wtai.web.api.limits import Counters, Policy, Standing
from wtai.web.api.models import Identified, Versioned
from wtai.web.api.once import Answer, Key, Once, Replay
from wtai.web.api.route import Route
from wtai.web.problems import FORBIDDEN, MEDIA, MEDIA_TYPE, METHOD, NOT_FOUND, TOO_LARGE, Problem, rendered

log = structlog.get_logger(__name__)

SECURITY_HEADERS: Final[Mapping[str, str]] = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_PREFIX: Final = "/api/"


@dataclass(frozen=True, slots=True)
class ApiLimits:
    """How large bodies may be, and how many requests a minute may hold."""

    body_bytes: int
    per_principal: int
    per_owner: int
    per_address: int
    """Of requests that nobody is known by: log-ins, and tokens that are refused."""


class Api:
    """The routes at work."""

    def __init__(
        self,
        routes: Iterable[Route],
        database: Database,
        means: Means,
        clock: Clock,
        *,
        limits: ApiLimits,
        trusted_proxies: tuple[str, ...],
    ) -> None:
        self._by_path: dict[str, dict[str, Route]] = {}
        for route in routes:
            self._by_path.setdefault(route.path, {})[route.method] = route
        self._database = database
        self._means = means
        self._clock = clock
        self._cursors = Cursors(means.sealer)
        self._counters = Counters()
        self._clients = Clients(trusted_proxies)
        self._body_bytes = limits.body_bytes
        self._of_principal = Policy("principal", limits.per_principal)
        self._of_owner = Policy("owner", limits.per_owner)
        self._of_address = Policy("address", limits.per_address)

    def routes(self) -> list[web.RouteDef]:
        """For the server: a path takes every method, to refuse in its own words those it has not."""
        found = [web.route("*", path, _Resource(self, methods).handle) for path, methods in self._by_path.items()]
        return [*found, web.route("*", "/api", _nothing), web.route("*", "/api/{rest:.*}", _nothing)]

    async def answered(self, request: web.Request, methods: Mapping[str, Route], standings: list[Standing]) -> Answer:
        """The answer to a request; ``standings`` are filled with how the client stands. Problem."""
        route = methods.get(request.method)
        if route is None:
            raise Problem(METHOD, f"{request.method} is not one of {', '.join(methods)}", headers={"Allow": ", ".join(methods)})
        address = self._clients.address(request)
        asks = await self._asks(request, route, address, standings)
        ids = reading.path_ids(request)
        query = reading.parameters(request, route.query)
        version = reading.expected_version(request, route)
        body = await reading.body_bytes(request, route, self._body_bytes)
        key = reading.idempotency_key(request, body) if route.takes_key else None
        said = reading.parsed(body, route)
        owner_id = await self._owner(route, asks, ids)
        now = self._clock.now()
        call: Call[BaseModel | None, BaseModel | None] = Call(
            asks=asks,
            owner_id=owner_id,
            address=address,
            ids=ids,
            body=said,
            query=query,
            if_match=version,
            match_given="If-Match" in request.headers,
            now=now,
            means=self._means,
            database=self._database,
            cursors=self._cursors,
            context={**_filters(request), ":route": route.name, ":owner": str(owner_id)},
            once=self._once(route, asks, owner_id, address, ids, key, now) if asks is not None else None,
        )
        try:
            return _answer(route, await route.handler(call), ids)
        except Replay as replay:
            return Answer(replay.answer.status, replay.answer.body, {**replay.answer.headers, "Idempotency-Replayed": "true"})

    def _once(
        self,
        route: Route,
        asks: Principal,
        owner_id: int,
        address: str,
        ids: Mapping[str, str],
        key: Key | None,
        now: int,
    ) -> Once:
        """What goes with a change in its transaction."""
        return Once(
            principal=asks,
            owner_id=owner_id,
            actor=Actor.of(asks, address),
            action=None if route.audits_itself else route.action,
            target=list(ids.values())[-1] if ids else None,
            key=key,
            sealer=self._means.sealer,
            answer=lambda result: _answer(route, result, ids),
            now=now,
        )

    async def _asks(self, request: web.Request, route: Route, address: str, standings: list[Standing]) -> Principal | None:
        """Who asks, if the route wants to know, and is allowed to."""
        if route.action is None:
            self._take(self._of_address, address, standings)
            return None
        try:
            principal = await self._means.sessions.principal(reading.bearer(request))
        except (TokenRefused, Problem) as exc:
            self._take(self._of_address, address, standings)
            if isinstance(exc, Problem):
                raise
            log.info("api.token_refused", reason=str(exc))
            raise reading.unauthenticated("the token is not, or no longer, good", given=True) from exc
        structlog.contextvars.bind_contextvars(owner=principal.owner_id, principal=principal.id)
        self._take(self._of_principal, principal.id, standings)
        self._take(self._of_owner, str(principal.owner_id), standings)
        if not allowed(principal, route.action):
            raise Problem(FORBIDDEN, f"{route.action} is not what this {principal.kind} may do")
        return principal

    async def _owner(self, route: Route, asks: Principal | None, ids: Mapping[str, str]) -> int:
        """Whose data the request is about: the principal's own, or what the path names, if the principal may go there."""
        if asks is None:
            return PLATFORM
        if "owner" not in ids:
            if route.of_tenants and asks.owner_id == PLATFORM:
                raise Problem(FORBIDDEN, "the platform is no tenant: name the owner in the path, /api/v1/owners/{owner}/…")
            return asks.owner_id
        named = await self._database.system_read(owner_of_public_id, ids["owner"])
        if asks.role is not Role.PLATFORM and named.id != asks.owner_id:
            raise NotFound("someone else's owner")
        return named.id

    def _take(self, policy: Policy, who: str, standings: list[Standing]) -> None:
        standing = self._counters.take(policy, who, now=self._clock.now())
        standings.append(standing)
        if standing.exceeded:
            raise too_many(f"more than {policy.per_minute} requests a minute of one {policy.name}", standing.resets_in)


@dataclass(frozen=True, slots=True)
class _Resource:
    """A path with its methods."""

    api: Api
    methods: Mapping[str, Route]

    async def handle(self, request: web.Request) -> web.Response:
        instance = correlation_id(request)
        request[INSTANCE] = instance
        standings: list[Standing] = []
        with structlog.contextvars.bound_contextvars(request_id=instance, owner=None, principal=None):
            try:
                answer = await self.api.answered(request, self.methods, standings)
            except Problem as problem:
                return problem_response(problem, instance, limits.headers(standings))
            except ANSWERED as exc:
                return problem_response(problem_of(exc), instance, limits.headers(standings))
            log.debug("api.answered", method=request.method, path=request.path, status=answer.status)
        headers = {**SECURITY_HEADERS, **limits.headers(standings), **answer.headers, REQUEST_ID: instance}
        if answer.status == 204:
            return web.Response(status=204, headers=headers)
        return web.Response(status=answer.status, body=answer.body, content_type="application/json", headers=headers)


def problem_response(problem: Problem, instance: str, more: Mapping[str, str] | None = None) -> web.Response:
    """A problem as it goes out. After a body that is not read to its end the connection is of no more use."""
    said = rendered(problem, instance)
    headers = {**SECURITY_HEADERS, **(more or {}), **said.headers, REQUEST_ID: instance}
    response = web.Response(status=said.status, body=said.body, headers=headers, content_type=MEDIA_TYPE)
    if problem.kind in (TOO_LARGE, MEDIA):
        response.force_close()
    return response


def is_api(request: web.Request) -> bool:
    """Whether a request is answered in the API's words."""
    return request.path.startswith(_PREFIX)


async def _nothing(request: web.Request) -> web.Response:
    return problem_response(Problem(NOT_FOUND, "nothing at this address"), correlation_id(request))


def _answer(route: Route, result: BaseModel | None, ids: Mapping[str, str]) -> Answer:
    if result is None:
        return Answer(204, b"")
    headers = {}
    if isinstance(result, Versioned):
        headers["ETag"] = f'"{result.version}"'
    if route.location is not None and isinstance(result, Identified):
        headers["Location"] = route.location.format(**{**ids, "id": result.id})
    return Answer(route.status, result.model_dump_json().encode(), headers)


def _filters(request: web.Request) -> dict[str, str]:
    return {name: value for name, value in request.query.items() if name not in ("limit", "cursor")}
