"""The benchmarks: that each runs to its end and reports what it says. What the figures are is asserted nowhere."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).resolve().parents[2] / "scripts" / "bench.py"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="pins processes to cores and reads /proc"),
]


@pytest.mark.parametrize("benchmark", ["ack", "queue", "turn", "memory", "api", "console", "footprint"])
def test_a_benchmark_reports_every_figure_with_its_unit_and_verdict(benchmark: str) -> None:
    command = [sys.executable, str(BENCH), benchmark, "--json", "--tiny"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)

    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["machine"].keys() == {"cores", "system", "python", "sqlite"}
    assert list(report["benchmarks"]) == [benchmark]
    figures = report["benchmarks"][benchmark]["figures"]
    assert report["benchmarks"][benchmark]["notes"]
    for figure in figures:
        assert figure.keys() == {"name", "value", "unit", "ceiling", "ratio", "bound", "target", "ok"}
        assert figure["value"] > 0
        assert (figure["ok"] is None) == (figure["target"] is None)
    assert any(figure["target"] is not None for figure in figures)
