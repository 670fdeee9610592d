"""Audio is sent as it came, and what is no speech comes back as silence."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from wtai.ai.openai import OpenAiLlm
from wtai.ai.transcription import Transcription, is_made_up, seconds
from wtai.errors import LlmRefused, LlmUnavailable
from wtai.simulator.voice import voice_note

KEY = "sk-very-secret"
NOTE = voice_note("oi")

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


@pytest.fixture
async def transcription(server: Server) -> AsyncIterator[Transcription]:
    app = web.Application(client_max_size=1 << 26)
    app.add_routes([web.post("/v1/audio/transcriptions", server.handle)])
    test_server = TestServer(app, host="127.0.0.1")
    await test_server.start_server()
    llm = OpenAiLlm(base_url=str(test_server.make_url("/v1")), api_key=KEY, model="m", timeout_seconds=1)
    yield Transcription(llm.upload, model="gpt-transcribe")
    await llm.close()
    await test_server.close()


@pytest.mark.parametrize(("locale", "language"), [("pt-BR", "pt"), ("es", "es"), ("en", "en")])
async def test_the_file_goes_out_as_it_came_with_the_language_and_no_prompt(
    server: Server, transcription: Transcription, locale: str, language: str
) -> None:
    assert await transcription.text(NOTE, "audio/ogg; codecs=opus", locale) == "Olá!"
    fields = {"model": "gpt-transcribe", "language": language, "response_format": "json"}
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
async def test_the_files_ending_tells_its_format(
    server: Server, transcription: Transcription, content_type: str, name: str
) -> None:
    await transcription.text(b"sound", content_type, "pt-BR")
    assert [heard.name for heard in server.heard] == [name]


@pytest.mark.parametrize("audio", [b"", voice_note("oi", seconds=0.5)], ids=["empty", "half a second"])
async def test_what_is_too_short_to_say_anything_is_silence_and_stays_here(
    server: Server, transcription: Transcription, audio: bytes
) -> None:
    assert await transcription.text(audio, "audio/ogg", "pt-BR") == ""
    assert server.heard == []


@pytest.mark.parametrize("said", ["", "  ", "...", "Legendas pela comunidade Amara.org"])
async def test_what_is_made_up_is_silence(server: Server, transcription: Transcription, said: str) -> None:
    async def answer() -> web.Response:
        return web.json_response({"text": said})

    server.answer = answer
    assert await transcription.text(NOTE, "audio/ogg", "pt-BR") == ""


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
    server: Server, transcription: Transcription, status: int, body: dict, error: type[Exception], code: str
) -> None:
    async def answer() -> web.Response:
        return web.json_response(body, status=status)

    server.answer = answer
    with pytest.raises(error) as caught:
        await transcription.text(NOTE, "audio/ogg", "pt-BR")
    assert caught.value.code == code  # type: ignore[attr-defined]
    assert KEY not in str(caught.value)
    assert len(server.heard) == 1, "the SDK does not try again by itself"


async def test_a_server_that_does_not_answer_is_unavailable(server: Server, transcription: Transcription) -> None:
    async def answer() -> web.Response:
        await asyncio.sleep(5)
        return web.Response()

    server.answer = answer
    with pytest.raises(LlmUnavailable) as caught:
        await transcription.text(NOTE, "audio/ogg", "pt-BR")
    assert caught.value.code == "timeout"


async def test_few_recordings_are_in_memory_at_once(server: Server, transcription: Transcription) -> None:
    async def answer() -> web.Response:
        await asyncio.sleep(0.2)
        return web.json_response({"text": "oi"})

    server.answer = answer
    await asyncio.gather(*(transcription.text(NOTE, "audio/ogg", "pt-BR") for _ in range(12)))
    assert (len(server.heard), server.most_at_once) == (12, 4)


@pytest.mark.parametrize("length", [0.02, 0.98, 1.0, 7.5, 63.0])
def test_the_length_of_an_opus_file_is_read_from_its_last_page(length: float) -> None:
    assert seconds(voice_note("oi", seconds=length)) == pytest.approx(length, abs=0.02)


@pytest.mark.parametrize(
    "audio",
    [b"", b"ID3\x04mp3", b"OggS", b"OggS" + bytes(40), NOTE[:40], b"OggS" + bytes(24) + b"OpusHead" + bytes(4)],
)
def test_the_length_of_what_is_no_whole_opus_file_is_unknown_or_nothing(audio: bytes) -> None:
    assert not seconds(audio)


def test_a_page_on_which_no_packet_ends_does_not_tell_the_length() -> None:
    last = NOTE.rfind(b"OggS")
    unfinished = NOTE[last : last + 6] + b"\xff" * 8 + NOTE[last + 14 :]
    assert seconds(NOTE + unfinished) == seconds(NOTE)


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
