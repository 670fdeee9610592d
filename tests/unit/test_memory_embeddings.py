"""The embedder behind OpenAI's API, over real HTTP: what is asked, what is taken, and what is refused."""

import base64
import math
from array import array
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.answers import answering
from wtai.ai.memory.embedder import HashedEmbedder
from wtai.ai.openai import OpenAiLlm
from wtai.ai.openai_embeddings import OpenAiEmbedder, embedder
from wtai.clock import SystemClock
from wtai.errors import LlmRefused, LlmUnavailable
from wtai.settings import OpenAi
from wtai.simulator.model import ModelFault, ScriptedModel


@asynccontextmanager
async def asking(url: str, *, dimensions: int = 64, seconds: float = 5.0) -> AsyncIterator[OpenAiEmbedder]:
    llm = OpenAiLlm(base_url=f"{url}/v1", api_key="k", model="m", timeout_seconds=seconds)
    try:
        yield OpenAiEmbedder(llm.post, model="text-embedding-3-small", dimensions=dimensions)
    finally:
        await llm.close()


def vectors(*embeddings: object) -> dict[str, object]:
    return {"data": [{"index": at, "embedding": one} for at, one in enumerate(embeddings)]}


async def test_texts_become_vectors_of_the_length_asked_for() -> None:
    async with ScriptedModel(SystemClock()) as model, asking(model.url) as embeds:
        found = await embeds.embed([f"texto {number}" for number in range(300)])
        [alone] = await embeds.embed(["texto 7"])
        asked = list(model.requests)
    assert len(found) == 300
    assert {len(vector) for vector in found} == {64}
    assert list(found[7]) == list(alone)
    assert embeds.model == "text-embedding-3-small-64"
    assert [len(body["input"]) for body in asked] == [128, 128, 44, 1]  # type: ignore[index, call-overload, arg-type]
    assert asked[0]["dimensions"] == 64  # type: ignore[index, call-overload]


async def test_vectors_are_read_as_numbers_and_as_base64_in_their_order() -> None:
    packed = base64.b64encode(array("f", [0.0, 1.0]).tobytes()).decode()
    body = {"data": [{"index": 1, "embedding": packed}, {"index": 0, "embedding": [1.0, 0.0]}]}
    async with answering(body) as server, asking(server.url, dimensions=2) as embeds:
        assert [list(vector) for vector in await embeds.embed(["a", "b"])] == [[1.0, 0.0], [0.0, 1.0]]


async def test_a_server_that_cannot_shorten_vectors_is_asked_without_a_length_from_then_on() -> None:
    async with answering(400, vectors([1.0, 0.0]), vectors([0.0, 1.0])) as server, asking(server.url, dimensions=2) as embeds:
        await embeds.embed(["a"])
        await embeds.embed(["b"])
    assert ["dimensions" in body for body in server.asked] == [True, False, False]


@pytest.mark.parametrize(
    "embedding", [[1.0, 0.0, 0.0], [0.0, 0.0], "!!", "AAAA", base64.b64encode(array("f", [math.nan, 1.0]).tobytes()).decode()]
)
async def test_a_vector_that_is_none_is_refused(embedding: object) -> None:
    async with answering(vectors(embedding)) as server, asking(server.url, dimensions=2) as embeds:
        with pytest.raises(LlmRefused) as refused:
            await embeds.embed(["a"])
    assert refused.value.code == "bad_embedding"


async def test_fewer_vectors_than_texts_are_refused() -> None:
    async with answering(vectors([1.0, 0.0])) as server, asking(server.url, dimensions=2) as embeds:
        with pytest.raises(LlmRefused):
            await embeds.embed(["a", "b"])


@pytest.mark.parametrize(
    "fault", [ModelFault.THROTTLED, ModelFault.ERROR, ModelFault.RESET, ModelFault.MALFORMED, ModelFault.HANG]
)
async def test_a_server_in_trouble_is_unavailable(fault: ModelFault) -> None:
    async with ScriptedModel(SystemClock()) as model, asking(model.url, seconds=0.3) as embeds:
        model.faults.arm(fault, times=1)
        with pytest.raises(LlmUnavailable):
            await embeds.embed(["a"])
        assert await embeds.embed(["a"])


async def test_the_settings_choose_the_embedder() -> None:
    async with ScriptedModel(SystemClock()) as model:
        llm = OpenAiLlm(base_url=model.url, api_key=None, model="m")
        assert isinstance(embedder(OpenAi(embedder="hashed"), llm.post), HashedEmbedder)
        assert embedder(OpenAi(), llm.post).model == "text-embedding-3-small-512"
        await llm.close()
