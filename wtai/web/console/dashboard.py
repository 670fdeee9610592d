"""The dashboard: what was written, how fast it was answered, what became of conversations and what it cost."""

from operator import itemgetter

from aiohttp import web

from wtai.ai.features_store import features
from wtai.db.tx import OwnerTx
from wtai.identity.store import preferences
from wtai.rollups import store
from wtai.rollups.rollups import catch_up
from wtai.web.console.dashboard_cards import cards, tiles
from wtai.web.console.dashboard_figures import Choice, Figures, Period
from wtai.web.console.dashboard_table import csv_of
from wtai.web.console.dashboard_words import specialists
from wtai.web.console.page import ROOT, Page, Visit
from wtai.web.problems import NOT_FOUND, Problem

_PATH = f"{ROOT}/dashboard"


async def dashboard(visit: Visit) -> web.StreamResponse:
    """The figures of a period, of all specialists or of one; as a part, for a page that is open, without what is around them."""
    through = await visit.means.live.newest()
    figures, whole = await _figures(visit)
    own = await visit.read(features)
    names = specialists(visit, (feature.name for feature in own))
    return visit.page(
        "dashboard/figures.html" if visit.is_partial else "dashboard/dashboard.html",
        section="dashboard",
        through=through,
        tiles=tiles(visit, figures),
        cards=cards(visit, figures),
        choice=figures.choice,
        periods=list(Period),
        specialists=sorted(names.items(), key=itemgetter(1)),
        whole=whole,
        address=f"{_PATH}?{figures.choice.query}",
    )


async def download(visit: Visit) -> web.StreamResponse:
    """One of the tables as CSV."""
    figures, _ = await _figures(visit)
    found = next((card for card in cards(visit, figures) if card.name == visit.ids["table"]), None)
    if found is None:
        raise Problem(NOT_FOUND, "no such table")
    name = "-".join(filter(None, ("wtai", found.name, figures.choice.period, figures.choice.feature)))
    return web.Response(
        body=csv_of(found.table),
        content_type="text/csv",
        charset="utf-8",
        headers={"Content-Disposition": f'attachment; filename="{"".join(one if one.isalnum() else "-" for one in name)}.csv"'},
    )


async def _figures(visit: Visit) -> tuple[Figures, bool]:
    """What is counted so far, after what is new was counted too; False if there was too much of that for now."""
    means = visit.means
    whole = await catch_up(means.database, means.base, now=visit.now, batches=4)
    period = visit.request.query.get("period", "")
    feature = visit.request.query.get("feature", "")[:100] or None

    def read(tx: OwnerTx) -> Figures:
        choice = Choice.of(period, feature, preferences(tx, means.base).time_zone, now=visit.now)
        counted = store.counted(tx, choice.span, choice.starts[0], choice.starts[-1], feature=feature)
        used = store.used(tx, choice.utc_days[0], choice.utc_days[-1], feature=feature)
        return Figures(choice, counted, used)

    return await visit.read(read), whole


PAGES = (
    Page("GET", _PATH, dashboard, "usage.read"),
    Page("GET", f"{_PATH}/{{table}}.csv", download, "usage.read"),
)
