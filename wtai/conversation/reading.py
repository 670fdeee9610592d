"""A message cut into phrases, with the complements that belong to them: "obrigado [por responder tão rápido]"."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

from wtai.conversation.phrasebook import Mark, Part, Phrasebook, Phrases, Piece, Word, words

_NAMED = frozenset({Part.THANKS, Part.FAREWELL, Part.UNTIL, Part.WISH})
"""After these a single word is the name of the one spoken to, or of the one who signs."""
_TRANSPARENT = frozenset({Part.STRAY, Part.FILLER, Part.ADDRESS, Part.LEAD, Part.AFFIRMATION})
_MAX_COMPLEMENT = 7


@dataclass(frozen=True)
class Reading:
    """The pieces of a message in one language."""

    text: Sequence[Word]
    pieces: Sequence[Piece]
    book: Phrasebook

    @cached_property
    def parts(self) -> frozenset[Part]:
        """What the message does anywhere."""
        return frozenset(piece.part for piece in self.pieces)

    @cached_property
    def strays(self) -> list[Word]:
        """The words of content."""
        return [self.text[piece.start] for piece in self.pieces if piece.part is Part.STRAY]

    @cached_property
    def clear(self) -> frozenset[Part]:
        """What the message does in segments without content."""
        clouded = {piece.segment for piece in self.pieces if piece.part is Part.STRAY}
        return frozenset(piece.part for piece in self.pieces if piece.segment not in clouded)

    @cached_property
    def free(self) -> frozenset[Part]:
        """What the message does in phrases that no content follows at once."""
        return frozenset(piece.part for piece, after in self.neighbours() if after is None or after.part is not Part.STRAY)

    @cached_property
    def last(self) -> Part | None:
        """What the message does last, but for fillers and forms of address."""
        parts = (piece.part for piece in reversed(self.pieces) if piece.part not in {Part.FILLER, Part.ADDRESS})
        return next(parts, None)

    def count(self, part: Part) -> int:
        """In how many phrases it does this."""
        return sum(piece.part is part for piece in self.pieces)

    def neighbours(self) -> list[tuple[Piece, Piece | None]]:
        """Each piece with the one that follows it in its segment."""
        following = [*self.pieces[1:], None]
        return [
            (piece, after if after and after.segment == piece.segment else None)
            for piece, after in zip(self.pieces, following, strict=True)
        ]

    def has_stray(self, mark: Mark) -> bool:
        """Whether a word of content hints at this."""
        return any(self.book.is_marked(word, mark) for word in self.strays)


@lru_cache(maxsize=256)
def owner_phrases(keywords: tuple[str, ...]) -> Phrases[Part]:
    """An owner's keywords as phrases."""
    phrases: Phrases[Part] = Phrases()
    for keyword in keywords:
        phrases.add([word.text for word in words(keyword)], Part.OWNER)
    return phrases


def read(text: Sequence[Word], book: Phrasebook, owner: Phrases[Part]) -> Reading:
    """Read a message with the phrases of one language and those of its owner."""
    pieces = book.pieces(text, owner)
    for position, piece in enumerate(pieces):
        if piece.part in {Part.THANKS, Part.LEAVING, Part.RESOLVED}:
            _take_complement(pieces, position, text, book)
    _take_name(pieces, text, book)
    return Reading(text, pieces, book)


def _take_complement(pieces: list[Piece], position: int, text: Sequence[Word], book: Phrasebook) -> None:
    """Let the words that complete a phrase be fillers, up to what might be a request."""
    head = pieces[position]
    allowed = (Mark.COMPLEMENT,) if head.part is Part.THANKS else (Mark.COMPLEMENT, Mark.REASON)
    for distance, at in enumerate(range(position + 1, min(position + 1 + _MAX_COMPLEMENT, len(pieces)))):
        piece = pieces[at]
        word = text[piece.start]
        if piece.segment != head.segment or piece.part not in _TRANSPARENT or word.text.isdigit():
            return
        if distance == 0 and not any(book.is_marked(word, mark) for mark in allowed):
            return
        # "por me mandar": what follows the preposition at once is its object, not a request of its own.
        if distance > 2 and book.is_marked(word, Mark.REQUEST):
            return
        pieces[at] = piece._replace(part=Part.FILLER)


def _take_name(pieces: list[Piece], text: Sequence[Word], book: Phrasebook) -> None:
    """Let one unknown word, or two in capitals, after the last courtesy be a name; but "até sexta pago" names no one."""
    strays = [at for at, piece in enumerate(pieces) if piece.part is Part.STRAY]
    if not 1 <= len(strays) <= 2 or strays[0] == 0 or strays[-1] - strays[0] != len(strays) - 1:
        return
    names = [text[pieces[at].start] for at in strays]
    tail = {piece.part for piece in pieces[strays[-1] + 1 :]}
    if pieces[strays[0] - 1].part not in _NAMED or not tail <= _NAMED | {Part.FILLER, Part.ADDRESS}:
        return
    attached = pieces[strays[0] - 1].part is Part.UNTIL and pieces[strays[0] - 1].segment == pieces[strays[0]].segment
    if (len(names) == 2 or attached) and not all(name.capital for name in names):
        return
    if all(name.text.isalpha() and len(name.text) > 2 and name.text not in book.marks for name in names):
        for at in strays:
            pieces[at] = pieces[at]._replace(part=Part.ADDRESS)
