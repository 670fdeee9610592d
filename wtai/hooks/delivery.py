"""The job that brings an endpoint what it is owed: signed as Standard Webhooks has it, at least once, under one id each.

An event that fails is tried again later and holds up none behind it. A receiver sees the repeat of an event by its
``webhook-id``, and what came first by ``timestamp``.
"""

import email.utils
import math
from collections.abc import Mapping
from typing import Final

import structlog

from wtai.clock import SECOND, Clock
from wtai.db.tx import Database
from wtai.egress import Egress, EgressError
from wtai.failpoints import pass_failpoint
from wtai.hooks import deliveries_store as store
from wtai.hooks.model import SECRETS_FIELD, Due, Outcome, Status
from wtai.jobs.queue import Job
from wtai.secrets import Sealer
from wtai.standard_webhooks import signed_headers

TIMEOUT_SECONDS: Final = 15.0

_RUN_SECONDS: Final = 60.0
"""After which an endpoint goes to the end of the queue: others are owed something too."""

_log = structlog.get_logger(__name__)


class Deliveries:
    """Brings endpoints what they are owed."""

    def __init__(self, database: Database, sealer: Sealer, egress: Egress, clock: Clock) -> None:
        self._database = database
        self._sealer = sealer
        self._egress = egress
        self._clock = clock

    async def handle(self, job: Job) -> None:
        """Try what is due at one endpoint, one after the other, and owe the rest for when it is due."""
        endpoint_id = job.argument("endpoint_id")
        enough = self._clock.monotonic() + _RUN_SECONDS
        while self._clock.monotonic() < enough:
            due = await self._database.read(job.owner_id, store.first_due, endpoint_id, now=self._clock.now())
            if due is None:
                break
            await pass_failpoint("hook.before_call")
            outcome = await self._post(job.owner_id, due)
            await pass_failpoint("hook.after_call")
            status = await self._database.write(job.owner_id, store.record, due, outcome, now=self._clock.now())
            await pass_failpoint("hook.after_commit")
            if status is not Status.DELIVERED:
                _log.warning("hook.failed", endpoint=due.endpoint, delivery=due.event_id, status=status, reason=outcome.error)
        await self._database.write(job.owner_id, store.owe_rest, endpoint_id, now=self._clock.now())

    async def _post(self, owner_id: int, due: Due) -> Outcome:
        body = due.payload.encode()
        now = self._clock.now()
        secrets = [self._sealer.unseal(owner_id, SECRETS_FIELD, sealed) for sealed in due.secrets]
        headers = {"Content-Type": "application/json", **signed_headers(secrets, due.event_id, body, now=now)}
        try:
            # What the receiver answers beside its status is not read.
            response = await self._egress.request(
                "POST", due.url, headers=headers, body=body, seconds=TIMEOUT_SECONDS, max_bytes=0
            )
        except EgressError as error:
            return Outcome(None, str(error))
        outcome = Outcome(response.status, f"HTTP status {response.status}", retry_after_ms(response.headers, now))
        return Outcome(response.status, None) if outcome.delivered else outcome


def retry_after_ms(headers: Mapping[str, str], now: int) -> int | None:
    """The wait that Retry-After asks for, in seconds or as a date (RFC 9110 §10.2.3); None if it cannot be read."""
    asked = headers.get("Retry-After", "")
    try:
        seconds = float(asked)
    except ValueError:
        try:
            return max(0, round(email.utils.parsedate_to_datetime(asked).timestamp() * SECOND) - now)
        except ValueError:
            return None
    return round(seconds * SECOND) if math.isfinite(seconds) and seconds >= 0 else None
