"""What calls to models cost: what one did cost, and what it can cost at most before it is made.

Money is whole millionths of a US dollar (micros), so that sums are exact; a part of one counts as a whole one.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from math import ceil
from typing import Protocol, Self, TypeVar, assert_never

from wtai import settings
from wtai.ai.llm import Assistant, LlmRequest, Message, System, ToolResult, ToolSpec, Usage, User
from wtai.ai.wire import sendable_arguments

MICROS = 1_000_000
"""Micros in a dollar, and tokens in the unit of a price."""

LEAST_OUTPUT_TOKENS = 256
"""A call is not cut below this to fit a budget: less is no answer."""

_IMAGE_TOKENS = 12_000
"""A picture has at most 10,000 patches, which the models of this generation count 1.2 times (OpenAI's guide to images)."""
_FRAME_TOKENS = 16
"""What the server puts around a message, a tool call or a tool: 3 to 8 tokens with OpenAI's models."""
_OPENING_TOKENS = 64
"""What the server puts around the whole prompt and its tools."""

P = TypeVar("P")

_VERSION = re.compile(r"(?:[-@:](?:\d{4}[\d-]*|latest))?")


@dataclass(frozen=True, slots=True)
class Price:
    """Micros per million tokens: of the prompt, of its cached part, of the output."""

    input: int
    cached: int
    output: int

    @classmethod
    def of(cls, text: str) -> "Price":
        """Dollars per million tokens as settings write them: ``input 0.25 cached 0.025 output 2.00``."""
        _, fresh, _, cached, _, output = text.split()
        return cls(*(int(Decimal(dollars) * MICROS) for dollars in (fresh, cached, output)))

    def cost(self, usage: Usage) -> int:
        """What these tokens cost in micros, rounded up. The prompt's tokens include the cached ones."""
        cached = min(usage.cached, usage.prompt)
        tokens = (usage.prompt - cached) * self.input + cached * self.cached + usage.completion * self.output
        return -(-tokens // MICROS)


@dataclass(frozen=True, slots=True)
class Minute:
    """Micros per minute of sound."""

    micros: int

    @classmethod
    def of(cls, text: str) -> "Minute":
        """Dollars as settings write them: ``minute 0.0045``."""
        _, dollars = text.split()
        return cls(int(Decimal(dollars) * MICROS))

    def cost(self, seconds: float) -> int:
        """What so much sound costs in micros, by whole seconds, rounded up."""
        return -(-ceil(seconds) * self.micros // 60)


@dataclass(frozen=True, slots=True)
class Prices:
    """The price of each known model, of those that read and of those that listen, and the ones of all others."""

    models: Mapping[str, Price]
    default: Price
    minutes: Mapping[str, Minute]
    default_minute: Minute

    @classmethod
    def of(cls, section: settings.Prices) -> "Prices":
        """The table that the settings hold."""
        named = dict(line.split(maxsplit=1) for line in section.models)
        minutes = {model: Minute.of(price) for model, price in named.items() if price.startswith(settings.MINUTE)}
        models = {model: Price.of(price) for model, price in named.items() if model not in minutes}
        return cls(models, Price.of(section.default), minutes, Minute.of(section.default_minute))

    def known(self, model: str) -> Price | None:
        """The price of the longest name that ``model`` is, or is a dated version of (``gpt-5.4-mini-2026-03-17``)."""
        return _named(self.models, model)

    def price(self, model: str) -> Price:
        """The price of ``model``; the default for one nobody knows."""
        return self.known(model) or self.default

    def minute(self, model: str) -> Minute:
        """The price of ``model``, which listens; the default for one nobody knows."""
        return _named(self.minutes, model) or self.default_minute


def cost(prices: Prices, model: str, usage: Usage) -> int:
    """What ``usage`` of ``model`` cost, in micros, rounded up."""
    return prices.price(model).cost(usage)


class Offer(Protocol):
    """A way to make a call."""

    @property
    def most(self) -> int:
        """What the call costs at most, in micros."""

    def within(self, micros: int) -> Self | None:
        """The call as far as ``micros`` pay for it; None if that is too little."""


@dataclass(frozen=True, slots=True)
class Fixed:
    """A call that cannot be had for less."""

    most: int

    def within(self, micros: int) -> "Fixed | None":
        return self if self.most <= micros else None


@dataclass(frozen=True, slots=True)
class Quote:
    """A call on ``model``: with at most so many tokens in and out, of which ``least_output_tokens`` are worth asking for."""

    model: str
    price: Price
    prompt_tokens: int
    output_tokens: int
    least_output_tokens: int

    @property
    def most(self) -> int:
        """What the call costs at most, in micros."""
        return -(-(self._prompt + self.output_tokens * self.price.output) // MICROS)

    def within(self, micros: int) -> "Quote | None":
        """The call with as much output as ``micros`` pay for; None if that is too little."""
        left = micros * MICROS - self._prompt
        affordable = left // self.price.output if self.price.output and left >= 0 else self.output_tokens
        output_tokens = min(self.output_tokens, affordable)
        if left < 0 or output_tokens < self.least_output_tokens:
            return None
        return replace(self, output_tokens=output_tokens)

    @property
    def _prompt(self) -> int:
        return self.prompt_tokens * max(self.price.input, self.price.cached)


def most_tokens(texts: Iterable[str]) -> int:
    """A number of tokens that ``texts`` alone cannot exceed, for the reason told below."""
    return sum(map(_bytes, texts))


def most_prompt_tokens(request: LlmRequest) -> int:
    """A number of tokens that the prompt cannot exceed, in any language and for any tokenizer of bytes.

    A token stands for one byte at least, so the bytes of all texts, with what the server puts around them, are a bound that needs
    no tokenizer. (They are some four times the true number: a divisor would be closer, and wrong for rare scripts and emoji.)
    Sealed reasoning counts with its sealed length.
    """
    schema = _bytes(json.dumps(request.response_schema.schema, ensure_ascii=False)) if request.response_schema else 0
    messages = sum(_message_tokens(message) for message in request.messages)
    return _OPENING_TOKENS + schema + messages + sum(_tool_tokens(tool) for tool in request.tools)


def _named(table: Mapping[str, P], model: str) -> P | None:
    names = (name for name in table if model.startswith(name) and _VERSION.fullmatch(model, len(name)))
    longest = max(names, key=len, default=None)
    return table[longest] if longest else None


def _message_tokens(message: Message) -> int:
    match message:
        case System():
            return _FRAME_TOKENS + _bytes(message.text)
        case User():
            return _FRAME_TOKENS + _bytes(message.text) + _IMAGE_TOKENS * len(message.images)
        case ToolResult():
            return _FRAME_TOKENS + _bytes(message.text) + _bytes(message.call_id)
        case Assistant():
            calls = (
                _FRAME_TOKENS + _bytes(call.id + call.name + sendable_arguments(call.arguments)) for call in message.tool_calls
            )
            return _FRAME_TOKENS + _bytes(message.text) + sum(map(_bytes, message.reasoning)) + sum(calls)
        case _:
            assert_never(message)


def _tool_tokens(tool: ToolSpec) -> int:
    parameters = json.dumps(tool.parameters, ensure_ascii=False)
    return _FRAME_TOKENS + _bytes(tool.name) + _bytes(tool.description) + _bytes(parameters)


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "replace"))
