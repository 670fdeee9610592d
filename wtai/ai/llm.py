"""The seam to language models: our own messages, requests and replies, whatever the server speaks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Final, Literal, Protocol

from pydantic import Field, TypeAdapter

TOO_LONG: Final = "context_length_exceeded"
"""The code of LlmRefused where the messages are more than the model takes."""

OBJECTIONABLE: Final = frozenset({"content_filter", "content_policy_violation", "invalid_prompt"})
"""Codes of LlmRefused where the provider objects to what the messages say: Azure's, and OpenAI's two."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call the model asks for. ``arguments`` is its text as received: it may be no JSON at all."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class System:
    """What the operator of the agent says; the first one is the agent's prompt."""

    text: str
    role: Literal["system"] = "system"


@dataclass(frozen=True, slots=True)
class Image:
    """A picture as the model gets it: ``content_type`` is one of image/jpeg, png, webp, gif."""

    content_type: str
    base64: str

    @property
    def url(self) -> str:
        """The picture as a data URL."""
        return f"data:{self.content_type};base64,{self.base64}"


@dataclass(frozen=True, slots=True)
class User:
    """What the person said, and showed."""

    text: str
    images: tuple[Image, ...] = ()
    role: Literal["user"] = "user"


@dataclass(frozen=True, slots=True)
class Assistant:
    """What the model said: text, tool calls, or both. ``reasoning``: the provider's sealed items (JSON), valid within a turn."""

    text: str
    tool_calls: tuple[ToolCall, ...] = ()
    reasoning: tuple[str, ...] = ()
    role: Literal["assistant"] = "assistant"


@dataclass(frozen=True, slots=True)
class ToolResult:
    """The answer to one tool call, as the model reads it."""

    call_id: str
    text: str
    role: Literal["tool"] = "tool"


Message = System | User | Assistant | ToolResult

_MESSAGES: TypeAdapter[tuple[Message, ...]] = TypeAdapter(tuple[Annotated[Message, Field(discriminator="role")], ...])


def messages_to_json(messages: tuple[Message, ...]) -> str:
    """The messages as JSON text, for storing, without what is of no use after its turn: sealed reasoning, and pictures."""
    return _MESSAGES.dump_json(messages, exclude={"__all__": {"reasoning", "images"}}).decode()


def messages_from_json(text: str) -> tuple[Message, ...]:
    """What :func:`messages_to_json` wrote. ValueError on anything else."""
    return _MESSAGES.validate_json(text)


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool as the model sees it. ``parameters`` is a JSON schema of an object."""

    name: str
    description: str
    parameters: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class ResponseSchema:
    """The JSON schema a reply's text has to follow. Servers differ in how well they obey: validate what comes back."""

    name: str
    schema: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one or more calls; ``cached``: the part of ``prompt`` the provider had cached; ``requests``: calls answered."""

    prompt: int = 0
    completion: int = 0
    cached: int = 0
    requests: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.prompt + other.prompt,
            self.completion + other.completion,
            self.cached + other.cached,
            self.requests + other.requests,
        )


class Finish(StrEnum):
    """Why the model stopped."""

    STOP = "stop"
    TOOL_CALLS = "tool_calls"
    LENGTH = "length"
    CONTENT_FILTER = "content_filter"
    REFUSAL = "refusal"


@dataclass(frozen=True, slots=True)
class LlmRequest:
    """One call. ``model`` None: the adapter's own. ``may_call_tools`` False shows the tools, so that the cached prefix holds, but
    asks for text. ``max_output_tokens`` includes a reasoning model's thinking.
    """

    messages: tuple[Message, ...]
    tools: tuple[ToolSpec, ...] = ()
    model: str | None = None
    may_call_tools: bool = True
    response_schema: ResponseSchema | None = None
    max_output_tokens: int = 4096


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back. ``text`` is empty when there was none; ``model`` is the name the server gave."""

    text: str
    finish: Finish
    model: str
    tool_calls: tuple[ToolCall, ...] = ()
    usage: Usage = field(default_factory=lambda: Usage(requests=1))
    reasoning: tuple[str, ...] = ()


class Llm(Protocol):
    """A language model."""

    async def reply(self, request: LlmRequest) -> Reply:
        """Ask once. LlmUnavailable: the same call may succeed later; LlmRefused: it will fail again."""
