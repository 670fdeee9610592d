"""The embedder behind OpenAI's API, over real HTTP: what is asked, what is taken, and what is refused."""

import base64
import json
import math
from array import array
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest

from tests.answers import answering
from tests.store.memory import BASE, House, opened_house
from wtai.ai.memory.embedder import HashedEmbedder, Vector
from wtai.ai.openai import OpenAiLlm
from wtai.ai.openai_embeddings import OpenAiEmbedder, embedder
from wtai.ai.paying import Payers
from wtai.ai.pricing import MICROS, Price
from wtai.clock import SystemClock
from wtai.db.tx import Row
from wtai.errors import BudgetReached, LlmError, LlmRefused, LlmUnavailable
from wtai.identity.store import choose
from wtai.settings import OpenAi, Settings
from wtai.simulator.model import ModelFault, ScriptedModel

PRICE = Price(2 * MICROS, 0, 0)
"""Two micros a token, so that a vector has a price that shows."""


@dataclass
class Embeds:
    """Vectors of Ana's texts."""

    house: House
    embedder: OpenAiEmbedder

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        return await self.embedder.embed(texts, owner_id=self.house.ana.owner, user_id=self.house.ana.user)

    def books(self) -> list[Row]:
        return self.house.rows("SELECT user_id, feature, requests, prompt_tokens, cost, held FROM usage")

    async def choose(self, **chosen: object) -> None:
        await self.house.database.write(self.house.ana.owner, choose, BASE, json.dumps(chosen))


@pytest.fixture
async def house(data_dir: Path) -> AsyncIterator[House]:
    async with opened_house(data_dir / "wtai.db") as opened:
        yield opened


@asynccontextmanager
async def asking(house: House, url: str, *, dimensions: int = 64, seconds: float = 5.0) -> AsyncIterator[Embeds]:
    llm = OpenAiLlm(base_url=f"{url}/v1", api_key="k", model="m", timeout_seconds=seconds)
    payers = Payers(house.database, house.clock, BASE)
    try:
        embedder = OpenAiEmbedder(llm.post, payers, model="text-embedding-3-small", price=PRICE, dimensions=dimensions)
        yield Embeds(house, embedder)
    finally:
        await llm.close()


def vectors(*embeddings: object, tokens: int | None = None) -> dict[str, object]:
    usage = {} if tokens is None else {"usage": {"prompt_tokens": tokens, "total_tokens": tokens}}
    return {"data": [{"index": at, "embedding": one} for at, one in enumerate(embeddings)], **usage}


async def test_texts_become_vectors_of_the_length_asked_for(house: House) -> None:
    async with ScriptedModel(SystemClock()) as model, asking(house, model.url) as embeds:
        found = await embeds.embed([f"texto {number}" for number in range(300)])
        [alone] = await embeds.embed(["texto 7"])
        asked = list(model.requests)
    assert len(found) == 300
    assert {len(vector) for vector in found} == {64}
    assert list(found[7]) == list(alone)
    assert embeds.embedder.model == "text-embedding-3-small-64"
    assert [len(body["input"]) for body in asked] == [128, 128, 44, 1]  # type: ignore[index, call-overload, arg-type]
    assert asked[0]["dimensions"] == 64  # type: ignore[index, call-overload]


async def test_vectors_are_read_as_numbers_and_as_base64_in_their_order(house: House) -> None:
    packed = base64.b64encode(array("f", [0.0, 1.0]).tobytes()).decode()
    body = {"data": [{"index": 1, "embedding": packed}, {"index": 0, "embedding": [1.0, 0.0]}]}
    async with answering(body) as server, asking(house, server.url, dimensions=2) as embeds:
        assert [list(vector) for vector in await embeds.embed(["a", "b"])] == [[1.0, 0.0], [0.0, 1.0]]


async def test_a_server_that_cannot_shorten_vectors_is_asked_without_a_length_from_then_on(house: House) -> None:
    async with (
        answering(400, vectors([1.0, 0.0]), vectors([0.0, 1.0])) as server,
        asking(house, server.url, dimensions=2) as embeds,
    ):
        await embeds.embed(["a"])
        await embeds.embed(["b"])
    assert ["dimensions" in body for body in server.asked] == [True, False, False]


@pytest.mark.parametrize(
    "embedding", [[1.0, 0.0, 0.0], [0.0, 0.0], "!!", "AAAA", base64.b64encode(array("f", [math.nan, 1.0]).tobytes()).decode()]
)
async def test_a_vector_that_is_none_is_refused(house: House, embedding: object) -> None:
    async with answering(vectors(embedding)) as server, asking(house, server.url, dimensions=2) as embeds:
        with pytest.raises(LlmRefused) as refused:
            await embeds.embed(["a"])
    assert refused.value.code == "bad_embedding"


async def test_fewer_vectors_than_texts_are_refused(house: House) -> None:
    async with answering(vectors([1.0, 0.0])) as server, asking(house, server.url, dimensions=2) as embeds:
        with pytest.raises(LlmRefused):
            await embeds.embed(["a", "b"])


@pytest.mark.parametrize(
    "fault", [ModelFault.THROTTLED, ModelFault.ERROR, ModelFault.RESET, ModelFault.MALFORMED, ModelFault.HANG]
)
async def test_a_server_in_trouble_is_unavailable(house: House, fault: ModelFault) -> None:
    async with ScriptedModel(SystemClock()) as model, asking(house, model.url, seconds=0.3) as embeds:
        model.faults.arm(fault, times=1)
        with pytest.raises(LlmUnavailable):
            await embeds.embed(["a"])
        assert await embeds.embed(["a"])


async def test_the_settings_choose_the_embedder(house: House) -> None:
    llm = OpenAiLlm(base_url="http://127.0.0.1:9/v1", api_key=None, model="m")
    payers = Payers(house.database, house.clock, BASE)
    assert isinstance(embedder(Settings(openai=OpenAi(embedder="hashed")), llm.post, payers), HashedEmbedder)
    assert embedder(Settings(), llm.post, payers).model == "text-embedding-3-small-512"
    await llm.close()


# --- What they cost


async def test_vectors_are_booked_by_their_tokens_and_by_the_most_they_can_be_where_nobody_counts(house: House) -> None:
    async with (
        answering(vectors([1.0, 0.0], tokens=3), vectors([1.0, 0.0])) as server,
        asking(house, server.url, dimensions=2) as embeds,
    ):
        await embeds.embed(["olá"])
        booked = {"user_id": house.ana.user, "feature": "memory", "requests": 1, "prompt_tokens": 3, "cost": 6, "held": 0}
        assert embeds.books() == [booked]
        await embeds.embed(["olá"])
        assert embeds.books() == [{**booked, "requests": 2, "cost": 6 + 2 * len("olá".encode())}]


async def test_a_batch_that_a_budget_has_no_room_for_is_not_asked_for(house: House) -> None:
    async with ScriptedModel(SystemClock()) as model, asking(house, model.url) as embeds:
        await embeds.choose(budget_month_usd=str(Decimal(2 * 128 * 10) / MICROS))
        with pytest.raises(BudgetReached):
            await embeds.embed(["dez letras"] * 256)
        assert len(model.requests) == 1
    assert [row["held"] for row in embeds.books()] == [0]


@pytest.mark.parametrize(("answer", "held"), [(vectors([1.0, 0.0, 0.0]), 6), ({"data": 1}, 6), (429, 0), (500, 0)], ids=str)
async def test_a_useless_answer_may_have_been_paid_for_and_a_refusal_was_not(house: House, answer: object, held: int) -> None:
    async with answering(answer) as server, asking(house, server.url, dimensions=2) as embeds:
        await embeds.choose(budget_user_day_usd="1")
        with pytest.raises(LlmError):
            await embeds.embed(["abc"])
        assert [(row["cost"], row["held"]) for row in embeds.books()] == [(0, held)]
