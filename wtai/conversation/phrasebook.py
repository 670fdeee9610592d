"""What people say around the end of a conversation, read from ``phrases/*.toml``, and texts cut into such phrases."""

import re
import tomllib
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache, lru_cache
from importlib.resources import files
from typing import Generic, NamedTuple, TypeVar

LANGUAGES = ("pt", "es", "en")

MAX_WORDS = 40
"""Only this many words of a text are read: what is longer is no goodbye, and the work stays bounded."""


END_OF_SEGMENT = "$"
"""Stands in the files where a phrase must be the last before punctuation."""


class Part(StrEnum):
    """What a phrase does in a message."""

    FAREWELL = "farewell"
    PARTING = "parting"
    """A farewell that is an ordinary verb as well: "falou", "fui"."""
    UNTIL = "until"
    """A farewell that may also tell a date: "até amanhã"."""
    LEAVING = "leaving"
    WISH = "wish"
    """A goodbye that may also be a greeting: "boa noite"."""
    DONE = "done"
    DROPPED = "dropped"
    RESOLVED = "resolved"
    END = "end"
    """A request to end the chat, naming it."""
    ENDING = "ending"
    """A request to end, which may be meant for something else."""
    OWNER = "owner"
    THANKS = "thanks"
    AGREEMENT = "agreement"
    ACKNOWLEDGEMENT = "acknowledgement"
    AFFIRMATION = "affirmation"
    REFUSAL = "refusal"
    DENIAL = "denial"
    """A no that says something is not so, or may not be."""
    TROUBLE = "trouble"
    """Something did not work, or is to be undone."""
    UNSURE = "unsure"
    GREETING = "greeting"
    PAUSE = "pause"
    HOLD = "hold"
    NOT_YET = "not_yet"
    CONTRAST = "contrast"
    OPT_OUT = "opt_out"
    LEAD = "lead"
    """Before a verb a wish of any kind: "quero", "preciso"."""
    FILLER = "filler"
    ADDRESS = "address"
    STRAY = "stray"
    """A word that no phrase covers: content."""


class Mark(StrEnum):
    """What a single word hints at where no phrase covers it."""

    REQUEST = "request"
    REPORTED = "reported"
    CLOSE_VERB = "close_verb"
    OBJECT = "object"
    CALENDAR = "calendar"
    COMPLEMENT = "complement"
    """Begins what thanks are for, or how something was done."""
    REASON = "reason"
    """Begins why someone leaves."""
    TAG = "tag"
    """Before a question mark, only seeks approval."""


class Ask(StrEnum):
    """What a phrase does in what the assistant asks."""

    ANYTHING_ELSE = "anything_else"
    ADDING = "adding"
    OFFER = "offer"
    GOODBYE = "goodbye"
    MAY_CLOSE = "may_close"
    CLOSING = "closing"
    PROMPT = "prompt"
    LITERAL = "literal"
    WHICH = "which"


class Word(NamedTuple):  # not a dataclass: some are made for every message, and a tuple costs a third
    """A folded word or an emoji; ``segment`` counts the punctuation before it."""

    text: str
    segment: int
    capital: bool


class Piece(NamedTuple):
    """A phrase, or one stray word: the words from ``start`` up to ``end``; ``segment`` is that of its first."""

    part: Part
    start: int
    end: int
    segment: int


Meaning = TypeVar("Meaning", Part, Ask)


@dataclass(slots=True, eq=False)
class Phrases(Generic[Meaning]):
    """Where a phrase has got to, and the words it may go on with; at first none of its words has been seen."""

    meaning: Meaning | None = None
    following: "dict[str, list[Phrases[Meaning]]]" = field(default_factory=dict)

    def add(self, notation: Sequence[str], meaning: Meaning) -> None:
        """Add a phrase by its folded words. Between "(" and ")" stand choices with "|" between them; they nest."""
        entry, finished, current = [self], list[Phrases[Meaning]](), [self]
        outer = []
        for sign in notation:
            if sign == "(":
                outer.append((entry, finished))
                entry, finished = current, []
            elif sign == "|":
                finished, current = finished + current, entry
            elif sign == ")":
                current = list(dict.fromkeys(finished + current))
                entry, finished = outer.pop()
            else:
                reached: Phrases[Meaning] = Phrases()
                for node in current:
                    node.following.setdefault(sign, []).append(reached)
                current = [reached]
        for node in finished + current:
            if node is not self:
                node.meaning = node.meaning or meaning

    def longest(self, text: Sequence[Word], start: int, *, across: bool = False) -> tuple[Meaning | None, int]:
        """The longest phrase that begins at ``start``, with the position after it; only ``across`` punctuation if so told."""
        if text[start].text not in self.following:
            return None, start + 1
        nodes, segment = [self], text[start].segment
        found: tuple[Meaning | None, int] = (None, start + 1)
        for position in range(start, len(text) + 1):
            goes_on = position < len(text) and (across or text[position].segment == segment)
            word = text[position].text if goes_on else END_OF_SEGMENT
            nodes = [reached for node in nodes if word in node.following for reached in node.following[word]]
            for node in nodes:
                if node.meaning:
                    found = (node.meaning, position + 1 if goes_on else position)
                    break
            if not nodes or not goes_on:
                break
        return found


@dataclass(frozen=True, slots=True)
class Phrasebook:
    """The phrases of one language."""

    parts: Phrases[Part]
    asks: Phrases[Ask]
    marks: Mapping[str, frozenset[Mark]]
    misspelt: frozenset[str]
    """Long words of thanks with one letter left out."""

    def pieces(self, text: Sequence[Word], owner: Phrases[Part]) -> list[Piece]:
        """The words cut into phrases from left to right, the longest first; those of ``owner`` win over equally long ones."""
        pieces = []
        start = 0
        while start < len(text):
            part, end = self.parts.longest(text, start)
            if owner.following:
                own, own_end = owner.longest(text, start, across=True)
                part, end = (own, own_end) if own and own_end >= end else (part, end)
            if part is None:
                part = Part.THANKS if self._is_misspelt_thanks(text[start].text) else Part.STRAY
            pieces.append(Piece(part, start, end, text[start].segment))
            start = end
        return pieces

    def asked(self, text: Sequence[Word]) -> set[Ask]:
        """What the phrases of a question do, wherever they stand in it."""
        found = (self.asks.longest(text, start)[0] for start in range(len(text)))
        return {ask for ask in found if ask}

    def begins_with(self, text: Sequence[Word], ask: Ask) -> bool:
        """Whether the first phrase of a sentence does this."""
        return bool(text) and self.asks.longest(text, 0)[0] is ask

    def is_marked(self, word: Word, mark: Mark) -> bool:
        """Whether this word hints at it."""
        return mark in self.marks.get(word.text, ())

    def _is_misspelt_thanks(self, word: str) -> bool:
        return len(word) >= _LONG and (word in self.misspelt or not self.misspelt.isdisjoint(_shortened(word)))


_LONG = 6
_WORD = re.compile(r"#?\w+|[^\w\s]")
_SEPARATORS = frozenset(".!?,;:…¡¿()|/")
_INSIDE = re.compile("[\u0300-\u036f\u200b-\u200f\u2060\ufe0e\ufe0f\U0001f3fb-\U0001f3ff]|(?<=\\w)['’`´](?=\\w)")
_LAUGHTER = re.compile(r"k{2,}|(?:rs)+|(?:[hj][aeiu]){2,}[hj]?|(?:hua)+|lo+l+|a(?:ha)+h?")
_PICTURES = "\u2100"
"""Signs from here on are kept, as emoji; those before are punctuation."""
_NOTATION = frozenset("()|")
_REPEATED = re.compile(r"([^\W\d])\1+")


def words(text: str) -> list[Word]:
    """The words and emoji of a text, without case, accents and repeated letters; at most MAX_WORDS + 1."""
    found: list[Word] = []
    segment = 0
    for match in _WORD.finditer(_plain(text).replace("\n", " . ")):
        written = match.group()
        if written in _SEPARATORS:
            segment += 1
        elif written[-1].isalnum() or written > _PICTURES:
            found.append(Word(_folded(written.lower()), segment, written[0].isupper()))
            if len(found) > MAX_WORDS:
                break
    return found


def phrasebooks(language: str | None) -> list[Phrasebook]:
    """The phrasebook of a language tag ("pt", "pt-BR"); all of them if there is none for it, or none is given."""
    primary = (language or "").partition("-")[0].lower()
    return [_phrasebook(name) for name in ((primary,) if primary in LANGUAGES else LANGUAGES)]


def _plain(text: str) -> str:
    if text.isascii() and text.isprintable() and "'" not in text and "`" not in text:
        return text
    return _INSIDE.sub("", unicodedata.normalize("NFKD", text))


@lru_cache(maxsize=4096)
def _folded(token: str) -> str:
    return "haha" if _LAUGHTER.fullmatch(token) else _REPEATED.sub(r"\1", token)


@cache
def _phrasebook(language: str) -> Phrasebook:
    """The phrases of ``<language>.toml`` and of the emoji."""
    parts: Phrases[Part] = Phrases()
    asks: Phrases[Ask] = Phrases()
    marks: dict[str, frozenset[Mark]] = {}
    for name in (language, "emoji"):
        table = tomllib.loads((files("wtai.conversation") / "phrases" / f"{name}.toml").read_text("utf-8"))
        for part, notation in _notations(table["parts"], table["macros"]):
            parts.add(notation, Part(part))
        for ask, notation in _notations(table["asks"], table["macros"]):
            asks.add(notation, Ask(ask))
        for mark, notation in _notations(table["marks"], table["macros"]):
            for word in set(notation) - _NOTATION:
                marks[word] = marks.get(word, frozenset()) | {Mark(mark)}
    thanks = (
        word for word, nodes in parts.following.items() if len(word) > _LONG and Part.THANKS in {node.meaning for node in nodes}
    )
    return Phrasebook(parts, asks, marks, frozenset(short for word in thanks for short in _shortened(word)))


def _notations(section: Mapping[str, Sequence[str]], macros: Mapping[str, str]) -> Iterator[tuple[str, list[str]]]:
    """Every phrase of a section, as folded words and the signs between them, with the name of its list."""
    for name, phrases in section.items():
        for phrase in phrases:
            plain = _plain(phrase.format_map(macros)).lower().replace("-", " ")
            yield name, [_folded(token) for token in re.findall(r"[()|]|[^()|\s]+", plain)]


def _shortened(word: str) -> Iterator[str]:
    return (word[:at] + word[at + 1 :] for at in range(len(word)))
