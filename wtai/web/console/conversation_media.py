"""Files that people sent, handed to the browser so that none of them can do anything there."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from aiohttp import web
from aiohttp.helpers import content_disposition_header

from wtai.conversation import thread_store
from wtai.conversation.thread_store import Line
from wtai.web.console.conversation_details import Contact, contacts_of
from wtai.web.console.conversation_stream import Cards
from wtai.web.console.page import ROOT, Page, Visit
from wtai.web.console.rendering import shown
from wtai.web.problems import NOT_FOUND, Problem

SHOWN: Final = {
    "image/jpeg": "image",
    "image/png": "image",
    "image/gif": "image",
    "image/webp": "image",
    "audio/aac": "audio",
    "audio/amr": "audio",
    "audio/mp4": "audio",
    "audio/mpeg": "audio",
    "audio/ogg": "audio",
    "audio/opus": "audio",
    "audio/wav": "audio",
    "audio/webm": "audio",
    "audio/x-wav": "audio",
    "video/3gpp": "video",
    "video/mp4": "video",
    "video/quicktime": "video",
    "video/webm": "video",
}
"""Types that a browser shows or plays without running anything in them; all others are files to be saved."""

_CARDS: Final = frozenset({"text/vcard", "text/x-vcard", "text/directory"})
_MOST_CARD_BYTES: Final = 64 * 1024
_SAVED: Final = "application/octet-stream"
_HEADERS: Final = {
    "Cache-Control": "private, max-age=3600",
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "X-Content-Type-Options": "nosniff",
}


def essence(content_type: str) -> str:
    """A content type without its parameters."""
    return content_type.partition(";")[0].strip().lower()


def shown_as(content_type: str) -> str:
    """What a page shows such a file as: image, audio, video, or file."""
    return SHOWN.get(essence(content_type), "file")


async def media(visit: Visit) -> web.StreamResponse:
    """A file of one of the owner's messages; parts of it where the browser asks for a range. NotFound."""
    position = visit.ids["position"]
    file = await visit.read(thread_store.attachment, visit.ids["message"], int(position))
    if file.path is None:
        raise Problem(NOT_FOUND, "the file is not there yet, or never will be")
    place = visit.means.settings.media.directory / file.path
    if not await asyncio.to_thread(place.is_file):
        raise Problem(NOT_FOUND, "the file is no longer there")
    headers = dict(_HEADERS)
    kind = essence(file.content_type)
    if kind in SHOWN and "save" not in visit.request.query:
        headers["Content-Type"] = kind
    else:
        headers["Content-Type"] = _SAVED
        headers["Content-Disposition"] = content_disposition_header(
            "attachment", quote_fields=False, filename=_name(file.name, position)
        )
    return web.FileResponse(place, headers=headers)


async def cards_of(visit: Visit, lines: Sequence[Line]) -> Cards:
    """Who is on the cards among these messages."""
    directory = visit.means.settings.media.directory
    places = {
        (line.public_id, file.position): directory / file.path
        for line in lines
        for file in line.files
        if file.path is not None and essence(file.content_type) in _CARDS
    }
    return await asyncio.to_thread(_read, places) if places else {}


def _read(places: dict[tuple[str, int], Path]) -> dict[tuple[str, int], list[Contact]]:
    found = {}
    for key, place in places.items():
        try:
            with place.open("rb") as file:
                text = file.read(_MOST_CARD_BYTES).decode("utf-8", "replace")
        except FileNotFoundError:  # erased since the message was read
            continue
        found[key] = contacts_of(text)
    return found


def _name(name: str | None, position: str) -> str:
    """What the file is saved as: without a path, and with nothing in it that hides what it is."""
    plain = "".join(character for character in shown(name or "") if character.isprintable() and character not in '\\/:*?"<>|')
    return plain.strip(". ")[-120:] or f"file-{position}"


PAGES = (Page("GET", f"{ROOT}/media/{{message}}/{{position:[0-9]{{1,2}}}}", media, "messages.read"),)
