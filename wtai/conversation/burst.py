"""How long to wait for more of the same thought. People send three short messages for one; nobody waits long for an answer."""

from collections.abc import Sequence
from typing import Final

from wtai.clock import SECOND
from wtai.conversation.closure import Decision, Turn, closure
from wtai.conversation.consent import Consent, consent
from wtai.conversation.model import Conversation, Inbound, Kind, Message

LONGEST_QUIET_MS: Final = 8 * SECOND
"""A burst is answered at the latest this long after its first message."""

_UNFINISHED_TIMES: Final = 3
_FINAL_WORDS: Final = 2
_SOMETHING_SAID: Final = (Turn("assistant", "."),)  # a goodbye that opens a conversation is none
_PRESSED: Final = frozenset({Kind.BUTTON, Kind.LIST})
_DANGLING_ENDS: Final = (",", ":", "...", "…", "-", "(")
_DANGLING_WORDS: Final = frozenset(
    {"e", "mas", "que", "de", "da", "do", "para", "pra", "com", "porque", "ou", "se", "um", "uma", "o", "a", "no", "na", "em"}
    | {"y", "pero", "con", "por", "el", "la", "un", "una", "en"}
    | {"and", "but", "or", "the", "to", "with", "because", "if", "for", "of"}
)


def quiet_after(inbound: Inbound, quiet_ms: int) -> int:
    """Milliseconds of quiet after this message, where ``quiet_ms`` is usual: none after a pressed button or a final word, more
    while the text is unfinished or audio arrives.
    """
    text = inbound.body.strip()
    if inbound.kind in _PRESSED:
        return 0
    if inbound.kind is Kind.AUDIO or _is_unfinished(text):
        return min(quiet_ms * _UNFINISHED_TIMES, LONGEST_QUIET_MS)
    return 0 if inbound.kind is Kind.TEXT and _is_final_word(text) else min(quiet_ms, LONGEST_QUIET_MS)


def _is_final_word(text: str) -> bool:
    if len(text.split()) > _FINAL_WORDS:
        return False
    return consent(text) is not Consent.NEITHER or closure(text, before=_SOMETHING_SAID).decision is Decision.CLOSE


def _is_unfinished(text: str) -> bool:
    words = text.lower().split()
    return bool(words) and (text.endswith(_DANGLING_ENDS) or (len(words) > 1 and words[-1] in _DANGLING_WORDS))


def quiet_from(conversation: Conversation, unanswered: Sequence[Message]) -> int:
    """From when (ms) a conversation counts as quiet, with these unanswered messages: no later than the cap after the first."""
    return min(conversation.quiet_until, unanswered[0].created_at + LONGEST_QUIET_MS)
