"""The browser's cookie, and from where a request may come: a page of ours, or nobody's."""

from typing import Final
from urllib.parse import urlsplit

from aiohttp import web

COOKIE: Final = "__Host-wtai"
"""With this prefix a browser takes it over TLS (or from this machine) alone, for this host and all of its paths (RFC 6265bis)."""

PRIVATE: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self'; connect-src 'self'; "
        "manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""What every answer says: nothing is kept, nothing comes from elsewhere, no script or style stands in a page itself."""

_MOST: Final = 128


def cookie_of(request: web.Request) -> str:
    """What the session's cookie holds; empty without one."""
    return request.cookies.get(COOKIE, "")[:_MOST]


def give_cookie(response: web.StreamResponse, secret: str) -> None:
    """Have the browser keep a session, until it is closed or the session is over."""
    response.set_cookie(COOKIE, secret, path="/", secure=True, httponly=True, samesite="Lax")


def take_cookie(response: web.StreamResponse) -> None:
    """Have the browser forget its session."""
    response.del_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="Lax")


def is_from_here(request: web.Request, public_url: str) -> bool:
    """Whether a request that changes something was made by a page of ours.

    Every browser in use says so in Sec-Fetch-Site; an older one is told by Origin (cheatsheetseries.owasp.org, cross-site
    request forgery prevention).
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("Origin")
    return origin is not None and urlsplit(origin).netloc in (request.host, urlsplit(public_url).netloc)
