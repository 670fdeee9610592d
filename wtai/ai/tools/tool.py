"""A tool: something an agent may do, with its arguments typed and its authority given by the server."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel, ConfigDict

from wtai.ai.llm import ToolSpec
from wtai.errors import WtaiError

IDENTITY = frozenset({"owner_id", "user_id", "conversation_id"})
"""Names that no tool may take from the model."""

DEFAULT_TIMEOUT_SECONDS = 15.0


class ToolError(WtaiError):
    """The tool could not do it, for a reason the model may read and tell: the message is written for it."""


@dataclass(frozen=True, slots=True)
class ToolContext:
    """For whom a tool works. Built by the server from the conversation, never from anything the model said."""

    owner_id: int
    user_id: int
    conversation_id: int


class Arguments(BaseModel):
    """The base of every tool's arguments: unknown names, NaN and wrong types are refused, not repaired."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


A = TypeVar("A", bound=Arguments)


@dataclass(frozen=True)
class Tool(Generic[A]):
    """A tool of an agent. ``run`` returns a value that JSON can express (Decimal, dates and dataclasses included); what it
    raises reaches the log, never the model, unless it is a ToolError. After a tool that
    ``ends_turn`` the model is not asked again. ValueError if the arguments name an identity.
    """

    name: str
    description: str
    arguments: type[A]
    run: Callable[[ToolContext, A], Awaitable[object]]
    timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS
    ends_turn: bool = False

    def __post_init__(self) -> None:
        taken = IDENTITY & self.arguments.model_fields.keys()
        if taken:
            raise ValueError(f"tool {self.name}: {', '.join(sorted(taken))} comes from the context; remove it from the arguments")

    @cached_property
    def spec(self) -> ToolSpec:
        """The tool as the model sees it: the same bytes for the life of the process, for the provider's prefix cache."""
        return ToolSpec(self.name, self.description, _without_titles(self.arguments.model_json_schema()))


AnyTool = Tool[Any]


def _without_titles(schema: dict[str, object]) -> dict[str, object]:
    """Drop pydantic's ``title`` of each node, which repeats the name; a property called title holds a schema and stays."""
    return {key: _schema_value(value) for key, value in schema.items() if not (key == "title" and isinstance(value, str))}


def _schema_value(value: object) -> object:
    match value:
        case dict():
            return _without_titles(value)
        case list():
            return [_schema_value(item) for item in value]
        case _:
            return value
