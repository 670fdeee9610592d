"""What comes in: a message is kept, its person and conversation found or opened, and a turn owed, in one transaction."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from wtai.clock import MINUTE
from wtai.conversation import events, lifecycle, optout, store
from wtai.conversation.burst import quiet_after
from wtai.conversation.kept_opt_outs_store import Digests, recall_opt_outs
from wtai.conversation.model import Conversation, Inbound, Person, State
from wtai.db.tx import OwnerTx
from wtai.failpoints import failpoint
from wtai.identity.preferences import Preferences
from wtai.jobs.store import enqueue, reschedule

TURN = "turn"
"""The kind of job that answers a conversation; its payload is {"conversation_id"}."""

FETCH = "fetch_media"
"""The kind of job that fetches a message's attachments; its payload is {"message_id"}."""

TRANSCRIBE = "transcribe_audio"
"""As FETCH, for a message with audio, which is then heard too; one after the other in a conversation."""


_FIRST_MESSAGE = "first message"


@dataclass(frozen=True, slots=True)
class Received:
    """What became of a message: ``new`` is False for a repeat, which changes nothing."""

    new: bool
    message_id: int | None = None
    conversation_id: int | None = None


def receive(tx: OwnerTx, inbound: Inbound, chosen: Preferences, *, digests: Digests | None = None, now: int) -> Received:
    """Keep ``inbound`` and owe it an answer: after the quiet that ends a burst, at the latest 8 s after its first message.

    ``chosen`` is what holds for this owner. Someone who opted out is owed nothing until they opt in again; with ``digests`` that
    outlives an erasure.
    """
    known = store.known_as(tx, inbound.channel, inbound.identities)
    user_id = _user_as_known(inbound, known)
    conversation = None if user_id is None else store.open_conversation(tx, user_id, inbound.our_address)
    if conversation is None:  # more than the message is new, which a repeat must not create
        if store.has_message(tx, inbound.provider_sid):
            return Received(new=False)
        user_id = _user(tx, inbound, known, now)
        if digests is not None:
            unknown = [address for address in (*inbound.identities, *inbound.lookup) if address not in known]
            recall_opt_outs(tx, user_id, unknown, digests, now=now)
        conversation = store.open_conversation(tx, user_id, inbound.our_address) or _open(tx, user_id, inbound, chosen, now)
    message_id = store.insert_inbound(tx, conversation.id, inbound, _details(inbound), now=now)
    if message_id is None:
        return Received(new=False)
    if inbound.media:
        store.insert_media(tx, message_id, inbound)
        _owe_media(tx, conversation.id, message_id, inbound, now)
    if optout.heeded(tx, inbound, conversation, now=now):
        _owe_nothing(tx, conversation, message_id, chosen, now)
        store.note_inbound(tx, conversation.id, message_id, inbound.reply_to, quiet_until=now, now=now)
    else:
        quiet_ms = quiet_after(inbound, chosen.burst_quiet_ms)
        if conversation.state is State.WAITING_USER:
            lifecycle.move(tx, conversation, State.PROGRESS, actor="user", reason="message", now=now)
        store.note_inbound(tx, conversation.id, message_id, inbound.reply_to, quiet_until=now + quiet_ms, now=now)
        if conversation.state is not State.HANDOFF:
            owe_turn(tx, conversation, quiet_ms=quiet_ms, now=now)
    events.message_received(tx, message_id, now=now)
    failpoint("ack.before_commit")
    return Received(True, message_id, conversation.id)


def _owe_nothing(tx: OwnerTx, conversation: Conversation, message_id: int, chosen: Preferences, now: int) -> None:
    """This message needs no answer. Nor does anything before it, if the person wants none; else that stays owed."""
    current = store.conversation(tx, conversation.id) or conversation
    if current.opted_out or len(store.unanswered(tx, current)) == 1:
        store.mark_answered(tx, conversation.id, message_id)
    elif current.state is not State.HANDOFF:
        owe_turn(tx, current, quiet_ms=0, now=now)
    if current.opted_out and current.state is State.PROGRESS:
        idle_at = now + chosen.idle_minutes * MINUTE
        lifecycle.move(tx, current, State.WAITING_USER, actor="user", reason="opted out", idle_at=idle_at, now=now)


def owe_turn(tx: OwnerTx, conversation: Conversation, *, quiet_ms: int, now: int) -> None:
    """Answer the conversation after ``quiet_ms``. A turn that is owed already keeps its time, and waits by itself until the
    conversation is quiet; but without quiet it starts now.
    """
    if not quiet_ms and reschedule(tx, TURN, _turn_of(conversation), run_at=now):
        return
    owe_turn_still(tx, conversation, run_at=now + quiet_ms, now=now)


def owe_turn_still(tx: OwnerTx, conversation: Conversation, *, run_at: int, now: int) -> None:
    """Answer the conversation at ``run_at``, unless a turn is owed already: that one keeps its time."""
    name = _turn_of(conversation)
    enqueue(tx, TURN, {"conversation_id": conversation.id}, key=name, unique_key=name, run_at=run_at, now=now)


def _turn_of(conversation: Conversation) -> str:
    return f"conversation:{conversation.id}"


def _owe_media(tx: OwnerTx, conversation_id: int, message_id: int, inbound: Inbound, now: int) -> None:
    if any(media.content_type.lower().startswith("audio/") for media in inbound.media):
        enqueue(tx, TRANSCRIBE, {"message_id": message_id}, key=f"audio:{conversation_id}", now=now)
    else:
        enqueue(tx, FETCH, {"message_id": message_id}, now=now)


def _user_as_known(inbound: Inbound, known: Mapping[str, Person]) -> int | None:
    """The person who wrote, if nothing about them is new: neither an identity nor the name."""
    person = next(iter(known.values()), None)
    if person is None or len(known) < len(inbound.identities) or (inbound.profile_name or person.name) != person.name:
        return None
    return person.user_id


def _user(tx: OwnerTx, inbound: Inbound, known: Mapping[str, Person], now: int) -> int:
    """The person who wrote: known under one of their identities, or under another spelling of one, or new."""
    person = next(iter(known.values()), None)
    if person is None and inbound.lookup:
        person = next(iter(store.known_as(tx, inbound.channel, inbound.lookup).values()), None)
    if person is None:
        user_id = store.insert_user(tx, inbound.profile_name, now=now)
    else:
        user_id = person.user_id
        if inbound.profile_name and inbound.profile_name != person.name:
            store.rename_user(tx, user_id, inbound.profile_name)
    for address in inbound.identities:
        if address not in known:
            store.insert_address(tx, user_id, inbound.channel, address)
    return user_id


def _open(tx: OwnerTx, user_id: int, inbound: Inbound, chosen: Preferences, now: int) -> Conversation:
    conversation = store.insert_conversation(tx, user_id, inbound, expires_at=now + chosen.expire_minutes * MINUTE, now=now)
    store.insert_event(tx, conversation.id, None, State.PENDING, actor="user", reason=_FIRST_MESSAGE, now=now)
    events.conversation_opened(tx, conversation, actor="user", reason=_FIRST_MESSAGE, now=now)
    return conversation


def _details(inbound: Inbound) -> str | None:
    return json.dumps(inbound.details, ensure_ascii=False) if inbound.details else None
