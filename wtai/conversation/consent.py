"""Yes, no, or neither: the answer to a question that we asked, read without a model."""

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


def consent(text: str, language: str | None = None) -> Consent:
    """The answer in a message. Conditions, questions and further content make it NEITHER: "sim, mas…", "pode?"."""
    answer = words(text)
    if "?" in text or len(answer) > MAX_WORDS:
        return Consent.NEITHER
    for book in phrasebooks(language):
        said = {piece.part for piece in book.pieces(answer, Phrases())} - _NEUTRAL
        if said and said <= _YES:
            return Consent.YES
        if said and said <= _NO:
            return Consent.NO
    return Consent.NEITHER
