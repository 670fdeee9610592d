"""Measure the program against cases, offline. Exit 0 unless a measurement could not run.

    python scripts/evaluate.py closure FILE… [--json]
    python scripts/evaluate.py transcripts DIR… [--json] [--api chat|responses]

To add a measurement: a module in ``evaluation/`` with ``arguments(parser)`` and ``main(options) -> int``, and its line below.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import structlog
from evaluation import closure, transcripts

MEASUREMENTS = {
    "closure": closure,
    "transcripts": transcripts,
}


def main() -> int:
    """Run the measurement that the command line names."""
    parser = argparse.ArgumentParser(prog="evaluate.py", description="Measure the program against cases, offline.")
    names = parser.add_subparsers(dest="measurement", required=True)
    for name, module in MEASUREMENTS.items():
        summary = (module.__doc__ or "").partition("\n")[0]
        module.arguments(names.add_parser(name, help=summary, description=summary))
    options = parser.parse_args()
    # Reports go to stdout; what the program logs meanwhile must not mix with them.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    status: int = MEASUREMENTS[options.measurement].main(options)
    return status


if __name__ == "__main__":
    sys.exit(main())
