"""Yes, no, or neither: the answer to a question that we asked, read without a model."""

import re
from collections.abc import Sequence
from enum import StrEnum
from typing import Final

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
_SMALL: Final = frozenset(
    (*("o", "a", "os", "as", "de", "do", "da", "se", "me"), *("lo", "la", "los", "las", "el", "del", "le"), *("it", "the"))
)
"""Articles and pronouns that may stand beside words of the question."""

_LESS: Final = frozenset({"so", "apenas", "somente", "solo", "only", "just"})
"""With these the words of the question name a part of what was asked."""

_DETAIL: Final = re.compile(r"\(.*\)")
"""What a question names in brackets is a part of it: "todos os 6 lançamentos (receitas de …)"."""


def consent(text: str, language: str | None = None, *, question: str = "") -> Consent:
    """The answer in a message. Conditions, questions and further content make it NEITHER: "sim, mas…", "pode?".

    Words of our own ``question`` that come back are no further content: "pode apagar", "sí, bórrala". Its last paragraph counts,
    without what it names in brackets, which may be less than the whole: "sim, só as despesas".
    """
    answer = words(text)
    if "?" in text or len(answer) > MAX_WORDS:
        return Consent.NEITHER
    asked = [word.text for word in words(_DETAIL.sub(" ", question.rpartition("\n\n")[2]).partition("?")[0])]
    for book in phrasebooks(language):
        pieces = book.pieces(answer, Phrases())
        echoed = {piece for piece in pieces if piece.part is Part.STRAY and _echoes(answer[piece.start].text, asked)}
        if echoed:
            echoed |= {piece for piece in pieces if piece.part is Part.STRAY and answer[piece.start].text in _SMALL}
        if echoed and not _LESS.isdisjoint(word.text for word in answer):
            continue
        said = {piece.part for piece in pieces if piece not in echoed} - _NEUTRAL
        if said and said <= _YES:
            return Consent.YES
        if said and said <= _NO:
            return Consent.NO
    return Consent.NEITHER


def _echoes(word: str, asked: Sequence[str]) -> bool:
    """Whether a word of the question comes back, perhaps with another ending."""
    return any(
        len(word) >= _STEM
        and word.isalpha()
        and word[: max(_STEM, len(word) - _ENDING)] == other[: max(_STEM, len(word) - _ENDING)]
        for other in asked
    )
