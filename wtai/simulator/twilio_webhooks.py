"""How the fake Twilio calls an application: signed, over kept-alive connections, retried as the URL's fragment says.

Signature: base64 of HMAC-SHA1, keyed with the account's auth token, over the URL without its fragment followed by each
form name and value, sorted by name (twilio.com/docs/usage/security). Retries and time-outs: connection overrides in the
fragment, ``#rc=3&rp=all`` (twilio.com/docs/usage/webhooks/webhooks-connection-overrides).
"""

import asyncio
import base64
import hashlib
import hmac
import shlex
import uuid
from collections import deque
from dataclasses import dataclass
from urllib.parse import parse_qsl, urldefrag, urlencode

import aiohttp

from wtai.clock import Clock
from wtai.simulator.twilio_messages import Pairs

KEPT = 1_000


@dataclass(frozen=True, slots=True)
class WebhookResult:
    """How the application answered. ``status`` 0: there was no HTTP answer, ``text`` then says why."""

    status: int
    text: str
    sid: str


@dataclass(frozen=True, slots=True)
class Webhook:
    """A form on its way to an application.

    ``url`` is the one that is signed, its fragment the retry policy; ``target`` the one that is connected to. ``sid`` names
    the message it is about; ``signature`` replaces the true one.
    """

    url: str
    target: str
    form: Pairs
    token: str
    sid: str
    signature: str | None = None

    def headers(self) -> Pairs:
        """Fresh headers; the idempotency token differs from call to call."""
        signature = sign(urldefrag(self.url).url, self.form, self.token) if self.signature is None else self.signature
        return (
            ("User-Agent", "TwilioProxy/1.1"),
            ("Accept", "*/*"),
            ("Content-Type", "application/x-www-form-urlencoded; charset=utf-8"),
            ("I-Twilio-Idempotency-Token", str(uuid.uuid4())),
            ("X-Home-Region", "us1"),
            ("X-Twilio-Signature", signature),
        )


@dataclass(frozen=True, slots=True)
class Posted:
    """One webhook as it went out, at ``at`` (milliseconds since 1970 UTC), and the status it was answered with, 0 for none."""

    at: int
    webhook: Webhook
    headers: Pairs
    status: int

    def curl(self) -> str:
        """The same request as a command line."""
        headers = " ".join(f"-H {shlex.quote(f'{name}: {value}')}" for name, value in self.headers)
        form = shlex.quote(urlencode(self.webhook.form))
        return f"curl -X POST {shlex.quote(self.webhook.target)} {headers} --data-raw {form}"


@dataclass(frozen=True, slots=True)
class Overrides:
    """Connection overrides of one URL; the defaults are Twilio's: one retry, and only when no connection was made."""

    connect_ms: int
    read_ms: int
    total_ms: int
    retries: int
    policy: frozenset[str]

    @classmethod
    def of(cls, url: str) -> "Overrides":
        given = dict(parse_qsl(urldefrag(url).fragment))
        return cls(
            connect_ms=int(given.get("ct", "5000")),
            read_ms=int(given.get("rt", "15000")),
            total_ms=int(given.get("tt", "15000")),
            retries=int(given.get("rc", "1")),
            policy=frozenset(given.get("rp", "ct").split(",")),
        )

    def timeout(self) -> aiohttp.ClientTimeout:
        """Time-outs of one attempt."""
        return aiohttp.ClientTimeout(
            total=self.total_ms / 1000, sock_connect=self.connect_ms / 1000, sock_read=self.read_ms / 1000
        )

    def retry_on(self, failure: str) -> bool:
        return failure != "" and bool(self.policy & {failure, "all"})


class Webhooks:
    """Posts forms to the application under test."""

    def __init__(self, clock: Clock) -> None:
        self.posted: deque[Posted] = deque(maxlen=KEPT)
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), cookie_jar=aiohttp.DummyCookieJar())

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def post(self, call: Webhook) -> WebhookResult:
        """Post a form, retrying as the URL's fragment says. Never raises for what the network or the application does."""
        overrides = Overrides.of(call.url)
        now = asyncio.get_running_loop().time
        last = now() + overrides.total_ms / 1000
        headers = call.headers()
        tries = overrides.retries
        while True:
            result, failure = await self._attempt(call, headers, overrides)
            if tries == 0 or not overrides.retry_on(failure) or now() >= last:
                return result
            tries -= 1

    async def _attempt(self, call: Webhook, headers: Pairs, overrides: Overrides) -> tuple[WebhookResult, str]:
        """One request; returns the answer and the retry policy's name of the failure, empty when there was none."""
        if self._session is None:
            raise RuntimeError("the fake is not started: call start() or use it with 'async with' first")
        failure = ""
        try:
            async with self._session.post(
                call.target,
                data=urlencode(call.form).encode(),
                headers=headers,
                timeout=overrides.timeout(),
                allow_redirects=False,
            ) as response:
                result = WebhookResult(response.status, await response.text(errors="replace"), call.sid)
                failure = f"{result.status // 100}xx" if result.status >= 400 else ""
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as exc:
            result, failure = WebhookResult(0, f"no connection: {exc}", call.sid), "ct"
        except (aiohttp.ClientError, TimeoutError, ConnectionError) as exc:
            result, failure = WebhookResult(0, f"no answer: {type(exc).__name__} {exc}", call.sid), "rt"
        self.posted.append(Posted(self._clock.now(), call, headers, result.status))
        return result, failure


def sign(url: str, form: Pairs, token: str) -> str:
    """X-Twilio-Signature of a form post; a name and value that occur twice count once."""
    signed = url + "".join(name + value for name, value in sorted(set(form)))
    return base64.b64encode(hmac.new(token.encode(), signed.encode(), hashlib.sha1).digest()).decode()
