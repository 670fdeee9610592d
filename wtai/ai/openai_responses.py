"""POST /responses, stateless: our messages to its body, its body to our Reply. Pure; without the SDK.

https://platform.openai.com/docs/api-reference/responses. Nothing is stored with the provider (``store: false``): the whole input
is sent each time, and a reasoning model's sealed items travel back with the tool results of the same turn.
"""

from typing import assert_never

from pydantic import BaseModel
from pydantic_core import from_json, to_json

from wtai.ai.llm import Assistant, Finish, Image, LlmRequest, Message, Reply, System, ToolCall, ToolResult, ToolSpec, Usage, User
from wtai.ai.wire import arguments_text, distinct, parsed, sendable_arguments, sendable_name
from wtai.errors import LlmUnavailable

PATH = "/responses"

_CUT_SHORT = {"max_output_tokens": Finish.LENGTH, "content_filter": Finish.CONTENT_FILTER}


class _Part(BaseModel):
    type: str
    text: str | None = None
    refusal: str | None = None


class _Item(BaseModel):
    type: str
    id: str | None = None
    content: list[_Part] | None = None
    summary: list[dict[str, object]] | None = None
    encrypted_content: str | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | dict[str, object] | None = None


class _Details(BaseModel):
    reason: str | None = None


class _Error(BaseModel):
    code: str | None = None


class _InputDetails(BaseModel):
    cached_tokens: int | None = None


class _Usage(BaseModel):
    input_tokens: int | None = None
    output_tokens: int | None = None
    input_tokens_details: _InputDetails | None = None


class _Response(BaseModel):
    model: str | None = None
    status: str | None = None
    error: _Error | None = None
    incomplete_details: _Details | None = None
    output: list[_Item]
    usage: _Usage | None = None


def body(request: LlmRequest, model: str, *, sealed_reasoning: bool) -> dict[str, object]:
    """The JSON body of one call. ``sealed_reasoning`` asks for reasoning that can be sent back; not every model has it."""
    sent: dict[str, object] = {
        "model": model,
        "input": [item for message in request.messages for item in _items(message, sealed_reasoning=sealed_reasoning)],
        "store": False,
        "max_output_tokens": request.max_output_tokens,
    }
    if sealed_reasoning:
        sent["include"] = ["reasoning.encrypted_content"]
    if request.tools:
        sent["tools"] = [_tool(spec) for spec in request.tools]
        if not request.may_call_tools:
            sent["tool_choice"] = "none"
    if request.response_schema:
        schema = request.response_schema
        sent["text"] = {"format": {"type": "json_schema", "name": schema.name, "schema": schema.schema, "strict": True}}
    return sent


def reply(raw: bytes, asked_model: str) -> Reply:
    """The server's answer. LlmUnavailable if it is malformed, failed or holds nothing."""
    response = parsed(_Response, raw)
    if response.status in {"failed", "cancelled"}:
        code = response.error.code if response.error and response.error.code else "failed_response"
        raise LlmUnavailable("the model server gave up on this response", code=code)
    if not response.output and response.status != "incomplete":
        raise LlmUnavailable("the model server answered without an output", code="empty_choices")
    calls = distinct(
        ToolCall(item.call_id or "", item.name or "", arguments_text(item.arguments))
        for item in response.output
        if item.type == "function_call"
    )
    parts = [part for item in response.output if item.type == "message" for part in item.content or ()]
    return Reply(
        text="".join(part.text for part in parts if part.type == "output_text" and part.text),
        finish=_finish(response, parts, called=bool(calls)),
        model=response.model or asked_model,
        tool_calls=calls,
        usage=_usage(response.usage or _Usage()),
        reasoning=tuple(_sealed(item) for item in response.output if item.type == "reasoning" and item.encrypted_content),
    )


def _items(message: Message, *, sealed_reasoning: bool) -> list[object]:
    match message:
        case System() | User(images=()):
            return [{"role": message.role, "content": message.text}]
        case User():
            content = [{"type": "input_text", "text": message.text}, *map(_picture, message.images)]
            return [{"role": "user", "content": content}]
        case ToolResult():
            return [{"type": "function_call_output", "call_id": message.call_id, "output": message.text}]
        case Assistant():
            items: list[object] = [from_json(item) for item in message.reasoning] if sealed_reasoning else []
            if message.text:
                items.append({"role": "assistant", "content": message.text})
            items.extend(_call(call) for call in message.tool_calls)
            return items
        case _:
            assert_never(message)


def _picture(image: Image) -> dict[str, object]:
    return {"type": "input_image", "image_url": image.url, "detail": "auto"}


def _call(call: ToolCall) -> dict[str, object]:
    return {
        "type": "function_call",
        "call_id": call.id,
        "name": sendable_name(call.name),
        "arguments": sendable_arguments(call.arguments),
    }


def _tool(spec: ToolSpec) -> dict[str, object]:
    # Left out, "strict" is true here (unlike in chat), and the server would refuse schemas with optional arguments.
    return {
        "type": "function",
        "name": spec.name,
        "description": spec.description,
        "parameters": spec.parameters,
        "strict": False,
    }


def _sealed(item: _Item) -> str:
    kept = {"type": "reasoning", "id": item.id, "summary": item.summary or [], "encrypted_content": item.encrypted_content}
    return to_json(kept).decode()


def _finish(response: _Response, parts: list[_Part], *, called: bool) -> Finish:
    if any(part.type == "refusal" for part in parts):
        return Finish.REFUSAL
    if response.status == "incomplete":
        reason = response.incomplete_details.reason if response.incomplete_details else None
        return _CUT_SHORT.get(reason or "", Finish.LENGTH)
    return Finish.TOOL_CALLS if called else Finish.STOP


def _usage(usage: _Usage) -> Usage:
    details = usage.input_tokens_details or _InputDetails()
    return Usage(usage.input_tokens or 0, usage.output_tokens or 0, details.cached_tokens or 0, requests=1)
