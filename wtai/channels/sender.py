"""The job that sends one message, and that finds out what became of a call whose outcome is not known."""

import random
from collections.abc import Mapping

import structlog

from wtai.channels.accounts import Accounts
from wtai.channels.channel import Account, Channel, Outgoing
from wtai.clock import MINUTE, SECOND, Clock
from wtai.conversation import outbox
from wtai.conversation.model import OutboundMessage, Template
from wtai.db.tx import Database
from wtai.errors import NotFound, Retry, SendError, SendRejected, SendThrottled, SendUnknown
from wtai.failpoints import pass_failpoint
from wtai.jobs.queue import Job

log = structlog.get_logger(__name__)

_CLOCKS_APART_MS = 2 * MINUTE
"""How far the provider's clock may be behind ours when its messages are compared with our call."""

_LISTING_TRIES = 5


ABANDON = "abandon_send"
"""The kind of job that takes over from a dead one that sends. Same payload."""


class Sender:
    """Sends through the channels. Two listings that look for a message of unknown outcome are ``reconcile_ms`` apart."""

    def __init__(
        self, database: Database, accounts: Accounts, channels: Mapping[str, Channel], clock: Clock, *, reconcile_ms: int
    ) -> None:
        self._database = database
        self._accounts = accounts
        self._channels = channels
        self._clock = clock
        self._reconcile_ms = reconcile_ms

    async def handle(self, job: Job) -> None:
        """Bring one message out. Retry while the provider throttles or an outcome has yet to be found out."""
        message_id = job.argument("message_id")
        message = await self._database.read(job.owner_id, outbox.look, message_id)
        account, channel = await self._way(job, message)
        # The way is known before the call is committed to, so that nothing lies between the two.
        due = await self._database.write(job.owner_id, outbox.start, message_id, now=self._clock.now())
        if due.step is outbox.Step.CALL:
            await self._call(job, due.message, account, channel)
        elif due.step is outbox.Step.FIND_OUT:
            await self._find_out(job, due.message, account, channel)

    async def abandon(self, job: Job) -> None:
        """Let a message that nobody tries to send any more count as failed, or as unknown where it may have been sent."""
        await self._database.write(job.owner_id, outbox.abandon, job.argument("message_id"), now=self._clock.now())

    async def _call(self, job: Job, message: OutboundMessage, account: Account, channel: Channel) -> None:
        await pass_failpoint("send.before_call")
        template = Template(message.content_sid, message.content_variables or "{}") if message.content_sid else None
        outgoing = Outgoing(message.public_id, message.sender, message.recipient, message.body, template)
        try:
            sid = await channel.send(account, outgoing)
        except SendThrottled as exc:
            await self._database.write(job.owner_id, outbox.not_accepted, message.id, now=self._clock.now())
            raise Retry(f"throttled, code {exc.code}", delay_ms=_spread(exc.retry_after_ms)) from exc
        except SendRejected as exc:
            log.warning("send.rejected", message=message.public_id, code=exc.code)
            await self._database.write(job.owner_id, outbox.failed, message.id, exc.code, exc.held_back, now=self._clock.now())
        except SendUnknown as exc:
            log.warning("send.unknown", message=message.public_id, code=exc.code)
            await self._database.write(job.owner_id, outbox.unknown, message.id, now=self._clock.now())
            raise Retry("outcome unknown", delay_ms=0, counts=False) from exc
        else:
            await pass_failpoint("send.after_call")
            await self._database.write(job.owner_id, outbox.accepted, message.id, sid, now=self._clock.now())
            await pass_failpoint("send.after_commit")

    async def _find_out(self, job: Job, message: OutboundMessage, account: Account, channel: Channel) -> None:
        """One match that can be nobody else's is this message; none, twice, and it is sent again, once; else it stays unknown.

        A template matches whatever it may have become: it is listed with the text that the recipient reads, not known here.
        """
        since = (message.sending_at or 0) - _CLOCKS_APART_MS
        try:
            listings = await channel.listing(account, message.sender, message.recipient, since)
        except SendError as exc:
            if job.failures + 1 >= _LISTING_TRIES:
                log.error("send.stays_unknown", message=message.public_id, reason=f"no listing: {exc}")  # noqa: TRY400
                return
            raise Retry("the provider's listing fails", delay_ms=self._reconcile_ms) from exc
        alike = [listed.provider_sid for listed in listings if message.content_sid or listed.body == message.body]
        found = await self._database.read(job.owner_id, outbox.candidates, message, alike, since - _CLOCKS_APART_MS)
        match found.provider_sids:
            case ():
                await self._absent(job, message)
            case (sid,) if not found.rival:
                log.info("send.adopted", message=message.public_id)
                await self._database.write(job.owner_id, outbox.accepted, message.id, sid, now=self._clock.now())
            case _:
                log.error("send.stays_unknown", message=message.public_id, reason="what matches may be another message")

    async def _absent(self, job: Job, message: OutboundMessage) -> None:
        verdict = await self._database.write(
            job.owner_id, outbox.absent, message.id, apart_ms=self._reconcile_ms, now=self._clock.now()
        )
        if verdict is outbox.Absence.ASK_AGAIN:
            raise Retry("the provider does not list it yet", delay_ms=self._reconcile_ms, counts=False)
        if verdict is outbox.Absence.RESEND:
            log.warning("send.again", message=message.public_id)
            raise Retry("the provider never had it", delay_ms=0, counts=False)
        if verdict is outbox.Absence.GIVE_UP:
            log.error("send.stays_unknown", message=message.public_id, reason="not listed, sent again, and not listed again")

    async def _way(self, job: Job, message: OutboundMessage) -> tuple[Account, Channel]:
        channel = self._channels.get(message.channel)
        if channel is None:
            raise NotFound(f"no channel {message.channel!r}")
        return await self._accounts.of_owner(job.owner_id, message.sender), channel


def _spread(retry_after_ms: int | None) -> int | None:
    """The wish of the provider plus up to a second, so that all those told the same do not come back together."""
    return None if retry_after_ms is None else retry_after_ms + random.randint(0, SECOND)  # noqa: S311 - spreads load
