"""Audio is sent as it came, and what is no speech comes back as silence."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.store.memory import BASE, House, opened_house
from wtai.ai.openai import OpenAiLlm
from wtai.ai.paying import Payers
from wtai.ai.pricing import Minute
from wtai.ai.transcription import Transcription, is_made_up
from wtai.errors import LlmRefused, LlmUnavailable
from wtai.simulator.voice import voice_note

KEY = "sk-very-secret"
NOTE = voice_note("oi")
PRICE = Minute.of("minute 0.006")

Answer = Callable[[], Awaitable[web.Response]]


async def hello() -> web.Response:
    return web.json_response({"text": " Olá! ", "usage": {"type": "tokens"}})


@dataclass
class Heard:
    """One upload as the server read it."""

    fields: dict[str, str]
    name: str
    content_type: str
    content: bytes
    authorization: str


@dataclass
class Server:
    answer: Answer = hello
    heard: list[Heard] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0

    async def handle(self, request: web.Request) -> web.Response:
        form = await request.post()
        upload = form["file"]
        assert isinstance(upload, web.FileField)
        with upload.file as file:
            content = file.read()
        fields = {name: value for name, value in form.items() if isinstance(value, str)}
        self.heard.append(Heard(fields, upload.filename, upload.content_type, content, request.headers["Authorization"]))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            return await self.answer()
        finally:
            self.at_once -= 1


@pytest.fixture
async def server() -> Server:
    return Server()


@dataclass
class Ears:
    """What Ana's recordings are heard with."""

    house: House
    transcription: Transcription

    async def text(self, audio: bytes, content_type: str, language: str | None = None) -> str:
        ana = self.house.ana
        return await self.transcription.text(ana.owner, ana.user, audio, content_type, language)


@pytest.fixture
async def ears(server: Server, data_dir: Path) -> AsyncIterator[Ears]:
    app = web.Application(client_max_size=1 << 26)
    app.add_routes([web.post("/v1/audio/transcriptions", server.handle)])
    test_server = TestServer(app, host="127.0.0.1")
    await test_server.start_server()
    llm = OpenAiLlm(base_url=str(test_server.make_url("/v1")), api_key=KEY, model="m", timeout_seconds=1)
    async with opened_house(data_dir / "wtai.db") as house:
        payers = Payers(house.database, house.clock, BASE)
        yield Ears(house, Transcription(llm.upload, payers, model="gpt-transcribe", price=PRICE))
    await llm.close()
    await test_server.close()


@pytest.mark.parametrize("language", ["pt", None])
async def test_the_file_goes_out_as_it_came_with_the_language_if_it_is_known_and_no_prompt(
    server: Server, ears: Ears, language: str | None
) -> None:
    assert await ears.text(NOTE, "audio/ogg; codecs=opus", language) == "Olá!"
    fields = {"model": "gpt-transcribe", "response_format": "json", **({"language": language} if language else {})}
    assert server.heard == [Heard(fields, "audio.ogg", "audio/ogg; codecs=opus", NOTE, f"Bearer {KEY}")]


@pytest.mark.parametrize(
    ("content_type", "name"),
    [
        ("audio/ogg", "audio.ogg"),
        ("Audio/MPEG", "audio.mp3"),
        ("audio/mp4", "audio.m4a"),
        ("audio/webm;codecs=opus", "audio.webm"),
        ("audio/x-wav", "audio.wav"),
        ("audio/amr", "audio.amr"),
        ('audio/../"x', "audio.x"),
    ],
)
async def test_the_files_ending_tells_its_format(server: Server, ears: Ears, content_type: str, name: str) -> None:
    await ears.text(b"sound", content_type)
    assert [heard.name for heard in server.heard] == [name]


@pytest.mark.parametrize("audio", [b"", voice_note("oi", seconds=0.5)], ids=["empty", "half a second"])
async def test_what_is_too_short_to_say_anything_is_silence_and_stays_here(server: Server, ears: Ears, audio: bytes) -> None:
    assert await ears.text(audio, "audio/ogg") == ""
    assert server.heard == []
    assert ears.house.rows("SELECT * FROM usage") == []


@pytest.mark.parametrize(
    ("usage", "cost"),
    [
        ({"usage": {"type": "duration", "seconds": 7}}, 700),
        ({"usage": {"type": "tokens", "input_tokens": 14}}, 200),
        ({"usage": None}, 200),
        ({}, 200),
    ],
)
async def test_what_is_heard_is_booked_by_the_seconds_that_the_server_tells_or_by_all_it_can_be(
    server: Server, ears: Ears, usage: dict[str, object], cost: int
) -> None:
    async def answer() -> web.Response:
        return web.json_response({"text": "oi", **usage})

    server.answer = answer
    assert await ears.text(NOTE, "audio/ogg") == "oi"
    booked = {"user_id": ears.house.ana.user, "feature": "voice", "requests": 1, "cost": cost, "held": 0}
    assert ears.house.rows("SELECT user_id, feature, requests, cost, held FROM usage") == [booked]


@pytest.mark.parametrize("said", ["", "  ", "...", "Legendas pela comunidade Amara.org"])
async def test_what_is_made_up_is_silence(server: Server, ears: Ears, said: str) -> None:
    async def answer() -> web.Response:
        return web.json_response({"text": said})

    server.answer = answer
    assert await ears.text(NOTE, "audio/ogg") == ""


@pytest.mark.parametrize(
    ("status", "body", "error", "code"),
    [
        (500, {"error": {"type": "server_error"}}, LlmUnavailable, "server_error"),
        (429, {"error": {"code": "rate_limit_exceeded"}}, LlmUnavailable, "rate_limit_exceeded"),
        (429, {"error": {"code": "insufficient_quota"}}, LlmRefused, "insufficient_quota"),
        (400, {"error": {"code": "audio_too_short"}}, LlmRefused, "audio_too_short"),
        (401, {"error": {"code": "invalid_api_key"}}, LlmRefused, "invalid_api_key"),
        (200, {"words": []}, LlmUnavailable, "malformed_response"),
    ],
)
async def test_errors_are_of_the_closed_set_and_hold_no_key(
    server: Server, ears: Ears, status: int, body: dict, error: type[Exception], code: str
) -> None:
    async def answer() -> web.Response:
        return web.json_response(body, status=status)

    server.answer = answer
    with pytest.raises(error) as caught:
        await ears.text(NOTE, "audio/ogg")
    assert caught.value.code == code  # type: ignore[attr-defined]
    assert KEY not in str(caught.value)
    assert len(server.heard) == 1, "the SDK does not try again by itself"


async def test_a_server_that_does_not_answer_is_unavailable(server: Server, ears: Ears) -> None:
    async def answer() -> web.Response:
        await asyncio.sleep(5)
        return web.Response()

    server.answer = answer
    with pytest.raises(LlmUnavailable) as caught:
        await ears.text(NOTE, "audio/ogg")
    assert caught.value.code == "timeout"


async def test_few_recordings_are_in_memory_at_once(server: Server, ears: Ears) -> None:
    async def answer() -> web.Response:
        await asyncio.sleep(0.2)
        return web.json_response({"text": "oi"})

    server.answer = answer
    await asyncio.gather(*(ears.text(NOTE, "audio/ogg") for _ in range(12)))
    assert (len(server.heard), server.most_at_once) == (12, 4)


@pytest.mark.parametrize(
    "text",
    [
        "Legendas pela comunidade Amara.org",
        "Legendas pela comunidade Amara.org Legendas pela comunidade Amara.org",
        "LEGENDAS PELA COMUNIDADE AMARA.ORG!",
        "Obrigado por assistir! Inscreva-se no canal.",
        "Subtítulos realizados por la comunidad de Amara.org",
        "¡Suscríbete al canal!",
        "Thanks for watching! Please subscribe.",
        "♪ ♪",
    ],
)
def test_what_models_write_over_silence_is_known(text: str) -> None:
    assert is_made_up(text)


@pytest.mark.parametrize(
    "text",
    [
        "obrigado",
        "Obrigada!",
        "thank you",
        "quero legendas para o meu vídeo",
        "Obrigado por assistir, mas eu queria saber o preço do curso",
        "inscreva-se no canal é o que aparece na tela",
        "meu e-mail é ana@amara.org",
        "tradução de um contrato",
        "1",
    ],
)
def test_what_a_customer_may_say_is_not_taken_for_silence(text: str) -> None:
    assert not is_made_up(text)
