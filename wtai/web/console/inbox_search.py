"""What a search of the inbox finds: people, with their latest conversation, and messages, newest first."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from markupsafe import Markup, escape

from wtai.conversation.desk_store import DeskRow, Said, View, fits, rows_of, said
from wtai.db.tx import OwnerTx
from wtai.search.index_store import NEWEST, Hit, latest_conversation, messages_with, people_called
from wtai.search.words import Question
from wtai.web.console.rendering import shown

PAGE: Final = 30
_PEOPLE: Final = 20
_LOOK: Final = 200
_WORD: Final = re.compile(r"[^\W_]+")
_BEFORE, _AFTER = 40, 140


@dataclass(frozen=True, slots=True)
class Found:
    """A message that was found, and its conversation."""

    row: DeskRow
    said: Said
    excerpt: Markup


@dataclass(frozen=True, slots=True)
class Finds:
    """What was found. ``next``: behind which key of the index the search goes on; None at its end."""

    people: tuple[DeskRow, ...]
    messages: tuple[Found, ...]
    next: int | None


def search(tx: OwnerTx, view: View, question: Question, *, before: int | None = None) -> Finds:
    """Look for it in what fits the filters of ``view``: people as long as no page is asked for, and a page of messages."""
    people = _people(tx, view, question) if before is None else ()
    if not question.asks:
        return Finds(people, (), None)
    hits = messages_with(tx, question, before=before or NEWEST, limit=_LOOK)
    fitting = (hit for hit in hits if not view.is_filtered or fits(tx, view, hit.conversation_id))
    kept = list(islice(fitting, PAGE))
    last = kept if len(kept) == PAGE else hits if len(hits) == _LOOK else ()
    return Finds(people, _found(tx, view, question, kept), last[-1].slot if last else None)


def excerpt(text: str, question: Question) -> Markup:
    """The part of a text around the first word that was looked for, each of those marked."""
    marked = [match for match in _WORD.finditer(text) if question.marks(match[0])]
    start = max(0, marked[0].start() - _BEFORE) if marked else 0
    end, at = start + _BEFORE + _AFTER, start
    parts = [Markup("…") if start else Markup("")]
    for match in marked:
        if match.end() <= end:
            parts += [escape(shown(text[at : match.start()])), Markup("<mark>{}</mark>").format(shown(match[0]))]
            at = match.end()
    parts += [escape(shown(text[at:end])), Markup("…") if end < len(text) else Markup("")]
    return Markup("").join(parts)


def _people(tx: OwnerTx, view: View, question: Question) -> tuple[DeskRow, ...]:
    talks = [latest_conversation(tx, user_id) for user_id in people_called(tx, question, limit=_LOOK)]
    fitting = [talk for talk in talks if talk is not None and (not view.is_filtered or fits(tx, view, talk))]
    rows = sorted(rows_of(tx, view.me, fitting[: 2 * _PEOPLE]), key=lambda row: -row.updated_at)
    return tuple(rows[:_PEOPLE])


def _found(tx: OwnerTx, view: View, question: Question, hits: Sequence[Hit]) -> tuple[Found, ...]:
    rows = {row.id: row for row in rows_of(tx, view.me, dict.fromkeys(hit.conversation_id for hit in hits))}
    messages = [(hit, said(tx, hit.message_id, hit.position)) for hit in hits]
    return tuple(
        Found(rows[hit.conversation_id], message, excerpt(message.text, question)) for hit, message in messages if message
    )
