"""A tool: something an agent may do, with its arguments typed and its authority given by the server."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel, ConfigDict

from wtai.ai.llm import ToolSpec
from wtai.db.tx import OwnerTx
from wtai.errors import WtaiError

IDENTITY = frozenset({"owner_id", "user_id", "conversation_id"})
"""Names that no tool may take from the model."""

DEFAULT_TIMEOUT_SECONDS = 15.0


class ToolError(WtaiError):
    """The tool could not do it, for a reason the model may read and tell: the message is written for it."""


class Effect(StrEnum):
    """What a tool may change. IRREVERSIBLE runs only once the person has said yes to what exactly would happen."""

    READ = "read"
    REVERSIBLE = "reversible"
    IRREVERSIBLE = "irreversible"


@dataclass(frozen=True, slots=True)
class ToolContext:
    """For whom, when and in which language a tool works. Built by the server, never from anything the model said.

    ``message_id`` is the person's newest message of the turn, ``now`` in ms since 1970, ``time_zone`` the owner's (IANA name),
    ``locale`` one of pt-BR, es, en. ``call_id`` is the same at each try of the same call.
    """

    owner_id: int
    user_id: int
    conversation_id: int
    message_id: int
    now: int
    time_zone: str
    locale: str
    call_id: str = ""


class Arguments(BaseModel):
    """The base of every tool's arguments: unknown names, NaN and wrong types are refused, not repaired."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


A = TypeVar("A", bound=Arguments)

Work = Callable[[OwnerTx, ToolContext, A], object]
Run = Callable[[ToolContext, A], Awaitable[object]]


@dataclass(frozen=True)
class Tool(Generic[A]):
    """A tool of an agent: ``work`` inside the owner's data, or ``run`` outside of it; one of the two.

    Either returns a value that JSON can express (Decimal, dates and dataclasses included); what it raises reaches the log, never
    the model, unless it is a ToolError. ``work`` runs in a transaction, which cannot write when the effect is READ; with
    another effect it commits together with the record that it ran, so that it takes effect once in a turn, however often the
    turn is tried.

    ``asks`` tells of a call with a lesser effect that it, too, has to be confirmed; ``question`` is what the person is then
    asked, in the language of the context, naming the exact effect (required of a tool that asks). ``claims`` finds the words
    with which an answer says that the tool did its work ("registrei"): without a successful call in the turn they are not sent.
    After a tool that ``ends_turn`` the model is not asked again. ValueError on a contradiction, or if the arguments name an
    identity.
    """

    name: str
    description: str
    arguments: type[A]
    work: Work[A] | None = None
    run: Run[A] | None = None
    effect: Effect = Effect.READ
    asks: Callable[[A], bool] | None = None
    question: Callable[[OwnerTx, ToolContext, A], str] | None = None
    claims: re.Pattern[str] | None = None
    timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS
    ends_turn: bool = False

    def __post_init__(self) -> None:
        if (self.work is None) == (self.run is None):
            raise ValueError(f"tool {self.name}: give it work or run, one of them")
        if self.question is None and (self.effect is Effect.IRREVERSIBLE or self.asks is not None):
            raise ValueError(f"tool {self.name} asks before it runs: give it a question")
        taken = IDENTITY & self.arguments.model_fields.keys()
        if taken:
            raise ValueError(f"tool {self.name}: {', '.join(sorted(taken))} comes from the context; remove it from the arguments")

    def must_ask(self, arguments: A) -> bool:
        """Whether the person has to confirm this call before it runs."""
        return self.effect is Effect.IRREVERSIBLE or (self.asks is not None and self.asks(arguments))

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
