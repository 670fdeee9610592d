"""SQL of webhook endpoints, and the rules that one has to keep to be saved."""

import json
from collections.abc import Sequence
from typing import Final

from wtai.db.tx import OwnerTx, Row
from wtai.egress import Egress, EgressRefused
from wtai.errors import NotFound, StaleVersion
from wtai.events import Event, owe_run
from wtai.hooks.model import MAX_ENDPOINTS, ROTATION_MS, SECRETS_FIELD, Endpoint, InvalidEndpoint, Issued
from wtai.ids import public_id
from wtai.secrets import Sealer
from wtai.standard_webhooks import new_secret

ASKED: Final = "asked"
GONE: Final = "gone"
"""Why an endpoint is disabled: by hand, or because it answered 410 Gone."""

_ENDPOINT: Final = (
    "SELECT id, public_id, url, events, status, disabled_reason, version, created_at, updated_at FROM webhook_endpoints"
)


def create_endpoint(tx: OwnerTx, url: str, events: Sequence[str], *, sealer: Sealer, egress: Egress, now: int) -> Issued:
    """Tell ``url`` of ``events`` from now on. InvalidEndpoint."""
    _check_url(egress, url)
    wanted = _checked(events)
    (count,) = tx.all("SELECT count(*) AS n FROM webhook_endpoints WHERE owner_id = :owner")
    if count["n"] >= MAX_ENDPOINTS:
        raise InvalidEndpoint("", f"an owner has up to {MAX_ENDPOINTS} endpoints; delete one first")
    secret, public = new_secret(), public_id("whe")
    tx.run(
        """
        INSERT INTO webhook_endpoints (owner_id, public_id, url, secrets, events, created_at, updated_at)
        VALUES (:owner, :public_id, :url, :secrets, :events, :now, :now)
        """,
        public_id=public,
        url=url,
        secrets=json.dumps([sealer.seal(tx.owner_id, SECRETS_FIELD, secret)]),
        events=json.dumps(wanted),
        now=now,
    )
    return Issued(endpoint(tx, public), secret)


def endpoints(tx: OwnerTx) -> list[Endpoint]:
    """The owner's endpoints, oldest first; there are never more than MAX_ENDPOINTS."""
    return [_endpoint(row) for row in tx.all(f"{_ENDPOINT} WHERE owner_id = :owner ORDER BY id")]


def endpoint(tx: OwnerTx, public: str) -> Endpoint:
    """NotFound if the owner has no such endpoint."""
    row = tx.one(f"{_ENDPOINT} WHERE owner_id = :owner AND public_id = :public", public=public)
    if row is None:
        raise NotFound(f"no webhook endpoint {public}")
    return _endpoint(row)


def update_endpoint(
    tx: OwnerTx,
    public: str,
    *,
    url: str | None = None,
    events: Sequence[str] | None = None,
    active: bool | None = None,
    version: int | None = None,
    egress: Egress,
    now: int,
) -> Endpoint:
    """Change what is not None. NotFound, InvalidEndpoint, StaleVersion if the endpoint is not at ``version`` any more.

    What a disabled endpoint is still owed waits until it is active again.
    """
    before = _at(tx, public, version)
    if url is not None:
        _check_url(egress, url)
    tx.run(
        """
        UPDATE webhook_endpoints SET url = coalesce(:url, url), events = coalesce(:events, events),
            status = coalesce(:status, status), paused_until = 0, version = version + 1, updated_at = :now,
            disabled_reason = CASE coalesce(:status, status) WHEN 'active' THEN NULL
                ELSE coalesce(disabled_reason, :reason) END
        WHERE owner_id = :owner AND id = :id
        """,
        id=before.id,
        url=url,
        events=None if events is None else json.dumps(_checked(events)),
        status=None if active is None else "active" if active else "disabled",
        reason=ASKED,
        now=now,
    )
    after = endpoint(tx, public)
    if after.status == "active":
        owe_run(tx, after.id, run_at=now, now=now)
    return after


def rotate_secret(tx: OwnerTx, public: str, *, sealer: Sealer, version: int | None = None, now: int) -> Issued:
    """Sign with a new secret, and for ROTATION_MS with the one before it too. NotFound, StaleVersion as above."""
    before = _at(tx, public, version)
    (row,) = tx.all("SELECT secrets FROM webhook_endpoints WHERE owner_id = :owner AND id = :id", id=before.id)
    secret = new_secret()
    tx.run(
        """
        UPDATE webhook_endpoints SET secrets = :secrets, previous_until = :until, version = version + 1, updated_at = :now
        WHERE owner_id = :owner AND id = :id
        """,
        id=before.id,
        secrets=json.dumps([sealer.seal(tx.owner_id, SECRETS_FIELD, secret), json.loads(row["secrets"])[0]]),
        until=now + ROTATION_MS,
        now=now,
    )
    return Issued(endpoint(tx, public), secret)


def delete_endpoint(tx: OwnerTx, public: str, *, version: int | None = None) -> None:
    """Forget an endpoint with all that it was or is owed. NotFound, StaleVersion as above."""
    gone = _at(tx, public, version)
    tx.run("DELETE FROM webhook_endpoints WHERE owner_id = :owner AND id = :id", id=gone.id)


def _at(tx: OwnerTx, public: str, version: int | None) -> Endpoint:
    current = endpoint(tx, public)
    if version is not None and current.version != version:
        raise StaleVersion(f"webhook endpoint {public} is at version {current.version}, not {version}: read it again")
    return current


def _check_url(egress: Egress, url: str) -> None:
    try:
        egress.check(url)
    except EgressRefused as error:
        raise InvalidEndpoint("/url", str(error)) from None


def _checked(events: Sequence[str]) -> list[str]:
    """Each once, in the order of the list of events."""
    for place, event in enumerate(events):
        if event not in tuple(Event):
            raise InvalidEndpoint(f"/events/{place}", f"there are {', '.join(Event)}")
    if not events:
        raise InvalidEndpoint("/events", "name at least one event")
    return [event for event in Event if event in events]


def _endpoint(row: Row) -> Endpoint:
    return Endpoint(**{**row, "events": tuple(Event(name) for name in json.loads(row["events"]))})
