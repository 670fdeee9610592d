"""What the model is told of a conversation: whole past turns as they were, then what is to be answered now.

The same past yields the same bytes each time, so that the provider's prefix cache holds: turns leave the window in blocks.
"""

from collections.abc import Sequence
from typing import Final

from wtai.ai.llm import Assistant, User, messages_from_json
from wtai.ai.llm import Message as Said
from wtai.ai.store import PastTurn
from wtai.conversation.model import Kind, Message

_BLOCK: Final = 8

_NAMES: Final = {
    Kind.IMAGE: "imagem",
    Kind.AUDIO: "áudio",
    Kind.VIDEO: "vídeo",
    Kind.STICKER: "figurinha",
    Kind.DOCUMENT: "documento",
    Kind.CONTACT: "contato",
    Kind.LOCATION: "localização",
    Kind.BUTTON: "botão",
    Kind.LIST: "item de lista",
    Kind.UNKNOWN: "mensagem sem texto",
}


def turns_left_out(count: int) -> int:
    """How many of the first of ``count`` turns are left out, so that 8 to 15 remain and the start moves only every 8 turns."""
    return max(0, (count // _BLOCK - 1) * _BLOCK)


def history(turns: Sequence[PastTurn], messages: Sequence[Message]) -> tuple[Said, ...]:
    """Past turns: what the person wrote, the tool exchange, what was answered."""
    said: list[Said] = []
    before = 0
    for turn in turns:
        heard = [m for m in messages if m.direction == "inbound" and before < m.id <= turn.through_message_id]
        said.extend(User(spoken(message)) for message in heard)
        said.extend(messages_from_json(turn.exchange))
        answer = "\n\n".join(m.body for m in messages if m.ai_result_id == turn.id)
        if answer:
            said.append(Assistant(answer))
        before = turn.through_message_id
    return tuple(said)


def spoken(message: Message) -> str:
    """A person's message as the model reads it: its text, and in brackets what it carries beside."""
    name = _NAMES.get(message.kind)
    if name is None:
        return message.body
    details = f" {message.details}" if message.details else ""
    return f"[{name}{details}] {message.body}".rstrip()
