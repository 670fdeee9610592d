"""SQL of conversations, their messages and the people in them."""

from collections.abc import Sequence

from wtai.conversation import media_store
from wtai.conversation.changes_store import note_change
from wtai.conversation.closure import Closure
from wtai.conversation.model import (
    Conversation,
    Inbound,
    Kind,
    Message,
    Person,
    Question,
    Standing,
    State,
    Status,
)
from wtai.db.tx import OwnerTx, Row, SystemTx
from wtai.errors import NotFound
from wtai.ids import dated_public_id, public_id

_CONVERSATION = """
SELECT id, public_id, user_id, channel, address, user_address, state, version, feature, answered_through, last_inbound_at,
    opened_at, takeover_epoch, question, handoff_reason, idle_at, expires_at, quiet_until, EXISTS (
        SELECT 1 FROM opt_outs o
        WHERE o.owner_id = conversations.owner_id AND o.user_id = conversations.user_id AND o.our_address = conversations.address
    ) AS opted_out
FROM conversations
"""
_MOST_ADDRESSES = 6
_KNOWN_AS = """
SELECT a.address, a.user_id, u.name FROM user_addresses a JOIN users u ON u.owner_id = a.owner_id AND u.id = a.user_id
WHERE a.owner_id = :owner AND a.channel = :channel AND a.address IN (:a, :b, :c, :d, :e, :f)
"""
_STANDING = """
SELECT a.user_id, c.id, c.state, EXISTS (
    SELECT 1 FROM opt_outs o WHERE o.owner_id = :owner AND o.user_id = a.user_id AND o.our_address = :ours
) AS opted_out
FROM user_addresses a JOIN users u ON u.owner_id = a.owner_id AND u.id = a.user_id
    JOIN conversations c ON c.owner_id = a.owner_id AND c.user_id = a.user_id AND c.address = :ours AND c.closed_at IS NULL
WHERE a.owner_id = :owner AND a.channel = :channel AND a.address = :address_0 AND coalesce(:name, u.name) IS u.name
"""
_KNOWN_TOO = """
AND EXISTS (SELECT 1 FROM user_addresses k WHERE k.owner_id = :owner AND k.channel = :channel AND k.address = :address_{0})
"""
# By the number of addresses: for IN, SQLite would build a table each time.
_AND_THE_OTHERS = ["".join(map(_KNOWN_TOO.format, range(1, count))) for count in range(_MOST_ADDRESSES + 1)]

_MESSAGE = """
SELECT id, public_id, direction, author, kind, status, body, provider_sid, details, ai_result_id, created_at FROM messages
"""


def standing(tx: OwnerTx, inbound: Inbound) -> Standing | None:
    """Where a message goes if nothing of its person is new, neither an address nor the name, and their conversation is open."""
    addresses = inbound.identities[:_MOST_ADDRESSES]
    row = tx.one(
        f"{_STANDING} {_AND_THE_OTHERS[len(addresses)]}",
        channel=inbound.channel,
        ours=inbound.our_address,
        name=inbound.profile_name,
        **{f"address_{n}": address for n, address in enumerate(addresses)},
    )
    return Standing(row["user_id"], row["id"], State(row["state"]), bool(row["opted_out"])) if row else None


def known_as(tx: OwnerTx, channel: str, addresses: Sequence[str]) -> dict[str, Person]:
    """Who is known under which of these addresses, in the order given; at most six count."""
    padded = dict(zip("abcdef", [*addresses, *[""] * _MOST_ADDRESSES], strict=False))
    rows = tx.all(_KNOWN_AS, channel=channel, **padded)
    people = {row["address"]: Person(row["user_id"], row["name"]) for row in rows}
    return {address: people[address] for address in addresses if address in people}


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


def existing_conversation(tx: OwnerTx, conversation_id: int) -> Conversation:
    """As :func:`conversation`. NotFound if there is none."""
    found = conversation(tx, conversation_id)
    if found is None:
        raise NotFound(f"conversation {conversation_id} is gone")
    return found


def open_conversation(tx: OwnerTx, user_id: int, address: str) -> Conversation | None:
    """The open conversation of this person with this address of ours; a constraint allows one."""
    row = tx.one(
        f"{_CONVERSATION} WHERE owner_id = :owner AND user_id = :user_id AND address = :address AND closed_at IS NULL",
        user_id=user_id,
        address=address,
    )
    return _conversation(row) if row else None


def insert_conversation(tx: OwnerTx, user_id: int, inbound: Inbound, *, expires_at: int, now: int) -> Conversation:
    """Open a conversation that knows the one before it."""
    public = public_id("cnv")
    tx.run(
        """
        INSERT INTO conversations (owner_id, public_id, user_id, channel, address, user_address, state, previous_id,
            opened_at, updated_at, expires_at)
        VALUES (:owner, :public_id, :user_id, :channel, :address, :user_address, 'PENDING',
            (SELECT max(id) FROM conversations WHERE owner_id = :owner AND user_id = :user_id AND address = :address),
            :now, :now, :expires_at)
        """,
        public_id=public,
        user_id=user_id,
        channel=inbound.channel,
        address=inbound.our_address,
        user_address=inbound.reply_to,
        expires_at=expires_at,
        now=now,
    )
    return _of_public_id(tx, public)


def insert_following(tx: OwnerTx, before: Conversation, *, expires_at: int, now: int) -> Conversation:
    """Open a conversation of the same two without anything having been written: the 24-hour window is as it was."""
    public = public_id("cnv")
    tx.run(
        """
        INSERT INTO conversations (owner_id, public_id, user_id, channel, address, user_address, state, previous_id,
            last_inbound_at, opened_at, updated_at, expires_at)
        SELECT :owner, :public_id, user_id, channel, address, user_address, 'PENDING', id, (
            SELECT max(last_inbound_at) FROM conversations WHERE owner_id = :owner AND user_id = :user_id AND address = :address
        ), :now, :now, :expires_at
        FROM conversations WHERE owner_id = :owner AND user_id = :user_id AND address = :address ORDER BY id DESC LIMIT 1
        """,
        public_id=public,
        user_id=before.user_id,
        address=before.address,
        expires_at=expires_at,
        now=now,
    )
    return _of_public_id(tx, public)


def note_inbound(tx: OwnerTx, conversation_id: int, message_id: int, inbound: Inbound, *, quiet_until: int, now: int) -> None:
    """The person wrote: the 24-hour window starts again, answers go where they wrote from, drafts are out of date, and they wait
    for us unless the message is answered already.
    """
    tx.run(
        """
        UPDATE conversations SET version = version + 1, updated_at = :now,
            last_inbound_at = coalesce(max(coalesce(last_inbound_at, 0), :late), :now),
            user_address = :reply_to, quiet_until = :quiet_until,
            waiting_since = CASE WHEN answered_through < :message_id THEN coalesce(waiting_since, :late, :now) END
        WHERE owner_id = :owner AND id = :id
        """,
        id=conversation_id,
        message_id=message_id,
        late=inbound.written_at,
        reply_to=inbound.reply_to,
        quiet_until=quiet_until,
        now=now,
    )


def change_state(tx: OwnerTx, read: Conversation, to: State, *, closed_at: int | None, idle_at: int | None, now: int) -> bool:
    """Set the state if the conversation is as it was read. Nobody waits for us in one that ended, or whose turn is the user's."""
    return bool(
        tx.run(
            """
            UPDATE conversations SET state = :to, version = version + 1, updated_at = :now, closed_at = :closed_at,
                idle_at = :idle_at,
                waiting_since = CASE WHEN :closed_at IS NULL AND :to <> 'WAITING_USER' THEN waiting_since END
            WHERE owner_id = :owner AND id = :id AND version = :version AND state = :state
            """,
            id=read.id,
            version=read.version,
            state=read.state,
            to=to,
            closed_at=closed_at,
            idle_at=idle_at,
            now=now,
        )
    )


def mark_answered(tx: OwnerTx, conversation_id: int, through: int) -> None:
    """Inbound messages up to ``through`` are answered; the person waits from the first one behind them on, if there is one."""
    tx.run(
        """
        UPDATE conversations SET answered_through = max(answered_through, :through), waiting_since = (
            SELECT min(m.created_at) FROM messages m
            WHERE m.owner_id = :owner AND m.conversation_id = :id AND m.direction = 'inbound'
                AND m.id > max(conversations.answered_through, :through)
        )
        WHERE owner_id = :owner AND id = :id
        """,
        id=conversation_id,
        through=through,
    )


def set_feature(tx: OwnerTx, conversation_id: int, feature: str) -> None:
    """The specialist that answers from now on."""
    tx.run(
        "UPDATE conversations SET feature = :feature WHERE owner_id = :owner AND id = :id", id=conversation_id, feature=feature
    )


def set_question(tx: OwnerTx, conversation_id: int, question: Question | None) -> None:
    """What the next message answers; None: nothing."""
    tx.run(
        "UPDATE conversations SET question = :question WHERE owner_id = :owner AND id = :id",
        id=conversation_id,
        question=question,
    )


def set_expiry(tx: OwnerTx, conversation_id: int, expires_at: int | None) -> None:
    """When the conversation expires (ms); None: not while it stays as it is."""
    tx.run("UPDATE conversations SET expires_at = :at WHERE owner_id = :owner AND id = :id", id=conversation_id, at=expires_at)


def start_waiting(tx: OwnerTx, conversation_id: int, *, now: int) -> None:
    """A person was called: whoever did not wait for an answer waits for one from now on."""
    tx.run(
        """
        UPDATE conversations SET waiting_since = coalesce(waiting_since, :now) WHERE owner_id = :owner AND id = :id
        """,
        id=conversation_id,
        now=now,
    )


def count_takeover(tx: OwnerTx, conversation_id: int, *, reason: str | None) -> None:
    """A person steps in or out: what the AI wrote before is not to be sent any more."""
    tx.run(
        """
        UPDATE conversations SET takeover_epoch = takeover_epoch + 1, handoff_reason = :reason, question = NULL
        WHERE owner_id = :owner AND id = :id
        """,
        id=conversation_id,
        reason=reason,
    )


def due(tx: SystemTx, *, now: int, limit: int) -> list[tuple[int, int]]:
    """Up to ``limit`` conversations whose time is up, of all owners: (owner, id). Reads no more, however many there are."""
    rows = tx.all(
        """
        SELECT owner_id, id FROM (
            SELECT owner_id, id FROM conversations WHERE state = 'WAITING_USER' AND idle_at <= :now
            ORDER BY idle_at LIMIT :limit
        ) AS idle
        UNION
        SELECT owner_id, id FROM (
            SELECT owner_id, id FROM conversations
            WHERE closed_at IS NULL AND expires_at <= :now
            ORDER BY expires_at LIMIT :limit
        ) AS expired
        LIMIT :limit
        """,
        now=now,
        limit=limit,
    )
    return [(row["owner_id"], row["id"]) for row in rows]


def insert_closure(tx: OwnerTx, conversation_id: int, message_id: int, closure: Closure, *, now: int) -> None:
    """Keep how a message was judged; the first judgement of a message stays."""
    tx.run(
        """
        INSERT INTO closure_decisions (owner_id, conversation_id, message_id, keyword, pattern, context, modifier, confidence,
            veto, decision, created_at)
        VALUES (:owner, :conversation_id, :message_id, :keyword, :pattern, :context, :modifier, :confidence, :veto, :decision,
            :now)
        ON CONFLICT (owner_id, message_id) DO NOTHING
        """,
        conversation_id=conversation_id,
        message_id=message_id,
        keyword=closure.keyword,
        pattern=closure.pattern,
        context=closure.context,
        modifier=closure.modifier,
        confidence=closure.confidence,
        veto=closure.veto,
        decision=closure.decision,
        now=now,
    )


def opt_out(tx: OwnerTx, user_id: int, our_address: str, *, now: int) -> None:
    """The person wants nothing more from this address of ours."""
    tx.run(
        """
        INSERT INTO opt_outs (owner_id, user_id, our_address, created_at) VALUES (:owner, :user_id, :our_address, :now)
        ON CONFLICT (owner_id, user_id, our_address) DO NOTHING
        """,
        user_id=user_id,
        our_address=our_address,
        now=now,
    )


def opt_in(tx: OwnerTx, user_id: int, our_address: str) -> None:
    """The person takes that back."""
    tx.run(
        "DELETE FROM opt_outs WHERE owner_id = :owner AND user_id = :user_id AND our_address = :our_address",
        user_id=user_id,
        our_address=our_address,
    )


def insert_event(
    tx: OwnerTx,
    conversation_id: int,
    from_: State | None,
    to: State,
    *,
    actor: str,
    reason: str,
    staff: str | None = None,
    now: int,
) -> None:
    """Record a transition."""
    tx.run(
        """
        INSERT INTO conversation_events (owner_id, conversation_id, from_state, to_state, actor, reason, staff, created_at)
        VALUES (:owner, :conversation_id, :from_state, :to_state, :actor, :reason, :staff, :now)
        """,
        conversation_id=conversation_id,
        from_state=from_,
        to_state=to,
        actor=actor,
        reason=reason,
        staff=staff,
        now=now,
    )


def steps_of_people(tx: OwnerTx, conversation_id: int) -> list[tuple[int, bool]]:
    """When (ms) a person stepped in (True) or handed back (False), in order."""
    rows = tx.all(
        """
        SELECT created_at, to_state = 'HANDOFF' AS steps_in FROM conversation_events
        WHERE owner_id = :owner AND conversation_id = :id AND 'HANDOFF' IN (from_state, to_state) ORDER BY id
        """,
        id=conversation_id,
    )
    return [(row["created_at"], bool(row["steps_in"])) for row in rows]


def has_message(tx: OwnerTx, provider_sid: str) -> bool:
    """Whether the provider's message is kept already."""
    found = tx.one("SELECT 1 FROM messages WHERE owner_id = :owner AND provider_sid = :sid", sid=provider_sid)
    return found is not None


def insert_inbound(tx: OwnerTx, conversation_id: int, inbound: Inbound, details: str | None, *, now: int) -> int | None:
    """Keep a message that came in; None if it is kept already."""
    message_id = tx.insert(
        """
        INSERT INTO messages (owner_id, public_id, conversation_id, direction, author, kind, status, body, provider_sid,
            quoted_sid, details, raw, created_at, updated_at)
        VALUES (:owner, :public_id, :conversation_id, 'inbound', 'user', :kind, 'received', :body, :sid, :quoted, :details, :raw,
            :written_at, :now)
        ON CONFLICT (owner_id, provider_sid) WHERE provider_sid IS NOT NULL DO NOTHING
        """,
        public_id=dated_public_id("msg", now),
        conversation_id=conversation_id,
        kind=inbound.kind.value,
        body=inbound.body,
        sid=inbound.provider_sid,
        quoted=inbound.quoted_sid,
        details=details,
        raw=inbound.raw,
        written_at=inbound.written_at or now,
        now=now,
    )
    if message_id is not None:
        note_change(tx, conversation_id, now=now)
    return message_id


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
    """What the person wrote since the last answer, in order, with its attachments."""
    rows = tx.all(
        f"""{_MESSAGE} WHERE owner_id = :owner AND conversation_id = :id AND id > :through AND direction = 'inbound'
        ORDER BY id""",
        id=read.id,
        through=read.answered_through,
    )
    return media_store.attached(tx, read.id, [_message(row) for row in rows])


def last_inbound_id(tx: OwnerTx, conversation_id: int) -> int:
    """The newest message of the person; 0 if there is none."""
    row = tx.one(
        """
        SELECT coalesce(max(id), 0) AS id FROM messages
        WHERE owner_id = :owner AND conversation_id = :id AND direction = 'inbound'
        """,
        id=conversation_id,
    )
    return int(row["id"]) if row else 0


def _of_public_id(tx: OwnerTx, public: str) -> Conversation:
    row = tx.one(f"{_CONVERSATION} WHERE owner_id = :owner AND public_id = :public", public=public)
    if row is None:
        raise NotFound(f"conversation {public} is gone")
    return _conversation(row)


def _conversation(row: Row) -> Conversation:
    return Conversation(
        id=row["id"],
        public_id=row["public_id"],
        user_id=row["user_id"],
        channel=row["channel"],
        address=row["address"],
        user_address=row["user_address"],
        state=State(row["state"]),
        version=row["version"],
        feature=row["feature"],
        answered_through=row["answered_through"],
        last_inbound_at=row["last_inbound_at"],
        opened_at=row["opened_at"],
        takeover_epoch=row["takeover_epoch"],
        question=Question(row["question"]) if row["question"] else None,
        handoff_reason=row["handoff_reason"],
        idle_at=row["idle_at"],
        expires_at=row["expires_at"],
        quiet_until=row["quiet_until"],
        opted_out=bool(row["opted_out"]),
    )


def _message(row: Row) -> Message:
    return Message(**{**dict(row), "kind": Kind(row["kind"]), "status": Status(row["status"])})
