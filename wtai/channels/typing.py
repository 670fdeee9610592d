"""Shows a person that an answer is being written."""

from collections.abc import Mapping

from wtai.channels.accounts import Accounts
from wtai.channels.channel import Channel
from wtai.conversation.model import Conversation


class TypingIndicator:
    """Asks the conversation's channel for its typing sign."""

    def __init__(self, accounts: Accounts, channels: Mapping[str, Channel]) -> None:
        self._accounts = accounts
        self._channels = channels

    async def show(self, owner_id: int, conversation: Conversation, inbound_sid: str) -> None:
        """Show the sign to the writer of ``inbound_sid``. Best effort: raises WtaiError, and nothing depends on it."""
        account = await self._accounts.of_owner(owner_id, conversation.address)
        await self._channels[conversation.channel].typing(account, inbound_sid)
