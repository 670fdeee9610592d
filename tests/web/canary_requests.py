"""Requests with other people's ids: every route, every place an id can stand in, every id there is, everybody who asks."""

import json
import random
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from tests.web.canary_flock import Asker, Flock
from tests.web.canary_rows import Canary, fresh_word
from wtai.identity.access import Role
from wtai.web.api.route import Route
from wtai.web.api.routes import ROUTES

KIND_OF: Final = {
    "owner": "owners",
    "user": "users",
    "session": "sessions",
    "plan": "subscriptions",
    "token": "api_tokens",
    "feature": "features_by_name",
    "account": "twilio_accounts",
    "number": "twilio_numbers",
    "conversation": "conversations",
    "message": "messages",
    "result": "ai_results",
    "memory": "memories",
    "template": "templates",
    "job": "job",
    "endpoint": "webhook_endpoints",
    "delivery": "webhook_deliveries",
    "note": "conversation_notes",
    "tool": "http_tools",
    "target": "audit_log",
    "assignee": "users",
}
"""Of which kind an id is, by the name of the parameter."""

SID: Final = "HX" + "0" * 32
BODIES: Final[Mapping[str, object]] = {
    "OwnerChange": {"name": "outro nome"},
    "Preferences": {},
    "PlanGiven": {"name": "um plano", "limits": {}},
    "UserChange": {"name": "outro nome"},
    "PasswordChange": {"password": "quatro cavalos verdes"},
    "EndUserChange": {"name": "outro nome"},
    "SubscriptionChange": {"status": "active"},
    "FeatureGiven": {"enabled": True, "config": {}},
    "TokensGiven": {"auth_token": "x" * 32},
    "NewNumber": {"number": "whatsapp:+5511900000000"},
    "TakeOver": {"reason": "porque sim"},
    "NewNote": {"text": "uma nota"},
    "NewMessage": {"body": "uma resposta"},
    "TemplateChange": {"content_sid": SID},
    "NewUser": {"email": "nova@pessoa.example", "password": "quatro cavalos verdes", "role": "agent"},
    "NewToken": {"name": "um token", "role": "agent", "scopes": ["read"]},
    "NewAccount": {"account_sid": "AC" + "f" * 32, "auth_token": "x" * 32, "numbers": []},
    "EndpointChange": {"events": ["message.sent"]},
}
"""A body that fits, by its model, for each route with an id in its path."""

PRECONDITIONS: Final[tuple[Mapping[str, str], ...]] = ({"If_Match": "*"}, {"If_Match": '"1"'}, {})
_SLOW: Final = "/password"
"""Passwords are hashed before anything is looked up, which takes long on purpose."""


@dataclass(frozen=True)
class Probe:
    """A request, what it says of others (``said``), and which absent thing (``twin``) must be answered alike; None: no matter."""

    asker: Asker
    route: str
    method: str
    path: str
    body: object
    headers: Mapping[str, str]
    said: tuple[str, ...]
    about: Canary | None
    twin: "Probe | None"

    @property
    def may_see(self) -> list[Canary]:
        """Whose data the answer may hold: the asker's own; for the platform those of the owner in the path."""
        own = [self.asker.own] if self.asker.own is not None else []
        return [*own, *([self.about] if self.asker.role is Role.PLATFORM and self.about is not None else [])]


def probes(flock: Flock, count: int, seed: int) -> Iterator[Probe]:
    """The requests that matter most, each of them, and then others by chance, ``count`` in all at least."""
    chance = random.Random(seed)
    made = 0
    for probe in (*_own(flock), *_of_kind(flock), *_in_queries(flock), *_in_bodies(flock)):
        yield probe
        made += 1
    places = [(route, place) for route in ROUTES for place in places_of(route) if _SLOW not in route.path]
    let_in = [asker for asker in flock.askers if asker.role is not None]
    while made < count:
        route, place = chance.choice(places)
        asker, victim = chance.choice(flock.askers if chance.random() < 0.1 else let_in), chance.choice(flock.canaries)
        if asker.own is victim or (asker.role is Role.PLATFORM and place == "owner"):
            continue
        names = list(victim.every_id())
        found = _foreign(flock, route, asker, victim, place, chance.choice(names), chance.choice(PRECONDITIONS))
        if found is not None:
            yield found
            made += 1


def _own(flock: Flock) -> Iterator[Probe]:
    """Everything that each may read, in pages of every length: the answers that hold the most."""
    for route, asker in _pairs(flock, [route for route in ROUTES if route.method == "GET"]):
        of = flock.canaries if asker.own is None else [asker.own]
        for owner in of if "{owner}" in route.path or asker.own is not None else [None]:
            for path in _own_paths(route, owner):
                for limit in ("", "?limit=1", "?limit=200") if _is_list(route) else ("",):
                    yield Probe(asker, route.name, "GET", path + limit, None, {}, (), owner, None)


def _own_paths(route: Route, owner: Canary | None) -> Iterator[str]:
    places = places_of(route)
    last = places[-1] if places else None
    if last is None or owner is None:
        yield route.path if last is None else _path(route, dict.fromkeys(places, "nothing"))
        return
    fixed = {place: _one(owner, place) for place in places}
    for name in owner.ids.get(KIND_OF[last], ["nothing"]):
        yield _path(route, {**fixed, last: name})


def _of_kind(flock: Flock) -> Iterator[Probe]:
    """In each place of each path the ids of that kind, of each other owner."""
    for route, asker in _pairs(flock):
        for victim, place in ((victim, place) for victim in flock.canaries for place in places_of(route)):
            if asker.own is victim or (asker.role is Role.PLATFORM and place == "owner"):
                continue
            for name in victim.ids.get(KIND_OF[place], ()):
                found = _foreign(flock, route, asker, victim, place, name, PRECONDITIONS[0])
                if found is not None:
                    yield found


def _in_queries(flock: Flock) -> Iterator[Probe]:
    """Every filter of every list: with values of one's own, and with ids and words of others."""
    for route, asker in _pairs(flock, [route for route in ROUTES if route.query is not None]):
        own = asker.own or flock.canaries[0]
        path = _path(route, {place: _one(own, place) for place in places_of(route)})
        for query in _own_filters(route, own):
            yield Probe(asker, route.name, "GET", f"{path}?{query}", None, {}, (), own, None)
        for victim in flock.canaries:
            if victim is not own:
                for query, other, name in _foreign_filters(route, own, victim):
                    # what is found for a word depends on the letters it shares with one's own: only whose it is counts
                    found = name == victim.word and "q" in query
                    twin = None if found else Probe(asker, route.name, "GET", f"{path}?{other}", None, {}, (), own, None)
                    yield Probe(asker, route.name, "GET", f"{path}?{query}", None, {}, (name,), own, twin)


def _own_filters(route: Route, own: Canary) -> Iterator[str]:
    fields = route.query.model_fields if route.query else {}
    needed = f"user={_one(own, 'user')}&" if route.path.endswith("/memories") else ""
    some = {
        "state": ("open", "HANDOFF", "EXPIRED,WAITING_USER"),
        "by": ("day", "feature", "user"),
        "first": ("2026-11-01",),
        "status": ("delivered", "dead"),
        "updated_since": ("2020-01-01T00:00:00Z",),
        "q": (own.word, "gato"),
    }
    for name in fields:
        for value in some.get(name, own.ids.get(KIND_OF.get(name, ""), ())):
            yield f"{'' if name == 'user' else needed}{name}={quote(value)}"


def _foreign_filters(route: Route, own: Canary, victim: Canary) -> Iterator[tuple[str, str, str]]:
    """(the query, the same with what is absent, what it says of the other)"""
    fields = route.query.model_fields if route.query else {}
    of_whom = f"user={_one(own, 'user')}&" if route.path.endswith("/memories") else ""
    for field in fields:
        names = (
            (victim.word,)
            if field == "q"
            else victim.ids.get(KIND_OF.get(field, ""), ())
            if field != "cursor"
            else (victim.word,)
        )
        for name in names:
            before = "" if field == "user" else of_whom
            yield f"{before}{field}={quote(name)}", f"{before}{field}={quote(absent(name))}", name
            if field == "user" and of_whom:
                yield f"user={name}&q={victim.word}", f"user={absent(name)}&q={absent(victim.word)}", name


def _in_bodies(flock: Flock) -> Iterator[Probe]:
    """Ids that stand in bodies."""
    for asker in flock.askers:
        own = asker.own or flock.canaries[0]
        for victim in flock.canaries:
            if victim is not own:
                for method, path, body in _bodies(own, victim):
                    name = next(
                        name for name in (*victim.ids["messages"], *victim.every_id(), victim.word) if name in json.dumps(body)
                    )
                    said = json.loads(json.dumps(body).replace(name, absent(name)))
                    twin = Probe(asker, path, method, path, said, PRECONDITIONS[0], (), own, None)
                    yield Probe(asker, path, method, path, body, PRECONDITIONS[0], (name,), own, twin)


def _bodies(own: Canary, victim: Canary) -> Iterator[tuple[str, str, object]]:
    talk = f"/conversations/{_one(own, 'conversation')}/messages"
    for message in victim.ids["messages"]:
        yield "POST", talk, {"template": {"content_sid": SID}, "instead_of": message}
    yield "POST", talk, {"template": {"name": victim.word, "locale": "pt-BR"}}
    for endpoint in victim.ids["webhook_endpoints"]:
        yield "POST", "/webhook-replays", {"since": "2020-01-01T00:00:00Z", "endpoint": endpoint}
    for subscription in victim.ids["subscriptions"]:
        yield "POST", "/owners", {"name": "nova", "plan": subscription}
        yield "PATCH", f"/owners/{own.line.owner}/subscription", {"plan": subscription}


def _foreign(
    flock: Flock, route: Route, asker: Asker, victim: Canary, place: str, name: str, precondition: Mapping[str, str]
) -> Probe | None:
    """``name`` of the victim at ``place``; what else the path names is the asker's own, or that of the owner in the path."""
    at = next(number for number, one in enumerate(flock.canaries) if one is victim)
    base = victim if place == "owner" else asker.own or flock.canaries[(at + 1) % 3]
    fixed = {one: _one(base, one) for one in places_of(route)}
    if fixed[place] == name and base is not victim:
        return None
    body = BODIES[route.body.__name__] if route.body is not None else None
    of = None if place == "owner" else base
    other = absent(name)
    twin = Probe(asker, route.name, route.method, _path(route, {**fixed, place: other}), body, precondition, (other,), of, None)
    said = tuple(fixed.values()) if base is victim else ()
    return Probe(
        asker, route.name, route.method, _path(route, {**fixed, place: name}), body, precondition, (name, *said), of, twin
    )


def absent(name: str) -> str:
    """Something of the form of ``name`` that is nobody's."""
    if name.startswith("job_"):
        return f"job_9{secrets.randbelow(10**12):012d}"
    if name.startswith("whatsapp:"):
        return f"whatsapp:+5511{secrets.randbelow(10**9):09d}"
    if name.startswith("AC"):
        return f"AC{secrets.token_hex(16)}"
    prefix, _, rest = name.rpartition("_")
    return f"{prefix}_{secrets.token_hex(len(rest) // 2)}" if prefix else fresh_word()


def _pairs(flock: Flock, routes: Iterable[Route] = ROUTES) -> Iterator[tuple[Route, Asker]]:
    """Every such route with everybody who may ask; the three that need no token are not about anybody's data."""
    return ((route, asker) for route in routes if route.action is not None for asker in flock.askers)


def places_of(route: Route) -> list[str]:
    """Where ids stand in its path."""
    return re.findall(r"\{(\w+)\}", route.path)


def _path(route: Route, ids: Mapping[str, str]) -> str:
    return re.sub(r"\{(\w+)\}", lambda match: quote(ids[match[1]], safe=""), route.path)


def _one(owner: Canary, place: str) -> str:
    return owner.ids.get(KIND_OF[place], ["nothing"])[0]


def _is_list(route: Route) -> bool:
    return route.query is not None and "limit" in route.query.model_fields
