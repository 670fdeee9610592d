"""The program as it was some days ago: as ``wtai run``, but for its clock.

python -m simulation.past DAYS DATA_DIR
"""

import asyncio
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from wtai import logs
from wtai.app import running
from wtai.clock import DAY, SystemClock
from wtai.settings import Settings
from wtai.settings_source import load


class DaysAgo(SystemClock):
    """The machine's clocks, the wall clock set back."""

    def __init__(self, days: int) -> None:
        self._behind = days * DAY

    def now(self) -> int:
        return super().now() - self._behind


def main(arguments: Sequence[str]) -> None:
    """Run until SIGTERM."""
    days, data_dir = arguments
    settings = load(data_dir=Path(data_dir))
    logs.configure(settings.logging.format, settings.logging.level)
    asyncio.run(_run(settings, DaysAgo(int(days))))


async def _run(settings: Settings, clock: DaysAgo) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with running(settings, clock=clock):
        print("Ready", file=sys.stderr, flush=True)
        await stop.wait()


if __name__ == "__main__":
    main(sys.argv[1:])
