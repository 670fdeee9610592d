"""Hand-written fakes for what tests cannot leave to the machine."""


class ManualClock:
    """A clock that stands still until it is moved; its monotonic time moves along."""

    def __init__(self, now: int = 1_800_000_000_000) -> None:
        self._now = now
        self._started = now

    def now(self) -> int:
        return self._now

    def monotonic(self) -> float:
        return (self._now - self._started) / 1000

    def advance(self, milliseconds: int) -> None:
        """Let ``milliseconds`` pass."""
        self._now += milliseconds
