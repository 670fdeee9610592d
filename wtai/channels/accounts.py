"""The owners' accounts with their secrets opened, kept in memory for a short while: the webhook asks on every request."""

import json
from collections import OrderedDict
from dataclasses import dataclass

from wtai.channels import store
from wtai.channels.channel import Account
from wtai.clock import Clock
from wtai.db.tx import Database, OwnerTx
from wtai.errors import NotFound
from wtai.identity.quota import require_room_for_number
from wtai.secrets import Sealer

TOKEN_FIELD = "twilio_accounts.tokens"  # noqa: S105 - the name of a column
_KEPT_SECONDS = 5.0
_KEPT = 4_096


@dataclass(frozen=True, slots=True)
class _Kept:
    account: Account
    until: float


class Accounts:
    """Finds accounts. What is found counts for five seconds, so that a rotated token or a disabled owner takes effect by then."""

    def __init__(self, database: Database, sealer: Sealer, clock: Clock) -> None:
        self._database = database
        self._sealer = sealer
        self._clock = clock
        self._kept: OrderedDict[tuple[str, str], _Kept] = OrderedDict()

    async def of_webhook(self, account_sid: str, address: str) -> Account | None:
        """The account a webhook claims to come from; None if no active owner connected this address with it."""
        now = self._clock.monotonic()
        kept = self._kept.get((account_sid, address))
        if kept is not None and kept.until > now:
            return kept.account
        sealed = await self._database.system_read(store.account_of_address, account_sid, address)
        if sealed is None:
            return None
        account = self._opened(sealed)
        self._kept[(account_sid, address)] = _Kept(account, now + _KEPT_SECONDS)
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return account

    async def of_owner(self, owner_id: int, address: str) -> Account:
        """The account to send with from one of the owner's addresses. NotFound if it is no longer connected."""
        sealed = await self._database.read(owner_id, store.account_of_owner, address)
        if sealed is None:
            raise NotFound("the conversation's own address is not connected any more; `wtai twilio connect` connects it")
        return self._opened(sealed)

    def _opened(self, sealed: store.SealedAccount) -> Account:
        tokens = [self._sealer.unseal(sealed.owner_id, TOKEN_FIELD, token) for token in json.loads(sealed.tokens)]
        return Account(sealed.owner_id, sealed.account_sid, tuple(tokens), sealed.preferences)


def connect(tx: OwnerTx, sealer: Sealer, account_sid: str, tokens: list[str], addresses: list[str], *, now: int) -> None:
    """Connect an account and its addresses to the owner, or replace its tokens.

    NotFound if another owner has an address; QuotaReached if the owner's plan has no room for another.
    """
    sealed = json.dumps([sealer.seal(tx.owner_id, TOKEN_FIELD, token) for token in tokens])
    store.put_account(tx, account_sid, sealed, now=now)
    for address in addresses:
        if not connect_number(tx, account_sid, address, now=now):
            raise NotFound(f"{address} is connected to another owner with this account")


def connect_number(tx: OwnerTx, account_sid: str, address: str, *, now: int) -> bool:
    """Connect an address with the account, and with no other of the owner's; False if another owner has it. QuotaReached."""
    if (account_sid, address) in store.numbers(tx):
        return True
    store.release_number(tx, address)
    require_room_for_number(tx, len(store.numbers(tx)))
    return store.put_number(tx, account_sid, address, now=now)
