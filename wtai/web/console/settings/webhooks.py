"""Outbound webhooks: which of the owner's systems are told of what. A secret is shown once."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from aiohttp import web

from wtai.db.tx import OwnerTx
from wtai.events import Event
from wtai.hooks import deliveries_store, endpoints_store
from wtai.hooks.model import Delivery, Endpoint, Issued
from wtai.identity.audit_store import audit
from wtai.web.console.page import Page, Visit
from wtai.web.console.settings.forms import BLANK, Form, sent, version_of
from wtai.web.console.settings.frame import PLACE, over, show

_PATH: Final = f"{PLACE}/webhooks"
_ONE: Final = f"{_PATH}/{{endpoint}}"
_EVENT: Final = "event:"
_NEWEST: Final = 10


async def webhooks(visit: Visit) -> web.StreamResponse:
    """All endpoints, and the form for one more."""
    return await _listed(visit, BLANK)


async def create(visit: Visit) -> web.StreamResponse:
    """With a secret of its own, which is in the answer and nowhere else."""

    async def work(given: Mapping[str, str]) -> web.Response:
        def write(tx: OwnerTx) -> Issued:
            means = visit.means
            url, events = given.get("url", "").strip(), _events(given)
            return endpoints_store.create_endpoint(tx, url, events, sealer=means.sealer, egress=means.egress, now=visit.now)

        return await _with_secret(visit, "webhook_endpoints.create", write)

    return await sent(visit, work, lambda form: _listed(visit, form))


async def endpoint(visit: Visit) -> web.StreamResponse:
    """One of them, with what it was told last."""
    return await _one(visit, BLANK)


async def change(visit: Visit) -> web.StreamResponse:
    """Another address, other events, for what is delivered from now on."""

    async def work(given: Mapping[str, str]) -> web.Response:
        url, events = given.get("url", "").strip(), _events(given)
        return await _changed(visit, given, partial(endpoints_store.update_endpoint, url=url, events=events), "saved")

    return await sent(visit, work, lambda form: _one(visit, form))


async def switch(visit: Visit) -> web.StreamResponse:
    """On or off; what it is owed waits meanwhile."""

    async def work(given: Mapping[str, str]) -> web.Response:
        active = given.get("active") == "1"
        return await _changed(visit, given, partial(endpoints_store.update_endpoint, active=active), "on" if active else "off")

    return await sent(visit, work, lambda form: _one(visit, form))


async def rotate(visit: Visit) -> web.StreamResponse:
    """A new secret; for a day the one before it signs too."""

    async def work(given: Mapping[str, str]) -> web.Response:
        def write(tx: OwnerTx) -> Issued:
            public, sealer = visit.ids["endpoint"], visit.means.sealer
            return endpoints_store.rotate_secret(tx, public, sealer=sealer, version=version_of(given), now=visit.now)

        return await _with_secret(visit, "webhook_endpoints.update", write)

    return await sent(visit, work, lambda form: _one(visit, form))


async def delete(visit: Visit) -> web.StreamResponse:
    """With all that it is owed."""

    async def work(given: Mapping[str, str]) -> web.Response:
        public = visit.ids["endpoint"]

        def write(tx: OwnerTx) -> None:
            endpoints_store.delete_endpoint(tx, public, version=version_of(given))

        await visit.audited("webhook_endpoints.delete", public, write)
        return over(visit, _PATH, "deleted")

    return await sent(visit, work, lambda form: _one(visit, form))


def _events(given: Mapping[str, str]) -> list[str]:
    return [name.removeprefix(_EVENT) for name in given if name.startswith(_EVENT)]


async def _changed(visit: Visit, given: Mapping[str, str], update: Callable[..., Endpoint], done: str) -> web.Response:
    public = visit.ids["endpoint"]

    def write(tx: OwnerTx) -> Endpoint:
        return update(tx, public, version=version_of(given), egress=visit.means.egress, now=visit.now)

    await visit.audited("webhook_endpoints.update", public, write)
    return over(visit, f"{_PATH}/{public}", done)


async def _with_secret(visit: Visit, action: str, write: Callable[[OwnerTx], Issued]) -> web.Response:
    """The answer that shows a secret, this once."""

    def unit(tx: OwnerTx) -> Issued:
        issued = write(tx)
        audit(tx, visit.actor, action, issued.endpoint.public_id, now=visit.now)
        return issued

    issued = await visit.write(unit)
    return show(visit, "webhook_secret.html", _PATH, endpoint=issued.endpoint, secret=issued.secret)


async def _listed(visit: Visit, form: Form) -> web.Response:
    found = await visit.read(endpoints_store.endpoints)
    return show(visit, "webhooks.html", _PATH, status=form.status, form=form, endpoints=found, events=list(Event))


async def _one(visit: Visit, form: Form) -> web.Response:
    def work(tx: OwnerTx) -> tuple[Endpoint, list[Delivery]]:
        found = endpoints_store.endpoint(tx, visit.ids["endpoint"])
        return found, deliveries_store.deliveries(tx, endpoint_id=found.public_id, limit=_NEWEST)

    found, newest = await visit.read(work)
    return show(
        visit, "webhook.html", _PATH, status=form.status, form=form, endpoint=found, deliveries=newest, events=list(Event)
    )


PAGES = (
    Page("GET", _PATH, webhooks, "webhook_endpoints.read"),
    Page("POST", _PATH, create, "webhook_endpoints.create"),
    Page("GET", _ONE, endpoint, "webhook_endpoints.read"),
    Page("POST", _ONE, change, "webhook_endpoints.update"),
    Page("POST", f"{_ONE}/switch", switch, "webhook_endpoints.update"),
    Page("POST", f"{_ONE}/secret", rotate, "webhook_endpoints.update"),
    Page("POST", f"{_ONE}/delete", delete, "webhook_endpoints.delete"),
)
