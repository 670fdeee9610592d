"""What comes in: a message is kept, its person and conversation found or opened, and a turn owed, in one transaction."""

import json
from dataclasses import dataclass

from wtai.clock import SECOND
from wtai.conversation import lifecycle, store
from wtai.conversation.model import Conversation, Inbound, State
from wtai.db.tx import OwnerTx
from wtai.failpoints import failpoint
from wtai.jobs.store import enqueue, postpone

TURN = "turn"
"""The kind of job that answers a conversation; its payload is {"conversation_id"}."""

_LONGEST_QUIET_MS = 8 * SECOND


@dataclass(frozen=True, slots=True)
class Received:
    """What became of a message: ``new`` is False for a repeat, which changes nothing."""

    new: bool
    message_id: int | None = None
    conversation_id: int | None = None


def receive(tx: OwnerTx, inbound: Inbound, *, now: int, quiet_ms: int) -> Received:
    """Keep ``inbound`` and owe it an answer. The turn starts ``quiet_ms`` after the last message of a burst, at the latest
    8 s after its first.
    """
    if store.has_message(tx, inbound.provider_sid):
        return Received(new=False)
    user_id = _person(tx, inbound, now)
    conversation = store.open_conversation(tx, user_id, inbound.our_address) or _open(tx, user_id, inbound, now)
    message_id = store.insert_inbound(tx, conversation.id, inbound, _details(inbound), now=now)
    if message_id is None:
        return Received(new=False)
    store.insert_media(tx, message_id, inbound)
    if conversation.state is State.WAITING_USER:
        lifecycle.move(tx, conversation, State.PROGRESS, actor="user", reason="message", now=now)
    store.note_inbound(tx, conversation.id, inbound.reply_to, now=now)
    if conversation.state is not State.HANDOFF:
        _owe_turn(tx, conversation, now, quiet_ms)
    failpoint("ack.before_commit")
    return Received(True, message_id, conversation.id)


def _person(tx: OwnerTx, inbound: Inbound, now: int) -> int:
    found = [store.user_of_address(tx, inbound.channel, address) for address in inbound.identities]
    user_id = next((user for user in found if user is not None), None)
    if user_id is None:
        others = (store.user_of_address(tx, inbound.channel, address) for address in inbound.lookup)
        user_id = next((user for user in others if user is not None), None)
    if user_id is None:
        user_id = store.insert_user(tx, inbound.profile_name, now=now)
    elif inbound.profile_name:
        store.rename_user(tx, user_id, inbound.profile_name)
    for address, user in zip(inbound.identities, found, strict=True):
        if user is None:
            store.insert_address(tx, user_id, inbound.channel, address)
    return user_id


def _open(tx: OwnerTx, user_id: int, inbound: Inbound, now: int) -> Conversation:
    conversation = store.insert_conversation(tx, user_id, inbound, now=now)
    store.insert_event(tx, conversation.id, None, State.PENDING, actor="user", reason="first message", now=now)
    return conversation


def _owe_turn(tx: OwnerTx, conversation: Conversation, now: int, quiet_ms: int) -> None:
    name, run_at = f"conversation:{conversation.id}", now + quiet_ms
    if not (quiet_ms and postpone(tx, TURN, name, run_at=run_at, longest_ms=_LONGEST_QUIET_MS)):
        enqueue(tx, TURN, {"conversation_id": conversation.id}, key=name, unique_key=name, run_at=run_at, now=now)


def _details(inbound: Inbound) -> str | None:
    return json.dumps(inbound.details, ensure_ascii=False) if inbound.details else None
