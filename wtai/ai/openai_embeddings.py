"""Vectors by a model behind OpenAI's API: POST /embeddings.

https://platform.openai.com/docs/api-reference/embeddings/create
"""

import base64
import binascii
import math
import sys
from array import array
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from pydantic import BaseModel

from wtai.ai.memory.embedder import Embedder, HashedEmbedder, Vector
from wtai.ai.wire import parsed
from wtai.errors import LlmRefused
from wtai.settings import OpenAi

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


class _Embeddings(BaseModel):
    data: list[_Embedding]


class OpenAiEmbedder:
    """An :class:`~wtai.ai.memory.embedder.Embedder` that asks through ``post``; ``dimensions`` is the length of its vectors.

    A server that cannot shorten vectors is asked again without the length: its own then has to be ``dimensions``.
    """

    def __init__(self, post: Post, *, model: str, dimensions: int) -> None:
        self._post = post
        self._model = model
        self._dimensions = dimensions
        self._names_length = True

    @property
    def model(self) -> str:
        return f"{self._model}-{self._dimensions}"

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        """One vector for each text. LlmUnavailable or LlmRefused, also of vectors of another length or with NaN."""
        vectors: list[Vector] = []
        for start in range(0, len(texts), _BATCH):
            vectors += await self._embedded(texts[start : start + _BATCH])
        return vectors

    async def _embedded(self, texts: Sequence[str]) -> list[Vector]:
        body: dict[str, object] = {"model": self._model, "input": list(texts), "encoding_format": "base64"}
        if not self._names_length:
            return self._read(await self._post(PATH, body), len(texts))
        try:
            return self._read(await self._post(PATH, {**body, "dimensions": self._dimensions}), len(texts))
        except LlmRefused as refused:
            if refused.code not in _LENGTH_UNSUPPORTED:
                raise
        vectors = self._read(await self._post(PATH, body), len(texts))
        self._names_length = False
        return vectors

    def _read(self, raw: bytes, asked: int) -> list[Vector]:
        ordered = sorted(parsed(_Embeddings, raw).data, key=lambda one: one.index)
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


def embedder(settings: OpenAi, post: Post) -> Embedder:
    """The embedder that the settings name."""
    if settings.embedder == "hashed":
        return HashedEmbedder()
    return OpenAiEmbedder(post, model=settings.embedding_model, dimensions=settings.embedding_dimensions)


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
