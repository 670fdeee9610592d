"""The way into the settings: every page the visitor has, and what wants to be looked at."""

from dataclasses import dataclass

from aiohttp import web

from wtai.channels.views_store import count_addresses
from wtai.db.tx import OwnerTx
from wtai.hooks import deliveries_store, endpoints_store
from wtai.hooks.model import Status
from wtai.jobs.views_store import job_rows
from wtai.web.console.page import Page, Visit
from wtai.web.console.settings.frame import PLACE, show

_COUNTED = 100


@dataclass(frozen=True, slots=True)
class State:
    """What may want to be looked at; counts stop at 100."""

    numbers: int
    dead: int
    undelivered: int
    shut: int


async def overview(visit: Visit) -> web.StreamResponse:
    """For everybody; of the state of things administrators alone are told."""
    state = await visit.read(_state) if visit.may("jobs.read") else None
    return show(visit, "overview.html", PLACE, state=state)


def _state(tx: OwnerTx) -> State:
    dead = deliveries_store.deliveries(tx, status=Status.DEAD, limit=_COUNTED)
    shut = [endpoint for endpoint in endpoints_store.endpoints(tx) if endpoint.disabled_reason == endpoints_store.GONE]
    return State(count_addresses(tx), len(job_rows(tx, state="dead", limit=_COUNTED)), len(dead), len(shut))


PAGES = (Page("GET", PLACE, overview, "me.read"),)
