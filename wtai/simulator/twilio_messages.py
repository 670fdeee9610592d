"""What the fake Twilio remembers: messages of both directions, their media, and Twilio's JSON of them.

Fields and formats are those of Twilio's published OpenAPI description of the API version 2010-04-01.
"""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from email.utils import format_datetime
from urllib.parse import urlencode

from wtai.errors import WtaiError

API_VERSION = "2010-04-01"
DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 1000

Pairs = tuple[tuple[str, str], ...]


class TwilioRefusal(WtaiError):
    """The request is refused with Twilio's error code and this HTTP status."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


@dataclass(frozen=True, slots=True)
class Accepted:
    """A create that Twilio took: its customer will get it. ``at`` in milliseconds since 1970 UTC, ``form`` as posted."""

    sid: str
    account: str
    from_: str | None
    to: str
    body: str
    form: Pairs
    at: int


@dataclass(frozen=True, slots=True)
class Media:
    """A file on the fake's media host; ``signature`` opens its CDN address."""

    sid: str
    account: str
    message_sid: str
    content_type: str
    data: bytes
    created_at: int
    signature: str

    def as_json(self) -> dict[str, object]:
        created = rfc2822(self.created_at)
        return {
            "sid": self.sid,
            "account_sid": self.account,
            "parent_sid": self.message_sid,
            "content_type": self.content_type,
            "date_created": created,
            "date_updated": created,
            "uri": f"/{API_VERSION}/Accounts/{self.account}/Messages/{self.message_sid}/Media/{self.sid}.json",
        }


@dataclass(slots=True)
class Message:
    """A message resource. Times in milliseconds since 1970 UTC; ``callback`` is where its status is reported."""

    sid: str
    account: str
    from_: str | None
    to: str
    body: str
    direction: str
    status: str
    created_at: int
    updated_at: int
    sent_at: int | None = None
    service: str | None = None
    callback: str | None = None
    error_code: int | None = None
    error_message: str | None = None
    media: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, object]:
        uri = f"/{API_VERSION}/Accounts/{self.account}/Messages/{self.sid}"
        return {
            "account_sid": self.account,
            "api_version": API_VERSION,
            "body": self.body,
            "date_created": rfc2822(self.created_at),
            "date_sent": None if self.sent_at is None else rfc2822(self.sent_at),
            "date_updated": rfc2822(self.updated_at),
            "direction": self.direction,
            "error_code": self.error_code,
            "error_message": self.error_message,
            "from": self.from_,
            "messaging_service_sid": self.service,
            "num_media": str(len(self.media)),
            "num_segments": "0" if self.from_ is None else "1",
            "price": None,
            "price_unit": None,
            "sid": self.sid,
            "status": self.status,
            "subresource_uris": {"media": f"{uri}/Media.json"},
            "to": self.to,
            "uri": f"{uri}.json",
        }


@dataclass(frozen=True, slots=True)
class Listing:
    """A request for a list of messages. ``sent_from`` inclusive, ``sent_before`` exclusive, both in milliseconds."""

    filters: Pairs
    to: str | None = None
    from_: str | None = None
    sent_from: int | None = None
    sent_before: int | None = None
    size: int = DEFAULT_PAGE_SIZE
    page: int = 0
    token: str | None = None

    @classmethod
    def parse(cls, query: Iterable[tuple[str, str]]) -> "Listing":
        """Read the query string. Raises TwilioRefusal (400) on an unknown name or a value Twilio would not take."""
        values = dict(query)
        unknown = set(values) - {"To", "From", "DateSent", "DateSent<", "DateSent>", "PageSize", "Page", "PageToken"}
        if unknown:
            raise TwilioRefusal(400, 20001, f"Unknown parameter: {', '.join(sorted(unknown))}")
        size = _number(values, "PageSize", DEFAULT_PAGE_SIZE)
        if not 1 <= size <= MAX_PAGE_SIZE:
            raise TwilioRefusal(400, 20001, f"PageSize must be from 1 to {MAX_PAGE_SIZE}")
        sent_from, sent_before = _sent_between(values)
        filters = tuple((name, value) for name, value in values.items() if not name.startswith("Page"))
        page, token = _number(values, "Page", 0), values.get("PageToken")
        return cls(filters, values.get("To"), values.get("From"), sent_from, sent_before, size, page, token)

    def takes(self, message: Message) -> bool:
        if self.to not in (None, message.to) or self.from_ not in (None, message.from_):
            return False
        if self.sent_from is None and self.sent_before is None:
            return True
        # A message that is still queued has no date of sending: no filter by that date can find it.
        if message.sent_at is None:
            return False
        return (self.sent_from is None or message.sent_at >= self.sent_from) and (
            self.sent_before is None or message.sent_at < self.sent_before
        )

    def uri(self, account: str, page: int, token: str | None) -> str:
        paging = [("PageSize", str(self.size)), ("Page", str(page)), *([("PageToken", token)] if token else [])]
        return f"/{API_VERSION}/Accounts/{account}/Messages.json?{urlencode([*self.filters, *paging])}"


class Messages:
    """All messages and media of the fake, by account, in the order of their creation."""

    def __init__(self) -> None:
        self._accounts: dict[str, list[Message]] = {}
        self._by_sid: dict[str, Message] = {}
        self.media: dict[str, Media] = {}

    def add(self, message: Message) -> None:
        self._accounts.setdefault(message.account, []).append(message)
        self._by_sid[message.sid] = message

    def attach(self, message: Message, content_type: str, data: bytes) -> Media:
        media = Media(
            fresh_sid("ME"), message.account, message.sid, content_type, data, message.created_at, secrets.token_urlsafe(24)
        )
        self.media[media.sid] = media
        message.media.append(media.sid)
        return media

    def get(self, account: str, sid: str) -> Message:
        """Raises TwilioRefusal (404); another account's message looks the same as none."""
        message = self._by_sid.get(sid)
        if message is None or message.account != account:
            raise TwilioRefusal(404, 20404, f"The requested resource Messages/{sid}.json was not found")
        return message

    def file(self, account: str, sid: str) -> Media:
        """Raises TwilioRefusal (404)."""
        media = self.media.get(sid)
        if media is None or media.account != account:
            raise TwilioRefusal(404, 20404, f"The requested media {sid} was not found")
        return media

    def detach(self, account: str, sid: str) -> None:
        """Forget a file. Raises TwilioRefusal (404)."""
        media = self.file(account, sid)
        del self.media[sid]
        self._by_sid[media.message_sid].media.remove(sid)

    def all(self, account: str | None = None) -> list[Message]:
        """Every message, or those of one account, oldest first."""
        return list(self._by_sid.values()) if account is None else list(self._accounts.get(account, ()))

    def page(self, account: str, listing: Listing, created_until: int) -> dict[str, object]:
        """One page, newest first, of what was created up to ``created_until``, as Twilio's JSON."""
        found: list[Message] = []
        started = listing.token is None
        more = False
        for message in reversed(self._accounts.get(account, ())):
            if not started:
                started = listing.token == f"PA{message.sid}"
            elif message.created_at <= created_until and listing.takes(message):
                if len(found) == listing.size:
                    more = True
                    break
                found.append(message)
        start = listing.page * listing.size
        return {
            "messages": [message.as_json() for message in found],
            "page": listing.page,
            "page_size": listing.size,
            "start": start,
            "end": start + max(len(found) - 1, 0),
            "first_page_uri": listing.uri(account, 0, None),
            "next_page_uri": listing.uri(account, listing.page + 1, f"PA{found[-1].sid}") if more else None,
            "previous_page_uri": None,
            "uri": listing.uri(account, listing.page, listing.token),
        }


def fresh_sid(prefix: str) -> str:
    """A new identifier of Twilio's form: two letters and 32 hexadecimal digits."""
    return prefix + secrets.token_hex(16)


def rfc2822(milliseconds: int) -> str:
    return format_datetime(datetime.fromtimestamp(milliseconds // 1000, UTC))


def _number(values: dict[str, str], name: str, default: int) -> int:
    value = values.get(name, str(default))
    if not value.isdecimal():
        raise TwilioRefusal(400, 20001, f"{name} must be a whole number, not {value!r}")
    return int(value)


def _sent_between(values: dict[str, str]) -> tuple[int | None, int | None]:
    """The span that DateSent, DateSent> (on and after) and DateSent< (on and before) leave; a date means its whole UTC day."""
    sent_from = sent_before = None
    for name, value in values.items():
        if not name.startswith("DateSent"):
            continue
        try:
            first = (
                datetime.combine(date.fromisoformat(value), time(), UTC) if len(value) == 10 else datetime.fromisoformat(value)
            )
        except ValueError as exc:
            raise TwilioRefusal(400, 20001, f"{name} must be a GMT date YYYY-MM-DD, not {value!r}") from exc
        first = first if first.tzinfo else first.replace(tzinfo=UTC)
        last = first + (timedelta(days=1) if len(value) == 10 else timedelta(seconds=1))
        if name != "DateSent<":
            sent_from = int(first.timestamp() * 1000)
        if name != "DateSent>":
            sent_before = int(last.timestamp() * 1000)
    return sent_from, sent_before
