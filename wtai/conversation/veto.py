"""What forbids to take a message for a goodbye, whatever else it says."""

import re
from collections.abc import Callable
from enum import StrEnum

from wtai.conversation.asked import Asked
from wtai.conversation.phrasebook import Mark, Part, words
from wtai.conversation.reading import Reading


class Veto(StrEnum):
    """The reason, as it is kept with the decision."""

    QUOTATION = "quotation"
    QUESTION = "question"
    OPT_OUT = "opt_out"
    """Asks for no more messages: another path, not a goodbye."""
    LITERAL = "literal"
    """The name or text that was asked for."""
    NEGATION = "negation"
    HOLD = "hold"
    CONTRAST = "contrast"
    REFUSED = "refused"
    """Says no to "may I close?"."""
    ANSWER = "answer"
    """Answers a question about something else; we owe the next step."""
    DIGITS = "digits"
    REPORTED = "reported"
    OBJECT = "object"
    """Wants to close an account, an order: anything but the conversation."""
    CALENDAR = "calendar"
    REQUEST = "request"
    GREETING = "greeting"


_QUOTED = re.compile(r"[\"“”„«»]|(?<!\w)['‘][^'’]+['’](?!\w)")
_LEAVE = frozenset({Part.FAREWELL, Part.LEAVING, Part.END, Part.OWNER, Part.DONE, Part.ENDING})
_CLOSERS = _LEAVE | {Part.PARTING, Part.UNTIL, Part.THANKS}
_YES = frozenset({Part.AFFIRMATION, Part.AGREEMENT})


def veto(text: str, reading: Reading, question: Asked, *, opening: bool) -> Veto | None:
    """The first reason that applies; ``opening`` if nothing was said before."""
    if _QUOTED.search(text):
        return Veto.QUOTATION
    if "?" in text and not _only_tags(text, reading):
        return Veto.QUESTION
    rules: tuple[tuple[Veto, Callable[[Reading, Asked], bool]], ...] = (
        (Veto.OPT_OUT, _opts_out),
        (Veto.LITERAL, _is_literal),
        (Veto.NEGATION, _negates),
        (Veto.HOLD, _holds),
        (Veto.CONTRAST, _contrasts),
        (Veto.REFUSED, _refuses),
        (Veto.ANSWER, _answers),
    )
    for name, applies in rules:
        if applies(reading, question):
            return name
    if reading.strays:
        return _content(reading)
    opening = opening or question is Asked.OFFER
    if opening and reading.parts & {Part.GREETING, Part.WISH} and not reading.parts & _LEAVE:
        return Veto.GREETING
    return None


def _only_tags(text: str, reading: Reading) -> bool:
    """Whether every question mark only seeks approval: "tchau, tá?"."""
    if reading.strays or not reading.parts & _CLOSERS:
        return False
    clauses = [words(clause) for clause in text.rstrip("? !.").split("?")]
    return all(clause and reading.book.is_marked(clause[-1], Mark.TAG) for clause in clauses)


def _opts_out(reading: Reading, _: Asked) -> bool:
    return Part.OPT_OUT in reading.parts and not reading.parts & {Part.END, Part.OWNER}


def _is_literal(reading: Reading, question: Asked) -> bool:
    return question is Asked.LITERAL and not reading.parts & {Part.DROPPED, Part.LEAVING, Part.REFUSAL}


def _negates(reading: Reading, question: Asked) -> bool:
    """Such as "não encerra", or "não é só isso", but not where "não" is the answer to "algo mais?"."""
    if reading.parts & {Part.DENIAL, Part.TROUBLE}:
        return True
    denied = {Part.END, Part.ENDING} if question.is_about_ending else {Part.END, Part.ENDING, Part.DONE}
    return any(piece.part is Part.REFUSAL and after and after.part in denied for piece, after in reading.neighbours())


def _holds(reading: Reading, _: Asked) -> bool:
    parts = reading.parts
    return bool(parts & {Part.HOLD, Part.NOT_YET, Part.UNSURE}) or (Part.PAUSE in parts and not parts & {Part.FAREWELL, Part.END})


def _contrasts(reading: Reading, _: Asked) -> bool:
    """A "but" with content after it, or with nothing: the rest is still to come."""
    for at, piece in enumerate(reading.pieces):
        rest = {after.part for after in reading.pieces[at + 1 :]}
        if piece.part is Part.CONTRAST and (Part.STRAY in rest or not rest):
            return True
    return False


def _refuses(reading: Reading, question: Asked) -> bool:
    return question is Asked.MAY_CLOSE and Part.REFUSAL in reading.parts and not reading.parts & _LEAVE


def _answers(reading: Reading, question: Asked) -> bool:
    parts = reading.parts
    if question is Asked.ANYTHING_ELSE:
        return Part.AFFIRMATION in parts and not parts & _LEAVE
    if question in {Asked.YES_NO, Asked.CLOSING}:
        return bool(parts & _YES) and not parts & {Part.END, Part.DROPPED}
    return question is Asked.OPEN and bool(parts & _YES) and not parts & _CLOSERS


def _content(reading: Reading) -> Veto | None:
    """What the words that no phrase covers make of the message."""
    if any(any(map(str.isdigit, word.text)) for word in reading.strays):
        return Veto.DIGITS
    if _is_reported(reading):
        return Veto.REPORTED
    if reading.has_stray(Mark.CALENDAR) and Part.FAREWELL not in reading.clear:
        return Veto.CALENDAR
    if _closes_something_else(reading):
        return Veto.OBJECT
    asks = any(
        piece.part in {Part.LEAD, Part.AFFIRMATION} and after and after.part is Part.STRAY
        for piece, after in reading.neighbours()
    )
    return Veto.REQUEST if asks or reading.has_stray(Mark.REQUEST) else None


def _is_reported(reading: Reading) -> bool:
    parting = any(piece.part is Part.PARTING and after and after.part is Part.STRAY for piece, after in reading.neighbours())
    return parting or (bool(reading.parts & _CLOSERS) and reading.has_stray(Mark.REPORTED))


def _closes_something_else(reading: Reading) -> bool:
    ending = any(
        piece.part in {Part.END, Part.ENDING, Part.OPT_OUT} and after and after.part is Part.STRAY
        for piece, after in reading.neighbours()
    )
    return ending or (reading.has_stray(Mark.CLOSE_VERB) and reading.has_stray(Mark.OBJECT))
