"""Vectors by a model behind OpenAI's API: POST /embeddings.

https://platform.openai.com/docs/api-reference/embeddings/create
"""

import base64
import binascii
import math
import sys
from array import array
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Final

from pydantic import BaseModel

from wtai.ai.llm import Usage
from wtai.ai.memory.asking import FEATURE
from wtai.ai.memory.embedder import Embedder, HashedEmbedder, Vector
from wtai.ai.paying import Payers, Served
from wtai.ai.pricing import Price, Prices, most_tokens
from wtai.ai.wire import parsed
from wtai.errors import LlmRefused
from wtai.settings import Settings

PATH: Final = "/embeddings"

_BATCH: Final = 128
_LENGTH_UNSUPPORTED: Final = frozenset(
    {"http_400", "http_422", "invalid_request_error", "unsupported_parameter", "unknown_parameter"}
)

Post = Callable[[str, Mapping[str, object]], Awaitable[bytes]]
"""Posts JSON to a path of the model's server; returns the answer's body. LlmUnavailable or LlmRefused."""


class _Embedding(BaseModel):
    index: int
    embedding: list[float] | str


class _Used(BaseModel):
    prompt_tokens: int = 0


class _Embeddings(BaseModel):
    data: list[_Embedding]
    usage: _Used | None = None


class OpenAiEmbedder:
    """An :class:`~wtai.ai.memory.embedder.Embedder` that asks through ``post``; ``dimensions`` is the length of its vectors. What
    they cost, at ``price``, is paid by ``payers``.

    A server that cannot shorten vectors is asked again without the length: its own then has to be ``dimensions``.
    """

    def __init__(self, post: Post, payers: Payers, *, model: str, price: Price, dimensions: int) -> None:
        self._post = post
        self._payers = payers
        self._price = price
        self._model = model
        self._dimensions = dimensions
        self._names_length = True

    @property
    def model(self) -> str:
        return f"{self._model}-{self._dimensions}"

    async def embed(self, texts: Sequence[str], *, owner_id: int, user_id: int) -> list[Vector]:
        """One vector for each text. LlmUnavailable; LlmRefused, also of vectors of another length or with NaN; BudgetReached."""
        payer = await self._payers.of(owner_id, user_id, FEATURE)
        vectors: list[Vector] = []
        for start in range(0, len(texts), _BATCH):
            batch = texts[start : start + _BATCH]
            most = self._price.cost(Usage(prompt=most_tokens(batch)))
            served: list[Vector] = await payer.pay(most, partial(self._embedded, batch, most))
            vectors += served
        return vectors

    async def _embedded(self, texts: Sequence[str], most: int) -> Served[list[Vector]]:
        """The vectors; where the server does not count the tokens, they cost ``most``."""
        answer = await self._answered(texts)
        used = Usage(prompt=answer.usage.prompt_tokens if answer.usage else 0, requests=1)
        return Served(self._vectors(answer, len(texts)), self._price.cost(used) if used.prompt else most, used)

    async def _answered(self, texts: Sequence[str]) -> _Embeddings:
        body: dict[str, object] = {"model": self._model, "input": list(texts), "encoding_format": "base64"}
        if not self._names_length:
            return parsed(_Embeddings, await self._post(PATH, body))
        try:
            return parsed(_Embeddings, await self._post(PATH, {**body, "dimensions": self._dimensions}))
        except LlmRefused as refused:
            if refused.code not in _LENGTH_UNSUPPORTED:
                raise
        answer = parsed(_Embeddings, await self._post(PATH, body))
        self._names_length = False
        return answer

    def _vectors(self, answer: _Embeddings, asked: int) -> list[Vector]:
        ordered = sorted(answer.data, key=lambda one: one.index)
        if [one.index for one in ordered] != list(range(asked)):
            raise LlmRefused("the model server answered with other vectors than were asked for", code="bad_embedding")
        return [self._checked(_floats(one.embedding)) for one in ordered]

    def _checked(self, vector: Vector) -> Vector:
        if len(vector) != self._dimensions:
            raise LlmRefused(
                f"the embedding model makes vectors of {len(vector)}: set openai.embedding_dimensions to that",
                code="bad_embedding",
            )
        norm = math.hypot(*vector)
        if not math.isfinite(norm) or norm == 0:
            raise LlmRefused("the embedding model answered with a vector that points nowhere", code="bad_embedding")
        return vector


def embedder(settings: Settings, post: Post, payers: Payers) -> Embedder:
    """The embedder that the settings name, at their price."""
    openai = settings.openai
    if openai.embedder == "hashed":
        return HashedEmbedder()
    price = Prices.of(settings.prices).price(openai.embedding_model)
    return OpenAiEmbedder(post, payers, model=openai.embedding_model, price=price, dimensions=openai.embedding_dimensions)


def _floats(embedding: list[float] | str) -> Vector:
    """The numbers: as JSON, or as base64 of 32-bit floats, little end first."""
    if isinstance(embedding, list):
        return embedding
    try:
        floats = array("f", base64.b64decode(embedding, validate=True))
    except (binascii.Error, ValueError) as exc:
        raise LlmRefused("the embedding model answered with a vector that cannot be read", code="bad_embedding") from exc
    if sys.byteorder == "big":
        floats.byteswap()
    return floats
