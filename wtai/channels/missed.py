"""The jobs that find what people wrote while nobody took it: the program or its proxy was down for longer than Twilio tries.

Every number has a moment up to which everything was heard. What the provider lists since then and nobody told us is received
as the webhook would have received it. A message that a webhook brings as well is a repeat, whoever comes first.
"""

from dataclasses import replace
from typing import Final

import structlog

from wtai.channels import missed_store
from wtai.channels.accounts import Accounts
from wtai.channels.channel import Account, Channel, Heard
from wtai.clock import DAY, MINUTE, SECOND, Clock
from wtai.conversation import inbox
from wtai.conversation.kept_opt_outs_store import Digests
from wtai.conversation.model import Inbound
from wtai.conversation.store import has_message
from wtai.db.tx import Database, OwnerTx, SystemTx
from wtai.errors import NotFound, SendError, SendRejected, WtaiError
from wtai.identity.preferences import Preferences, merged
from wtai.jobs.queue import Job
from wtai.jobs.store import BACKGROUND, enqueue

log = structlog.get_logger(__name__)

MISSED: Final = "find_missed"
"""The kind of job that has every account looked at; no payload."""

MISSED_OF: Final = "find_missed_of_account"
"""The kind of job that looks at one account; its payload is {"account_id"}."""

_CLOCKS_APART_MS = 2 * MINUTE
"""How far the provider's clock may be behind ours when it dates a message."""


class Missed:
    """Receives what the webhooks missed. A message is left to them for ``grace_ms``, since they know more of it.

    ``base`` holds for owners that chose nothing.
    """

    def __init__(
        self,
        database: Database,
        accounts: Accounts,
        channel: Channel,
        clock: Clock,
        *,
        base: Preferences,
        digests: Digests,
        grace_ms: int,
    ) -> None:
        self._database = database
        self._accounts = accounts
        self._channel = channel
        self._clock = clock
        self._base = base
        self._digests = digests
        self._grace_ms = grace_ms

    async def handle(self, job: Job) -> None:  # noqa: ARG002 - what every handler is given
        """Have every connected account looked at."""
        await self._database.system_write(_look_at_all, now=self._clock.now())

    async def handle_account(self, job: Job) -> None:
        """Receive what was missed at the account's numbers.

        What the provider does not list, or was written just now, is left to the next sweep: it looks from where this one stood.
        """
        numbers = await self._database.read(job.owner_id, missed_store.heard_until, job.argument("account_id"))
        for address, until in numbers.items():
            await self._listen(job, address, until)

    async def _listen(self, job: Job, address: str, until: int) -> None:
        # The provider dates by the second: what it dates to this one may have been written at its end.
        told_by = self._clock.now() - self._grace_ms - SECOND
        try:
            account = await self._accounts.of_owner(job.owner_id, address)
            found = await self._channel.heard(account, address, until - _CLOCKS_APART_MS)
        except NotFound:  # disconnected meanwhile
            return
        except SendError as exc:
            log.warning("missed.not_listed", owner=job.owner_id, reason=str(exc))
            return
        found = [heard for heard in found if heard.created_at <= told_by]
        unknown = await self._database.read(job.owner_id, _unknown, found, self._digests)
        received = [await self._receive(account, heard) for heard in unknown]
        if all(received):
            await self._database.write(job.owner_id, missed_store.set_heard, address, told_by)

    async def _receive(self, account: Account, heard: Heard) -> bool:
        """False if the message has to be asked for again."""
        try:
            message = await self._fetched(account, heard)
        except SendError as exc:
            log.warning("missed.not_fetched", owner=account.owner_id, sid=heard.provider_sid, reason=str(exc))
            return False
        except WtaiError as exc:
            log.error("missed.unreadable", owner=account.owner_id, sid=heard.provider_sid, reason=str(exc))  # noqa: TRY400
            return True
        chosen, now = merged(self._base, account.preferences), self._clock.now()
        received = await self._database.write(account.owner_id, inbox.receive, message, chosen, digests=self._digests, now=now)
        log.info("missed.received", owner=account.owner_id, sid=heard.provider_sid, kind=message.kind, new=received.new)
        return True

    async def _fetched(self, account: Account, heard: Heard) -> Inbound:
        """The message; without its files where the provider refuses to name them, or has not named them for a day."""
        try:
            return await self._channel.fetch(account, heard)
        except SendError as exc:
            if not isinstance(exc, SendRejected) and self._clock.now() - heard.created_at < DAY:
                raise
        return await self._channel.fetch(account, replace(heard, media=0))


def _look_at_all(tx: SystemTx, *, now: int) -> None:
    # What is written to an owner that is shut out counts for nothing, when it is let in again, too.
    missed_store.hear_nothing_of_disabled(tx, until=now + _CLOCKS_APART_MS)
    for account in missed_store.connected_accounts(tx):
        name = f"missed:{account.id}"
        owner = tx.for_owner(account.owner_id)
        enqueue(owner, MISSED_OF, {"account_id": account.id}, key=name, unique_key=name, priority=BACKGROUND, now=now)


def _unknown(tx: OwnerTx, found: list[Heard], digests: Digests) -> list[Heard]:
    """Those that are not here, and were not erased here with whoever wrote them."""
    new = [heard for heard in found if not has_message(tx, heard.provider_sid)]
    return [
        heard
        for heard in new
        if not missed_store.was_erased_since(tx, digests(tx, heard.sender), heard.created_at - _CLOCKS_APART_MS)
    ]
