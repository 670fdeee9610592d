"""What is said in a voice message, by a model behind OpenAI's API: POST /audio/transcriptions.

https://platform.openai.com/docs/api-reference/audio/createTranscription. No prompt is sent: models repeat it when they hear
nothing. What they make up over silence (the thanks and credits of subtitled videos) counts as silence.
"""

import asyncio
import re
import unicodedata
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from pydantic import BaseModel, Field

from wtai.ai.audio import most_seconds, seconds
from wtai.ai.llm import Usage
from wtai.ai.paying import Payers, Served
from wtai.ai.pricing import Minute
from wtai.ai.wire import parsed

PATH: Final = "/audio/transcriptions"

FEATURE: Final = "voice"
"""Under which what is heard is booked."""

_AT_ONCE: Final = 4
"""Recordings in memory at the same time, each of up to 16 MB."""
_SHORTEST_SECONDS: Final = 1.0

# The server tells formats apart by the ending of the file's name.
_ENDINGS: Final = {
    "audio/ogg": "ogg",
    "audio/opus": "ogg",
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
    "audio/mp4": "m4a",
    "audio/m4a": "m4a",
    "audio/x-m4a": "m4a",
    "audio/wav": "wav",
    "audio/wave": "wav",
    "audio/x-wav": "wav",
    "audio/vnd.wave": "wav",
    "audio/webm": "webm",
    "audio/flac": "flac",
    "audio/x-flac": "flac",
}

# Lower case, without accents and punctuation: each alone, or several one after the other, is the whole transcript. What a
# customer may well say, such as a bare "obrigado", is not among them.
_MADE_UP: Final = (
    *("legendas pela comunidade amara org", "legendas pela comunidade das amara org", "legendado pela comunidade amara org"),
    *("transcricao e legendas pedro negri", "legenda adriana zanotto", "legendas em portugues", "traducao e legendas"),
    *("obrigado por assistir", "obrigada por assistir", "muito obrigado por assistir", "obrigado por assistir o video"),
    *("obrigado por assistirem", "obrigado pela audiencia", "inscreva se no canal", "se inscreva no canal"),
    *("inscreva se no canal e ative o sininho", "ative o sininho", "deixe seu like", "ate o proximo video"),
    *("subtitulos realizados por la comunidad de amara org", "subtitulado por la comunidad de amara org"),
    *("subtitulos por la comunidad de amara org", "subtitulos en espanol de amara org", "suscribete al canal", "suscribete"),
    *("gracias por ver el video", "gracias por ver", "muchas gracias por ver el video", "hasta el proximo video"),
    *("subtitles by the amara org community", "subtitles by amara org community", "captions by the amara org community"),
    *("thanks for watching", "thank you for watching", "thank you so much for watching", "please subscribe"),
    *("please subscribe to my channel", "like and subscribe", "see you in the next video", "amara org", "www amara org"),
)
_ONLY_MADE_UP: Final = re.compile(rf"(?:(?:{'|'.join(sorted(_MADE_UP, key=len, reverse=True))})(?: |$))+")

Upload = Callable[[str, Mapping[str, str], "Recording"], Awaitable[bytes]]
"""Posts form fields and a file to a path of the model's server; returns the answer's body. LlmUnavailable or LlmRefused."""


@dataclass(frozen=True, slots=True)
class Recording:
    """A file of sound. ``name`` ends as its format wants; ``content_type`` is the provider's, as it was."""

    name: str
    content_type: str
    content: bytes


class _Used(BaseModel):
    seconds: float | None = Field(default=None, ge=0, allow_inf_nan=False)


class _Transcription(BaseModel):
    text: str
    usage: _Used | None = None


class Transcription:
    """Listens through ``upload`` with ``model``, to a few recordings at a time. ``payers`` pay for it, at ``price``."""

    def __init__(self, upload: Upload, payers: Payers, *, model: str, price: Minute) -> None:
        self._upload = upload
        self._payers = payers
        self._model = model
        self._price = price
        self._listening = asyncio.Semaphore(_AT_ONCE)

    async def text(self, owner_id: int, user_id: int, audio: bytes, content_type: str, language: str | None) -> str:
        """What the person says in ``audio``, empty for silence. ``language`` (pt, es, en) is theirs, if that is known: a wrong
        one makes the model translate, or make up.

        Nothing, and less than a second, is silence without being sent. LlmUnavailable, LlmRefused or BudgetReached.
        """
        length = seconds(audio)
        if not audio or (length is not None and length < _SHORTEST_SECONDS):
            return ""
        fields = {"model": self._model, **({"language": language} if language else {}), "response_format": "json"}
        recording = Recording(_name(content_type), content_type, audio)
        payer = await self._payers.of(owner_id, user_id, FEATURE)
        async with self._listening:
            most = await asyncio.to_thread(most_seconds, audio)
            text = await payer.pay(self._price.cost(most), partial(self._heard, fields, recording, most))
        return "" if is_made_up(text) else text

    async def _heard(self, fields: Mapping[str, str], recording: Recording, most: int) -> Served[str]:
        """The answer; where the server does not tell how long it listened, that was as long as it can take at most."""
        answer = parsed(_Transcription, await self._upload(PATH, fields, recording))
        listened = answer.usage.seconds if answer.usage and answer.usage.seconds is not None else most
        return Served(answer.text.strip(), self._price.cost(listened), Usage(requests=1))


def is_made_up(text: str) -> bool:
    """Whether a transcript is empty, or what models are known to write where nobody speaks."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    folded = " ".join("".join(sign if sign.isalnum() else " " for sign in decomposed if not unicodedata.combining(sign)).split())
    return not folded or _ONLY_MADE_UP.fullmatch(folded) is not None


def _name(content_type: str) -> str:
    essence = content_type.partition(";")[0].strip().lower()
    ending = _ENDINGS.get(essence) or re.sub(r"[^a-z0-9]", "", essence.partition("/")[2].removeprefix("x-")) or "bin"
    return f"audio.{ending}"
