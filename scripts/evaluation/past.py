"""What was before a case begins: people, their conversations, and what was said in them."""

from collections.abc import Sequence

from evaluation.world import Line
from wtai.ai import store as results
from wtai.ai.llm import Assistant, Message, User, messages_to_json
from wtai.clock import DAY
from wtai.conversation import lifecycle
from wtai.conversation import store as conversations
from wtai.conversation.model import Conversation, Inbound, Kind, State
from wtai.db.tx import OwnerTx
from wtai.ids import public_id


def open_conversation(tx: OwnerTx, line: Line, address: str, *, now: int) -> Conversation:
    """A new person with a conversation in which nothing was said yet."""
    user_id = conversations.insert_user(tx, "Cliente", now=now)
    conversations.insert_address(tx, user_id, "whatsapp", address)
    return conversations.insert_conversation(tx, user_id, _inbound(line, address, ""), expires_at=now + DAY, now=now)


def converse(tx: OwnerTx, line: Line, read: Conversation, before: Sequence[Message], agent: str, *, now: int) -> int:
    """Keep earlier messages as the program would have, each tool exchange with the answer it led to; we wait for the person now.

    ``agent`` gave the answers. Returns the id of the person's last message, 0 if there is none.
    """
    through, exchange = 0, list[Message]()
    for said in before:
        match said:
            case User(text):
                inbound = _inbound(line, read.user_address, text)
                through = conversations.insert_inbound(tx, read.id, inbound, None, now=now) or through
            case Assistant(text, ()):
                done = results.AiResult(agent, results.ANSWERED, "", "", exchange=messages_to_json(tuple(exchange)))
                _insert_answer(tx, read.id, text, results.insert_result(tx, read.id, through, done, now=now), now)
                exchange = []
            case _:
                exchange.append(said)
    conversations.mark_answered(tx, read.id, through)
    current = conversations.conversation(tx, read.id) or read
    moved = lifecycle.move(tx, current, State.PROGRESS, actor="agent", reason="turn started", now=now)
    lifecycle.move(tx, moved, State.WAITING_USER, actor="agent", reason="answered", idle_at=now + DAY, now=now)
    return through


def _inbound(line: Line, address: str, text: str) -> Inbound:
    return Inbound("whatsapp", public_id("SM"), line.number, address, (address,), (), Kind.TEXT, text)


def _insert_answer(tx: OwnerTx, conversation_id: int, text: str, result_id: int | None, now: int) -> None:
    tx.run(
        """
        INSERT INTO messages (owner_id, public_id, conversation_id, direction, author, status, body, ai_result_id, created_at,
            updated_at)
        VALUES (:owner, :public_id, :conversation_id, 'outbound', 'agent', 'delivered', :body, :result_id, :now, :now)
        """,
        public_id=public_id("msg"),
        conversation_id=conversation_id,
        body=text,
        result_id=result_id,
        now=now,
    )
