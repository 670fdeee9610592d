"""Measure the program against cases, offline. Exit 0 unless a measurement could not run.

    python3 scripts/evaluate.py closure FILE… [--json]
    python3 scripts/evaluate.py memory MEMORIES QUERIES [--embedder hashed|openai] [--json]
    python3 scripts/evaluate.py transcripts DIR… [--json] [--api chat|responses]
    python3 scripts/evaluate.py injection FILE… [--json]
    python3 scripts/evaluate.py routing FILE… --base-url URL [--api-key-file FILE] [--model NAME] [--json]
    python3 scripts/evaluate.py replay --database FILE --base-url URL [--owner own_…] [--prompt finance=FILE] [--json]

To add a measurement: a module in ``evaluation/`` with ``arguments(parser)`` and ``main(options) -> int``, and its name below.
"""

import argparse
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import _venv

MEASUREMENTS = ("closure", "memory", "transcripts", "injection", "routing", "replay")


def main() -> int:
    """Run the measurement that the command line names."""
    parser = argparse.ArgumentParser(prog="evaluate.py", description="Measure the program against cases, offline.")
    names = parser.add_subparsers(dest="measurement", required=True)
    modules = {name: import_module(f"evaluation.{name}") for name in MEASUREMENTS}
    for name, module in modules.items():
        summary = (module.__doc__ or "").partition("\n")[0]
        module.arguments(names.add_parser(name, help=summary, description=summary))
    options = parser.parse_args()
    import structlog  # not at the top: there the interpreter may have none of the libraries

    # Reports go to stdout; what the program logs meanwhile must not mix with them.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    status: int = modules[options.measurement].main(options)
    return status


if __name__ == "__main__":
    if not all(map(find_spec, ("aiohttp", "openai", "pydantic", "structlog"))):
        _venv.ensure()
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    sys.exit(main())
