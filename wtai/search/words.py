"""What is searched for, and what it is found by: words without case and accents, and the digits of numbers.

The index is filled with what :func:`keys_of` says, and emptied by it too: whatever changes that comes with a migration that takes
everything out.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Self

from wtai.ai.memory.words import fold, words

_MOST: Final = 8
_LEAST_BEGINNING: Final = 3
_NUMBER: Final = re.compile(r"[\d\s()+./-]+")


@dataclass(frozen=True, slots=True)
class Question:
    """A search: all of ``whole`` and of ``beginnings``, words that may go on. ``digits``: what of a number was given."""

    whole: tuple[str, ...]
    beginnings: tuple[str, ...]
    digits: str

    @classmethod
    def of(cls, text: str) -> Self:
        """Of what was typed. The last word may go on, unless it is very short."""
        known = keys_of(text)[:_MOST]
        digits = digits_of(text) if _NUMBER.fullmatch(text.strip()) else ""
        goes_on = bool(known) and len(known[-1]) >= _LEAST_BEGINNING
        whole = known[:-1] if goes_on else known
        return cls(tuple(whole), tuple(known[-1:] if goes_on else ()), digits)

    @property
    def asks(self) -> bool:
        """Whether there is anything to look for."""
        return bool(self.whole or self.beginnings)

    def finds(self, keys: Iterable[str]) -> bool:
        """Whether a text with these keys is what was looked for."""
        known = set(keys)
        return known.issuperset(self.whole) and all(any(key.startswith(one) for key in known) for one in self.beginnings)

    def marks(self, word: str) -> bool:
        """Whether a word of a text, as it stands there, is one that was looked for."""
        return any(key in self.whole or key.startswith(self.beginnings) for key in keys_of(word)) if self.asks else False

    def names(self, found_by: str) -> bool:
        """Whether a person with this is who was looked for."""
        return self.digits in found_by if self.digits else all(one in found_by for one in (*self.whole, *self.beginnings))


def keys_of(text: str) -> list[str]:
    """The words of a text, each once, in the order in which they come."""
    return list(dict.fromkeys(words(fold(text))))


def digits_of(text: str) -> str:
    """The digits in a text."""
    return "".join(sign for sign in text if sign.isascii() and sign.isdigit())


def found_by(name: str | None, addresses: Iterable[str]) -> str:
    """What a person is found by: any part of it."""
    return " ".join([*keys_of(name or ""), *(digits_of(address) for address in addresses)])
