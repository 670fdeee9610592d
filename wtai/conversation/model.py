"""Values of a conversation: what was heard, what is to be said, and the states in between."""

from dataclasses import dataclass, field
from enum import StrEnum


class State(StrEnum):
    """States of a conversation; the last six are final."""

    PENDING = "PENDING"
    PROGRESS = "PROGRESS"
    WAITING_USER = "WAITING_USER"
    HANDOFF = "HANDOFF"
    AGENT_CLOSED = "AGENT_CLOSED"
    SUPPORT_CLOSED = "SUPPORT_CLOSED"
    USER_CLOSED = "USER_CLOSED"
    EXPIRED = "EXPIRED"
    IDLE_TIMEOUT = "IDLE_TIMEOUT"
    FAILED = "FAILED"


class Kind(StrEnum):
    """What a message carries beside its text."""

    TEXT = "text"
    IMAGE = "image"
    AUDIO = "audio"
    VIDEO = "video"
    STICKER = "sticker"
    DOCUMENT = "document"
    CONTACT = "contact"
    LOCATION = "location"
    BUTTON = "button"
    LIST = "list"
    UNKNOWN = "unknown"


class Status(StrEnum):
    """Where a message is. Inbound ones stay RECEIVED; the others are an outbound message's way."""

    RECEIVED = "received"
    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"
    FAILED = "failed"
    UNDELIVERED = "undelivered"
    UNKNOWN = "unknown"
    CANCELED = "canceled"


class MediaStatus(StrEnum):
    """Where an attachment is: announced until it is fetched and, if it is audio, heard; then kept, or failed."""

    ANNOUNCED = "announced"
    KEPT = "kept"
    FAILED = "failed"


class Question(StrEnum):
    """What we asked, for the next message to answer."""

    CLOSURE = "closure"
    ACTION = "action"


@dataclass(frozen=True, slots=True)
class Template:
    """An approved template to send instead of free text: ``variables`` is the JSON object of its placeholders' values."""

    content_sid: str
    variables: str = "{}"


@dataclass(frozen=True, slots=True)
class InboundMedia:
    """An attachment as announced: where it lies with the provider and what it says it is."""

    url: str
    content_type: str


@dataclass(frozen=True, slots=True)
class Inbound:
    """One message from a person, normalised by its channel.

    ``identities`` are the addresses this person is known by, the most stable first; two messages that share one of them are
    from the same person. ``lookup`` tells spellings under which the same address may have been stored before, where that
    matters. ``reply_to`` is where an answer goes. ``details`` holds what has no column: location, button, contact, referral
    (JSON-ready values).
    """

    channel: str
    provider_sid: str
    our_address: str
    reply_to: str
    identities: tuple[str, ...]
    lookup: tuple[str, ...]
    kind: Kind
    body: str
    profile_name: str | None = None
    quoted_sid: str | None = None
    media: tuple[InboundMedia, ...] = ()
    details: dict[str, object] = field(default_factory=dict)
    raw: str = ""
    """The provider's words as received, in its own format."""
    written_at: int | None = None
    """When (ms) it was written, where it comes late; None: just now."""


@dataclass(frozen=True, slots=True)
class Person:
    """An end user, with the name of the profile as last seen."""

    user_id: int
    name: str | None


@dataclass(frozen=True, slots=True)
class Standing:
    """What a message that comes in must know of the open conversation it goes to, and of its person."""

    user_id: int
    conversation_id: int
    state: State
    opted_out: bool


@dataclass(frozen=True, slots=True)
class StatusUpdate:
    """What the provider says of an outbound message. ``message`` is our public id of it where the provider gave it back."""

    provider_sid: str
    status: Status
    message: str | None = None
    error_code: int | None = None
    held_back: str | None = None
    """``window`` or ``opted_out`` where that is why the message was not delivered."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation as it was when it was read; ``version`` tells whether it still is."""

    id: int
    public_id: str
    user_id: int
    channel: str
    address: str
    user_address: str
    state: State
    version: int
    feature: str | None
    answered_through: int
    last_inbound_at: int | None
    opened_at: int
    takeover_epoch: int
    question: Question | None
    handoff_reason: str | None
    idle_at: int | None
    expires_at: int | None
    quiet_until: int
    opted_out: bool


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that came with a message: announced at ``url``, once fetched at ``path`` in the media directory.

    ``name`` is what its sender called it. ``transcript`` is what is said in it, empty if nothing is, None if it was not heard.
    ``told``: the person knows that it could not be heard.
    """

    id: int
    url: str
    content_type: str
    status: MediaStatus
    path: str | None
    name: str | None
    transcript: str | None
    told: bool

    @property
    def is_audio(self) -> bool:
        """Whether there may be something to hear in it."""
        return self.content_type.lower().startswith("audio/")


@dataclass(frozen=True, slots=True)
class Message:
    """A message as kept. ``details`` is the JSON of what has no column; ``media`` is there where it was asked for."""

    id: int
    public_id: str
    direction: str
    author: str
    kind: Kind
    status: Status
    body: str
    provider_sid: str | None
    details: str | None
    ai_result_id: int | None
    created_at: int
    media: tuple[Attachment, ...] = ()

    @property
    def transcript(self) -> str | None:
        """What the person said aloud; None if nothing was heard."""
        return "\n".join(one.transcript for one in self.media if one.transcript) or None

    @property
    def awaits_media(self) -> bool:
        """Whether an attachment has yet to be fetched or heard, before which the message cannot be answered."""
        return any(one.status is MediaStatus.ANNOUNCED for one in self.media)

    @property
    def unheard(self) -> bool:
        """Whether it is audio in which nothing could be heard, with nothing written beside it."""
        settled = any(one.is_audio for one in self.media) and not self.awaits_media
        return settled and self.transcript is None and not self.body.strip()


@dataclass(frozen=True, slots=True)
class OutboundMessage:
    """A message on its way out, with what is known of the latest call to the provider and what may keep it back.

    ``epoch`` is the conversation's ``takeover_epoch`` when it was written. A template has ``content_sid``,
    and in its body what we read in its place: not what is sent.
    """

    id: int
    public_id: str
    status: Status
    body: str
    sender: str
    recipient: str
    channel: str
    provider_sid: str | None
    sending_at: int | None
    resends: int
    polls: int
    polled_at: int | None
    author: str
    epoch: int
    takeover_epoch: int
    last_inbound_at: int | None
    opted_out: bool
    parked: str | None
    content_sid: str | None
    content_variables: str | None

    @property
    def is_abandoned(self) -> bool:
        """Whether sending was given up with the provider certainly having nothing of it: it may be tried again."""
        return self.status is Status.FAILED and self.sending_at is None
