"""How well facts answer a question: words, trigrams and vectors mixed, then what time and names say."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from wtai.ai.memory.model import Fact
from wtai.ai.memory.reading import CHANGE, STRONG, Question, Time, names
from wtai.ai.memory.words import stem
from wtai.ai.memory.words import words as words_of

WORDS, TRIGRAMS, VECTOR = 0.4, 0.3, 0.3
"""What each search counts in the mix."""

_RECENCY: Final = {Time.NOW: 0.1, Time.ANY: 0.05, Time.DONE: 0.0, Time.PAST: -0.05}
_LENGTH: Final = 0.15
_USUAL_KEYS: Final = 45
_ENTITY: Final = 0.1
_TELLING: Final = 0.5
_SHARED: Final = 0.4
_ALL: Final = 0.8
_STEP: Final = 0.001
_SUPERSEDED: Final = 0.7
_LEADERS: Final = 3
_HOP: Final = 0.9
_COMPARED: Final = 12
_NEWER: Final = 30
_EVERYWHERE: Final = frozenset({"dfamily", "dspouse", "dpeople", "dpet", "dplace", "dwhenpart"})
"""Fields that two facts about a person share whatever they tell."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What a score was made of, each from 0 to 1; ``vector`` is None where the embeddings failed."""

    words: float
    trigrams: float
    vector: float | None
    recency: float


@dataclass(frozen=True, slots=True)
class Scored:
    """A fact and how well it answers."""

    fact: Fact
    score: float
    parts: Parts


class Weights:
    """How much a key says in the facts of one person: more, the fewer have it (BM25's inverse document frequency)."""

    def __init__(self, total: int, frequencies: Mapping[str, int]) -> None:
        self.total = total
        self.frequencies = frequencies
        self._known = {key: _rarity(total, having) for key, having in frequencies.items()}
        self._unseen = _rarity(total, 0)

    def of(self, key: str) -> float:
        """The key's weight; keys that are in no fact have the most."""
        return self._known.get(key, self._unseen)


def ranked(question: Question, facts: Sequence[Fact], weights: Weights) -> list[Scored]:
    """The facts, best first. Of two about one matter the one that holds comes first; the older, if the past is asked for."""
    asked = _Asked(question, weights)
    known = [frozenset(fact.keys.split()) for fact in facts]
    matters = [asked.matter(keys) for keys in known]
    rare = {f"g{gram}": weights.of(f"g{gram}") for gram in question.trigrams}
    words = _spread([total for total, _ in matters])
    trigrams = _spread([sum(map(rare.__getitem__, rare.keys() & keys)) for keys in known])
    vectors = _spread([max(0.0, fact.similarity or 0.0) for fact in facts])
    recency = _spread(_places(facts))
    has_vectors = any(fact.similarity is not None for fact in facts)
    scored = []
    for at, fact in enumerate(facts):
        parts = Parts(words[at], trigrams[at], vectors[at] if has_vectors else None, recency[at])
        score = _mixed(parts) + _RECENCY[question.time] * parts.recency + _ENTITY * asked.names(fact.entity)
        scored.append(Scored(fact, score, parts))
    scored.sort(key=_order, reverse=True)
    return _in_time(question, scored, {fact.id: held for fact, (_, held) in zip(facts, matters, strict=True)})


def names_to_follow(best: Sequence[Scored], question: Question) -> frozenset[str]:
    """Keys of the names in the best facts that the question does not hold: what became of them may be the answer."""
    asked = {key for group in question.wanted for key in group}
    told = {word for one in best[:_LEADERS] for name in names(one.fact.text) for word in words_of(name)}
    return frozenset(f"s{stem(word)}" for word in told) - asked


def _rarity(total: int, having: int) -> float:
    return math.log(1 + (max(total, having) - having + 0.5) / (having + 0.5))


class _Asked:
    """A question by its keys: which of the things asked for each stands for, and how much it says in these facts."""

    def __init__(self, question: Question, weights: Weights) -> None:
        self._places: dict[str, list[tuple[int, float]]] = {}
        for at, group in enumerate(question.wanted):
            for key, weight in group.items():
                self._places.setdefault(key, []).append((at, weight * weights.of(key)))

    def matter(self, keys: frozenset[str]) -> tuple[float, dict[int, float]]:
        """How much of what is asked for a fact holds, each thing by its best key; and what it holds by word or concept."""
        best: dict[int, float] = {}
        held: dict[int, float] = {}
        for key in self._places.keys() & keys:
            for at, value in self._places[key]:
                best[at] = max(value, best.get(at, 0.0))
                if key[0] in STRONG:
                    held[at] = max(value, held.get(at, 0.0))
        # Longer facts hold more of what is asked for by chance: they get a little less.
        return sum(best.values()) / (1 - _LENGTH + _LENGTH * len(keys) / _USUAL_KEYS), held

    def names(self, entity: str | None) -> bool:
        """Whether the question names this entity."""
        return entity is not None and any(f"s{stem(word)}" in self._places for word in words_of(entity))


def _in_time(question: Question, scored: list[Scored], matters: Mapping[int, Mapping[int, float]]) -> list[Scored]:
    """Put facts in order that were true one after the other."""
    scores = {one.fact.id: one.score for one in scored}
    facts = {one.fact.id: one.fact for one in scored}
    past, now, done = (question.time is time for time in (Time.PAST, Time.NOW, Time.DONE))
    changes = {fact.id for fact in facts.values() if f" {CHANGE} " in fact.keys}
    others = [one.fact for place, one in enumerate(scored) if one.fact.id in changes or (now and place < _NEWER)]
    led: set[int] = set()
    for place, one in enumerate(scored[:_COMPARED]):
        older = one.fact
        successor = facts.get(older.superseded_by or 0)
        if successor is not None:
            _let_lead(scores, older, successor, past=past, drop=_SUPERSEDED)
        for newer in others:
            if newer.observed_at <= older.observed_at or (past and newer.id in led):
                continue
            share = _shared(matters[older.id], matters[newer.id])
            if done:
                lift = scores[older.id] * _HOP if share >= _SHARED else 0.0
                scores[newer.id] = max(scores[newer.id], lift)
            elif share >= (_SHARED if newer.id in changes else _ALL):
                _let_lead(scores, older, newer, past=past)
                led.add(newer.id)
            elif place < _LEADERS and newer.id in changes and not past:
                _follow(scores, older, newer, now=now)
    final = [replace(one, score=scores[one.fact.id]) for one in scored]
    return sorted(final, key=_order, reverse=True)


def _follow(scores: dict[int, float], leader: Fact, newer: Fact, *, now: bool) -> None:
    """Lift what changed later about somebody or something that a leading fact names; above it, if it is of the same field."""
    known = frozenset(newer.keys.split())
    if any(f"s{stem(word)}" in known for name in names(leader.text) for word in words_of(name)):
        fields = {key for key in known.intersection(leader.keys.split()) if key[0] == "d"} - _EVERYWHERE
        lifted = scores[leader.id] + _STEP if now or fields else scores[leader.id] * _HOP
        scores[newer.id] = max(scores[newer.id], lifted)


def _let_lead(scores: dict[int, float], older: Fact, newer: Fact, *, past: bool, drop: float = 1.0) -> None:
    first, second = (older, newer) if past else (newer, older)
    scores[first.id] = max(scores[first.id], scores[second.id] + _STEP)
    if not past:
        scores[second.id] *= drop


def _shared(older: Mapping[int, float], newer: Mapping[int, float]) -> float:
    """How much of what an older fact has to say to the question a newer one says, too; 0 without the most telling part."""
    if not older:
        return 0.0
    telling = max(older, key=lambda at: older[at])
    if newer.get(telling, 0.0) < _TELLING * older[telling]:
        return 0.0
    return sum(min(value, newer.get(at, 0.0)) for at, value in older.items()) / sum(older.values())


def _mixed(parts: Parts) -> float:
    if parts.vector is None:
        return (WORDS * parts.words + TRIGRAMS * parts.trigrams) / (WORDS + TRIGRAMS)
    return WORDS * parts.words + TRIGRAMS * parts.trigrams + VECTOR * parts.vector


def _places(facts: Sequence[Fact]) -> list[float]:
    """The place of each fact in the order of time."""
    times = sorted({fact.observed_at for fact in facts})
    order = {time: place for place, time in enumerate(times)}
    return [order[fact.observed_at] for fact in facts]


def _spread(values: Sequence[float]) -> list[float]:
    """The values from 0 for nothing to 1 for the most: what all have in common stays in all."""
    most = max(values, default=0.0)
    return [value / most if most > 0 else 0.0 for value in values]


def _order(one: Scored) -> tuple[float, int, int]:
    return one.score, one.fact.observed_at, one.fact.id
