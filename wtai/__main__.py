"""``python -m wtai``."""

import sys

from wtai.cli.main import run


def main() -> None:
    """Run the command of the process's arguments and leave with its exit code."""
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
