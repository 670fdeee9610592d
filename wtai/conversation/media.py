"""What a conversation does while attachments are on their way, and once it is known what became of them."""

from collections.abc import Sequence
from itertools import takewhile

from wtai.clock import MINUTE
from wtai.conversation import lifecycle, media_store, outbox, store
from wtai.conversation.burst import LONGEST_QUIET_MS
from wtai.conversation.inbox import owe_turn_still
from wtai.conversation.model import Conversation, Message, State
from wtai.conversation.texts import texts
from wtai.db.tx import OwnerTx
from wtai.identity.preferences import Preferences
from wtai.identity.store import owner

_ANSWERED_BY_US = frozenset({State.PENDING, State.PROGRESS, State.WAITING_USER})


def answerable(messages: Sequence[Message], *, now: int) -> list[Message]:
    """Those of a conversation's unanswered ``messages`` that a turn takes now: all of them, once no attachment is awaited.

    What came before an attachment that takes longer than a burst may last is not kept waiting for it.
    """
    ready = list(takewhile(lambda message: not message.awaits_media, messages))
    if len(ready) == len(messages) or now - messages[0].created_at >= LONGEST_QUIET_MS:
        return ready
    return []


def go_on(tx: OwnerTx, conversation_id: int, chosen: Preferences, *, now: int) -> None:
    """Owe the turn that waited for attachments, if there is something to answer now.

    Whoever sent audio in which nothing could be heard is told so, once; where they sent nothing else, that is the answer.
    """
    conversation = store.conversation(tx, conversation_id)
    if conversation is None or conversation.state not in _ANSWERED_BY_US or conversation.opted_out:
        return
    messages = store.unanswered(tx, conversation)
    ready = answerable(messages, now=now)
    if not ready:
        return
    unheard = [message for message in ready if message.unheard]
    untold = [message for message in unheard if not all(one.told for one in message.media)]
    if untold:
        outbox.put(tx, conversation, [texts(owner(tx).locale).unheard], author="system", ai_result_id=None, now=now)
        for message in untold:
            media_store.set_told(tx, message.id, now=now)
    if len(unheard) < len(ready):
        owe_turn_still(tx, conversation.id, run_at=now, now=now)
        return
    store.mark_answered(tx, conversation.id, ready[-1].id)
    if len(ready) == len(messages):
        _wait_for_user(tx, conversation, now + chosen.idle_minutes * MINUTE, now)


def _wait_for_user(tx: OwnerTx, conversation: Conversation, idle_at: int, now: int) -> None:
    """What we had asked before stays asked: the person is to answer it in writing."""
    reason = "audio not heard"
    if conversation.state is State.PENDING:
        conversation = lifecycle.move(tx, conversation, State.PROGRESS, actor="system", reason=reason, now=now)
    if conversation.state is State.PROGRESS:
        lifecycle.move(tx, conversation, State.WAITING_USER, actor="system", reason=reason, idle_at=idle_at, now=now)
