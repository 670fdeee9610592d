"""The window in process: a built history serves again only while nothing it is made of has changed."""

from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.store.memory import House, opened_house
from wtai.ai.llm import User
from wtai.ai.memory.window import Windows
from wtai.ai.store import AiResult, insert_result
from wtai.conversation import handoff, outbox
from wtai.conversation.model import Conversation
from wtai.conversation.store import conversation
from wtai.db.sqlite import connect
from wtai.db.tx import OwnerTx


@pytest.fixture
async def house(data_dir: Path) -> AsyncIterator[House]:
    async with opened_house(data_dir / "wtai.db") as opened:
        yield opened


class Built:
    """Counts how often a history was built."""

    def __init__(self, house: House, windows: Windows) -> None:
        self.house = house
        self.windows = windows
        self.times = 0

    async def history(self, conversation_id: int) -> str:
        def work(tx: OwnerTx) -> str:
            [said] = self.windows.history(tx, found(tx, conversation_id), self._build)
            assert isinstance(said, User)
            return said.text

        return await self.house.database.read(self.house.ana.owner, work)

    def _build(self) -> tuple[User, ...]:
        self.times += 1
        return (User(f"built {self.times}"),)


def found(tx: OwnerTx, conversation_id: int) -> Conversation:
    read = conversation(tx, conversation_id)
    assert read is not None
    return read


async def test_a_history_is_built_once_while_nothing_happens(house: House) -> None:
    conversation_id = await house.heard(house.ana.owner, 1, "oi")
    built = Built(house, Windows())
    assert [await built.history(conversation_id) for _ in range(3)] == ["built 1"] * 3


Happening = Callable[[OwnerTx, int, int], object]


def _answered(tx: OwnerTx, conversation_id: int, now: int) -> object:
    return outbox.put(tx, found(tx, conversation_id), ["ok"], author="agent", ai_result_id=None, now=now)


def _turned(tx: OwnerTx, conversation_id: int, now: int) -> object:
    return insert_result(tx, conversation_id, 1, AiResult("general", "answered", "m", "p"), now=now)


def _taken_over(tx: OwnerTx, conversation_id: int, now: int) -> object:
    return handoff.take_over(tx, found(tx, conversation_id), now=now)


@pytest.mark.parametrize("happening", [_answered, _turned, _taken_over])
async def test_whatever_happens_builds_it_anew(house: House, happening: Happening) -> None:
    conversation_id = await house.heard(house.ana.owner, 1, "oi")
    built = Built(house, Windows())
    await built.history(conversation_id)
    await house.database.write(house.ana.owner, happening, conversation_id, house.clock.now())
    assert await built.history(conversation_id) == "built 2"


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE messages SET status = 'canceled' WHERE direction = 'outbound'",
        "UPDATE messages SET body = 'outra coisa'",
        "UPDATE messages SET updated_at = updated_at + 1",
        "UPDATE media SET transcript = 'bom dia'",
        "UPDATE owners SET locale = 'es'",
    ],
)
async def test_a_message_that_changes_builds_it_anew(house: House, change: str) -> None:
    conversation_id = await house.heard(house.ana.owner, 1, "oi")
    await house.database.write(house.ana.owner, _answered, conversation_id, house.clock.now())
    with closing(connect(house.path)) as connection:
        connection.execute("UPDATE messages SET kind = 'audio' WHERE direction = 'inbound'")
        connection.execute(
            """INSERT INTO media (owner_id, message_id, position, url, content_type)
            SELECT owner_id, max(id), 0, 'https://example.com/a', 'audio/ogg' FROM messages WHERE direction = 'inbound'
                AND conversation_id = ?""",
            (conversation_id,),
        )
    built = Built(house, Windows())
    await built.history(conversation_id)
    with closing(connect(house.path)) as connection:
        assert connection.execute(change).rowcount
    assert await built.history(conversation_id) == "built 2"


async def test_a_summary_that_was_forgotten_is_not_told_again(house: House) -> None:
    conversation_id = await house.heard(house.ana.owner, 1, "oi")
    built = Built(house, Windows())
    for change, times in (("'Falou da dívida.'", 1), ("NULL", 2)):
        with closing(connect(house.path)) as connection:
            assert connection.execute(f"UPDATE conversations SET summary = {change} WHERE id = ?", (conversation_id,)).rowcount
        assert await built.history(conversation_id) == f"built {times}"


async def test_the_least_used_leaves_first(house: House) -> None:
    ids = [await house.heard(house.ana.owner, number, "oi") for number in (1, 2, 7)]
    built = Built(house, Windows(kept=2))
    for conversation_id in (ids[0], ids[1], ids[0], ids[2]):
        await built.history(conversation_id)
    assert built.times == 3
    await built.history(ids[0])
    assert built.times == 3
    await built.history(ids[1])
    assert built.times == 4
