"""Whether a user's message ends the conversation: three sub-scores, a fixed formula, and vetoes.

``confidence = clamp((keyword * 0.5 + pattern * 0.3 + context * 0.2) * modifier)``. The sub-scores read the message in the light
of what the assistant asked: "não" is an end after "algo mais?", an answer after "confirma?".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from wtai.conversation.asked import Asked, asked
from wtai.conversation.phrasebook import MAX_WORDS, Part, phrasebooks, words
from wtai.conversation.reading import Reading, owner_phrases, read
from wtai.conversation.veto import Veto, veto


class Decision(StrEnum):
    """What to do about a message that may end the conversation."""

    CARRY_ON = "carry_on"
    CONFIRM = "confirm"
    CLOSE = "close"


@dataclass(frozen=True, slots=True)
class Turn:
    """Something said before the message to judge."""

    role: Literal["user", "assistant"]
    text: str


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The least confidence to ask the user, and to close without asking."""

    confirm: float = 0.6
    close: float = 0.8


DEFAULT_THRESHOLDS = Thresholds()


@dataclass(frozen=True, slots=True)
class Closure:
    """A decision with everything it was made of; the scores and the confidence are between 0 and 1."""

    keyword: float
    pattern: float
    context: float
    modifier: float
    confidence: float
    veto: Veto | None
    decision: Decision


@dataclass(frozen=True, slots=True)
class _Scores:
    keyword: float
    pattern: float


_NONE = _Scores(0.0, 0.0)
# With the modifier anywhere between 0.9 and 1 a courtesy stays between the default thresholds, also after a closing question.
_COURTESY = _Scores(1.0, 0.3)
_DOUBTFUL = _Scores(0.6, 1.0)
_EXPLICIT = _Scores(1.0, 1.0)

_MODIFIERS = (0.9, 0.95, 1.0)

_FINAL = frozenset({Part.FAREWELL, Part.END, Part.OWNER})
"""What ends a conversation whatever was asked before."""
_FINAL_AFTER = {
    Asked.ANYTHING_ELSE: frozenset({Part.REFUSAL, Part.THANKS, Part.RESOLVED, Part.DROPPED, Part.WISH}),
    Asked.MAY_CLOSE: frozenset({Part.AFFIRMATION, Part.AGREEMENT, Part.THANKS, Part.RESOLVED}),
    Asked.GOODBYE: frozenset({Part.WISH, Part.DROPPED}),
    Asked.OFFER: frozenset({Part.RESOLVED}),
}
_COURTESIES = frozenset(
    {Part.THANKS, Part.AGREEMENT, Part.ACKNOWLEDGEMENT, Part.RESOLVED, Part.DROPPED, Part.LEAVING, Part.WISH, Part.UNTIL}
)
_NOT_AN_ANSWER = _FINAL | {Part.LEAVING, Part.DROPPED, Part.ENDING}
_MAX_STRAYS = 8


def closure(
    text: str,
    *,
    before: Sequence[Turn] = (),
    user_turns: int = 1,
    language: str | None = None,
    owner_keywords: Sequence[str] = (),
    thresholds: Thresholds = DEFAULT_THRESHOLDS,
) -> Closure:
    """Judge what the user wrote (no quoted text, no transcript of forwarded media) after the last turns ``before`` it.

    ``user_turns`` counts the user's turns so far with this one. ``language`` is a tag ("pt-BR"); without one for pt, es or en all
    lists are tried. An owner's keyword counts as a whole message or a whole clause, never inside one.
    """
    books = phrasebooks(language)
    question = asked(_last_words(before), books)
    message = words(text)
    modifier = _MODIFIERS[min(max(user_turns, 1), len(_MODIFIERS)) - 1]
    if not message or len(message) > MAX_WORDS:
        return _decided(_NONE, _context(question, frozenset()), modifier, None, thresholds)
    owner = owner_phrases(tuple(owner_keywords))
    reading = min((read(message, book, owner) for book in books), key=lambda reading: len(reading.strays))
    forbidden = veto(text, reading, question, opening=not before)
    scores = _scores(reading, question)
    return _decided(scores, _context(question, reading.parts), modifier, forbidden, thresholds)


def _last_words(before: Sequence[Turn]) -> list[str]:
    """What the assistant said since the user last spoke."""
    texts: list[str] = []
    for turn in reversed(before):
        if turn.role != "assistant":
            break
        texts.insert(0, turn.text)
    return texts


def _decided(scores: _Scores, context: float, modifier: float, forbidden: Veto | None, thresholds: Thresholds) -> Closure:
    weighed = (scores.keyword * 0.5 + scores.pattern * 0.3 + context * 0.2) * modifier
    # Rounded, so that a sum which is the threshold on paper is not a hair below it.
    confidence = 0.0 if forbidden else round(min(max(weighed, 0.0), 1.0), 6)
    decision = Decision.CARRY_ON
    if confidence >= thresholds.close:
        decision = Decision.CLOSE
    elif confidence >= thresholds.confirm:
        decision = Decision.CONFIRM
    return Closure(scores.keyword, scores.pattern, context, modifier, confidence, forbidden, decision)


def _context(question: Asked, parts: frozenset[Part]) -> float:
    """1 after a closing question; 0 where an answer is owed, unless the message is none but takes leave."""
    if question.is_about_ending:
        return 1.0
    return 0.0 if question.is_owed_an_answer and not parts & _NOT_AN_ANSWER else 0.5


def _scores(reading: Reading, question: Asked) -> _Scores:
    """How plainly the message ends the conversation; content that no phrase covers makes it doubtful."""
    if reading.strays:
        return _scores_beside_content(reading, question)
    if _is_end(reading, question):
        return _EXPLICIT
    if reading.parts & _COURTESIES or (question is Asked.OFFER and Part.REFUSAL in reading.parts):
        return _COURTESY
    return _COURTESY if Part.PARTING in reading.parts and not question.is_owed_an_answer else _NONE


def _scores_beside_content(reading: Reading, question: Asked) -> _Scores:
    if len(reading.strays) > _MAX_STRAYS:
        return _NONE
    if reading.clear & {Part.FAREWELL, Part.LEAVING, Part.END} or reading.free & {Part.END}:
        return _EXPLICIT
    if reading.clear & {Part.DONE, Part.OWNER} or reading.last in {Part.FAREWELL, Part.LEAVING}:
        return _DOUBTFUL
    if question is Asked.ANYTHING_ELSE and Part.REFUSAL in reading.clear:
        return _DOUBTFUL
    return _NONE


def _is_end(reading: Reading, question: Asked) -> bool:
    """Whether the message takes leave, or says something that means it here."""
    parts = reading.parts
    if parts & (_FINAL | _FINAL_AFTER.get(question, frozenset())) or (Part.ENDING in parts and question is not Asked.CLOSING):
        return True
    if reading.count(Part.LEAVING) + reading.count(Part.DROPPED) > 1:
        return True
    if parts & {Part.THANKS, Part.FAREWELL} and parts & {Part.DONE, Part.LEAVING, Part.DROPPED}:
        return True
    if question.is_owed_an_answer:
        return False
    return bool(parts & {Part.DONE, Part.LEAVING, Part.PARTING, Part.UNTIL}) or (
        Part.WISH in parts and bool(parts & _COURTESIES - {Part.WISH})
    )
