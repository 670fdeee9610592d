"""The only reader of the time. All times in wtai are integers: milliseconds since 1970-01-01 UTC."""

import time
from typing import Protocol

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


class Clock(Protocol):
    """What the program knows of time."""

    def now(self) -> int:
        """Wall clock in milliseconds; may jump."""

    def monotonic(self) -> float:
        """Seconds from an arbitrary start; never goes back."""


class SystemClock:
    """The machine's clocks."""

    def now(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        return time.monotonic()


def pause(seconds: float) -> None:
    """Wait in blocking code, outside the event loop."""
    time.sleep(seconds)
