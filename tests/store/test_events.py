"""An event is owed in the transaction of what it tells, to the owner's own endpoints that want it, and to no one else."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from tests.store.house import ANA, NOW, OURS, House, open_house
from wtai.ai.pricing import Price, Quote
from wtai.ai.usage_store import Budgets, Purpose, hold
from wtai.clock import HOUR
from wtai.conversation import handoff, lifecycle, outbox
from wtai.conversation.inbox import receive
from wtai.conversation.model import Inbound, Kind, State, Status, StatusUpdate
from wtai.db.tx import OwnerTx
from wtai.events import DELIVER, job_died
from wtai.identity.plans import PlanLimits
from wtai.identity.plans_store import create_plan, subscribe
from wtai.identity.preferences import Preferences
from wtai.identity.quota import check
from wtai.jobs.queue import Job
from wtai.jobs.sqlite import SqliteQueue
from wtai.jobs.store import enqueue


@pytest.fixture
async def house(data_dir: Path) -> AsyncIterator[House]:
    async with open_house(data_dir) as opened:
        yield opened


async def test_an_owner_without_endpoints_is_owed_nothing_and_no_job(house: House) -> None:
    await house.hear()
    assert await house.told() == []
    assert await house.next_run() is None


async def test_a_message_is_told_with_its_words_to_those_who_want_it(house: House) -> None:
    await house.connect(1, "message.received")
    await house.connect(1, "job.dead")
    await house.connect(2)
    await house.hear("Quero um bolo")
    [event] = await house.told()
    row = (await house.rows("SELECT m.public_id AS m, c.public_id AS c FROM messages m JOIN conversations c"))[0]
    assert (event["type"], event["timestamp"]) == ("message.received", "2027-01-15T08:00:00.000Z")
    data = event["data"]
    assert (data["id"], data["conversation"], data["from"], data["to"]) == (row["m"], row["c"], ANA, OURS)
    assert (data["body"], data["author"], data["truncated"]) == ("Quero um bolo", "user", False)
    assert await house.told(2) == []


async def test_two_endpoints_get_the_same_event_under_one_id(house: House) -> None:
    await house.connect()
    await house.connect()
    await house.hear()
    rows = await house.rows("SELECT event_id, count(*) AS n FROM webhook_deliveries GROUP BY event_id")
    assert [row["n"] for row in rows] == [2, 2]


async def test_an_event_of_what_was_rolled_back_is_not_owed(house: House) -> None:
    await house.connect()

    def work(tx: OwnerTx) -> None:
        receive(tx, Inbound("whatsapp", "SMx", OURS, ANA, (ANA,), (), Kind.TEXT, "oi"), Preferences(), now=NOW)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await house.database.write(1, work)
    assert await house.told() == []
    assert await house.next_run() is None


async def test_a_repeat_of_a_message_is_not_told_again(house: House) -> None:
    await house.connect()
    inbound = Inbound("whatsapp", "SMr", OURS, ANA, (ANA,), (), Kind.TEXT, "oi")
    for _ in range(2):
        await house.database.write(1, receive, inbound, Preferences(), now=NOW)
    assert await house.types() == ["conversation.opened", "message.received"]


async def test_a_payload_stays_below_256_kib_whatever_was_written(house: House) -> None:
    await house.connect(1, "message.received")
    await house.hear("\x01" * 300_000)
    [row] = await house.rows("SELECT length(CAST(payload AS BLOB)) AS size FROM webhook_deliveries")
    assert row["size"] < 256 * 1024
    assert (await house.told())[0]["data"]["truncated"]


async def test_handing_over_and_closing_are_told_with_who_and_why(house: House) -> None:
    await house.connect(1, "conversation.opened", "conversation.handoff", "conversation.closed")
    await house.hear()
    await house.database.write(1, handoff.take_over, await house.conversation(), now=NOW)
    await house.database.write(1, handoff.close, await house.conversation(), now=NOW + HOUR)
    opened, taken, closed = (event["data"] for event in await house.told())
    assert await house.types() == ["conversation.opened", "conversation.handoff", "conversation.closed"]
    assert (opened["state"], opened["previous_state"], opened["closed_at"]) == ("PENDING", None, None)
    assert (taken["state"], taken["actor"], taken["reason"]) == ("HANDOFF", "staff", "taken by staff")
    assert (closed["state"], closed["previous_state"]) == ("SUPPORT_CLOSED", "HANDOFF")
    assert closed["closed_at"] == "2027-01-15T09:00:00.000Z"


@pytest.mark.parametrize("final", sorted(set(State) - lifecycle.OPEN))
async def test_every_end_of_a_conversation_is_told(house: House, final: State) -> None:
    await house.hear()
    await house.connect(1, "conversation.closed")
    read = await house.conversation()
    await house.database.write(1, lifecycle.move, read, final, actor="system", reason="test", now=NOW)
    assert [event["data"]["state"] for event in await house.told()] == [final]


async def _reply(house: House) -> int:
    """A message on its way: the provider is being called."""
    await house.hear()
    read = await house.conversation()
    await house.database.write(1, outbox.put, read, ["Olá"], author="staff", ai_result_id=None, now=NOW)
    (row,) = await house.rows("SELECT id FROM messages WHERE direction = 'outbound'")
    await house.database.write(1, outbox.start, row["id"], now=NOW)
    return int(row["id"])


@pytest.mark.parametrize(
    ("updates", "told"),
    [
        ([Status.SENT], ["message.sent sent"]),
        ([Status.SENT, Status.DELIVERED, Status.READ], ["message.sent sent", "message.status delivered", "message.status read"]),
        ([Status.READ, Status.DELIVERED, Status.SENT], ["message.sent read", "message.status read"]),
        ([Status.SENT, Status.SENT], ["message.sent sent"]),
        ([Status.SENT, Status.UNDELIVERED], ["message.sent sent", "message.status undelivered"]),
        ([Status.FAILED], ["message.status failed"]),
        ([Status.QUEUED], ["message.sent sent"]),
    ],
)
async def test_a_message_is_told_as_sent_once_and_then_by_each_step_forward(
    house: House, updates: Sequence[Status], told: list[str]
) -> None:
    message_id = await _reply(house)
    await house.connect(1, "message.sent", "message.status")
    (row,) = await house.rows(f"SELECT public_id FROM messages WHERE id = {message_id}")
    for status in updates:
        update = StatusUpdate("SMout", status, row["public_id"])
        await house.database.write(1, outbox.update_status, update, now=NOW)
    await house.database.write(1, outbox.accepted, message_id, "SMout", now=NOW)
    assert [f"{event['type']} {event['data']['status']}" for event in await house.told()] == told


async def test_what_was_refused_unknown_or_canceled_is_told(house: House) -> None:
    message_id = await _reply(house)
    await house.connect(1, "message.status")
    await house.database.write(1, outbox.unknown, message_id, now=NOW)
    await house.database.write(1, outbox.accepted, message_id, "SMout", now=NOW)
    read = await house.conversation()
    await house.database.write(1, outbox.put, read, ["a", "b"], author="agent", ai_result_id=None, now=NOW)
    await house.database.write(1, handoff.take_over, await house.conversation(), now=NOW)
    told = [(event["data"]["status"], event["data"]["body"]) for event in await house.told()]
    assert told == [("unknown", "Olá"), ("canceled", "a"), ("canceled", "b")]


async def test_a_refusal_is_told_with_its_code(house: House) -> None:
    message_id = await _reply(house)
    await house.connect(1, "message.status")
    await house.database.write(1, outbox.failed, message_id, 63016, None, now=NOW)
    assert [event["data"]["error_code"] for event in await house.told()] == [63016]


class FixedClock:
    def now(self) -> int:
        return NOW

    def monotonic(self) -> float:
        return 0.0


@pytest.mark.parametrize("dies_by", ["burial", "three deaths of its worker"])
async def test_a_dead_job_is_told_to_its_own_owner(house: House, dies_by: str) -> None:
    await house.connect(1)
    await house.connect(2)
    await house.database.write(2, enqueue, "send_message", {"message_id": 7}, now=NOW)
    for worker in ("a", "b", "c", "d"):
        queue = SqliteQueue(house.database, FixedClock(), worker=worker, lease_ms=1_000, on_death=job_died)
        await queue.reap(orphans=True)
        for job in await queue.claim(1):
            if dies_by == "burial":
                await queue.bury(job, "the account is closed")
    assert await house.types(1) == []
    [event] = await house.told(2)
    assert (event["type"], event["data"]["kind"]) == ("job.dead", "send_message")
    assert event["data"]["error"].startswith("the account is closed" if dies_by == "burial" else "its worker died")


async def test_a_dead_job_that_delivers_brings_forth_no_other(house: House) -> None:
    await house.connect()
    job = Job(1, 1, DELIVER, None, "{}", 1, 0, 0)
    await house.database.system_write(job_died, job, "died", now=NOW)
    assert await house.told() == []


async def test_a_budget_that_is_reached_is_told_once_in_its_period(house: House) -> None:
    await house.hear()
    await house.connect(1, "budget.reached")
    quote = Quote("m", Price(1_000_000, 0, 1_000_000), 1_000, 100, 100)
    (row,) = await house.rows("SELECT id, public_id FROM users WHERE owner_id = 1")
    purpose = Purpose(row["id"], "general", "2027-01-15")
    for budgets in (Budgets(month=1), Budgets(month=1), Budgets(user_day=1)):
        await house.database.write(1, hold, purpose, budgets, [quote], now=NOW)
    of_month, of_day = (event["data"] for event in await house.told())
    assert of_month == {"budget": "month", "period": "2027-01", "user": None, "resets_at": "2027-02-01T00:00:00.000Z"}
    assert (of_day["budget"], of_day["user"], of_day["period"]) == ("user_day", row["public_id"], "2027-01-15")


@pytest.mark.parametrize("at_limit", ["handoff", "stop", "allow"])
async def test_a_plans_limit_that_is_reached_is_told_once_in_its_period_whatever_the_plan_wants(
    house: House, at_limit: str
) -> None:
    await house.connect(1, "budget.reached")
    await house.hear()
    user = (await house.rows("SELECT id, public_id FROM users WHERE role = 'user' AND owner_id = 1"))[0]
    limits = PlanLimits.model_validate({"messages_per_user_day": 0, "at_limit": at_limit})
    plan = await house.database.system_write(create_plan, "small", limits, now=NOW)
    await house.database.write(1, subscribe, plan, now=NOW)
    for _ in range(3):
        await house.database.write(1, check, user["id"], now=NOW)
    [told] = [event["data"] for event in await house.told()]
    assert told == {
        "budget": "messages_per_user_day",
        "period": "2027-01-15",
        "user": user["public_id"],
        "resets_at": "2027-01-16T00:00:00.000Z",
    }
    await house.database.write(1, check, user["id"], now=NOW + 24 * HOUR)
    assert len(await house.told()) == 1, "nothing was written the next day"
