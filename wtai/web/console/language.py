"""The console's languages: English stands in the code, Portuguese in catalogues, one for each section of the console."""

from functools import cache
from gettext import GNUTranslations, NullTranslations
from importlib.resources import files
from typing import Final

from aiohttp import web

LANGUAGES: Final = ("pt-BR", "en")
COOKIE: Final = "wtai_lang"
_PORTUGUESE: Final = "pt_BR"


def language_of(request: web.Request) -> str:
    """What was chosen in this browser, else what it asks for first among ours, else Portuguese."""
    chosen = request.cookies.get(COOKIE, "")
    if chosen in LANGUAGES:
        return chosen
    for wanted in request.headers.get("Accept-Language", "").split(","):
        tag = wanted.partition(";")[0].strip().lower()
        if tag.startswith(("pt", "en")):
            return "pt-BR" if tag.startswith("pt") else "en"
    return LANGUAGES[0]


@cache
def catalogue(language: str) -> NullTranslations:
    """What turns the texts of the code into this language."""
    if language == "en":
        return NullTranslations()
    folder = files(__package__) / "locale" / _PORTUGUESE / "LC_MESSAGES"
    found = NullTranslations()
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        if file.name.endswith(".mo"):
            with file.open("rb") as opened:
                following = GNUTranslations(opened)
            following.add_fallback(found)
            found = following
    return found
