"""``simulate.py``'s command line: set everything up, play, check, report, and leave nothing behind."""

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TextIO

from simulation.audit import Check, audit
from simulation.program import RunningProgram, free_port
from wtai.clock import SystemClock
from wtai.errors import WtaiError
from wtai.settings import Settings
from wtai.simulator import scenario
from wtai.simulator.dev import Line, demo_line, fake_providers
from wtai.simulator.model import ScriptedModel
from wtai.simulator.phone import Phone
from wtai.simulator.player import Happened, Played, Player
from wtai.simulator.server import served
from wtai.simulator.twilio import FakeTwilio

# The waits that a person would not notice, and a scenario would: bursts, time-outs, looks for what became of a send.
_PACE = {
    "conversation.burst_quiet_ms": 300,
    "twilio.timeout_seconds": 1,
    "twilio.reconcile_seconds": 1,
    "worker.shutdown_grace_seconds": 5,
}
_HUMAN_STATUS_SECONDS = 0.4
_WIDTH = 96


@dataclass(frozen=True, slots=True)
class Stage:
    """The program and what surrounds it."""

    twilio: FakeTwilio
    line: Line
    program: RunningProgram


def main(arguments: Sequence[str]) -> int:
    """0 if everything went as expected, 1 if not, 2 if the scenario cannot be played."""
    parser = argparse.ArgumentParser(prog="simulate.py", description="Play customers against the real program, offline.")
    parser.add_argument("--scenario", type=Path, default=scenario.DEFAULT, metavar="FILE", help="play this one (TOML)")
    parser.add_argument("--json", action="store_true", help="print a report on stdout, the conversation on stderr")
    parser.add_argument("--ui", action="store_true", help="stay up afterwards with the phone page, until Ctrl-C")
    options = parser.parse_args(arguments)
    talk = sys.stderr if options.json else sys.stdout
    try:
        play = scenario.load(options.scenario)
    except WtaiError as exc:
        print(f"error: {exc}", file=sys.stderr)
        return 2
    try:
        return asyncio.run(_simulate(play, talk, as_json=options.json, stay=options.ui))
    except WtaiError as exc:
        print(f"error: {exc}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 130


async def _simulate(play: scenario.Scenario, talk: TextIO, *, as_json: bool, stay: bool) -> int:
    clock = SystemClock()
    started = clock.monotonic()
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    with TemporaryDirectory(prefix="wtai-simulate-") as data_dir:
        async with _set_up(Path(data_dir), play.scenes[0].days_ago) as on, served(Phone(on.twilio, on.line.business)) as page_url:
            _print(talk, f"wtai simulation · {play.name} · {len(play.customers)} customers")
            _print(talk, f"program {on.program.url} · fake Twilio {on.twilio.url}{f' · page {page_url}/' if stay else ''}")
            names = max(len(customer.name) for customer in play.customers.values())
            player = Player(play, on.twilio, on.line.number, on.program, clock, lambda what: _tell(talk, what, names))
            played = await player.play()
            checks = audit(played, player.acknowledged, on.twilio, on.program)
            seconds = clock.monotonic() - started
            _conclude(talk, played, checks, seconds)
            if not _all_well(checks):
                _print(talk, f"\nthe end of the program's log:\n{on.program.log_tail()}")
            if as_json:
                print(json.dumps(_report(play, player, played, checks, seconds), indent=2, ensure_ascii=False), flush=True)
            if stay:
                await _stay(talk, on.twilio, page_url)
    return 0 if _all_well(checks) else 1


@asynccontextmanager
async def _set_up(data_dir: Path, days_ago: int) -> AsyncIterator[Stage]:
    """The fakes, a demo owner in ``data_dir``, and the program as a process on them, at first some days ago; everything ends
    with the block.
    """
    clock = SystemClock()
    places = {"database": {"url": f"sqlite:///{data_dir / 'wtai.db'}"}, "security": {"key_file": str(data_dir / "wtai.key")}}
    line = await demo_line(Settings.model_validate(places), clock)
    async with FakeTwilio(clock) as twilio, ScriptedModel(clock) as model:
        twilio.statuses = ("sent", "delivered", "read")
        twilio.add_account(line.account_sid, line.token, numbers=(line.number,))
        program = RunningProgram(data_dir, free_port(), {**fake_providers(twilio.url, model.url), **_PACE})
        twilio.webhook_url = program.url
        program.days_ago = days_ago
        try:
            await program.start()
            yield Stage(twilio, line, program)
            await program.stop()
        finally:
            await program.kill()


async def _stay(talk: TextIO, twilio: FakeTwilio, page_url: str) -> None:
    """Serve the page until Ctrl-C or SIGTERM."""
    twilio.status_delay_seconds = _HUMAN_STATUS_SECONDS
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    _print(talk, f"\nOpen {page_url}/ and write as a customer (Ctrl-C to stop)")
    await stop.wait()


def _tell(talk: TextIO, what: Happened, names: int) -> None:
    if what.kind == "scene":
        _print(talk, f"\n── {what.text} {'─' * max(0, _WIDTH - len(what.text) - 4)}")
        return
    mark = {"said": "→", "answered": "←", "event": "!"}[what.kind]
    text = " ⏎ ".join(what.text.split("\n"))
    room = _WIDTH - names - 14
    shown = text if len(text) <= room or what.kind != "answered" else f"{text[: room - 1]}…"
    took = "" if what.took_ms is None else f"{what.took_ms:>6} ms"
    _print(talk, f"{what.at_ms / 1000:8.2f}  {what.who:<{names}}  {mark} {shown:<{room if took else 0}}{took}")


def _conclude(talk: TextIO, played: list[Played], checks: list[Check], seconds: float) -> None:
    problems = [f"  {step.who}, {', '.join(step.said)}: {problem}" for step in played for problem in step.problems]
    if problems:
        _print(talk, "\nNot as expected\n" + "\n".join(problems))
    _print(talk, "\nChecks")
    for check in checks:
        _print(talk, f"  {'ok    ' if check.kept else 'FAILED'}  {check.promise:<44}  {check.detail}")
    _print(talk, f"\n{'ok' if _all_well(checks) else 'FAILED'} in {seconds:.1f} s")


def _report(
    play: scenario.Scenario, player: Player, played: list[Played], checks: list[Check], seconds: float
) -> dict[str, object]:
    return {
        "scenario": play.name,
        "ok": _all_well(checks),
        "seconds": round(seconds, 2),
        "kills": player.kills,
        "steps": [asdict(step) for step in played],
        "checks": [asdict(check) for check in checks],
    }


def _all_well(checks: list[Check]) -> bool:
    return all(check.kept for check in checks)


def _print(talk: TextIO, text: str) -> None:
    print(text, file=talk, flush=True)
