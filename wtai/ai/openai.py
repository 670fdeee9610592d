"""Models behind OpenAI's API, and behind servers that speak it: the only importer of the SDK."""

import asyncio
import email.utils
import importlib
import json
import math
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeVar
from urllib.parse import urlsplit

import aiohttp
from pydantic_core import PydanticSerializationError, to_json

from wtai.ai import openai_chat, openai_responses
from wtai.ai.llm import TOO_LONG, LlmRequest, Reply
from wtai.ai.transcription import Recording
from wtai.clock import Clock, SystemClock
from wtai.errors import LlmError, LlmNotSetUp, LlmRefused, LlmUnavailable

Api = Literal["auto", "responses", "chat"]
T = TypeVar("T")

OPENAI_HOST = "api.openai.com"

_BUSY = frozenset({408, 409, 425, 429})
_OUT_OF_MONEY = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"})
_TOO_LONG = re.compile(r"context (?:length|window|size)|prompt is too long|reduce the length of the messages")
"""How OpenAI, vLLM, llama.cpp, Groq and Anthropic's compatible server say it: the codes differ."""
_BLIND = re.compile(r"image input|image_url|input_image|multimodal")
"""How servers say that a model takes no pictures: llama.cpp with a status of 500, OpenRouter with 404, others with 400."""
_SAFE_CODE = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_NO_CREDIT = "the account has no credit left"
_MENDS = {
    401: "check openai.api_key",
    402: _NO_CREDIT,
    403: "the key may not use this model or this place",
    404: "check openai.model, openai.base_url and openai.api",
}
_SEALED_UNSUPPORTED = "sealed_reasoning_unsupported"


@dataclass(frozen=True, slots=True)
class _Connection:
    """The SDK, imported and connected."""

    post: Callable[[str, bytes], Awaitable[bytes]]
    upload: Callable[[str, Mapping[str, str], Recording], Awaitable[bytes]]
    close: Callable[[], Awaitable[None]]


class OpenAiLlm:
    """An :class:`~wtai.ai.llm.Llm` over HTTP. ``api`` auto: Responses with OpenAI itself, Chat Completions elsewhere.

    ``timeout_seconds`` bounds a whole call, from connecting to the last byte. Nothing is retried here. The SDK (half a second
    of import) is loaded by the first call, in a thread.
    """

    def __init__(
        self,
        *,
        base_url: str,
        api_key: str | None,
        model: str,
        api: Api = "auto",
        timeout_seconds: float = 60,
        clock: Clock | None = None,
    ) -> None:
        at_openai = urlsplit(base_url).hostname == OPENAI_HOST
        self._base_url = base_url
        self._api_key = api_key
        self._needs_key = at_openai
        self._model = model
        self._responses = api == "responses" or (api == "auto" and at_openai)
        self._timeout_seconds = timeout_seconds
        self._clock = clock or SystemClock()
        self._connection: _Connection | None = None
        self._connecting = asyncio.Lock()
        self._without_sealed_reasoning: set[str] = set()

    async def reply(self, request: LlmRequest) -> Reply:
        """One call. LlmUnavailable with ``retry_after_ms`` where the server gave it; LlmRefused with the server's code."""
        return await self._bounded(self._ask(request, request.model or self._model))

    async def post(self, path: str, body: Mapping[str, object]) -> bytes:
        """Post JSON to another path of the server, such as ``/embeddings``; returns the answer's body. Errors as of a reply."""
        return await self._bounded(self._post(path, body))

    async def upload(self, path: str, fields: Mapping[str, str], recording: Recording) -> bytes:
        """Post a form with a file; returns the answer's body. Errors as of a reply."""
        return await self._bounded(self._upload(path, fields, recording))

    async def close(self) -> None:
        """Close the connections. A later call opens new ones."""
        connection, self._connection = self._connection, None
        if connection:
            await connection.close()

    async def _bounded(self, call: Awaitable[T]) -> T:
        try:
            async with asyncio.timeout(self._timeout_seconds):
                return await call
        except TimeoutError:
            raise LlmUnavailable(f"no answer from the model within {self._timeout_seconds:g} s", code="timeout") from None

    async def _post(self, path: str, body: Mapping[str, object]) -> bytes:
        connection = await self._connected()
        return await connection.post(path, _encoded(body))

    async def _upload(self, path: str, fields: Mapping[str, str], recording: Recording) -> bytes:
        connection = await self._connected()
        return await connection.upload(path, fields, recording)

    async def _ask(self, request: LlmRequest, model: str) -> Reply:
        connection = await self._connected()
        if not self._responses:
            raw = await connection.post(openai_chat.PATH, _encoded(openai_chat.body(request, model)))
            return openai_chat.reply(raw, model)
        sealed = model not in self._without_sealed_reasoning
        try:
            sent = openai_responses.body(request, model, sealed_reasoning=sealed)
            raw = await connection.post(openai_responses.PATH, _encoded(sent))
        except LlmRefused as refused:
            if refused.code != _SEALED_UNSUPPORTED or not sealed:
                raise
            self._without_sealed_reasoning.add(model)
            sent = openai_responses.body(request, model, sealed_reasoning=False)
            raw = await connection.post(openai_responses.PATH, _encoded(sent))
        return openai_responses.reply(raw, model)

    async def _connected(self) -> _Connection:
        if self._connection:
            return self._connection
        if self._needs_key and not self._api_key:
            raise LlmNotSetUp("no OpenAI key: set openai.api_key or openai.api_key_file", code="missing_api_key")
        async with self._connecting:
            if self._connection is None:
                await asyncio.to_thread(importlib.import_module, "openai")
                self._connection = _connect(self._base_url, self._api_key or "none", self._clock)
            return self._connection


def _connect(base_url: str, api_key: str, clock: Clock) -> _Connection:
    # Here and not at the top: the import takes half a second and 18 MB, which only a process that talks to a model should pay.
    import openai

    client = openai.AsyncOpenAI(
        base_url=base_url,
        api_key=api_key,
        timeout=None,  # the caller bounds the whole call; the SDK's own only bounds the pause between two bytes
        max_retries=0,
        http_client=openai.DefaultAioHttpClient(),
    )

    async def told(answer: Awaitable[bytes]) -> bytes:
        try:
            return await answer
        except openai.APIStatusError as error:
            raise _status_error(error.status_code, error.response.headers, error.body, clock) from error
        except (openai.OpenAIError, aiohttp.ClientError) as error:
            # The SDK's aiohttp transport lets some of its errors through, and calls most of the others time-outs.
            raise LlmUnavailable("no connection to the model server: check openai.base_url", code="connection") from error

    # ``post`` with bytes both ways instead of ``create``: the SDK's walk over typed messages costs more than all the rest.
    async def post(path: str, content: bytes) -> bytes:
        return await told(client.post(path, content=content, cast_to=bytes))

    async def upload(path: str, fields: Mapping[str, str], recording: Recording) -> bytes:
        file = (recording.name, recording.content, recording.content_type)
        # The SDK takes the header as a sign to encode a form, and puts the boundary in.
        form = openai.RequestOptions(headers={"Content-Type": "multipart/form-data"})
        return await told(client.post(path, body=dict(fields), files={"file": file}, options=form, cast_to=bytes))

    return _Connection(post, upload, client.close)


def _encoded(body: Mapping[str, object]) -> bytes:
    try:
        return to_json(body)
    except PydanticSerializationError:
        # A lone surrogate in a message must not make the conversation unanswerable: it goes out as a question mark.
        return json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")


def _status_error(status: int, headers: Mapping[str, str], body: object, clock: Clock) -> LlmError:
    """What a status of 3xx to 5xx means. The server's own words are left out: they may quote the key or the conversation."""
    error = body if isinstance(body, dict) else {}
    code = _code(status, error)
    message = f"the model server answered {status} ({code})"
    if code in _OUT_OF_MONEY:
        return LlmNotSetUp(f"{message}: {_NO_CREDIT}", code=code)
    blind = _BLIND.search(_said(error)) is not None
    if status in _BUSY or (status >= 500 and not blind):
        return LlmUnavailable(message, code=code, retry_after_ms=_retry_after_ms(headers, clock))
    mend = None if blind else _MENDS.get(status)
    return LlmNotSetUp(f"{message}: {mend}", code=code) if mend else LlmRefused(message, code=code)


def _said(error: Mapping[str, object]) -> str:
    return str(error.get("message")).lower()


def _code(status: int, error: Mapping[str, object]) -> str:
    said = _said(error)
    if status == 400 and (error.get("param") == "include" or "encrypted content" in said):
        return _SEALED_UNSUPPORTED
    if status in {400, 413} and _TOO_LONG.search(said):
        return TOO_LONG
    for candidate in (error.get("code"), error.get("type")):
        if isinstance(candidate, str) and _SAFE_CODE.fullmatch(candidate):
            return candidate
    return f"http_{status}"


def _retry_after_ms(headers: Mapping[str, str], clock: Clock) -> int | None:
    """The wait the server asks for: OpenAI's ``retry-after-ms``, or RFC 9110's Retry-After in seconds or as a date."""
    for name, unit in (("retry-after-ms", 1), ("retry-after", 1000)):
        try:
            wait = float(headers.get(name, "")) * unit
        except ValueError:
            continue
        if math.isfinite(wait) and wait >= 0:
            return round(wait)
    try:
        date = email.utils.parsedate_to_datetime(headers.get("retry-after", ""))
    except ValueError:
        return None
    return max(0, round(date.timestamp() * 1000) - clock.now())
