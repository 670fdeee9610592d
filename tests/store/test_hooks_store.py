"""An endpoint is its owner's own, and what it is owed is tried again until it arrived or there is no hope."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.store.house import BROKEN, FINE, GONE, NOW, URL, House, open_house
from wtai.clock import DAY, HOUR, SECOND
from wtai.errors import NotFound, StaleVersion
from wtai.hooks import deliveries_store as deliveries
from wtai.hooks import endpoints_store as endpoints
from wtai.hooks.model import MAX_ENDPOINTS, ROTATION_MS, SCHEDULE_MS, SECRETS_FIELD, EndpointDisabled, InvalidEndpoint, Outcome
from wtai.hooks.model import Status as Delivered
from wtai.sealed_store import SEALED, reseal_batch
from wtai.secrets import Key, Sealer, read_key_file


@pytest.fixture
async def house(data_dir: Path) -> AsyncIterator[House]:
    async with open_house(data_dir) as opened:
        yield opened


async def test_one_run_is_owed_however_much_is_told(house: House) -> None:
    await house.connect()
    for _ in range(5):
        await house.hear()
    assert await house.next_run() == NOW


async def test_what_failed_is_due_again_later_each_time_and_dead_after_the_last_try(house: House) -> None:
    await house.connect(1, "message.received")
    await house.hear()
    now = NOW
    for wait in SCHEDULE_MS:
        assert await house.try_now(BROKEN, now) is Delivered.FAILED
        (row,) = await house.rows("SELECT next_at FROM webhook_deliveries")
        assert wait <= row["next_at"] - now <= wait * 1.2
        assert await house.try_now(FINE, row["next_at"] - 1) is None
        now = row["next_at"]
    assert await house.try_now(BROKEN, now) is Delivered.DEAD
    assert now - NOW > 3 * DAY
    [kept] = await house.database.read(1, deliveries.deliveries, status=Delivered.DEAD, limit=10)
    assert (kept.attempts, kept.last_status, kept.last_error) == (len(SCHEDULE_MS) + 1, 500, "HTTP status 500")


async def test_what_failed_holds_up_none_behind_it(house: House) -> None:
    await house.connect(1, "message.received")
    await house.hear("a")
    await house.hear("b")
    assert [await house.try_now(outcome) for outcome in (BROKEN, FINE, FINE)] == ["failed", "delivered", None]


async def test_after_a_run_the_next_one_is_owed_when_the_next_try_is(house: House) -> None:
    await house.connect(1, "message.received")
    await house.hear()
    await house.start_run()
    await house.try_now(BROKEN)
    await house.database.write(1, deliveries.owe_rest, 1, now=NOW)
    (row,) = await house.rows("SELECT next_at FROM webhook_deliveries")
    assert await house.next_run() == row["next_at"]
    await house.hear(now=NOW + 1)
    assert await house.next_run() == NOW + 1, "what is new does not wait for it"


@pytest.mark.parametrize(("status", "wait"), [(429, HOUR), (503, HOUR), (500, 5 * SECOND)])
async def test_who_asks_for_a_pause_gets_it_for_all_that_is_owed(house: House, status: int, wait: int) -> None:
    await house.connect(1, "message.received")
    await house.hear("a")
    await house.hear("b")
    await house.try_now(Outcome(status, "…", HOUR))
    assert await house.try_now(FINE) == (Delivered.DELIVERED if status == 500 else None)
    (row,) = await house.rows("SELECT next_at FROM webhook_deliveries WHERE status = 'failed'")
    assert wait <= row["next_at"] - NOW <= wait * 1.2
    assert await house.try_now(FINE, row["next_at"]) is Delivered.DELIVERED


async def test_a_wait_of_more_than_a_day_is_a_day(house: House) -> None:
    await house.connect(1, "message.received")
    await house.hear()
    await house.try_now(Outcome(429, "…", 1_000 * DAY))
    (row,) = await house.rows("SELECT next_at FROM webhook_deliveries")
    assert row["next_at"] == NOW + DAY


async def test_410_disables_the_endpoint_and_ends_all_it_is_owed(house: House) -> None:
    public = await house.connect(1, "message.received")
    for _ in range(3):
        await house.hear()
    assert await house.try_now(GONE) is Delivered.DEAD
    await house.hear()
    rows = await house.rows("SELECT status, last_status FROM webhook_deliveries ORDER BY id")
    assert [(row["status"], row["last_status"]) for row in rows] == [("dead", 410), ("dead", None), ("dead", None)]
    found = await house.database.read(1, endpoints.endpoint, public)
    assert (found.status, found.disabled_reason) == ("disabled", "gone")
    with pytest.raises(EndpointDisabled):
        await house.database.write(1, deliveries.replay_failed, since=0, endpoint_id=public, now=NOW)
    assert await house.database.write(1, deliveries.replay_failed, since=0, now=NOW) == 0


async def test_a_late_410_of_a_url_that_was_replaced_disables_nothing(house: House) -> None:
    public = await house.connect(1, "message.received")
    await house.hear()
    due = await house.database.read(1, deliveries.first_due, 1, now=NOW)
    assert due is not None
    await house.database.write(1, endpoints.update_endpoint, public, url="https://example.com/new", egress=house.egress, now=NOW)
    await house.database.write(1, deliveries.record, due, GONE, now=NOW)
    assert (await house.database.read(1, endpoints.endpoint, public)).status == "active"


async def test_a_replay_keeps_the_id_and_starts_the_tries_anew(house: House) -> None:
    await house.connect(1, "message.received")
    await house.hear()
    await house.start_run()
    await house.try_now(FINE)
    [done] = await house.database.read(1, deliveries.deliveries, limit=10)
    again = await house.database.write(1, deliveries.replay, done.public_id, now=NOW + HOUR)
    assert (again.status, again.attempts, again.next_at, again.event_id) == ("pending", 0, NOW + HOUR, done.event_id)
    assert await house.next_run() == NOW + HOUR
    due = await house.database.read(1, deliveries.first_due, 1, now=NOW + HOUR)
    assert due is not None and due.event_id == done.event_id


async def test_all_that_failed_since_a_time_is_replayed_and_nothing_else(house: House) -> None:
    await house.connect(1, "message.received")
    for hour, outcome in enumerate((BROKEN, BROKEN, FINE)):
        await house.hear(now=NOW + hour * HOUR)
        row = (await house.rows("SELECT max(id) AS id FROM webhook_deliveries"))[0]
        due = await house.database.read(1, deliveries.first_due, 1, now=NOW + hour * HOUR)
        assert due is not None
        await house.database.write(1, deliveries.record, replace(due, id=row["id"], attempts=0), outcome, now=NOW)
    assert await house.database.write(1, deliveries.replay_failed, since=NOW + 1, now=NOW + DAY) == 1
    rows = await house.rows("SELECT status FROM webhook_deliveries ORDER BY id")
    assert [row["status"] for row in rows] == ["failed", "pending", "delivered"]


async def test_a_try_that_ends_after_its_delivery_was_replayed_changes_nothing(house: House) -> None:
    await house.connect(1, "message.received")
    await house.hear()
    await house.try_now(BROKEN)
    late = await house.database.read(1, deliveries.first_due, 1, now=NOW + DAY)
    assert late is not None and late.attempts == 1
    [one] = await house.database.read(1, deliveries.deliveries, limit=1)
    await house.database.write(1, deliveries.replay, one.public_id, now=NOW)
    await house.database.write(1, deliveries.record, late, BROKEN, now=NOW)
    assert (await house.database.read(1, deliveries.delivery, one.public_id)).attempts == 0


async def test_what_arrived_is_forgotten_after_thirty_days_and_what_did_not_is_kept(house: House) -> None:
    await house.connect(1, "message.received")
    await house.hear("a")
    await house.hear("b")
    await house.try_now(FINE)
    await house.try_now(BROKEN)
    await house.database.write(1, deliveries.owe_rest, 1, now=NOW + 31 * DAY)
    assert [one.status for one in await house.database.read(1, deliveries.deliveries, limit=10)] == ["failed"]


async def test_another_owner_finds_changes_and_replays_nothing(house: House) -> None:
    public = await house.connect(1)
    await house.hear()
    [first, *_] = await house.database.read(1, deliveries.deliveries, limit=10)
    assert await house.database.read(2, endpoints.endpoints) == []
    assert await house.database.read(2, deliveries.deliveries, limit=10) == []
    assert await house.database.read(2, deliveries.first_due, 1, now=NOW) is None
    assert await house.database.write(2, deliveries.replay_failed, since=0, now=NOW) == 0
    with pytest.raises(NotFound):
        await house.database.read(2, deliveries.delivery, first.public_id)
    with pytest.raises(NotFound):
        await house.database.write(2, deliveries.replay, first.public_id, now=NOW)
    with pytest.raises(NotFound):
        await house.database.write(2, endpoints.update_endpoint, public, active=False, egress=house.egress, now=NOW)
    with pytest.raises(NotFound):
        await house.database.write(2, endpoints.rotate_secret, public, sealer=house.sealer, now=NOW)
    with pytest.raises(NotFound):
        await house.database.write(2, endpoints.delete_endpoint, public)


@pytest.mark.parametrize(
    ("url", "events", "pointer"),
    [
        ("http://example.com/", ["job.dead"], "/url"),
        ("https://127.0.0.1/", ["job.dead"], "/url"),
        ("https://user:pass@example.com/", ["job.dead"], "/url"),
        ("https://example.com:8443/", ["job.dead"], "/url"),
        ("nonsense", ["job.dead"], "/url"),
        (URL, [], "/events"),
        (URL, ["job.dead", "job.done"], "/events/1"),
    ],
)
async def test_what_cannot_be_an_endpoint_is_refused_with_the_place(
    house: House, url: str, events: list[str], pointer: str
) -> None:
    with pytest.raises(InvalidEndpoint) as refused:
        await house.connect(1, *(events or ["-"]), url=url) if events else await house.database.write(
            1, endpoints.create_endpoint, url, [], sealer=house.sealer, egress=house.egress, now=NOW
        )
    assert refused.value.pointer == pointer


async def test_an_owner_has_a_limited_number_of_endpoints(house: House) -> None:
    for _ in range(MAX_ENDPOINTS):
        await house.connect()
    with pytest.raises(InvalidEndpoint):
        await house.connect()
    await house.connect(2)


async def test_a_change_needs_the_version_it_read(house: House) -> None:
    public = await house.connect()
    changed = await house.database.write(
        1, endpoints.update_endpoint, public, events=["job.dead"], version=1, egress=house.egress, now=NOW
    )
    assert (changed.version, changed.events, changed.url) == (2, ("job.dead",), URL)
    with pytest.raises(StaleVersion):
        await house.database.write(1, endpoints.update_endpoint, public, version=1, egress=house.egress, now=NOW)
    with pytest.raises(StaleVersion):
        await house.database.write(1, endpoints.delete_endpoint, public, version=1)
    await house.database.write(1, endpoints.delete_endpoint, public, version=2)
    with pytest.raises(NotFound):
        await house.database.read(1, endpoints.endpoint, public)


async def test_a_disabled_endpoint_is_told_nothing_new_and_gets_the_rest_when_it_is_active_again(house: House) -> None:
    public = await house.connect(1, "message.received")
    await house.hear("a")
    off = await house.database.write(1, endpoints.update_endpoint, public, active=False, egress=house.egress, now=NOW)
    assert (off.status, off.disabled_reason) == ("disabled", "asked")
    await house.hear("b")
    assert await house.try_now(FINE) is None
    on = await house.database.write(1, endpoints.update_endpoint, public, active=True, egress=house.egress, now=NOW)
    assert (on.status, on.disabled_reason) == ("active", None)
    assert [await house.try_now(FINE), await house.try_now(FINE)] == ["delivered", None]


async def test_a_secret_is_sealed_and_the_one_before_it_signs_for_a_day(house: House) -> None:
    public = await house.connect(1, "message.received")
    await house.hear()
    issued = await house.database.write(1, endpoints.rotate_secret, public, sealer=house.sealer, now=NOW)
    (row,) = await house.rows("SELECT secrets FROM webhook_endpoints")
    assert issued.secret not in row["secrets"] + repr(issued)
    during = await house.database.read(1, deliveries.first_due, 1, now=NOW + ROTATION_MS - 1)
    after = await house.database.read(1, deliveries.first_due, 1, now=NOW + ROTATION_MS)
    assert during is not None and after is not None
    assert len(during.secrets) == 2
    opened = [house.sealer.unseal(1, SECRETS_FIELD, sealed) for sealed in after.secrets]
    assert opened == [issued.secret]


async def test_a_rotation_of_the_key_file_seals_secrets_anew(house: House) -> None:
    await house.connect()
    await house.database.write(
        1, endpoints.rotate_secret, (await house.database.read(1, endpoints.endpoints))[0].public_id, sealer=house.sealer, now=NOW
    )
    before = await house.rows("SELECT secrets FROM webhook_endpoints")
    rotated = Sealer(Key("new00000", b"n" * 32), read_key_file(house.key_file))
    [column] = [column for column in SEALED if column.field == SECRETS_FIELD]
    assert (await house.database.system_write(reseal_batch, rotated, column, 0)).resealed == 1
    (after,) = await house.rows("SELECT secrets FROM webhook_endpoints")
    alone = Sealer(Key("new00000", b"n" * 32))
    opened = [alone.unseal(1, SECRETS_FIELD, sealed) for sealed in json.loads(after["secrets"])]
    assert opened == [house.sealer.unseal(1, SECRETS_FIELD, sealed) for sealed in json.loads(before[0]["secrets"])]
