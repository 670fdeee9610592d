"""What happens at the fake Twilio as numbered events for the phone page, and all of it so far as one state."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeVar
from urllib.parse import urldefrag

from wtai.simulator.twilio_carrier import Carrier, Received
from wtai.simulator.twilio_messages import Message
from wtai.simulator.twilio_webhooks import Posted

KEPT: Final = 2_000
_SHOWN: Final = 300

T = TypeVar("T")

Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class Event:
    """``name`` is message, typing, webhook or request."""

    number: int
    name: str
    data: Json


class Feed:
    """Numbers what happens, from 1, and keeps the last 2,000 events."""

    def __init__(self, twilio: Carrier) -> None:
        self._twilio = twilio
        self._events: deque[Event] = deque(maxlen=KEPT)
        self._webhooks: deque[Json] = deque(maxlen=_SHOWN)
        self._requests: deque[Json] = deque(maxlen=_SHOWN)
        self._last = 0
        self._last_posted: Posted | None = None
        self._last_received: Received | None = None
        twilio.watch(self._heard)

    def state(self) -> Json:
        """Every message, the last 300 webhooks and API requests, and the number of the last event among them."""
        self._collect()
        return {
            "last": self._last,
            "messages": [_message(message, self._twilio) for message in self._twilio.messages.all()],
            "webhooks": list(self._webhooks),
            "requests": list(self._requests),
        }

    def after(self, number: int) -> list[Event] | None:
        """The events after ``number``; None where they are no longer, or never were, kept."""
        self._collect()
        if number > self._last or (self._events and number < self._events[0].number - 1):
            return None
        return [event for event in self._events if event.number > number]

    async def wait(self, number: int, seconds: float) -> None:
        """Return when there is something after ``number``, or after ``seconds``."""
        try:
            await self._twilio.until(lambda: self._count() > number, seconds)
        except TimeoutError:
            return

    def _count(self) -> int:
        self._collect()
        return self._last

    def _heard(self, message: Message) -> None:
        if message.direction == "inbound" and message.sid in self._twilio.typing:
            self._add("typing", {"customer": message.from_})
        else:
            self._add("message", _message(message, self._twilio))

    def _collect(self) -> None:
        for posted in _newer(self._twilio.posted, self._last_posted):
            self._last_posted = posted
            self._webhooks.append(self._add("webhook", _webhook(posted, self._last + 1)))
        for received in _newer(self._twilio.requests, self._last_received):
            self._last_received = received
            self._requests.append(self._add("request", _request(received, self._last + 1)))

    def _add(self, name: str, data: Json) -> Json:
        self._last += 1
        self._events.append(Event(self._last, name, data))
        return data


def _newer(items: Sequence[T], last: T | None) -> list[T]:
    """What came after ``last``, oldest first."""
    found: list[T] = []
    for item in reversed(items):
        if item is last:
            break
        found.append(item)
    return found[::-1]


def _message(message: Message, twilio: Carrier) -> Json:
    inbound = message.direction == "inbound"
    media = [twilio.messages.media[sid] for sid in message.media]
    return {
        "sid": message.sid,
        "customer": message.from_ if inbound else message.to,
        "inbound": inbound,
        "body": message.body,
        "status": message.status,
        "error_code": message.error_code,
        "at": message.created_at,
        "media": [{"sid": file.sid, "content_type": file.content_type, "bytes": len(file.data)} for file in media],
    }


def _webhook(posted: Posted, number: int) -> Json:
    call = posted.webhook
    fields = dict(call.form)
    inbound = fields.get("SmsStatus") == "received"
    return {
        "number": number,
        "at": posted.at,
        "sid": call.sid,
        "inbound": inbound,
        "customer": fields.get("From" if inbound else "To", ""),
        "url": urldefrag(call.url).url,
        "headers": list(posted.headers),
        "form": list(call.form),
        "status": posted.status,
        "curl": posted.curl(),
    }


def _request(received: Received, number: int) -> Json:
    return {
        "number": number,
        "at": received.at,
        "method": received.method,
        "path": received.path,
        "form": list(received.form),
        "status": received.status,
    }
