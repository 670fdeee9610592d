"""Facts kept, corrected and forgotten, each in the caller's transaction; vectors follow in a job."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from hashlib import blake2b
from typing import Final, Literal

from wtai.ai.memory import conversations, facts, index
from wtai.ai.memory.guard import Unfit, cleaned, unfit
from wtai.ai.memory.model import Fact, NewFact
from wtai.ai.memory.reading import VERSION, denials, keys, names, numbers
from wtai.ai.memory.words import fold, words
from wtai.db.tx import OwnerTx
from wtai.errors import NotFound, WtaiError
from wtai.jobs.store import BACKGROUND, enqueue

EMBED: Final = "embed_memories"
"""The kind of job that gives a person's facts their vectors; payload user_id."""

Kind = Literal["fact", "preference", "relation", "event"]

_ALIKE: Final = 0.8
_COMPARED: Final = 10
_POSTINGS: Final = 1_000
_BATCH: Final = 200


class NotKept(WtaiError):
    """The text is not to be kept; ``why`` says for which reason."""

    def __init__(self, why: Unfit) -> None:
        super().__init__(f"this is not kept as a memory: {why}")
        self.why = why


class Outcome(StrEnum):
    """What became of a fact that was told."""

    KEPT = "kept"
    KNOWN = "known"


@dataclass(frozen=True, slots=True)
class Told:
    """Something to remember. ``entity`` and ``attribute`` name what it is about where that has one value at a time (a rent, an
    employer): a newer fact about the same supersedes. ``observed_at`` in ms since 1970: since when it is known.
    """

    text: str
    observed_at: int
    kind: Kind = "fact"
    entity: str | None = None
    attribute: str | None = None
    source_message_id: int | None = None


@dataclass(frozen=True, slots=True)
class Remembered:
    """A fact that is kept now; ``superseded`` are the texts that hold no longer."""

    public_id: str
    text: str
    outcome: Outcome
    superseded: tuple[str, ...] = ()


def remember(tx: OwnerTx, user_id: int, told: Told, *, now: int) -> Remembered:
    """Keep a fact, unless it is known. NotKept for what must not be.

    What says the same but for its numbers, or is about the same entity and attribute, supersedes or is superseded, by date.
    """
    new = _new(told)
    known = facts.by_hash(tx, user_id, new.text_hash)
    alike = [] if known else _alike(tx, user_id, new)
    if known is None:
        known = next((fact for fact in alike if _says_the_same(fact, new)), None)
    if known is not None:
        return _restated(tx, user_id, known, new)
    fact = facts.insert(tx, user_id, new, now=now)
    if fact is None:
        raise NotFound("the fact was deleted while it was told again")
    matters = facts.about(tx, user_id, new.entity, new.attribute) if new.entity and new.attribute else []
    if new.kind != "event":
        matters += [one for one in alike if one.superseded_by is None]
    superseded = _put_in_order(tx, user_id, fact, {one.id: one for one in matters if one.id != fact.id})
    enqueue(tx, EMBED, {"user_id": user_id}, unique_key=str(user_id), priority=BACKGROUND, now=now)
    return Remembered(fact.public_id, fact.text, Outcome.KEPT, superseded)


def correct(tx: OwnerTx, user_id: int, fact: Fact, told: Told, *, now: int) -> Remembered:
    """Keep ``told`` in the place of ``fact``, which it supersedes. NotKept for what must not be kept."""
    kept = remember(tx, user_id, told, now=now)
    newer = facts.by_public_id(tx, user_id, kept.public_id)
    if newer is None or newer.id == fact.id:
        return kept
    facts.supersede(tx, user_id, newer.id, None)
    facts.supersede(tx, user_id, fact.id, newer.id)
    return replace(kept, superseded=tuple(dict.fromkeys((fact.text, *kept.superseded))))


def forget(tx: OwnerTx, user_id: int, fact: Fact) -> int:
    """Delete a fact, with what it superseded, from words, vectors and summaries; returns how many facts went.

    What was said until now is neither read for facts nor summed up again, for the fact stands there, too.
    """
    gone = [*facts.versions_before(tx, user_id, fact.id), fact]
    for one in gone:
        facts.delete(tx, user_id, one)
    conversations.leave_behind(tx, user_id, mentioning=fact.text)
    return len(gone)


def forget_everything(tx: OwnerTx, user_id: int) -> int:
    """Delete all that is remembered of a person; returns how many facts that were."""
    gone = 0
    while found := facts.newest(tx, user_id, limit=_BATCH):
        for fact in found:
            facts.delete(tx, user_id, fact)
        gone += len(found)
    conversations.leave_behind(tx, user_id, mentioning=None)
    return gone


def _new(told: Told) -> NewFact:
    text = cleaned(told.text)
    why = unfit(text)
    if why is not None:
        raise NotKept(why)
    entity, attribute = (_label(told.entity), _label(told.attribute)) if told.entity and told.attribute else (None, None)
    said = " ".join(words(fold(text)))
    return NewFact(
        text=text,
        kind=told.kind,
        entity=entity,
        attribute=attribute,
        observed_at=told.observed_at,
        source_message_id=told.source_message_id,
        text_hash=blake2b(said.encode(), digest_size=16).hexdigest(),
        keys=keys(text),
        keys_version=VERSION,
    )


def _label(name: str) -> str | None:
    return " ".join(words(fold(name))[:8]) or None


def _alike(tx: OwnerTx, user_id: int, new: NewFact) -> list[Fact]:
    """Facts that share most of their trigrams with a new one, and have the same names and the same denials."""
    grams = _grams(new.keys)
    having = index.frequencies(tx, user_id, (key for key in new.keys.split() if key[0] == "s"))
    chosen: dict[str, float] = {}
    left = _POSTINGS
    for key in sorted(having, key=lambda key: (having[key], key)):
        left -= having[key]
        if left < 0 and chosen:
            break
        chosen[key] = 1.0
    ids = index.with_keys(tx, user_id, chosen, limit=_COMPARED) if chosen else []
    return [
        fact
        for fact in index.fetch(tx, user_id, ids)
        if _jaccard(grams, _grams(fact.keys)) > _ALIKE
        and names(fact.text) == names(new.text)
        and denials(fact.text) == denials(new.text)
    ]


def _says_the_same(fact: Fact, new: NewFact) -> bool:
    return numbers(fact.text) == numbers(new.text)


def _restated(tx: OwnerTx, user_id: int, known: Fact, new: NewFact) -> Remembered:
    """A fact told again. One that was superseded before holds again: it supersedes what came after it."""
    later = facts.holds_instead(tx, user_id, known.id) if new.observed_at >= known.observed_at else None
    if later is not None:
        facts.supersede(tx, user_id, known.id, None)
        facts.supersede(tx, user_id, later.id, known.id)
    facts.seen_again(tx, user_id, known.id, new.observed_at)
    return Remembered(known.public_id, known.text, Outcome.KNOWN, (later.text,) if later else ())


def _put_in_order(tx: OwnerTx, user_id: int, fact: Fact, matters: Mapping[int, Fact]) -> tuple[str, ...]:
    """Let a new fact supersede the older ones about its matter, or be superseded by the newest of the newer ones."""
    newer = [one for one in matters.values() if one.observed_at > fact.observed_at]
    if newer:
        facts.supersede(tx, user_id, fact.id, max(newer, key=lambda one: (one.observed_at, one.id)).id)
        return ()
    for one in matters.values():
        facts.supersede(tx, user_id, one.id, fact.id)
    return tuple(one.text for one in matters.values())


def _grams(keys: str) -> frozenset[str]:
    return frozenset(key for key in keys.split() if key[0] == "g")


def _jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / len(one | other) if one or other else 0.0
