"""Slows down who guesses passwords: failed log-ins by account and by client address, in a window that slides, in memory."""

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import Final

from wtai.clock import MINUTE, SECOND
from wtai.errors import WtaiError

WINDOW_MS: Final = 15 * MINUTE
FREE_BY_ACCOUNT: Final = 5
FREE_BY_ADDRESS: Final = 30  # an office behind one address

_KEPT: Final = 65_536
_MOST_ATTEMPTS: Final = 64


class Throttled(WtaiError):
    """Too many log-ins failed; ``retry_after_ms`` from now one is looked at again."""

    def __init__(self, retry_after_ms: int) -> None:
        super().__init__(f"too many failed log-ins; try again in {-(-retry_after_ms // SECOND)} seconds")
        self.retry_after_ms = retry_after_ms


@dataclass(slots=True)
class _Failures:
    at: deque[int] = field(default_factory=lambda: deque(maxlen=_MOST_ATTEMPTS))


class Throttle:
    """Counts an attempt before it is looked at, so that a hundred at once count as a hundred; a success takes it back.

    After the free ones each failure doubles the wait, from one second to the length of the window. A restart forgets, and so
    does an account or address that is the longest untouched of too many: memory stays bounded.
    """

    def __init__(self, *, kept: int = _KEPT) -> None:
        self._failures: OrderedDict[str, _Failures] = OrderedDict()
        self._kept = kept

    def attempt(self, account: str, address: str, *, now: int) -> None:
        """Count an attempt to log in as ``account`` from ``address`` (``now`` in ms). Throttled, and not counted, if it must
        wait.
        """
        counters = ((f"account {account}", FREE_BY_ACCOUNT), (f"address {address}", FREE_BY_ADDRESS))
        wait = max(self._wait(key, free, now) for key, free in counters)
        if wait > 0:
            raise Throttled(wait)
        for key, _ in counters:
            self._of(key).at.append(now)

    def succeeded(self, account: str, address: str) -> None:
        """Forget the failures of the account, and the attempt of the address."""
        self._failures.pop(f"account {account}", None)
        attempts = self._failures.get(f"address {address}")
        if attempts is not None and attempts.at:
            attempts.at.pop()

    def _wait(self, key: str, free: int, now: int) -> int:
        failures = self._failures.get(key)
        if failures is None:
            return 0
        while failures.at and failures.at[0] <= now - WINDOW_MS:
            failures.at.popleft()
        beyond = len(failures.at) - free
        if beyond < 0:
            return 0
        return failures.at[-1] + min(SECOND << beyond, WINDOW_MS) - now

    def _of(self, key: str) -> _Failures:
        failures = self._failures.setdefault(key, _Failures())
        self._failures.move_to_end(key)
        while len(self._failures) > self._kept:
            self._failures.popitem(last=False)
        return failures
