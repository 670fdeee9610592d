"""A model server over HTTP that answers the n-th request as a transcript's script says, in either API."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

Json = dict[str, Any]

PATHS = {"chat": "/v1/chat/completions", "responses": "/v1/responses"}
_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}


class ScriptedServer:
    """Keeps every request body, in the chat form whatever the API, for the checks."""

    def __init__(self, script: list[Json], *, api: str, repeat_last: bool) -> None:
        self.requests: list[Json] = []
        self.unexpected = 0
        self.overlapped = False
        self._script = script
        self._api = api
        self._repeat_last = repeat_last
        self._busy = 0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """One scripted answer."""
        body = await request.json()
        self.requests.append(body if self._api == "chat" else as_chat(body))
        self._busy += 1
        self.overlapped = self.overlapped or self._busy > 1
        try:
            return await self._play(request, self._next())
        finally:
            self._busy -= 1

    def _next(self) -> Json:
        number = len(self.requests) - 1
        if number < len(self._script):
            return self._script[number]
        if self._repeat_last and self._script:
            return self._script[-1]
        self.unexpected += 1
        return {"status": 400, "body": {"error": {"code": "script_exhausted", "message": "one request too many"}}}

    async def _play(self, request: web.Request, entry: Json) -> web.StreamResponse:
        status = entry["status"]
        await asyncio.sleep(entry.get("delay_s", 0) + entry.get("delay_ms", 0) / 1000)
        if status == "hang":
            await asyncio.Event().wait()
        if status == "connection_reset" or entry.get("drop_connection_after_last_chunk"):
            if request.transport:
                request.transport.abort()
            return web.Response()
        headers = {name: str(value) for name, value in (entry.get("headers") or {}).items()}
        if "raw_body" in entry:
            return web.Response(status=status, text=entry["raw_body"], content_type="text/html", headers=headers)
        # A client that does not ask for a stream gets the same content in one piece.
        body = assembled(entry["stream"]) if "stream" in entry else entry.get("body")
        if self._api == "responses" and status == 200 and isinstance(body, dict):
            body = as_response(body)
        return web.Response(status=status, text=json.dumps(body), content_type="application/json", headers=headers)


@asynccontextmanager
async def serving(server: ScriptedServer, api: str) -> AsyncIterator[str]:
    """Serve on a free port of this machine; yields the base URL."""
    app = web.Application()
    app.router.add_post(PATHS[api], server.answer)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    finally:
        await runner.cleanup()


def assembled(chunks: list[Json]) -> Json:
    """The completion that a stream of chunks adds up to; tool calls by index."""
    calls: dict[int, Json] = {}
    content, finish, usage = "", None, None
    for chunk in chunks:
        usage = chunk.get("usage") or usage
        for choice in chunk.get("choices", []):
            delta = choice.get("delta", {})
            content += delta.get("content") or ""
            finish = choice.get("finish_reason") or finish
            for part in delta.get("tool_calls") or []:
                call = calls.setdefault(part["index"], {"id": "", "type": "function", "function": {"name": "", "arguments": ""}})
                call["id"] = part.get("id") or call["id"]
                for key, text in part.get("function", {}).items():
                    call["function"][key] += text or ""
    message: Json = {"role": "assistant", "content": content or None}
    if calls:
        message["tool_calls"] = [calls[index] for index in sorted(calls)]
    return {
        "model": chunks[0].get("model"),
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": usage,
    }


def as_response(completion: Json) -> Json:
    """A chat completion as the Responses API would give it."""
    choice = (completion.get("choices") or [None])[0]
    usage = completion.get("usage") or {}
    response: Json = {"object": "response", "model": completion.get("model"), "status": "completed", "output": []}
    if usage:
        cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0)
        response["usage"] = {
            "input_tokens": usage.get("prompt_tokens"),
            "output_tokens": usage.get("completion_tokens"),
            "input_tokens_details": {"cached_tokens": cached},
        }
    if choice is None:
        return response
    message = choice["message"]
    parts: list[Json] = []
    if message.get("content") is not None:
        parts.append({"type": "output_text", "text": message["content"], "annotations": []})
    if message.get("refusal"):
        parts.append({"type": "refusal", "refusal": message["refusal"]})
    calls = [{"type": "function_call", "call_id": call.get("id"), **call["function"]} for call in message.get("tool_calls") or []]
    response["output"] = [{"type": "message", "role": "assistant", "content": parts}, *calls]
    if choice.get("finish_reason") in _INCOMPLETE:
        response |= {"status": "incomplete", "incomplete_details": {"reason": _INCOMPLETE[choice["finish_reason"]]}}
    return response


def as_chat(body: Json) -> Json:
    """A Responses request in the chat form, for the checks."""
    messages: list[Json] = []
    for item in body["input"]:
        kind = item.get("type", "message")
        if kind == "function_call_output":
            messages.append({"role": "tool", "tool_call_id": item["call_id"], "content": item["output"]})
        elif kind == "function_call":
            if not messages or messages[-1]["role"] != "assistant":
                messages.append({"role": "assistant", "content": None})
            function = {"name": item["name"], "arguments": item["arguments"]}
            messages[-1].setdefault("tool_calls", []).append({"id": item["call_id"], "type": "function", "function": function})
        elif kind == "message":
            messages.append({"role": item["role"], "content": item["content"]})
    tools = [
        {"type": "function", "function": {k: v for k, v in tool.items() if k not in {"type", "strict"}}}
        for tool in body.get("tools", [])
    ]
    return {"model": body["model"], "messages": messages, **({"tools": tools} if tools else {})}
