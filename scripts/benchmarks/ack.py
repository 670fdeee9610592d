"""Acknowledged webhooks per second: the program against a bare handler that parses and validates, on one core each."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import uvloop

from benchmarks.load import Sample, fire
from benchmarks.program import Server, disk_directory, free_port, install, pinned, program, server, two_cores
from benchmarks.report import AT_LEAST, AT_MOST, Figure, Result, median, percentile
from benchmarks.webhooks import of_many_users


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured. ``users`` write in turn; all but the first message of each finds its conversation open."""

    rounds: int
    requests: int
    requests_alone: int
    users: int


FULL = Size(rounds=7, requests=4_000, requests_alone=600, users=1_000)
TINY = Size(rounds=1, requests=64, requests_alone=8, users=16)


@dataclass(frozen=True, slots=True)
class _Rounds:
    """Samples of the program and of its ceiling, taken in turn."""

    ours: list[Sample]
    bare: list[Sample]


def run(size: Size) -> Result:
    """Measure at 64 connections and at one."""
    core, other = two_cores()
    with _servers(core) as (ours, bare, syncing), pinned(other):
        crowd = _rounds(ours, bare, size.rounds, size.requests, 64, size.users)
        alone = _rounds(ours, syncing, size.rounds, size.requests_alone, 1, size.users)
    return Result(
        figures=[
            Figure("64 connections", _rate(crowd.ours), "req/s", _rate(crowd.bare), _rate_ratio(crowd), AT_LEAST, 0.6),
            *_latencies("64 connections", crowd),
            Figure("1 connection", _rate(alone.ours), "req/s", _rate(alone.bare), _rate_ratio(alone)),
            *_latencies("1 connection", alone, most=1.5),
        ],
        notes=[
            f"server on core {core} with --role web and FULL durability, load on core {other}",
            f"medians of {size.rounds} rounds, program and ceiling in turn",
            "ceiling: aiohttp handler with request.post() and twilio's RequestValidator; for 1 connection plus one fdatasync",
            "aim at 64 connections: 0.80",
        ],
    )


@contextmanager
def _servers(core: int) -> Iterator[tuple[Server, Server, Server]]:
    """The program, the bare handler, and the bare handler that syncs a file, all on one core."""
    with disk_directory() as directory, ExitStack() as stack:
        install(directory / "data")
        ours = stack.enter_context(program(directory / "data", role="web", core=core))
        bare = stack.enter_context(_bare(core))
        syncing = stack.enter_context(_bare(core, "--sync", str(directory / "bare.log")))
        yield ours, bare, syncing


@contextmanager
def _bare(core: int, *options: str) -> Iterator[Server]:
    port = free_port()
    with server(["-m", "benchmarks.bare", str(port), *options], port, core=core) as running:
        yield running


def _rounds(ours: Server, bare: Server, rounds: int, requests: int, concurrency: int, users: int) -> _Rounds:
    taken = _Rounds([], [])
    for _ in range(rounds):
        for target, samples in ((bare, taken.bare), (ours, taken.ours)):
            bodies = of_many_users(requests, range(users))
            samples.append(_run(target, bodies, concurrency))
    return taken


def _run(target: Server, bodies: list[bytes], concurrency: int) -> Sample:
    return uvloop.run(fire(target.url, bodies, concurrency=concurrency))


def _rate(samples: list[Sample]) -> float:
    return median([sample.per_second for sample in samples])


def _rate_ratio(rounds: _Rounds) -> float:
    """Of rounds side by side in time, so that what else the machine does cancels out."""
    return median([ours.per_second / bare.per_second for ours, bare in zip(rounds.ours, rounds.bare, strict=True)])


def _latencies(name: str, rounds: _Rounds, most: float | None = None) -> Iterator[Figure]:
    for label, share in (("p50", 0.5), ("p99", 0.99)):
        ours, bare = ([percentile(sample.latencies, share) * 1000 for sample in side] for side in (rounds.ours, rounds.bare))
        ratio = median([mine / theirs for mine, theirs in zip(ours, bare, strict=True)])
        bounded = label == "p50" and most is not None
        bound, target = (AT_MOST, most) if bounded else (None, None)
        yield Figure(f"{name} {label}", median(ours), "ms", median(bare), ratio, bound, target)
