"""The state machine of a conversation: one table of transitions, one function that applies them."""

from typing import Final

from wtai.conversation import events, store
from wtai.conversation.model import Conversation, State
from wtai.db.tx import OwnerTx
from wtai.errors import InvalidTransition, StaleVersion
from wtai.jobs.store import BACKGROUND, enqueue

_FINAL_FROM_ANY: Final = frozenset(
    {State.AGENT_CLOSED, State.SUPPORT_CLOSED, State.USER_CLOSED, State.EXPIRED, State.IDLE_TIMEOUT, State.FAILED}
)
TRANSITIONS: Final[dict[State, frozenset[State]]] = {
    State.PENDING: frozenset({State.PROGRESS, State.HANDOFF}) | _FINAL_FROM_ANY,
    State.PROGRESS: frozenset({State.WAITING_USER, State.HANDOFF}) | _FINAL_FROM_ANY,
    State.WAITING_USER: frozenset({State.PROGRESS, State.HANDOFF}) | _FINAL_FROM_ANY,
    State.HANDOFF: frozenset({State.PROGRESS, State.WAITING_USER}) | _FINAL_FROM_ANY,
}
OPEN: Final = frozenset(TRANSITIONS)
"""States in which a conversation still takes messages; every other one is final."""


ENDED: Final = "conversation_ended"
"""The kind of job that does what follows the end of a conversation; its payload is {"conversation_id"}."""


def move(
    tx: OwnerTx,
    conversation: Conversation,
    to: State,
    *,
    actor: str,
    reason: str,
    staff: str | None = None,
    idle_at: int | None = None,
    now: int,
) -> Conversation:
    """Bring ``conversation``, as read, to state ``to`` and record who did it and why; returns it as it is now.

    ``staff`` is the public id of who did it, where staff did. ``idle_at`` (ms) goes with WAITING_USER: when we stop waiting. What
    follows an end is a job of its own (ENDED).

    InvalidTransition if the table has no such edge, StaleVersion if the conversation has changed since it was read.
    """
    if to not in TRANSITIONS.get(conversation.state, frozenset()):
        raise InvalidTransition(f"conversation {conversation.public_id} cannot go from {conversation.state} to {to}")
    if not store.change_state(tx, conversation, to, closed_at=None if to in OPEN else now, idle_at=idle_at, now=now):
        raise StaleVersion(f"conversation {conversation.public_id} has changed since version {conversation.version} was read")
    store.insert_event(tx, conversation.id, conversation.state, to, actor=actor, reason=reason, staff=staff, now=now)
    if to not in OPEN:
        enqueue(tx, ENDED, {"conversation_id": conversation.id}, priority=BACKGROUND, now=now)
    moved = store.conversation(tx, conversation.id)
    if moved is None:
        raise StaleVersion(f"conversation {conversation.public_id} is gone")
    events.conversation_moved(tx, conversation.state, moved, actor=actor, reason=reason, now=now)
    return moved
