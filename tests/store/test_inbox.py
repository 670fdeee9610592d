"""A message that comes in is kept once, for the right person, in their one open conversation, and is owed one turn."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.schema import new_database
from wtai.ai.memory.window import Windows
from wtai.ai.owed import read_owed
from wtai.conversation import lifecycle, store
from wtai.conversation.inbox import TURN, Received, receive
from wtai.conversation.model import Conversation, Inbound, InboundMedia, Kind, State
from wtai.db.sqlite import SqliteDatabase, driver
from wtai.db.tx import OwnerTx, SystemTx
from wtai.errors import InvalidTransition, StaleVersion
from wtai.identity.preferences import Preferences
from wtai.identity.store import create_owner
from wtai.jobs.store import JobRow, list_jobs

NOW = 1_800_000_000_000
QUIET_MS = 1_500
CAP_MS = 8_000
OURS = "whatsapp:+551140001234"
WITH_NINE, WITHOUT_NINE = "whatsapp:+5511987654321", "whatsapp:+551187654321"


def message(sid: str, address: str = WITH_NINE, *, identities: tuple[str, ...] | None = None, body: str = "oi") -> Inbound:
    return Inbound(
        channel="whatsapp",
        provider_sid=sid,
        our_address=OURS,
        reply_to=address,
        identities=identities or (address,),
        lookup=(),
        kind=Kind.TEXT,
        body=body,
    )


@pytest.fixture
async def database(data_dir: Path) -> AsyncIterator[SqliteDatabase]:
    path = data_dir / "wtai.db"
    new_database(path)
    opened = await SqliteDatabase.open(path)
    for name in ("Casa", "Loja"):
        await opened.system_write(create_owner, name, "pt-BR", now=NOW)
    yield opened
    await opened.close()


async def take(
    database: SqliteDatabase, inbound: Inbound, *, owner: int = 1, now: int = NOW, quiet_ms: int = QUIET_MS
) -> Received:
    return await database.write(owner, receive, inbound, Preferences(burst_quiet_ms=quiet_ms), now=now)


async def count(database: SqliteDatabase, table: str) -> int:
    return await database.system_read(lambda tx: int(tx.all(f"SELECT count(*) AS n FROM {table}")[0]["n"]))


async def jobs(database: SqliteDatabase) -> list[JobRow]:
    return list(await database.system_read(list_jobs, state=None, limit=100))


async def conversation(database: SqliteDatabase, received: Received, owner: int = 1) -> Conversation:
    assert received.conversation_id is not None
    found = await database.read(owner, store.conversation, received.conversation_id)
    assert found is not None
    return found


async def person_of(database: SqliteDatabase, received: Received) -> int:
    return (await conversation(database, received)).user_id


async def move(database: SqliteDatabase, received: Received, *states: State) -> None:
    for state in states:
        read = await conversation(database, received)
        await database.write(1, lifecycle.move, read, state, actor="system", reason="test", now=NOW)


async def test_repeats_that_race_are_kept_once_and_owed_one_turn(database: SqliteDatabase) -> None:
    results = await asyncio.gather(*(take(database, message("SM1")) for _ in range(50)))
    assert [result.new for result in results].count(True) == 1
    assert await count(database, "messages") == 1
    assert [row.kind for row in await jobs(database)] == [TURN]


async def test_a_repeat_changes_nothing_even_with_another_body_and_after_the_conversation_was_closed(
    database: SqliteDatabase,
) -> None:
    first = await take(database, message("SM1"))
    before = await conversation(database, first)
    assert not (await take(database, message("SM1", body="other"), now=NOW + 5_000)).new
    assert await conversation(database, first) == before
    await move(database, first, State.USER_CLOSED)
    assert not (await take(database, message("SM1"))).new
    assert await count(database, "conversations") == 1


async def test_the_same_id_of_two_owners_is_two_messages(database: SqliteDatabase) -> None:
    assert (await take(database, message("SM1"), owner=1)).new
    assert (await take(database, message("SM1"), owner=2)).new
    assert await count(database, "users") == 2


async def test_the_first_messages_of_a_person_that_race_make_one_person_and_one_conversation(database: SqliteDatabase) -> None:
    await asyncio.gather(*(take(database, message(f"SM{n}")) for n in range(60)))
    counts = [await count(database, table) for table in ("users", "user_addresses", "conversations", "messages", "jobs")]
    assert counts == [1, 1, 1, 60, 1]


async def test_a_person_is_known_by_any_identity(database: SqliteDatabase) -> None:
    first = await take(database, message("SM1", identities=("bsuid:BR.1", WITH_NINE)))
    by_phone = await take(database, message("SM2", identities=(WITH_NINE,)))
    by_id = await take(database, message("SM3", "whatsapp:BR.1", identities=("bsuid:BR.1",)))
    moved = await take(database, message("SM4", "whatsapp:+5521911112222", identities=("bsuid:BR.1", "whatsapp:+5521911112222")))
    by_new_phone = await take(database, message("SM5", "whatsapp:+5521911112222"))
    people = {await person_of(database, each) for each in (first, by_phone, by_id, moved, by_new_phone)}
    assert len(people) == 1


async def test_an_identity_of_someone_else_stays_theirs(database: SqliteDatabase) -> None:
    ana = await person_of(database, await take(database, message("SM1", identities=("bsuid:ana",))))
    bia = await person_of(database, await take(database, message("SM2", identities=(WITH_NINE,))))
    both = await take(database, message("SM3", identities=("bsuid:ana", WITH_NINE)))
    assert await person_of(database, both) == ana
    assert await person_of(database, await take(database, message("SM4", identities=(WITH_NINE,)))) == bia


@pytest.mark.parametrize(("first", "then"), [(WITH_NINE, WITHOUT_NINE), (WITHOUT_NINE, WITH_NINE)])
async def test_a_brazilian_number_with_and_without_the_ninth_digit_is_one_person(
    database: SqliteDatabase, first: str, then: str
) -> None:
    known = await take(database, replace(message("SM1", first), lookup=(then,)))
    again = await take(database, replace(message("SM2", then), lookup=(first,)))
    assert await person_of(database, again) == await person_of(database, known)
    assert (await conversation(database, again)).user_address == then, "answers go where the person wrote from"


async def test_an_address_only_looked_up_is_not_kept_as_the_persons(database: SqliteDatabase) -> None:
    await take(database, replace(message("SM1", WITH_NINE), lookup=(WITHOUT_NINE,)))
    assert await database.read(1, store.known_as, "whatsapp", [WITHOUT_NINE]) == {}


async def test_the_person_of_one_owner_is_unknown_to_the_other(database: SqliteDatabase) -> None:
    await take(database, message("SM1"), owner=1)
    assert await database.read(2, store.known_as, "whatsapp", [WITH_NINE]) == {}


async def test_a_message_after_the_end_opens_a_conversation_that_knows_the_one_before(database: SqliteDatabase) -> None:
    first = await take(database, message("SM1"))
    await move(database, first, State.EXPIRED)
    second = await take(database, message("SM2"))
    assert second.conversation_id != first.conversation_id
    previous = await database.system_read(lambda tx: tx.all("SELECT previous_id FROM conversations ORDER BY id")[1][0])
    assert previous == first.conversation_id


async def test_a_person_writing_to_two_of_our_addresses_has_two_conversations(database: SqliteDatabase) -> None:
    first = await take(database, message("SM1"))
    other = await take(database, replace(message("SM2"), our_address="whatsapp:+551140005678"))
    assert first.conversation_id != other.conversation_id
    assert await person_of(database, first) == await person_of(database, other)


async def test_an_answer_is_awaited_again_once_the_person_writes(database: SqliteDatabase) -> None:
    first = await take(database, message("SM1"))
    await move(database, first, State.PROGRESS, State.WAITING_USER)
    await take(database, message("SM2"))
    assert (await conversation(database, first)).state is State.PROGRESS


async def test_while_a_person_has_the_conversation_no_turn_is_owed(database: SqliteDatabase) -> None:
    first = await take(database, message("SM1"))
    await move(database, first, State.HANDOFF)
    await database.system_write(lambda tx: tx.run("DELETE FROM jobs"))
    assert (await take(database, message("SM2"))).new
    assert await jobs(database) == []


async def test_every_message_makes_what_was_read_before_it_stale(database: SqliteDatabase) -> None:
    first = await take(database, message("SM1"))
    read = await conversation(database, first)
    await take(database, message("SM2"))
    with pytest.raises(StaleVersion):
        await database.write(1, lifecycle.move, read, State.PROGRESS, actor="agent", reason="turn", now=NOW)
    assert (await conversation(database, first)).state is State.PENDING


async def test_a_final_state_never_changes(database: SqliteDatabase) -> None:
    first = await take(database, message("SM1"))
    await move(database, first, State.FAILED)
    read = await conversation(database, first)
    for state in State:
        with pytest.raises(InvalidTransition):
            await database.write(1, lifecycle.move, read, state, actor="staff", reason="undo", now=NOW)


async def test_the_turn_starts_when_a_burst_is_over_and_at_the_latest_eight_seconds_after_its_first(
    database: SqliteDatabase,
) -> None:
    for after_ms in (0, 1_000, 2_000, 3_000, 4_000, 5_000, 6_000, 7_000, 7_900):
        await take(database, message(f"SM{after_ms}"), now=NOW + after_ms)
        (turn,) = await jobs(database)
        assert (turn.state, turn.run_at) == ("scheduled", NOW + QUIET_MS), "the job keeps its time, and looks itself"
        owed = await database.read(1, read_owed, 1, Preferences(), Windows(), now=NOW + after_ms)
        assert owed is not None
        assert owed.starts_at == NOW + min(after_ms + QUIET_MS, CAP_MS)


async def test_without_a_quiet_time_the_turn_starts_at_once(database: SqliteDatabase) -> None:
    await take(database, message("SM1"), quiet_ms=0)
    (turn,) = await jobs(database)
    assert (turn.state, turn.run_at) == ("ready", NOW)


async def test_a_message_during_a_turn_is_owed_one_more_turn_behind_it(database: SqliteDatabase) -> None:
    await take(database, message("SM1"))
    started = "UPDATE jobs SET state = 'running', worker = 'a', lease_until = 1, attempt = 1, unique_key = NULL"
    await database.system_write(lambda tx: tx.run(started))
    for n in range(2, 6):
        await take(database, message(f"SM{n}"))
    assert [row.state for row in await jobs(database)] == ["running", "waiting"]


async def test_attachments_and_details_are_kept_with_their_message(database: SqliteDatabase) -> None:
    media = (InboundMedia("https://api.twilio.com/a", "image/jpeg"), InboundMedia("https://api.twilio.com/b", "audio/ogg"))
    received = await take(
        database, replace(message("SM1"), kind=Kind.IMAGE, media=media, details={"caption": "São"}, raw='[["Body", "x"]]')
    )

    def kept(tx: SystemTx) -> list[tuple[object, ...]]:
        return [tuple(row) for row in tx.all("SELECT message_id, position, content_type FROM media ORDER BY position")]

    assert await database.system_read(kept) == [(received.message_id, 0, "image/jpeg"), (received.message_id, 1, "audio/ogg")]
    row = await database.system_read(lambda tx: tuple(tx.all("SELECT kind, details, raw FROM messages")[0]))
    assert row == ("image", '{"caption": "São"}', '[["Body", "x"]]')


async def test_a_message_that_cannot_be_kept_whole_leaves_nothing(database: SqliteDatabase) -> None:
    broken = replace(message("SM1"), media=(InboundMedia("https://api.twilio.com/a", None),))  # type: ignore[arg-type]
    with pytest.raises(driver.IntegrityError):
        await take(database, broken)
    for table in ("users", "user_addresses", "conversations", "conversation_events", "messages", "media", "jobs"):
        assert await count(database, table) == 0, table


async def test_without_the_index_of_ids_nothing_vouches_for_a_repeat(database: SqliteDatabase) -> None:
    """The program relies on the constraint, not on its own look beforehand: without it nothing is taken at all."""

    def blindly(tx: OwnerTx) -> int | None:
        return store.insert_inbound(tx, 1, message("SM1"), None, now=NOW)

    await take(database, message("SM1"))
    assert await database.write(1, blindly) is None
    await database.system_write(lambda tx: tx.run("DROP INDEX messages_by_provider_sid"))
    with pytest.raises(driver.OperationalError, match="ON CONFLICT"):
        await database.write(1, blindly)
