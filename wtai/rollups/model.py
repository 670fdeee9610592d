"""What is counted, and how long waits are kept as counts."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import exp2, log2
from typing import Final, Literal

Span = Literal["hour", "day"]

BUCKETS_PER_DOUBLING: Final = 4


class Measure(StrEnum):
    """What a counter counts, and by which keys."""

    MESSAGES = "messages"
    """By author; of what the AI wrote by its specialist too. What was written, whether or not it went out."""
    AI_WAIT = "ai_wait"
    """Answers by how long the person had waited, as :func:`bucket` of ms: from the first message nobody had answered."""
    HUMAN_WAIT = "human_wait"
    """The same of staff; only the owner's business hours count, if there are any."""
    OPENED = "opened"
    """Conversations."""
    ENDED = "ended"
    """Conversations by their final state, and by the specialist that answered last."""
    CONTAINED = "contained"
    """Those of ENDED that no person had stepped into."""
    HANDOFFS = "handoffs"
    """By :class:`Handoff`, and by the specialist that answered last."""
    CLOSURES = "closures"
    """Messages judged as goodbyes, by the tenth of their score and by what was decided, such as ``8 close``."""
    FAILED = "failed"
    """Messages that did not arrive by error code, '' without one; on the day they were written. While they are summed up anew,
    those of an erased person go with it."""
    USAGE = "usage"
    """Of models by specialist and day of UTC: ``requests``, ``prompt``, ``cached``, ``completion`` tokens, ``cost`` in micros."""


class Handoff(StrEnum):
    """Why a person stepped in."""

    ASKED = "asked"
    AGENT = "agent"
    FAILING = "failing"
    BUDGET = "budget"
    QUOTA = "quota"
    STAFF = "staff"
    BEGUN = "begun"


@dataclass(frozen=True, slots=True, order=True)
class Counter:
    """The name of one counter of an owner. ``start`` is YYYY-MM-DD, or YYYY-MM-DDTHH."""

    owner_id: int
    span: Span
    start: str
    measure: Measure
    feature: str
    key: str


def bucket(milliseconds: int) -> str:
    """The bucket of a wait: each is a fifth wider than the one before it. In the order of their names."""
    return f"{int(log2(max(milliseconds, 1)) * BUCKETS_PER_DOUBLING):03}"


def quantiles(waits: Mapping[str, int], *shares: float) -> list[int | None]:
    """The waits (ms) that each of ``shares``, in rising order, of all waits do not exceed, from counts by bucket: exact to a
    fifth. None without any.
    """
    total = sum(waits.values())
    found: list[int | None] = []
    passed = 0
    for key in sorted(waits):
        count = waits[key]
        while len(found) < len(shares) and passed + count >= (wanted := shares[len(found)] * total):
            found.append(round(exp2((int(key) + (wanted - passed) / count) / BUCKETS_PER_DOUBLING)))
        passed += count
    return found + [None] * (len(shares) - len(found))
