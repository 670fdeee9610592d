"""A page with the customers' phones: write to the business as any of them, and see what Twilio and the program say to each other.

Served on a port of its own over a :class:`~wtai.simulator.twilio_carrier.Carrier` in the same process. The page is
``page/``; it reads ``/state`` once and then ``/events`` (server-sent events), and acts by small JSON posts. Nothing is
loaded from elsewhere and no inline script or style runs (Content-Security-Policy).
"""

import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.resources import files
from typing import Final

from aiohttp import web
from pydantic import Base64Bytes, Field

from wtai.simulator import server
from wtai.simulator.faults import fault_routes
from wtai.simulator.orders import Order, read, refused
from wtai.simulator.phone_feed import Feed
from wtai.simulator.twilio_carrier import Carrier
from wtai.simulator.twilio_faults import TwilioFault
from wtai.simulator.twilio_messages import TwilioRefusal

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# A customer's file is shown, and never runs: not even one that says it is a page.
_MEDIA_POLICY: Final = "default-src 'none'; sandbox"
_SHOWN: Final = ("image/", "audio/", "video/")
_TYPES: Final = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_HEARTBEAT_SECONDS: Final = 15.0
_LOOK_SECONDS: Final = 0.25
_RECONNECT_MS: Final = 1_000

_DELIVERED: Final = ("sent", "delivered")
_READ: Final = ("sent", "delivered", "read")

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Business:
    """Whom the customers write to."""

    name: str
    account_sid: str
    number: str


class Attachment(Order):
    content_type: str = Field(pattern=r"^[\w.+-]+/[\w.+-]+(;[\x20-\x7e]*)?$")
    data_base64: Base64Bytes


class Place(Order):
    latitude: float = Field(ge=-90, le=90)
    longitude: float = Field(ge=-180, le=180)
    label: str = ""
    address: str = ""


class MessageOrder(Order):
    """What a customer sends; ``from`` is a WhatsApp address."""

    from_: str = Field(alias="from", pattern=r"^whatsapp:(\+[0-9]{8,15}|[A-Z]{2}\.[0-9]{4,64})$")
    body: str = Field(default="", max_length=4096)
    profile_name: str | None = None
    media: Attachment | None = None
    location: Place | None = None


class RedeliverOrder(Order):
    sid: str


class ReceiptsOrder(Order):
    read: bool


class Phone:
    """The page and what is behind it. A :class:`~wtai.simulator.server.Fake`: ``start``, ``close``.

    ``console_url`` is where the page links to, once it is known.
    """

    def __init__(self, twilio: Carrier, business: Business) -> None:
        self.console_url: str | None = None
        self._twilio = twilio
        self._business = business
        self._feed = Feed(twilio)
        self._listener = server.Listener()
        self._closing = False
        folder = files("wtai.simulator") / "page"
        self._page = {entry.name: entry.read_bytes() for entry in folder.iterdir() if entry.is_file()}

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> str:
        """Serve; returns the page's address. Raises OSError when the port is taken."""
        self._closing = False
        return await self._listener.start(self.app(), host, port)

    async def close(self) -> None:
        """Stop; open event streams end."""
        self._closing = True
        await self._listener.close()

    def app(self) -> web.Application:
        app = web.Application(client_max_size=server.MAX_BODY_BYTES, middlewares=[_guarded])
        app.add_routes(
            [
                web.get("/", self._file),
                web.get("/state", self._state),
                web.get("/events", self._events),
                web.post("/messages", self._send),
                web.post("/redeliver", self._redeliver),
                web.post("/receipts", self._set_receipts),
                web.get("/media/{sid}", self._media),
                *fault_routes(self._twilio.faults),
                web.get("/{name}", self._file),
            ]
        )
        return app

    async def _file(self, request: web.Request) -> web.Response:
        name = request.match_info.get("name", "index.html")
        if name not in self._page:
            raise web.HTTPNotFound(text=f"the page has no file {name}")
        ending = name[name.rfind(".") :]
        return web.Response(body=self._page[name], content_type=_TYPES[ending], charset="utf-8")

    async def _state(self, _: web.Request) -> web.Response:
        state = {
            **self._feed.state(),
            "business": asdict(self._business),
            "faults": [str(kind) for kind in TwilioFault],
            "read": self._twilio.statuses == _READ,
            "console": self.console_url,
        }
        return web.json_response(state)

    async def _events(self, request: web.Request) -> web.StreamResponse:
        """Everything after the event that ``Last-Event-ID``, or ``after``, names; ``resync`` where too much was missed."""
        after = request.headers.get("Last-Event-ID", request.query.get("after", ""))
        if not after.isdecimal():
            raise refused("after must be the number of an event")
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        await response.prepare(request)
        with suppress(ConnectionResetError):  # the page was closed
            await self._stream(response, int(after))
        return response

    async def _stream(self, response: web.StreamResponse, seen: int) -> None:
        quiet = 0.0
        await response.write(f"retry: {_RECONNECT_MS}\n\n".encode())
        while not self._closing:
            events = self._feed.after(seen)
            if events is None:
                await response.write(b"event: resync\ndata: {}\n\n")
                return
            for event in events:
                await response.write(f"id: {event.number}\nevent: {event.name}\ndata: {json.dumps(event.data)}\n\n".encode())
                seen = event.number
            quiet = 0.0 if events else quiet + _LOOK_SECONDS
            if quiet >= _HEARTBEAT_SECONDS:
                await response.write(b": still here\n\n")
                quiet = 0.0
            await self._feed.wait(seen, _LOOK_SECONDS)

    async def _send(self, request: web.Request) -> web.Response:
        order = await read(request, MessageOrder)
        if not order.body and order.media is None and order.location is None:
            raise refused("a message has a body, a file or a location")
        result = await self._twilio.send(
            order.from_,
            self._business.number,
            order.body,
            media=[(order.media.content_type, order.media.data_base64)] if order.media else (),
            profile_name=order.profile_name,
            extra=location_fields(order.location) if order.location else (),
        )
        return web.json_response(asdict(result))

    async def _redeliver(self, request: web.Request) -> web.Response:
        sid = (await read(request, RedeliverOrder)).sid
        try:
            return web.json_response(asdict(await self._twilio.redeliver(sid)))
        except KeyError as exc:
            raise refused(f"no message {sid} was sent from here") from exc

    async def _set_receipts(self, request: web.Request) -> web.Response:
        self._twilio.statuses = _READ if (await read(request, ReceiptsOrder)).read else _DELIVERED
        return web.Response(status=204)

    async def _media(self, request: web.Request) -> web.Response:
        try:
            media = self._twilio.messages.file(self._business.account_sid, request.match_info["sid"])
        except TwilioRefusal as exc:
            raise web.HTTPNotFound(text=str(exc)) from exc
        disposition = "inline" if media.content_type.startswith(_SHOWN) else "attachment"
        headers = {
            "Content-Type": media.content_type,
            "Content-Disposition": disposition,
            "Content-Security-Policy": _MEDIA_POLICY,
        }
        return web.Response(body=media.data, headers=headers)


def location_fields(place: Place) -> tuple[tuple[str, str], ...]:
    """What Twilio's form holds of a shared place (twilio.com/docs/whatsapp/message-features, location messages)."""
    named = (("Address", place.address), ("Label", place.label))
    return (
        ("MessageType", "location"),
        ("Latitude", str(place.latitude)),
        ("Longitude", str(place.longitude)),
        *((name, value) for name, value in named if value),
    )


@web.middleware
async def _guarded(request: web.Request, handler: _Handler) -> web.StreamResponse:
    """Other sites open in the same browser neither read nor act; what is served runs nothing from elsewhere."""
    visited = request.method == "GET" and request.headers.get("Sec-Fetch-Dest") == "document"  # by a link: it reads nothing
    if request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin") and not visited:
        raise web.HTTPForbidden(text="only this page may ask")
    response = await handler(request)
    if not response.prepared:
        response.headers.setdefault("Content-Security-Policy", _POLICY)
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        response.headers.setdefault("Referrer-Policy", "no-referrer")
        response.headers.setdefault("Cache-Control", "no-store")
    return response
