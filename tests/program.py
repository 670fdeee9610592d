"""The real program against the fakes over real HTTP, in this process or in one of its own.

    async with open_world(data_dir) as world, world.running():
        await world.say(person(1), "oi")
        assert await world.answers_to(person(1), 1) == ["eco: oi"]

``world.twilio`` and ``world.model`` are the fakes, with their faults and ledgers; ``world.rows`` reads the database. Waiting is
always bounded, and processes end with the world.
"""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.schema import new_database
from wtai.ai.features_store import Feature, set_feature
from wtai.ai.specialists import DEFAULT, FAMILIES
from wtai.app import Role, Running, running
from wtai.channels.accounts import connect as connect_account
from wtai.clock import HOUR, SECOND, SystemClock
from wtai.db.sqlite import SqliteDatabase, connect
from wtai.identity.audit_store import OPERATOR
from wtai.identity.from_settings import sealer
from wtai.identity.plans import PlanLimits
from wtai.identity.plans_store import create_plan, subscribe
from wtai.identity.store import create_owner
from wtai.secrets import create_key_file
from wtai.settings import Settings
from wtai.simulator.model import ScriptedModel
from wtai.simulator.twilio import FakeTwilio
from wtai.simulator.twilio_messages import Accepted
from wtai.simulator.twilio_webhooks import WebhookResult

ROOT = Path(__file__).resolve().parents[1]

Sections = Mapping[str, Mapping[str, object]]

QUICK: Sections = {
    "server": {"port": 0},
    "twilio": {"reconcile_seconds": 0.2, "timeout_seconds": 1.0},
    "openai": {"api_key": "sk-test", "timeout_seconds": 5.0},
    "conversation": {"burst_quiet_ms": 0},
    "worker": {"lease_seconds": 5.0, "shutdown_grace_seconds": 2.0},
}
"""Settings with which everything that waits for something to go wrong waits briefly."""


async def away_from_the_hour() -> None:
    """Return where no hour, and so no day, ends within 30 s: what happens and the look at it are then of the same one."""
    left = HOUR - SystemClock().now() % HOUR
    if left < 30 * SECOND:
        await asyncio.sleep(left / SECOND)


@dataclass(frozen=True, slots=True)
class Line:
    """An owner's connected WhatsApp number, with the credentials Twilio knows for it."""

    owner_id: int
    owner: str
    account_sid: str
    token: str
    number: str


def person(number: int) -> str:
    """A customer's address."""
    return f"whatsapp:+55119{80_000_000 + number}"


async def until(condition: Callable[[], bool], *, seconds: float = 30.0) -> None:
    """Return once ``condition`` holds, asking again every 10 ms. Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - files and processes give no event
            await asyncio.sleep(0.01)


@asynccontextmanager
async def open_world(
    data_dir: Path,
    *,
    owners: int = 1,
    echo: bool = True,
    specialists: Collection[str] = (DEFAULT,),
    **sections: Mapping[str, object],
) -> AsyncIterator["World"]:
    """A data directory with ``owners``, each with a number, and the fakes; ``sections`` are settings on top of QUICK.

    Of the built-in specialists only ``specialists`` are on: with one of them nothing is routed. With ``echo`` the
    model answers ``eco: first | second``: exactly the messages that its turn covered.
    """
    async with FakeTwilio(SystemClock()) as twilio, ScriptedModel(SystemClock(), echo=echo) as model:
        world = World(data_dir, twilio, model, sections)
        try:
            await world.found(owners, [name for name in FAMILIES if name not in specialists])
            yield world
        finally:
            world.end()


class World:
    """What surrounds the program, and ways to run it."""

    def __init__(self, data_dir: Path, twilio: FakeTwilio, model: ScriptedModel, sections: Sections) -> None:
        self.data_dir = data_dir
        self.twilio = twilio
        self.model = model
        self.lines: list[Line] = []
        self._sections = sections
        self._processes: list[Process] = []

    @property
    def line(self) -> Line:
        """The first owner's number."""
        return self.lines[0]

    def settings(self, **sections: Mapping[str, object]) -> Settings:
        """Settings of this world; ``sections`` come last."""
        return Settings.model_validate(self._merged(sections))

    @asynccontextmanager
    async def running(self, *, role: Role = "all", **sections: Mapping[str, object]) -> AsyncIterator[Running]:
        """The program in this process, for the time of the block."""
        settings = self.settings(**sections)
        async with running(settings, role=role) as program:
            if program.url is not None:
                self.twilio.webhook_url, self.twilio.public_url = program.url, settings.server.public_url
            yield program

    def process(
        self, port: int, *, failpoints: str = "", prefix: tuple[str, ...] = (), **sections: Mapping[str, object]
    ) -> "Process":
        """The program as a process on ``port``, not started yet. ``prefix`` is a command that runs it, such as prlimit."""
        merged = self._merged({**sections, "server": {**sections.get("server", {}), "port": port}})
        environment = {
            f"WTAI_{section}__{key}".upper(): str(value) for section, table in merged.items() for key, value in table.items()
        }
        if failpoints:
            environment["WTAI_FAILPOINTS"] = failpoints
        self.twilio.webhook_url = f"http://127.0.0.1:{port}"
        process = Process(self.data_dir, environment, prefix)
        self._processes.append(process)
        return process

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a ``wtai`` command on this data directory. Raises CalledProcessError unless it exits with 0."""
        command = [sys.executable, "-m", "wtai", "--data-dir", str(self.data_dir), *arguments]
        environment = _outside() | {"PYTHONPATH": str(ROOT)}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=120)

    async def subscribe(self, program: Running, limits: PlanLimits) -> None:
        """The first owner has a plan with ``limits`` from now on."""
        plan = await program.database.system_write(create_plan, "small", limits, now=0)
        await program.database.write(self.line.owner_id, subscribe, plan, now=0)

    async def say(self, from_: str, text: str, *, line: Line | None = None, **options: Any) -> WebhookResult:
        """A customer writes; returns how the webhook was answered. ``options`` are those of ``FakeTwilio.send``."""
        return await self.twilio.send(from_, (line or self.line).number, text, **options)

    async def insist(self, from_: str, text: str, *, line: Line | None = None, seconds: float = 60.0) -> str:
        """As :meth:`say`, but delivered again until it is acknowledged with 200; returns the message's sid."""
        async with asyncio.timeout(seconds):
            result = await self.say(from_, text, line=line)
            while result.status != 200:
                await asyncio.sleep(0.05)
                result = await self.twilio.redeliver(result.sid)
        return result.sid

    def sent_to(self, address: str) -> list[Accepted]:
        """What the fake Twilio took for ``address``, in order."""
        return [message for message in self.twilio.accepted if message.to == address]

    async def answers_to(self, address: str, count: int, *, seconds: float = 30.0) -> list[str]:
        """The bodies sent to ``address``, once there are ``count`` of them. Raises TimeoutError."""
        await self.twilio.until(lambda: len(self.sent_to(address)) >= count, seconds)
        return [message.body for message in self.sent_to(address)]

    def rows(self, sql: str, **parameters: object) -> list[dict[str, Any]]:
        """Rows of the program's database, also while it runs."""
        with closing(connect(self.data_dir / "wtai.db", read_only=True)) as connection:
            return [dict(row) for row in connection.execute(sql, parameters).fetchall()]

    def value(self, sql: str, **parameters: object) -> Any:
        """The only value of the only row."""
        (row,) = self.rows(sql, **parameters)
        (value,) = row.values()
        return value

    def outbound(self) -> list[dict[str, Any]]:
        """The outbox in its order."""
        return self.rows(
            "SELECT id, public_id, body, status, provider_sid, error_code FROM messages WHERE direction = 'outbound' ORDER BY id"
        )

    async def at_rest(self, *, seconds: float = 30.0) -> None:
        """Return once no job is left but dead ones. Raises TimeoutError."""
        await self.until(lambda: self.value("SELECT count(*) FROM jobs WHERE state <> 'dead'") == 0, seconds=seconds)

    async def until(self, condition: Callable[[], bool], *, seconds: float = 30.0) -> None:
        """As :func:`until`."""
        await until(condition, seconds=seconds)

    async def found(self, owners: int, off: Sequence[str]) -> None:
        """Create the key, the database and the owners, for whom the specialists ``off`` are switched off."""
        create_key_file(self.data_dir / "wtai.key")
        settings = self.settings()
        new_database(settings.database_path)
        database = await SqliteDatabase.open(settings.database_path)
        try:
            for number in range(1, owners + 1):
                await self._connect_owner(database, settings, number)
                for name in off:
                    await database.write(self.lines[-1].owner_id, set_feature, Feature(name, False, "{}"), actor=OPERATOR, now=0)
        finally:
            await database.close()

    def end(self) -> None:
        """Kill what still runs."""
        for process in self._processes:
            process.kill()

    async def _connect_owner(self, database: SqliteDatabase, settings: Settings, number: int) -> None:
        now = SystemClock().now()
        owner = await database.system_write(create_owner, f"Padaria {number}", "pt-BR", now=now)
        line = Line(
            owner.id, owner.public_id, f"AC{number:032x}", f"segredo-{number}-{'x' * 20}", f"whatsapp:+551130{number:06d}"
        )
        await database.write(owner.id, connect_account, sealer(settings), line.account_sid, [line.token], [line.number], now=now)
        self.twilio.add_account(line.account_sid, line.token, numbers=(line.number,))
        self.lines.append(line)

    def _merged(self, last: Sections) -> dict[str, dict[str, object]]:
        places: Sections = {
            "database": {"url": f"sqlite:///{self.data_dir / 'wtai.db'}"},
            "security": {"key_file": str(self.data_dir / "wtai.key")},
            "media": {"directory": str(self.data_dir / "media")},
            "backup": {"directory": str(self.data_dir / "backups")},
            "twilio": {"base_url": self.twilio.url, "messaging_url": self.twilio.url},
            "openai": {"base_url": f"{self.model.url}/v1"},
        }
        merged: dict[str, dict[str, object]] = {}
        for sections in (QUICK, places, self._sections, last):
            for section, table in sections.items():
                merged.setdefault(section, {}).update(table)
        return merged


class Process:
    """``wtai run`` as a process; ``async with`` starts it and kills it at the end. All its logs are in ``log``."""

    def __init__(self, data_dir: Path, environment: Mapping[str, str], prefix: tuple[str, ...] = ()) -> None:
        self.log_file = data_dir.with_name(f"{data_dir.name}.log")  # not on the disk that a test fills
        self._command = [*prefix, sys.executable, "-m", "wtai", "run", "--data-dir", str(data_dir)]
        self._environment = {**_outside(), "PYTHONPATH": str(ROOT), **environment}
        self._popen: subprocess.Popen[bytes] | None = None
        self._started_at = 0

    async def __aenter__(self) -> Self:
        self.start()
        await self.ready()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.kill()

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._popen is not None and self._popen.poll() is None

    @property
    def log(self) -> str:
        """What every process of this data directory wrote so far."""
        return self.log_file.read_text("utf-8", "replace") if self.log_file.exists() else ""

    def start(self) -> None:
        """Start it, without waiting."""
        with self.log_file.open("ab") as log:
            self._started_at = log.tell()
            self._popen = subprocess.Popen(self._command, env=self._environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    async def ready(self, *, seconds: float = 60.0) -> None:
        """Return once it takes messages and works, or has ended. Raises TimeoutError."""
        await until(lambda: not self.alive or b"Ready" in self.log_file.read_bytes()[self._started_at :], seconds=seconds)

    def kill(self) -> None:
        """SIGKILL, if it runs."""
        if self._popen is not None:
            self._popen.kill()
            self._popen.wait()

    def terminate(self) -> None:
        """SIGTERM."""
        if self._popen is not None:
            self._popen.send_signal(signal.SIGTERM)

    async def exit_code(self, *, seconds: float = 30.0) -> int:
        """How it ended: its exit code, negative for a signal. Raises TimeoutError while it runs."""
        await until(lambda: not self.alive, seconds=seconds)
        if self._popen is None:
            raise RuntimeError("the process was not started")
        return self._popen.returncode


def _outside() -> dict[str, str]:
    """The environment without the settings of whoever runs the tests."""
    return {name: value for name, value in os.environ.items() if not name.startswith("WTAI_")}
