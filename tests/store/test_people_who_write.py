"""The people of an owner as staff look them up, and the actions of its audit log: by their indexes, however many there are."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.store.privacy import Place, open_place
from wtai.clock import SystemClock
from wtai.db.tx import OwnerTx
from wtai.identity.audit_store import SYSTEM, audit, audit_actions, audit_entries
from wtai.identity.people_store import people_who_write

MANY = 3_000


@pytest.fixture
async def place(data_dir: Path) -> AsyncIterator[Place]:
    async with open_place(data_dir) as opened:
        yield opened


async def test_pages_of_people_follow_each_other_without_gaps_and_without_staff(place: Place) -> None:
    owner, other = await place.owner("padaria"), await place.owner("oficina")
    people = [await place.person(owner, word) for word in ("Ana", "Bia", "Caio")]
    await place.staff(owner, "Davi", works_on=people[0])
    await place.person(other, "Eva")

    def walk(tx: OwnerTx) -> list[str]:
        first = people_who_write(tx, limit=2)
        rest = people_who_write(tx, before=first[-1].id, limit=2)
        return [one.public_id for one in (*first, *rest)]

    assert await place.database.read(owner[0], walk) == [one.public_id for one in reversed(people)]
    (ana,) = await place.database.read(owner[0], people_who_write, among=[people[0].id], limit=9)
    assert await place.database.read(owner[0], people_who_write, among=[], limit=9) == []
    assert (ana.addresses, ana.last_at is not None) == ((people[0].address,), True)


async def test_a_page_of_many_people_and_the_actions_of_a_long_log_take_a_moment(place: Place) -> None:
    key, _ = await place.owner("padaria")

    def fill(tx: OwnerTx) -> None:
        for number in range(MANY):
            tx.run(
                "INSERT INTO users (owner_id, public_id, role, name, created_at) VALUES (:owner, :public, 'user', :name, 1)",
                public=f"usr_{number}",
                name=f"Pessoa {number}",
            )
            tx.run(
                """
                INSERT INTO user_addresses (owner_id, channel, address, user_id)
                SELECT :owner, 'whatsapp', :address, max(id) FROM users
                """,
                address=f"whatsapp:+55{number}",
            )
            audit(tx, SYSTEM, f"x.{number % 7}", None, now=number)

    await place.database.write(key, fill)
    clock = SystemClock()
    begun = clock.monotonic()
    for _ in range(20):
        await place.database.read(key, people_who_write, limit=51)
        await place.database.read(key, audit_actions)
        await place.database.read(key, audit_entries, action="x.3", limit=51)
    assert clock.monotonic() - begun < 5.0
    assert await place.database.read(key, audit_actions) == [f"x.{number}" for number in range(7)]
