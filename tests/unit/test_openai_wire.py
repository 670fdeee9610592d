"""Both OpenAI adapters against a server over real HTTP: what is sent, what is understood, and which errors may be retried."""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from wtai.ai.llm import (
    Assistant,
    Finish,
    LlmRequest,
    Reply,
    ResponseSchema,
    System,
    ToolCall,
    ToolResult,
    ToolSpec,
    Usage,
    User,
    messages_from_json,
    messages_to_json,
)
from wtai.ai.openai import OpenAiLlm
from wtai.errors import LlmError, LlmNotSetUp, LlmRefused, LlmUnavailable

KEY = "sk-very-secret"
BALANCE = ToolSpec("get_balance", "Saldo", {"type": "object", "properties": {}, "additionalProperties": False})
ASKED = LlmRequest((System("Seja breve."), User("oi")), (BALANCE,))
NOON = 1_767_268_800_000  # 2026-01-01T12:00:00Z

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class StoppedClock:
    def now(self) -> int:
        return NOON

    def monotonic(self) -> float:
        return 0.0


@dataclass
class Server:
    """Gives the answers in turn, the last one again and again."""

    answers: list[Answer] = field(default_factory=list)
    requests: list[dict] = field(default_factory=list)
    headers: list[dict] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    base_url: str = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(await request.json())
        self.headers.append(dict(request.headers))
        self.paths.append(request.path)
        return await self.answers[min(len(self.requests), len(self.answers)) - 1](request)

    def llm(self, *, api: str = "chat", timeout: float = 5, key: str | None = KEY) -> OpenAiLlm:
        return OpenAiLlm(
            base_url=self.base_url, api_key=key, model="m-1", api=api, timeout_seconds=timeout, clock=StoppedClock()
        )  # fmt: skip


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    serving = Server()
    app = web.Application()
    app.router.add_post("/{path:.*}", serving.handle)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    serving.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    yield serving
    await runner.cleanup()


def says(body: object, status: int = 200, **headers: str) -> Answer:
    async def answer(_: web.Request) -> web.StreamResponse:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.json_response(body, status=status, headers=sent)

    return answer


def says_text(text: str, status: int = 200) -> Answer:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(text=text, status=status, content_type="text/html")

    return answer


def completion(message: dict, finish: str | None = "stop", **more: object) -> dict:
    return {"model": "m-1-2026", "choices": [{"index": 0, "message": message, "finish_reason": finish}], **more}


def called(*calls: dict) -> dict:
    return completion({"role": "assistant", "content": None, "tool_calls": list(calls)}, "tool_calls")


def function(call_id: str | None, arguments: object, name: str = "get_balance") -> dict:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


async def reply(server: Server, answer: Answer, request: LlmRequest = ASKED, *, api: str = "chat") -> Reply:
    server.answers = [answer]
    llm = server.llm(api=api)
    try:
        return await llm.reply(request)
    finally:
        await llm.close()


async def failure(server: Server, answer: Answer, *, api: str = "chat", seconds: float = 5) -> LlmError:
    server.answers = [answer]
    llm = server.llm(api=api, timeout=seconds)
    try:
        with pytest.raises(LlmError) as caught:
            await llm.reply(ASKED)
    finally:
        await llm.close()
    return caught.value


# --- Chat Completions


async def test_a_chat_request_carries_messages_tools_and_a_limit_but_no_temperature(server: Server) -> None:
    await reply(server, says(completion({"content": "Oi!"})))
    assert server.paths == ["/v1/chat/completions"]
    assert server.headers[0]["Authorization"] == f"Bearer {KEY}"
    assert server.headers[0]["Content-Type"] == "application/json"
    assert server.requests[0] == {
        "model": "m-1",
        "messages": [{"role": "system", "content": "Seja breve."}, {"role": "user", "content": "oi"}],
        "max_completion_tokens": 4096,
        "tools": [
            {"type": "function", "function": {"name": "get_balance", "description": "Saldo", "parameters": BALANCE.parameters}}
        ],
    }


async def test_a_chat_reply_gives_text_model_and_usage_with_cached_tokens_apart(server: Server) -> None:
    usage = {"prompt_tokens": 1500, "completion_tokens": 20, "prompt_tokens_details": {"cached_tokens": 1408}}
    got = await reply(server, says(completion({"content": "Oi!"}, usage=usage)))
    assert (got.text, got.finish, got.model) == ("Oi!", Finish.STOP, "m-1-2026")
    assert got.usage == Usage(prompt=1500, completion=20, cached=1408, requests=1)


async def test_null_usage_null_content_and_null_details_are_read_as_nothing(server: Server) -> None:
    got = await reply(server, says(completion({"content": None, "tool_calls": None}, None, usage=None)))
    assert (got.text, got.tool_calls, got.usage) == ("", (), Usage(requests=1))


async def test_content_in_parts_is_joined(server: Server) -> None:
    parts = [{"type": "text", "text": "Oi"}, {"type": "text", "text": "!"}]
    assert (await reply(server, says(completion({"content": parts})))).text == "Oi!"


@pytest.mark.parametrize("missing", [None, ""])
async def test_calls_without_an_id_get_one_each(server: Server, missing: str | None) -> None:
    got = await reply(server, says(called(function(missing, "{}"), function(missing, "{}"))))
    first, second = (call.id for call in got.tool_calls)
    assert first
    assert second
    assert first != second


async def test_the_same_call_sent_twice_counts_once_but_another_call_under_its_id_is_kept(server: Server) -> None:
    got = await reply(server, says(called(function("c", "{}"), function("c", "{}"), function("c", '{"a":1}'))))
    assert [call.arguments for call in got.tool_calls] == ["{}", '{"a":1}']
    assert len({call.id for call in got.tool_calls}) == 2


async def test_arguments_sent_as_an_object_or_null_become_text(server: Server) -> None:
    got = await reply(server, says(called(function("a", {"month": "2025-10"}), function("b", None))))
    assert [json.loads(call.arguments or "{}") for call in got.tool_calls] == [{"month": "2025-10"}, {}]


@pytest.mark.parametrize(
    ("message", "stopped", "finish"),
    [
        ({"content": None, "refusal": "Não posso."}, "stop", Finish.REFUSAL),
        ({"content": None}, "content_filter", Finish.CONTENT_FILTER),
        ({"content": "Era uma"}, "length", Finish.LENGTH),
        ({"content": None, "tool_calls": [function("c", '{"a')]}, "length", Finish.LENGTH),
        ({"content": None, "tool_calls": [function("c", "{}")]}, "stop", Finish.TOOL_CALLS),
        ({"content": "Oi"}, "eos", Finish.STOP),
    ],
)
async def test_why_the_model_stopped_is_told_apart(server: Server, message: dict, stopped: str, finish: Finish) -> None:
    assert (await reply(server, says(completion(message, stopped)))).finish is finish


async def test_a_history_goes_out_in_a_form_that_strict_servers_accept(server: Server) -> None:
    said = (
        User("saldo?"),
        Assistant("", (ToolCall("c1", "functions.get_balance", '{"a": NaN'), ToolCall("c2", "get_balance", ""))),
        ToolResult("c1", "x"),
        ToolResult("c2", "y"),
    )
    await reply(server, says(completion({"content": "ok"})), LlmRequest(said))
    _, asked, first, second = server.requests[0]["messages"]
    assert asked["content"] is None
    assert [call["function"]["name"] for call in asked["tool_calls"]] == ["functions_get_balance", "get_balance"]
    assert json.loads(asked["tool_calls"][0]["function"]["arguments"]) == {"invalid_arguments": '{"a": NaN'}
    assert asked["tool_calls"][1]["function"]["arguments"] == "{}"
    assert (first["tool_call_id"], second["tool_call_id"]) == ("c1", "c2")
    assert "tools" not in server.requests[0]


async def test_a_request_with_a_lone_surrogate_is_still_sent(server: Server) -> None:
    await reply(server, says(completion({"content": "ok"})), LlmRequest((User("a\ud83db"),)))
    assert server.requests[0]["messages"][0]["content"] == "a?b"


@pytest.mark.parametrize("api", ["chat", "responses"])
async def test_a_reply_can_be_held_to_a_schema_and_tools_shown_but_not_offered(server: Server, api: str) -> None:
    schema = ResponseSchema("route", {"type": "object", "properties": {"agent": {"enum": ["finance"]}}})
    answer = says(completion({"content": "{}"}) if api == "chat" else responded(message("{}")))
    await reply(server, answer, LlmRequest((User("oi"),), (BALANCE,), may_call_tools=False, response_schema=schema), api=api)
    sent = server.requests[0]
    assert sent["tool_choice"] == "none"
    stated = sent["response_format"]["json_schema"] if api == "chat" else sent["text"]["format"]
    assert stated["schema"] == schema.schema
    assert stated["strict"] is True


# --- Responses


def responded(*items: dict, status: str = "completed", **more: object) -> dict:
    return {"object": "response", "model": "m-1-2026", "status": status, "output": list(items), **more}


def message(text: str) -> dict:
    return {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text, "annotations": []}]}


SEALED = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "opaque", "status": None}


async def test_a_responses_request_stores_nothing_with_the_provider_and_leaves_schemas_as_they_are(server: Server) -> None:
    await reply(server, says(responded(message("Oi!"))), api="responses")
    sent = server.requests[0]
    assert server.paths == ["/v1/responses"]
    assert sent["store"] is False
    assert sent["include"] == ["reasoning.encrypted_content"]
    assert sent["input"] == [{"role": "system", "content": "Seja breve."}, {"role": "user", "content": "oi"}]
    assert sent["tools"][0]["strict"] is False
    assert "temperature" not in sent


async def test_sealed_reasoning_travels_back_before_the_calls_it_led_to(server: Server) -> None:
    call = {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "get_balance", "arguments": "{}"}
    usage = {"input_tokens": 10, "output_tokens": 5, "input_tokens_details": {"cached_tokens": 4}}
    got = await reply(server, says(responded(SEALED, call, usage=usage)), api="responses")
    assert got.finish is Finish.TOOL_CALLS
    assert got.usage == Usage(10, 5, 4, 1)
    said = (User("saldo?"), Assistant(got.text, got.tool_calls, got.reasoning), ToolResult("c1", "10"))
    await reply(server, says(responded(message("R$ 10"))), LlmRequest(said), api="responses")
    _, reasoning, asked, result = server.requests[1]["input"]
    assert reasoning == {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "opaque"}
    assert asked == {"type": "function_call", "call_id": "c1", "name": "get_balance", "arguments": "{}"}
    assert result == {"type": "function_call_output", "call_id": "c1", "output": "10"}


async def test_a_model_without_sealed_reasoning_is_asked_again_without_it_and_remembered(server: Server) -> None:
    refusal = {"error": {"message": "Encrypted content is not supported with this model.", "param": "include", "code": None}}
    server.answers = [says(refusal, 400), says(responded(message("Oi")))]
    llm = server.llm(api="responses")
    assert (await llm.reply(ASKED)).text == "Oi"
    await llm.reply(ASKED)
    await llm.close()
    assert ["include" in sent for sent in server.requests] == [True, False, False]


@pytest.mark.parametrize(
    ("body", "finish"),
    [
        (responded(status="incomplete", incomplete_details={"reason": "max_output_tokens"}), Finish.LENGTH),
        (responded(status="incomplete", incomplete_details={"reason": "content_filter"}), Finish.CONTENT_FILTER),
        (responded({"type": "message", "content": [{"type": "refusal", "refusal": "Não."}]}), Finish.REFUSAL),
    ],
)
async def test_why_a_response_ended_is_told_apart(server: Server, body: dict, finish: Finish) -> None:
    assert (await reply(server, says(body), api="responses")).finish is finish


async def test_a_failed_response_may_be_asked_again(server: Server) -> None:
    error = await failure(server, says(responded(status="failed", error={"code": "server_error"})), api="responses")
    assert isinstance(error, LlmUnavailable)
    assert error.code == "server_error"


def test_auto_speaks_responses_to_openai_and_chat_to_others() -> None:
    chosen = {
        url: OpenAiLlm(base_url=url, api_key="k", model="m")._responses for url in ("https://api.openai.com/v1", "http://x/v1")
    }
    assert chosen == {"https://api.openai.com/v1": True, "http://x/v1": False}


# --- Errors


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (says({"error": {"message": "boom"}}, 500), "http_500"),
        (says({}, 503), "http_503"),
        (says({"error": {"code": "rate_limit_exceeded"}}, 429), "rate_limit_exceeded"),
        (says([], 408), "http_408"),
        (says({"error": None}, 409), "http_409"),
        (says_text("<html>502 Bad Gateway</html>", 502), "http_502"),
        (says_text("<html>Sign in to the hotel's WLAN</html>"), "malformed_response"),
        (says_text(""), "malformed_response"),
        (says({"object": "chat.completion", "choices": []}), "empty_choices"),
        (says({"error": {"message": "upstream", "code": 502}}), "empty_choices"),
        (says(completion({"content": 5})), "malformed_response"),
    ],
)
async def test_what_may_pass_is_unavailable(server: Server, answer: Answer, code: str) -> None:
    error = await failure(server, answer)
    assert isinstance(error, LlmUnavailable)
    assert error.code == code
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (401, {"error": {"code": "invalid_api_key", "message": f"Incorrect API key provided: {KEY}"}}, "invalid_api_key"),
        (402, {"error": {"code": 402, "message": "Insufficient credits"}}, "http_402"),
        (403, {"error": {"code": None, "type": "forbidden"}}, "forbidden"),
        (404, {"error": {"code": "model_not_found"}}, "model_not_found"),
        (429, {"error": {"code": "insufficient_quota", "type": "insufficient_quota"}}, "insufficient_quota"),
        (429, {"error": {"code": None, "type": "insufficient_quota"}}, "insufficient_quota"),
        (400, {"error": {"code": "context_length_exceeded"}}, "context_length_exceeded"),
        (400, {"error": {"message": "This model's maximum context length is 8192 tokens"}}, "context_length_exceeded"),
        (400, {"error": {"type": "exceed_context_size_error", "message": "exceeds the context size"}}, "context_length_exceeded"),
        (413, {"error": {"message": "Please reduce the length of the messages"}}, "context_length_exceeded"),
        (400, {"error": {"code": "spaces and <markup> are no code"}}, "http_400"),
    ],
)
async def test_what_will_not_pass_is_refused_with_the_servers_code_and_none_of_its_words(
    server: Server, status: int, body: dict, code: str
) -> None:
    error = await failure(server, says(body, status))
    assert isinstance(error, LlmRefused)
    assert isinstance(error, LlmNotSetUp) == (status not in {400, 413}), "what the operator has to mend is told apart"
    assert error.code == code
    assert KEY not in str(error)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (400, "Invalid content type. image_url is only supported by certain models."),
        (404, "No endpoints found that support image input"),
        (500, "image input is not supported - hint: if this is unexpected, you may need to provide the mmproj"),
    ],
)
async def test_a_model_that_takes_no_pictures_refuses_the_request_whatever_the_status(
    server: Server, status: int, said: str
) -> None:
    error = await failure(server, says({"error": {"message": said}}, status))
    assert isinstance(error, LlmRefused)
    assert not isinstance(error, LlmNotSetUp)


@pytest.mark.parametrize(
    ("headers", "wait_ms"),
    [
        ({"Retry_After": "2"}, 2000),
        ({"Retry_After": "0.5"}, 500),
        ({"retry_after_ms": "150", "Retry_After": "2"}, 150),
        ({"Retry_After": "Thu, 01 Jan 2026 12:00:03 GMT"}, 3000),
        ({"Retry_After": "Thu, 01 Jan 2026 11:00:00 GMT"}, 0),
        ({"Retry_After": "soon"}, None),
        ({"Retry_After": "inf"}, None),
        ({"Retry_After": "-1"}, None),
        ({}, None),
    ],
)
async def test_the_wait_a_server_asks_for_is_kept(server: Server, headers: dict[str, str], wait_ms: int | None) -> None:
    assert (await failure(server, says({}, 429, **headers))).retry_after_ms == wait_ms


async def test_a_server_that_never_answers_is_unavailable_after_the_time_out(server: Server) -> None:
    async def hang(_: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        return web.Response()

    started = time.monotonic()
    assert (await failure(server, hang, seconds=0.6)).code == "timeout"
    assert time.monotonic() - started < 10


async def test_a_server_that_drips_its_answer_is_cut_off_too(server: Server) -> None:
    async def drip(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b" ")
            await asyncio.sleep(0.05)

    started = time.monotonic()
    assert (await failure(server, drip, seconds=0.6)).code == "timeout"
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("sent", [b"", b'{"choices": [{"mess'])
async def test_a_connection_dropped_before_or_within_the_answer_is_unavailable(server: Server, sent: bytes) -> None:
    async def drop(request: web.Request) -> web.StreamResponse:
        if sent:
            response = web.StreamResponse(headers={"Content-Length": "1000", "Content-Type": "application/json"})
            await response.prepare(request)
            await response.write(sent)
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    error = await failure(server, drop)
    assert isinstance(error, LlmUnavailable)
    assert error.code == "connection"


async def test_a_server_that_does_not_speak_http_is_unavailable() -> None:
    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n\r\n")
        await writer.drain()
        writer.close()

    listening = await asyncio.start_server(greet, "127.0.0.1", 0)
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        llm = OpenAiLlm(base_url=f"http://127.0.0.1:{port}/v1", api_key="k", model="m", timeout_seconds=5)
        with pytest.raises(LlmUnavailable) as caught:
            await llm.reply(ASKED)
        await llm.close()
    assert caught.value.code == "connection"


async def test_no_server_at_all_is_unavailable() -> None:
    llm = OpenAiLlm(base_url="http://127.0.0.1:9/v1", api_key="k", model="m", timeout_seconds=5)
    with pytest.raises(LlmUnavailable) as caught:
        await llm.reply(ASKED)
    await llm.close()
    assert caught.value.code == "connection"


@pytest.mark.parametrize("key", [None, ""])
async def test_openai_without_a_key_is_refused_before_anything_is_sent(key: str | None) -> None:
    llm = OpenAiLlm(base_url="https://api.openai.com/v1", api_key=key, model="m")
    with pytest.raises(LlmNotSetUp, match=r"openai\.api_key") as caught:
        await llm.reply(ASKED)
    assert caught.value.code == "missing_api_key"


async def test_a_server_of_ones_own_needs_no_key(server: Server) -> None:
    server.answers = [says(completion({"content": "Oi"}))]
    llm = server.llm(key=None)
    assert (await llm.reply(ASKED)).text == "Oi"
    await llm.close()


async def test_a_closed_adapter_connects_again_when_asked(server: Server) -> None:
    server.answers = [says(completion({"content": "Oi"}))]
    llm = server.llm()
    await llm.reply(ASKED)
    await llm.close()
    assert (await llm.reply(ASKED)).text == "Oi"
    await llm.close()


async def test_neither_key_nor_text_reaches_the_log(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        await failure(server, says({"error": {"message": "segredo"}}, 500))
    assert KEY not in caplog.text
    assert "Seja breve" not in caplog.text
    assert "segredo" not in caplog.text


def test_an_exchange_is_stored_and_read_back_without_its_sealed_reasoning() -> None:
    call = ToolCall("c1", "get_balance", "{bad")
    stored = messages_to_json((User("é?"), Assistant("", (call,), ("{}",)), ToolResult("c1", "10"), System("s")))
    assert messages_from_json(stored) == (User("é?"), Assistant("", (call,)), ToolResult("c1", "10"), System("s"))
    assert "reasoning" not in stored
