"""What staff send: through the API and the console alike, by the same rules."""

from wtai.conversation import handoff, outbox
from wtai.conversation.lifecycle import OPEN
from wtai.conversation.model import Conversation, State, Template
from wtai.conversation.views_store import assign, conversation_row, message_row
from wtai.conversation.whatsapp import split
from wtai.db.tx import OwnerTx
from wtai.errors import InvalidTransition, NotFound
from wtai.identity.access import Principal
from wtai.web.api.errors import wrong
from wtai.web.problems import OPTED_OUT, WINDOW_CLOSED, Fault, Problem


def check_wanted(conversation: Conversation) -> None:
    """Problem if the person opted out."""
    if conversation.opted_out:
        raise Problem(OPTED_OUT, "the person wrote STOP: nothing is sent until they write START")


def takes_text(channel: str, last_inbound_at: int | None, now: int) -> bool:
    """Whether free text may be sent: always, but on WhatsApp for 24 hours after the person's last message."""
    return channel != "whatsapp" or now < outbox.window_closes_at(last_inbound_at)


def send_text(tx: OwnerTx, conversation: Conversation, text: str, principal: Principal, *, now: int) -> None:
    """A person answers, which takes the conversation over. InvalidTransition if it is closed, Problem if the window is."""
    if conversation.state not in OPEN:
        raise InvalidTransition(f"the conversation is {conversation.state}: it takes no messages any more")
    if not takes_text(conversation.channel, conversation.last_inbound_at, now):
        words = "the person's last message is more than 24 hours old: send a template (`template` instead of `body`)"
        raise Problem(WINDOW_CLOSED, words, [Fault("/body", words)])
    taken = handoff.reply(tx, conversation, split(text), staff=principal.id, now=now)
    _assign(tx, taken, principal, now)


def send_template(
    tx: OwnerTx, conversation: Conversation, template: Template, principal: Principal, *, instead_of: str | None, now: int
) -> None:
    """An approved template, at any time; ``instead_of``: the message that waits for a person and is not sent then. Problem.

    To somebody who waits for a person it is that person's answer.
    """
    parked = _waiting(tx, conversation, instead_of) if instead_of is not None else None
    handoff.send_template(tx, conversation, template, instead_of=parked, staff=principal.id, now=now)
    if conversation.state is State.HANDOFF:
        _assign(tx, conversation, principal, now)


def _assign(tx: OwnerTx, conversation: Conversation, principal: Principal, now: int) -> None:
    """To whoever answers, unless somebody has it already."""
    if conversation_row(tx, conversation.public_id).assignee is None:
        assign(tx, conversation.id, principal.user_id, now=now)


def _waiting(tx: OwnerTx, conversation: Conversation, public: str) -> int:
    """The key of a message of this conversation that waits for a person. Problem."""
    try:
        row = message_row(tx, public)
    except NotFound:
        row = None
    if row is None or row.parked is None or row.conversation != conversation.public_id:
        raise wrong("/instead_of", "is no message of this conversation that waits for a person")
    return row.id
