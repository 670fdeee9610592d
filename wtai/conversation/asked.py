"""What the assistant's last words ask of the user, as far as it matters for the meaning of a short answer."""

import re
from collections.abc import Sequence
from enum import StrEnum

from wtai.conversation.phrasebook import Ask, Phrasebook, Word, words


class Asked(StrEnum):
    """The kinds of question that the same "no" or "ok" answers differently."""

    NOTHING = "nothing"
    ANYTHING_ELSE = "anything_else"
    MAY_CLOSE = "may_close"
    """Asks whether the conversation may end, or announces that it will."""
    GOODBYE = "goodbye"
    """Asks nothing and says goodbye, or takes thanks: "de nada"."""
    OFFER = "offer"
    """How can I help?"""
    YES_NO = "yes_no"
    CLOSING = "closing"
    """A yes/no question about ending something else than the conversation."""
    OPEN = "open"
    LITERAL = "literal"
    """Asks for a name or a text, which may read like anything."""

    @property
    def is_about_ending(self) -> bool:
        """Whether the conversation was about to end."""
        return self in {Asked.ANYTHING_ELSE, Asked.MAY_CLOSE, Asked.GOODBYE}

    @property
    def is_owed_an_answer(self) -> bool:
        """Whether the assistant waits for something that the conversation is about."""
        return self in {Asked.YES_NO, Asked.CLOSING, Asked.OPEN, Asked.LITERAL}


_TAIL_CHARACTERS = 400
_SENTENCE = re.compile(r"[^.!?…\n]+[.!?…]*")
_SENTENCES = 3


def asked(texts: Sequence[str], books: Sequence[Phrasebook]) -> Asked:
    """What these texts of the assistant, the oldest first, ask in the end: their last question, if it is near the end."""
    tail = "\n".join(texts)[-_TAIL_CHARACTERS:]
    sentences = [sentence for sentence in _SENTENCE.findall(tail) if any(map(str.isalpha, sentence))][-_SENTENCES:]
    questions = [sentence for sentence in sentences if "?" in sentence]
    if questions:
        return _question(questions[-1], books)
    return _statement(sentences[-1], books) if sentences else Asked.NOTHING


def _question(sentence: str, books: Sequence[Phrasebook]) -> Asked:
    text = words(sentence)
    asks = _asks(text, books)
    if Ask.MAY_CLOSE in asks and Ask.ANYTHING_ELSE in asks:
        return Asked.OPEN
    if Ask.MAY_CLOSE in asks:
        return Asked.MAY_CLOSE
    if Ask.ANYTHING_ELSE in asks and Ask.ADDING not in asks:
        return Asked.ANYTHING_ELSE
    if Ask.LITERAL in asks and (Ask.WHICH in asks or any(book.begins_with(text, Ask.LITERAL) for book in books)):
        return Asked.LITERAL
    if Ask.OFFER in asks:
        return Asked.OFFER
    if Ask.WHICH in asks:
        return Asked.OPEN
    return Asked.CLOSING if Ask.CLOSING in asks else Asked.YES_NO


def _statement(sentence: str, books: Sequence[Phrasebook]) -> Asked:
    text = words(sentence)
    asks = _asks(text, books)
    if Ask.MAY_CLOSE in asks:
        return Asked.MAY_CLOSE
    if any(book.begins_with(text, Ask.PROMPT) for book in books):
        return Asked.LITERAL if Ask.LITERAL in asks else Asked.OPEN
    return Asked.GOODBYE if Ask.GOODBYE in asks else Asked.NOTHING


def _asks(text: Sequence[Word], books: Sequence[Phrasebook]) -> set[Ask]:
    return {ask for book in books for ask in book.asked(text)}
