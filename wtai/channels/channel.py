"""What a channel can do. The sender knows channels by this alone; each lives in a folder of its own."""

from dataclasses import dataclass
from typing import Protocol

from wtai.conversation.model import Inbound, Template


@dataclass(frozen=True, slots=True)
class Account:
    """An owner's account with the provider. ``tokens`` verify what it sends us, the first one signs our calls.

    ``preferences`` is the JSON of what the owner chose.
    """

    owner_id: int
    account_sid: str
    tokens: tuple[str, ...]
    preferences: str = "{}"


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message to send, already within the channel's limits; with a template it has no body."""

    public_id: str
    sender: str
    recipient: str
    body: str
    template: Template | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    """A message the provider knows of. ``created_at`` in milliseconds since 1970 UTC."""

    provider_sid: str
    status: str
    body: str
    created_at: int
    error_code: int | None = None


@dataclass(frozen=True, slots=True)
class Heard:
    """What the provider keeps of a message that a person wrote to ``address``, with ``media`` attachments."""

    provider_sid: str
    sender: str
    address: str
    body: str
    media: int
    created_at: int


class Channel(Protocol):
    """A way to people. Errors are the SendError set: throttled (again later), rejected (never), unknown (find out first)."""

    async def send(self, account: Account, message: Outgoing) -> str:
        """Hand over one message; returns the provider's id of it."""

    async def listing(self, account: Account, sender: str, recipient: str, since: int) -> list[Listed]:
        """Messages from ``sender`` to ``recipient`` that the provider created at or after ``since`` (ms), newest first."""

    async def heard(self, account: Account, address: str, since: int) -> list[Heard]:
        """What people wrote to ``address`` at or after ``since`` (ms), oldest first."""

    async def fetch(self, account: Account, heard: Heard) -> Inbound:
        """The whole message, as far as the provider still tells it. WtaiError if it makes no sense."""

    async def typing(self, account: Account, inbound_sid: str) -> None:
        """Show the writer of ``inbound_sid`` that an answer is being written. Best effort: raises SendError, loses nothing."""
