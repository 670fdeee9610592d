"""Which files a model is shown as pictures."""

import base64
from pathlib import Path

import pytest

from wtai.ai.llm import Assistant, Image, User, messages_from_json, messages_to_json
from wtai.ai.pictures import pictures
from wtai.conversation.model import Attachment, Kind, MediaStatus, Message, Status

STILL = {
    "image/jpeg": b"\xff\xd8\xff\xe0jpeg",
    "image/png": b"\x89PNG\r\n\x1a\npng",
    "image/gif": b"GIF89a still",
    "image/webp": b"RIFF\0\0\0\0WEBPVP8 still",
}
MOVING = {
    "gif": b"GIF89a\x21\xff\x0bNETSCAPE2.0",
    "webp": b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\x02" + bytes(20),
}


def message(number: int, *files: Attachment) -> Message:
    return Message(number, "msg", "inbound", "user", Kind.IMAGE, Status.RECEIVED, "", "MM", None, None, 0, files)


def file(path: str | None, content_type: str = "image/jpeg", status: MediaStatus = MediaStatus.KEPT) -> Attachment:
    return Attachment(1, "https://x", content_type, status, path, None, None, told=False)


@pytest.mark.parametrize("content_type", STILL)
async def test_a_picture_is_shown_as_what_its_content_is(tmp_path: Path, content_type: str) -> None:
    (tmp_path / "a").write_bytes(STILL[content_type])
    shown = await pictures(tmp_path, [message(7, file("a", "image/jpeg"))])
    assert shown == (Image(content_type, base64.b64encode(STILL[content_type]).decode()),)


@pytest.mark.parametrize("moving", MOVING)
async def test_a_picture_that_moves_is_not_shown(tmp_path: Path, moving: str) -> None:
    (tmp_path / "a").write_bytes(MOVING[moving])
    assert await pictures(tmp_path, [message(1, file("a"))]) == ()


@pytest.mark.parametrize("left_out", [file("gone"), file(None), file("a", status=MediaStatus.FAILED), file("a", "audio/ogg")])
async def test_what_is_no_picture_that_is_there_is_left_out(tmp_path: Path, left_out: Attachment) -> None:
    (tmp_path / "a").write_bytes(STILL["image/jpeg"])
    shown = await pictures(tmp_path, [message(1, left_out), message(2, file("a"))])
    assert len(shown) == 1


async def test_one_that_is_left_out_does_not_count_among_the_four(tmp_path: Path) -> None:
    for number in range(6):
        (tmp_path / str(number)).write_bytes(STILL["image/jpeg"] + bytes([number]))
    files = [file("gone"), *(file(str(number)) for number in range(6))]
    shown = await pictures(tmp_path, [message(1, *files[:3]), message(2, *files[3:])])
    assert [base64.b64decode(image.base64)[-1] for image in shown] == [0, 1, 2, 3]


def test_pictures_are_not_stored_with_what_was_said() -> None:
    said = (User("[imagem]", (Image("image/png", "c2VjcmV0"),)), Assistant("Bonita!"))
    stored = messages_to_json(said)
    assert "c2VjcmV0" not in stored
    assert messages_from_json(stored) == (User("[imagem]"), Assistant("Bonita!"))
