"""SQL that owes events to endpoints."""

import json

from wtai.db.tx import OwnerTx
from wtai.ids import public_id


def endpoints_wanting(tx: OwnerTx, event: str) -> list[int]:
    """The owner's active endpoints that want events of this type, oldest first."""
    rows = tx.all("SELECT id, events FROM webhook_endpoints WHERE owner_id = :owner AND status = 'active' ORDER BY id")
    return [int(row["id"]) for row in rows if event in json.loads(row["events"])]


def insert_delivery(
    tx: OwnerTx, endpoint_id: int, event_id: str, event_type: str, user_id: int | None, payload: str, *, now: int
) -> None:
    """Owe an event to an endpoint, from now on."""
    tx.run(
        """
        INSERT INTO webhook_deliveries (owner_id, public_id, endpoint_id, event_id, event_type, user_id, payload, next_at,
            created_at, updated_at)
        VALUES (:owner, :public_id, :endpoint_id, :event_id, :event_type, :user_id, :payload, :now, :now, :now)
        """,
        public_id=public_id("dlv"),
        endpoint_id=endpoint_id,
        event_id=event_id,
        event_type=event_type,
        user_id=user_id,
        payload=payload,
        now=now,
    )


def user_public_id(tx: OwnerTx, user_id: int) -> str | None:
    """What a user is called outside."""
    row = tx.one("SELECT public_id FROM users WHERE owner_id = :owner AND id = :id", id=user_id)
    return row["public_id"] if row else None
