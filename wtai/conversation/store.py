"""SQL of conversations, their messages and the people in them."""

from wtai.conversation.model import Conversation, Inbound, Kind, Message, OutboundMessage, State, Status
from wtai.db.tx import OwnerTx, Row
from wtai.ids import public_id

_CONVERSATION = """
SELECT id, public_id, user_id, channel, address, user_address, state, version, feature, answered_through, last_inbound_at,
    opened_at
FROM conversations
"""
_MESSAGE = "SELECT id, public_id, direction, author, kind, status, body, details, ai_result_id, created_at FROM messages"


def user_of_address(tx: OwnerTx, channel: str, address: str) -> int | None:
    """The person known under this address."""
    row = tx.one(
        "SELECT user_id FROM user_addresses WHERE owner_id = :owner AND channel = :channel AND address = :address",
        channel=channel,
        address=address,
    )
    return row["user_id"] if row else None


def insert_user(tx: OwnerTx, name: str | None, *, now: int) -> int:
    """A new end user; returns the id."""
    rows = tx.all(
        """
        INSERT INTO users (owner_id, public_id, role, name, created_at) VALUES (:owner, :public_id, 'user', :name, :now)
        RETURNING id
        """,
        public_id=public_id("usr"),
        name=name,
        now=now,
    )
    return int(rows[0]["id"])


def insert_address(tx: OwnerTx, user_id: int, channel: str, address: str) -> None:
    """Remember that this person was seen under this address; another person's address stays theirs."""
    tx.run(
        """
        INSERT INTO user_addresses (owner_id, channel, address, user_id) VALUES (:owner, :channel, :address, :user_id)
        ON CONFLICT (owner_id, channel, address) DO NOTHING
        """,
        channel=channel,
        address=address,
        user_id=user_id,
    )


def rename_user(tx: OwnerTx, user_id: int, name: str) -> None:
    """Take over the name that the person's profile shows now."""
    tx.run(
        "UPDATE users SET name = :name WHERE owner_id = :owner AND id = :id AND name IS NOT :name",
        id=user_id,
        name=name,
    )


def conversation(tx: OwnerTx, conversation_id: int) -> Conversation | None:
    """One conversation of this owner."""
    row = tx.one(f"{_CONVERSATION} WHERE owner_id = :owner AND id = :id", id=conversation_id)
    return _conversation(row) if row else None


def open_conversation(tx: OwnerTx, user_id: int, address: str) -> Conversation | None:
    """The open conversation of this person with this address of ours; a constraint allows one."""
    row = tx.one(
        f"""{_CONVERSATION} WHERE owner_id = :owner AND user_id = :user_id AND address = :address
        AND state IN ('PENDING', 'PROGRESS', 'WAITING_USER', 'HANDOFF')""",
        user_id=user_id,
        address=address,
    )
    return _conversation(row) if row else None


def insert_conversation(tx: OwnerTx, user_id: int, inbound: Inbound, *, now: int) -> Conversation:
    """Open a conversation that knows the one before it."""
    rows = tx.all(
        """
        INSERT INTO conversations (owner_id, public_id, user_id, channel, address, user_address, state, previous_id,
            opened_at, updated_at)
        VALUES (:owner, :public_id, :user_id, :channel, :address, :user_address, 'PENDING',
            (SELECT max(id) FROM conversations WHERE owner_id = :owner AND user_id = :user_id AND address = :address), :now, :now)
        RETURNING id, public_id, user_id, channel, address, user_address, state, version, feature, answered_through,
            last_inbound_at, opened_at
        """,
        public_id=public_id("cnv"),
        user_id=user_id,
        channel=inbound.channel,
        address=inbound.our_address,
        user_address=inbound.reply_to,
        now=now,
    )
    return _conversation(rows[0])


def note_inbound(tx: OwnerTx, conversation_id: int, reply_to: str, *, now: int) -> None:
    """The person wrote: the 24-hour window starts again, answers go where they wrote from, and drafts are out of date."""
    tx.run(
        """
        UPDATE conversations SET version = version + 1, last_inbound_at = :now, updated_at = :now, user_address = :reply_to
        WHERE owner_id = :owner AND id = :id
        """,
        id=conversation_id,
        reply_to=reply_to,
        now=now,
    )


def change_state(tx: OwnerTx, read: Conversation, to: State, *, closed_at: int | None, now: int) -> bool:
    """Set the state if the conversation is as it was read."""
    return bool(
        tx.run(
            """
            UPDATE conversations SET state = :to, version = version + 1, updated_at = :now, closed_at = :closed_at
            WHERE owner_id = :owner AND id = :id AND version = :version AND state = :state
            """,
            id=read.id,
            version=read.version,
            state=read.state,
            to=to,
            closed_at=closed_at,
            now=now,
        )
    )


def mark_answered(tx: OwnerTx, conversation_id: int, through: int, feature: str) -> None:
    """Inbound messages up to ``through`` are answered, by ``feature``."""
    tx.run(
        "UPDATE conversations SET answered_through = :through, feature = :feature WHERE owner_id = :owner AND id = :id",
        id=conversation_id,
        through=through,
        feature=feature,
    )


def insert_event(tx: OwnerTx, conversation_id: int, from_: State | None, to: State, *, actor: str, reason: str, now: int) -> None:
    """Record a transition."""
    tx.run(
        """
        INSERT INTO conversation_events (owner_id, conversation_id, from_state, to_state, actor, reason, created_at)
        VALUES (:owner, :conversation_id, :from_state, :to_state, :actor, :reason, :now)
        """,
        conversation_id=conversation_id,
        from_state=from_,
        to_state=to,
        actor=actor,
        reason=reason,
        now=now,
    )


def has_message(tx: OwnerTx, provider_sid: str) -> bool:
    """Whether the provider's message is kept already."""
    found = tx.one("SELECT 1 FROM messages WHERE owner_id = :owner AND provider_sid = :sid", sid=provider_sid)
    return found is not None


def insert_inbound(tx: OwnerTx, conversation_id: int, inbound: Inbound, details: str | None, *, now: int) -> int | None:
    """Keep a message that came in; None if it is kept already."""
    rows = tx.all(
        """
        INSERT INTO messages (owner_id, public_id, conversation_id, direction, author, kind, status, body, provider_sid,
            quoted_sid, details, raw, created_at, updated_at)
        VALUES (:owner, :public_id, :conversation_id, 'inbound', 'user', :kind, 'received', :body, :sid, :quoted, :details, :raw,
            :now, :now)
        ON CONFLICT (owner_id, provider_sid) WHERE provider_sid IS NOT NULL DO NOTHING
        RETURNING id
        """,
        public_id=public_id("msg"),
        conversation_id=conversation_id,
        kind=inbound.kind,
        body=inbound.body,
        sid=inbound.provider_sid,
        quoted=inbound.quoted_sid,
        details=details,
        raw=inbound.raw,
        now=now,
    )
    return int(rows[0]["id"]) if rows else None


def insert_media(tx: OwnerTx, message_id: int, inbound: Inbound) -> None:
    """Keep where a message's attachments lie."""
    for position, media in enumerate(inbound.media):
        tx.run(
            """
            INSERT INTO media (owner_id, message_id, position, url, content_type)
            VALUES (:owner, :message_id, :position, :url, :content_type)
            """,
            message_id=message_id,
            position=position,
            url=media.url,
            content_type=media.content_type,
        )


def unanswered(tx: OwnerTx, read: Conversation) -> list[Message]:
    """What the person wrote since the last answer, in order."""
    rows = tx.all(
        f"""{_MESSAGE} WHERE owner_id = :owner AND conversation_id = :id AND id > :through AND direction = 'inbound'
        ORDER BY id""",
        id=read.id,
        through=read.answered_through,
    )
    return [_message(row) for row in rows]


def insert_outbound(tx: OwnerTx, conversation_id: int, body: str, *, author: str, ai_result_id: int | None, now: int) -> int:
    """A message to be sent; returns its id."""
    rows = tx.all(
        """
        INSERT INTO messages (owner_id, public_id, conversation_id, direction, author, status, body, ai_result_id,
            created_at, updated_at)
        VALUES (:owner, :public_id, :conversation_id, 'outbound', :author, 'queued', :body, :ai_result_id, :now, :now)
        RETURNING id
        """,
        public_id=public_id("msg"),
        conversation_id=conversation_id,
        author=author,
        body=body,
        ai_result_id=ai_result_id,
        now=now,
    )
    return int(rows[0]["id"])


_OUTBOUND = """
SELECT m.id, m.public_id, m.status, m.body, c.address AS sender, c.user_address AS recipient, c.channel, m.provider_sid,
    m.sending_at, m.resends, m.polls, m.polled_at
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


def start_call(tx: OwnerTx, message_id: int, *, now: int) -> None:
    """The provider is about to be called."""
    tx.run(
        """
        UPDATE messages SET status = 'sending', sending_at = :now, polls = 0, polled_at = NULL, updated_at = :now
        WHERE owner_id = :owner AND id = :id
        """,
        id=message_id,
        now=now,
    )


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
    """Whether another message of the same words between the same addresses, called for since then, has an unknown outcome."""
    found = tx.one(
        """
        SELECT 1 FROM messages m JOIN conversations c ON c.owner_id = m.owner_id AND c.id = m.conversation_id
        WHERE m.owner_id = :owner AND m.status = 'unknown' AND m.provider_sid IS NULL AND m.id <> :id AND m.body = :body
            AND m.sending_at >= :since AND c.address = :sender AND c.user_address = :recipient
        """,
        id=message.id,
        body=message.body,
        since=since,
        sender=message.sender,
        recipient=message.recipient,
    )
    return found is not None


def count_poll(tx: OwnerTx, message_id: int, *, now: int) -> None:
    """The provider's listing did not have the message."""
    tx.run("UPDATE messages SET polls = polls + 1, polled_at = :now WHERE owner_id = :owner AND id = :id", id=message_id, now=now)


def count_resend(tx: OwnerTx, message_id: int) -> None:
    """The message proved absent and is sent again."""
    tx.run("UPDATE messages SET resends = resends + 1 WHERE owner_id = :owner AND id = :id", id=message_id)


def _conversation(row: Row) -> Conversation:
    return Conversation(**{**dict(row), "state": State(row["state"])})


def _message(row: Row) -> Message:
    return Message(**{**dict(row), "kind": Kind(row["kind"]), "status": Status(row["status"])})


def _outbound(row: Row) -> OutboundMessage:
    return OutboundMessage(**{**dict(row), "status": Status(row["status"])})
