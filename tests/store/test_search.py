"""What is said is found by its words, by its owner alone, whether the index has taken it in or not."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.schema import new_database
from tests.store.test_inbox import NOW, OURS, WITH_NINE, message
from wtai.conversation.inbox import receive
from wtai.conversation.media_store import set_kept
from wtai.conversation.model import InboundMedia
from wtai.conversation.store import rename_user
from wtai.db.sqlite import SqliteDatabase
from wtai.db.tx import OwnerTx
from wtai.identity.preferences import Preferences
from wtai.identity.store import create_owner
from wtai.jobs.queue import Job
from wtai.search.index_store import NEWEST, SLOTS, messages_with, people_called
from wtai.search.indexing import Indexing
from wtai.search.words import Question, found_by, keys_of


@pytest.fixture
async def database(data_dir: Path) -> AsyncIterator[SqliteDatabase]:
    new_database(data_dir / "wtai.db")
    opened = await SqliteDatabase.open(data_dir / "wtai.db")
    for name in ("Casa", "Loja"):
        await opened.system_write(create_owner, name, "pt-BR", now=NOW)
    yield opened
    await opened.close()


async def say(database: SqliteDatabase, *bodies: str, owner: int = 1, address: str = WITH_NINE) -> None:
    for number, body in enumerate(bodies):
        inbound = message(f"SM{owner}{address}{body}{number}", address, body=body)
        await database.write(owner, receive, inbound, Preferences(), now=NOW)


async def found(database: SqliteDatabase, text: str, *, owner: int = 1) -> list[str]:
    """The bodies of what is found, newest first."""
    hits = await database.read(owner, messages_with, Question.of(text), limit=100)

    def bodies(tx: OwnerTx) -> list[str]:
        statement = "SELECT body FROM messages WHERE owner_id = :owner AND id = :id"
        return [tx.all(statement, id=hit.message_id)[0]["body"] for hit in hits]

    return await database.read(owner, bodies)


async def called(database: SqliteDatabase, text: str, *, owner: int = 1) -> list[int]:
    return await database.read(owner, people_called, Question.of(text), limit=100)


async def index(database: SqliteDatabase) -> None:
    await Indexing(database).handle(Job(1, 0, "sweep_index", None, "{}", 1, 0, 0))


SAID = ("Quero a segunda via do BOLETO", "qual o preço da promoção?", "boleto", "paguei R$ 1.450,00 ontem", "não, obrigado")


@pytest.mark.parametrize("indexed", [0, 2, 5])
async def test_words_are_found_whatever_the_index_has_of_them(database: SqliteDatabase, indexed: int) -> None:
    await say(database, *SAID[:indexed])
    await index(database)
    await say(database, *SAID[indexed:])
    assert await found(database, "boleto") == [SAID[2], SAID[0]]
    assert await found(database, "via segunda") == [SAID[0]]
    assert await found(database, "promocao") == [SAID[1]]
    assert await found(database, "PREÇO promo") == [SAID[1]]
    assert await found(database, "1450") == [SAID[3]]
    assert await found(database, "nao") == [SAID[4]]
    assert await found(database, "na") == [], "a very short word is meant whole"
    assert await found(database, "boleto obrigado") == []


@pytest.mark.parametrize(
    "text", ['"', "*", "boleto*", 'boleto" OR "x', "NEAR(a b)", "words:boleto", "-boleto", "a\x00b", "'", "🙂"]
)
async def test_no_text_is_taken_for_a_command(database: SqliteDatabase, text: str) -> None:
    await say(database, *SAID)
    await index(database)
    assert set(await found(database, text) if Question.of(text).asks else []) <= {SAID[0], SAID[2]}


async def test_another_owners_words_are_never_found(database: SqliteDatabase) -> None:
    await say(database, "abacaxi", owner=1)
    await say(database, "abacate", owner=2)
    await index(database)
    await say(database, "abacates", owner=2)
    assert await found(database, "aba") == ["abacaxi"]
    assert await found(database, "abacate") == []
    assert await found(database, "aba", owner=2) == ["abacates", "abacate"]
    for forged in ("1zabacaxi", "zabacaxi", "2z"):
        assert await found(database, forged, owner=2) == []


async def test_what_was_said_aloud_is_found_once_it_was_heard(database: SqliteDatabase) -> None:
    media = (InboundMedia("https://x.example/1", "audio/ogg"),)
    await database.write(1, receive, replace(message("SMaudio", body=""), media=media), Preferences(), now=NOW)
    await index(database)
    assert await found(database, "entrega") == []
    await database.write(1, set_kept, 1, "cadê minha entrega?")
    hits = [hit.slot for hit in await database.read(1, messages_with, Question.of("entrega"), limit=9)]
    assert hits == [SLOTS + 1]
    await index(database)
    assert [hit.slot for hit in await database.read(1, messages_with, Question.of("entrega"), limit=9)] == hits


async def test_pages_of_what_was_found_leave_nothing_out_and_repeat_nothing(database: SqliteDatabase) -> None:
    await say(database, *(f"pedido {number}" for number in range(150)))
    await index(database)
    await say(database, *(f"pedido {number}" for number in range(150, 170)))
    seen: list[int] = []
    before = NEWEST
    while hits := await database.read(1, messages_with, Question.of("pedido"), before=before, limit=40):
        seen += [hit.message_id for hit in hits]
        before = hits[-1].slot
    assert seen == list(range(170, 0, -1))


async def test_people_are_found_by_any_part_of_name_or_number(database: SqliteDatabase) -> None:
    await say(database, "oi", address="whatsapp:+5511987654321")
    await say(database, "oi", address="whatsapp:+5521912345678")
    [first, second] = await database.read(
        1, lambda tx: [row["id"] for row in tx.all("SELECT id FROM users WHERE owner_id = :owner")]
    )
    await database.write(1, rename_user, first, "José Antônio Gonçalves")
    for _ in range(2):
        assert await called(database, "jose") == [first]
        assert await called(database, "goncalves anto") == [first]
        assert await called(database, "7654321") == [first]
        assert await called(database, "(21) 91234-56") == [second]
        assert await called(database, "jose", owner=2) == await called(database, "7654321", owner=2) == []
        await index(database)
    await database.write(1, rename_user, first, "Zé")
    assert await called(database, "jose") == []
    assert await called(database, "zé") == [first]


def test_what_the_index_is_filled_with_is_what_it_was() -> None:
    """Words are taken out of the index by saying them again. Whoever changes this has a migration that takes everything out."""
    keys = keys_of("Olá! R$ 1.450,00 — Wi-Fi não; ÁÉÎÕÜ ß ﬁm_x 3½ Привет 你好 'd'água' 12:30 a@b.c")
    assert " ".join(keys) == "ola r 1450 wifi nao aeiou ss fim x 31 2 привет 你好 d agua 12 30 a b c"
    assert found_by("María-José  O'Neil", [f"{OURS}", "sms:+5511"]) == "maria jose o neil 551140001234 5511"
