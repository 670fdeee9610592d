"""Answers in OpenAI's two wire formats: chat completions and responses (platform.openai.com/docs/api-reference)."""

import json
from dataclasses import dataclass

from pydantic import BaseModel, JsonValue

from wtai.ids import public_id

# From this size on OpenAI caches prompts, in steps of 128 tokens.
CACHED_FROM = 1_024
_STEP = 128


@dataclass(frozen=True, slots=True)
class Call:
    """A tool the model wants to have run."""

    name: str
    arguments: dict[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model says: a text, or calls."""

    text: str
    calls: tuple[Call, ...] = ()


@dataclass(frozen=True, slots=True)
class Spent:
    """Tokens of one call, reckoned at four bytes each; the system text counts as cached once the prompt is long enough."""

    prompt: int
    completion: int
    cached: int

    @classmethod
    def of(cls, prompt_bytes: int, system: str, answer: Answer) -> "Spent":
        prompt = max(1, prompt_bytes // 4)
        said = len(answer.text) + sum(len(call.name) + len(str(call.arguments)) for call in answer.calls)
        cached = len(system) // 4 // _STEP * _STEP if prompt >= CACHED_FROM else 0
        return cls(prompt, max(1, said // 4), cached)


def chat_completion(answer: Answer, spent: Spent, model: str, created: int) -> dict[str, object]:
    """Body of a chat completion; ``created`` in seconds."""
    message: dict[str, object] = {"role": "assistant", "content": answer.text or None, "refusal": None, "annotations": []}
    if answer.calls:
        message["tool_calls"] = [
            {"id": public_id("call"), "type": "function", "function": {"name": call.name, "arguments": _arguments(call)}}
            for call in answer.calls
        ]
    finish = "tool_calls" if answer.calls else "stop"
    return {
        "id": public_id("chatcmpl"),
        "object": "chat.completion",
        "created": created,
        "model": model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": finish}],
        "usage": {
            "prompt_tokens": spent.prompt,
            "completion_tokens": spent.completion,
            "total_tokens": spent.prompt + spent.completion,
            "prompt_tokens_details": {"cached_tokens": spent.cached, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
        },
        "service_tier": "default",
        "system_fingerprint": None,
    }


def response(answer: Answer, spent: Spent, model: str, created: int) -> dict[str, object]:
    """Body of a response; ``created`` in seconds."""
    output: list[dict[str, object]] = [_message_item([_text_part(answer.text)])] if answer.text else []
    output += [_call_item(public_id("call"), call.name, _arguments(call)) for call in answer.calls]
    return _response(output, _response_usage(spent), model, created)


class _Function(BaseModel):
    name: str | None = None
    arguments: JsonValue = None


class _ToolCall(BaseModel):
    id: str | None = None
    function: _Function


class _Message(BaseModel):
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[_ToolCall] | None = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None


class _Details(BaseModel):
    cached_tokens: int = 0


class _Usage(BaseModel):
    prompt_tokens: int = 0
    completion_tokens: int = 0
    prompt_tokens_details: _Details | None = None


class Completion(BaseModel):
    """A chat completion as a transcript holds it, well formed or not quite."""

    model: str = "fake-model"
    created: int = 0
    choices: list[_Choice]
    usage: _Usage | None = None

    def as_response(self) -> dict[str, object]:
        """The same answer in the other format: parts for text and refusal, items for calls, ``incomplete`` when cut short."""
        output: list[dict[str, object]] = []
        reason = None
        for choice in self.choices[:1]:
            message = choice.message
            if message.refusal:
                output.append(_message_item([{"type": "refusal", "refusal": message.refusal}]))
            elif message.content is not None:
                output.append(_message_item([_text_part(message.content)]))
            calls = message.tool_calls or ()
            output += [_call_item(call.id, call.function.name, call.function.arguments) for call in calls]
            reason = {"length": "max_output_tokens", "content_filter": "content_filter"}.get(choice.finish_reason or "")
        usage = self.usage or _Usage()
        cached = usage.prompt_tokens_details.cached_tokens if usage.prompt_tokens_details else 0
        spent = _response_usage(Spent(usage.prompt_tokens, usage.completion_tokens, cached))
        body = _response(output, spent if self.usage else None, self.model, self.created)
        return body if reason is None else {**body, "status": "incomplete", "incomplete_details": {"reason": reason}}


def _arguments(call: Call) -> str:
    return json.dumps(call.arguments, ensure_ascii=False)


def _text_part(text: str) -> dict[str, object]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _message_item(parts: list[dict[str, object]]) -> dict[str, object]:
    return {"id": public_id("msg"), "type": "message", "status": "completed", "role": "assistant", "content": parts}


def _call_item(call_id: str | None, name: str | None, arguments: JsonValue) -> dict[str, object]:
    called = {"call_id": call_id, "name": name, "arguments": arguments}
    return {"id": public_id("fc"), "type": "function_call", "status": "completed", **called}


def _response_usage(spent: Spent) -> dict[str, object]:
    return {
        "input_tokens": spent.prompt,
        "input_tokens_details": {"cached_tokens": spent.cached, "cache_write_tokens": 0},
        "output_tokens": spent.completion,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": spent.prompt + spent.completion,
    }


def _response(output: list[dict[str, object]], usage: dict[str, object] | None, model: str, created: int) -> dict[str, object]:
    return {
        "id": public_id("resp"),
        "object": "response",
        "created_at": created,
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "model": model,
        "output": output,
        "parallel_tool_calls": True,
        "store": False,
        "tool_choice": "auto",
        "tools": [],
        "usage": usage,
    }
