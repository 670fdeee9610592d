"""An owner's own tools are kept apart from others', and what is wrong with one is said when it is saved, with the place."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.schema import new_database
from wtai.ai.tools.http_store import HttpToolDraft, InvalidHttpTool, Saved, delete_http_tool, http_tools, save_http_tool
from wtai.ai.tools.tool import Effect
from wtai.db.sqlite import SqliteDatabase
from wtai.egress import Egress
from wtai.errors import NotFound
from wtai.identity.store import create_owner
from wtai.secrets import Sealer, UnsealError, create_key_file

NOW = 1_800_000_000_000
PARAMETERS = {"type": "object", "properties": {"order_id": {"type": "string"}}, "required": ["order_id"]}
DRAFT = HttpToolDraft("order_status", "Tells the state of an order.", PARAMETERS, "https://shop.example/hook", Effect.READ)


@dataclass
class Book:
    """Two owners who may have tools."""

    database: SqliteDatabase
    sealer: Sealer

    async def save(self, owner: int = 1, **changes: Any) -> Saved:
        draft = replace(DRAFT, **changes)
        return await self.database.write(
            owner, save_http_tool, draft, sealer=self.sealer, egress=Egress(), built_in={"call_person"}, now=NOW
        )


@pytest.fixture
async def book(data_dir: Path) -> AsyncIterator[Book]:
    new_database(data_dir / "wtai.db")
    database = await SqliteDatabase.open(data_dir / "wtai.db")
    for name in ("Casa", "Loja"):
        await database.system_write(create_owner, name, "pt-BR", now=NOW)
    yield Book(database, Sealer(create_key_file(data_dir / "wtai.key")))
    await database.close()


async def test_tools_of_one_owner_are_not_anothers_and_neither_are_their_secrets(book: Book) -> None:
    await book.save()
    await book.save(owner=2, description="Theirs.")
    [ours], [theirs] = [await book.database.read(owner, http_tools) for owner in (1, 2)]
    assert (ours.description, theirs.description) == ("Tells the state of an order.", "Theirs.")
    await book.database.write(2, delete_http_tool, "order_status")
    assert await book.database.read(1, http_tools) == (ours,)
    with pytest.raises(NotFound):
        await book.database.write(2, delete_http_tool, "order_status")
    with pytest.raises(UnsealError):
        book.sealer.unseal(2, "http_tools.secret", ours.secret)


@pytest.mark.parametrize(
    ("pointer", "changes"),
    [
        ("/name", {"name": "Order"}),
        ("/name", {"name": "9x"}),
        ("/name", {"name": "a" * 65}),
        ("/name", {"name": "order-status"}),
        ("/name", {"name": "x\n"}),
        ("/name", {"name": "call_person"}),
        ("/name", {"name": "transfer_to_finance"}),
        ("/description", {"description": " "}),
        ("/description", {"description": "x" * 1_001}),
        ("/description", {"description": "\ud800"}),
        ("/timeout_seconds", {"timeout_seconds": 0}),
        ("/timeout_seconds", {"timeout_seconds": 30.1}),
        ("/timeout_seconds", {"timeout_seconds": float("nan")}),
        ("/url", {"url": "http://example.com/"}),
        ("/url", {"url": "https://169.254.169.254/"}),
        ("/url", {"url": "https://user:pass@example.com/"}),
        ("/secret", {"secret": "hunter2"}),
        ("/secret", {"secret": ""}),
        ("/parameters/format", {"parameters": {"type": "object", "format": "x"}}),
        ("/parameters/properties/a/type", {"parameters": {"type": "object", "properties": {"a": {"type": "file"}}}}),
        ("/parameters", {"parameters": {"type": "object", "description": "x" * 8_192}}),
        ("/parameters", {"parameters": {"type": "object", "description": "\ud800"}}),
    ],
)
async def test_what_is_wrong_with_a_tool_is_said_with_its_place_and_nothing_is_saved(
    book: Book, pointer: str, changes: dict[str, Any]
) -> None:
    with pytest.raises(InvalidHttpTool) as refused:
        await book.save(**changes)
    assert refused.value.pointer == pointer
    assert "hunter2" not in str(refused.value) and "pass@" not in str(refused.value)
    assert await book.database.read(1, http_tools) == ()
