"""Counts what models cost, and keeps within the owner's budgets: what a call could cost at most is held before it is made."""

from dataclasses import KW_ONLY, dataclass, field, replace

from wtai.ai.llm import Assistant, Llm, LlmRequest, Reply, Usage
from wtai.ai.paying import OUTCOME_UNKNOWN, Payer
from wtai.ai.pricing import LEAST_OUTPUT_TOKENS, Prices, Quote, most_prompt_tokens
from wtai.ai.usage_store import Budgets
from wtai.clock import Clock
from wtai.db.tx import Database
from wtai.errors import LlmError


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
        return MeteredLlm(self, Payer(self.database, self.clock, owner_id, user_id, feature, budgets))


class MeteredLlm:
    """An :class:`~wtai.ai.llm.Llm` for one turn, which ``payer`` pays for; ``spent`` is what it came to so far."""

    def __init__(self, meter: Meter, payer: Payer) -> None:
        self.spent = Spent()
        self._meter = meter
        self._payer = payer
        self._stepped_to: str | None = None

    async def reply(self, request: LlmRequest) -> Reply:
        """Ask once, with the model and length that the budgets have room for; BudgetReached, and nothing is asked, if for none.

        Else it raises what the model raises.
        """
        now = self._meter.clock.now()
        purpose = self._payer.purpose(now)
        quotes = self._quotes(request)
        held = await self._payer.hold(purpose, quotes, now) if self._payer.budgets.limited else None
        quote = held or quotes[0]
        if quote != quotes[0]:
            self._stepped_to = quote.model
        stepped_down = self._stepped_to is not None
        self.spent = replace(self.spent, calls=self.spent.calls + 1, model=quote.model, stepped_down=stepped_down)
        try:
            reply = await self._meter.llm.reply(self._as_quoted(request, quote))
        except LlmError as failed:
            if held and failed.code not in OUTCOME_UNKNOWN:
                await self._payer.settle(purpose, held, 0, Usage())
            raise
        cost = self._cost(reply, quote)
        self.spent = replace(self.spent, cost=self.spent.cost + cost, usage=self.spent.usage + reply.usage)
        await self._payer.settle(purpose, held, cost, reply.usage)
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
