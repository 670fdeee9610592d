"""What is told of conversations and their messages, with the words in them: they are the owner's own."""

from functools import partial
from typing import Final

from wtai.conversation import events_store as store
from wtai.conversation.model import Conversation, State, Status
from wtai.db.tx import OwnerTx
from wtai.events import Event, Told, emit, moment
from wtai.events_store import user_public_id

_MAX_BODY: Final = 32_768
"""Characters of a body that a payload has room for: eight times the longest message of WhatsApp."""

_SENT: Final = frozenset({Status.SENT, Status.DELIVERED, Status.READ})
_ON_ITS_WAY: Final = frozenset({Status.QUEUED, Status.SENDING, Status.UNKNOWN})
_NOT_TOLD: Final = frozenset({Status.QUEUED, Status.SENDING, Status.SENT})
_OPEN: Final = frozenset({State.PENDING, State.PROGRESS, State.WAITING_USER, State.HANDOFF})


def message_received(tx: OwnerTx, message_id: int, *, now: int) -> None:
    """A person wrote."""
    emit(tx, Event.MESSAGE_RECEIVED, partial(_message, tx, message_id), now=now)


def message_moved(tx: OwnerTx, message_id: int, before: Status, after: Status, *, now: int) -> None:
    """An outbound message has another status: message.sent once the provider has it, message.status for all that follows.

    What is told as delivered was told as sent before, also where the provider left that out.
    """
    if after is before:
        return
    if after in _SENT and before in _ON_ITS_WAY:
        emit(tx, Event.MESSAGE_SENT, partial(_message, tx, message_id), now=now)
    if after not in _NOT_TOLD:
        emit(tx, Event.MESSAGE_STATUS, partial(_message, tx, message_id), now=now)


def conversation_opened(tx: OwnerTx, conversation: Conversation, *, actor: str, reason: str, now: int) -> None:
    """A conversation has begun."""
    tell = partial(_conversation, tx, conversation, None, actor, reason, now)
    emit(tx, Event.CONVERSATION_OPENED, tell, now=now)


def conversation_moved(tx: OwnerTx, before: State, moved: Conversation, *, actor: str, reason: str, now: int) -> None:
    """A conversation has another state: told if a person is called or takes it, and if it ends."""
    tell = partial(_conversation, tx, moved, before, actor, reason, now)
    if moved.state is State.HANDOFF:
        emit(tx, Event.CONVERSATION_HANDOFF, tell, now=now)
    elif moved.state not in _OPEN:
        emit(tx, Event.CONVERSATION_CLOSED, tell, now=now)


def _message(tx: OwnerTx, message_id: int) -> Told:
    row = store.message(tx, message_id)
    ours, theirs = row["address"], row["user_address"]
    inbound = row["direction"] == "inbound"
    data = {
        "id": row["id"],
        "conversation": row["conversation"],
        "user": row["user"],
        "channel": row["channel"],
        "from": theirs if inbound else ours,
        "to": ours if inbound else theirs,
        "direction": row["direction"],
        "author": row["author"],
        "kind": row["kind"],
        "body": row["body"][:_MAX_BODY],
        "truncated": len(row["body"]) > _MAX_BODY,
        "status": row["status"],
        "error_code": row["error_code"],
        "created_at": moment(row["created_at"]),
    }
    return Told(data, row["user_id"])


def _conversation(tx: OwnerTx, read: Conversation, before: State | None, actor: str, reason: str, now: int) -> Told:
    data = {
        "id": read.public_id,
        "user": user_public_id(tx, read.user_id),
        "channel": read.channel,
        "from": read.user_address,
        "to": read.address,
        "state": read.state,
        "previous_state": before,
        "actor": actor,
        "reason": reason,
        "feature": read.feature,
        "opened_at": moment(read.opened_at),
        "closed_at": None if read.state in _OPEN else moment(now),
    }
    return Told(data, read.user_id)
