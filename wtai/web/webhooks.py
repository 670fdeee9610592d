"""Twilio's webhooks. A message is acknowledged only when it is on disk: verify, parse, one transaction, answer."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog
from aiohttp import web

from wtai.channels.accounts import Accounts
from wtai.channels.channel import Account
from wtai.channels.twilio.form import Form, MalformedPost, parse_form
from wtai.channels.twilio.inbound import account_sid, our_address, parse, parse_status
from wtai.channels.twilio.signature import SETTINGS_HEADER, SIGNATURE_HEADER, is_signed
from wtai.clock import Clock
from wtai.conversation import inbox, outbox
from wtai.conversation.kept_opt_outs_store import Digests
from wtai.db.tx import Database
from wtai.failpoints import pass_failpoint
from wtai.identity.preferences import Preferences, merged

log = structlog.get_logger(__name__)

INBOUND: Final = "/webhooks/twilio/inbound"
_RETRIES: Final = "#rc=3&rp=all&ct=3000&rt=4500"
"""Makes Twilio try again: without it one lost connection loses the message (twilio.com, webhooks, connection overrides)."""

_BODY_SECONDS: Final = 5.0
"""Longer than Twilio waits for the whole answer."""

_EMPTY_TWIML: Final = b'<?xml version="1.0" encoding="UTF-8"?><Response/>'

_Handler = Callable[[web.Request], Awaitable[web.Response]]


def inbound_address(base: str) -> str:
    """What to give Twilio as the webhook of a number, at this program's public address."""
    return f"{base}{INBOUND}{_RETRIES}"


class Webhooks:
    """Takes what Twilio posts. ``public_url`` tells what Twilio calls us, against which its signatures are checked."""

    def __init__(
        self,
        database: Database,
        accounts: Accounts,
        clock: Clock,
        *,
        public_url: str,
        base: Preferences,
        digests: Digests,
        max_concurrency: int,
        max_fields: int,
    ) -> None:
        self._database = database
        self._accounts = accounts
        self._clock = clock
        self._public_url = public_url
        self._base = base
        self._digests = digests
        self._max_concurrency = max_concurrency
        self._max_fields = max_fields
        self._handling = 0
        self._log = log.bind()  # once: to find the logger for each message costs more than most of them log

    def routes(self) -> list[web.RouteDef]:
        """All routes; each checks the signature itself."""
        return [
            web.post(INBOUND, self._limited(self.inbound)),
            web.post("/webhooks/twilio/status", self._limited(self.status)),
        ]

    async def inbound(self, request: web.Request) -> web.Response:
        """Keep a message and answer empty TwiML; a repeat is answered alike and changes nothing."""
        form, account = await self._verified(request)
        message = parse(form)
        chosen = merged(self._base, account.preferences)
        received = await self._database.write(
            account.owner_id, inbox.receive, message, chosen, digests=self._digests, now=self._clock.now()
        )
        await pass_failpoint("ack.after_commit")
        self._log.debug("message.received", owner=account.owner_id, sid=message.provider_sid, kind=message.kind, new=received.new)
        return web.Response(body=_EMPTY_TWIML, content_type="text/xml")

    async def status(self, request: web.Request) -> web.Response:
        """Move an outbound message forward; late, repeated and foreign callbacks are answered alike and change nothing."""
        form, account = await self._verified(request)
        update = parse_status(form, request.query)
        if update is not None:
            known = await self._database.write(account.owner_id, outbox.update_status, update, now=self._clock.now())
            await pass_failpoint("status.after_commit")
            log.debug("message.status", owner=account.owner_id, sid=update.provider_sid, status=update.status, known=known)
        return web.Response(status=204)

    async def _verified(self, request: web.Request) -> tuple[Form, Account]:
        """The form and whose it is. The same 403 for an unknown account, an unknown address and a bad signature."""
        form = parse_form(await request.read(), request.headers.get("Content-Type", ""), max_fields=self._max_fields)
        account = await self._accounts.of_webhook(account_sid(form), our_address(form))
        if account is not None and is_signed(
            public_url=self._public_url,
            raw_path=request.raw_path,
            form=form.pairs,
            signatures=request.headers.getall(SIGNATURE_HEADER, ()),
            settings=request.headers.getall(SETTINGS_HEADER, ()),
            tokens=account.tokens,
        ):
            return form, account
        raise web.HTTPForbidden(text="signature or account not valid")

    def _limited(self, handler: _Handler) -> _Handler:
        async def limited(request: web.Request) -> web.Response:
            # Whoever sends slowly, signed or not, keeps no place from others.
            if not request.content.is_eof():
                try:
                    async with asyncio.timeout(_BODY_SECONDS):
                        await request.read()
                except TimeoutError:
                    return web.Response(status=408, text="the body took too long")
            if self._handling >= self._max_concurrency:
                return web.Response(status=503, text="too many webhooks at once")
            self._handling += 1
            try:
                return await handler(request)
            except MalformedPost as exc:
                return web.Response(status=400, text=str(exc))
            finally:
                self._handling -= 1

        return limited
