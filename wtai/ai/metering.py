"""Counts what models cost, and keeps within the owner's budgets: what a call could cost at most is held before it is made."""

from dataclasses import KW_ONLY, dataclass, field, replace

import structlog

from wtai.ai.llm import Assistant, Llm, LlmRequest, Reply, Usage
from wtai.ai.pricing import LEAST_OUTPUT_TOKENS, Prices, Quote, most_prompt_tokens
from wtai.ai.usage_store import Budgets, Purpose, Refused, book, day_of, hold, resets_at, settle
from wtai.clock import Clock
from wtai.db.tx import Database, SystemTx
from wtai.errors import BudgetReached, LlmError

log = structlog.get_logger(__name__)

OUTCOME_UNKNOWN = frozenset(
    {"timeout", "connection", "malformed_response", "empty_choices", "http_408", "http_502", "http_504", "http_524"}
)
"""Codes of failures after which the provider may have done the work: no answer came, a useless one, or a gateway's in its place.
After any other failure nothing was produced, and providers do not charge for it."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What the calls of a turn came to. ``cost`` in micros; ``calls`` were made, ``usage.requests`` of them answered.

    ``model`` was asked last. ``stepped_down``: a budget asked for the small model, or for a shorter answer.
    """

    cost: int = 0
    usage: Usage = field(default_factory=Usage)
    calls: int = 0
    model: str = ""
    stepped_down: bool = False


@dataclass(frozen=True, slots=True)
class Meter:
    """Puts a meter before ``llm``. ``model`` is what ``llm`` asks where a request names none, ``small_model`` the step down."""

    database: Database
    llm: Llm
    prices: Prices
    clock: Clock
    _: KW_ONLY
    model: str
    small_model: str

    def of(self, owner_id: int, user_id: int, feature: str, budgets: Budgets) -> "MeteredLlm":
        """The model for one turn, booked under this owner, person and feature."""
        return MeteredLlm(self, owner_id, user_id, feature, budgets)


class MeteredLlm:
    """An :class:`~wtai.ai.llm.Llm` for one turn; ``spent`` is what it came to so far.

    Without a budget nothing is written before a call. The write after a call does not wait for the disk: a power cut may undo
    it, which leaves a call with a budget held at its most, and one without uncounted.
    """

    def __init__(self, meter: Meter, owner_id: int, user_id: int, feature: str, budgets: Budgets) -> None:
        self.spent = Spent()
        self._meter = meter
        self._owner_id = owner_id
        self._user_id = user_id
        self._feature = feature
        self._budgets = budgets
        self._stepped_to: str | None = None

    async def reply(self, request: LlmRequest) -> Reply:
        """Ask once, with the model and length that the budgets have room for; BudgetReached, and nothing is asked, if for none.

        Else it raises what the model raises.
        """
        now = self._meter.clock.now()
        purpose = Purpose(self._user_id, self._feature, day_of(now))
        quotes = self._quotes(request)
        quote = await self._hold(purpose, quotes, now) if self._budgets.limited else quotes[0]
        if quote != quotes[0]:
            self._stepped_to = quote.model
        stepped_down = self._stepped_to is not None
        self.spent = replace(self.spent, calls=self.spent.calls + 1, model=quote.model, stepped_down=stepped_down)
        try:
            reply = await self._meter.llm.reply(self._as_quoted(request, quote))
        except LlmError as failed:
            if self._budgets.limited and failed.code not in OUTCOME_UNKNOWN:
                await self._settle(purpose, quote, 0, Usage())
            raise
        cost = self._cost(reply, quote)
        self.spent = replace(self.spent, cost=self.spent.cost + cost, usage=self.spent.usage + reply.usage)
        await self._settle(purpose, quote, cost, reply.usage)
        return reply

    def _quotes(self, request: LlmRequest) -> list[Quote]:
        """The ways to make the call, best first: as asked, on the small model, on the small model and cut short.

        A turn that stepped down stays there, so that its models do not alternate.
        """
        prices, most = self._meter.prices, request.max_output_tokens
        model = self._stepped_to or self._asked(request)
        asked = Quote(model, prices.price(model), most_prompt_tokens(request), most, most)
        small = replace(asked, model=self._meter.small_model, price=prices.price(self._meter.small_model))
        cheaper = min(asked, small, key=lambda quote: quote.most)
        return [asked, cheaper, replace(cheaper, least_output_tokens=min(LEAST_OUTPUT_TOKENS, most))]

    async def _hold(self, purpose: Purpose, quotes: list[Quote], now: int) -> Quote:
        found = await self._meter.database.write(self._owner_id, hold, purpose, self._budgets, quotes, now=now)
        match found:
            case Quote():
                return found
            case Refused(budget, first):
                if first:
                    log.warning("budget.reached", owner=self._owner_id, budget=budget, day=purpose.day)
                anew = resets_at(budget, now)
                raise BudgetReached(
                    f"budget_{budget}_usd leaves too little for a model call; raise it, or wait until {day_of(anew)} (UTC)",
                    budget=budget,
                    resets_at=anew,
                    first=first,
                )

    async def _settle(self, purpose: Purpose, quote: Quote, cost: int, usage: Usage) -> None:
        def write(tx: SystemTx) -> None:
            if self._budgets.limited:
                settle(tx.for_owner(self._owner_id), purpose, held=quote.most, cost=cost, usage=usage)
            else:
                book(tx.for_owner(self._owner_id), purpose, cost=cost, usage=usage)

        await self._meter.database.system_write_relaxed(write)

    def _asked(self, request: LlmRequest) -> str:
        return request.model or self._meter.model

    def _as_quoted(self, request: LlmRequest, quote: Quote) -> LlmRequest:
        if quote.model == self._asked(request):
            return replace(request, max_output_tokens=quote.output_tokens)
        # Another model cannot open the sealed reasoning of the one before it.
        messages = tuple(
            replace(message, reasoning=()) if isinstance(message, Assistant) else message for message in request.messages
        )
        return replace(request, messages=messages, model=quote.model, max_output_tokens=quote.output_tokens)

    def _cost(self, reply: Reply, quote: Quote) -> int:
        """What the answer cost, by the model that the server names if its price is known, else by the one that was asked.

        An answer without a count of tokens costs what it can cost at most.
        """
        if not reply.usage.prompt:
            return quote.most
        return (self._meter.prices.known(reply.model) or quote.price).cost(reply.usage)
