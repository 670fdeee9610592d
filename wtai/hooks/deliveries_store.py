"""SQL of what endpoints are and were owed."""

import json
import random
from typing import Final

from wtai.clock import DAY
from wtai.db.tx import OwnerTx, Row
from wtai.errors import NotFound
from wtai.events import owe_run
from wtai.hooks.endpoints_store import GONE, endpoint
from wtai.hooks.model import SCHEDULE_MS, Delivery, Due, EndpointDisabled, Outcome, Status

KEPT_MS: Final = 30 * DAY
"""How long a delivery that arrived is kept; the others stay until they are replayed, or deleted with their endpoint."""

_LONGEST_WAIT_MS: Final = DAY
_JITTER: Final = 0.2
_THROTTLED: Final = frozenset({429, 503})
_DELIVERY: Final = """
SELECT d.id, d.public_id, e.public_id AS endpoint, d.event_id, d.event_type, d.payload, d.status, d.attempts, d.next_at,
    d.last_status, d.last_error, d.created_at, d.updated_at
FROM webhook_deliveries d JOIN webhook_endpoints e ON e.owner_id = d.owner_id AND e.id = d.endpoint_id
"""


def deliveries(
    tx: OwnerTx, *, endpoint_id: str | None = None, status: Status | None = None, before: int | None = None, limit: int
) -> list[Delivery]:
    """Up to ``limit`` deliveries, the newest first, from below the key ``before``: all, or those of an endpoint or a status."""
    rows = tx.all(
        f"""{_DELIVERY} WHERE d.owner_id = :owner AND d.id < coalesce(:before, 9223372036854775807)
        AND (:endpoint IS NULL OR e.public_id = :endpoint) AND (:status IS NULL OR d.status = :status)
        ORDER BY d.id DESC LIMIT :limit""",
        endpoint=endpoint_id,
        status=status,
        before=before,
        limit=limit,
    )
    return [_delivery(row) for row in rows]


def delivery(tx: OwnerTx, public: str) -> Delivery:
    """NotFound if the owner has no such delivery."""
    row = tx.one(f"{_DELIVERY} WHERE d.owner_id = :owner AND d.public_id = :public", public=public)
    if row is None:
        raise NotFound(f"no webhook delivery {public}")
    return _delivery(row)


def replay(tx: OwnerTx, public: str, *, now: int) -> Delivery:
    """Deliver an event again under its id, now and with all tries, whatever became of it. NotFound, EndpointDisabled."""
    found = delivery(tx, public)
    to = endpoint(tx, found.endpoint)
    if to.status != "active":
        raise EndpointDisabled(f"webhook endpoint {to.public_id} is disabled; activate it first")
    tx.run(
        """
        UPDATE webhook_deliveries SET status = 'pending', attempts = 0, next_at = :now, updated_at = :now
        WHERE owner_id = :owner AND id = :id
        """,
        id=found.id,
        now=now,
    )
    owe_run(tx, to.id, run_at=now, now=now)
    return delivery(tx, public)


def replay_failed(tx: OwnerTx, *, since: int, endpoint_id: str | None = None, now: int) -> int:
    """Deliver all again that failed or are dead, of events since then (ms), to active endpoints or one; returns how many.

    NotFound, EndpointDisabled if the one is not there or disabled.
    """
    if endpoint_id is not None and endpoint(tx, endpoint_id).status != "active":
        raise EndpointDisabled(f"webhook endpoint {endpoint_id} is disabled; activate it first")
    rows = tx.all(
        """
        UPDATE webhook_deliveries SET status = 'pending', attempts = 0, next_at = :now, updated_at = :now
        WHERE owner_id = :owner AND status IN ('failed', 'dead') AND created_at >= :since AND endpoint_id IN (
            SELECT id FROM webhook_endpoints
            WHERE owner_id = :owner AND status = 'active' AND public_id = coalesce(:endpoint, public_id)
        )
        RETURNING endpoint_id
        """,
        since=since,
        endpoint=endpoint_id,
        now=now,
    )
    for key in sorted({int(row["endpoint_id"]) for row in rows}):
        owe_run(tx, key, run_at=now, now=now)
    return len(rows)


def first_due(tx: OwnerTx, endpoint_id: int, *, now: int) -> Due | None:
    """What is to be delivered to the endpoint next, if anything is due and it takes anything now: the longest due first."""
    row = tx.one(
        """
        SELECT d.id, e.id AS endpoint_id, e.public_id AS endpoint, e.url, e.secrets, e.previous_until, d.event_id, d.payload,
            d.attempts
        FROM webhook_endpoints e JOIN webhook_deliveries d ON d.endpoint_id = e.id AND d.owner_id = e.owner_id
        WHERE e.owner_id = :owner AND e.id = :id AND e.status = 'active' AND e.paused_until <= :now
            AND d.next_at IS NOT NULL AND d.next_at <= :now
        ORDER BY d.next_at, d.id LIMIT 1
        """,
        id=endpoint_id,
        now=now,
    )
    if row is None:
        return None
    values = dict(row)
    secrets = tuple(json.loads(values["secrets"]))
    rotating = now < (values.pop("previous_until") or 0)
    return Due(**{**values, "secrets": secrets if rotating else secrets[:1]})


def record(tx: OwnerTx, due: Due, outcome: Outcome, *, now: int) -> Status:
    """Write down how a try ended, and what follows from it; returns where the delivery is.

    A delivery that was replayed, or an endpoint that was given another URL meanwhile, is left as it is.
    """
    status, next_at = _consequence(due.attempts + 1, outcome, now)
    tx.run(
        """
        UPDATE webhook_deliveries SET status = :status, attempts = attempts + 1, next_at = :next_at, last_status = :last_status,
            last_error = :last_error, updated_at = :now
        WHERE owner_id = :owner AND id = :id AND attempts = :attempts AND next_at IS NOT NULL
        """,
        id=due.id,
        attempts=due.attempts,
        status=status,
        next_at=next_at,
        last_status=outcome.status,
        last_error=outcome.error,
        now=now,
    )
    if outcome.status == 410:
        _disable(tx, due, now)
    elif outcome.status in _THROTTLED and outcome.wait_ms:
        tx.run(
            "UPDATE webhook_endpoints SET paused_until = :until WHERE owner_id = :owner AND id = :id AND url = :url",
            id=due.endpoint_id,
            url=due.url,
            until=now + min(outcome.wait_ms, _LONGEST_WAIT_MS),
        )
    return status


def owe_rest(tx: OwnerTx, endpoint_id: int, *, now: int) -> None:
    """Look after the endpoint again when what it is still owed is due; forget what arrived long ago."""
    tx.run(
        """
        DELETE FROM webhook_deliveries
        WHERE owner_id = :owner AND endpoint_id = :id AND status = 'delivered' AND created_at < :long_ago
        """,
        id=endpoint_id,
        long_ago=now - KEPT_MS,
    )
    row = tx.one(
        """
        SELECT e.paused_until, min(d.next_at) AS next_at
        FROM webhook_endpoints e JOIN webhook_deliveries d ON d.endpoint_id = e.id AND d.owner_id = e.owner_id
        WHERE e.owner_id = :owner AND e.id = :id AND e.status = 'active' AND d.next_at IS NOT NULL
        GROUP BY e.id
        """,
        id=endpoint_id,
    )
    if row is not None:
        owe_run(tx, endpoint_id, run_at=max(row["next_at"], row["paused_until"], now), now=now)


def _consequence(attempts: int, outcome: Outcome, now: int) -> tuple[Status, int | None]:
    if outcome.delivered:
        return Status.DELIVERED, None
    if outcome.status == 410 or attempts > len(SCHEDULE_MS):
        return Status.DEAD, None
    wait = SCHEDULE_MS[attempts - 1] * random.uniform(1, 1 + _JITTER)  # noqa: S311 - spreads load, guards nothing
    wanted = min(outcome.wait_ms or 0, _LONGEST_WAIT_MS) if outcome.status in _THROTTLED else 0
    return Status.FAILED, now + max(round(wait), wanted)


def _disable(tx: OwnerTx, due: Due, now: int) -> None:
    """The receiver said that it will take nothing any more: neither will what else it is owed be tried."""
    disabled = tx.run(
        """
        UPDATE webhook_endpoints SET status = 'disabled', disabled_reason = :reason, version = version + 1, updated_at = :now
        WHERE owner_id = :owner AND id = :id AND url = :url AND status = 'active'
        """,
        id=due.endpoint_id,
        url=due.url,
        reason=GONE,
        now=now,
    )
    if disabled:
        tx.run(
            """
            UPDATE webhook_deliveries SET status = 'dead', next_at = NULL, last_error = 'the endpoint is gone', updated_at = :now
            WHERE owner_id = :owner AND endpoint_id = :id AND next_at IS NOT NULL
            """,
            id=due.endpoint_id,
            now=now,
        )


def _delivery(row: Row) -> Delivery:
    return Delivery(**{**row, "status": Status(row["status"])})
