"""Outbound webhooks: where an owner's other systems are told of what happens, and what became of each event."""

import json
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, JsonValue

from wtai.db.tx import OwnerTx
from wtai.errors import NotFound
from wtai.events import Event
from wtai.hooks import deliveries_store, endpoints_store
from wtai.hooks.model import Delivery, Endpoint, Status
from wtai.web.api.call import Call
from wtai.web.api.errors import wrong
from wtai.web.api.models import Given, Id, Identified, Moment, Page, Paging, Versioned, View, at, at_or_none
from wtai.web.api.route import ROOT, Route
from wtai.web.problems import CONFLICT

_TAG = "webhook-endpoints"
_PATH = f"{ROOT}/webhook-endpoints"
_ONE = f"{_PATH}/{{endpoint}}"
_DELIVERIES = f"{ROOT}/webhook-deliveries"

Url = Annotated[str, Field(min_length=1, max_length=2_000, description="Where events are posted to, by https.")]
Events = Annotated[list[Event], Field(min_length=1, max_length=len(Event), description="Which events.")]


class NewEndpoint(Given):
    """A receiver. Events hold the owner's own messages, texts included."""

    url: Url
    events: Events


class EndpointChange(Given):
    """What is absent stays as it is. What a disabled endpoint is owed waits until it is active again."""

    url: Url | None = None
    events: Events | None = None
    status: Literal["active", "disabled"] | None = None


class EndpointView(Versioned):
    """A receiver. ``disabled_reason`` is ``gone`` where it answered 410."""

    url: str
    events: list[Event]
    status: Literal["active", "disabled"]
    disabled_reason: str | None
    created_at: datetime
    updated_at: datetime


class IssuedEndpoint(EndpointView):
    """With the secret that signs what it gets (Standard Webhooks): it is not shown again."""

    secret: str


class ListDeliveries(Paging):
    """Which deliveries."""

    endpoint: Annotated[Id | None, Field(description="To this endpoint.")] = None
    status: Status | None = None


class DeliveryView(Identified):
    """An event on its way to an endpoint. ``event`` is its ``webhook-id``, the same for each try."""

    endpoint: str
    event: str
    event_type: str
    status: Status
    attempts: int
    next_at: datetime | None
    last_status: int | None
    last_error: str | None
    payload: JsonValue
    created_at: datetime
    updated_at: datetime


class ReplayFailed(Given):
    """All that failed since then; to one endpoint, or to all."""

    since: Moment
    endpoint: Id | None = None


class Replayed(View):
    """How many events are delivered again."""

    count: int


async def list_endpoints(call: Call[None, Paging]) -> Page[EndpointView]:
    """The oldest first."""
    after = (call.after(1) or (0,))[0]
    rows = [row for row in await call.read(endpoints_store.endpoints) if row.id > after]
    return call.page(Page[EndpointView], rows, _shown, lambda row: (row.id,))


async def create_endpoint(call: Call[NewEndpoint, None]) -> IssuedEndpoint:
    """With a secret of its own."""

    def work(tx: OwnerTx) -> IssuedEndpoint:
        given, means = call.body, call.means
        issued = endpoints_store.create_endpoint(
            tx, given.url, given.events, sealer=means.sealer, egress=means.egress, now=call.now
        )
        return IssuedEndpoint.model_validate({**_fields(issued.endpoint), "secret": issued.secret})

    return await call.commit(work)


async def read_endpoint(call: Call[None, None]) -> EndpointView:
    """One of them."""
    return _shown(await call.read(endpoints_store.endpoint, call.ids["endpoint"]))


async def change_endpoint(call: Call[EndpointChange, None]) -> EndpointView:
    """For what is delivered from now on."""

    def work(tx: OwnerTx) -> EndpointView:
        given = call.body
        changed = endpoints_store.update_endpoint(
            tx,
            call.ids["endpoint"],
            url=given.url,
            events=given.events,
            active=None if given.status is None else given.status == "active",
            version=call.if_match,
            egress=call.means.egress,
            now=call.now,
        )
        return _shown(changed)

    return await call.commit(work)


async def rotate(call: Call[None, None]) -> IssuedEndpoint:
    """For a day the secret before it signs too."""

    def work(tx: OwnerTx) -> IssuedEndpoint:
        public, sealer = call.ids["endpoint"], call.means.sealer
        issued = endpoints_store.rotate_secret(tx, public, sealer=sealer, version=call.if_match, now=call.now)
        return IssuedEndpoint.model_validate({**_fields(issued.endpoint), "secret": issued.secret})

    return await call.commit(work)


async def delete_endpoint(call: Call[None, None]) -> None:
    """With all that it is owed."""

    def work(tx: OwnerTx) -> None:
        endpoints_store.delete_endpoint(tx, call.ids["endpoint"], version=call.if_match)

    await call.commit(work)


async def list_deliveries(call: Call[None, ListDeliveries]) -> Page[DeliveryView]:
    """The newest first."""
    before, query = call.after(1), call.query
    rows = await call.read(
        deliveries_store.deliveries,
        endpoint_id=query.endpoint,
        status=query.status,
        before=before[0] if before else None,
        limit=call.limit + 1,
    )
    return call.page(Page[DeliveryView], rows, _delivery, lambda row: (row.id,))


async def read_delivery(call: Call[None, None]) -> DeliveryView:
    """One of them."""
    return _delivery(await call.read(deliveries_store.delivery, call.ids["delivery"]))


async def replay(call: Call[None, None]) -> DeliveryView:
    """Again under the event's own id, whatever became of it."""

    def work(tx: OwnerTx) -> DeliveryView:
        return _delivery(deliveries_store.replay(tx, call.ids["delivery"], now=call.now))

    return await call.commit(work)


async def replay_failed(call: Call[ReplayFailed, None]) -> Replayed:
    """All at once."""

    def work(tx: OwnerTx) -> Replayed:
        since = max(0, round(call.body.since.timestamp() * 1000))
        try:
            count = deliveries_store.replay_failed(tx, since=since, endpoint_id=call.body.endpoint, now=call.now)
        except NotFound as exc:
            raise wrong("/endpoint", "there is no such endpoint") from exc
        return Replayed(count=count)

    return await call.commit(work)


def _fields(endpoint: Endpoint) -> dict[str, object]:
    return {
        "id": endpoint.public_id,
        "version": endpoint.version,
        "url": endpoint.url,
        "events": list(endpoint.events),
        "status": endpoint.status,
        "disabled_reason": endpoint.disabled_reason,
        "created_at": at(endpoint.created_at),
        "updated_at": at(endpoint.updated_at),
    }


def _shown(endpoint: Endpoint) -> EndpointView:
    return EndpointView.model_validate(_fields(endpoint))


def _delivery(row: Delivery) -> DeliveryView:
    return DeliveryView(
        id=row.public_id,
        endpoint=row.endpoint,
        event=row.event_id,
        event_type=row.event_type,
        status=row.status,
        attempts=row.attempts,
        next_at=at_or_none(row.next_at),
        last_status=row.last_status,
        last_error=row.last_error,
        payload=json.loads(row.payload),
        created_at=at(row.created_at),
        updated_at=at(row.updated_at),
    )


ROUTES = (
    Route(
        "GET",
        _PATH,
        list_endpoints,
        "List webhook endpoints",
        _TAG,
        {200: Page[EndpointView]},
        action="webhook_endpoints.read",
        query=Paging,
    ),
    Route(
        "POST",
        _PATH,
        create_endpoint,
        "Add a webhook endpoint",
        _TAG,
        {201: IssuedEndpoint},
        action="webhook_endpoints.create",
        body=NewEndpoint,
        location=f"{_PATH}/{{id}}",
    ),
    Route("GET", _ONE, read_endpoint, "Read a webhook endpoint", _TAG, {200: EndpointView}, action="webhook_endpoints.read"),
    Route(
        "PATCH",
        _ONE,
        change_endpoint,
        "Change a webhook endpoint",
        _TAG,
        {200: EndpointView},
        action="webhook_endpoints.update",
        body=EndpointChange,
        needs_if_match=True,
    ),
    Route(
        "POST",
        f"{_ONE}/secret",
        rotate,
        "Give a webhook endpoint a new secret",
        _TAG,
        {200: IssuedEndpoint},
        action="webhook_endpoints.update",
    ),
    Route(
        "DELETE",
        _ONE,
        delete_endpoint,
        "Delete a webhook endpoint",
        _TAG,
        {204: None},
        action="webhook_endpoints.delete",
        needs_if_match=True,
    ),
    Route(
        "GET",
        _DELIVERIES,
        list_deliveries,
        "List what endpoints were told or are owed, the newest first",
        _TAG,
        {200: Page[DeliveryView]},
        action="webhook_endpoints.read",
        query=ListDeliveries,
    ),
    Route(
        "GET",
        f"{_DELIVERIES}/{{delivery}}",
        read_delivery,
        "Read a delivery",
        _TAG,
        {200: DeliveryView},
        action="webhook_endpoints.read",
    ),
    Route(
        "POST",
        f"{_DELIVERIES}/{{delivery}}/replay",
        replay,
        "Deliver an event again",
        _TAG,
        {200: DeliveryView},
        action="webhook_endpoints.replay",
        problems=(CONFLICT,),
    ),
    Route(
        "POST",
        f"{ROOT}/webhook-replays",
        replay_failed,
        "Deliver again all that failed since a time",
        _TAG,
        {200: Replayed},
        action="webhook_endpoints.replay",
        body=ReplayFailed,
        problems=(CONFLICT,),
    ),
)
