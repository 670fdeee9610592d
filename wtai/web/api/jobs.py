"""Dead jobs of an owner: listed, run again, discarded."""

import re
from datetime import datetime

from wtai.db.tx import SystemTx
from wtai.errors import NotFound
from wtai.jobs.store import discard_dead, retry_dead
from wtai.jobs.views_store import DeadJob, dead_job, dead_jobs
from wtai.web.api.call import Call
from wtai.web.api.models import Identified, Page, Paging, at
from wtai.web.api.route import ROOT, Route

_TAG = "jobs"
_PATH = f"{ROOT}/jobs"
_ONE = f"{_PATH}/{{job}}"
_ID = re.compile(r"job_([1-9][0-9]{0,17})")


class JobView(Identified):
    """A job that failed for good: how often it failed, and how often its worker died under it."""

    kind: str
    failures: int
    rescues: int
    error: str | None
    created_at: datetime


async def list_jobs(call: Call[None, Paging]) -> Page[JobView]:
    """The oldest first."""
    rows = await call.read(dead_jobs, after=(call.after(1) or (0,))[0], limit=call.limit + 1)
    return call.page(Page[JobView], rows, _shown, lambda row: (row.id,))


async def read_job(call: Call[None, None]) -> JobView:
    """One of them."""
    return _shown(await call.read(dead_job, key_of_job(call.ids["job"])))


async def retry(call: Call[None, None]) -> JobView:
    """With all its tries."""

    def work(tx: SystemTx) -> JobView:
        job = dead_job(tx.for_owner(call.owner_id), key_of_job(call.ids["job"]))
        retry_dead(tx, job.id, now=call.now)
        return _shown(job)

    return await call.commit_across(work)


async def discard(call: Call[None, None]) -> None:
    """What it was for is not done."""

    def work(tx: SystemTx) -> None:
        discard_dead(tx, dead_job(tx.for_owner(call.owner_id), key_of_job(call.ids["job"])).id)

    await call.commit_across(work)


def key_of_job(public: str) -> int:
    """The key of the job that is called this. NotFound if no job ever is."""
    match = _ID.fullmatch(public)
    if match is None:
        raise NotFound(f"no dead job {public}")
    return int(match[1])


def public_id_of_job(job: DeadJob) -> str:
    """What a job is called outside."""
    return f"job_{job.id}"


def _shown(job: DeadJob) -> JobView:
    return JobView(
        id=public_id_of_job(job),
        kind=job.kind,
        failures=job.failures,
        rescues=job.rescues,
        error=job.error,
        created_at=at(job.created_at),
    )


ROUTES = (
    Route("GET", _PATH, list_jobs, "List dead jobs", _TAG, {200: Page[JobView]}, action="jobs.read", query=Paging),
    Route("GET", _ONE, read_job, "Read a dead job", _TAG, {200: JobView}, action="jobs.read"),
    Route("POST", f"{_ONE}/retry", retry, "Run a dead job again", _TAG, {200: JobView}, action="jobs.retry"),
    Route("DELETE", _ONE, discard, "Discard a dead job", _TAG, {204: None}, action="jobs.delete"),
)
