"""Work that failed for good: run again, or discarded."""

from typing import Final

from aiohttp import web

from wtai.db.tx import OwnerTx, SystemTx
from wtai.errors import NotFound
from wtai.identity.audit_store import audit
from wtai.jobs.store import JobRow, discard_dead, retry_dead
from wtai.jobs.views_store import job_rows
from wtai.web.api.jobs import dead_job, public_id_of_job
from wtai.web.console.page import Page, Visit
from wtai.web.console.settings.forms import key_of
from wtai.web.console.settings.frame import PLACE, over, show
from wtai.web.problems import Problem

_PATH: Final = f"{PLACE}/jobs"
_SHOWN: Final = 50


async def jobs(visit: Visit) -> web.StreamResponse:
    """The oldest first."""
    after = key_of(visit.request.query.get("after")) or 0
    rows = await visit.read(job_rows, state="dead", after=after, limit=_SHOWN + 1)
    return show(
        visit,
        "jobs.html",
        _PATH,
        jobs=[(public_id_of_job(row), row) for row in rows[:_SHOWN]],
        following=rows[_SHOWN - 1].id if len(rows) > _SHOWN else None,
    )


async def retry(visit: Visit) -> web.StreamResponse:
    """With all its tries."""

    def work(tx: SystemTx) -> None:
        bound = tx.for_owner(visit.owner.id)
        job = _dead(bound, visit.ids["job"])
        retry_dead(tx, job.id, now=visit.now)
        audit(bound, visit.actor, "jobs.retry", public_id_of_job(job), now=visit.now)

    await visit.means.database.system_write(work)
    return over(visit, _PATH, "retried")


async def discard(visit: Visit) -> web.StreamResponse:
    """What it was for is not done."""

    def work(tx: SystemTx) -> None:
        bound = tx.for_owner(visit.owner.id)
        job = _dead(bound, visit.ids["job"])
        discard_dead(tx, job.id)
        audit(bound, visit.actor, "jobs.delete", public_id_of_job(job), now=visit.now)

    await visit.means.database.system_write(work)
    return over(visit, _PATH, "discarded")


def _dead(tx: OwnerTx, public: str) -> JobRow:
    """NotFound unless it is dead: whoever was faster has taken it off the page."""
    try:
        return dead_job(tx, public)
    except Problem as exc:
        raise NotFound(f"no dead job {public}") from exc


PAGES = (
    Page("GET", _PATH, jobs, "jobs.read"),
    Page("POST", f"{_PATH}/{{job}}/retry", retry, "jobs.retry"),
    Page("POST", f"{_PATH}/{{job}}/discard", discard, "jobs.delete"),
)
