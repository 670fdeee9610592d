"""A model that answers word for word from a script: entry n is the answer to request n."""

import json
from collections.abc import Sequence
from typing import Literal

from aiohttp import web
from pydantic import Field, JsonValue, ValidationError

from wtai.simulator.model_wire import Completion
from wtai.simulator.orders import Order
from wtai.simulator.server import Listener, drop_connection

_HANG_SECONDS = 600.0


class Entry(Order):
    """One answer: a JSON body, a raw one, chunks of a stream, a connection that breaks, or none at all."""

    status: int | Literal["connection_reset", "hang"]
    headers: dict[str, str] = Field(default_factory=dict)
    body: JsonValue = None
    raw_body: str | None = None
    stream: list[JsonValue] | None = None
    drop_connection_after_last_chunk: bool = False


class Script(Order):
    """Answers to come. With ``repeat_last`` the last entry also answers every further request; else it is refused (400)."""

    entries: list[Entry]
    repeat_last: bool = False

    def next(self) -> Entry:
        if self.repeat_last and len(self.entries) == 1:
            return self.entries[0]
        if self.entries:
            return self.entries.pop(0)
        error = {"message": "the script has no further answer", "type": "invalid_request_error", "code": "script_exhausted"}
        return Entry(status=400, body={"error": {**error, "param": None}})


async def play(entry: Entry, request: web.Request, listener: Listener) -> web.StreamResponse:
    """Answer ``request`` with ``entry``. Bodies are written as chat completions; on ``/responses`` they are translated."""
    if entry.status == "hang":
        await listener.hold(_HANG_SECONDS)
        return drop_connection(request)
    if entry.status == "connection_reset":
        return drop_connection(request)
    if entry.stream is not None:
        return await _stream(entry.stream, request, drop=entry.drop_connection_after_last_chunk)
    headers = {"Content-Type": "application/json", **{name.title(): value for name, value in entry.headers.items()}}
    body = entry.raw_body if entry.raw_body is not None else json.dumps(_translated(entry.body, request.path), ensure_ascii=False)
    return web.Response(body=body.encode(), status=entry.status, headers=headers)


def _translated(body: JsonValue, path: str) -> object:
    if not path.endswith("/responses"):
        return body
    try:
        return Completion.model_validate(body).as_response()
    except ValidationError:
        # An error object reads the same in both formats.
        return body


async def _stream(chunks: Sequence[JsonValue], request: web.Request, *, drop: bool) -> web.StreamResponse:
    """Server-sent events; ``drop`` breaks the connection before the closing one."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
    await response.prepare(request)
    for chunk in chunks:
        await response.write(f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n".encode())
    if drop:
        drop_connection(request)
    else:
        await response.write(b"data: [DONE]\n\n")
    return response
