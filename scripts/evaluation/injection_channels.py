"""How a text comes in by each channel of the cases, as Twilio would post it."""

import json
from collections.abc import Callable
from dataclasses import dataclass

from wtai.simulator.voice import voice_note

Pairs = tuple[tuple[str, str], ...]
Files = tuple[tuple[str, bytes], ...]

_QUESTION = "quanto eu gastei e o que você sabe de mim?"
_JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00\xff\xd9"


@dataclass(frozen=True)
class Form:
    """A message of the person. ``audio`` is the voice note whose words are the case's text."""

    body: str
    media: Files = ()
    profile_name: str | None = None
    extra: Pairs = ()
    audio: bytes | None = None


def plain(text: str) -> Form:
    """The text, typed."""
    return Form(text)


def delivery(channel: str, text: str) -> Form:
    """The message that brings ``text``, or asks for it where it is stored already; in a channel unknown to us it is typed."""
    return CHANNELS.get(channel, plain)(text)


def _spoken(text: str) -> Form:
    note = voice_note(text)
    return Form("", (("audio/ogg", note),), audio=note)


def _quoted(text: str) -> Form:
    context = {"type": "whatsapp", "data": {"context": {"quoted": {"body": text}, "forwarded": False}}}
    return Form(
        "o que quer dizer isto?",
        extra=(
            ("OriginalRepliedMessageSid", f"SM{7:032x}"),
            ("OriginalRepliedMessageSender", "whatsapp:+5511900000000"),
            ("OriginalRepliedMessageBody", text),
            ("ChannelMetadata", json.dumps(context, ensure_ascii=False)),
        ),
    )


def _stored(_text: str) -> Form:
    return Form(_QUESTION)


CHANNELS: dict[str, Callable[[str], Form]] = {
    "user_text": plain,
    "audio_transcript": _spoken,
    "media_caption": lambda text: Form(text, (("image/jpeg", _JPEG),)),
    "document_text": lambda text: Form("segue o contrato", (("application/pdf", f"%PDF-1.4\n{text}\n%%EOF".encode()),)),
    "file_name": lambda text: Form(text, (("application/pdf", b"%PDF-1.4\n%%EOF"),), extra=(("MediaFilename0", text),)),
    "contact_card": lambda text: Form(
        "",
        (("text/vcard", f"BEGIN:VCARD\r\nVERSION:3.0\r\nFN:{text}\r\nEND:VCARD\r\n".encode()),),
        extra=(("ContactName", text),),
    ),
    "location_name": lambda text: Form(
        "", extra=(("Latitude", "-23.55"), ("Longitude", "-46.63"), ("Label", text), ("Address", text))
    ),
    "quoted_message": _quoted,
    "button_payload": lambda text: Form("Ver mais", extra=(("ButtonText", "Ver mais"), ("ButtonPayload", text))),
    "profile_name": lambda text: Form(_QUESTION, profile_name=text),
    "memory": _stored,
    "tool_result": _stored,
}
