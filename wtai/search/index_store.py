"""SQL of the index: the words of messages, which begin with their owner, and what people are found by. For SQLite alone (FTS5).

The index has no copy of the words: they are taken out by saying again what was put in, so a message is forgotten before it is
deleted. Who fills it works across owners; who asks sees an owner's.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from wtai.db.tx import OwnerTx, SystemTx
from wtai.search.words import Question, found_by, keys_of

SLOTS: Final = 16
"""Keys of the index for each message: its body, then its attachments' transcripts by position."""

NEWEST: Final = 1 << 62
_MOST_POSITIONS: Final = SLOTS - 2
_CAUGHT_UP: Final = 1_000
_MOST_BEHIND: Final = 5_000
_MOST_WORDS: Final = 200
_LAST_SIGN: Final = "\U0010ffff"


@dataclass(frozen=True, slots=True)
class Hit:
    """A message that was found: its key in the index, its own, and its conversation's."""

    slot: int
    message_id: int
    conversation_id: int

    @property
    def position(self) -> int | None:
        """That of the attachment in which it was said; None for the text."""
        return self.slot % SLOTS - 1 if self.slot % SLOTS else None


def fill_messages(tx: SystemTx, *, limit: int) -> int:
    """Take in up to ``limit`` messages behind the last one; returns how many there were."""
    rows = tx.all(
        """
        SELECT id, owner_id, body FROM messages WHERE id > (SELECT through FROM message_words_progress)
        ORDER BY id LIMIT :limit
        """,
        limit=limit,
    )
    for row in rows:
        _add(tx.for_owner(row["owner_id"]), row["id"] * SLOTS, row["body"])
    if rows:
        tx.run("UPDATE message_words_progress SET through = :through WHERE owner_id = 0", through=rows[-1]["id"])
    return len(rows)


def fill_transcripts(tx: SystemTx, *, limit: int) -> int:
    """As :func:`fill_messages`, what was said in audio."""
    rows = tx.all(
        """
        SELECT id, owner_id, message_id, position, transcript FROM media
        WHERE transcript IS NOT NULL AND worded = 0 ORDER BY id LIMIT :limit
        """,
        limit=limit,
    )
    for row in rows:
        if row["position"] <= _MOST_POSITIONS:
            _add(tx.for_owner(row["owner_id"]), row["message_id"] * SLOTS + 1 + row["position"], row["transcript"])
        tx.run("UPDATE media SET worded = 1 WHERE id = :id", id=row["id"])
    return len(rows)


def fill_people(tx: SystemTx, *, limit: int) -> int:
    """Write down what up to ``limit`` people are found by of whom it is not known; returns how many there were."""
    rows = tx.all(
        "SELECT id, owner_id, name FROM users WHERE role = 'user' AND found_by IS NULL ORDER BY owner_id, id LIMIT :limit",
        limit=limit,
    )
    for row in rows:
        mine = tx.for_owner(row["owner_id"])
        mine.run(
            "UPDATE users SET found_by = :found_by WHERE owner_id = :owner AND id = :id",
            found_by=found_by(row["name"], _addresses(mine, row["id"])),
            id=row["id"],
        )
    return len(rows)


def forget_person(tx: OwnerTx, user_id: int) -> int:
    """Take out all that was said in a person's conversations; returns how many messages and transcripts that were."""
    said = tx.all(
        """
        SELECT m.id, m.body FROM messages m JOIN conversations c ON c.owner_id = m.owner_id AND c.id = m.conversation_id
        WHERE m.owner_id = :owner AND c.user_id = :user_id AND m.id <= :through
        """,
        user_id=user_id,
        through=_through(tx),
    )
    heard = tx.all(
        """
        SELECT a.message_id, a.position, a.transcript FROM media a
            JOIN messages m ON m.owner_id = a.owner_id AND m.id = a.message_id
            JOIN conversations c ON c.owner_id = m.owner_id AND c.id = m.conversation_id
        WHERE a.owner_id = :owner AND c.user_id = :user_id AND a.worded = 1 AND a.position <= :most
        """,
        user_id=user_id,
        most=_MOST_POSITIONS,
    )
    for row in said:
        _remove(tx, row["id"] * SLOTS, row["body"])
    for row in heard:
        _remove(tx, row["message_id"] * SLOTS + 1 + row["position"], row["transcript"])
    return len(said) + len(heard)


def messages_with(tx: OwnerTx, question: Question, *, before: int = NEWEST, limit: int) -> list[Hit]:
    """Up to ``limit`` messages, newest first, with a key of the index below ``before``."""
    newer = [slot for slot in _not_yet(tx, question, before) if slot < before]
    wanted = _match(tx, question)
    indexed = _indexed(tx, wanted, before, limit) if wanted else []
    slots = sorted({*newer, *indexed}, reverse=True)[:limit]
    firsts = {slot // SLOTS: slot for slot in slots}  # found by its text and by what is said in it, a message is found once
    return [hit for slot in slots if firsts[slot // SLOTS] == slot for hit in _hits(tx, slot)]


def people_called(tx: OwnerTx, question: Question, *, before: int = NEWEST, limit: int) -> list[int]:
    """Up to ``limit`` of the owner's people who are found by this, with a key below ``before``, those who came last first."""
    parts = (question.digits,) if question.digits else (*question.whole, *question.beginnings)
    if not parts:
        return []
    first, second, third, fourth, *_ = *parts, "", "", "", ""
    rows = tx.all(
        """
        SELECT id FROM users
        WHERE owner_id = :owner AND role = 'user' AND id < :before AND instr(found_by, :first) > 0
            AND instr(found_by, :second) > 0 AND instr(found_by, :third) > 0 AND instr(found_by, :fourth) > 0
        ORDER BY id DESC LIMIT :limit
        """,
        before=before,
        first=first,
        second=second,
        third=third,
        fourth=fourth,
        limit=limit,
    )
    fresh = tx.all(
        """
        SELECT id, name FROM users WHERE owner_id = :owner AND role = 'user' AND id < :before AND found_by IS NULL
        ORDER BY id DESC LIMIT :limit
        """,
        before=before,
        limit=_CAUGHT_UP,
    )
    also = [row["id"] for row in fresh if question.names(found_by(row["name"], _addresses(tx, row["id"])))]
    return sorted({*also, *(row["id"] for row in rows)}, reverse=True)[:limit]


def latest_conversation(tx: OwnerTx, user_id: int) -> int | None:
    """The newest conversation with a person; None if there is none."""
    row = tx.one("SELECT max(id) AS id FROM conversations WHERE owner_id = :owner AND user_id = :user_id", user_id=user_id)
    return row["id"] if row else None


def _not_yet(tx: OwnerTx, question: Question, before: int) -> list[int]:
    """The keys of what was found among the newest that the index has not taken in."""
    through = _through(tx)
    said = tx.all(
        """
        SELECT id, body FROM messages
        WHERE owner_id = :owner AND id > max(:through, (SELECT coalesce(max(id), 0) FROM messages) - :behind) AND id <= :to
        ORDER BY id DESC LIMIT :limit
        """,
        through=through,
        to=before // SLOTS,
        behind=_MOST_BEHIND,
        limit=_CAUGHT_UP,
    )
    heard = tx.all(
        """
        SELECT message_id, position, transcript FROM media
        WHERE owner_id = :owner AND transcript IS NOT NULL AND worded = 0 ORDER BY id DESC LIMIT :limit
        """,
        limit=_CAUGHT_UP,
    )
    texts = [(row["id"] * SLOTS, row["body"]) for row in said]
    texts += [(row["message_id"] * SLOTS + 1 + row["position"], row["transcript"]) for row in heard]
    return [slot for slot, text in texts if question.finds(keys_of(text))]


def _hits(tx: OwnerTx, slot: int) -> Iterable[Hit]:
    rows = tx.all("SELECT id, conversation_id FROM messages WHERE owner_id = :owner AND id = :id", id=slot // SLOTS)
    return [Hit(slot, row["id"], row["conversation_id"]) for row in rows]


def _add(tx: OwnerTx, slot: int, text: str) -> None:
    keys = keys_of(text)
    if not keys:
        return
    tx.run("INSERT INTO message_words (rowid, words) VALUES (:slot, :words)", slot=slot, words=_scoped(tx, keys))
    for key in keys:
        tx.run(
            """
            INSERT INTO message_terms (owner_id, word, uses) VALUES (:owner, :word, 1)
            ON CONFLICT (owner_id, word) DO UPDATE SET uses = uses + 1
            """,
            word=key,
        )


def _remove(tx: OwnerTx, slot: int, text: str) -> None:
    keys = keys_of(text)
    if not keys:
        return
    tx.run(
        "INSERT INTO message_words (message_words, rowid, words) VALUES ('delete', :slot, :words)",
        slot=slot,
        words=_scoped(tx, keys),
    )
    for key in keys:
        tx.run("UPDATE message_terms SET uses = uses - 1 WHERE owner_id = :owner AND word = :word", word=key)
        tx.run("DELETE FROM message_terms WHERE owner_id = :owner AND word = :word AND uses <= 0", word=key)


def _indexed(tx: OwnerTx, wanted: str, before: int, limit: int) -> list[int]:
    rows = tx.all(
        """
        SELECT rowid AS slot FROM message_words WHERE message_words MATCH :wanted AND rowid < :before
        ORDER BY rowid DESC LIMIT :limit
        """,
        wanted=wanted,
        before=before,
        limit=limit,
    )
    return [row["slot"] for row in rows]


def _match(tx: OwnerTx, question: Question) -> str:
    """The question in the index's language; empty if no word of the owner's is such a one.

    The beginning of a word is asked for as the words that it may go on to: the index would gather every message with any of them
    before it gave the first, and so gives the newest at once.
    """
    groups = [[key] for key in question.whole] + [_going_on(tx, beginning) for beginning in question.beginnings]
    if not all(groups):
        return ""
    return " AND ".join(
        f"({' OR '.join(quoted)})" for quoted in ([f'"{_scoped(tx, [key])}"' for key in group] for group in groups)
    )


def _going_on(tx: OwnerTx, beginning: str) -> list[str]:
    """The owner's words with this beginning; of very many those that are used most."""
    rows = tx.all(
        """
        SELECT word FROM message_terms WHERE owner_id = :owner AND word >= :beginning AND word < :end
        ORDER BY uses DESC LIMIT :most
        """,
        beginning=beginning,
        end=beginning + _LAST_SIGN,
        most=_MOST_WORDS,
    )
    return [row["word"] for row in rows]


def _scoped(tx: OwnerTx, keys: Sequence[str]) -> str:
    """The keys as the index knows them: of this owner, and of no other. Letters and digits alone."""
    return " ".join(f"{tx.owner_id}z{key}" for key in keys)


def _addresses(tx: OwnerTx, user_id: int) -> list[str]:
    rows = tx.all("SELECT address FROM user_addresses WHERE owner_id = :owner AND user_id = :user_id", user_id=user_id)
    return [row["address"] for row in rows]


def _through(tx: OwnerTx) -> int:
    """Up to which message the index is filled, for all owners."""
    [row] = tx.all("SELECT through FROM message_words_progress WHERE :owner IS NOT NULL")
    return int(row["through"])
