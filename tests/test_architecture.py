"""The house rules that no linter knows, checked over the whole tree; and each check is tried on text that breaks it."""

import ast
import re
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path, PurePosixPath

import pytest

from wtai.identity.access import ACTIONS
from wtai.web.api.routes import ROUTES

ROOT = Path(__file__).resolve().parents[1]

FILE_LINES, FUNCTION_LINES = 500, 60

TABLES_WITHOUT_OWNER = {"owners": "its rows are the owners", "plans": "the platform's, for all owners to subscribe to"}

PUBLIC_ROUTES = {
    "POST /api/v1/auth/token": "it is how one comes to a token",
    "POST /api/v1/auth/refresh": "the refresh token in the body is what lets one in",
    "POST /api/v1/auth/revoke": "whoever has a refresh token may give it back",
}

STATEMENTS_WITHOUT_OWNER = {
    "wtai/ai/memory/index.py add_words": "the keys begin with owner and person",
    "wtai/ai/memory/index.py remove_words": "the keys begin with owner and person",
    "wtai/ai/memory/index.py frequencies": "the keys begin with owner and person",
    "wtai/ai/memory/index.py with_keys": "the keys begin with owner and person",
    "wtai/search/index_store.py _indexed": "the keys begin with the owner",
    "wtai/search/index_store.py _add": "the keys begin with the owner",
    "wtai/search/index_store.py _remove": "the keys begin with the owner",
    "wtai/privacy/erase_store.py delete_rows_of_person": "_delete, which builds it, names :owner",
    "wtai/privacy/erase_store.py delete_rows_of_owner": "_delete, which builds it, names :owner",
    "wtai/privacy/erase_store.py _keys": "runs what its callers, in the same file, wrote",
}

VIRTUAL_TABLES = {
    "memory_words": "has no columns of its own: each of its tokens begins with owner and person",
    "memory_vocabulary": "lists the tokens of memory_words",
    "message_words": "has no columns of its own: each of its tokens begins with the owner",
}

IMPORTED_ONLY_IN = {
    "openai": ("wtai/ai/openai.py",),
    "twilio": ("wtai/channels/twilio/",),
    "aiosqlite": ("wtai/db/sqlite.py",),
    "sqlite3": ("wtai/db/connection.py",),
    "pysqlite3": ("wtai/db/connection.py",),
    "sqlite_vec": ("wtai/db/connection.py", "wtai/ai/memory/"),
    "apscheduler": ("wtai/sweeps.py",),
    # failpoints block the database's own thread for ever, which no clock is asked for
    "time": ("wtai/clock.py", "wtai/failpoints.py"),
}

CATCHES_EVERYTHING = {
    "wtai/jobs/worker.py": "a handler's unexpected error is a failed attempt",
    "wtai/web/server.py": "an unexpected error of a request is a 500",
    "wtai/web/api/build.py": "the same, in the API's words",
    "wtai/web/console/dispatch.py": "the same, as a page",
    "wtai/cli/main.py": "the end of the process",
    "wtai/db/units.py": "hands the error of one unit of work to its own caller",
}

_STATEMENT = re.compile(
    r"^\s*(SELECT\s|INSERT\s+(OR\s+\w+\s+)?INTO\s|UPDATE\s+\w+\s+SET\s|DELETE\s+FROM\s|WITH\s+\w+\s+AS\s|CREATE\s+(TABLE|INDEX)|PRAGMA\s)"
)
_NEUTRAL = (
    "errors.py",
    "clock.py",
    "ids.py",
    "secrets.py",
    "egress.py",
    "standard_webhooks.py",
    "failpoints.py",
    "jobs/",
    "db/",
    "conversation/",
    "identity/",
)


@dataclass(frozen=True)
class Source:
    """A file of the project; ``path`` from its root, with slashes."""

    path: str
    text: str

    def under(self, places: tuple[str, ...]) -> bool:
        return any(self.path == place or (place.endswith("/") and self.path.startswith(place)) for place in places)

    @property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)


def sources(*patterns: str) -> list[Source]:
    paths = [path for pattern in patterns for path in sorted(ROOT.glob(pattern))]
    return [Source(path.relative_to(ROOT).as_posix(), path.read_text("utf-8")) for path in paths]


def sql_outside_stores(source: Source) -> Iterator[int]:
    """SQL stands in stores, the queue's backend, the database's own package and the memory's, and nowhere else."""
    is_store = PurePosixPath(source.path).stem.rpartition("_")[2] == "store"
    if is_store or source.under(("wtai/jobs/sqlite.py", "wtai/db/", "wtai/ai/memory/")):
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and _STATEMENT.match(node.value):
            yield node.lineno


def environment_outside_settings(source: Source) -> Iterator[int]:
    """The environment is read in one place."""
    names = {"environ", "environb", "getenv"}
    if source.path == "wtai/settings_source.py":
        return
    for node in ast.walk(source.tree):
        read = isinstance(node, ast.Attribute) and node.attr in names
        imported = isinstance(node, ast.ImportFrom) and node.module == "os" and names & {alias.name for alias in node.names}
        if read or imported:
            yield node.lineno


def time_outside_clock(source: Source) -> Iterator[int]:
    """What time it is comes from the clock that was passed in (imports of ``time`` are checked with the others)."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Attribute) and re.search(r"(\bdatetime\.now|\.utcnow|\.today)$", ast.unparse(node)):
            yield node.lineno


def import_outside_its_place(source: Source) -> Iterator[int]:
    """Each driver and SDK is imported in one place."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            modules = [node.module]
        else:
            continue
        for module in modules:
            places = IMPORTED_ONLY_IN.get(module.partition(".")[0])
            if places and not source.under(places):
                yield node.lineno


def catch_all(source: Source) -> Iterator[int]:
    """Everything is caught where the program decides what an unexpected error means, and nowhere else."""
    if source.path not in CATCHES_EVERYTHING:
        yield from _broad_handlers(source)


def _broad_handlers(source: Source) -> Iterator[int]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ExceptHandler):
            caught = "BaseException" if node.type is None else ast.unparse(node.type)
            if re.search(r"\b(Base)?Exception\b", caught):
                yield node.lineno


def type_checking_import(source: Source) -> Iterator[int]:
    """Needing an import for types alone means that there is a cycle."""
    for node in ast.walk(source.tree):
        if "TYPE_CHECKING" in (getattr(node, "id", None), getattr(node, "attr", None), getattr(node, "name", None)):
            yield getattr(node, "lineno", 1)


def provider_named_below_its_adapter(source: Source) -> Iterator[int]:
    """What is below channels and ai works with any provider, and its words show it."""
    if source.under(tuple(f"wtai/{place}" for place in _NEUTRAL)):
        for number, line in enumerate(source.text.splitlines(), 1):
            if re.search(r"twilio|openai", line, re.IGNORECASE):
                yield number


def oversized(source: Source) -> Iterator[int]:
    """No file above 500 lines, no function above 60."""
    if source.text.count("\n") > FILE_LINES:
        yield FILE_LINES
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (node.end_lineno or 0) - node.lineno >= FUNCTION_LINES:
            yield node.lineno


def unowned_table(source: Source) -> Iterator[int]:
    """Every table is STRICT, and every row belongs to an owner."""
    text = re.sub(r"--[^\n]*", "", source.text)
    for match in re.finditer(r"CREATE TABLE\s+(?:IF NOT EXISTS\s+)?(\w+)\s*\(([^;]*)\)([^();]*);", text):
        name, columns, options = match.groups()
        owned = re.search(r"\bowner_id\s+INTEGER\s+NOT NULL\b", columns) or name in TABLES_WITHOUT_OWNER
        if not owned or "STRICT" not in options:
            yield text.count("\n", 0, match.start()) + 1
    for match in re.finditer(r"CREATE VIRTUAL TABLE\s+(\w+)", text):
        if match.group(1) not in VIRTUAL_TABLES:
            yield text.count("\n", 0, match.start()) + 1


def statement_without_owner(source: Source) -> Iterator[int]:
    """Whatever runs in an owner's transaction names :owner."""
    constants = dict(_assigned(source.tree.body))
    for function in ast.walk(source.tree):
        if not isinstance(function, ast.FunctionDef) or f"{source.path} {function.name}" in STATEMENTS_WITHOUT_OWNER:
            continue
        local = dict(_assigned(list(ast.walk(function))))
        bound = {name for name, value in local.items() if re.fullmatch(r"\w+\.for_owner\(.*\)", ast.unparse(value))}
        bound |= {one.arg for one in function.args.args if one.annotation and ast.unparse(one.annotation) == "OwnerTx"}
        for call in ast.walk(function):
            if (
                isinstance(call, ast.Call)
                and isinstance(call.func, ast.Attribute)
                and call.func.attr in ("all", "one", "run", "insert")
                and call.args
            ):
                on = ast.unparse(call.func.value)
                texts = _texts(call.args[0], {**constants, **local})
                if (on in bound or ".for_owner(" in on) and not all(":owner" in text for text in texts):
                    yield call.lineno


def _assigned(statements: Sequence[ast.AST]) -> Iterator[tuple[str, ast.expr]]:
    for one in statements:
        targets = one.targets if isinstance(one, ast.Assign) else [one.target] if isinstance(one, ast.AnnAssign) else []
        for target in targets:
            if isinstance(target, ast.Name) and isinstance(one, ast.Assign | ast.AnnAssign) and one.value is not None:
                yield target.id, one.value


def _texts(node: ast.expr, names: Mapping[str, ast.expr]) -> list[str]:
    """Every text that an expression can be, as far as it stands in the same file; what is computed is empty."""
    match node:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.Name(id=name) if name in names:
            return _texts(names[name], {other: value for other, value in names.items() if other != name})
        case ast.Call(func=ast.Attribute(value=text, attr="replace"), args=[ast.Constant(value=str(gone)), *_]) if (
            ":owner" not in gone
        ):
            return _texts(text, names)
        case ast.IfExp(body=body, orelse=orelse):
            return [*_texts(body, names), *_texts(orelse, names)]
        case ast.FormattedValue(value=value):
            return _texts(value, names)
        case ast.JoinedStr(values=values):
            parts = [_texts(value, names) for value in values]
            return ["".join(chosen) for chosen in product(*parts)]
    return [""]


Check = Callable[[Source], Iterator[int]]

OURS = ("wtai/**/*.py",)
ALL = (*OURS, "scripts/**/*.py", "tests/**/*.py")

CHECKS: list[tuple[Check, tuple[str, ...], Source]] = [
    (sql_outside_stores, OURS, Source("wtai/web/webhooks.py", 'rows = tx.all(f"SELECT id FROM {table}")')),
    (environment_outside_settings, OURS, Source("wtai/app.py", "import os\nhome = os.environ['HOME']")),
    (environment_outside_settings, OURS, Source("wtai/settings.py", "from os import getenv")),
    (time_outside_clock, OURS, Source("wtai/app.py", "import datetime\nnow = datetime.datetime.now(UTC)")),
    (time_outside_clock, OURS, Source("wtai/app.py", "today = date.today()")),
    (import_outside_its_place, OURS, Source("wtai/ai/loop.py", "def f():\n    from openai.types import Model")),
    (import_outside_its_place, OURS, Source("wtai/web/webhooks.py", "import twilio.rest")),
    (import_outside_its_place, OURS, Source("wtai/jobs/sqlite.py", "import sqlite3")),
    (import_outside_its_place, OURS, Source("wtai/jobs/worker.py", "from time import monotonic")),
    (catch_all, OURS, Source("wtai/channels/sender.py", "try:\n    f()\nexcept (ValueError, Exception):\n    pass")),
    (catch_all, OURS, Source("wtai/channels/sender.py", "try:\n    f()\nexcept:\n    pass")),
    (type_checking_import, OURS, Source("wtai/app.py", "from typing import TYPE_CHECKING")),
    (type_checking_import, OURS, Source("wtai/app.py", "import typing\nif typing.TYPE_CHECKING:\n    import x")),
    (provider_named_below_its_adapter, OURS, Source("wtai/conversation/inbox.py", "# as Twilio sends it")),
    (provider_named_below_its_adapter, OURS, Source("wtai/errors.py", "class OpenAIError: ...")),
    (oversized, ALL, Source("wtai/app.py", "x = 1\n" * 501)),
    (oversized, ALL, Source("tests/test_x.py", "def f():\n" + "    x = 1\n" * 60)),
    (statement_without_owner, OURS, Source("wtai/x_store.py", 'def f(tx: OwnerTx):\n    tx.all("SELECT id FROM notes")')),
    (
        statement_without_owner,
        OURS,
        Source("wtai/x_store.py", 'def f(tx: OwnerTx):\n    tx.insert("INSERT INTO notes (x) VALUES (1)")'),
    ),
    (
        statement_without_owner,
        OURS,
        Source(
            "wtai/x_store.py", 'A = "SELECT 1"\nB = ":owner"\ndef f(tx: OwnerTx, x: int):\n    a = A if x else B\n    tx.one(a)'
        ),
    ),
    (
        statement_without_owner,
        OURS,
        Source("wtai/x_store.py", 'A = "SELECT 1"\ndef f(tx: OwnerTx):\n    tx.one(f"{A} WHERE id = :id", id=1)'),
    ),
    (
        statement_without_owner,
        OURS,
        Source("wtai/x_store.py", 'def f(tx: SystemTx):\n    own = tx.for_owner(1)\n    own.run("DELETE FROM notes")'),
    ),
    (statement_without_owner, OURS, Source("wtai/x_store.py", 'def f(tx: SystemTx):\n    tx.for_owner(1).run("DELETE FROM n")')),
    (unowned_table, ("wtai/**/*.sql",), Source("wtai/db/migrations/0009_x.sql", "CREATE TABLE notes (id INTEGER) STRICT;")),
    (
        unowned_table,
        ("wtai/**/*.sql",),
        Source("wtai/db/migrations/0009_x.sql", "CREATE VIRTUAL TABLE notes USING fts5 (text);"),
    ),
    (
        unowned_table,
        ("wtai/**/*.sql",),
        Source(
            "wtai/db/migrations/0009_x.sql",
            "CREATE TABLE notes (\n    owner_id INTEGER NOT NULL, -- STRICT\n    CHECK (owner_id > 0)\n);",
        ),
    ),
]


@pytest.mark.parametrize("check", dict.fromkeys(check for check, _, _ in CHECKS), ids=lambda check: check.__name__)
def test_the_tree_keeps_the_rule(check: Check) -> None:
    patterns = next(patterns for known, patterns, _ in CHECKS if known is check)
    found = sources(*patterns)
    assert found
    breaches = [f"{source.path}:{line}" for source in found for line in check(source)]
    assert not breaches, f"{check.__doc__}\n" + "\n".join(breaches)


@pytest.mark.parametrize(("check", "patterns", "breach"), CHECKS)
def test_the_rule_sees_a_breach(check: Check, patterns: tuple[str, ...], breach: Source) -> None:
    assert list(check(breach))


@pytest.mark.parametrize("path", CATCHES_EVERYTHING)
def test_a_place_that_may_catch_everything_still_does(path: str) -> None:
    [source] = sources(path)
    assert list(_broad_handlers(source))


@pytest.mark.parametrize("place", STATEMENTS_WITHOUT_OWNER)
def test_a_function_that_may_leave_the_owner_out_is_there(place: str) -> None:
    path, _, name = place.partition(" ")
    [source] = sources(path)
    assert name in {node.name for node in ast.walk(source.tree) if isinstance(node, ast.FunctionDef)}


def test_every_route_has_an_action_of_the_table_or_is_public_for_a_reason() -> None:
    assert {route.name for route in ROUTES if route.action is None} == set(PUBLIC_ROUTES)
    assert {route.action for route in ROUTES if route.action is not None} <= set(ACTIONS)


def test_a_test_cannot_reach_another_machine(escapes: list[str]) -> None:
    with socket.socket() as outside, pytest.raises(RuntimeError, match="tests stay on this machine"):
        outside.connect(("192.0.2.1", 80))
    with pytest.raises(RuntimeError, match="tests stay on this machine"):
        socket.getaddrinfo("example.com", 80)
    assert len(escapes) == 2
    escapes.clear()


def test_a_test_can_reach_its_own_machine(escapes: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname(), 1):
        pass
    assert not escapes
