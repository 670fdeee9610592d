"""Texts in the owner's language: what the person reads when the model could not answer, and what the model reads in brackets.

Languages: pt (the default), es, en.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

from wtai.conversation.model import Kind

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Carried:
    """Words for what a message carries beside its text. ``unheard`` and ``told`` follow on the name of a recording, ``unopened``
    on that of a file.
    """

    names: Mapping[Kind, str]
    transcribed: str
    unheard: str
    told: str
    unopened: str


_APOLOGY: Final = {
    "pt": "Desculpe, não consegui responder agora. Pode tentar de novo daqui a pouco?",
    "es": "Disculpa, no pude responder ahora. ¿Puedes intentarlo de nuevo en un momento?",
    "en": "Sorry, I could not answer right now. Could you try again in a little while?",
}

_CARRIED: Final = {
    "pt": Carried(
        {
            Kind.IMAGE: "imagem",
            Kind.AUDIO: "áudio",
            Kind.VIDEO: "vídeo",
            Kind.STICKER: "figurinha",
            Kind.DOCUMENT: "documento",
            Kind.CONTACT: "contato",
            Kind.LOCATION: "localização",
            Kind.BUTTON: "botão",
            Kind.LIST: "item de lista",
            Kind.UNKNOWN: "mensagem sem texto",
        },
        transcribed="áudio transcrito",
        unheard="que não pôde ser ouvido",
        told="a pessoa já foi avisada",
        unopened="arquivo que não pôde ser aberto",
    ),
    "es": Carried(
        {
            Kind.IMAGE: "imagen",
            Kind.AUDIO: "audio",
            Kind.VIDEO: "video",
            Kind.STICKER: "sticker",
            Kind.DOCUMENT: "documento",
            Kind.CONTACT: "contacto",
            Kind.LOCATION: "ubicación",
            Kind.BUTTON: "botón",
            Kind.LIST: "elemento de lista",
            Kind.UNKNOWN: "mensaje sin texto",
        },
        transcribed="audio transcrito",
        unheard="que no se pudo escuchar",
        told="ya se avisó a la persona",
        unopened="archivo que no se pudo abrir",
    ),
    "en": Carried(
        {
            Kind.IMAGE: "image",
            Kind.AUDIO: "audio",
            Kind.VIDEO: "video",
            Kind.STICKER: "sticker",
            Kind.DOCUMENT: "document",
            Kind.CONTACT: "contact",
            Kind.LOCATION: "location",
            Kind.BUTTON: "button",
            Kind.LIST: "list item",
            Kind.UNKNOWN: "message without text",
        },
        transcribed="transcribed audio",
        unheard="that could not be heard",
        told="the person was told already",
        unopened="file that could not be opened",
    ),
}


def apology(language: str) -> str:
    """The fallback text in the language of a tag such as ``pt-BR`` or ``es``; Portuguese for a language without its own."""
    return _in(language, _APOLOGY)


def carried(language: str) -> Carried:
    """The words in brackets, as above."""
    return _in(language, _CARRIED)


def _in(language: str, texts: Mapping[str, T]) -> T:
    return texts.get(language.partition("-")[0].lower(), texts["pt"])
