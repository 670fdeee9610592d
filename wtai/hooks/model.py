"""Values of outbound webhooks."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from wtai.clock import DAY, HOUR, MINUTE, SECOND
from wtai.errors import WtaiError
from wtai.events import Event

SECRETS_FIELD: Final = "webhook_endpoints.secrets"
MAX_ENDPOINTS: Final = 20
"""Of one owner: each of them is owed each event that it wants."""

ROTATION_MS: Final = DAY
"""For how long a secret that was replaced signs too."""

SCHEDULE_MS: Final = (
    5 * SECOND, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR,
)  # fmt: skip
"""The wait after each try that failed; after one more try a delivery is dead (Standard Webhooks, "Deliverability")."""


class Status(StrEnum):
    """Where a delivery is: to be tried, done, to be tried again, given up."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"
    DEAD = "dead"


class InvalidEndpoint(WtaiError):
    """An endpoint cannot be saved like this. ``pointer`` is the place in what was sent (RFC 6901), such as /url."""

    def __init__(self, pointer: str, message: str) -> None:
        super().__init__(f"{pointer}: {message}")
        self.pointer = pointer


class EndpointDisabled(WtaiError):
    """Nothing goes to a disabled endpoint."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where an owner wants to be told of ``events``. ``disabled_reason`` is ``gone`` (it answered 410) or ``asked``."""

    id: int
    public_id: str
    url: str
    events: tuple[Event, ...]
    status: str
    disabled_reason: str | None
    version: int
    created_at: int
    updated_at: int


@dataclass(frozen=True, slots=True)
class Issued:
    """An endpoint with its new signing secret: to be shown once, it is not told again."""

    endpoint: Endpoint
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event for one endpoint. ``event_id`` is the ``webhook-id`` of each try; ``endpoint`` a public id; ``payload`` JSON.

    ``attempts`` counts tries since the event, or since the latest replay; ``next_at`` (ms) is when the next is due.
    """

    id: int
    public_id: str
    endpoint: str
    event_id: str
    event_type: str
    payload: str = field(repr=False)
    status: Status
    attempts: int
    next_at: int | None
    last_status: int | None
    last_error: str | None
    created_at: int
    updated_at: int


@dataclass(frozen=True, slots=True)
class Due:
    """A delivery to be tried now. ``secrets`` are those in force, sealed."""

    id: int
    endpoint_id: int
    endpoint: str
    url: str
    secrets: tuple[str, ...] = field(repr=False)
    event_id: str
    payload: str = field(repr=False)
    attempts: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a try ended: the receiver's ``status``, or None and why there was none. ``wait_ms`` is what it asked for."""

    status: int | None
    error: str | None
    wait_ms: int | None = None

    @property
    def delivered(self) -> bool:
        """Any 2xx takes the event over; what else it says does not matter."""
        return self.status is not None and self.status // 100 == 2
