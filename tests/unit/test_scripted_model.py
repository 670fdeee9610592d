"""The scripted model speaks OpenAI's wire formats, answers each message it is given, and fails as it is told to."""

import asyncio
import math
import sys
import time
from collections.abc import AsyncIterator

import aiohttp
import pytest
from openai import (
    APIConnectionError,
    APITimeoutError,
    AsyncOpenAI,
    AuthenticationError,
    BadRequestError,
    DefaultAioHttpClient,
    InternalServerError,
    RateLimitError,
)

from wtai.clock import SystemClock
from wtai.simulator import voice
from wtai.simulator.model import ModelFault, ScriptedModel
from wtai.simulator.replies import HOW_CAN_I_HELP


@pytest.fixture
async def model() -> AsyncIterator[ScriptedModel]:
    async with ScriptedModel(SystemClock()) as model:
        yield model


@pytest.fixture
async def openai(model: ScriptedModel) -> AsyncIterator[AsyncOpenAI]:
    """The official SDK, told to refuse an answer that does not fit its types."""
    async with AsyncOpenAI(
        base_url=f"{model.url}/v1",
        api_key="any",
        max_retries=0,
        http_client=DefaultAioHttpClient(),
        _strict_response_validation=True,
    ) as client:
        yield client


def tool(name: str, **properties: dict[str, object]) -> dict[str, object]:
    parameters = {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
    return {"type": "function", "function": {"name": name, "description": name, "parameters": parameters}}


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def called(identity: str, name: str, arguments: str = "{}") -> dict[str, object]:
    return {"id": identity, "type": "function", "function": {"name": name, "arguments": arguments}}


async def chat(openai: AsyncOpenAI, *messages: dict[str, object], tools: tuple[dict[str, object], ...] = (), **more: object):
    extra = {"tools": list(tools)} if tools else {}
    return await openai.chat.completions.create(model="m", messages=list(messages), **extra, **more)


async def said(openai: AsyncOpenAI, *texts: str) -> str:
    return (await chat(openai, *(user(text) for text in texts))).choices[0].message.content


async def test_a_chat_completion_has_what_openai_sends(openai: AsyncOpenAI) -> None:
    completion = await chat(openai, {"role": "system", "content": "instruções " * 1000}, user("bom dia"))
    assert (completion.object, completion.model, completion.choices[0].finish_reason) == ("chat.completion", "m", "stop")
    assert completion.choices[0].message.content == f"Olá!\n{HOW_CAN_I_HELP}"
    usage = completion.usage
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    assert 1024 < usage.prompt_tokens_details.cached_tokens < usage.prompt_tokens
    assert usage.prompt_tokens_details.cached_tokens % 128 == 0


async def test_the_time_is_asked_of_the_tool_and_then_told(openai: AsyncOpenAI) -> None:
    asked = [{"role": "system", "content": "s"}, user("oi, que horas são?")]
    first = (await chat(openai, *asked, tools=(tool("current_time"),))).choices[0]
    assert first.finish_reason == "tool_calls"
    (call,) = first.message.tool_calls
    assert (call.function.name, call.function.arguments, first.message.content) == ("current_time", "{}", None)
    exchange = [
        {"role": "assistant", "content": None, "tool_calls": [called(call.id, "current_time")]},
        {"role": "tool", "tool_call_id": call.id, "content": '{"date":"2026-11-21","time":"14:05","weekday":"sábado"}'},
    ]
    second = (await chat(openai, *asked, *exchange, tools=(tool("current_time"),))).choices[0]
    assert second.message.content == "Olá!\nAgora são 14:05 de sábado, 21/11/2026."
    third = await chat(
        openai,
        *asked,
        *exchange,
        {"role": "assistant", "content": "Agora são 14:05."},
        user("que dia é hoje?"),
        tools=(tool("current_time"),),
    )
    assert third.choices[0].message.tool_calls is not None


async def test_the_same_holds_for_responses(openai: AsyncOpenAI) -> None:
    time_tool = {"type": "function", "name": "current_time", "parameters": {"type": "object", "properties": {}}, "strict": False}
    asked = [{"role": "system", "content": "s"}, user("que horas são?")]
    first = await openai.responses.create(model="m", input=asked, tools=[time_tool], store=False)
    (call,) = first.output
    assert (first.object, first.status, call.type, call.name, call.arguments) == (
        "response",
        "completed",
        "function_call",
        "current_time",
        "{}",
    )
    exchange = [
        {"type": "function_call", "call_id": call.call_id, "name": call.name, "arguments": call.arguments},
        {"type": "function_call_output", "call_id": call.call_id, "output": '{"date":"2026-11-21","time":"14:05"}'},
    ]
    second = await openai.responses.create(model="m", input=[*asked, *exchange], tools=[time_tool], store=False)
    assert second.output_text == "Agora são 14:05 de 21/11/2026."
    assert second.usage.total_tokens == second.usage.input_tokens + second.usage.output_tokens


async def test_no_tool_is_called_that_is_not_offered_or_not_allowed_now(openai: AsyncOpenAI) -> None:
    for tools, more in (((), {}), ((tool("get_balance"),), {}), ((tool("current_time"),), {"tool_choice": "none"})):
        completion = await chat(openai, user("que horas são?"), tools=tools, **more)
        assert completion.choices[0].message.tool_calls is None
        assert "relógio" in completion.choices[0].message.content


async def test_a_tool_gets_the_arguments_that_it_asks_for_made_up_where_nothing_is_known(openai: AsyncOpenAI) -> None:
    expense = tool(
        "add_expense",
        amount={"type": "string"},
        kind={"type": "string", "enum": ["cash", "card"]},
        note={"type": ["string", "null"]},
    )
    completion = await chat(openai, user("gastei 32,50 no almoço"), tools=(expense,))
    (call,) = completion.choices[0].message.tool_calls
    assert call.function.arguments == '{"amount": "32.50", "kind": "cash", "note": "gastei 32,50 no almoço"}'


async def test_a_call_sent_back_in_other_words_is_recognised_and_a_failed_one_is_owned_up_to(openai: AsyncOpenAI) -> None:
    balance = tool("get_balance", account={"type": "string", "enum": ["main", "other"]})
    call = {"role": "assistant", "content": None, "tool_calls": [called("c1", "get_balance", '{ "account":"main"}')]}
    for result, answer in (
        ('{"totals": {"balance": {"text": "R$ 2,00"}}}', "Seu saldo é R$ 2,00"),
        ('{"error": "x"}', "Não consegui resolver agora (saldo)."),
    ):
        completion = await chat(
            openai, user("qual meu saldo?"), call, {"role": "tool", "tool_call_id": "c1", "content": result}, tools=(balance,)
        )
        assert completion.choices[0].message.content.startswith(answer)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Obrigada!", "De nada!"),
        ("qual o horário de atendimento de vocês?", "das 9h às 18h"),
        ("gastei 32,50 no almoço", "R$ 32,50 (almoço)"),
        ("qual é o meu saldo", "saldo"),
        ("o aniversário da Ana é dia 3", "aniversário da Ana é dia 3"),
        ("me lembra de pagar a luz amanhã", "pagar a luz amanhã"),
        ("lembra que eu não como carne", "eu não como carne"),
        ("quero falar com um atendente", "atendente"),
        ("paguei R$ 1.250,30 de aluguel", "R$ 1.250,30 (aluguel)"),
        ("comprei 3 camisetas por 120 reais", "R$ 120,00"),
        ("tchau", "Até logo"),
        ("tem desconto?", "Entendi: tem desconto?"),
        ("a impressora não liga", f"Entendi: a impressora não liga.\n{HOW_CAN_I_HELP}"),
    ],
)
async def test_each_topic_has_an_answer_without_tools(openai: AsyncOpenAI, text: str, answer: str) -> None:
    assert answer in await said(openai, text)


async def test_nothing_is_said_to_be_done_without_a_tool(openai: AsyncOpenAI) -> None:
    answer = await said(openai, "gastei 30 no uber", "me lembra de pagar a luz", "quero um atendente", "lembra que moro em Lins")
    assert not any(word in answer.lower() for word in ("registrei", "criado", "guardei", "vai continuar", "anotei"))


async def test_all_unanswered_messages_are_answered_together_and_no_other(openai: AsyncOpenAI) -> None:
    completion = await chat(
        openai,
        user("a tela quebrou"),
        {"role": "assistant", "content": "Que pena."},
        user("quero trocar"),
        user("qual meu saldo?"),
        user("é urgente"),
    )
    answer = completion.choices[0].message.content
    assert all(text in answer for text in ("quero trocar", "saldo", "é urgente"))
    assert "a tela quebrou" not in answer


async def test_what_was_said_earlier_is_remembered_within_the_request(openai: AsyncOpenAI) -> None:
    earlier = [user("oi, me chamo Ana"), user("meu cachorro se chama Rex"), {"role": "assistant", "content": "Prazer, Ana!"}]
    for question, answer in (
        ("qual é o meu nome?", "Ana"),
        ("como se chama meu cachorro?", "Rex"),
        ("qual é a minha cor favorita?", "Ainda não sei"),
    ):
        completion = await chat(openai, *earlier, user(question))
        assert answer in completion.choices[0].message.content


async def test_the_echo_repeats_the_unanswered_messages_only() -> None:
    async with ScriptedModel(SystemClock(), echo=True) as model, aiohttp.ClientSession(model.url) as session:
        body = {"model": "m", "messages": [user("a"), {"role": "assistant", "content": "x"}, user("b c"), user("d")]}
        async with session.post("/v1/chat/completions", json=body) as response:
            assert (await response.json())["choices"][0]["message"]["content"] == "eco: b c | d"
        items = [user("a"), {"role": "assistant", "content": "x"}, user("b")]
        async with session.post("/v1/responses", json={"model": "m", "input": items}) as response:
            assert (await response.json())["output"][0]["content"][0]["text"] == "eco: b"


async def test_a_demanded_shape_is_answered_in_that_shape(openai: AsyncOpenAI) -> None:
    schema = {
        "type": "object",
        "properties": {"agent": {"type": "string", "enum": ["general", "finance"]}},
        "required": ["agent"],
    }
    shape = {"type": "json_schema", "json_schema": {"name": "route", "schema": schema, "strict": True}}
    for text, agent in (("gastei 30 no uber", "finance"), ("bom dia", "general")):
        completion = await chat(openai, user(text), response_format=shape)
        assert completion.choices[0].message.content == f'{{"agent": "{agent}"}}'


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "assistant", "content": None, "tool_calls": [called("c1", "x")]}, user("oi")],
        [{"role": "tool", "tool_call_id": "c1", "content": "x"}],
        [{"role": "customer", "content": "oi"}],
        [{"content": "oi"}],
    ],
)
async def test_a_history_openai_would_refuse_is_refused(openai: AsyncOpenAI, messages: list[dict[str, object]]) -> None:
    with pytest.raises(BadRequestError):
        await chat(openai, *messages)


async def test_embeddings_are_unit_vectors_close_for_like_texts(model: ScriptedModel, openai: AsyncOpenAI) -> None:
    texts = ["Minha filha faz anos em março", "minha FILHA faz anos em marco!", "gastei no mercado", ""]
    # The SDK asks for base64 and unpacks it after it has validated the answer as a list: strictness would refuse any server.
    async with AsyncOpenAI(base_url=f"{model.url}/v1", api_key="any", http_client=DefaultAioHttpClient()) as lax:
        answer = await lax.embeddings.create(model="e", input=texts, dimensions=256)
    same, near, far, empty = (item.embedding for item in answer.data)
    assert len(same) == 256
    assert all(math.isclose(math.hypot(*vector), 1, abs_tol=1e-5) for vector in (same, near, far, empty))
    assert sum(a * b for a, b in zip(same, near, strict=True)) > 0.99
    assert sum(a * b for a, b in zip(same, far, strict=True)) < 0.5
    floats = await openai.embeddings.create(model="e", input=texts[0], encoding_format="float")
    assert len(floats.data[0].embedding) == 1536


async def test_a_voice_note_is_transcribed_as_it_was_said_or_as_it_was_set(model: ScriptedModel, openai: AsyncOpenAI) -> None:
    async def heard(name: str, audio: bytes) -> str:
        return (await openai.audio.transcriptions.create(model="t", file=(name, audio, "audio/ogg"), language="pt")).text

    note = voice.voice_note("gastei trinta reais")
    assert await heard("a.ogg", note) == "gastei trinta reais"
    model.transcriptions["b.ogg"] = "Legendas pela comunidade"
    assert await heard("b.ogg", note) == "Legendas pela comunidade"
    assert await heard("c.ogg", b"other") == "Oi, mandei um áudio."
    heard_of = [(request["file"], request["language"]) for request in model.requests]
    assert heard_of == [("a.ogg", "pt"), ("b.ogg", "pt"), ("c.ogg", "pt")]


async def test_a_script_is_played_word_for_word_and_then_refused(model: ScriptedModel, openai: AsyncOpenAI) -> None:
    body = {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "logprobs": None,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": "Oi!", "refusal": None},
            }
        ],
    }
    throttled = {"error": {"message": "slow down", "type": "tokens", "param": None, "code": "rate_limit_exceeded"}}
    model.enqueue(
        [
            {"status": 429, "headers": {"retry-after": "2"}, "body": throttled},
            {"status": "connection_reset"},
            {"status": 200, "raw_body": "<html>"},
            {"status": 200, "body": body},
        ]
    )
    with pytest.raises(RateLimitError) as refused:
        await chat(openai, user("oi"))
    assert refused.value.response.headers["Retry-After"] == "2"
    with pytest.raises(APIConnectionError):
        await chat(openai, user("oi"))
    async with (
        aiohttp.ClientSession(model.url) as session,
        session.post("/v1/chat/completions", json={"messages": []}) as response,
    ):
        assert await response.text() == "<html>"
    assert (await chat(openai, user("oi"))).choices[0].message.content == "Oi!"
    with pytest.raises(BadRequestError, match="no further answer"):
        await chat(openai, user("oi"))
    assert len(model.requests) == 5
    assert model.requests[0]["messages"] == [user("oi")]
    model.forget_script()
    assert "Olá" in await said(openai, "oi")


async def test_the_last_entry_can_repeat_and_a_hang_ends_with_the_client(model: ScriptedModel, openai: AsyncOpenAI) -> None:
    model.enqueue([{"status": "hang"}], repeat_last=True)
    for _ in range(2):
        with pytest.raises(APITimeoutError):
            await openai.with_options(timeout=0.1).chat.completions.create(
                model="m", messages=[{"role": "user", "content": "oi"}]
            )


async def test_a_script_in_chat_format_serves_responses_too(model: ScriptedModel, openai: AsyncOpenAI) -> None:
    def entry(finish: str, **message: object) -> dict[str, object]:
        choice = {"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": None, **message}}
        return {
            "status": 200,
            "body": {"id": "c", "model": "m", "choices": [choice], "usage": {"prompt_tokens": 7, "completion_tokens": 2}},
        }

    model.enqueue(
        [
            entry("tool_calls", tool_calls=[called("c1", "x", '{"a":')]),
            entry("stop", refusal="não"),
            entry("length", content="ab"),
        ]
    )
    call, refusal, cut = [await openai.responses.create(model="m", input="oi") for _ in range(3)]
    assert (call.output[0].call_id, call.output[0].arguments, call.usage.input_tokens) == ("c1", '{"a":', 7)
    assert refusal.output[0].content[0].refusal == "não"
    assert (cut.output_text, cut.status, cut.incomplete_details.reason) == ("ab", "incomplete", "max_output_tokens")


async def test_a_scripted_stream_can_break_off(model: ScriptedModel) -> None:
    chunk = {"choices": [{"index": 0, "delta": {"content": "Oi"}}]}
    model.enqueue(
        [{"status": 200, "stream": [chunk]}, {"status": 200, "stream": [chunk], "drop_connection_after_last_chunk": True}]
    )
    async with aiohttp.ClientSession(model.url) as session:
        async with session.post("/v1/chat/completions", json={"stream": True}) as response:
            assert (await response.text()).endswith("data: [DONE]\n\n")
        with pytest.raises(aiohttp.ClientPayloadError):
            async with session.post("/v1/chat/completions", json={"stream": True}) as response:
                await response.text()


async def test_faults_are_committed_once_and_then_it_answers(model: ScriptedModel, openai: AsyncOpenAI) -> None:
    for fault, raised in (
        (ModelFault.THROTTLED, RateLimitError),
        (ModelFault.ERROR, InternalServerError),
        (ModelFault.RESET, APIConnectionError),
        (ModelFault.HANG, APITimeoutError),
    ):
        model.faults.arm(fault, retry_after="1")
        with pytest.raises(raised):
            await openai.with_options(timeout=0.2).chat.completions.create(
                model="m", messages=[{"role": "user", "content": "oi"}]
            )
    model.faults.arm(ModelFault.MALFORMED)
    async with aiohttp.ClientSession(model.url) as session, session.post("/v1/chat/completions", json={}) as response:
        with pytest.raises(ValueError):
            await response.json()
    assert "Olá" in await said(openai, "oi")


async def test_with_a_key_of_its_own_it_refuses_others() -> None:
    async with ScriptedModel(SystemClock(), api_key="right") as model:
        for key, status in (("right", 200), ("wrong", 401)):
            async with AsyncOpenAI(
                base_url=f"{model.url}/v1", api_key=key, max_retries=0, http_client=DefaultAioHttpClient()
            ) as client:
                try:
                    await chat(client, user("oi"))
                    outcome = 200
                except AuthenticationError as exc:
                    outcome = exc.status_code
            assert outcome == status


async def test_latency_is_added(model: ScriptedModel, openai: AsyncOpenAI) -> None:
    model.latency_seconds = 0.1
    started = time.monotonic()
    await said(openai, "oi")
    assert time.monotonic() - started >= 0.1


async def test_another_process_arms_scripts_and_reads_it_over_json(model: ScriptedModel, openai: AsyncOpenAI) -> None:
    async with aiohttp.ClientSession(model.url) as session:
        await session.post("/faults", json={"kind": "500"})
        with pytest.raises(InternalServerError):
            await said(openai, "oi")
        await session.post("/settings", json={"echo": True})
        assert await said(openai, "oi") == "eco: oi"
        await session.post("/script", json={"entries": [{"status": 429}], "repeat_last": True})
        with pytest.raises(RateLimitError):
            await said(openai, "oi")
        await session.delete("/script")
        assert await said(openai, "oi") == "eco: oi"
        async with session.get("/counts") as response:
            assert await response.json() == {"/v1/chat/completions": 4}
        async with session.get("/requests") as response:
            assert [body["messages"] for body in await response.json()] == [[user("oi")]] * 3


async def test_it_runs_in_a_process_of_its_own() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "wtai.simulator.model", "--echo", stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        url = (await asyncio.wait_for(process.stdout.readline(), 10)).decode().strip()
        async with AsyncOpenAI(base_url=f"{url}/v1", api_key="any", http_client=DefaultAioHttpClient()) as client:
            assert await said(client, "oi") == "eco: oi"
    finally:
        process.terminate()
    assert await asyncio.wait_for(process.wait(), 10) == 0
