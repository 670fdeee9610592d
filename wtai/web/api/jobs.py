"""Jobs of an owner: what waits, and what died, which is run again or discarded."""

import re
from datetime import datetime
from typing import Literal

from wtai.db.tx import OwnerTx, SystemTx
from wtai.errors import NotFound
from wtai.jobs.store import JobRow, discard_dead, retry_dead
from wtai.jobs.views_store import job_row, job_rows
from wtai.web.api.call import Call
from wtai.web.api.models import Identified, Page, Paging, at
from wtai.web.api.route import ROOT, Route
from wtai.web.problems import WRONG_STATE, Problem

_TAG = "jobs"
_PATH = f"{ROOT}/jobs"
_ONE = f"{_PATH}/{{job}}"
_ID = re.compile(r"job_([1-9][0-9]{0,17})")

State = Literal["waiting", "scheduled", "ready", "running", "dead"]


class ListJobs(Paging):
    """Which jobs."""

    state: State | None = None


class JobView(Identified):
    """A job that is not done: how often it failed, and how often its worker died under it. A dead one waits for a person."""

    kind: str
    state: State
    run_at: datetime
    failures: int
    rescues: int
    error: str | None
    created_at: datetime


async def list_jobs(call: Call[None, ListJobs]) -> Page[JobView]:
    """The oldest first."""
    rows = await call.read(job_rows, state=call.query.state, after=(call.after(1) or (0,))[0], limit=call.limit + 1)
    return call.page(Page[JobView], rows, _shown, lambda row: (row.id,))


async def read_job(call: Call[None, None]) -> JobView:
    """One of them."""
    return _shown(await call.read(job_row, _key(call.ids["job"])))


async def retry(call: Call[None, None]) -> JobView:
    """With all its tries."""

    def work(tx: SystemTx) -> JobView:
        own = tx.for_owner(call.owner_id)
        job = dead_job(own, call.ids["job"])
        retry_dead(tx, job.id, now=call.now)
        return _shown(job_row(own, job.id))

    return await call.commit_across(work)


async def discard(call: Call[None, None]) -> None:
    """What it was for is not done."""

    def work(tx: SystemTx) -> None:
        discard_dead(tx, dead_job(tx.for_owner(call.owner_id), call.ids["job"]).id)

    await call.commit_across(work)


def dead_job(tx: OwnerTx, public: str) -> JobRow:
    """The job that is called this. NotFound; Problem unless it is dead."""
    job = job_row(tx, _key(public))
    if job.state != "dead":
        raise Problem(WRONG_STATE, f"the job is {job.state}: only a dead one is run again or discarded")
    return job


def _key(public: str) -> int:
    match = _ID.fullmatch(public)
    if match is None:
        raise NotFound(f"no job {public}")
    return int(match[1])


def public_id_of_job(job: JobRow) -> str:
    """What a job is called outside."""
    return f"job_{job.id}"


def _shown(job: JobRow) -> JobView:
    return JobView.model_validate(
        {
            "id": public_id_of_job(job),
            "kind": job.kind,
            "state": job.state,
            "run_at": at(job.run_at),
            "failures": job.failures,
            "rescues": job.rescues,
            "error": job.error,
            "created_at": at(job.created_at),
        }
    )


ROUTES = (
    Route("GET", _PATH, list_jobs, "List jobs that are not done", _TAG, {200: Page[JobView]}, action="jobs.read", query=ListJobs),
    Route("GET", _ONE, read_job, "Read a job", _TAG, {200: JobView}, action="jobs.read"),
    Route(
        "POST",
        f"{_ONE}/retry",
        retry,
        "Run a dead job again",
        _TAG,
        {200: JobView},
        action="jobs.retry",
        problems=(WRONG_STATE,),
    ),
    Route("DELETE", _ONE, discard, "Discard a dead job", _TAG, {204: None}, action="jobs.delete", problems=(WRONG_STATE,)),
)
