"""What comes in: a message is kept, its person and conversation found or opened, and a turn owed, in one transaction."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from wtai.clock import MINUTE
from wtai.conversation import events, lifecycle, optout, store
from wtai.conversation.burst import quiet_after
from wtai.conversation.kept_opt_outs_store import Digests, recall_opt_outs
from wtai.conversation.model import Inbound, Person, Standing, State
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
    standing = store.standing(tx, inbound)
    if standing is None:  # more than the message is new, which a repeat must not create
        if store.has_message(tx, inbound.provider_sid):
            return Received(new=False)
        user_id = _person(tx, inbound, digests, now)
        standing = store.standing(tx, inbound) or _open(tx, user_id, inbound, chosen, now)
    message_id = store.insert_inbound(tx, standing.conversation_id, inbound, _details(inbound), now=now)
    if message_id is None:
        return Received(new=False)
    if inbound.media:
        store.insert_media(tx, message_id, inbound)
        _owe_media(tx, standing.conversation_id, message_id, inbound, now)
    if optout.heeded(tx, inbound, standing, now=now):
        _owe_nothing(tx, standing.conversation_id, message_id, chosen, now)
        store.note_inbound(tx, standing.conversation_id, message_id, inbound, quiet_until=now, now=now)
    else:
        quiet_ms = quiet_after(inbound, chosen.burst_quiet_ms)
        if standing.state is State.WAITING_USER:
            waiting = store.existing_conversation(tx, standing.conversation_id)
            lifecycle.move(tx, waiting, State.PROGRESS, actor="user", reason="message", now=now)
        store.note_inbound(tx, standing.conversation_id, message_id, inbound, quiet_until=now + quiet_ms, now=now)
        if standing.state is not State.HANDOFF:
            owe_turn(tx, standing.conversation_id, quiet_ms=quiet_ms, now=now)
    events.message_received(tx, message_id, now=now)
    failpoint("ack.before_commit")
    return Received(True, message_id, standing.conversation_id)


def _owe_nothing(tx: OwnerTx, conversation_id: int, message_id: int, chosen: Preferences, now: int) -> None:
    """This message needs no answer. Nor does anything before it, if the person wants none; else that stays owed."""
    current = store.existing_conversation(tx, conversation_id)
    if current.opted_out or len(store.unanswered(tx, current)) == 1:
        store.mark_answered(tx, current.id, message_id)
    elif current.state is not State.HANDOFF:
        owe_turn(tx, current.id, quiet_ms=0, now=now)
    if current.opted_out and current.state is State.PROGRESS:
        idle_at = now + chosen.idle_minutes * MINUTE
        lifecycle.move(tx, current, State.WAITING_USER, actor="user", reason="opted out", idle_at=idle_at, now=now)


def owe_turn(tx: OwnerTx, conversation_id: int, *, quiet_ms: int, now: int) -> None:
    """Answer the conversation after ``quiet_ms``. A turn that is owed already keeps its time, and waits by itself until the
    conversation is quiet; but without quiet it starts now.
    """
    if not quiet_ms and reschedule(tx, TURN, _turn_of(conversation_id), run_at=now):
        return
    owe_turn_still(tx, conversation_id, run_at=now + quiet_ms, now=now)


def owe_turn_still(tx: OwnerTx, conversation_id: int, *, run_at: int, now: int) -> None:
    """Answer the conversation at ``run_at``, unless a turn is owed already: that one keeps its time."""
    name = _turn_of(conversation_id)
    enqueue(tx, TURN, {"conversation_id": conversation_id}, key=name, unique_key=name, run_at=run_at, now=now)


def _turn_of(conversation_id: int) -> str:
    return f"conversation:{conversation_id}"


def _owe_media(tx: OwnerTx, conversation_id: int, message_id: int, inbound: Inbound, now: int) -> None:
    if any(media.content_type.lower().startswith("audio/") for media in inbound.media):
        enqueue(tx, TRANSCRIBE, {"message_id": message_id}, key=f"audio:{conversation_id}", now=now)
    else:
        enqueue(tx, FETCH, {"message_id": message_id}, now=now)


def _person(tx: OwnerTx, inbound: Inbound, digests: Digests | None, now: int) -> int:
    """The person who wrote, with everything that is new about them written down."""
    known = store.known_as(tx, inbound.channel, inbound.identities)
    user_id = _user(tx, inbound, known, now)
    for address in inbound.identities:
        if address not in known:
            store.insert_address(tx, user_id, inbound.channel, address)
    if digests is not None:
        unknown = [address for address in (*inbound.identities, *inbound.lookup) if address not in known]
        recall_opt_outs(tx, user_id, unknown, digests, now=now)
    return user_id


def _user(tx: OwnerTx, inbound: Inbound, known: Mapping[str, Person], now: int) -> int:
    """Whose message it is: someone known under one of their identities, or under another spelling of one, or new."""
    known = known or store.known_as(tx, inbound.channel, inbound.lookup)
    person = next(iter(known.values()), None)
    if person is None:
        return store.insert_user(tx, inbound.profile_name, now=now)
    if inbound.profile_name and inbound.profile_name != person.name:
        store.rename_user(tx, person.user_id, inbound.profile_name)
    return person.user_id


def _open(tx: OwnerTx, user_id: int, inbound: Inbound, chosen: Preferences, now: int) -> Standing:
    conversation = store.insert_conversation(tx, user_id, inbound, expires_at=now + chosen.expire_minutes * MINUTE, now=now)
    store.insert_event(tx, conversation.id, None, State.PENDING, actor="user", reason=_FIRST_MESSAGE, now=now)
    events.conversation_opened(tx, conversation, actor="user", reason=_FIRST_MESSAGE, now=now)
    return Standing(user_id, conversation.id, conversation.state, conversation.opted_out)


def _details(inbound: Inbound) -> str | None:
    return json.dumps(inbound.details, ensure_ascii=False) if inbound.details else None
