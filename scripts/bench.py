"""Measure the program, each figure beside its ceiling from the same run.

    python scripts/bench.py ack|queue|turn|memory|api|console|footprint|all [--json]

Full durability everywhere, on Linux. Only the ratios carry over to another machine.

To add a benchmark: a module in ``benchmarks/`` with ``run(size) -> Result``, its sizes ``FULL`` and ``TINY``, and its name below.
"""

import argparse
import importlib
import json
import logging
import sys
from importlib.util import find_spec
from pathlib import Path

import _venv

BENCHMARKS = ("ack", "queue", "turn", "memory", "api", "console", "footprint")


def main() -> int:
    """Run the benchmarks that the command line names; 0 whatever they find."""
    parser = argparse.ArgumentParser(prog="bench.py", description="Measure the program, each figure beside its ceiling.")
    parser.add_argument("benchmark", choices=[*BENCHMARKS, "all"])
    parser.add_argument("--json", action="store_true", help="one object on stdout")
    parser.add_argument("--tiny", action="store_true", help="as little as shows that it works; the figures mean nothing")
    options = parser.parse_args()
    # Only now: before, the interpreter may have none of the libraries that the benchmarks need.
    import structlog
    from benchmarks import report

    # The report goes to stdout, and what the program logs meanwhile must not mix with it.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    machine = report.machine()
    if not options.json:
        print(" · ".join(f"{name} {value}" for name, value in machine.items()), flush=True)
    results = {}
    for name in BENCHMARKS if options.benchmark == "all" else (options.benchmark,):
        benchmark = importlib.import_module(f"benchmarks.{name}")
        results[name] = benchmark.run(benchmark.TINY if options.tiny else benchmark.FULL)
        if not options.json:
            print(f"\n{report.as_table(name, results[name])}", flush=True)
    if options.json:
        print(json.dumps(report.as_json(results), ensure_ascii=False, indent=2))
    return 0


if __name__ == "__main__":
    if not all(map(find_spec, ("aiohttp", "openai", "twilio", "uvloop"))):
        _venv.ensure("fast")
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    sys.exit(main())
