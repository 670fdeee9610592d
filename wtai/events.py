"""What the program tells an owner's other systems: an event is written in the transaction of what it tells, or not at all.

Here it becomes one delivery for each endpoint that wants it; :mod:`wtai.hooks` brings those out.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from pydantic_core import to_json

from wtai import events_store as store
from wtai.clock import SECOND
from wtai.db.tx import OwnerTx, SystemTx
from wtai.ids import public_id
from wtai.jobs.queue import Job
from wtai.jobs.store import BACKGROUND, enqueue, reschedule

DELIVER: Final = "deliver_webhook"
"""The kind of job that brings out what an endpoint is owed; its payload is {"endpoint_id"}."""

_MAX_ERROR: Final = 1_000


class Event(StrEnum):
    """What can be told."""

    MESSAGE_RECEIVED = "message.received"
    MESSAGE_SENT = "message.sent"
    MESSAGE_STATUS = "message.status"
    CONVERSATION_OPENED = "conversation.opened"
    CONVERSATION_HANDOFF = "conversation.handoff"
    CONVERSATION_CLOSED = "conversation.closed"
    JOB_DEAD = "job.dead"
    BUDGET_REACHED = "budget.reached"


@dataclass(frozen=True, slots=True)
class Told:
    """The ``data`` of an event, ready for JSON, and the end user whom it is about: with whom it is erased."""

    data: Mapping[str, object]
    user_id: int | None = None


def emit(tx: OwnerTx, event: Event, tell: Callable[[], Told], *, now: int) -> None:
    """Owe ``event`` to the owner's endpoints that want it, once this commits. ``tell`` is called only if there is one.

    Without an endpoint it costs one look into an index.
    """
    endpoints = store.endpoints_wanting(tx, event)
    if not endpoints:
        return
    told = tell()
    event_id = public_id("evt")
    payload = to_json({"type": event, "timestamp": moment(now), "data": told.data}).decode()
    for endpoint_id in endpoints:
        store.insert_delivery(tx, endpoint_id, event_id, event, told.user_id, payload, now=now)
        owe_run(tx, endpoint_id, run_at=now, now=now)


def owe_run(tx: OwnerTx, endpoint_id: int, *, run_at: int, now: int) -> None:
    """Look after an endpoint at ``run_at``; a run that is owed already moves there.

    One run at a time: a receiver that hangs holds up one job, not all of them, and gets what is new in order.
    """
    name = f"webhook:{endpoint_id}"
    if reschedule(tx, DELIVER, name, run_at=run_at):
        return
    enqueue(tx, DELIVER, {"endpoint_id": endpoint_id}, key=name, unique_key=name, run_at=run_at, priority=BACKGROUND, now=now)


def job_died(tx: SystemTx, job: Job, error: str, *, now: int) -> None:
    """Tell that a job is dead; not of one that delivers, which would bring forth the next."""
    if job.kind != DELIVER:
        data = {"id": job.id, "kind": job.kind, "error": error[:_MAX_ERROR]}
        emit(tx.for_owner(job.owner_id), Event.JOB_DEAD, lambda: Told(data), now=now)


def moment(at: int) -> str:
    """A time in ms as payloads have it: ISO 8601 in UTC, with milliseconds."""
    whole = datetime.fromtimestamp(at // SECOND, UTC).replace(microsecond=at % SECOND * 1_000)
    return whole.isoformat(timespec="milliseconds").replace("+00:00", "Z")
