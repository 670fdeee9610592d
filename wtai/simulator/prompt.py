"""What a model is asked, read from either wire format of OpenAI's API and checked as OpenAI checks it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import BaseModel, Field, JsonValue

from wtai.errors import WtaiError

_NOTE = "(Automatic note"
"""How a client begins what it says in the user's place: nothing that wants an answer."""

_KNOWN = ("today is", "what was said earlier")
"""What marks those that tell of the day and of the user."""


class RequestRefused(WtaiError):
    """The request is not one the API would take (400, ``invalid_request_error``)."""


class Property(BaseModel):
    """As much of a JSON schema as is needed to make up a value that fits. ``ref`` names one of the shape's ``defs``."""

    type: str | list[str] | None = None
    enum: list[JsonValue] | None = None
    anyOf: list["Property"] | None = None  # noqa: N815 - JSON Schema's own spelling
    items: "Property | None" = None
    properties: dict[str, "Property"] = {}
    ref: str | None = Field(None, alias="$ref")


class Parameters(BaseModel):
    """The arguments of a tool, or the shape an answer must have."""

    properties: dict[str, Property] = {}
    required: tuple[str, ...] = ()
    defs: dict[str, Property] = Field({}, alias="$defs")


@dataclass(frozen=True, slots=True)
class Exchange:
    """A tool call and what came back."""

    name: str
    arguments: str
    result: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """The request as the scripted model sees it.

    ``texts`` are the user's messages since the last answer (each line counts as one) and ``exchanges`` the tool results since
    then; ``earlier`` the user's messages before. ``notes`` are what the client said in the user's place since then, but for what
    it knows of the day, and of the user (``known``, a line each). ``tools`` may be called now; ``schema`` is the shape the answer
    must have, if any.
    """

    system: str
    earlier: tuple[str, ...]
    texts: tuple[str, ...]
    exchanges: tuple[Exchange, ...]
    tools: Mapping[str, Parameters]
    schema: Parameters | None
    notes: tuple[str, ...] = ()
    known: tuple[str, ...] = ()


class _Part(BaseModel):
    text: str | None = None


_Content = str | list[_Part] | None


class _Function(BaseModel):
    name: str
    arguments: str


class _Call(BaseModel):
    id: str
    function: _Function


class _ChatMessage(BaseModel):
    role: str
    content: _Content = None
    tool_calls: list[_Call] | None = None
    tool_call_id: str | None = None


class _Spec(BaseModel):
    name: str
    parameters: Parameters = Parameters()


class _ChatTool(BaseModel):
    function: _Spec


class _SchemaBody(BaseModel):
    name: str
    schema_: Parameters = Parameters()

    model_config = {"alias_generator": lambda name: name.rstrip("_")}


class _Schema(BaseModel):
    json_schema: _SchemaBody | None = None


class ChatRequest(BaseModel):
    """Body of ``POST /v1/chat/completions``."""

    model: str
    messages: list[_ChatMessage]
    tools: list[_ChatTool] = []
    tool_choice: JsonValue = None
    response_format: _Schema | None = None
    stream: bool = False

    def prompt(self) -> Prompt:
        """Raises RequestRefused when tool calls and results do not match, as OpenAI refuses them."""
        reader = _Reader()
        for message in self.messages:
            reader.message(message)
        tools = {tool.function.name: tool.function.parameters for tool in self.tools}
        shape = self.response_format.json_schema.schema_ if self.response_format and self.response_format.json_schema else None
        return reader.prompt({} if self.tool_choice == "none" else tools, shape)


class _Item(BaseModel):
    type: str = "message"
    role: str | None = None
    content: _Content = None
    call_id: str = ""
    name: str = ""
    arguments: str = ""
    output: str = ""


class _Format(BaseModel):
    schema_: Parameters | None = None

    model_config = {"alias_generator": lambda name: name.rstrip("_")}


class _TextFormat(BaseModel):
    format: _Format | None = None


class ResponsesRequest(BaseModel):
    """Body of ``POST /v1/responses``, stateless."""

    model: str
    input: str | list[_Item]
    instructions: str | None = None
    tools: list[_Spec] = []
    tool_choice: JsonValue = None
    text: _TextFormat | None = None
    stream: bool = False

    def prompt(self) -> Prompt:
        """Raises RequestRefused when a tool's output has no call or a call no output, as OpenAI refuses them."""
        reader = _Reader()
        if self.instructions:
            reader.message(_ChatMessage(role="system", content=self.instructions))
        for message in _messages(self.input):
            reader.message(message)
        tools = {tool.name: tool.parameters for tool in self.tools}
        shape = self.text.format.schema_ if self.text and self.text.format else None
        return reader.prompt({} if self.tool_choice == "none" else tools, shape)


@dataclass(slots=True)
class _Reader:
    """Collects a prompt message by message."""

    system: list[str] = field(default_factory=list)
    earlier: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    exchanges: list[Exchange] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    known: list[str] = field(default_factory=list)
    open: dict[str, _Function] = field(default_factory=dict)

    def message(self, message: _ChatMessage) -> None:
        if message.role == "tool":
            self._result(message)
            return
        self._all_answered()
        match message.role:
            case "user" if not _text(message.content).startswith(_NOTE):
                self.texts += _text(message.content).split("\n")
            case "user":
                self._note(_text(message.content))
            case "assistant" if message.tool_calls:
                self.open = {call.id: call.function for call in message.tool_calls}
            case "assistant":
                self.earlier += self.texts
                self.texts, self.exchanges, self.notes = [], [], []
            case "system" | "developer":
                self.system.append(_text(message.content))
            case other:
                raise RequestRefused(f"Invalid value for 'role': '{other}'.")

    def prompt(self, tools: Mapping[str, Parameters], schema: Parameters | None) -> Prompt:
        self._all_answered()
        system, exchanges = "\n".join(self.system), tuple(self.exchanges)
        notes, known = tuple(self.notes), tuple(self.known)
        return Prompt(system, tuple(self.earlier), tuple(self.texts), exchanges, tools, schema, notes, known)

    def _note(self, text: str) -> None:
        first, *lines = text.removesuffix(")").split("\n")
        if any(mark in first for mark in _KNOWN):
            self.known += [line.removeprefix("- ") for line in lines if line]
        else:
            self.notes.append(text)

    def _result(self, message: _ChatMessage) -> None:
        call = self.open.pop(message.tool_call_id or "", None)
        if call is None:
            raise RequestRefused("Messages with role 'tool' must be a response to a preceding message with 'tool_calls'.")
        self.exchanges.append(Exchange(call.name, call.arguments, _text(message.content)))

    def _all_answered(self) -> None:
        if self.open:
            raise RequestRefused(
                "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. "
                f"The following tool_call_ids did not have response messages: {', '.join(self.open)}"
            )


def _messages(items: str | Sequence[_Item]) -> Iterator[_ChatMessage]:
    """The items of a Responses input as chat messages: a run of calls, and the text said just before it, is one message."""
    if isinstance(items, str):
        yield _ChatMessage(role="user", content=items)
        return
    calls: list[_Call] = []
    for at, item in enumerate(items):
        following = items[at + 1].type if at + 1 < len(items) else ""
        if item.type == "function_call":
            calls.append(_Call(id=item.call_id, function=_Function(name=item.name, arguments=item.arguments)))
            if following != "function_call":
                yield _ChatMessage(role="assistant", tool_calls=calls)
                calls = []
        elif item.type == "function_call_output":
            yield _ChatMessage(role="tool", tool_call_id=item.call_id, content=item.output)
        elif item.type == "message" and not (item.role == "assistant" and following == "function_call"):
            yield _ChatMessage(role=item.role or "", content=item.content)


def _text(content: _Content) -> str:
    match content:
        case None:
            return ""
        case str():
            return content
        case parts:
            return "".join(part.text for part in parts if part.text)
