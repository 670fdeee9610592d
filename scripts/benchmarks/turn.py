"""Messages per second through the whole program, from the webhook to the accepted send, and what a message costs step by step."""

import json
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvloop

from benchmarks import cost, prompt
from benchmarks.load import fire
from benchmarks.program import Server, disk_directory, free_port, install, pinned, program, server, two_cores
from benchmarks.prompt import Prompts
from benchmarks.report import AT_LEAST, AT_MOST, Figure, Result, median
from benchmarks.webhooks import ACCOUNT, NUMBER, PUBLIC_URL, TOKEN, of_many_users

_PATIENCE_SECONDS = 120
_NO_ENTRIES = 1 << 40


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured. Each message of a round is another user's, so that each is answered on its own."""

    rounds: int
    messages: int


@dataclass(frozen=True, slots=True)
class _World:
    """The program and the fakes it talks to, each in a process of its own."""

    ours: Server
    twilio: Server
    model: Server


@dataclass(frozen=True, slots=True)
class _Round:
    """One round: messages per second, and milliseconds of processor time per message and process."""

    per_second: float
    ours_ms: float
    twilio_ms: float
    model_ms: float


FULL = Size(rounds=5, messages=500)
TINY = Size(rounds=1, messages=8)


def run(size: Size) -> Result:
    """Measure the whole, then its steps."""
    core, other = two_cores()
    with disk_directory() as directory:
        install(directory / "whole")
        with _world(directory / "whole", core, other) as world:
            with pinned(other):
                prompts = prompt.measure(world.model.url, lambda request: _answered(world, [request]))
                _round(world, size.messages)
                rounds = [_round(world, size.messages) for _ in range(size.rounds)]
            with pinned(core):
                fakes = median([uvloop.run(cost.fakes_alone(world.twilio.url, world.model.url, size.messages)) for _ in rounds])
            acknowledged = _acknowledged_ms(directory / "ack", size.messages, core, other)
            install(directory / "steps")
            with pinned(core):
                steps = uvloop.run(cost.steps(directory / "steps", world.twilio.url, world.model.url, size.messages))
    whole = median([one.ours_ms for one in rounds])
    per_second = median([one.per_second for one in rounds])
    return Result(
        figures=[
            Figure("webhook to accepted send", per_second, "msg/s", fakes, bound=AT_LEAST, target=150),
            Figure("CPU, the program in all", whole, "ms"),
            Figure("CPU, ack", acknowledged, "ms"),
            Figure("CPU, queue (2 jobs)", steps.queue, "ms"),
            Figure("CPU, turn without its model call", steps.turn, "ms"),
            Figure("CPU, model call", steps.model_call, "ms", bound=AT_MOST, target=0.6),
            Figure("CPU, send", steps.send, "ms"),
            Figure("CPU, fake Twilio", median([one.twilio_ms for one in rounds]), "ms"),
            Figure("CPU, fake model", median([one.model_ms for one in rounds]), "ms"),
            *_figures(prompts),
        ],
        notes=[
            f"program on core {core}, fakes and load on core {other}; model without latency, burst_quiet_ms = 0",
            f"medians of {size.rounds} rounds of {size.messages} messages, each another user's",
            "a round before them, not measured, has everybody routed: the specialist of each conversation is known",
            "ceiling: a bare client that calls the fake model, then the fake Twilio, 32 at a time, without callbacks",
            "CPU per message, all threads; the program in all has two status callbacks a message, which are in no step",
            "ack: of `run --role web`; the other steps: of this process in loops over that step alone, 32 at a time",
            "turn: an instant model in its place; model call: 20 messages of history",
            f"prompts: bytes of JSON, chat completions; {prompt.TURNS} turns of one conversation with the general specialist",
            "prefix: what each request of them has in common with the one before; ceiling: tools and system text, its fixed part",
        ],
    )


def _figures(prompts: Prompts) -> Iterator[Figure]:
    for specialist, size in prompts.fixed.items():
        yield Figure(f"prompt, tools and system, {specialist}", size, "B")
    yield Figure(f"prompt, largest of {prompt.TURNS} turns", prompts.request, "B")
    fixed = prompts.fixed["general"]
    yield Figure("prompt, prefix kept", prompts.stable, "B", fixed, prompts.stable / fixed, AT_LEAST, 1)
    yield Figure("prompt, share of the prefix kept", prompts.shared * 100, "%", bound=AT_LEAST, target=60)
    yield Figure("model calls, first message", prompts.first, "", bound=AT_MOST, target=2)
    yield Figure("model calls, sticky text turn", prompts.sticky, "", bound=AT_MOST, target=1)


@contextmanager
def _world(data: Path, core: int, other: int) -> Iterator[_World]:
    port, twilio_port, model_port = free_port(), free_port(), free_port()
    account = f"{ACCOUNT}:{TOKEN}:{NUMBER}"
    twilio = ["-m", "wtai.simulator.twilio", "--port", str(twilio_port), "--account", account, "--public-url", PUBLIC_URL]
    twilio += ["--webhook-url", f"http://127.0.0.1:{port}"]
    model = ["-m", "wtai.simulator.model", "--port", str(model_port), "--echo"]
    with ExitStack() as stack:
        fake_twilio = stack.enter_context(server(twilio, twilio_port, core=other))
        fake_model = stack.enter_context(server(model, model_port, core=other))
        settings = _settings(fake_twilio.url, fake_model.url)
        yield _World(
            stack.enter_context(program(data, role="all", core=core, port=port, settings=settings)), fake_twilio, fake_model
        )


def _settings(twilio_url: str, model_url: str) -> Mapping[str, str]:
    return {
        "twilio.base_url": twilio_url,
        "twilio.messaging_url": twilio_url,
        "openai.base_url": f"{model_url}/v1",
        "openai.api_key": "benchmark",
        "conversation.burst_quiet_ms": "0",
    }


def _round(world: _World, messages: int) -> _Round:
    """All users write at once; the round ends when Twilio has accepted an answer to each."""
    bodies = of_many_users(messages, range(messages))
    processes = (world.ours, world.twilio, world.model)
    before = [process.cpu_seconds() for process in processes]
    seconds = _answered(world, bodies)
    spent = [(process.cpu_seconds() - cpu) * 1000 / messages for process, cpu in zip(processes, before, strict=True)]
    return _Round(messages / seconds, *spent)


def _answered(world: _World, requests: Sequence[bytes]) -> float:
    """Send the webhooks; returns after how many seconds Twilio had accepted an answer to each."""
    answered = _accepted(world.twilio) + len(requests)
    started = time.perf_counter()
    uvloop.run(fire(world.ours.url, requests, concurrency=32))
    while _accepted(world.twilio) < answered:
        if time.perf_counter() - started > _PATIENCE_SECONDS:
            raise RuntimeError(f"{answered - _accepted(world.twilio)} of {len(requests)} messages were not answered")
        time.sleep(0.02)
    return time.perf_counter() - started


def _accepted(twilio: Server) -> int:
    with urllib.request.urlopen(f"{twilio.url}/ledger?after={_NO_ENTRIES}", timeout=30) as answer:
        return int(json.load(answer)["total"])


def _acknowledged_ms(data: Path, messages: int, core: int, other: int) -> float:
    install(data)
    with program(data, role="web", core=core, settings={"conversation.burst_quiet_ms": "0"}) as web, pinned(other):
        uvloop.run(fire(web.url, of_many_users(messages, range(messages)), concurrency=32))
        before = web.cpu_seconds()
        uvloop.run(fire(web.url, of_many_users(4 * messages, range(messages)), concurrency=32))
        return (web.cpu_seconds() - before) * 1000 / (4 * messages)
