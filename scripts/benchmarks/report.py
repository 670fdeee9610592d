"""What a benchmark found: figures beside their ceilings and targets, as a table or as JSON."""

import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

from wtai.db.sqlite import DRIVER, driver

AT_LEAST, AT_MOST = "≥", "≤"


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value. ``ratio`` is to ``ceiling``; the ``target`` bounds the ratio where there is one, else the value."""

    name: str
    value: float
    unit: str
    ceiling: float | None = None
    ratio: float | None = None
    bound: str | None = None
    target: float | None = None

    @property
    def ok(self) -> bool | None:
        """Whether the target is met; None without one."""
        if self.target is None:
            return None
        judged = self.value if self.ratio is None else self.ratio
        return judged >= self.target if self.bound == AT_LEAST else judged <= self.target


@dataclass(frozen=True, slots=True)
class Result:
    """The figures of one benchmark, and how they were measured."""

    figures: Sequence[Figure]
    notes: Sequence[str] = field(default=())


def machine() -> dict[str, str | int]:
    """What the figures were measured on: absolute ones compare with nothing else."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "sqlite": f"{driver.sqlite_version} ({DRIVER})",
    }


def as_json(results: Mapping[str, Result]) -> dict[str, object]:
    """``machine``, and per benchmark its ``figures`` (each with ``ok``) and ``notes``."""
    return {
        "machine": machine(),
        "benchmarks": {
            name: {"figures": [{**asdict(figure), "ok": figure.ok} for figure in result.figures], "notes": list(result.notes)}
            for name, result in results.items()
        },
    }


def as_table(name: str, result: Result) -> str:
    """The figures in columns, then the notes."""
    lines = [f"{name:<38}{'figure':>16}{'ceiling':>12}{'ratio':>8}{'target':>9}"]
    for figure in result.figures:
        ceiling = "" if figure.ceiling is None else _number(figure.ceiling)
        ratio = "" if figure.ratio is None else f"{figure.ratio:.2f}"
        target = "" if figure.target is None else f"{figure.bound} {figure.target:g}"
        verdict = {True: "ok", False: "MISS", None: ""}[figure.ok]
        value = f"{_number(figure.value)} {figure.unit:<6}"
        lines.append(f"  {figure.name:<36}{value:>16}{ceiling:>12}{ratio:>8}{target:>9}  {verdict}".rstrip())
    lines += [f"  · {note}" for note in result.notes]
    return "\n".join(lines)


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which ``share`` (0 to 1) of ``values`` lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def median(values: Sequence[float]) -> float:
    """The middle of ``values``: one disturbed round does not move it."""
    return statistics.median(values)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"
