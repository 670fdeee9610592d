"""POST /chat/completions: our messages to its body, its body to our Reply. Pure; without the SDK.

https://platform.openai.com/docs/api-reference/chat. Servers that only resemble OpenAI's leave out ids, usage and contents, or
send arguments as an object: all of that is read here.
"""

from typing import assert_never

from pydantic import BaseModel

from wtai.ai.llm import Assistant, Finish, Image, LlmRequest, Message, Reply, System, ToolCall, ToolResult, ToolSpec, Usage, User
from wtai.ai.wire import arguments_text, distinct, parsed, sendable_arguments, sendable_name
from wtai.errors import LlmUnavailable

PATH = "/chat/completions"

_FINISHES = {"length": Finish.LENGTH, "content_filter": Finish.CONTENT_FILTER}


class _Function(BaseModel):
    name: str
    arguments: str | dict[str, object] | None = None


class _ToolCall(BaseModel):
    id: str | None = None
    function: _Function


class _Part(BaseModel):
    text: str | None = None


class _Message(BaseModel):
    content: str | list[_Part] | None = None
    refusal: str | None = None
    tool_calls: list[_ToolCall] | None = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None


class _PromptDetails(BaseModel):
    cached_tokens: int | None = None


class _Usage(BaseModel):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _PromptDetails | None = None


class _Completion(BaseModel):
    model: str | None = None
    choices: list[_Choice] | None = None
    usage: _Usage | None = None


def body(request: LlmRequest, model: str) -> dict[str, object]:
    """The JSON body of one call. Temperature is never sent: reasoning models refuse it."""
    sent: dict[str, object] = {
        "model": model,
        "messages": [_message(message) for message in request.messages],
        "max_completion_tokens": request.max_output_tokens,
    }
    if request.tools:
        sent["tools"] = [_tool(spec) for spec in request.tools]
        if not request.may_call_tools:
            sent["tool_choice"] = "none"
    if request.response_schema:
        schema = {"name": request.response_schema.name, "schema": request.response_schema.schema, "strict": True}
        sent["response_format"] = {"type": "json_schema", "json_schema": schema}
    return sent


def reply(raw: bytes, asked_model: str) -> Reply:
    """The server's answer. LlmUnavailable if it is malformed or holds no choice."""
    completion = parsed(_Completion, raw)
    if not completion.choices:
        raise LlmUnavailable("the model server answered without a choice", code="empty_choices")
    choice = completion.choices[0]
    text = _text(choice.message.content)
    calls = distinct(
        ToolCall(call.id or "", call.function.name, arguments_text(call.function.arguments))
        for call in choice.message.tool_calls or ()
    )
    return Reply(
        text=text,
        finish=_finish(choice, called=bool(calls)),
        model=completion.model or asked_model,
        tool_calls=calls,
        usage=_usage(completion.usage or _Usage()),
    )


def _message(message: Message) -> dict[str, object]:
    match message:
        case System() | User(images=()):
            return {"role": message.role, "content": message.text}
        case User():
            return {"role": "user", "content": [{"type": "text", "text": message.text}, *map(_picture, message.images)]}
        case ToolResult():
            return {"role": "tool", "tool_call_id": message.call_id, "content": message.text}
        case Assistant(tool_calls=()):
            return {"role": "assistant", "content": message.text}
        case Assistant():
            calls = [_call(call) for call in message.tool_calls]
            return {"role": "assistant", "content": message.text or None, "tool_calls": calls}
        case _:
            assert_never(message)


def _picture(image: Image) -> dict[str, object]:
    return {"type": "image_url", "image_url": {"url": image.url}}


def _call(call: ToolCall) -> dict[str, object]:
    function = {"name": sendable_name(call.name), "arguments": sendable_arguments(call.arguments)}
    return {"id": call.id, "type": "function", "function": function}


def _tool(spec: ToolSpec) -> dict[str, object]:
    function = {"name": spec.name, "description": spec.description, "parameters": spec.parameters}
    return {"type": "function", "function": function}


def _text(content: str | list[_Part] | None) -> str:
    match content:
        case None:
            return ""
        case str():
            return content
        case parts:
            return "".join(part.text for part in parts if part.text)


def _finish(choice: _Choice, *, called: bool) -> Finish:
    if choice.message.refusal:
        return Finish.REFUSAL
    stopped = _FINISHES.get(choice.finish_reason or "", Finish.STOP)
    return Finish.TOOL_CALLS if called and stopped is Finish.STOP else stopped


def _usage(usage: _Usage) -> Usage:
    details = usage.prompt_tokens_details or _PromptDetails()
    return Usage(usage.prompt_tokens or 0, usage.completion_tokens or 0, details.cached_tokens or 0, requests=1)
