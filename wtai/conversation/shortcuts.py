"""What the next step of a turn is, as far as the person's words tell it without a model. Pure.

A request for a person, an answer to our question, a goodbye: each is decided here, by rules that can be tested, and only what
remains goes to a model.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

from wtai.conversation.closure import Closure, Decision, Thresholds, Turn, closure
from wtai.conversation.consent import Consent, consent
from wtai.conversation.handoff import ASKED
from wtai.conversation.model import Conversation, Kind, Message, Question
from wtai.conversation.phrasebook import MAX_WORDS, Part, Phrases, phrasebooks, words
from wtai.conversation.wishes import asks_for_person
from wtai.identity.preferences import Preferences

_GREETING = frozenset({Part.GREETING, Part.WISH, Part.FILLER, Part.ADDRESS})
_WORDS = frozenset({Kind.TEXT, Kind.BUTTON, Kind.LIST})


class Next(Enum):
    """What a turn does with the messages it owes an answer."""

    THINK = auto()
    ASK_WHETHER_DONE = auto()
    CLOSE = auto()
    CALL_PERSON = auto()
    DO = auto()
    """Do what the person was asked about, then think."""
    LEAVE = auto()
    """Leave it, then think."""


@dataclass(frozen=True, slots=True)
class Step:
    """The next step; ``closure`` is how the words were judged, where they were."""

    next: Next
    reason: str = ""
    closure: Closure | None = None


_ANSWERED = {
    (Question.CLOSURE, Consent.YES): Step(Next.CLOSE, "confirmed"),
    (Question.CLOSURE, Consent.NO): Step(Next.THINK),
    (Question.ACTION, Consent.YES): Step(Next.DO),
    (Question.ACTION, Consent.NO): Step(Next.LEAVE),
}
"""What an answer to a question of ours leads to; anything else is a message like any other."""


def step(
    conversation: Conversation, messages: Sequence[Message], before: Sequence[Turn], turn_number: int, chosen: Preferences
) -> Step:
    """``messages`` are unanswered, ``before`` is what was said last, ``turn_number`` counts from 1.

    Only the person's own words count, written or said: what carries other media, or was forwarded, goes to the model.
    """
    said = [_own_words(message) for message in messages]
    if None in said:
        return Step(Next.THINK)
    text = "\n".join(filter(None, said))
    if asks_for_person(text):
        return Step(Next.CALL_PERSON, ASKED)
    asked = before[-1].text if conversation.question is Question.ACTION and before else ""
    answered = _ANSWERED.get((conversation.question, consent(text, question=asked))) if conversation.question else None
    if answered is not None:
        return answered
    judged = closure(
        text,
        before=before,
        user_turns=turn_number,
        owner_keywords=chosen.closing_keywords,
        thresholds=Thresholds(chosen.confirm_threshold, chosen.close_threshold),
    )
    match judged.decision:
        case Decision.CLOSE:
            return Step(Next.CLOSE, "said goodbye", judged)
        case Decision.CONFIRM if conversation.question is None:
            return Step(Next.ASK_WHETHER_DONE, "may be done", judged)
        case _:
            return Step(Next.THINK, closure=judged)


def _own_words(message: Message) -> str | None:
    """What the person says in a message themselves; None where it carries more than that."""
    if '"forwarded"' in (message.details or ""):
        return None
    if message.kind is Kind.AUDIO and message.transcript is not None:
        return f"{message.transcript}\n{message.body}".strip()
    return message.body if message.kind in _WORDS else None


def is_greeting(text: str) -> bool:
    """Whether the message greets and says nothing else."""
    said = words(text)
    if not said or len(said) > MAX_WORDS:
        return False
    return any(
        parts <= _GREETING and not parts.isdisjoint({Part.GREETING, Part.WISH})
        for parts in ({piece.part for piece in book.pieces(said, Phrases())} for book in phrasebooks(None))
    )
