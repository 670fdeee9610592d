"""What one person's calls cost: held within the budgets before a call is made, as much as it could cost at most; booked after."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

import structlog

from wtai.ai.llm import Usage
from wtai.ai.pricing import Fixed, Offer
from wtai.ai.usage_store import Budgets, Purpose, Refused, book, budgets_of, day_of, hold, resets_at, settle
from wtai.clock import Clock
from wtai.db.tx import Database, SystemTx
from wtai.errors import BudgetReached, LlmError
from wtai.identity.preferences import Preferences

log = structlog.get_logger(__name__)

T = TypeVar("T")
OfferT = TypeVar("OfferT", bound=Offer)

OUTCOME_UNKNOWN: Final = frozenset(
    {
        *("timeout", "connection", "malformed_response", "empty_choices", "bad_embedding"),
        *("http_408", "http_502", "http_504", "http_524"),
    }
)
"""Codes of failures after which the provider may have done the work: no answer came, a useless one, or a gateway's in its place.
After any other failure nothing was produced, and providers do not charge for it."""


@dataclass(frozen=True, slots=True)
class Served(Generic[T]):
    """What a call brought, and what that cost in micros."""

    result: T
    cost: int
    usage: Usage


@dataclass(frozen=True, slots=True)
class Payer:
    """The person for whom calls of a feature are made, and the budgets they keep within.

    Without a budget, and for what costs nothing, nothing is written before a call. The write after a call does not wait for the
    disk: a power cut may undo it, which leaves a call with a budget held at its most, and one without uncounted.
    """

    database: Database
    clock: Clock
    owner_id: int
    user_id: int
    feature: str
    budgets: Budgets

    def purpose(self, now: int) -> Purpose:
        """For what a call that is made at ``now`` (ms) is booked."""
        return Purpose(self.user_id, self.feature, day_of(now))

    async def hold(self, purpose: Purpose, offers: Sequence[OfferT], now: int) -> OfferT:
        """Hold the money for the first of the offers that the budgets have room for, and return it. BudgetReached if for none."""
        found = await self.database.write(self.owner_id, hold, purpose, self.budgets, offers, now=now)
        if not isinstance(found, Refused):
            return found
        if found.first:
            log.warning("budget.reached", owner=self.owner_id, budget=found.budget, day=purpose.day)
        anew = resets_at(found.budget, now)
        raise BudgetReached(
            f"budget_{found.budget}_usd leaves too little for a model call; raise it, or wait until {day_of(anew)} (UTC)",
            budget=found.budget,
            resets_at=anew,
            first=found.first,
        )

    async def settle(self, purpose: Purpose, held: Offer | None, cost: int, usage: Usage) -> None:
        """Book what a call cost, in place of what was ``held`` for it."""

        def write(tx: SystemTx) -> None:
            if held is None:
                book(tx.for_owner(self.owner_id), purpose, cost=cost, usage=usage)
            else:
                settle(tx.for_owner(self.owner_id), purpose, held=held.most, cost=cost, usage=usage)

        await self.database.system_write_relaxed(write)

    async def pay(self, most: int, call: Callable[[], Awaitable[Served[T]]]) -> T:
        """Make a call that costs ``most`` micros at most, and return what it brought. BudgetReached, and it is not made, if that
        is too much; else it raises what the call raises.
        """
        now = self.clock.now()
        purpose = self.purpose(now)
        held = await self.hold(purpose, [Fixed(most)], now) if most and self.budgets.limited else None
        try:
            served = await call()
        except LlmError as failed:
            if held and failed.code not in OUTCOME_UNKNOWN:
                await self.settle(purpose, held, 0, Usage())
            raise
        await self.settle(purpose, held, served.cost, served.usage)
        return served.result


@dataclass(frozen=True, slots=True)
class Payers:
    """All people as payers, within the budgets of their owners, whose choices are over ``base``."""

    database: Database
    clock: Clock
    base: Preferences

    async def of(self, owner_id: int, user_id: int, feature: str) -> Payer:
        """One person, for calls of one feature."""
        budgets = await self.database.read(owner_id, budgets_of, self.base)
        return Payer(self.database, self.clock, owner_id, user_id, feature, budgets)
