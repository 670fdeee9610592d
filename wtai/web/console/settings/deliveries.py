"""What endpoints were told or are owed: listed, shown with what was in it, delivered again."""

from typing import Final

from aiohttp import web

from wtai.clock import DAY
from wtai.db.tx import OwnerTx
from wtai.hooks import deliveries_store, endpoints_store
from wtai.hooks.model import Delivery, Endpoint, Status
from wtai.web.console.page import Page, Visit
from wtai.web.console.settings.forms import BLANK, Form, key_of, sent
from wtai.web.console.settings.frame import PLACE, over, show
from wtai.web.console.settings.reading import laid_out

_HOOKS: Final = f"{PLACE}/webhooks"
_PATH: Final = f"{PLACE}/deliveries"
_ONE: Final = f"{_PATH}/{{delivery}}"
_SHOWN: Final = 50
_AGAIN_MS: Final = 30 * DAY


async def deliveries(visit: Visit) -> web.StreamResponse:
    """The newest first, of an endpoint or a status, or all."""
    return await _listed(visit, BLANK)


async def delivery(visit: Visit) -> web.StreamResponse:
    """One of them, with its payload."""
    return await _one(visit, BLANK)


async def replay(visit: Visit) -> web.StreamResponse:
    """Again under the event's own id, whatever became of it."""
    public = visit.ids["delivery"]

    async def work(_: object) -> web.Response:
        await visit.audited("webhook_endpoints.replay", public, lambda tx: deliveries_store.replay(tx, public, now=visit.now))
        return over(visit, f"{_PATH}/{public}", "replayed")

    return await sent(visit, work, lambda form: _one(visit, form))


async def replay_failed(visit: Visit) -> web.StreamResponse:
    """All that failed in the last thirty days, to active endpoints."""

    async def work(_: object) -> web.Response:
        def write(tx: OwnerTx) -> int:
            return deliveries_store.replay_failed(tx, since=visit.now - _AGAIN_MS, now=visit.now)

        await visit.audited("webhook_endpoints.replay", None, write)
        return over(visit, _PATH, "replayed")

    return await sent(visit, work, lambda form: _listed(visit, form))


async def _listed(visit: Visit, form: Form) -> web.Response:
    query = visit.request.query
    status = next((one for one in Status if one == query.get("status")), None)
    wanted = query.get("endpoint") or None

    def work(tx: OwnerTx) -> tuple[list[Delivery], list[Endpoint]]:
        before = key_of(query.get("before"))
        rows = deliveries_store.deliveries(tx, endpoint_id=wanted, status=status, before=before, limit=_SHOWN + 1)
        return rows, endpoints_store.endpoints(tx)

    rows, endpoints = await visit.read(work)
    return show(
        visit,
        "deliveries.html",
        _HOOKS,
        status=form.status,
        form=form,
        deliveries=rows[:_SHOWN],
        following=rows[_SHOWN - 1].id if len(rows) > _SHOWN else None,
        endpoints=endpoints,
        wanted=wanted,
        chosen=status,
        statuses=list(Status),
    )


async def _one(visit: Visit, form: Form) -> web.Response:
    found = await visit.read(deliveries_store.delivery, visit.ids["delivery"])
    return show(visit, "delivery.html", _HOOKS, status=form.status, form=form, delivery=found, payload=laid_out(found.payload))


PAGES = (
    Page("GET", _PATH, deliveries, "webhook_endpoints.read"),
    Page("POST", f"{_PATH}/replay", replay_failed, "webhook_endpoints.replay"),
    Page("GET", _ONE, delivery, "webhook_endpoints.read"),
    Page("POST", f"{_ONE}/replay", replay, "webhook_endpoints.replay"),
)
