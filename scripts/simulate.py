"""Play customers against the real program, offline, and check what they get. Needs nothing but this Python's pip and venv.

    python3 scripts/simulate.py [--scenario FILE] [--json] [--ui]

The program runs as a process of its own and speaks real HTTP with a simulated Twilio and a scripted model. The conversation
is printed as it happens; exit 0 if all went as the scenario expects, else 1. ``--json`` prints a report on stdout and the
conversation on stderr; ``--ui`` stays up afterwards with a page to chat from. wtai/simulator/scenario.py describes the file.
"""

import sys
from collections.abc import Sequence

import _venv


def main(arguments: Sequence[str]) -> int:
    """Play, with what is installed in the running interpreter."""
    from simulation import command  # imports what ensure() installs

    return command.main(arguments)


if __name__ == "__main__":
    _venv.ensure()
    sys.exit(main(sys.argv[1:]))
