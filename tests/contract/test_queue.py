"""What every queue promises; see wtai.jobs.queue."""

import asyncio

import pytest

from tests.contract.backends import LEASE_MS, House
from wtai.db.tx import OwnerTx
from wtai.errors import GiveUp, NotFound
from wtai.jobs.queue import Job, Queue
from wtai.jobs.store import discard_dead, enqueue, retry_dead


def tags(jobs: list[Job]) -> list[int]:
    return [job.argument("tag") for job in jobs]


async def one(queue: Queue) -> Job:
    jobs = await queue.claim(1)
    assert len(jobs) == 1
    return jobs[0]


async def test_a_job_is_claimed_once_and_gone_when_it_is_complete(house: House) -> None:
    queue = house.connect("a")
    await house.put(tag=7)
    job = await one(queue)
    assert (job.argument("tag"), job.attempt, job.failures, job.rescues) == (7, 1, 0, 0)
    assert await queue.claim(10) == []
    assert await queue.complete([job]) == []
    assert await house.rows() == []


async def test_a_job_exists_only_if_its_transaction_commits(house: House) -> None:
    def decide_and_fail(tx: OwnerTx) -> None:
        enqueue(tx, "note", {"tag": 1}, now=house.clock.now())
        raise LookupError("the decision failed")

    with pytest.raises(LookupError):
        await house.database.write(1, decide_and_fail)
    assert await house.rows() == []


async def test_whoever_lost_a_job_cannot_settle_it(house: House) -> None:
    first, second = house.connect("a"), house.connect("b")
    await house.put()
    lost = await one(first)
    house.clock.advance(LEASE_MS + 1)
    assert await second.reap(orphans=False) == 1
    owned = await one(second)
    assert owned.attempt == lost.attempt + 1
    assert await first.extend([lost]) == [lost]
    assert await first.complete([lost]) == [lost]
    assert not await first.retry(lost, run_at=0, error="late", counts=True)
    assert not await first.bury(lost, "late")
    assert (await house.rows())[0].state == "running"
    assert await second.extend([owned]) == []
    assert await second.complete([owned]) == []


async def test_a_job_that_was_given_back_cannot_be_settled_by_its_earlier_claim(house: House) -> None:
    queue = house.connect("a")
    await house.put()
    job = await one(queue)
    assert await queue.retry(job, run_at=house.clock.now(), error="again", counts=True)
    assert not await queue.retry(job, run_at=house.clock.now(), error="again", counts=True)
    assert await queue.complete([job]) == [job]
    assert (await one(queue)).failures == 1


async def test_completing_together_tells_which_jobs_were_lost(house: House) -> None:
    queue = house.connect("a")
    await house.put(tag=1)
    await house.put(tag=2)
    kept, lost = await queue.claim(2)
    await queue.bury(lost, "meanwhile")
    assert await queue.complete([lost, kept]) == [lost]
    assert await house.states() == ["dead"]


async def test_jobs_of_one_key_run_one_at_a_time_in_order(house: House) -> None:
    queue = house.connect("a")
    for tag in range(5):
        await house.put(key="k", tag=tag)
    ran = []
    while jobs := await queue.claim(10):
        assert len(jobs) == 1
        ran += tags(jobs)
        await queue.complete(jobs)
    assert ran == [0, 1, 2, 3, 4]


async def test_different_keys_and_the_same_key_of_different_owners_run_beside_each_other(house: House) -> None:
    queue = house.connect("a")
    await house.put(key="k", tag=1)
    await house.put(key="l", tag=2)
    await house.put(key="k", owner=2, tag=3)
    assert tags(await queue.claim(10)) == [1, 2, 3]


async def test_a_job_that_waits_for_its_retry_holds_its_key(house: House) -> None:
    queue = house.connect("a")
    await house.put(key="k", tag=1)
    await house.put(key="k", tag=2)
    first = await one(queue)
    await queue.retry(first, run_at=house.clock.now() + 5_000, error="not yet", counts=True)
    assert await queue.claim(10) == []
    house.clock.advance(5_000)
    again = await one(queue)
    assert (again.id, again.failures) == (first.id, 1)
    assert await queue.claim(10) == []
    await queue.complete([again])
    assert tags(await queue.claim(10)) == [2]


async def test_a_retry_that_does_not_count_uses_up_no_failure(house: House) -> None:
    queue = house.connect("a")
    await house.put()
    await queue.retry(await one(queue), run_at=house.clock.now(), error="stopped", counts=False)
    job = await one(queue)
    assert (job.failures, job.attempt) == (0, 2)


async def test_a_dead_job_releases_its_key_and_is_kept_with_its_error(house: House) -> None:
    queue = house.connect("a")
    await house.put(key="k", tag=1)
    await house.put(key="k", tag=2)
    assert await queue.bury(await one(queue), "cannot be done")
    dead = (await house.rows("dead"))[0]
    assert (dead.error, dead.failures, dead.key) == ("cannot be done", 1, "k")
    assert tags(await queue.claim(10)) == [2]


async def test_a_revived_job_starts_afresh_and_goes_before_younger_ones_of_its_key(house: House) -> None:
    queue = house.connect("a")
    for tag in (1, 2, 3):
        await house.put(key="k", tag=tag)
    await queue.bury(await one(queue), "no")
    running = await one(queue)
    dead = (await house.rows("dead"))[0]
    await house.database.system_write(retry_dead, dead.id, now=house.clock.now())
    assert await queue.claim(10) == []
    await queue.complete([running])
    revived = await one(queue)
    assert (revived.argument("tag"), revived.failures, revived.rescues) == (1, 0, 0)


async def test_a_discarded_job_is_gone_and_only_a_dead_one_can_be_discarded_or_revived(house: House) -> None:
    queue = house.connect("a")
    await house.put()
    live = (await house.rows())[0]
    with pytest.raises(NotFound):
        await house.database.system_write(discard_dead, live.id)
    with pytest.raises(NotFound):
        await house.database.system_write(retry_dead, live.id, now=house.clock.now())
    await queue.bury(await one(queue), "no")
    await house.database.system_write(discard_dead, live.id)
    assert await house.rows() == []


async def test_a_delayed_job_starts_when_it_is_due_and_not_before(house: House) -> None:
    queue = house.connect("a")
    await house.put(delay_ms=1_000)
    assert await queue.claim(1) == []
    house.clock.advance(999)
    assert await queue.claim(1) == []
    house.clock.advance(1)
    assert len(await queue.claim(1)) == 1


async def test_a_delayed_head_of_a_key_holds_back_a_due_job_behind_it(house: House) -> None:
    queue = house.connect("a")
    await house.put(key="k", tag=1, delay_ms=1_000)
    await house.put(key="k", tag=2)
    assert await queue.claim(10) == []
    house.clock.advance(1_000)
    first = await queue.claim(10)
    assert tags(first) == [1]
    await queue.complete(first)
    assert tags(await queue.claim(10)) == [2]


async def test_a_delayed_job_behind_another_is_not_due_early(house: House) -> None:
    queue = house.connect("a")
    await house.put(key="k", tag=1)
    await house.put(key="k", tag=2, delay_ms=1_000)
    await queue.complete(await queue.claim(10))
    assert await queue.claim(10) == []
    house.clock.advance(1_000)
    assert tags(await queue.claim(10)) == [2]


async def test_a_unique_job_that_has_not_started_stays_the_only_one(house: House) -> None:
    queue = house.connect("a")
    await house.put(unique_key="u", tag=1)
    await house.put(unique_key="u", tag=2)
    await house.put("other", unique_key="u", tag=3)
    await house.put(unique_key="u", owner=2, tag=4)
    assert tags(await queue.claim(10)) == [1, 3, 4]


async def test_a_unique_job_that_has_started_gets_a_successor(house: House) -> None:
    queue = house.connect("a")
    await house.put(unique_key="u", key="k", tag=1)
    started = await one(queue)
    await house.put(unique_key="u", key="k", tag=2)
    await house.put(unique_key="u", key="k", tag=3)
    await queue.retry(started, run_at=house.clock.now(), error="again", counts=True)
    again = await queue.claim(10)
    assert tags(again) == [1]
    await queue.complete(again)
    assert tags(await queue.claim(10)) == [2]


async def test_a_unique_job_keeps_its_time_unless_it_is_moved(house: House) -> None:
    queue = house.connect("a")
    await house.put(unique_key="u", delay_ms=1_000)
    await house.put(unique_key="u", delay_ms=2_000, move=True)
    await house.put(unique_key="u", delay_ms=100)
    house.clock.advance(1_000)
    assert await queue.claim(1) == []
    house.clock.advance(1_000)
    assert len(await queue.claim(1)) == 1


async def test_a_job_can_be_brought_forward(house: House) -> None:
    queue = house.connect("a")
    await house.put(unique_key="u", delay_ms=60_000)
    assert await queue.claim(1) == []
    await house.put(unique_key="u", move=True)
    assert len(await queue.claim(1)) == 1


async def test_a_job_that_is_moved_behind_another_stays_behind(house: House) -> None:
    queue = house.connect("a")
    await house.put(key="k", tag=1)
    await house.put(key="k", unique_key="u", tag=2)
    await house.put(key="k", unique_key="u", tag=2, delay_ms=1_000, move=True)
    await queue.complete(await queue.claim(10))
    assert await queue.claim(10) == []
    house.clock.advance(1_000)
    assert tags(await queue.claim(10)) == [2]


async def test_the_higher_priority_is_claimed_first_and_the_older_of_equals(house: House) -> None:
    queue = house.connect("a")
    for tag, priority in ((1, -10), (2, 0), (3, 10), (4, 10)):
        await house.put(tag=tag, priority=priority)
    assert [tags(await queue.claim(1)) for _ in range(4)] == [[3], [4], [2], [1]]


async def test_a_lease_that_is_renewed_does_not_run_out(house: House) -> None:
    queue, other = house.connect("a"), house.connect("b")
    await house.put()
    job = await one(queue)
    for _ in range(3):
        house.clock.advance(LEASE_MS - 1)
        assert await queue.extend([job]) == []
        assert await other.reap(orphans=False) == 0
    house.clock.advance(LEASE_MS + 1)
    assert await other.reap(orphans=False) == 1


async def test_a_new_process_takes_over_orphans_at_once_and_leaves_its_own(house: House) -> None:
    await house.put(key="k", tag=1)
    await house.put(tag=2)
    await house.connect("before").claim(10)
    fresh = house.connect("after")
    assert await fresh.reap(orphans=True) == 2
    assert tags(await fresh.claim(10)) == [1, 2]
    assert await fresh.reap(orphans=True) == 0


async def test_the_third_rescue_is_death(house: House) -> None:
    await house.put(key="k", tag=1)
    await house.put(key="k", tag=2)
    for life in range(3):
        job = await one(house.connect(str(life)))
        assert (job.argument("tag"), job.rescues, job.failures) == (1, life, 0)
        assert await house.connect("next").reap(orphans=True) == 1
    assert await house.states() == ["dead", "ready"]
    assert "3 times" in ((await house.rows("dead"))[0].error or "")


async def test_a_job_its_worker_died_under_twice_runs_alone(house: House) -> None:
    await house.put(tag=1)
    for life in ("a", "b"):
        await house.connect(life).claim(1)
        await house.connect("next").reap(orphans=True)
    queue = house.connect("c")
    for tag in range(2, 6):
        await house.put(tag=tag)
    alone = await queue.claim(10)
    assert tags(alone) == [1]
    assert await queue.claim(10) == []
    await queue.complete(alone)
    assert len(await queue.claim(10)) == 4


async def test_a_suspect_waits_for_what_runs_already_and_nothing_new_starts_before_it(house: House) -> None:
    queue = house.connect("a")
    await house.put(tag=1)
    for life in ("x", "y"):
        await house.connect(life).claim(1)
        await house.put(tag=2)
        await queue.reap(orphans=True)
    suspect = await one(queue)
    await queue.retry(suspect, run_at=house.clock.now() + 10, error="later", counts=True)
    beside = await queue.claim(1)
    assert tags(beside) == [2]
    house.clock.advance(10)
    assert await queue.claim(10) == []
    await queue.complete(beside)
    assert tags(await queue.claim(10)) == [1]


async def test_nobody_waits_longer_for_a_suspect_than_it_takes_to_see_what_it_does(house: House) -> None:
    await house.put(tag=1)
    for life in ("a", "b"):
        await house.connect(life).claim(1)
        await house.connect("next").reap(orphans=True)
    queue = house.connect("c")
    await house.put(tag=2)
    assert tags(await queue.claim(10)) == [1]
    assert await queue.claim(10) == []
    house.clock.advance(5_000)
    assert tags(await queue.claim(10)) == [2]


async def test_a_suspect_does_not_wait_for_ever_for_what_runs(house: House) -> None:
    queue = house.connect("c")
    await house.put(tag=1)
    for life in ("a", "b"):
        await house.connect(life).claim(1)
        await house.put(tag=2)
        await queue.reap(orphans=True)
    suspect = await one(queue)
    await queue.retry(suspect, run_at=house.clock.now() + 10, error="later", counts=True)
    assert tags(await queue.claim(1)) == [2]
    house.clock.advance(10)
    assert await queue.claim(10) == []
    house.clock.advance(5_000)
    assert tags(await queue.claim(1)) == [1]
    assert tags(await queue.claim(10)) == [2]


async def test_a_suspect_is_next_however_many_owners_have_work(house: House) -> None:
    await house.put(owner=500, tag=1)
    for life in ("a", "b"):
        await house.connect(life).claim(1)
        await house.connect("next").reap(orphans=True)
    for owner in range(1, 101):
        await house.put(owner=owner, tag=2, priority=10)
    assert tags(await house.connect("c").claim(10)) == [1]


async def test_whoever_was_held_back_by_a_suspect_is_woken_when_it_ends(house: House) -> None:
    queue = house.connect("c")
    await house.put(tag=1)
    for life in ("a", "b"):
        await house.connect(life).claim(1)
        await queue.reap(orphans=True)
    await house.put(tag=2)
    suspect = await queue.claim(10)
    assert await queue.claim(10) == []
    await queue.wait(0)  # what was enqueued
    async with asyncio.timeout(5):
        waiting = asyncio.ensure_future(queue.wait(60))
        await asyncio.sleep(0)
        await queue.complete(suspect)
        await waiting
    assert tags(await queue.claim(10)) == [2]


async def test_death_hands_over_to_a_successor_in_the_same_transaction(house: House) -> None:
    queue = house.connect("a", after_death={"turn": "apologize"})
    await house.put("turn", key="k", tag=9)
    await house.put("turn", key="k", tag=10)
    await queue.bury(await one(queue), "no")
    assert [(row.kind, row.state) for row in await house.rows()] == [
        ("turn", "dead"),
        ("turn", "ready"),
        ("apologize", "waiting"),
    ]
    await queue.complete(await queue.claim(10))
    successor = await one(queue)
    assert (successor.kind, successor.key, successor.argument("tag")) == ("apologize", "k", 9)


async def test_death_by_rescue_hands_over_too(house: House) -> None:
    await house.put("turn", tag=9)
    for life in range(3):
        assert await house.connect(str(life)).claim(1)
        await house.connect("next", after_death={"turn": "apologize"}).reap(orphans=True)
    assert [(row.kind, row.state) for row in await house.rows()] == [("turn", "dead"), ("apologize", "ready")]


async def test_a_payload_nobody_can_read_kills_its_job_and_not_its_rescuer(house: House) -> None:
    await house.put("turn", key="k")
    await house.put("turn", key="k", tag=2)
    await house.database.system_write(lambda tx: tx.run('UPDATE jobs SET payload = \'{"tag": "x\' WHERE id = 1'))
    for life in range(3):
        job = await one(house.connect(str(life)))
        with pytest.raises(GiveUp, match="job 1 \\(turn\\)"):
            job.arguments()
        assert await house.connect("next", after_death={"turn": "apologize"}).reap(orphans=True) == 1
    assert await house.states() == ["dead", "ready"]


async def test_a_missing_argument_is_final(house: House) -> None:
    await house.put()
    with pytest.raises(GiveUp, match="conversation_id"):
        (await one(house.connect("a"))).argument("conversation_id")


async def test_an_idle_worker_is_woken_by_a_new_job(house: House) -> None:
    queue = house.connect("a")
    assert await queue.claim(1) == []
    async with asyncio.timeout(5):
        waiting = asyncio.ensure_future(queue.wait(60))
        await asyncio.sleep(0)
        assert not waiting.done()
        await house.put()
        await waiting
    assert len(await queue.claim(1)) == 1


async def test_a_job_that_came_between_a_claim_and_the_wait_is_not_overslept(house: House) -> None:
    queue = house.connect("a")
    assert await queue.claim(1) == []
    await house.put()
    async with asyncio.timeout(5):
        await queue.wait(60)


async def test_an_idle_worker_is_woken_when_a_delayed_job_becomes_due(house: House) -> None:
    queue = house.connect("a")
    await house.put(delay_ms=20)
    assert await queue.claim(1) == []
    async with asyncio.timeout(5):
        await queue.wait(60)  # what was enqueued
        await queue.wait(60)


async def test_completing_the_head_of_a_key_wakes_for_the_next(house: House) -> None:
    queue = house.connect("a")
    await house.put(key="k")
    await house.put(key="k")
    jobs = await queue.claim(10)
    await queue.wait(0)
    async with asyncio.timeout(5):
        waiting = asyncio.ensure_future(queue.wait(60))
        await asyncio.sleep(0)
        await queue.complete(jobs)
        await waiting
