"""The session window in process: built histories, kept while the database shows that nothing they are made of has changed."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from wtai.ai.llm import Message
from wtai.ai.memory.conversations import Summaries, summary_of
from wtai.conversation.model import Conversation
from wtai.db.tx import OwnerTx

_KEPT: Final = 512

History = tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class _Stamp:
    """All that a built history depends on. Ids only grow; what may change of a message is its status, its text and its media.
    A summary goes when what it tells is forgotten. What messages carry is named in the owner's language.
    """

    summaries: Summaries
    answered_through: int
    takeover_epoch: int
    last_message: int
    last_change: int
    canceled: int
    characters: int
    transcripts: int
    last_result: int
    last_event: int
    locale: str


class Windows:
    """At most some hundred histories, the least used leaving first. Safe from several threads: transactions run in theirs."""

    def __init__(self, *, kept: int = _KEPT) -> None:
        self._kept = kept
        self._histories: OrderedDict[tuple[int, int], tuple[_Stamp, History]] = OrderedDict()
        self._lock = threading.Lock()

    def history(self, tx: OwnerTx, conversation: Conversation, build: Callable[[], History]) -> History:
        """The conversation's history as ``build`` would make it in this transaction; built only if something has changed."""
        key = (tx.owner_id, conversation.id)
        stamp = _stamp(tx, conversation)
        with self._lock:
            kept = self._histories.get(key)
            if kept is not None and kept[0] == stamp:
                self._histories.move_to_end(key)
                return kept[1]
        built = build()
        with self._lock:
            self._histories[key] = (stamp, built)
            self._histories.move_to_end(key)
            while len(self._histories) > self._kept:
                self._histories.popitem(last=False)
        return built


def _stamp(tx: OwnerTx, conversation: Conversation) -> _Stamp:
    row = tx.one(
        """
        SELECT coalesce(max(id), 0) AS last_message, coalesce(max(updated_at), 0) AS last_change,
            coalesce(sum(status = 'canceled'), 0) AS canceled, coalesce(sum(length(body)), 0) AS characters, (
                SELECT coalesce(sum(length(d.transcript)), 0) FROM messages n
                JOIN media d ON d.owner_id = :owner AND d.message_id = n.id
                WHERE n.owner_id = :owner AND n.conversation_id = :id AND n.kind = 'audio'
            ) AS transcripts,
            (SELECT coalesce(max(id), 0) FROM ai_results WHERE owner_id = :owner AND conversation_id = :id) AS last_result,
            (SELECT locale FROM owners WHERE id = :owner) AS locale,
            (SELECT coalesce(max(id), 0) FROM conversation_events WHERE owner_id = :owner AND conversation_id = :id) AS last_event
        FROM messages WHERE owner_id = :owner AND conversation_id = :id
        """,
        id=conversation.id,
    )
    return _Stamp(summary_of(tx, conversation.id), conversation.answered_through, conversation.takeover_epoch, **dict(row or {}))
