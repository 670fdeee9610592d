"""Thousands of generated requests to every route of the running program: none breaks it, and each answer is documented."""

import asyncio
import itertools
import os
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest
import schemathesis
from schemathesis import Case, HookContext
from schemathesis.auths import AuthContext
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema
from schemathesis.generation.meta import TestPhase
from schemathesis.hooks import GLOBAL_HOOK_DISPATCHER

from tests.web.api_client import PASSWORD
from tests.web.api_data import MAILS, Data, filled
from wtai.identity.access import ACTIONS, Role
from wtai.web.api.routes import ROUTES

SEED: Final = int(os.environ.get("SCHEMATHESIS_SEED", "20260101"))
OPERATIONS: Final = {route.name: route for route in ROUTES}
REFUSED: Final = ["400", "401", "403", "404", "405", "409", "412", "413", "415", "422", "428", "429"]
CHECKS: Final = {
    "negative_data_rejection": {"enabled": True, "expected-statuses": REFUSED},
    "missing_required_header": {"enabled": True, "expected-statuses": REFUSED},
    # What no schema can say (a plan that is not there, a password that everybody tries first) is refused all the same.
    "positive_data_acceptance": {"enabled": False},
    # The asker changes from request to request, so that what one made another may not see.
    "ensure_resource_availability": {"enabled": False},
}
FRAMING: Final = frozenset({"Content-Length", "Transfer-Encoding", "Connection", "Upgrade", "Host", "Expect"})
"""What says where a request ends and whom it is for: wrong ones are refused before any operation hears of them."""
PHASES: Final = {
    "coverage": {"enabled": True},
    "fuzzing": {"enabled": True, "generation": {"max-examples": 20}},
    "stateful": {"enabled": True, "generation": {"max-examples": 40}},
}
ENDS: Final = ("/disable", "/close", "/retry")
NAMES: Final = {"assignee": "user", "target": "user", "instead_of": "message"}
FITTING: Final = {"password": "sete tigres na chuva", "current": PASSWORD, "scopes": ["read"]}
FRESH: Final = {
    "name": "nome {}",
    "email": "nova{}@padaria.example",
    "account_sid": "AC{:032x}",
    "number": "+55119{:08}",
    "content_sid": "HX{:032x}",
}
NOT_REACHED: Final = {
    "POST /api/v1/auth/refresh": "a refresh token is good once",
    "PATCH /api/v1/subscription": "the platform changes subscriptions, under the owner's path",
}


@dataclass
class Asker:
    """Sends requests beyond the 404: puts ids of rows there are in most of them, and asks as someone who may."""

    data: Data
    chance: Random = field(default_factory=lambda: Random(SEED))
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def token(self, case: Case) -> str:
        """For a request: one in sixteen is somebody's who perhaps may not."""
        route = OPERATIONS[case.operation.label]
        may = set(ACTIONS[route.action]) if route.action is not None and self._mostly(16) else set(self.data.tokens)
        if "{owner}" in route.path and Role.PLATFORM in may and self._mostly(3):
            may = {Role.PLATFORM}
        elif route.of_tenants and may != {Role.PLATFORM}:
            may -= {Role.PLATFORM}
        if route.path.endswith("/me/password"):
            return self.data.changing
        tokens = [token for role, of in self.data.tokens.items() if role in may for token in of]
        return self.chance.choice(tokens)

    def aim(self, case: Case) -> None:
        """Give three of four requests ids of rows; what ends a thing is aimed at a spare one."""
        for name in [name for name in case.headers if name.title() in FRAMING]:
            del case.headers[name]
        of_stateful = case.meta is not None and case.meta.phase.name is TestPhase.STATEFUL
        aimed = not of_stateful and self._mostly(4)
        for name, value in case.path_parameters.items():
            if aimed or value in self.data.own or (name == "owner" and _ends(case)):
                case.path_parameters[name] = self._id(name, case)
        if not aimed:
            return
        self._aim_headers(case)
        if self._mostly(3):
            case.query.pop("cursor", None)
        for name, value in case.query.items():
            if self._stands_for_an_id(name, value):
                case.query[name] = self._id(name, case)
        if isinstance(case.body, dict):
            case.body = {name: self._fitting(name, value, case) for name, value in case.body.items()}
            if case.path.endswith("/messages") and self._mostly(3):
                case.body = {"body": "Já volto"}  # or a template: seldom do generated bodies have one of the two

    def _aim_headers(self, case: Case) -> None:
        if "Idempotency-Key" in case.headers and self._mostly(4):
            case.headers["Idempotency-Key"] = f"key-{next(self.numbers)}"
        if "If-Match" in case.headers and self._mostly(3):
            case.headers["If-Match"] = "*"

    def _mostly(self, of: int) -> bool:
        """False in one of so many cases."""
        return self.chance.randrange(of) > 0

    def _fitting(self, name: str, value: object, case: Case) -> object:
        if case.path.endswith("/auth/token") and isinstance(value, str):
            return {"email": MAILS[Role.ADMIN], "password": PASSWORD}.get(name, value)
        if name in FITTING and isinstance(value, type(FITTING[name])) and value:
            return FITTING[name]
        if name in FRESH and isinstance(value, str) and value:
            return FRESH[name].format(next(self.numbers))
        return self._id(name, case) if self._stands_for_an_id(name, value) else value

    def _stands_for_an_id(self, name: str, value: object) -> bool:
        return NAMES.get(name, name) in self.data.ids and isinstance(value, str) and 0 < len(value) <= 64

    def _id(self, name: str, case: Case) -> str:
        kind, path = NAMES.get(name, name), case.path
        if kind == "user" and ("/end-users" in path or "/memories" in path or path.endswith("/conversations")):
            kind = "end_user"
        last = re.findall(r"\{(\w+)\}", path)[-1:] == [name]
        pool = self.data.ids[kind].spare if _ends(case) and last else self.data.ids[kind].kept
        return self.chance.choice(pool)


@dataclass
class Run:
    """What came of it: how many requests, answered how; the routes that did what they were asked; and what failed."""

    cases: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    done: set[str] = field(default_factory=set)
    failures: dict[tuple[str, str], str] = field(default_factory=dict)

    def note(self, event: events.ScenarioFinished) -> None:
        """Count what a scenario did."""
        recorder = event.recorder
        for case_id, interaction in recorder.interactions.items():
            operation = recorder.cases[case_id].value.operation.label
            self.cases += 1
            if interaction.response is None:
                self.failures[(operation, "answer")] = "there was none"
                continue
            status = interaction.response.status_code
            self.statuses[status] += 1
            if 200 <= status < 300:
                self.done.add(operation)
            for check in recorder.checks.get(case_id, []):
                if check.failure_info is not None:
                    told = (
                        f"{check.failure_info.failure}\n{check.failure_info.code_sample}\n{interaction.response.content!r:.500}"
                    )
                    self.failures.setdefault((operation, check.name), told)


def play(url: str, data: Data, phases: dict[str, Any], **checks: dict[str, Any]) -> Run:
    """Play the phases against the program at ``url``; ``checks`` on top of CHECKS."""
    asker, run = Asker(data), Run()
    settings = {
        "seed": SEED,
        "base-url": url,
        "continue-on-failure": True,
        "request-timeout": 20,
        "suppress-health-check": ["all"],
        "auth": {"auto-signup": False},
        "checks": {**CHECKS, **checks},
        "phases": phases,
        "generation": {"no-shrink": True, "database": "none"},
    }
    schema = schemathesis.openapi.from_url(f"{url}/api/openapi.json", config=SchemathesisConfig.from_dict(settings))

    class Tokens:
        def get(self, case: Case, context: AuthContext) -> str:
            return asker.token(case)

        def set(self, case: Case, token: str, context: AuthContext) -> None:
            case.headers["Authorization"] = f"Bearer {token}"

    schema.auth(refresh_interval=None)(Tokens)
    with before_each_call(asker):
        for event in from_schema(schema).execute():
            if isinstance(event, events.ScenarioFinished):
                run.note(event)
            elif isinstance(event, events.NonFatalError):
                run.failures[(event.label, "error")] = repr(event.value)
            elif isinstance(event, events.FatalError):
                raise event.exception
    return run


@contextmanager
def before_each_call(asker: Asker) -> Iterator[None]:
    """Requests are aimed by ``asker`` for the time of the block."""

    def before_call(context: HookContext, case: Case, kwargs: dict[str, Any]) -> None:
        asker.aim(case)

    schemathesis.hook(before_call)
    try:
        yield
    finally:
        GLOBAL_HOOK_DISPATCHER.unregister(before_call)


def _ends(case: Case) -> bool:
    """Whether it ends what it is about."""
    return case.method == "DELETE" or case.path.endswith(ENDS)


def _report(run: Run) -> str:
    failed = "".join(f"\n\n{operation} · {check}\n{told}" for (operation, check), told in sorted(run.failures.items()))
    return f"seed {SEED}: {run.cases} requests, {dict(sorted(run.statuses.items()))}{failed}"


@pytest.mark.slow
async def test_no_generated_request_breaks_the_program_or_is_answered_as_nobody_said(data_dir: Path, free_port: int) -> None:
    async with filled(data_dir, free_port) as (_, data):
        run = await asyncio.to_thread(play, f"http://127.0.0.1:{free_port}", data, PHASES)
        process_log = data_dir.with_name(f"{data_dir.name}.log").read_text("utf-8")
    print(_report(run))
    assert not run.failures, _report(run)
    assert "Traceback" not in process_log
    assert run.cases >= 5_000
    assert OPERATIONS.keys() - run.done <= NOT_REACHED.keys()


@pytest.mark.slow
async def test_whoever_asks_too_often_is_told_so_as_documented(data_dir: Path, free_port: int) -> None:
    rates = {"api_per_principal": 15, "api_per_owner": 25, "api_per_address": 10}
    phases = {"coverage": {"enabled": False}, "stateful": {"enabled": False}, "fuzzing": {"generation": {"max-examples": 5}}}
    async with filled(data_dir, free_port, limits=rates) as (_, data):
        run = await asyncio.to_thread(play, f"http://127.0.0.1:{free_port}", data, phases, ignored_auth={"enabled": False})
    print(_report(run))
    assert run.statuses[429] > 50
    assert not run.failures, _report(run)
