"""kill -9 wherever it hurts: what was acknowledged is answered exactly once, in order, whatever happens to the process.

The program runs as a process, restarted by the test as by a supervisor. Customers keep writing meanwhile; what is not
acknowledged is delivered again. The judge compares what was acknowledged with what the fake Twilio took.
"""

import asyncio
import random
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from tests.faults.ledger import judge
from tests.program import Process, World, open_world, person
from wtai.clock import SystemClock
from wtai.conversation import handoff, store
from wtai.db.sqlite import connect
from wtai.db.tx import OwnerTx
from wtai.db.units import Statements
from wtai.failpoints import NAMES
from wtai.identity.preferences import Preferences
from wtai.simulator.voice import voice_note

Heard = dict[str, list[str]]

# The echo calls no tools, nobody's time is up, nobody is told and no back-up is due: see test_kill_steps.py, test_backup.py and
# flow/test_hooks.py.
AT_WORK = [name for name in NAMES if not name.startswith(("migration.", "tool.", "sweep.", "hook.", "backup."))]
IN_A_TASK = [
    "ack.after_commit",
    "transcribe.after_commit",
    "turn.before_model",
    "turn.after_model",
    "turn.after_commit",
    "send.before_call",
    "send.after_call",
    "send.after_commit",
    "status.after_commit",
]
COVERED_BY_UNKNOWN = """
SELECT coalesce('[áudio transcrito] ' || a.transcript, i.body) AS said FROM messages o
JOIN ai_results r ON r.id = o.ai_result_id
JOIN messages i ON i.conversation_id = r.conversation_id AND i.direction = 'inbound' AND i.id <= r.through_message_id AND i.id > (
    SELECT coalesce(max(e.through_message_id), 0) FROM ai_results e
    WHERE e.conversation_id = r.conversation_id AND e.through_message_id < r.through_message_id
)
LEFT JOIN media a ON a.message_id = i.id
WHERE o.status = 'unknown'
"""
SPOKEN = 8
"""Every eighth message is a voice note. Were it every one, there would always be one that is not heard yet."""
_REST_SECONDS = 180.0
"""How long a backlog may take: on a slow machine customers go on writing for minutes while the program dies and dies."""
SETTINGS = {"worker": {"lease_seconds": 1.5, "shutdown_grace_seconds": 1.0}, "logging": {"level": "debug"}}


@pytest.fixture
async def world(data_dir: Path) -> AsyncIterator[World]:
    async with open_world(data_dir, **SETTINGS) as opened:
        yield opened


@asynccontextmanager
async def writing(world: World, customers: int, pause: float) -> AsyncIterator[Heard]:
    """Customers who write one message after the other, to the end of the block; what of it was acknowledged, in order."""
    heard: Heard = {person(number): [] for number in range(customers)}
    enough = asyncio.Event()

    async def write(who: str, texts: list[str]) -> None:
        while not enough.is_set():
            text = f"{who[-3:]}x{len(texts):04}"
            if len(texts) % SPOKEN == 1:
                await insist_aloud(world, who, text)
                texts.append(f"[áudio transcrito] {text}")
            else:
                await world.insist(who, text)
                texts.append(text)
            await asyncio.sleep(pause)

    async with asyncio.TaskGroup() as group:
        for who, texts in heard.items():
            group.create_task(write(who, texts))
        try:
            yield heard
        finally:
            enough.set()


async def insist_aloud(world: World, who: str, text: str) -> None:
    """As ``world.insist``, with a voice note."""
    async with asyncio.timeout(60):
        result = await world.say(who, "", media=[("audio/ogg", voice_note(text))])
        while result.status != 200:
            await asyncio.sleep(0.05)
            result = await world.twilio.redeliver(result.sid)


async def all_is_answered_once(world: World, heard: Heard) -> Counter[str]:
    """Let the program come to rest, then judge; what was counted on the way.

    A job under which the process died three times is dead: a turn then calls a person, here the test, who hands back at once;
    a send waits for one to try it again. Others of its conversation have overtaken it by then. A message whose send was cut
    short twice is not tried a third time but stays ``unknown``, for a person too: it must not be a double.
    """
    await world.at_rest(seconds=_REST_SECONDS)
    while handed_back(world):
        await world.at_rest(seconds=_REST_SECONDS)
    dead = Counter(f"dead {row['kind']}" for row in world.rows("SELECT kind FROM jobs WHERE state = 'dead'"))
    overtaken = await retried_by_hand(world)
    verdict = judge(heard, world.twilio.accepted)
    verdict.disordered = [text for text in verdict.disordered if not any(text in body for body in overtaken)]
    unknown = {row["said"] for row in world.rows(COVERED_BY_UNKNOWN)}
    verdict.lost = [text for text in verdict.lost if text not in unknown]
    statuses = Counter(row["status"] for row in world.outbound())
    assert verdict.broken == {}, (dead, statuses)
    assert {row["state"] for row in world.rows("SELECT state FROM conversations")} == {"WAITING_USER"}
    assert statuses.keys() <= {"sent", "delivered", "unknown"}
    acknowledged = sum(map(len, heard.values()))
    assert world.value("SELECT count(*) FROM messages WHERE direction = 'inbound'") == acknowledged
    return dead + statuses + Counter(acknowledged=acknowledged, apologized=len(verdict.apologized))


def handed_back(world: World) -> int:
    """Hand every conversation that a person was called for back to the AI; returns how many there were."""
    with closing(connect(world.data_dir / "wtai.db")) as connection:
        connection.execute("BEGIN IMMEDIATE")
        found = connection.execute("SELECT owner_id, id FROM conversations WHERE state = 'HANDOFF'").fetchall()
        for row in found:
            tx = OwnerTx(Statements(connection), set(), row["owner_id"])
            read = store.conversation(tx, row["id"])
            assert read is not None
            handoff.resume(tx, read, Preferences(), now=SystemClock().now())
        connection.execute("COMMIT")
    return len(found)


async def retried_by_hand(world: World) -> list[str]:
    """Try every dead send again, as the operator would; returns what those messages say."""
    dead = world.rows(
        """SELECT j.id, m.body FROM jobs j JOIN messages m ON m.id = CAST(substr(j.payload, 15) AS INTEGER)
        WHERE j.state = 'dead' AND j.kind = 'send_message'"""
    )
    for row in dead:
        world.command("jobs", "retry", str(row["id"]))
    await world.at_rest(seconds=_REST_SECONDS)
    return [row["body"] for row in dead]


async def dies_of_it(process: Process) -> None:
    process.start()
    assert await process.exit_code(seconds=60) == -signal.SIGKILL


async def test_killed_at_one_commit_point_after_the_other_nothing_is_lost_or_doubled(world: World, free_port: int) -> None:
    async with writing(world, 4, 0.02) as heard:
        for name in AT_WORK:
            await dies_of_it(world.process(free_port, failpoints=f"{name}=1:kill"))
        world.process(free_port).start()
    counts = await all_is_answered_once(world, heard)
    print(dict(counts))


@pytest.mark.slow
@pytest.mark.parametrize("name", AT_WORK)
async def test_killed_at_the_first_passages_of_a_commit_point_nothing_is_lost_or_doubled(
    world: World, free_port: int, name: str
) -> None:
    async with writing(world, 4, 0.02) as heard:
        for hit in (1, 2, 3):
            await dies_of_it(world.process(free_port, failpoints=f"{name}={hit}:kill"))
        world.process(free_port).start()
    await all_is_answered_once(world, heard)


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("migration.")])
async def test_killed_in_a_migration_the_schema_is_the_old_or_the_new_one(world: World, free_port: int, name: str) -> None:
    database = world.data_dir / "wtai.db"
    for file in world.data_dir.glob("wtai.db*"):
        file.unlink()
    await dies_of_it(world.process(free_port, failpoints=f"{name}=1:kill"))
    with closing(connect(database)) as connection:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    assert (version, tables > 0) == ((0, False) if name.endswith("before_commit") else (1, True))
    async with world.process(free_port) as process:
        assert process.alive
    assert world.value("SELECT count(*) FROM messages") == 0


async def test_an_error_or_a_cancellation_at_any_point_of_a_task_loses_and_doubles_nothing(world: World, free_port: int) -> None:
    async with writing(world, 3, 0.05) as heard:
        for action in ("raise", "cancel"):
            spec = ";".join(f"{name}=2:{action}" for name in IN_A_TASK)
            async with world.process(free_port, failpoints=spec) as process:
                await asyncio.sleep(1)
                assert process.alive
        world.process(free_port).start()
    await all_is_answered_once(world, heard)


@pytest.mark.parametrize("name", ["claim.before_commit", pytest.param("claim.after_commit", marks=pytest.mark.slow)])
async def test_a_worker_that_fails_ends_the_process_so_that_its_supervisor_starts_it_again(
    world: World, free_port: int, name: str
) -> None:
    async with writing(world, 2, 0.05) as heard:
        process = world.process(free_port, failpoints=f"{name}=2:raise")
        process.start()
        assert await process.exit_code() == 1
        world.process(free_port).start()
    await all_is_answered_once(world, heard)


async def test_sigterm_ends_what_hangs_and_the_next_start_goes_on(world: World, free_port: int) -> None:
    async with writing(world, 4, 0.05) as heard:
        hanging = "ack.after_commit=2:hang;turn.before_model=2:hang;send.after_call=1:hang"
        async with world.process(free_port, failpoints=hanging) as process:
            await asyncio.sleep(0.7)
            process.terminate()
            asked = time.monotonic()
            assert await process.exit_code() == 0
            assert time.monotonic() - asked < 20
        world.process(free_port).start()
    await all_is_answered_once(world, heard)


@pytest.mark.parametrize(("kills", "longest"), [(20, 0.4), pytest.param(200, 0.5, marks=pytest.mark.slow)])
async def test_killed_at_random_moments_under_load_nothing_is_lost_or_doubled(
    world: World, free_port: int, kills: int, longest: float
) -> None:
    seed = random.randrange(1_000_000)
    print(f"seed {seed}")
    chance = random.Random(seed)
    async with writing(world, 6, 0.25) as heard:
        for _ in range(kills):
            process = world.process(free_port)
            process.start()
            if chance.random() < 0.2:  # a kill during the start must do no harm either
                await asyncio.sleep(chance.uniform(0, 0.5))
            else:
                await process.ready()
                await asyncio.sleep(chance.uniform(0, longest))
            assert process.alive
            process.kill()
        world.process(free_port).start()
    counts = await all_is_answered_once(world, heard)
    print(dict(counts))
    assert counts["acknowledged"] > kills
    sends = counts["sent"] + counts["delivered"] + counts["unknown"]
    assert counts["unknown"] <= max(3, sends // 20)
