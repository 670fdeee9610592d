"""What tools change is changed once in a turn, however often it is tried; and after the person's yes where that is needed."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from tests.schema import new_database
from wtai import failpoints
from wtai.ai import toolbox_store
from wtai.ai.agent import Agent
from wtai.ai.llm import ToolCall
from wtai.ai.toolbox import Bounds, Call, Toolbox
from wtai.ai.tools.tool import Arguments, Effect, Tool, ToolContext, ToolError
from wtai.conversation.inbox import receive
from wtai.conversation.model import Inbound, Kind
from wtai.db.sqlite import SqliteDatabase
from wtai.db.tx import OwnerTx, Row
from wtai.failpoints import FailpointError
from wtai.identity.preferences import Preferences
from wtai.identity.store import create_owner

NOW = 1_800_000_000_000
MINUTE = 60_000
OURS, ANA = "whatsapp:+551140001234", "whatsapp:+5511987654321"


Look = Callable[[OwnerTx, int], object]


class Note(Arguments):
    text: str


def save(tx: OwnerTx, context: ToolContext, note: Note) -> dict[str, str]:
    """Takes effect in a table whose rows can be counted."""
    if note.text == "?":
        raise ToolError("A note needs words.")
    tx.run(
        """
        INSERT INTO templates (owner_id, public_id, name, locale, content_sid, created_at)
        VALUES (:owner, :id, :id, 'en', :text, 0)
        """,
        id=f"t{len(tx.all('SELECT 1 FROM templates'))}",
        text=note.text.replace("{now}", str(context.now)),
    )
    return {"saved": note.text}


def question(_tx: OwnerTx, _context: ToolContext, note: Note) -> str:
    return f"Erase {note.text}?"


SAVE = Tool("save", "saves", Note, work=save, effect=Effect.REVERSIBLE)
ERASE = Tool("erase", "erases", Note, work=save, effect=Effect.IRREVERSIBLE, question=question)
LARGE = Tool("large", "saves", Note, work=save, effect=Effect.REVERSIBLE, asks=lambda note: len(note.text) > 3, question=question)


class World:
    """A conversation with a turn to be made, and the tools' effects so far."""

    def __init__(self, database: SqliteDatabase, context: ToolContext) -> None:
        self.database = database
        self.context = context
        self.sent: list[tuple[str, str]] = []
        self.agent = Agent(
            "notes", "…", (SAVE, ERASE, LARGE, Tool("post", "posts", Note, run=self.post, effect=Effect.REVERSIBLE))
        )

    async def post(self, context: ToolContext, note: Note) -> str:
        """An effect outside of the database."""
        if note.text == "?":
            raise ToolError("No.")
        self.sent.append((context.call_id, note.text))
        if note.text == "hang":
            await asyncio.Event().wait()
        return "posted"

    def toolbox(self, *, turn: int = 0, later: int = 0) -> Toolbox:
        """The toolbox of one try."""
        return Toolbox(self.database, replace(self.context, now=NOW + later), turn=turn)

    async def use(self, toolbox: Toolbox, name: str, text: str = "a", call_id: str = "c1") -> Call:
        return await toolbox.use(self.agent, ToolCall(call_id, name, json.dumps({"text": text})), bounds())

    async def ask(self, name: str, text: str) -> None:
        """A turn that ends with the question whether to do it."""
        await self.use(self.toolbox(), name, text)
        await self.database.write(1, toolbox_store.ask_action, self.context.conversation_id)

    async def notes(self) -> list[str]:
        return [
            row["content_sid"]
            for row in await self.database.system_read(lambda tx: tx.all("SELECT * FROM templates ORDER BY id"))
        ]


def bounds(seconds: float = 5) -> Bounds:
    return Bounds(asyncio.get_running_loop().time() + seconds, 4_000)


@pytest.fixture
async def world(data_dir: Path) -> AsyncIterator[World]:
    new_database(data_dir / "wtai.db")
    database = await SqliteDatabase.open(data_dir / "wtai.db")
    await database.system_write(create_owner, "Casa", "pt-BR", now=NOW)
    inbound = Inbound("whatsapp", "SM1", OURS, ANA, (ANA,), (), Kind.TEXT, "oi")
    got = await database.write(1, receive, inbound, Preferences(), now=NOW)
    assert got.conversation_id is not None and got.message_id is not None
    yield World(database, ToolContext(1, 1, got.conversation_id, got.message_id, NOW, "America/Sao_Paulo", "pt-BR"))
    failpoints.arm("")
    await database.close()


async def test_the_same_call_in_another_try_of_the_turn_is_answered_from_the_record(world: World) -> None:
    first = await world.use(world.toolbox(), "save")
    again = await world.use(world.toolbox(), "save", call_id="c9")
    assert await world.notes() == ["a"]
    assert (again.result, again.failed, again.id) == (first.result, False, "c9")


async def test_two_equal_calls_of_one_try_are_two_and_two_again_in_the_next(world: World) -> None:
    for _ in range(2):
        toolbox = world.toolbox()
        await asyncio.gather(world.use(toolbox, "save"), world.use(toolbox, "save", call_id="c2"))
    assert await world.notes() == ["a", "a"]


async def test_another_turn_does_it_again(world: World) -> None:
    await world.use(world.toolbox(turn=0), "save")
    await world.use(world.toolbox(turn=7), "save")
    assert await world.notes() == ["a", "a"]


async def test_what_was_done_by_an_interrupted_try_is_told_to_the_next_one(world: World) -> None:
    await world.use(world.toolbox(), "save", "pão")
    (earlier,) = await world.toolbox().earlier()
    assert (earlier.name, json.loads(earlier.arguments), json.loads(earlier.result)) == (
        "save",
        {"text": "pão"},
        {"saved": "pão"},
    )
    assert earlier.done


async def test_a_call_whose_transaction_dies_leaves_nothing_and_can_be_made_again(world: World) -> None:
    failpoints.arm("tool.before_commit=1:raise")
    toolbox = world.toolbox()
    assert (await world.use(toolbox, "save")).failed
    assert await world.notes() == []
    assert not (await world.use(toolbox, "save")).failed
    assert await world.notes() == ["a"]


async def test_an_error_after_the_commit_does_not_do_it_twice(world: World) -> None:
    failpoints.arm("tool.after_commit=1:raise")
    toolbox = world.toolbox()
    assert (await world.use(toolbox, "save")).failed
    assert not (await world.use(toolbox, "save")).failed
    assert await world.notes() == ["a"]


async def test_a_call_that_was_refused_leaves_no_record(world: World) -> None:
    answer = await world.use(world.toolbox(), "save", "?")
    assert (answer.failed, "A note needs words." in answer.result) == (True, True)
    assert await world.toolbox().earlier() == ()


async def test_an_outside_call_has_an_id_of_its_own_and_is_made_once(world: World) -> None:
    await world.use(world.toolbox(), "post")
    assert (await world.use(world.toolbox(), "post")).result == "posted"
    ((call_id, _),) = world.sent
    assert re.fullmatch(r"run_\d+", call_id)


async def test_an_outside_call_that_never_told_is_not_made_again(world: World) -> None:
    call = ToolCall("c1", "post", '{"text": "hang"}')
    answer = await world.toolbox().use(world.agent, call, bounds(0.05))
    assert "not known whether" in answer.result
    toolbox = world.toolbox()
    for _ in range(2):
        assert "not known whether this ran" in (await world.use(toolbox, "post", "hang")).result
    assert len(world.sent) == 1
    (earlier,) = await world.toolbox().earlier()
    assert earlier.failed


async def test_an_outside_call_that_was_refused_may_be_made_again(world: World) -> None:
    assert (await world.use(world.toolbox(), "post", "?")).failed
    assert await world.toolbox().earlier() == ()


async def test_what_cannot_be_undone_waits_for_the_persons_yes(world: World) -> None:
    toolbox = world.toolbox()
    answer = await world.use(toolbox, "erase", "tudo")
    assert (answer.waits, answer.done, toolbox.question) == (True, False, "Erase tudo?")
    assert await world.notes() == []


async def test_a_yes_runs_what_was_asked_once_with_the_frozen_arguments(world: World) -> None:
    await world.ask("erase", "tudo")
    for _ in range(2):  # the second is the next try of the same turn
        await world.toolbox(turn=1).confirm({"notes": world.agent}, bounds())
    assert await world.notes() == ["tudo"]
    (earlier,) = await world.toolbox(turn=1).earlier()
    assert (earlier.name, earlier.done) == ("erase", True)
    repeated = await world.use(world.toolbox(turn=1), "erase", "tudo")
    assert (repeated.waits, repeated.done) == (False, True)
    assert await world.notes() == ["tudo"]


async def test_a_confirmed_action_happens_on_the_day_it_was_asked_for(world: World) -> None:
    await world.ask("erase", "{now}")
    await world.toolbox(turn=1, later=5 * MINUTE).confirm({"notes": world.agent}, bounds())
    assert await world.notes() == [str(NOW)]


async def test_another_call_than_the_confirmed_one_has_to_be_asked_for_again(world: World) -> None:
    await world.ask("erase", "tudo")
    await world.toolbox(turn=1).confirm({"notes": world.agent}, bounds())
    assert (await world.use(world.toolbox(turn=1), "erase", "mais")).waits


@pytest.mark.parametrize("later", [10 * MINUTE, 24 * 60 * MINUTE])
async def test_a_yes_that_comes_too_late_does_nothing(world: World, later: int) -> None:
    await world.ask("erase", "tudo")
    await world.toolbox(turn=1, later=later).confirm({"notes": world.agent}, bounds())
    assert await world.notes() == []


async def test_a_yes_to_a_question_that_never_went_out_does_nothing(world: World) -> None:
    await world.use(world.toolbox(), "erase", "tudo")
    await world.toolbox(turn=1).confirm({"notes": world.agent}, bounds())
    assert await world.notes() == []


async def test_a_no_drops_the_action_and_tells_the_model(world: World) -> None:
    await world.ask("erase", "tudo")
    (refused,) = await world.toolbox(turn=1).refuse()
    assert (refused.name, refused.done, "said no" in refused.result) == ("erase", False, True)
    await world.toolbox(turn=2).confirm({"notes": world.agent}, bounds())
    assert await world.notes() == []


class Titled(Note):
    title: str


ANOTHER = replace(ERASE, arguments=Titled)


@pytest.mark.parametrize(
    ("agents", "said"),
    [
        ({}, "taken away"),
        ({"notes": Agent("notes", "…", (SAVE,))}, "taken away"),
        ({"notes": Agent("notes", "…", (ANOTHER,))}, "title: Field required"),
    ],
    ids=["specialist gone", "tool gone", "tool changed"],
)
async def test_an_action_that_is_none_any_more_is_dropped_and_told_as_failed(
    world: World, agents: dict[str, Agent], said: str
) -> None:
    await world.ask("erase", "tudo")
    for _ in range(2):  # the second is the next try of the same turn
        await world.toolbox(turn=1).confirm(agents, bounds())
    (earlier,) = await world.toolbox(turn=1).earlier()
    assert (earlier.name, earlier.failed, said in earlier.result) == ("erase", True, True)
    await world.toolbox(turn=1).confirm({"notes": world.agent}, bounds())
    assert await world.notes() == [], "the yes was used up"


async def test_a_confirmed_action_that_cannot_be_done_is_told_as_failed(world: World) -> None:
    await world.ask("erase", "?")
    await world.toolbox(turn=1).confirm({"notes": world.agent}, bounds())
    (earlier,) = await world.toolbox(turn=1).earlier()
    assert (earlier.failed, "A note needs words." in earlier.result) == (True, True)


async def test_one_action_waits_at_a_time(world: World) -> None:
    toolbox = world.toolbox()
    await world.use(toolbox, "erase", "um")
    assert "one at a time" in (await world.use(toolbox, "erase", "dois")).result
    assert toolbox.question == "Erase um?"


async def test_a_tool_may_ask_by_what_it_is_called_with(world: World) -> None:
    assert (await world.use(world.toolbox(), "large", "abc")).done
    assert (await world.use(world.toolbox(), "large", "abcd")).waits


async def test_a_killed_confirmation_is_done_by_the_next_try(world: World) -> None:
    await world.ask("erase", "tudo")
    failpoints.arm("tool.before_commit=1:raise")
    with pytest.raises(FailpointError):
        await world.database.write(1, _confirmed, world)
    await world.toolbox(turn=1).confirm({"notes": world.agent}, bounds())
    assert await world.notes() == ["tudo"]


def _confirmed(tx: OwnerTx, world: World) -> None:
    """What :meth:`Toolbox.confirm` commits, torn off before the commit."""
    action = toolbox_store.asked_action(tx, world.context.conversation_id, now=NOW)
    assert action is not None
    toolbox_store.decide_action(tx, action.id, "confirmed")
    failpoints.failpoint("tool.before_commit")


@pytest.mark.parametrize(
    "look", [toolbox_store.ask_action, toolbox_store.drop_action, partial(toolbox_store.asked_action, now=NOW)]
)
async def test_what_waits_in_a_conversation_is_found_without_reading_what_waited_in_others(world: World, look: Look) -> None:
    plan: list[str] = []

    class Explained(OwnerTx):
        def all(self, sql: str, **parameters: object) -> list[Row]:
            plan.extend(row["detail"] for row in super().all(f"EXPLAIN QUERY PLAN {sql}", **parameters))
            return []

        def run(self, sql: str, **parameters: object) -> int:
            return len(self.all(sql, **parameters))

    await world.database.write(1, lambda tx: look(Explained(tx._connection, set(), 1), 1))
    assert plan
    assert all("SEARCH pending_actions USING INDEX pending_actions_one" in step for step in plan), plan
