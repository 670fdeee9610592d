"""The pictures among a turn's messages, as a model can take them."""

import asyncio
import base64
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Final

from wtai.ai.llm import Image
from wtai.conversation.model import Attachment, Kind, MediaStatus, Message

MOST_PICTURES: Final = 4
MOST_BYTES: Final = 5 * 1024 * 1024

_SIGNATURES: Final = ((b"\xff\xd8\xff", "image/jpeg"), (b"\x89PNG\r\n\x1a\n", "image/png"), (b"GIF8", "image/gif"))


async def pictures(directory: Path, messages: Sequence[Message]) -> tuple[Image, ...]:
    """The photographs among ``messages``, the first four, in order; ``directory`` is that of the media.

    A photograph that is too large, moves, is of another format or is not there any more is left out: its message names it.
    """
    shown = [one.path for message in messages for one in message.media if one.path and _is_photograph(message, one)]
    return await asyncio.to_thread(_read, directory, shown) if shown else ()


def _is_photograph(message: Message, attachment: Attachment) -> bool:
    kept = attachment.status is MediaStatus.KEPT
    return kept and message.kind is not Kind.STICKER and attachment.content_type.lower().startswith("image/")


def _read(directory: Path, shown: Sequence[str]) -> tuple[Image, ...]:
    images = (_image(directory / path) for path in shown)
    return tuple(islice((image for image in images if image is not None), MOST_PICTURES))


def _image(file: Path) -> Image | None:
    try:
        if file.stat().st_size > MOST_BYTES:
            return None
        data = file.read_bytes()
    except OSError:
        return None
    content_type = _type_of(data)
    return Image(content_type, base64.b64encode(data).decode("ascii")) if content_type else None


def _type_of(data: bytes) -> str | None:
    """By its first bytes, whatever it says it is: servers refuse the whole request over a picture that is none, or that moves."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        moves = data[12:16] == b"VP8X" and len(data) > 20 and bool(data[20] & 0x02)
        return None if moves else "image/webp"
    if data.startswith(b"GIF8") and b"NETSCAPE2.0" in data:
        return None
    return next((content_type for signature, content_type in _SIGNATURES if data.startswith(signature)), None)
