"""What goes out: each message is a row and a job in the transaction that decided it, and its way is recorded step by step.

The provider has no idempotency key, so ``sending`` is committed before a message is handed over. Whoever finds it so later does
not know whether the provider has it, and must find out before anything is sent again.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from wtai.clock import DAY
from wtai.conversation import events
from wtai.conversation import outbox_store as store
from wtai.conversation.model import Conversation, OutboundMessage, Status, StatusUpdate, Template
from wtai.conversation.store import has_message
from wtai.conversation.templates_store import template_name
from wtai.db.tx import OwnerTx
from wtai.errors import NotFound
from wtai.failpoints import failpoint
from wtai.identity.store import owner
from wtai.jobs.store import enqueue

SEND = "send_message"
"""The kind of job that sends one message; its payload is {"message_id"}."""

_RANK = {
    Status.QUEUED: 0,
    Status.SENDING: 1,
    Status.UNKNOWN: 1,
    Status.SENT: 2,
    Status.FAILED: 3,
    Status.UNDELIVERED: 3,
    Status.CANCELED: 3,
    Status.DELIVERED: 4,
    Status.READ: 5,
}
"""A status moves up only: callbacks come late, repeated and out of order, and what was delivered did not fail."""

_RESENDS = 1

_TEMPLATE: Final = {"pt-BR": "modelo", "es": "plantilla", "en": "template"}


class Step(Enum):
    """What the sender has to do with a message."""

    CALL = auto()
    FIND_OUT = auto()
    NOTHING = auto()


class Absence(Enum):
    """What follows from the provider not having a message whose outcome is unknown."""

    ASK_AGAIN = auto()
    RESEND = auto()
    GIVE_UP = auto()
    SETTLED = auto()
    """A callback has told meanwhile."""


@dataclass(frozen=True, slots=True)
class Due:
    """A message and the next step of its way."""

    step: Step
    message: OutboundMessage


def put(
    tx: OwnerTx,
    conversation: Conversation,
    bodies: Sequence[str],
    *,
    author: str,
    ai_result_id: int | None,
    staff: str | None = None,
    now: int,
) -> None:
    """Send ``bodies`` to the conversation's person, in order, each within the channel's limits, once this commits.

    ``staff`` is the public id of the member of staff where that is the author.
    """
    for body in bodies:
        message_id = store.insert_outbound(
            tx, conversation.id, body, author=author, ai_result_id=ai_result_id, staff=staff, now=now
        )
        _owe_send(tx, conversation, message_id, now)


def put_template(
    tx: OwnerTx,
    conversation: Conversation,
    template: Template,
    *,
    instead_of: int | None = None,
    staff: str | None = None,
    now: int,
) -> None:
    """Send an approved template, which may go out at any time; a parked message that it stands for is canceled."""
    parked = None if instead_of is None else look(tx, instead_of)
    if parked is not None and parked.parked is not None:
        _move(tx, parked.id, parked.status, Status.CANCELED, now=now)
    words = _in_words(tx, template)
    message_id = store.insert_outbound(
        tx, conversation.id, words, author="staff", ai_result_id=None, template=template, staff=staff, now=now
    )
    _owe_send(tx, conversation, message_id, now)


def _in_words(tx: OwnerTx, template: Template) -> str:
    """What staff and the model read in place of a template, whose own text is the provider's: which one, and what was put in."""
    variables: dict[str, str] = json.loads(template.variables)
    numbered = sorted((name for name in variables if name.isdecimal()), key=int)
    values = [variables[name] for name in (*numbered, *(name for name in variables if not name.isdecimal()))]
    named = template_name(tx, template.content_sid) or template.content_sid
    said = f": {'; '.join(values)}" if values else ""
    return f"[{_TEMPLATE[owner(tx).locale]} {named}{said}]"


def window_closes_at(last_inbound_at: int | None) -> int:
    """Until when (ms) free text may be sent on WhatsApp: 24 hours from the person's last message."""
    return (last_inbound_at or 0) + DAY


def look(tx: OwnerTx, message_id: int) -> OutboundMessage:
    """A message as it is now. NotFound."""
    message = store.outbound(tx, message_id)
    if message is None:
        raise NotFound(f"no outbound message {message_id}")
    return message


def start(tx: OwnerTx, message_id: int, *, now: int) -> Due:
    """Commit that the provider is about to be called, or tell that an earlier call's outcome must be found out first."""
    message = look(tx, message_id)
    if message.status is Status.QUEUED or message.is_abandoned:
        if _is_held_back(tx, message, now):
            return Due(Step.NOTHING, message)
        store.start_call(tx, message_id, message.recipient, now=now)
        return Due(Step.CALL, message)
    if message.status is Status.SENDING:  # the process died during the call
        _move(tx, message_id, message.status, Status.UNKNOWN, now=now)
        return Due(Step.FIND_OUT, message)
    return Due(Step.FIND_OUT if message.status is Status.UNKNOWN else Step.NOTHING, message)


def _is_held_back(tx: OwnerTx, message: OutboundMessage, now: int) -> bool:
    """Judged at the last moment, in the transaction that commits to the call: nothing goes out against it."""
    if message.author == "agent" and message.epoch < message.takeover_epoch:
        _move(tx, message.id, message.status, Status.CANCELED, now=now)
        return True
    if message.parked is not None:  # a person decides, whatever has changed since
        return True
    if message.opted_out:
        store.park(tx, message.id, "opted_out", now=now)
        _move(tx, message.id, message.status, Status.CANCELED, now=now)
        return True
    if message.channel == "whatsapp" and message.content_sid is None and now >= window_closes_at(message.last_inbound_at):
        store.park(tx, message.id, "window", now=now)
        return True
    return False


def _owe_send(tx: OwnerTx, conversation: Conversation, message_id: int, now: int) -> None:
    enqueue(tx, SEND, {"message_id": message_id}, key=f"send:{conversation.user_id}", now=now)


def accepted(tx: OwnerTx, message_id: int, provider_sid: str, *, now: int) -> None:
    """The provider has the message; a callback may have said more already."""
    message = store.outbound(tx, message_id)
    if message is not None:
        status = Status.SENT if _RANK[message.status] < _RANK[Status.SENT] else message.status
        _move(tx, message_id, message.status, status, provider_sid=provider_sid, now=now)
    failpoint("send.before_commit")


def not_accepted(tx: OwnerTx, message_id: int, *, now: int) -> None:
    """The provider certainly did not take the call: the message may be sent again, unless an earlier call turned out well."""
    if _is_called(tx, message_id):
        store.set_status(tx, message_id, Status.QUEUED, now=now)


def abandon(tx: OwnerTx, message_id: int, *, now: int) -> None:
    """Nobody tries to send the message any more, until somebody has its job tried again."""
    message = look(tx, message_id)
    if message.status is Status.QUEUED and message.parked is None:
        store.forget_call(tx, message_id)
        _move(tx, message_id, message.status, Status.FAILED, now=now)
    elif message.status is Status.SENDING:
        _move(tx, message_id, message.status, Status.UNKNOWN, now=now)


def failed(tx: OwnerTx, message_id: int, error_code: int | None, held_back: str | None, *, now: int) -> None:
    """The provider will never take the message; what it says of the window or of an opt-out is kept."""
    if _is_called(tx, message_id):
        _move(tx, message_id, Status.SENDING, Status.FAILED, error_code=error_code, now=now)
    _hold_back(tx, message_id, held_back, now)


def _hold_back(tx: OwnerTx, message_id: int, reason: str | None, now: int) -> None:
    if reason is not None:
        store.park(tx, message_id, reason, now=now)
    if reason == "opted_out":
        store.opt_out_recipient(tx, message_id, now=now)


def unknown(tx: OwnerTx, message_id: int, *, now: int) -> None:
    """The call ended without telling whether the provider has the message, unless a callback has told meanwhile."""
    if _is_called(tx, message_id):
        _move(tx, message_id, Status.SENDING, Status.UNKNOWN, now=now)


def _is_called(tx: OwnerTx, message_id: int) -> bool:
    """Whether nothing is known of the message but that the provider was called: a callback may have told more meanwhile."""
    message = store.outbound(tx, message_id)
    return message is not None and message.status is Status.SENDING


def absent(tx: OwnerTx, message_id: int, *, apart_ms: int, now: int) -> Absence:
    """The provider's listing did not have the message. After two such listings ``apart_ms`` apart it is sent again, once."""
    message = store.outbound(tx, message_id)
    if message is None or message.status is not Status.UNKNOWN:
        return Absence.SETTLED
    if message.polled_at is not None and now - message.polled_at < apart_ms:
        return Absence.ASK_AGAIN
    store.count_poll(tx, message_id, now=now)
    if message.polls == 0:
        return Absence.ASK_AGAIN
    if message.resends >= _RESENDS:
        return Absence.GIVE_UP
    store.count_resend(tx, message_id)
    store.set_status(tx, message_id, Status.QUEUED, now=now)
    return Absence.RESEND


@dataclass(frozen=True, slots=True)
class Candidates:
    """The provider's ids that ``message`` may have; with a rival they may as well be that one's."""

    provider_sids: tuple[str, ...]
    rival: bool


def candidates(tx: OwnerTx, message: OutboundMessage, provider_sids: Sequence[str], since: int) -> Candidates:
    """Those of the listed ids that belong to no message of ours yet, and whether another one since then may claim them too."""
    free = tuple(sid for sid in provider_sids if not has_message(tx, sid))
    return Candidates(free, store.has_rival(tx, message, since))


def update_status(tx: OwnerTx, update: StatusUpdate, *, now: int) -> bool:
    """Take over what the provider says of a message, if it is news; False if no such message is known."""
    message = store.outbound_of_callback(tx, update.message, update.provider_sid)
    if message is None:
        return False
    if message.provider_sid is not None and message.provider_sid != update.provider_sid:
        return False
    status = update.status if _RANK[update.status] > _RANK[message.status] else message.status
    if status is not message.status or message.provider_sid is None:
        # Any word about it proves that the provider has it.
        known = Status.SENT if _RANK[status] < _RANK[Status.SENT] else status
        _move(tx, message.id, message.status, known, provider_sid=update.provider_sid, error_code=update.error_code, now=now)
        _hold_back(tx, message.id, update.held_back, now)
    failpoint("status.before_commit")
    return True


def cancel_unsent(tx: OwnerTx, conversation_id: int, *, now: int) -> None:
    """What the AI wrote and nobody handed to the provider yet is not sent."""
    for message_id in store.cancel_unsent(tx, conversation_id, now=now):
        events.message_moved(tx, message_id, Status.QUEUED, Status.CANCELED, now=now)


def _move(
    tx: OwnerTx,
    message_id: int,
    before: Status,
    to: Status,
    *,
    provider_sid: str | None = None,
    error_code: int | None = None,
    now: int,
) -> None:
    store.set_status(tx, message_id, to, provider_sid=provider_sid, error_code=error_code, now=now)
    events.message_moved(tx, message_id, before, to, now=now)
