"""Which language a person writes, as far as the phrases tell that the program knows."""

from collections.abc import Iterable
from typing import Final

from wtai.conversation.phrasebook import LANGUAGES, Part, Phrases, phrasebooks, words

_SURE: Final = 2
"""Words more than in any other language: "hola" is said in all of them."""


def language_of(texts: Iterable[str]) -> str | None:
    """The language (pt, es or en) that all of a person's texts which tell read as; None if none tells, or they disagree."""
    known = dict.fromkeys(LANGUAGES, 0)
    for text in texts:
        understood = _understood(text)
        best, second = sorted(understood, key=understood.__getitem__, reverse=True)[:2]
        known[best] += understood[best] - understood[second]
    told = [language for language in LANGUAGES if known[language]]
    return told[0] if len(told) == 1 and known[told[0]] >= _SURE else None


def _understood(text: str) -> dict[str, int]:
    """How many words of a text stand in phrases of each language."""
    said = words(text)
    return {
        language: sum(piece.end - piece.start for piece in book.pieces(said, Phrases()) if piece.part is not Part.STRAY)
        for language, book in zip(LANGUAGES, phrasebooks(None), strict=True)
    }
