"""The seam to what turns texts into vectors, and the one that needs no model."""

import asyncio
import zlib
from collections.abc import Sequence
from typing import Final, Protocol

from wtai.ai.memory.reading import keys

Vector = Sequence[float]


class Embedder(Protocol):
    """Turns texts into vectors: texts of like meaning point the same way."""

    @property
    def model(self) -> str:
        """Name of what makes the vectors, its length included: those of another name cannot be compared with them."""

    async def embed(self, texts: Sequence[str], *, owner_id: int, user_id: int) -> list[Vector]:
        """One vector for each text of this person, who pays. LlmUnavailable: the same call may succeed later; LlmRefused: it will
        fail again; BudgetReached: there is no money for it.
        """


HASHED_DIMENSIONS: Final = 256
_WEIGHTS: Final = {"s": 1.0, "c": 1.0, "d": 0.4, "a": 0.2, "g": 0.25}
"""By the kind of key: see :mod:`wtai.ai.memory.reading`."""
_IN_A_THREAD_FROM: Final = 8


class HashedEmbedder:
    """Vectors without a model: each key of a text has a place and a sign, found by hashing. The same text gives the same vector.

    Source: K. Weinberger et al., "Feature Hashing for Large Scale Multitask Learning", 2009.
    """

    @property
    def model(self) -> str:
        return f"hashed-{HASHED_DIMENSIONS}"

    async def embed(self, texts: Sequence[str], **_: int) -> list[Vector]:
        if len(texts) >= _IN_A_THREAD_FROM:
            return await asyncio.to_thread(hashed, texts)
        return hashed(texts)


def hashed(texts: Sequence[str]) -> list[Vector]:
    """One vector for each text, of HASHED_DIMENSIONS."""
    return [_vector(text) for text in texts]


def _vector(text: str) -> Vector:
    vector = [0.0] * HASHED_DIMENSIONS
    for key in keys(text).split():
        hashed = zlib.crc32(key.encode())
        vector[hashed % HASHED_DIMENSIONS] += _WEIGHTS[key[0]] if hashed & 0x80000000 else -_WEIGHTS[key[0]]
    if not any(vector):
        vector[0] = 1.0  # a text of nothing but signs: it has to point somewhere
    return vector
