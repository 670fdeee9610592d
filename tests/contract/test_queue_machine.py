"""Any order of moves, crashes and clock jumps keeps the queue's promises: a state machine against a model of a few lines."""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from tests.contract.backends import BACKENDS, LEASE_MS, House
from wtai.jobs.queue import ALONE_SECONDS, RESCUES_TO_DEATH, Job, Queue
from wtai.jobs.store import JobRow, retry_dead

STEPS_PER_RUN = 50
MOST_JOBS = 12
KEYS = st.sampled_from([None, "k", "l"])
LIVE = ("scheduled", "ready", "running")


@dataclass
class Claim:
    """A job as a worker holds it; ``until`` is when its lease runs out."""

    job: Job
    until: int


@dataclass
class Known:
    """What the model expects of a job that was enqueued and not completed."""

    owner: int
    key: str | None
    failures: int = 0
    rescues: int = 0
    rescued_at: int = 0
    dead: bool = False


@dataclass
class Model:
    """What was promised so far. ``held`` are valid claims, ``lost`` ones that were taken over or settled."""

    jobs: dict[int, Known] = field(default_factory=dict)
    held: dict[int, Claim] = field(default_factory=dict)
    lost: list[Job] = field(default_factory=list)

    def release(self, job_id: int) -> Job:
        job = self.held.pop(job_id).job
        self.lost = [*self.lost[-5:], job]
        return job

    def rescue(self, ids: list[int], now: int) -> None:
        for job_id in ids:
            self.release(job_id)
            known = self.jobs[job_id]
            known.rescues += 1
            known.rescued_at = now
            known.dead = known.rescues >= RESCUES_TO_DEATH


class QueueMachine(RuleBasedStateMachine):
    """Steps of one queue; ``runner`` and ``house`` are shared by all runs, each of which starts with no jobs."""

    runner: asyncio.Runner
    house: House

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.lives = 0
        self.queue: Queue

    @initialize()
    def start(self) -> None:
        self.runner.run(self.house.database.system_write(lambda tx: tx.run("DELETE FROM jobs")))
        self.begin_again()

    @precondition(lambda self: len(self.model.jobs) < MOST_JOBS)
    @rule(
        owner=st.integers(1, 2),
        keys=st.lists(KEYS, min_size=1, max_size=4),
        delay_ms=st.sampled_from([0, 0, 0, 3_000]),
        priority=st.sampled_from([-10, 0, 10]),
    )
    def enqueue(self, owner: int, keys: list[str | None], delay_ms: int, priority: int) -> None:
        for key in keys:
            self.runner.run(self.house.put(owner=owner, key=key, delay_ms=delay_ms, priority=priority))
            newest = self.rows()[-1]
            self.model.jobs[newest.id] = Known(owner, key)

    @precondition(lambda self: any(not known.dead for known in self.model.jobs.values()))
    @rule(limit=st.integers(1, 5))
    def claim(self, limit: int) -> None:
        since = self.house.clock.now() - ALONE_SECONDS * 1_000
        suspects = [job_id for job_id, known in self.model.jobs.items() if known.rescues >= 2 and known.rescued_at > since]
        claimed = self.runner.run(self.queue.claim(limit))
        for job in claimed:
            known = self.model.jobs[job.id]
            assert not known.dead
            assert job.id not in self.model.held, "claimed twice"
            assert (job.failures, job.rescues, job.key) == (known.failures, known.rescues, known.key)
            self.model.held[job.id] = Claim(job, self.house.clock.now() + LEASE_MS)
        if claimed and any(job_id in self.model.held for job_id in suspects):
            assert len(self.model.held) == 1, "a suspect runs alone"

    @precondition(lambda self: self.model.held)
    @rule()
    def extend(self) -> None:
        claims = self.model.held.values()
        assert self.runner.run(self.queue.extend([claim.job for claim in claims])) == []
        for claim in claims:
            claim.until = self.house.clock.now() + LEASE_MS

    @precondition(lambda self: self.model.held)
    @rule(data=st.data())
    def complete(self, data: st.DataObject) -> None:
        job = self.model.release(self.pick(data))
        assert self.runner.run(self.queue.complete([job])) == []
        del self.model.jobs[job.id]

    @precondition(lambda self: self.model.held)
    @rule(data=st.data(), delay_ms=st.sampled_from([0, 2_000]), counts=st.booleans())
    def retry(self, data: st.DataObject, delay_ms: int, counts: bool) -> None:
        job = self.model.release(self.pick(data))
        run_at = self.house.clock.now() + delay_ms
        assert self.runner.run(self.queue.retry(job, run_at=run_at, error="again", counts=counts))
        self.model.jobs[job.id].failures += counts

    @precondition(lambda self: self.model.held)
    @rule(data=st.data())
    def bury(self, data: st.DataObject) -> None:
        job = self.model.release(self.pick(data))
        assert self.runner.run(self.queue.bury(job, "no"))
        known = self.model.jobs[job.id]
        known.dead = True
        known.failures += 1

    @precondition(lambda self: any(known.dead for known in self.model.jobs.values()))
    @rule(data=st.data())
    def revive(self, data: st.DataObject) -> None:
        dead = sorted(job_id for job_id, known in self.model.jobs.items() if known.dead)
        job_id = data.draw(st.sampled_from(dead))
        self.runner.run(self.house.database.system_write(retry_dead, job_id, now=self.house.clock.now()))
        known = self.model.jobs[job_id]
        self.model.jobs[job_id] = Known(known.owner, known.key)

    @precondition(lambda self: self.model.lost)
    @rule(data=st.data())
    def settle_what_was_lost(self, data: st.DataObject) -> None:
        job = data.draw(st.sampled_from(self.model.lost))
        assert self.runner.run(self.queue.extend([job])) == [job]
        assert self.runner.run(self.queue.complete([job])) == [job]
        assert not self.runner.run(self.queue.retry(job, run_at=0, error="late", counts=True))
        assert not self.runner.run(self.queue.bury(job, "late"))

    @precondition(lambda self: self.model.jobs)
    @rule(milliseconds=st.sampled_from([500, 5_000, LEASE_MS // 2, LEASE_MS, LEASE_MS + 1]))
    def let_time_pass(self, milliseconds: int) -> None:
        self.house.clock.advance(milliseconds)

    @precondition(lambda self: self.model.held)
    @rule(hours=st.integers(-48, 48))
    def let_the_clock_jump(self, hours: int) -> None:
        self.house.clock.advance(hours * 3_600_000)

    @precondition(lambda self: self.model.held)
    @rule(later_ms=st.sampled_from([0, LEASE_MS, LEASE_MS + 1]))
    def reap(self, later_ms: int) -> None:
        self.house.clock.advance(later_ms)
        expired = [job_id for job_id, claim in self.model.held.items() if claim.until < self.house.clock.now()]
        assert self.runner.run(self.queue.reap(orphans=False)) == len(expired)
        self.model.rescue(expired, self.house.clock.now())

    @precondition(lambda self: self.model.held)
    @rule()
    def crash(self) -> None:
        self.begin_again()

    def begin_again(self) -> None:
        self.lives += 1
        self.queue = self.house.connect(f"life {self.lives}")
        orphans = list(self.model.held)
        assert self.runner.run(self.queue.reap(orphans=True)) == len(orphans)
        self.model.rescue(orphans, self.house.clock.now())

    @invariant()
    def nothing_is_lost_and_every_key_has_one_head(self) -> None:
        rows = self.rows()
        assert {row.id for row in rows} == set(self.model.jobs)
        assert {row.id for row in rows if row.state == "dead"} == {i for i, known in self.model.jobs.items() if known.dead}
        assert {row.id for row in rows if row.state == "running"} == set(self.model.held)
        for lane in {(row.owner_id, row.key) for row in rows if row.key is not None}:
            jobs = [row for row in rows if (row.owner_id, row.key) == lane and row.state != "dead"]
            heads = [row for row in jobs if row.state in LIVE]
            assert len(heads) == min(1, len(jobs)), "one head, and none behind it without one"

    def teardown(self) -> None:
        """Liveness: once nothing fails any more, every job runs, those of a key in the order of their ids."""
        self.house.clock.advance(1_000 * 24 * 3_600_000)
        self.begin_again()
        left = {job_id for job_id, known in self.model.jobs.items() if not known.dead}
        heads = {(row.owner_id, row.key): row.id for row in self.rows() if row.state in LIVE}
        ran: list[Job] = []
        while jobs := self.runner.run(self.queue.claim(16)):
            assert self.runner.run(self.queue.complete(jobs)) == []
            ran += jobs
        assert {job.id for job in ran} == left
        for lane, head in heads.items():
            if lane[1] is not None:
                order = [job.id for job in ran if (job.owner_id, job.key) == lane]
                assert order == [head, *sorted(set(order) - {head})]

    def pick(self, data: st.DataObject) -> int:
        return int(data.draw(st.sampled_from(sorted(self.model.held))))

    def rows(self) -> list[JobRow]:
        return self.runner.run(self.house.rows())


@pytest.fixture(params=BACKENDS)
def machine(request: pytest.FixtureRequest, data_dir: Path) -> Iterator[type[QueueMachine]]:
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        house = runner.run(stack.enter_async_context(BACKENDS[request.param](data_dir)))
        yield type("Machine", (QueueMachine,), {"runner": runner, "house": house})
        runner.run(stack.aclose())


def test_no_order_of_moves_breaks_a_promise(machine: type[QueueMachine], pytestconfig: pytest.Config) -> None:
    steps = pytestconfig.getoption("--steps", None) or 3_000
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=max(1, steps // STEPS_PER_RUN),
            stateful_step_count=STEPS_PER_RUN,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            database=None,
        ),
    )
