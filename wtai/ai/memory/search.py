"""The search in one person's facts: candidates by words, trigrams and vectors, ranked in one snapshot."""

from collections.abc import Iterable, Mapping
from typing import Final

from wtai.ai.memory import facts, index
from wtai.ai.memory.model import Fact
from wtai.ai.memory.ranking import Scored, Weights, names_to_follow, ranked
from wtai.ai.memory.reading import CHANGE, STRONG, Question
from wtai.db.tx import OwnerTx

_POSTINGS: Final = 2_000
"""How many places of the index one kind of search may visit, so that no question is slow: the rarest keys come first."""

_SUCCESSORS: Final = 4
_CHANGED: Final = 16
_MEANT: Final = 0.6


def search(tx: OwnerTx, user_id: int, question: Question, model: str, vector: bytes | None) -> list[Scored]:
    """The facts of one person that may answer, best first. Without a ``vector`` words alone decide."""
    keys = {key for group in question.wanted for key in group}
    trigrams = {f"g{gram}" for gram in question.trigrams}
    weights = Weights(facts.count(tx, user_id), index.frequencies(tx, user_id, keys | trigrams))
    ids: dict[int, None] = {}
    for kind in (_strongest(question), dict.fromkeys(trigrams, 1.0)):
        ids.update(dict.fromkeys(_by_keys(tx, user_id, kind, weights)))
    if vector is not None:
        ids.update(dict.fromkeys(index.nearest(tx, user_id, model, vector)))
    found = _fetched(tx, user_id, ids, model, vector)
    best = ranked(question, found, weights)
    follow = names_to_follow(best, question)
    if not follow:
        return best
    changed = index.with_keys(tx, user_id, dict.fromkeys(follow, 1.0), and_key=CHANGE, limit=_CHANGED)
    more = [one for one in changed if one not in ids]
    return ranked(question, [*found, *index.fetch(tx, user_id, more, model, vector)], weights) if more else best


def _strongest(question: Question) -> dict[str, float]:
    """Each key asked for with the most it counts."""
    found: dict[str, float] = {}
    for group in question.wanted:
        for key, weight in group.items():
            found[key] = max(weight, found.get(key, 0.0))
    return found


def _by_keys(tx: OwnerTx, user_id: int, counts: Mapping[str, float], weights: Weights) -> list[int]:
    """Candidates by their keys, the rarest first, as far as the index may be visited."""
    left = _POSTINGS
    chosen: dict[str, float] = {}
    for key in sorted(counts, key=lambda key: (weights.frequencies.get(key, 0), key)):
        having = weights.frequencies.get(key, 0)
        if having and (having <= left or not chosen):
            left -= having
            chosen[key] = counts[key] * weights.of(key)
    return index.with_keys(tx, user_id, chosen) if chosen else []


def _fetched(tx: OwnerTx, user_id: int, ids: Iterable[int], model: str, vector: bytes | None) -> list[Fact]:
    """The candidates, and what superseded them."""
    found = {fact.id: fact for fact in index.fetch(tx, user_id, ids, model, vector)}
    for _ in range(_SUCCESSORS):
        missing = {fact.superseded_by for fact in found.values() if fact.superseded_by} - found.keys()
        if not missing:
            break
        found.update({fact.id: fact for fact in index.fetch(tx, user_id, missing, model, vector)})
    return list(found.values())


def meant(tx: OwnerTx, user_id: int, question: Question) -> list[Fact]:
    """The facts that hold most of what is named, best first, by words alone: what somebody points at to have it changed."""
    named = [group for group in question.wanted if any(key[0] in STRONG for key in group)]
    found = []
    for one in search(tx, user_id, question, "", None):
        keys = frozenset(one.fact.keys.split())
        held = sum(any(key[0] in STRONG and key in keys for key in group) for group in named)
        if named and held >= _MEANT * len(named):
            found.append((held, one.fact))
    best = max((held for held, _ in found), default=0)
    return [fact for held, fact in found if held == best]
