"""Rate limits: requests of a minute, counted in memory, told in the headers of draft-ietf-httpapi-ratelimit-headers-10."""

from dataclasses import dataclass
from typing import Final

from wtai.clock import MINUTE, SECOND

_KEPT: Final = 100_000
_OTHERS: Final = "others"


@dataclass(frozen=True, slots=True)
class Policy:
    """So many requests in a minute of each ``name``: a principal, an owner, an address."""

    name: str
    per_minute: int


@dataclass(frozen=True, slots=True)
class Standing:
    """What a policy leaves: ``resets_in`` seconds there is all of it again. ``exceeded``: this request was one too many."""

    policy: Policy
    remaining: int
    resets_in: int
    exceeded: bool


class Counters:
    """Counts by the minutes of the clock. Beyond 100,000 counters in a minute newcomers share one: memory stays bounded."""

    def __init__(self) -> None:
        self._minute = 0
        self._counts: dict[tuple[str, str], int] = {}

    def take(self, policy: Policy, who: str, *, now: int) -> Standing:
        """Count a request of ``who``."""
        if now // MINUTE != self._minute:
            self._minute = now // MINUTE
            self._counts.clear()
        key = (policy.name, who)
        if key not in self._counts and len(self._counts) >= _KEPT:
            key = (policy.name, _OTHERS)
        count = self._counts[key] = self._counts.get(key, 0) + 1
        resets_in = -(-(MINUTE - now % MINUTE) // SECOND)
        return Standing(policy, max(0, policy.per_minute - count), resets_in, count > policy.per_minute)


def headers(standings: list[Standing]) -> dict[str, str]:
    """What tells a client how it stands."""
    if not standings:
        return {}
    policies = ", ".join(f'"{one.policy.name}";q={one.policy.per_minute};w=60' for one in standings)
    left = ", ".join(f'"{one.policy.name}";r={one.remaining};t={one.resets_in}' for one in standings)
    return {"RateLimit-Policy": policies, "RateLimit": left}
