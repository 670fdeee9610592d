"""An erased person is in no table, no index, no file and no byte; everybody else is where they were."""

import json
import random
import re
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from tests.store.privacy import OURS, Place, Somebody, open_place
from wtai.ai.memory.index import with_keys
from wtai.conversation import outbox
from wtai.db.migrate import migrate
from wtai.db.sqlite import connect, driver
from wtai.db.tx import OwnerTx
from wtai.errors import NotFound
from wtai.identity.audit_store import OPERATOR
from wtai.identity.store import owner as owner_of
from wtai.identity.users_store import LastAdmin
from wtai.jobs.queue import Job
from wtai.privacy.erase import Asked, remove_person_of_erased_owner, shut_owner
from wtai.privacy.eraser import Eraser
from wtai.privacy.tables_store import EXEMPT, TABLES
from wtai.privacy.tombstones import read_side_file
from wtai.search.index_store import fill_messages, fill_people, fill_transcripts, messages_with, people_called
from wtai.search.words import Question

ANA, BIA, CAIO = "Anazanzibar", "Biazanzibar", "Caiozanzibar"


async def house(place: Place) -> tuple[Somebody, Somebody, Somebody]:
    """Ana and Bia with one owner, Caio with another."""
    first, second = await place.owner("padaria"), await place.owner("oficina")
    people = await place.person(first, ANA), await place.person(first, BIA), await place.person(second, CAIO)
    await index(place)
    return people


async def index(place: Place) -> None:
    """Everything is taken into the search."""
    for fill in (fill_messages, fill_transcripts, fill_people):
        await place.database.system_write(fill, limit=10_000)


def content(place: Place, word: str) -> dict[str, list[dict[str, object]]]:
    """The rows of each table in which a word stands."""
    tables = place.rows(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' AND name NOT LIKE 'm%_words'"
    )
    found = {table["name"]: place.rows(f"SELECT * FROM {table['name']}") for table in tables}
    return {
        name: kept
        for name, rows in found.items()
        if (kept := [row for row in rows if any(word.lower() in str(value).lower() for value in row.values())])
    }


def test_every_table_is_erased_or_exempt_with_a_reason(data_dir: Path) -> None:
    migrate(data_dir / "wtai.db")
    with closing(connect(data_dir / "wtai.db")) as connection:
        found = {row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
        tables = {name for name in found if not re.match(r"sqlite_|(memory|message)_words_(?!progress)", name)}
        listed = [table.name for table in TABLES]
        assert sorted([*listed, *EXEMPT]) == sorted(tables)
        personal = {"user_id", "conversation_id", "message_id", "person_id", "session_id", "reminder_id"}
        for table in TABLES:
            columns = {row[1] for row in connection.execute(f"PRAGMA table_info({table.name})")}
            assert "owner_id" in columns
            assert table.of_person is not None or not columns & personal, f"{table.name} is about people"
            assert table.hidden <= columns, f"{table.name} hides a column that it has not"
            assert table.keyed == ("id" in columns)
            for key in connection.execute(f"PRAGMA foreign_key_list({table.name})").fetchall():
                if key["table"] in listed and key["table"] != table.name:
                    assert listed.index(table.name) < listed.index(key["table"]), f"{table.name} refers to {key['table']}"
        for name in EXEMPT:
            columns = {row[1] for row in connection.execute(f"PRAGMA table_info({name})")}
            assert not columns & personal, f"{name} is about people"


async def test_the_house_of_these_tests_has_a_row_in_every_table(data_dir: Path) -> None:
    async with open_place(data_dir) as place:
        first, *_ = await house(place)
        await place.staff((first.owner_id, first.owner), "Davi", works_on=first)
        assert {table.name for table in TABLES} == place.tables


async def test_an_erased_person_is_in_no_table_and_no_byte_of_any_file(data_dir: Path) -> None:
    async with open_place(data_dir) as place:
        ana, _, _ = await house(place)
        before = {word: content(place, word) for word in (ANA, BIA, CAIO)}
        # The indexes of words leave out what a word shares with the one before it, so that they need not hold it in one piece.
        assert {"messages", "memories", "webhook_deliveries", "jobs"} <= set(before[ANA])
        receipt = await place.eraser().erase_user(ana.owner_id, ana.public_id, OPERATOR)
        assert content(place, ANA) == {}
        assert not place.rows("SELECT 1 FROM users WHERE id = :id OR public_id = :public", id=ana.id, public=ana.public_id)
        for word in (BIA, CAIO):
            after = content(place, word)
            left = {name for name in before[word] if "_words" not in name}
            assert {name: after[name] for name in left} == {name: before[word][name] for name in left}
        assert place.rows("PRAGMA integrity_check")[0]["integrity_check"] == "ok"
        assert place.rows("PRAGMA foreign_key_check") == []
    assert place.bytes_of(ANA) == []
    assert place.bytes_of(BIA) != []
    assert receipt.files_rewritten
    assert (receipt.files, receipt.removed["messages"], receipt.removed["jobs"], receipt.removed["media"]) == (1, 2, 6, 2)


async def test_what_others_remember_is_found_as_before(data_dir: Path) -> None:
    async with open_place(data_dir) as place:
        ana, bia, _ = await house(place)
        await place.eraser().erase_user(ana.owner_id, ana.public_id, OPERATOR)
        found = await place.database.read(bia.owner_id, with_keys, bia.id, {BIA.lower(): 1.0})
        assert len(found) == 3
        assert await place.database.read(ana.owner_id, with_keys, ana.id, {ANA.lower(): 1.0}) == []


async def test_what_others_said_is_found_as_before(data_dir: Path) -> None:
    async with open_place(data_dir) as place:
        ana, bia, caio = await house(place)

        async def found(one: Somebody) -> list[int]:
            hits = await place.database.read(one.owner_id, messages_with, Question.of(one.word), limit=100)
            people = await place.database.read(one.owner_id, people_called, Question.of(one.word), limit=100)
            return [*(hit.slot for hit in hits), *people]

        before = {one.word: await found(one) for one in (ana, bia, caio)}
        assert len(before[ANA]) == 3, "two messages and the person"
        await place.eraser().erase_user(ana.owner_id, ana.public_id, OPERATOR)
        assert {one.word: await found(one) for one in (ana, bia, caio)} == {**before, ANA: []}


async def test_a_file_that_somebody_else_sent_too_stays(data_dir: Path) -> None:
    async with open_place(data_dir) as place:
        ana, bia, _ = await house(place)
        await place.eraser().erase_user(ana.owner_id, ana.public_id, OPERATOR)
        contents = {path.read_text() for path in (place.media / bia.owner).rglob("*") if path.is_file()}
        assert contents == {f"{BIA} file", "everybody's file"}
        await place.eraser().erase_user(bia.owner_id, bia.public_id, OPERATOR)
        assert not (place.media / bia.owner).exists()


async def test_the_sums_of_usage_stay_without_the_person(data_dir: Path) -> None:
    async with open_place(data_dir) as place:
        ana, bia, _ = await house(place)
        total = "SELECT sum(cost) AS n, count(*) AS rows FROM usage WHERE owner_id = :owner"
        assert place.rows(total, owner=ana.owner_id) == [{"n": 6, "rows": 2}]
        for one in (ana, bia):
            await place.eraser().erase_user(one.owner_id, one.public_id, OPERATOR)
        assert place.rows(total, owner=ana.owner_id) == [{"n": 6, "rows": 1}]
        nobody = place.rows("SELECT public_id, name FROM users WHERE owner_id = :owner", owner=ana.owner_id)
        assert nobody == [{"public_id": f"usr_erased_{ana.owner_id}", "name": None}]
        with pytest.raises(NotFound, match="erased already"):
            await place.eraser().erase_user(ana.owner_id, nobody[0]["public_id"], OPERATOR)


async def test_the_receipt_is_kept_and_names_nobody(data_dir: Path) -> None:
    async with open_place(data_dir) as place:
        ana, _, _ = await house(place)
        receipt = await place.eraser().erase_user(ana.owner_id, ana.public_id, OPERATOR)
        [row] = place.rows("SELECT * FROM erasures")
        assert json.loads(row["receipt"]) == json.loads(receipt.model_dump_json())
        assert row["finished_at"] is not None
        assert ana.public_id not in row["receipt"]
        assert receipt.addresses_hmac == (place.digests.current(ana.owner, ana.address),)
        assert any("provider keeps (2)" in line for line in receipt.not_covered)
        [line] = place.rows("SELECT action, target FROM audit_log WHERE action = 'users.erase'")
        assert line["target"] == receipt.id
        [beside] = read_side_file(place.backups)
        assert (beside.id, beside.opt_outs) == (receipt.id, (OURS,))


async def test_of_an_opt_out_only_an_hmac_stays(data_dir: Path) -> None:
    async with open_place(data_dir) as place:
        ana, _, _ = await house(place)
        await place.eraser().erase_user(ana.owner_id, ana.public_id, OPERATOR)
        kept = place.rows("SELECT digest, our_address FROM kept_opt_outs WHERE our_address = :ours", ours=OURS)
        assert kept == [{"digest": place.digests.current(ana.owner, ana.address), "our_address": OURS}]


async def test_staff_is_erased_with_log_ins_tokens_and_name_in_the_work_of_others(data_dir: Path) -> None:
    async with open_place(data_dir) as place:
        ana, _, _ = await house(place)
        owner = (ana.owner_id, ana.owner)
        davi = await place.staff(owner, "Davizanzibar", works_on=ana)
        receipt = await place.eraser().erase_user(davi.owner_id, davi.public_id, OPERATOR)
        assert content(place, "Davizanzibar") == {}
        assert not any(davi.public_id in str(row) for row in place.rows("SELECT * FROM audit_log"))
        for column in ("author FROM conversation_notes", "staff FROM conversation_events", "staff FROM messages"):
            (signed,) = place.rows(f"SELECT DISTINCT {column} WHERE owner_id = 1")
            assert set(signed.values()) == {"erased"}
        assert place.rows("SELECT actor FROM feature_versions WHERE owner_id = 1") == [{"actor": "erased"}]
        assert content(place, ANA)["messages"]
        assert receipt.removed["sessions"] == receipt.removed["api_tokens"] == receipt.removed["idempotency_keys"] == 1
    assert place.bytes_of("Davizanzibar") == []


async def test_the_last_administrator_is_not_erased(data_dir: Path) -> None:
    async with open_place(data_dir) as place:
        ana, _, _ = await house(place)
        davi = await place.staff((ana.owner_id, ana.owner), "Davizanzibar", role="admin", works_on=ana)
        with pytest.raises(LastAdmin):
            await place.eraser().erase_user(davi.owner_id, davi.public_id, OPERATOR)
        assert content(place, "Davizanzibar")["users"]


async def test_somebody_elses_person_is_as_unknown_as_one_who_never_was(data_dir: Path) -> None:
    async with open_place(data_dir) as place:
        ana, _, caio = await house(place)
        errors = []
        for public in (caio.public_id, "usr_nobody"):
            with pytest.raises(NotFound) as caught:
                await place.eraser().erase_user(ana.owner_id, public, OPERATOR)
            errors.append(str(caught.value).replace(public, "X"))
        assert errors[0] == errors[1]
        assert content(place, CAIO)["messages"]


async def test_an_erased_owner_leaves_an_empty_row_and_no_byte(data_dir: Path) -> None:
    async with open_place(data_dir) as place:
        ana, bia, _ = await house(place)
        await place.staff((ana.owner_id, ana.owner), "Davizanzibar", role="admin", works_on=ana)
        receipt = await place.eraser().erase_owner(ana.owner_id, OPERATOR)
        tables = [table.name for table in TABLES]
        left = {name: place.rows(f"SELECT * FROM {name} WHERE owner_id = :owner", owner=ana.owner_id) for name in tables}
        assert {name for name, rows in left.items() if rows} == set()
        [job] = place.rows("SELECT kind FROM jobs WHERE owner_id = :o", o=ana.owner_id)
        assert job["kind"] == "finish_erasure"
        assert place.rows("SELECT * FROM audit_log WHERE owner_id = :o", o=ana.owner_id) == []
        mine = await place.database.read(ana.owner_id, owner_of)
        assert (mine.name, mine.status) == ("erased", "erased")
        assert content(place, CAIO)["messages"]
        assert receipt.removed["users"] == 3
        with pytest.raises(NotFound, match="erased already"):
            await place.eraser().erase_owner(ana.owner_id, OPERATOR)
    for word in (ANA, BIA, "Davizanzibar", "padaria"):
        assert place.bytes_of(word) == []
    assert place.bytes_of(CAIO) != []
    assert not (place.media / bia.owner).exists()


async def test_nothing_comes_into_an_erased_owner(data_dir: Path) -> None:
    async with open_place(data_dir) as place:
        ana, _, _ = await house(place)
        await place.eraser().erase_owner(ana.owner_id, OPERATOR)
        with pytest.raises(driver.IntegrityError, match="the owner is erased"):
            await place.person((ana.owner_id, ana.owner), "Evazanzibar")
        with pytest.raises(driver.IntegrityError, match="the owner is erased"):
            await place.database.write(ana.owner_id, lambda tx: tx.run("UPDATE owners SET status = 'active' WHERE id = :owner"))


async def test_a_send_that_is_under_way_finds_nothing_to_write_to(data_dir: Path) -> None:
    async with open_place(data_dir) as place:
        ana, _, _ = await house(place)
        [message] = place.rows("SELECT min(id) AS id FROM messages")
        await place.eraser().erase_user(ana.owner_id, ana.public_id, OPERATOR)
        now = place.clock.now()
        await place.database.write(ana.owner_id, outbox.accepted, message["id"], "SMzanzibar", now=now)
        await place.database.write(ana.owner_id, outbox.failed, message["id"], 63016, "opted_out", now=now)
        assert content(place, "SMzanzibar") == {}


async def test_every_row_of_a_person_needs_one_that_is_gone(data_dir: Path) -> None:
    async with open_place(data_dir) as place:
        ana, _, _ = await house(place)
        await place.eraser().erase_user(ana.owner_id, ana.public_id, OPERATOR)
        about = {table.name for table in TABLES if table.of_person is not None and "user_id" in table.of_person}
        for name in sorted(about - {"users"}):
            needed = {key["table"] for key in place.rows(f"PRAGMA foreign_key_list({name})")}
            assert needed & {"users", "conversations", "messages", "sessions"}, f"{name} could outlive its person"


async def test_a_file_that_comes_after_the_erasure_is_removed_by_the_job(data_dir: Path) -> None:
    async with open_place(data_dir) as place:
        ana, _, _ = await house(place)
        eraser: Eraser = place.eraser()
        await eraser.erase_user(ana.owner_id, ana.public_id, OPERATOR)
        late = place.media / ana.owner / "zz" / "late"
        late.parent.mkdir(parents=True)
        late.write_text(ANA)
        [row] = place.rows("SELECT payload, run_at FROM jobs WHERE kind = 'finish_erasure'")
        assert row["run_at"] > place.clock.now()
        job = Job(1, ana.owner_id, "finish_erasure", None, row["payload"], 1, 0, 0)
        place.clock.advance(-place.clock.now())
        await eraser.finish(job)
        assert late.exists(), "a file this young may belong to somebody"
        place.clock.advance(10**13)
        await eraser.finish(job)
        assert not late.exists()
        assert content(place, BIA)["media"]
        [receipt] = place.rows("SELECT receipt FROM erasures")
        assert json.loads(receipt["receipt"])["files"] == 2


def _talk(tx: OwnerTx, people: Sequence[Somebody], count: int) -> None:
    """Messages of all lengths from everybody in turn, some of them changed: their pages are split and joined again."""
    chance = random.Random(7)
    talks = {row["user_id"]: row["id"] for row in tx.all("SELECT id, user_id FROM conversations WHERE closed_at IS NULL")}
    for number in range(count):
        one = chance.choice(people)
        body = one.word + "x" * chance.choice((5, 50, 300, 2_000, 9_000))
        sid = f"{one.word} {chance.random()} " + "z" * chance.choice((0, 300, 2_000))
        tx.run(
            """
            INSERT INTO messages (owner_id, public_id, conversation_id, direction, author, status, body, provider_sid, created_at,
                updated_at) VALUES (:owner, :public, :talk, 'inbound', 'user', 'received', :body, :sid, 0, 0)
            """,
            public=f"msg_{number}",
            talk=talks[one.id],
            body=body,
            sid=sid,
        )
        if number % 5 == 0:
            changed = one.word + "y" * chance.choice((5, 300, 6_000))
            tx.run("UPDATE messages SET body = :body WHERE owner_id = :owner AND provider_sid = :sid", body=changed, sid=sid)


async def test_among_many_people_none_of_the_erased_leaves_a_byte(data_dir: Path) -> None:
    async with open_place(data_dir) as place:
        owner = await place.owner("padaria")
        people = [await place.person(owner, f"P{number:03}zanzibar") for number in range(30)]
        await place.database.write(owner[0], _talk, people, 3_000)
        await index(place)
        for one in people[::5]:
            await place.eraser().erase_user(one.owner_id, one.public_id, OPERATOR)
    data = (data_dir / "wtai.db").read_bytes().lower()
    left = {one.word for one in people if one.word.lower().encode() in data}
    assert left == {one.word for number, one in enumerate(people) if number % 5}


@pytest.mark.slow
async def test_what_could_not_be_rewritten_while_somebody_read_is_rewritten_by_the_job(data_dir: Path) -> None:
    async with open_place(data_dir) as place:
        ana, _, _ = await house(place)
        with closing(connect(place.path, read_only=True)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM users").fetchall()
            receipt = await place.eraser().erase_user(ana.owner_id, ana.public_id, OPERATOR)
        assert not receipt.files_rewritten
        [row] = place.rows("SELECT payload FROM jobs WHERE kind = 'finish_erasure'")
        assert place.rows("SELECT finished_at FROM erasures") == [{"finished_at": None}]
        await place.eraser().finish(Job(1, ana.owner_id, "finish_erasure", None, row["payload"], 1, 0, 0))
        [kept] = place.rows("SELECT receipt, finished_at FROM erasures")
        assert kept["finished_at"] is not None
        assert json.loads(kept["receipt"])["files_rewritten"]
    assert place.bytes_of(ANA) == []


async def test_an_erasure_of_an_owner_that_was_cut_short_is_taken_up_again(data_dir: Path) -> None:
    async with open_place(data_dir) as place:
        ana, _, _ = await house(place)
        await place.database.write(ana.owner_id, shut_owner, Asked(OPERATOR, place.clock.now()))
        await place.database.write(ana.owner_id, remove_person_of_erased_owner, ana.public_id)
        mine = await place.database.read(ana.owner_id, owner_of)
        assert mine.status == "disabled"
        assert content(place, BIA)["messages"]
        await place.eraser().erase_owner(ana.owner_id, OPERATOR)
    assert place.bytes_of(ANA) == place.bytes_of(BIA) == []
