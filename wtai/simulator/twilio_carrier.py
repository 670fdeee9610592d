"""What happens inside the fake Twilio between an application and its customers: messages, their fate, and webhooks."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urldefrag

from wtai.clock import Clock
from wtai.simulator.faults import Faults
from wtai.simulator.server import Background
from wtai.simulator.twilio_faults import TwilioFault
from wtai.simulator.twilio_forms import inbound_form, status_form
from wtai.simulator.twilio_messages import API_VERSION, Accepted, Message, Messages, Pairs, fresh_sid
from wtai.simulator.twilio_webhooks import Webhook, WebhookResult, Webhooks

INBOUND_PATH = "/webhooks/twilio/inbound"
KEPT = 1_000
_OUTSIDE_WINDOW = "Failed to send freeform message because you are outside the allowed window."


@dataclass(frozen=True, slots=True)
class Received:
    """One request to the REST API as it came. ``at`` in milliseconds; ``status`` of the answer, 0 when there was none."""

    at: int
    method: str
    path: str
    form: Pairs
    status: int


class Carrier:
    """Twilio, as far as an application on WhatsApp or SMS can see it, without its REST API.

    ``accepted`` holds every message taken; ``requests`` the last 1,000 requests to the REST API, ``posted`` the last 1,000
    webhooks; ``typing`` the inbound messages for which a typing indicator was asked; ``leaks`` the media downloads that
    brought the account's credentials to the CDN.

    Settable at any time: ``statuses`` (what a message goes through after ``queued``; add ``"read"`` for read receipts),
    ``status_delay_seconds`` (before each), ``listing_delay_seconds`` (how late a new message shows up in lists),
    ``webhook_url`` (where the application listens), ``public_url`` (what it believes its address is; signed; None: the
    same), ``inbound_fragment`` (retry policy of the inbound webhook, such as ``rc=3&rp=all``), ``file_names`` (by content
    type: what the CDN calls such files).
    """

    def __init__(self, clock: Clock, webhook_url: str, public_url: str | None = None, *, seed: int = 0) -> None:
        self.clock = clock
        self.faults = Faults(TwilioFault, seed=seed)
        self.messages = Messages()
        self.tokens: dict[str, str] = {}
        self.accepted: list[Accepted] = []
        self.requests: deque[Received] = deque(maxlen=KEPT)
        self.typing: deque[str] = deque(maxlen=KEPT)
        self.leaks: list[str] = []
        self.statuses: tuple[str, ...] = ("sent", "delivered")
        self.status_delay_seconds = 0.005
        self.listing_delay_seconds = 0.0
        self.webhook_url = webhook_url
        self.public_url = public_url
        self.inbound_fragment = ""
        self.file_names: dict[str, str] = {}
        self.url = ""
        self._webhooks = Webhooks(clock)
        self.posted = self._webhooks.posted
        self._background = Background()
        self._numbers: dict[str, str] = {}
        self._forms: dict[str, Pairs] = {}
        self._watchers: list[Callable[[Message], None]] = []
        self._changed = asyncio.Event()

    async def open(self) -> None:
        """Get ready to post webhooks."""
        await self._background.start()
        await self._webhooks.start()

    async def close(self) -> None:
        """Drop what is under way."""
        await self._background.close()
        await self._webhooks.close()

    def add_account(self, account_sid: str, auth_token: str, *, numbers: Sequence[str] = ()) -> None:
        """Let this account in. ``numbers`` are its own addresses (``whatsapp:+…``); needed once there are several accounts."""
        self.tokens[account_sid] = auth_token
        self._numbers.update(dict.fromkeys(numbers, account_sid))

    def accept(self, message: Message, form: Pairs) -> None:
        """Take a message for its recipient: it enters the ledger and its statuses begin."""
        self.messages.add(message)
        self.accepted.append(
            Accepted(message.sid, message.account, message.from_, message.to, message.body, form, message.created_at)
        )
        self._tell(message)
        self._background.spawn(self._walk(message))

    def show_typing(self, message: Message) -> None:
        """The writer of ``message`` sees that an answer is being written."""
        self.typing.append(message.sid)
        self._tell(message)

    def watch(self, watcher: Callable[[Message], None]) -> None:
        """Call ``watcher`` with each message that is new, has a new status, or for which typing is shown."""
        self._watchers.append(watcher)

    async def until(self, condition: Callable[[], bool], timeout_seconds: float = 30.0) -> None:
        """Return once ``condition`` holds, looking again after every change and every answered webhook. Raises TimeoutError."""
        async with asyncio.timeout(timeout_seconds):
            while not condition():
                await self._changed.wait()

    async def send(
        self,
        from_: str,
        to: str,
        body: str,
        *,
        media: Sequence[tuple[str, bytes]] = (),
        profile_name: str | None = None,
        sid: str | None = None,
        extra: Pairs = (),
    ) -> WebhookResult:
        """A customer writes: post the signed form and return the application's answer.

        ``media`` are (content type, bytes); ``extra`` pairs are added to the form, replacing fields of the same name.
        """
        message = self._heard(self._account_of(to), from_, to, body, sid or fresh_sid("MM" if media else "SM"))
        files = [self.messages.attach(message, content_type, data) for content_type, data in media]
        uri = f"{self.url}/{API_VERSION}/Accounts/{message.account}/Messages/{message.sid}/Media"
        form = inbound_form(message, [(f"{uri}/{file.sid}", file) for file in files], profile_name, extra)
        self._forms[message.sid] = form
        self._tell(message)
        if self.faults.take(TwilioFault.WEBHOOK_DUPLICATED, to=to):
            first, _ = await asyncio.gather(self.redeliver(message.sid), self.redeliver(message.sid))
            return first
        return await self.redeliver(message.sid)

    async def redeliver(self, sid: str) -> WebhookResult:
        """Post the form of the inbound message ``sid`` again, as it was. Raises KeyError when it was never sent."""
        return await self.post(self._forms[sid])

    async def post(self, form: Pairs, *, path: str = INBOUND_PATH, signature: str | None = None) -> WebhookResult:
        """Post any pairs, signed with the token of their AccountSid; ``signature`` replaces the true one."""
        fields = dict(form)
        token = self.tokens.get(fields.get("AccountSid", ""), "")
        url = f"{(self.public_url or self.webhook_url).rstrip('/')}{path}#{self.inbound_fragment}"
        return await self._call(Webhook(url, self._target(url), form, token, fields.get("MessageSid", ""), signature))

    def _account_of(self, number: str) -> str:
        accounts = list(self.tokens)
        if number in self._numbers:
            return self._numbers[number]
        if len(accounts) != 1:
            raise ValueError(f"no account has the number {number}: name it in add_account(…, numbers=…)")
        return accounts[0]

    def _heard(self, account: str, from_: str, to: str, body: str, sid: str) -> Message:
        now = self.clock.now()
        message = Message(sid, account, from_, to, body, "inbound", "received", now, now, sent_at=now)
        self.messages.add(message)
        return message

    async def _walk(self, message: Message) -> None:
        """Move an accepted message through its statuses and report each to its callback URL."""
        statuses = self.statuses
        if self.faults.take(TwilioFault.OUTSIDE_WINDOW, to=message.to):
            statuses = ("undelivered",)
            message.error_code, message.error_message = 63016, _OUTSIDE_WINDOW
        dropped = self.faults.take(TwilioFault.STATUS_DROPPED, to=message.to)
        reordered = self.faults.take(TwilioFault.STATUS_REORDERED, to=message.to)
        duplicated = self.faults.take(TwilioFault.STATUS_DUPLICATED, to=message.to)
        report = self._unreported if dropped else self._reported_twice if duplicated else self._report
        late: list[Pairs] = []
        for status in statuses:
            await asyncio.sleep(self.status_delay_seconds)
            message.status, message.updated_at = status, self.clock.now()
            message.sent_at = message.sent_at or message.updated_at
            self._tell(message)
            form = status_form(message, status)
            if reordered:
                late.insert(0, form)
            else:
                await report(message, form)
        for form in late:
            await report(message, form)

    async def _report(self, message: Message, form: Pairs) -> None:
        if message.callback is not None:
            token = self.tokens[message.account]
            await self._call(Webhook(message.callback, self._target(message.callback), form, token, message.sid))

    async def _reported_twice(self, message: Message, form: Pairs) -> None:
        await asyncio.gather(self._report(message, form), self._report(message, form))

    async def _unreported(self, message: Message, form: Pairs) -> None:
        """Twilio promises no callback: this one never comes."""

    def _target(self, url: str) -> str:
        """Where to connect for ``url``: the public address stands for the one the application listens on."""
        bare = urldefrag(url).url
        public = (self.public_url or self.webhook_url).rstrip("/")
        return self.webhook_url.rstrip("/") + bare.removeprefix(public) if bare.startswith(f"{public}/") else bare

    def _tell(self, message: Message) -> None:
        for watcher in self._watchers:
            watcher(message)
        self._wake()

    async def _call(self, webhook: Webhook) -> WebhookResult:
        result = await self._webhooks.post(webhook)
        self._wake()
        return result

    def _wake(self) -> None:
        """Let those who wait in ``until`` look again."""
        self._changed.set()
        self._changed = asyncio.Event()
