"""The files that pages bring along: their names carry a hash of their contents, so that browsers keep them for good."""

import gzip
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Final

from aiohttp import web

PREFIX: Final = "/console/static"
_FOR_GOOD: Final = "public, max-age=31536000, immutable"
_TYPES: Final = {
    "js": "text/javascript",
    "css": "text/css",
    "svg": "image/svg+xml",
    "json": "application/json",
    "webmanifest": "application/manifest+json",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """A file, as it is and compressed."""

    body: bytes
    packed: bytes
    content_type: str
    digest: str


@cache
def asset(name: str) -> Asset | None:
    """The file of this name below ``static/``; None if there is none that pages use."""
    folder, _, file = name.rpartition("/")
    kind = _TYPES.get(file.rpartition(".")[2])
    place = files(__package__) / "static"
    known = {entry.name for entry in (place / "vendor" if folder == "vendor" else place).iterdir() if entry.is_file()}
    if kind is None or folder not in ("", "vendor") or file not in known:
        return None
    body = (place / name).read_bytes()
    return Asset(body, gzip.compress(body, mtime=0), kind, sha256(body).hexdigest()[:16])


def address(name: str) -> str:
    """Where pages find a file. KeyError if there is none of this name."""
    found = asset(name)
    if found is None:
        raise KeyError(name)
    return f"{PREFIX}/{found.digest}/{name}"


async def serve(request: web.Request) -> web.Response:
    """A file, compressed for whoever takes it so; under another hash than its own it is not there."""
    found = asset(request.match_info["file"])
    if found is None or found.digest != request.match_info["digest"]:
        return web.Response(status=404, text="no such file")
    headers = {"Cache-Control": _FOR_GOOD, "X-Content-Type-Options": "nosniff", "Vary": "Accept-Encoding"}
    packed = "gzip" in request.headers.get("Accept-Encoding", "")
    if packed:
        headers["Content-Encoding"] = "gzip"
    return web.Response(
        body=found.packed if packed else found.body, content_type=found.content_type, charset="utf-8", headers=headers
    )
