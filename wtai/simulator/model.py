"""A stand-in for a model behind OpenAI's API: chat completions, responses, embeddings and transcription over real HTTP.

    async with ScriptedModel(SystemClock()) as model:
        …  # openai.base_url = f"{model.url}/v1", any key

It answers in one of three ways: plausibly, in Portuguese, from :mod:`wtai.simulator.replies`; as an echo; or, once
``enqueue`` was called, word for word from a script. Alone: ``python -m wtai.simulator.model``, driven over JSON:

    POST /faults    {kind, times?, probability?, retry_after?, seconds?}     DELETE /faults   disarm all
    POST /script    {entries: […], repeat_last?}                             DELETE /script   back to plausible answers
    POST /settings  {latency_seconds?, echo?, blind?, transcriptions?}
    GET  /requests  the last bodies                                          GET /counts      requests by path
"""

import argparse
import asyncio
import hashlib
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from types import TracebackType
from typing import Self

from aiohttp import web
from pydantic import BaseModel, Field, JsonValue
from pydantic_core import from_json, to_json

from wtai.clock import Clock, SystemClock
from wtai.simulator import replies, server
from wtai.simulator.embeddings import embed, packed
from wtai.simulator.faults import Armed, Faults, fault_routes
from wtai.simulator.model_wire import Answer, Spent, chat_completion, response
from wtai.simulator.orders import Order, read
from wtai.simulator.prompt import ChatRequest, RequestRefused, ResponsesRequest
from wtai.simulator.transcript import Entry, Script, play
from wtai.simulator.voice import spoken_text

KEPT = 1_000
_UNHEARD = "Oi, mandei um áudio."
_ASIDES = (b"You sum up the earlier part of", b"You read part of a WhatsApp conversation")
"""How the prompts begin with which the program remembers, away from the turns that scripts and records are about."""

_PICTURES = (b'"image_url"', b'"input_image"')


class ModelFault(StrEnum):
    """What can go wrong at a model provider."""

    THROTTLED = "429"
    ERROR = "500"
    HANG = "hang"
    RESET = "reset"
    MALFORMED = "malformed"


class EmbeddingsRequest(BaseModel):
    """Body of ``POST /v1/embeddings``, texts only."""

    model: str
    input: str | list[str]
    dimensions: int = Field(default=1536, ge=1, le=4096)
    encoding_format: str = "float"


class SettingsOrder(Order):
    latency_seconds: float = Field(default=0.0, ge=0)
    echo: bool = False
    blind: bool = False
    transcriptions: dict[str, str] = Field(default_factory=dict)


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Render = Callable[[Answer, Spent, str, int], dict[str, object]]


class ScriptedModel:
    """An OpenAI-compatible server whose answers are known in advance.

    Settable at any time: ``latency_seconds`` before each answer, ``echo``, ``blind`` (pictures are refused), and
    ``transcriptions``: text by file name or by the SHA-256 (hexadecimal) of the file. ``requests`` are the last 1,000 JSON
    bodies, ``counts`` all requests by path. With ``api_key`` any other key is refused (401).
    """

    def __init__(self, clock: Clock, *, echo: bool = False, api_key: str | None = None, seed: int = 0) -> None:
        self.faults = Faults(ModelFault, seed=seed)
        self.latency_seconds = 0.0
        self.echo = echo
        self.blind = False
        self.transcriptions: dict[str, str] = {}
        self.requests: deque[JsonValue] = deque(maxlen=KEPT)
        self.counts: Counter[str] = Counter()
        self.url = ""
        self._clock = clock
        self._authorization = None if api_key is None else f"Bearer {api_key}"
        self._script: Script | None = None
        self._listener = server.Listener()

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> str:
        """Serve; returns the URL, to which ``/v1`` is added. Raises OSError when the port is taken."""
        self.url = await self._listener.start(self.app(), host, port)
        return self.url

    async def close(self) -> None:
        """Stop; held requests end."""
        await self._listener.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    def app(self) -> web.Application:
        app = web.Application(client_max_size=server.MAX_BODY_BYTES)
        app.add_routes(
            [
                web.post("/v1/chat/completions", self._api(self._text(ChatRequest, chat_completion))),
                web.post("/v1/responses", self._api(self._text(ResponsesRequest, response))),
                web.post("/v1/embeddings", self._api(self._embeddings)),
                web.post("/v1/audio/transcriptions", self._api(self._transcription)),
                *fault_routes(self.faults),
                web.post("/script", self._enqueue),
                web.delete("/script", self._forget_script),
                web.post("/settings", self._set),
                web.get("/requests", self._list_requests),
                web.get("/counts", self._list_counts),
            ]
        )
        return app

    def enqueue(self, script: Iterable[Mapping[str, object]], *, repeat_last: bool = False) -> None:
        """Answer the next chat and responses requests word for word, in place of any script before. Raises ValidationError."""
        self._script = Script(entries=[Entry.model_validate(entry) for entry in script], repeat_last=repeat_last)

    def forget_script(self) -> None:
        """Answer plausibly again."""
        self._script = None

    def _api(self, handler: Handler) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def answered(request: web.Request) -> web.StreamResponse:
            self.counts[request.path] += 1
            if self.latency_seconds:
                await asyncio.sleep(self.latency_seconds)
            if self._authorization not in (None, request.headers.get("Authorization")):
                return error(401, "Incorrect API key provided.", code="invalid_api_key")
            if fault := self.faults.take(*ModelFault):
                return await self._failed(fault, request)
            try:
                return await handler(request)
            except (ValueError, RequestRefused) as exc:
                return error(400, str(exc))

        return answered

    async def _failed(self, fault: Armed[ModelFault], request: web.Request) -> web.Response:
        match fault.kind:
            case ModelFault.THROTTLED:
                return error(429, "Rate limit reached.", kind="tokens", code="rate_limit_exceeded", retry_after=fault.retry_after)
            case ModelFault.ERROR:
                return error(500, "The server had an error while processing your request.", kind="server_error")
            case ModelFault.MALFORMED:
                return web.Response(body=b'{"id": "chatcmpl', content_type="application/json")
            case ModelFault.HANG:
                await self._listener.hold(fault.seconds)
        return server.drop_connection(request)

    def _text(self, kind: type[ChatRequest] | type[ResponsesRequest], render: Render) -> Handler:
        async def answered(request: web.Request) -> web.StreamResponse:
            raw = await request.read()
            aside = any(words in raw for words in _ASIDES)
            body: JsonValue = from_json(raw) if aside else self._recorded(raw)
            if self.blind and any(kind in raw for kind in _PICTURES):
                raise RequestRefused("Invalid content type. image_url is only supported by certain models.")
            if self._script is not None and not aside:
                return await play(self._script.next(), request, self._listener)
            asked = kind.model_validate(body)
            if asked.stream:
                raise RequestRefused("Streams come from scripts only.")
            prompt = asked.prompt()
            answer = replies.echo(prompt) if self.echo else replies.answer(prompt)
            spent = Spent.of(len(raw), prompt.system, answer)
            return _json(render(answer, spent, asked.model, self._clock.now() // 1000))

        return answered

    async def _embeddings(self, request: web.Request) -> web.StreamResponse:
        asked = EmbeddingsRequest.model_validate(self._recorded(await request.read()))
        texts = [asked.input] if isinstance(asked.input, str) else asked.input
        vectors = [embed(text, asked.dimensions) for text in texts]
        packing = packed if asked.encoding_format == "base64" else list
        data = [{"object": "embedding", "index": at, "embedding": packing(vector)} for at, vector in enumerate(vectors)]
        tokens = sum(len(text) for text in texts) // 4
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return _json({"object": "list", "data": data, "model": asked.model, "usage": usage})

    async def _transcription(self, request: web.Request) -> web.StreamResponse:
        form = await request.post()
        upload = form.get("file")
        if not isinstance(upload, web.FileField):
            raise RequestRefused("'file' is a required property")
        audio = upload.file.read()
        fields: dict[str, JsonValue] = {name: value for name, value in form.items() if isinstance(value, str)}
        self.requests.append({**fields, "file": upload.filename, "bytes": len(audio)})
        by_content = self.transcriptions.get(hashlib.sha256(audio).hexdigest())
        text = self.transcriptions.get(upload.filename, by_content) or spoken_text(audio) or _UNHEARD
        if fields.get("response_format") == "text":
            return web.Response(text=text)
        return _json({"text": text, "usage": {"type": "duration", "seconds": max(1, len(audio) // 4_000)}})

    def _recorded(self, raw: bytes) -> JsonValue:
        """The body as JSON. Raises ValueError."""
        body: JsonValue = from_json(raw)
        self.requests.append(body)
        return body

    async def _enqueue(self, request: web.Request) -> web.Response:
        self._script = await read(request, Script)
        return web.Response(status=204)

    async def _forget_script(self, _: web.Request) -> web.Response:
        self.forget_script()
        return web.Response(status=204)

    async def _set(self, request: web.Request) -> web.Response:
        order = await read(request, SettingsOrder)
        for name in order.model_fields_set:
            setattr(self, name, getattr(order, name))
        return web.Response(status=204)

    async def _list_requests(self, _: web.Request) -> web.Response:
        return _json(list(self.requests))

    async def _list_counts(self, _: web.Request) -> web.Response:
        return _json(dict(self.counts))


def error(
    status: int,
    message: str,
    *,
    kind: str = "invalid_request_error",
    code: str | None = None,
    retry_after: str | None = None,
) -> web.Response:
    """OpenAI's JSON of an error."""
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    return _json({"error": {"message": message, "type": kind, "param": None, "code": code}}, status, headers)


def _json(body: object, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(body=to_json(body), status=status, headers=headers, content_type="application/json")


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve a scripted model in a process of its own."""
    parser = argparse.ArgumentParser(prog="python -m wtai.simulator.model", description="A scripted model with OpenAI's API.")
    server.listen_options(parser)
    parser.add_argument("--echo", action="store_true", help="repeat the user's messages in place of an answer")
    parser.add_argument("--latency", type=float, default=0.0, metavar="SECONDS", help="before each answer (default: %(default)s)")
    parser.add_argument("--api-key", help="refuse any other key (default: every key is taken)")
    options = parser.parse_args(arguments)

    def build() -> ScriptedModel:
        model = ScriptedModel(SystemClock(), echo=options.echo, api_key=options.api_key)
        model.latency_seconds = options.latency
        return model

    server.serve(build, options.host, options.port)


if __name__ == "__main__":
    main()
