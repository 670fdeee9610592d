"""A picture reaches the model as one, in the turn it came in; what the model cannot see is named."""

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.program import World, open_world, person
from wtai.ai.texts import apology
from wtai.simulator.twilio_faults import TwilioFault

ANA = person(1)
PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII=")
JPEG = b"\xff\xd8\xff\xe0" + bytes(200)
BOTH = pytest.mark.parametrize("api", ["chat", "responses"])


@pytest.fixture
async def world(data_dir: Path) -> AsyncIterator[World]:
    async with open_world(data_dir) as opened:
        yield opened


def conversation(request: dict[str, Any]) -> list[dict[str, Any]]:
    said: list[dict[str, Any]] = request.get("messages") or request["input"]
    return said


def pictures(request: dict[str, Any]) -> list[str]:
    """The data URLs of a request, in order, in either wire format."""
    parts = [part for message in conversation(request) if isinstance(message.get("content"), list) for part in message["content"]]
    chat = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
    return chat + [part["image_url"] for part in parts if part["type"] == "input_image"]


def data_url(content_type: str, data: bytes) -> str:
    return f"data:{content_type};base64,{base64.b64encode(data).decode()}"


@BOTH
async def test_a_picture_reaches_the_model_beside_its_caption(data_dir: Path, api: str) -> None:
    async with open_world(data_dir, openai={"api": api}) as world, world.running():
        await world.say(ANA, "que planta é esta?", media=[("image/png", PNG)])
        assert await world.answers_to(ANA, 1) == ["eco: [imagem] que planta é esta?"]
        (request,) = world.model.requests
        assert pictures(request) == [data_url("image/png", PNG)]
        assert not world.twilio.leaks


@BOTH
async def test_a_later_turn_only_names_the_picture(data_dir: Path, api: str) -> None:
    async with open_world(data_dir, openai={"api": api}) as world, world.running():
        await world.say(ANA, "que planta é esta?", media=[("image/png", PNG)])
        await world.answers_to(ANA, 1)
        await world.at_rest()
        await world.say(ANA, "e precisa de sol?")
        await world.answers_to(ANA, 2)
        last = world.model.requests[-1]
        assert pictures(last) == []
        assert {"role": "user", "content": "[imagem] que planta é esta?"} in conversation(last)
        assert base64.b64encode(PNG).decode() not in json.dumps(world.rows("SELECT exchange FROM ai_results"))


async def test_a_question_behind_a_picture_is_answered_with_it_in_view(world: World) -> None:
    async with world.running():
        await world.say(ANA, "", media=[("image/jpeg", JPEG)])
        await world.say(ANA, "quanto custa?")
        assert await world.answers_to(ANA, 1) == ["eco: [imagem] | quanto custa?"]
        await world.at_rest()
    assert [pictures(request) for request in world.model.requests] == [[data_url("image/jpeg", JPEG)]]


async def test_four_pictures_are_shown_and_the_others_named(world: World) -> None:
    files = [("image/jpeg", JPEG + bytes([number])) for number in range(6)]
    for file in files:
        await world.say(ANA, "", media=[file])
    async with world.running(role="web"):
        for message in list(world.twilio.messages.all()):
            await world.twilio.redeliver(message.sid)
    async with world.running(role="worker", server={"public_url": "http://127.0.0.1:9"}):
        assert await world.answers_to(ANA, 1) == [f"eco: {' | '.join(['[imagem]'] * 6)}"]
    assert sorted(pictures(world.model.requests[-1])) == sorted(data_url(*file) for file in files[:4])


@pytest.mark.parametrize(
    ("content_type", "data", "read"),
    [
        ("image/jpeg", b"\xff\xd8\xff" + bytes(5 * 1024 * 1024), "[imagem]"),
        ("image/tiff", b"II*\0" + bytes(99), "[imagem]"),
        ("image/png", b"<html>not a picture</html>", "[imagem]"),
        ("image/webp", b"RIFF\0\0\0\0WEBPVP8L" + bytes(99), "[figurinha]"),
        ("application/pdf", b"%PDF-1.7", "[documento application/pdf]"),
        ("video/mp4", b"\0\0\0\x18ftypmp42", "[vídeo]"),
    ],
    ids=["too large", "another format", "no picture", "sticker", "document", "video"],
)
async def test_what_the_model_cannot_see_is_kept_and_named(world: World, content_type: str, data: bytes, read: str) -> None:
    async with world.running():
        await world.say(ANA, "", media=[(content_type, data)])
        assert await world.answers_to(ANA, 1) == [f"eco: {read}"]
        assert pictures(world.model.requests[-1]) == []
        (row,) = world.rows("SELECT status, path FROM media")
        assert row["status"] == "kept"
        assert (world.data_dir / "media" / row["path"]).read_bytes() == data


async def test_a_document_is_read_with_the_name_that_the_provider_tells(world: World) -> None:
    world.twilio.file_names["application/pdf"] = "contrato [final].pdf"
    async with world.running():
        await world.say(ANA, "pode ver?", media=[("application/pdf", b"%PDF-1.7")])
        assert await world.answers_to(ANA, 1) == ["eco: [documento contrato (final).pdf] pode ver?"]


async def test_a_picture_that_cannot_be_downloaded_is_answered_without_it(world: World) -> None:
    world.twilio.faults.arm(TwilioFault.MEDIA_GONE)
    async with world.running():
        await world.say(ANA, "que planta é esta?", media=[("image/png", PNG)])
        assert await world.answers_to(ANA, 1) == ["eco: [imagem: arquivo que não pôde ser aberto] que planta é esta?"]
    assert world.rows("SELECT status, path FROM media") == [{"status": "failed", "path": None}]


@BOTH
async def test_a_model_that_takes_no_pictures_answers_what_was_written_beside_them(data_dir: Path, api: str) -> None:
    async with open_world(data_dir, openai={"api": api}) as world, world.running():
        world.model.blind = True
        await world.say(ANA, "que planta é esta?", media=[("image/png", PNG)])
        assert await world.answers_to(ANA, 1) == ["eco: [imagem] que planta é esta?"]
    assert [len(pictures(request)) for request in world.model.requests] == [1, 0]
    assert world.value("SELECT outcome FROM ai_results") == "answered"


async def test_a_server_that_calls_it_an_error_of_its_own_is_asked_without_the_pictures_too(world: World) -> None:
    hint = "image input is not supported - hint: if this is unexpected, you may need to provide the mmproj"
    broken = {"status": 500, "body": {"error": {"code": 500, "message": hint, "type": "server_error"}}}
    async with world.running():
        world.model.enqueue([broken, answers("Não vejo imagens.")])
        await world.say(ANA, "que planta é esta?", media=[("image/png", PNG)])
        assert await world.answers_to(ANA, 1) == ["Não vejo imagens."]
    assert [len(pictures(request)) for request in world.model.requests] == [1, 0]


async def test_what_is_refused_without_pictures_as_well_is_asked_twice_and_no_more(world: World) -> None:
    async with world.running():
        world.model.enqueue([{"status": 400, "body": {"error": {"message": "no", "code": "bad"}}}], repeat_last=True)
        await world.say(ANA, "que planta é esta?", media=[("image/png", PNG)])
        assert await world.answers_to(ANA, 1) == [apology("pt-BR")]
    assert [len(pictures(request)) for request in world.model.requests] == [1, 0]


@pytest.mark.parametrize(("status", "code"), [(401, "invalid_api_key"), (429, "insufficient_quota")])
async def test_pictures_are_not_blamed_for_a_key_or_an_account(world: World, status: int, code: str) -> None:
    async with world.running():
        world.model.enqueue([{"status": status, "body": {"error": {"message": "no", "code": code}}}], repeat_last=True)
        await world.say(ANA, "que planta é esta?", media=[("image/png", PNG)])
        assert await world.answers_to(ANA, 1) == [apology("pt-BR")]
    assert [len(pictures(request)) for request in world.model.requests] == [1]


async def test_a_model_of_its_own_looks_at_pictures_and_only_there(data_dir: Path) -> None:
    async with open_world(data_dir, openai={"model": "words", "vision_model": "eyes"}) as world, world.running():
        await world.say(ANA, "oi")
        await world.answers_to(ANA, 1)
        await world.say(ANA, "que planta é esta?", media=[("image/png", PNG)])
        await world.answers_to(ANA, 2)
        world.model.blind = True
        await world.say(ANA, "e esta?", media=[("image/jpeg", JPEG)])
        await world.answers_to(ANA, 3)
        models = [request["model"] for request in world.model.requests]
    assert models == ["words", "eyes", "eyes", "words"], "without the pictures, the specialist's own model again"
    assert [row["model"] for row in world.rows("SELECT model FROM ai_results ORDER BY id")] == ["words", "eyes", "words"]


async def test_a_model_for_pictures_that_is_not_there_keeps_no_answer_back(data_dir: Path) -> None:
    gone = {"status": 404, "body": {"error": {"message": "no such model", "code": "model_not_found"}}}
    async with open_world(data_dir, openai={"model": "words", "vision_model": "eyes"}) as world, world.running():
        world.model.enqueue([gone, answers("Não vejo imagens.")])
        await world.say(ANA, "que planta é esta?", media=[("image/png", PNG)])
        assert await world.answers_to(ANA, 1) == ["Não vejo imagens."]
    assert [request["model"] for request in world.model.requests] == ["eyes", "words"]


def answers(text: str) -> dict[str, object]:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return {"status": 200, "body": {"id": "x", "model": "m", "choices": [choice]}}
