"""Twilio's REST API as a Channel: send a message, list what was sent and what people wrote, show the typing indicator.

Creating a message has no idempotency key, so an error says exactly what is known: SendThrottled and SendRejected only where
Twilio certainly did not take the message, SendUnknown for all else. Nothing is tried twice here; who calls decides.
Errors carry Twilio's code and our words for it; never a number, a text or a credential, nor aiohttp's exceptions, which do.
"""

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Annotated, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import aiohttp
from multidict import CIMultiDictProxy
from pydantic import BaseModel, BeforeValidator, Field, ValidationError
from yarl import URL

from wtai.channels.channel import Account, Heard, Listed, Outgoing
from wtai.channels.twilio.errors import Reaction, held_back, meaning, reaction
from wtai.channels.twilio.form import CONTENT_TYPE, parse_form
from wtai.channels.twilio.inbound import STATUSES, parse
from wtai.clock import DAY, HOUR, MINUTE, SECOND
from wtai.conversation.model import Inbound, Status
from wtai.errors import SendError, SendRejected, SendThrottled, SendUnknown, SettingsError

API_URL = "https://api.twilio.com"
MESSAGING_URL = "https://messaging.twilio.com"

PAGE_SIZE = 50
MAX_PAGES = 10
HEARD_PAGE_SIZE = 500
MAX_HEARD_PAGES = 100

_API = "/2010-04-01"
_MAX_ANSWER = 4 * 1024 * 1024
# A typing indicator disappears after 25 s: a late one is worth nothing.
_TYPING_SECONDS = 5.0
# How long to wait after an error of a full queue or an exceeded limit, which come without Retry-After.
_SLOWLY = 2 * MINUTE
# How long to wait until somebody may have replaced a refused token, and until an allowance may have been renewed.
_LOGIN_WAIT = 10 * MINUTE
_PAUSE = 6 * HOUR

Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    body: bytes | None
    """None where it broke off or was too long."""
    retry_after_ms: int | None


def _milliseconds(rfc2822: object) -> int:
    """An RFC 2822 date in milliseconds since 1970. ValueError if it is none."""
    when = parsedate_to_datetime(str(rfc2822))
    # "-0000" means UTC of a machine somewhere, and Python then leaves the zone out.
    return int((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()) * SECOND


class _Row(BaseModel):
    sid: str
    status: str
    body: str | None
    date_created: Annotated[int, BeforeValidator(_milliseconds)]
    error_code: int | None = None
    direction: str = ""
    sender: Annotated[str | None, Field(alias="from")] = None
    num_media: int = 0


class TwilioChannel:
    """Channel over Twilio's REST API.

    ``send_seconds`` bounds one call as a whole: Twilio's own processing was seen to take 26 s, so 30 is the least that tells
    a slow acceptance from a lost one. ``public_url`` is where Twilio calls us; without it no status callbacks are asked for.
    A ``session`` given stays its giver's to close; else one is opened at the first call and ``close`` ends it.
    """

    def __init__(
        self,
        *,
        base_url: str = API_URL,
        messaging_url: str = MESSAGING_URL,
        public_url: str | None = None,
        send_seconds: float = 40.0,
        connect_seconds: float = 10.0,
        session: aiohttp.ClientSession | None = None,
    ) -> None:
        self._base_url = _checked("twilio.base_url", base_url)
        self._messaging_url = _checked("twilio.messaging_url", messaging_url)
        self._public_url = public_url.rstrip("/") if public_url else None
        self._send_seconds = send_seconds
        self._connect_seconds = connect_seconds
        self._given = session
        self._opened: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """End the session that was opened here; the channel may be used again."""
        if self._opened is not None:
            await self._opened.close()
            self._opened = None

    async def send(self, account: Account, message: Outgoing) -> str:
        """Create the message; Twilio's sid of it. Its status callback brings ``message.public_id`` back as ``m``."""
        form = [("To", message.recipient), ("From", message.sender)]
        if message.template is None:
            form.append(("Body", message.body))
        else:
            form += [("ContentSid", message.template.content_sid), ("ContentVariables", message.template.variables)]
        if self._public_url is not None:
            form.append(("StatusCallback", f"{self._public_url}/webhooks/twilio/status?{urlencode({'m': message.public_id})}"))
        answer = await self._call(account, "POST", self._messages(account), form)
        return _read(_Created, answer).sid

    async def listing(self, account: Account, sender: str, recipient: str, since: int) -> list[Listed]:
        """What Twilio holds from ``sender`` to ``recipient``, created in the second of ``since`` or later, newest first.

        Twilio dates messages by the second and with its own clock: leave room in ``since``. The filter is without DateSent,
        which a message not sent yet does not have. ``Listed.status`` is a value of Status. SendUnknown where the list has
        more than ``PAGE_SIZE * MAX_PAGES`` messages to read: a part of it proves no absence.
        """
        wanted = [("To", recipient), ("From", sender), ("PageSize", str(PAGE_SIZE))]
        rows = await self._list(account, wanted, since, MAX_PAGES)
        return sorted(map(_listed, rows), key=lambda listed: listed.created_at, reverse=True)

    async def heard(self, account: Account, address: str, since: int) -> list[Heard]:
        """What people wrote to ``address`` in the second of ``since`` or later, oldest first.

        SendUnknown where that is more than ``HEARD_PAGE_SIZE * MAX_HEARD_PAGES`` messages.
        """
        day = datetime.fromtimestamp(since // SECOND, UTC).strftime("%Y-%m-%d")
        wanted = [("To", address), ("DateSent>", day), ("PageSize", str(HEARD_PAGE_SIZE))]
        rows = [row for row in await self._list(account, wanted, since, MAX_HEARD_PAGES) if row.direction == "inbound"]
        # Of those of one second, too, the list has the newest first.
        rows.reverse()
        rows.sort(key=lambda row: row.date_created)
        return [Heard(row.sid, row.sender or "", address, row.body or "", row.num_media, row.date_created) for row in rows]

    async def fetch(self, account: Account, heard: Heard) -> Inbound:
        """The message as its webhook would have told it, without what only webhooks tell: names, buttons, places, quotes.

        MalformedPost if it cannot have been one.
        """
        form = [
            ("MessageSid", heard.provider_sid),
            ("AccountSid", account.account_sid),
            ("From", heard.sender),
            ("To", heard.address),
            ("Body", heard.body),
            ("SmsStatus", "received"),
        ]
        if heard.media:
            files = f"{_API}/Accounts/{quote(account.account_sid, safe='')}/Messages/{quote(heard.provider_sid, safe='')}/Media"
            found = _read(_Files, await self._call(account, "GET", f"{self._base_url}{files}.json")).media_list
            for number, file in enumerate(found):
                form.append((f"MediaUrl{number}", f"{self._base_url}{files}/{quote(file.sid, safe='')}"))
                form.append((f"MediaContentType{number}", file.content_type))
        return replace(parse(parse_form(_encoded(form).encode(), CONTENT_TYPE)), written_at=heard.created_at)

    async def _list(self, account: Account, wanted: Pairs, since: int, most_pages: int) -> list[_Row]:
        """All messages that fit ``wanted``, newest first, down to the second of ``since``."""
        earliest = since // SECOND * SECOND
        found: list[_Row] = []
        url = f"{self._messages(account)}?{_encoded(wanted)}"
        for _ in range(most_pages):
            page = _read(_Page, await self._call(account, "GET", url))
            fitting = [row for row in page.messages if row.date_created >= earliest]
            found += fitting
            if not page.next_page_uri or (page.messages and not fitting):
                return found
            if not page.next_page_uri.startswith(f"{_API}/"):
                raise SendUnknown("Twilio's message list goes on at an address outside its API")
            url = self._base_url + page.next_page_uri
        raise SendUnknown(f"Twilio lists more than {len(found)} such messages since then")

    async def typing(self, account: Account, inbound_sid: str) -> None:
        """Show "typing…" until the answer or for 25 s. Twilio also marks the inbound message as read."""
        form = [("channel", "whatsapp"), ("messageId", inbound_sid)]
        await self._call(account, "POST", f"{self._messaging_url}/v2/Indicators/Typing.json", form, seconds=_TYPING_SECONDS)

    def _messages(self, account: Account) -> str:
        return f"{self._base_url}{_API}/Accounts/{quote(account.account_sid, safe='')}/Messages.json"

    async def _call(
        self, account: Account, method: str, url: str, form: Pairs | None = None, *, seconds: float | None = None
    ) -> _Answer:
        """The answer where it is 2xx, else the SendError that it means.

        While a token is rotated nobody knows which one Twilio takes: one that is refused has done nothing, so the next is tried.
        """
        for login in logins(account):
            answer = await self._exchange(login, method, url, form, seconds or self._send_seconds)
            if answer.status != 401:
                break
        if 200 <= answer.status < 300:
            return answer
        raise _refusal(answer)

    async def _exchange(self, login: str, method: str, url: str, form: Pairs | None, seconds: float) -> _Answer:
        headers = {"Authorization": login, "Accept": "application/json"}
        if form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        try:
            async with self._session().request(
                method,
                URL(url, encoded=True),
                data=None if form is None else _encoded(form).encode(),
                headers=headers,
                timeout=aiohttp.ClientTimeout(total=seconds, connect=min(self._connect_seconds, seconds)),
                # Credentials go to the configured host and nowhere else.
                allow_redirects=False,
            ) as response:
                return _Answer(response.status, await _body(response), _retry_after(response.headers))
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            # Name, route, TLS: all before the first byte of the request.
            raise SendThrottled(f"no connection to {urlsplit(url).netloc} ({type(error).__name__})") from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            # Their texts hold the URL, and their arguments the request's headers.
            raise SendUnknown(f"{urlsplit(url).netloc} gave no answer ({type(error).__name__})") from None

    def _session(self) -> aiohttp.ClientSession:
        if self._given is not None:
            return self._given
        if self._opened is None:
            # Not in the constructor: a session belongs to the loop that runs.
            self._opened = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        return self._opened


_Model = TypeVar("_Model", bound=BaseModel)


class _Created(BaseModel):
    sid: Annotated[str, Field(pattern=r"^(SM|MM)[0-9a-fA-F]{32}$")]


class _Page(BaseModel):
    messages: list[_Row]
    next_page_uri: str | None = None


class _File(BaseModel):
    sid: str
    content_type: str


class _Files(BaseModel):
    media_list: list[_File]


class _Problem(BaseModel):
    """Twilio's error body, both the old one and RFC 9457's."""

    code: int | None = None
    message: str = ""


def logins(account: Account) -> list[str]:
    """What the Authorization header of our calls may be: the account with each of its tokens, the primary first."""
    return ["Basic " + base64.b64encode(f"{account.account_sid}:{token}".encode()).decode() for token in account.tokens]


def _checked(key: str, url: str) -> str:
    if urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).netloc:
        raise SettingsError(f"{key} is not an http or https URL such as {API_URL}")
    return url.rstrip("/")


def _encoded(form: Pairs) -> str:
    # A lone surrogate in a text is no reason to fail after the send was marked as begun.
    return urlencode(form, errors="replace")


async def _body(response: aiohttp.ClientResponse) -> bytes | None:
    """The answer's body; the status is known by now, so that a broken one is None and not an error."""
    body = bytearray()
    try:
        async for chunk in response.content.iter_chunked(65536):
            body += chunk
            if len(body) > _MAX_ANSWER:
                return None
    except (aiohttp.ClientError, TimeoutError, OSError):
        return None
    return bytes(body)


def _retry_after(headers: CIMultiDictProxy[str]) -> int | None:
    """Retry-After in milliseconds (RFC 9110: seconds or a date, which counts from the answer's own Date), at most a day."""
    wish = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"[0-9]{1,9}", wish):
        return min(int(wish) * SECOND, DAY)
    try:
        return min(max(_milliseconds(wish) - _milliseconds(headers.get("Date", "")), 0), DAY)
    except ValueError:
        return None


def _read(model: type[_Model], answer: _Answer) -> _Model:
    """The body of a 2xx answer. SendUnknown where it cannot be read: Twilio accepted something, but what is not known."""
    try:
        return model.model_validate_json(answer.body or b"")
    except ValidationError as error:
        places = ", ".join(".".join(map(str, problem["loc"])) or "body" for problem in error.errors()[:3])
    raise SendUnknown(f"Twilio answered HTTP {answer.status} with a body that cannot be read: {places}")


def _refusal(answer: _Answer) -> SendError:
    """What an answer other than 2xx means for the message."""
    problem = _problem(answer)
    said = f"Twilio answered HTTP {answer.status}"
    if problem.code is not None:
        said += f", error {problem.code}: {meaning(problem.code)}"
    on_trial = "trial account" in problem.message.lower()
    if on_trial:
        said += " (Twilio says: trial account)"
    if answer.status == 401 and not on_trial:  # not the message's fault: it waits for somebody to give the right token
        return SendThrottled(said, code=problem.code, retry_after_ms=_LOGIN_WAIT)
    if problem.code is not None and reaction(problem.code) is Reaction.PAUSE:
        return SendThrottled(said, code=problem.code, retry_after_ms=answer.retry_after_ms or _PAUSE)
    if answer.status == 429:
        return SendThrottled(said, code=problem.code, retry_after_ms=answer.retry_after_ms)
    # A redirect may come after the deed (303), a 408 from whoever stands between and lost sight of it.
    if not 400 <= answer.status < 500 or answer.status == 408:
        return SendUnknown(said, code=problem.code)
    if reaction(problem.code, answer.status) is Reaction.RETRY_SLOWLY:
        return SendThrottled(said, code=problem.code, retry_after_ms=answer.retry_after_ms or _SLOWLY)
    return SendRejected(said, code=problem.code, held_back=held_back(problem.code))


def _problem(answer: _Answer) -> _Problem:
    try:
        return _Problem.model_validate_json(answer.body or b"")
    except ValidationError:
        return _Problem()


def _listed(row: _Row) -> Listed:
    return Listed(row.sid, STATUSES.get(row.status, Status.UNKNOWN), row.body or "", row.date_created, row.error_code)
