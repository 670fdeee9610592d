"""What is remembered of a person, found again: the one way to the search, for tools, turns and people alike."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from wtai.ai.memory import facts, index
from wtai.ai.memory.embedder import Embedder
from wtai.ai.memory.model import Fact
from wtai.ai.memory.ranking import Parts, Scored
from wtai.ai.memory.reading import VERSION, alike, keys, question
from wtai.ai.memory.search import search
from wtai.ai.memory.vectors import packed
from wtai.db.tx import Database, OwnerTx
from wtai.errors import BudgetReached, LlmError

log = structlog.get_logger(__name__)

QUERY_SECONDS: Final = 2.5
_CHARS_PER_TOKEN: Final = 3
_OVERHEAD_TOKENS: Final = 12
_BATCH: Final = 64
_COMPARED: Final = 8
_NEIGHBOURS: Final = 4
_SAME_MEANING: Final = 0.92
_LEAST_SHARE: Final = 0.1
"""What scores less than this share of the best is left out."""


@dataclass(frozen=True, slots=True)
class Memory:
    """A fact that may answer, with its score and what it was made of. ``observed_at`` in ms since 1970.

    ``superseded``: a newer fact holds instead.
    """

    public_id: str
    text: str
    observed_at: int
    superseded: bool
    score: float
    parts: Parts


@dataclass(frozen=True, slots=True)
class Recall:
    """What was found, best first. ``degraded``: there was no embedding, words alone decided."""

    items: tuple[Memory, ...]
    degraded: bool


NOTHING: Final = Recall((), degraded=False)


class Memories:
    """The facts of all people, each search inside one owner and one person. A question waits ``query_seconds`` for its vector."""

    def __init__(self, database: Database, embedder: Embedder, *, query_seconds: float = QUERY_SECONDS) -> None:
        self._database = database
        self._embedder = embedder
        self._query_seconds = query_seconds

    async def recall(self, owner_id: int, user_id: int, query: str, *, limit: int = 8, max_tokens: int = 500) -> Recall:
        """The person's facts that may answer ``query``: at most ``limit``, and about ``max_tokens`` of text.

        Nobody is asked for a vector where nothing is kept of the person.
        """
        if not query.strip() or not await self._database.read(owner_id, facts.is_any, user_id):
            return NOTHING
        vector = await self._vector(owner_id, user_id, query)
        found = await self._database.read(owner_id, search, user_id, question(query), self._embedder.model, vector)
        return Recall(_shown(found, limit, max_tokens), degraded=vector is None)

    async def embed_missing(self, owner_id: int, user_id: int) -> int:
        """Give a person's facts the words and vectors of this program's version and model; returns how many got some.

        Facts new to the vectors that say what an older one says supersede it. LlmUnavailable, LlmRefused or BudgetReached; what
        was done until then stays.
        """
        done = 0
        while reworded := await self._database.write(owner_id, _reword, user_id):
            done += reworded
        while missing := await self._database.read(owner_id, _without_vector, user_id, self._embedder.model):
            vectors = await self._embedder.embed([fact.text for fact in missing], owner_id=owner_id, user_id=user_id)
            embedded = list(zip(missing, map(packed, vectors), strict=True))
            await self._database.write(owner_id, _put, user_id, self._embedder.model, embedded)
            done += len(missing)
            if len(missing) < _BATCH:
                same = await self._database.read(owner_id, _same, user_id, self._embedder.model, embedded[-_COMPARED:])
                if same:
                    await self._database.write(owner_id, _supersede, user_id, same)
        return done

    async def _vector(self, owner_id: int, user_id: int, query: str) -> bytes | None:
        try:
            async with asyncio.timeout(self._query_seconds):
                [vector] = await self._embedder.embed([query], owner_id=owner_id, user_id=user_id)
        except LlmError as exc:
            log.warning("memory.degraded", code=exc.code)
        except BudgetReached:
            log.warning("memory.degraded", code="budget")
        except TimeoutError:
            log.warning("memory.degraded", code="timeout")
        else:
            return packed(vector)
        return None


def _shown(found: Sequence[Scored], limit: int, max_tokens: int) -> tuple[Memory, ...]:
    shown: list[Memory] = []
    left = max_tokens
    for one in found[:limit]:
        left -= len(one.fact.text) // _CHARS_PER_TOKEN + _OVERHEAD_TOKENS
        if left < 0 or one.score < found[0].score * _LEAST_SHARE:
            break
        fact = one.fact
        superseded = fact.superseded_by is not None
        shown.append(Memory(fact.public_id, fact.text, fact.observed_at, superseded, round(one.score, 4), one.parts))
    return tuple(shown)


def _reword(tx: OwnerTx, user_id: int) -> int:
    stale = facts.of_another_version(tx, user_id, VERSION, limit=_BATCH)
    for fact in stale:
        facts.reword(tx, user_id, fact, keys(fact.text), VERSION)
    return len(stale)


def _without_vector(tx: OwnerTx, user_id: int, model: str) -> list[Fact]:
    return index.fetch(tx, user_id, index.without_vector(tx, user_id, model, limit=_BATCH))


def _put(tx: OwnerTx, user_id: int, model: str, embedded: Sequence[tuple[Fact, bytes]]) -> None:
    for fact, vector in embedded:
        index.put_vector(tx, user_id, fact, model, vector)


def _same(tx: OwnerTx, user_id: int, model: str, embedded: Sequence[tuple[Fact, bytes]]) -> list[tuple[int, int]]:
    """Pairs of an older fact and one of ``embedded`` that says the same: (older, newer)."""
    pairs: list[tuple[int, int]] = []
    for fact, vector in embedded:
        near = index.fetch(tx, user_id, index.nearest(tx, user_id, model, vector, limit=_NEIGHBOURS), model, vector)
        pairs += [(other.id, fact.id) for other in near if other.id < fact.id and _says_the_same(other, fact)]
    return pairs


def _says_the_same(older: Fact, newer: Fact) -> bool:
    near = older.similarity is not None and older.similarity > _SAME_MEANING
    return near and older.superseded_by is None and alike(older.text, newer.text)


def _supersede(tx: OwnerTx, user_id: int, pairs: Sequence[tuple[int, int]]) -> None:
    for older, newer in pairs:
        if len(index.fetch(tx, user_id, (older, newer))) == 2 and facts.holds_instead(tx, user_id, newer) is None:
            facts.supersede(tx, user_id, older, newer)
