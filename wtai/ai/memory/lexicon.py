"""Everyday words that mean the same or belong together, read once from ``lexicon.toml``."""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final, TypeVar

from wtai.ai.memory.words import stem

_LONGEST_PHRASE: Final = 5
_LEAST_SHARED_STEM: Final = 5
_NOTHING: Final[frozenset[str]] = frozenset()
_K = TypeVar("_K", str, tuple[str, ...])


@dataclass(frozen=True)
class Lexicon:
    """What words stand for. ``concepts`` are by word or phrase, ``by_stem`` by what its inflections share.

    ``stop`` words say nothing about what a sentence is about, ``light`` ones little, ``no`` ones deny.
    """

    stop: frozenset[str]
    light: frozenset[str]
    no: frozenset[str]
    abbreviations: Mapping[str, tuple[str, ...]]
    concepts: Mapping[tuple[str, ...], frozenset[str]]
    by_stem: Mapping[str, frozenset[str]]
    domains: Mapping[str, frozenset[str]]

    def spelled_out(self, words: Sequence[str]) -> list[str]:
        """The words with the usual abbreviations written out."""
        return [full for word in words for full in self.abbreviations.get(word, (word,))]

    def senses(self, words: Sequence[str]) -> Iterator[tuple[int, int, frozenset[str]]]:
        """Where words or phrases (from, up to) stand for concepts. A phrase adds to what its words stand for."""
        for start in range(len(words)):
            for end in range(start + 1, min(len(words), start + _LONGEST_PHRASE) + 1):
                found = self._concepts_of(tuple(words[start:end]))
                if found:
                    yield start, end, found

    def _concepts_of(self, phrase: tuple[str, ...]) -> frozenset[str]:
        exact = self.concepts.get(phrase)
        if exact is not None or len(phrase) > 1 or phrase[0] in self.stop:
            return exact or _NOTHING
        return self.by_stem.get(stem(phrase[0]), _NOTHING)


@cache
def lexicon() -> Lexicon:
    """The lexicon; a few milliseconds the first time."""
    data = tomllib.loads((files("wtai.ai.memory") / "lexicon.toml").read_text("utf-8"))
    concepts: dict[tuple[str, ...], set[str]] = {}
    by_stem: dict[str, set[str]] = {}
    for concept, members in data["concepts"].items():
        for member in _listed(members):
            phrase = tuple(member.split())
            concepts.setdefault(phrase, set()).add(concept)
            if len(phrase) == 1 and len(stem(member)) >= _LEAST_SHARED_STEM:
                by_stem.setdefault(stem(member), set()).add(concept)
    domains: dict[str, set[str]] = {}
    for domain, members in data["domains"].items():
        for concept in _listed(members):
            domains.setdefault(concept, set()).add(domain)
    stop, light, no = (frozenset(data["words"][name].split()) for name in ("stop", "light", "no"))
    short = {short: tuple(full.split()) for short, full in data["abbreviations"].items()}
    return Lexicon(stop, light, no, short, _frozen(concepts), _frozen(by_stem), _frozen(domains))


def _listed(members: str) -> list[str]:
    return [member.strip() for member in members.split(",")]


def _frozen(groups: Mapping[_K, set[str]]) -> dict[_K, frozenset[str]]:
    return {key: frozenset(group) for key, group in groups.items()}
