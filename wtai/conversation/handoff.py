"""A person steps in, and out again: one machine for every way there is.

``takeover_epoch`` counts the steps. What the AI wrote carries the epoch it was written under; the sender drops it when a person
has stepped in since. From the commit of a takeover nothing goes out that the AI wrote.
"""

from wtai.clock import MINUTE
from wtai.conversation import events, lifecycle, outbox, store
from wtai.conversation.inbox import owe_turn
from wtai.conversation.model import Conversation, State, Template
from wtai.conversation.outbox import cancel_unsent
from wtai.conversation.texts import texts
from wtai.db.tx import OwnerTx
from wtai.errors import InvalidTransition
from wtai.identity.preferences import Preferences
from wtai.identity.store import owner

ASKED = "asked for a person"
TAKEN = "taken by staff"
REPLIED = "staff replied"
BEGUN = "begun by staff"


def request(
    tx: OwnerTx,
    conversation: Conversation,
    chosen: Preferences,
    *,
    actor: str,
    reason: str,
    text: str | None = None,
    ai_result_id: int | None = None,
    now: int,
) -> Conversation:
    """Call a person: the AI falls silent, and the user is told so, by ``text`` or in the words for the hour.

    It is told in the transaction in which it happens. ``ai_result_id`` is the turn that called.
    """
    if text is None:
        own = texts(owner(tx).locale)
        text = (chosen.handoff_text or own.handoff) if chosen.is_open(now) else (chosen.away_text or own.away)
    moved = _step_in(tx, conversation, actor=actor, reason=reason, now=now)
    store.start_waiting(tx, moved.id, now=now)
    outbox.put(tx, moved, [text], author="system", ai_result_id=ai_result_id, now=now)
    return moved


def take_over(
    tx: OwnerTx, conversation: Conversation, *, reason: str = TAKEN, staff: str | None = None, now: int
) -> Conversation:
    """A person takes the conversation, whatever the AI is doing. Returns it unchanged if a person has it already.

    ``staff``, here and below, is the public id of whoever does it.
    """
    if conversation.state is State.HANDOFF:
        return conversation
    return _step_in(tx, conversation, actor="staff", reason=reason, staff=staff, now=now)


def reply(tx: OwnerTx, conversation: Conversation, bodies: list[str], *, staff: str | None = None, now: int) -> Conversation:
    """A person answers: which takes the conversation over, and answers what the user wrote so far."""
    taken = take_over(tx, conversation, reason=REPLIED, staff=staff, now=now)
    outbox.put(tx, taken, bodies, author="staff", ai_result_id=None, staff=staff, now=now)
    store.mark_answered(tx, taken.id, store.last_inbound_id(tx, taken.id))
    return taken


def send_template(
    tx: OwnerTx,
    conversation: Conversation,
    template: Template,
    *,
    instead_of: int | None = None,
    staff: str | None = None,
    now: int,
) -> None:
    """A person sends an approved template, in place of a parked message or not: where a person has the conversation it answers
    what the user wrote so far, as the only answer that may go out when the window is closed; it takes none over.
    """
    outbox.put_template(tx, conversation, template, instead_of=instead_of, staff=staff, now=now)
    if conversation.state is State.HANDOFF:
        store.mark_answered(tx, conversation.id, store.last_inbound_id(tx, conversation.id))


def begin(tx: OwnerTx, before: Conversation, chosen: Preferences, *, staff: str | None = None, now: int) -> Conversation:
    """A person writes first: a new conversation of the two of ``before``, which the person has.

    InvalidTransition while one of them is open.
    """
    if store.open_conversation(tx, before.user_id, before.address) is not None:
        raise InvalidTransition(f"conversation {before.public_id} has one after it that is still open")
    opened = store.insert_following(tx, before, expires_at=now + chosen.expire_minutes * MINUTE, now=now)
    store.insert_event(tx, opened.id, None, opened.state, actor="staff", reason=BEGUN, staff=staff, now=now)
    events.conversation_opened(tx, opened, actor="staff", reason=BEGUN, now=now)
    return _step_in(tx, opened, actor="staff", reason=BEGUN, staff=staff, now=now)


def resume(tx: OwnerTx, conversation: Conversation, chosen: Preferences, *, staff: str | None = None, now: int) -> Conversation:
    """Hand back to the AI, which answers at once what no person answered. InvalidTransition unless a person has it."""
    if conversation.state is not State.HANDOFF:
        raise InvalidTransition(f"conversation {conversation.public_id} is {conversation.state}: no person has it")
    owed = bool(store.unanswered(tx, conversation))
    store.count_takeover(tx, conversation.id, reason=None)
    store.set_expiry(tx, conversation.id, now + chosen.expire_minutes * MINUTE)
    to = State.PROGRESS if owed else State.WAITING_USER
    idle_at = None if owed else now + chosen.idle_minutes * MINUTE
    moved = lifecycle.move(tx, conversation, to, actor="staff", reason="handed back", staff=staff, idle_at=idle_at, now=now)
    if owed:
        owe_turn(tx, moved.id, quiet_ms=0, now=now)
    return moved


def close(tx: OwnerTx, conversation: Conversation, *, staff: str | None = None, now: int) -> Conversation:
    """Staff end the conversation."""
    store.count_takeover(tx, conversation.id, reason=None)
    reason = "closed by staff"
    return lifecycle.move(tx, conversation, State.SUPPORT_CLOSED, actor="staff", reason=reason, staff=staff, now=now)


def _step_in(
    tx: OwnerTx, conversation: Conversation, *, actor: str, reason: str, staff: str | None = None, now: int
) -> Conversation:
    store.count_takeover(tx, conversation.id, reason=reason)
    cancel_unsent(tx, conversation.id, now=now)
    return lifecycle.move(tx, conversation, State.HANDOFF, actor=actor, reason=reason, staff=staff, now=now)
