"""STOP and START: whether a person wants anything from one of our addresses. On every channel, WhatsApp included."""

from wtai.conversation import outbox, store
from wtai.conversation.model import Inbound, Kind, Standing
from wtai.conversation.texts import texts
from wtai.conversation.wishes import asks_to_start, asks_to_stop
from wtai.db.tx import OwnerTx
from wtai.identity.store import owner


def heeded(tx: OwnerTx, inbound: Inbound, standing: Standing, *, now: int) -> bool:
    """Take an opt-out or its end to heart. True if nobody is to answer this message: it was one, or the person has opted out.

    Where the provider itself understood the word (``opt_out`` in the details) it has answered already.
    """
    told = inbound.details.get("opt_out")
    is_text = inbound.kind is Kind.TEXT
    if told == "STOP" or (is_text and asks_to_stop(inbound.body)):
        store.opt_out(tx, standing.user_id, inbound.our_address, now=now)
        return True
    if not standing.opted_out:
        return told is not None
    if told != "START" and not (is_text and asks_to_start(inbound.body)):
        return True
    store.opt_in(tx, standing.user_id, inbound.our_address)
    if told is None:
        conversation = store.existing_conversation(tx, standing.conversation_id)
        outbox.put(tx, conversation, [texts(owner(tx).locale).opted_in], author="system", ai_result_id=None, now=now)
    return True
