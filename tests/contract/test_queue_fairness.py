"""What every queue promises about whose turn it is, and what that costs."""

from collections import Counter

from tests.contract.backends import House
from wtai.db.tx import SystemTx
from wtai.jobs.queue import Job


def fill(tx: SystemTx, now: int, jobs: int, keys: int, owners: int) -> None:
    """Backlogs of ``jobs`` in ``keys``, written as enqueueing them would have."""
    tx.run(
        """
        WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :jobs), placed(i, lane) AS (
            -- those that wait come in the reverse order of their keys, so that the next of a key is far from its head
            SELECT i, CASE WHEN NOT :keys OR i < :keys THEN i ELSE :keys - 1 - i % :keys END FROM n
        )
        INSERT INTO jobs (owner_id, kind, key, payload, run_at, created_at, state)
        SELECT 1 + lane % :owners, 'note', CASE WHEN :keys THEN 'k' || lane END, '{"tag":1}', :now, :now,
            CASE WHEN i < :keys OR NOT :keys THEN 'ready' ELSE 'waiting' END
        FROM placed ORDER BY i
        """,
        jobs=jobs,
        keys=keys,
        owners=owners,
        now=now,
    )


def owners(jobs: list[Job]) -> Counter[int]:
    return Counter(job.owner_id for job in jobs)


async def test_one_job_beside_ten_thousand_of_another_owner_is_in_the_next_claim(house: House) -> None:
    queue = house.connect("a")
    await house.database.system_write(fill, house.clock.now(), 10_000, 0, 1)
    assert owners(await queue.claim(16)) == {1: 16}
    await house.put(owner=2)
    assert owners(await queue.claim(2)) == {1: 1, 2: 1}


async def test_the_next_free_slot_goes_to_the_owner_with_the_fewest_running(house: House) -> None:
    queue = house.connect("a")
    await house.database.system_write(fill, house.clock.now(), 10_000, 0, 1)
    running = await queue.claim(16) + await queue.claim(16)
    await house.put(owner=2)
    await queue.complete(running[:1])
    assert owners(await queue.claim(1)) == {2: 1}


async def test_free_slots_are_shared_evenly_between_owners(house: House) -> None:
    await house.database.system_write(fill, house.clock.now(), 4_000, 0, 4)
    assert owners(await house.connect("a").claim(16)) == {1: 4, 2: 4, 3: 4, 4: 4}


async def test_every_owner_is_served_within_one_round_however_many_there_are(house: House) -> None:
    queue = house.connect("a")
    await house.database.system_write(fill, house.clock.now(), 3_000, 0, 300)
    served: Counter[int] = Counter()
    claims = 0
    while len(served) < 300:
        jobs = await queue.claim(16)
        served += owners(jobs)
        await queue.complete(jobs)
        claims += 1
    assert claims <= 300 / 16 + 2, served


async def test_owners_that_cannot_use_their_share_do_not_keep_slots_from_others(house: House) -> None:
    queue = house.connect("a")
    await house.database.system_write(fill, house.clock.now(), 1_000, 0, 1)
    await house.put(owner=2, priority=10)
    assert owners(await queue.claim(16)) == {1: 15, 2: 1}


async def test_one_urgent_job_lends_no_urgency_to_the_rest_of_its_owner(house: House) -> None:
    await house.database.system_write(fill, house.clock.now(), 200, 0, 2)
    await house.put(owner=1, priority=10)
    claimed = await house.connect("a").claim(17)
    assert owners(claimed) in ({1: 8, 2: 9}, {1: 9, 2: 8})
    assert await house.rows("ready") and 201 in [job.id for job in claimed]


async def test_moves_cost_the_same_with_a_hundred_thousand_jobs_as_with_a_hundred(house: House) -> None:
    async def work() -> list[int]:
        queue = house.connect("a")
        spent = []
        async with house.work() as counted:
            jobs = await queue.claim(16)
            spent.append(counted.take())
            await queue.extend(jobs)
            spent.append(counted.take())
            await house.put(key="k0", unique_key="u", delay_ms=1_000)
            await house.put(key="k0", unique_key="u", move=True)
            spent.append(counted.take())
            await queue.retry(jobs[0], run_at=house.clock.now() + 60_000, error="later", counts=True)
            await queue.bury(jobs[1], "no")
            await queue.complete(jobs[2:])
            spent.append(counted.take())
            await queue.reap(orphans=False)
            spent.append(counted.take())
        assert len(jobs) == 16
        return spent

    await house.database.system_write(fill, house.clock.now(), 100, 20, 10)
    small = await work()
    await house.database.system_write(lambda tx: tx.run("DELETE FROM jobs"))
    await house.database.system_write(fill, house.clock.now(), 100_000, 10_000, 10)
    large = await work()
    assert min(small) > 0
    assert all(after <= 2 * before for before, after in zip(small, large, strict=True)), (small, large)
