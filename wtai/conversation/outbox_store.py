"""SQL of messages on their way out."""

from wtai.conversation.changes_store import note_change
from wtai.conversation.model import OutboundMessage, Status, Template
from wtai.db.tx import OwnerTx, Row
from wtai.ids import dated_public_id


def insert_outbound(
    tx: OwnerTx,
    conversation_id: int,
    body: str,
    *,
    author: str,
    ai_result_id: int | None,
    template: Template | None = None,
    staff: str | None = None,
    now: int,
) -> int:
    """A message to be sent; returns its id."""
    rows = tx.all(
        """
        INSERT INTO messages (owner_id, public_id, conversation_id, direction, author, status, body, ai_result_id,
            content_sid, content_variables, staff, epoch, created_at, updated_at)
        SELECT :owner, :public_id, id, 'outbound', :author, 'queued', :body, :ai_result_id, :content_sid, :content_variables,
            :staff, takeover_epoch, :now, :now
        FROM conversations WHERE owner_id = :owner AND id = :conversation_id
        RETURNING id
        """,
        public_id=dated_public_id("msg", now),
        conversation_id=conversation_id,
        author=author,
        body=body,
        ai_result_id=ai_result_id,
        content_sid=template.content_sid if template else None,
        content_variables=template.variables if template else None,
        staff=staff,
        now=now,
    )
    note_change(tx, conversation_id, now=now)
    return int(rows[0]["id"])


# A person who steps into a later conversation of the same two silences what is still left of this one.
_OUTBOUND = """
SELECT m.id, m.public_id, m.status, m.body, c.address AS sender, c.channel, m.provider_sid,
    CASE WHEN m.status IN ('sending', 'unknown') THEN coalesce(m.called_for, c.user_address) ELSE c.user_address END AS recipient,
    m.sending_at, m.resends, m.polls, m.polled_at, m.author, m.epoch, c.last_inbound_at, m.parked,
    m.content_sid, m.content_variables, (
        SELECT sum(n.takeover_epoch) FROM conversations n
        WHERE n.owner_id = c.owner_id AND n.user_id = c.user_id AND n.address = c.address AND n.id >= c.id
    ) AS takeover_epoch, EXISTS (
        SELECT 1 FROM opt_outs o WHERE o.owner_id = m.owner_id AND o.user_id = c.user_id AND o.our_address = c.address
    ) AS opted_out
FROM messages m JOIN conversations c ON c.owner_id = m.owner_id AND c.id = m.conversation_id
WHERE m.owner_id = :owner AND m.direction = 'outbound'
"""


def outbound(tx: OwnerTx, message_id: int) -> OutboundMessage | None:
    """One message on its way out."""
    row = tx.one(f"{_OUTBOUND} AND m.id = :id", id=message_id)
    return _outbound(row) if row else None


def outbound_of_callback(tx: OwnerTx, public: str | None, provider_sid: str) -> OutboundMessage | None:
    """The message a status callback is about: by our id where the callback has it, else by the provider's."""
    row = None
    if public is not None:
        row = tx.one(f"{_OUTBOUND} AND m.public_id = :public", public=public)
    if row is None:
        row = tx.one(f"{_OUTBOUND} AND m.provider_sid = :sid", sid=provider_sid)
    return _outbound(row) if row else None


def start_call(tx: OwnerTx, message_id: int, recipient: str, *, now: int) -> None:
    """The provider is about to be called to send the message to ``recipient``."""
    tx.run(
        """
        UPDATE messages SET status = 'sending', sending_at = :now, called_for = :recipient, polls = 0, polled_at = NULL,
            updated_at = :now
        WHERE owner_id = :owner AND id = :id
        """,
        id=message_id,
        recipient=recipient,
        now=now,
    )


def forget_call(tx: OwnerTx, message_id: int) -> None:
    """The provider certainly has nothing of the message."""
    tx.run("UPDATE messages SET sending_at = NULL WHERE owner_id = :owner AND id = :id", id=message_id)


def set_status(
    tx: OwnerTx, message_id: int, status: Status, *, provider_sid: str | None = None, error_code: int | None = None, now: int
) -> None:
    """Move a message on; an id of the provider once known stays."""
    tx.run(
        """
        UPDATE messages SET status = :status, provider_sid = coalesce(provider_sid, :sid),
            error_code = coalesce(:error_code, error_code), updated_at = :now
        WHERE owner_id = :owner AND id = :id
        """,
        id=message_id,
        status=status,
        sid=provider_sid,
        error_code=error_code,
        now=now,
    )


def has_rival(tx: OwnerTx, message: OutboundMessage, since: int) -> bool:
    """Whether another message of the same words between the same addresses, called for since then, has an unknown outcome.

    The words of a template are not known: any message may have them.
    """
    found = tx.one(
        """
        SELECT 1 FROM messages m JOIN conversations c ON c.owner_id = m.owner_id AND c.id = m.conversation_id
        WHERE m.owner_id = :owner AND m.status IN ('sending', 'unknown') AND m.provider_sid IS NULL AND m.id <> :id
            AND m.body = coalesce(:body, m.body) AND m.sending_at >= :since
            AND c.address = :sender AND coalesce(m.called_for, c.user_address) = :recipient
        """,
        id=message.id,
        body=None if message.content_sid else message.body,
        since=since,
        sender=message.sender,
        recipient=message.recipient,
    )
    return found is not None


def park(tx: OwnerTx, message_id: int, reason: str, *, now: int) -> None:
    """Keep a message back for a person to decide on, with the reason."""
    tx.run(
        "UPDATE messages SET parked = :reason, updated_at = :now WHERE owner_id = :owner AND id = :id",
        id=message_id,
        reason=reason,
        now=now,
    )


def cancel_unsent(tx: OwnerTx, conversation_id: int, *, now: int) -> list[int]:
    """What the AI wrote and nobody handed to the provider yet is not sent; returns the ids."""
    rows = tx.all(
        """
        UPDATE messages SET status = 'canceled', updated_at = :now
        WHERE owner_id = :owner AND conversation_id = :id AND direction = 'outbound' AND author = 'agent' AND status = 'queued'
        RETURNING id
        """,
        id=conversation_id,
        now=now,
    )
    return sorted(int(row["id"]) for row in rows)


def opt_out_recipient(tx: OwnerTx, message_id: int, *, now: int) -> None:
    """The person this message was for wants nothing more from the address it was to come from."""
    tx.run(
        """
        INSERT INTO opt_outs (owner_id, user_id, our_address, created_at)
        SELECT :owner, c.user_id, c.address, :now
        FROM messages m JOIN conversations c ON c.owner_id = m.owner_id AND c.id = m.conversation_id
        WHERE m.owner_id = :owner AND m.id = :id
        ON CONFLICT (owner_id, user_id, our_address) DO NOTHING
        """,
        id=message_id,
        now=now,
    )


def count_poll(tx: OwnerTx, message_id: int, *, now: int) -> None:
    """The provider's listing did not have the message."""
    tx.run("UPDATE messages SET polls = polls + 1, polled_at = :now WHERE owner_id = :owner AND id = :id", id=message_id, now=now)


def count_resend(tx: OwnerTx, message_id: int) -> None:
    """The message proved absent and is sent again."""
    tx.run("UPDATE messages SET resends = resends + 1 WHERE owner_id = :owner AND id = :id", id=message_id)


def _outbound(row: Row) -> OutboundMessage:
    return OutboundMessage(**{**dict(row), "status": Status(row["status"]), "opted_out": bool(row["opted_out"])})
