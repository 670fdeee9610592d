"""Yes, no, or neither: the answer to a question that we asked, read without a model."""

from collections.abc import Sequence
from enum import StrEnum

from wtai.conversation.phrasebook import MAX_WORDS, Part, Phrases, phrasebooks, words


class Consent(StrEnum):
    """What an answer to a yes/no question says; NEITHER unless it says one of them and nothing else."""

    YES = "yes"
    NO = "no"
    NEITHER = "neither"


_YES = frozenset({Part.AFFIRMATION, Part.AGREEMENT})
_NO = frozenset({Part.REFUSAL, Part.DENIAL, Part.DROPPED, Part.NOT_YET})
_NEUTRAL = frozenset({Part.FILLER, Part.ADDRESS, Part.THANKS, Part.GREETING})


_STEM = 4
_ENDING = 3
_PRONOUN = 2


def consent(text: str, language: str | None = None, *, question: str = "") -> Consent:
    """The answer in a message. Conditions, questions and further content make it NEITHER: "sim, mas…", "pode?".

    Words of our own ``question`` that come back are no further content: "pode apagar", "sí, bórrala".
    """
    answer = words(text)
    if "?" in text or len(answer) > MAX_WORDS:
        return Consent.NEITHER
    asked = [word.text for word in words(question)]
    for book in phrasebooks(language):
        pieces = book.pieces(answer, Phrases())
        echoed = {piece for piece in pieces if piece.part is Part.STRAY and _echoes(answer[piece.start].text, asked)}
        if echoed:
            echoed |= {piece for piece in pieces if piece.part is Part.STRAY and len(answer[piece.start].text) <= _PRONOUN}
        said = {piece.part for piece in pieces if piece not in echoed} - _NEUTRAL
        if said and said <= _YES:
            return Consent.YES
        if said and said <= _NO:
            return Consent.NO
    return Consent.NEITHER


def _echoes(word: str, asked: Sequence[str]) -> bool:
    """Whether a word of the question comes back, perhaps with another ending."""
    return any(
        len(word) >= _STEM and word[: max(_STEM, len(word) - _ENDING)] == other[: max(_STEM, len(word) - _ENDING)]
        for other in asked
    )
