"""The JSON by which another process drives and inspects a fake Twilio.

    POST /send        {from, to, body, media?: [{content_type, data_base64}], voice?, profile_name?, sid?, extra?}
    POST /redeliver   {sid}
    POST /post        {form: [[name, value], …], path?, signature?}
    POST /faults      {kind, times?, probability?, retry_after?, seconds?, to?}
    DELETE /faults    disarm all
    POST /settings    {statuses?, status_delay_seconds?, listing_delay_seconds?, webhook_url?, public_url?, inbound_fragment?}
    POST /accounts    {account_sid, auth_token, numbers?}
    GET  /ledger?after=N    {total, accepted: those after the first N, leaks}
    GET  /messages    every message of both directions as Twilio's JSON, oldest first
    GET  /requests    the last requests to the REST API
    GET  /webhooks    the last webhooks posted, each as a curl command

The first three answer {status, text, sid}: what the application said. ``voice`` adds a voice note in
which that text is 'said'.
"""

from dataclasses import asdict

from aiohttp import web
from pydantic import Base64Bytes, Field

from wtai.simulator.faults import fault_routes
from wtai.simulator.orders import Order, read, refused
from wtai.simulator.twilio_carrier import INBOUND_PATH, Carrier
from wtai.simulator.voice import voice_note


class File(Order):
    content_type: str
    data_base64: Base64Bytes


class SendOrder(Order):
    from_: str = Field(alias="from")
    to: str
    body: str = ""
    media: tuple[File, ...] = ()
    voice: str | None = None
    profile_name: str | None = None
    sid: str | None = None
    extra: tuple[tuple[str, str], ...] = ()


class RedeliverOrder(Order):
    sid: str


class PostOrder(Order):
    form: list[tuple[str, str]]
    path: str = INBOUND_PATH
    signature: str | None = None


class AccountOrder(Order):
    account_sid: str
    auth_token: str
    numbers: tuple[str, ...] = ()


class SettingsOrder(Order):
    statuses: tuple[str, ...] = ()
    status_delay_seconds: float = Field(default=0, ge=0)
    listing_delay_seconds: float = Field(default=0, ge=0)
    webhook_url: str = ""
    public_url: str | None = None
    inbound_fragment: str = ""


class Control:
    """Handlers of the control routes over one carrier."""

    def __init__(self, carrier: Carrier) -> None:
        self._carrier = carrier

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/send", self._send),
            web.post("/redeliver", self._redeliver),
            web.post("/post", self._post),
            *fault_routes(self._carrier.faults),
            web.post("/settings", self._set),
            web.post("/accounts", self._add_account),
            web.get("/ledger", self._ledger),
            web.get("/messages", self._messages),
            web.get("/requests", self._requests),
            web.get("/webhooks", self._webhooks),
        ]

    async def _send(self, request: web.Request) -> web.Response:
        order = await read(request, SendOrder)
        media = [(file.content_type, file.data_base64) for file in order.media]
        if order.voice is not None:
            media.append(("audio/ogg", voice_note(order.voice)))
        result = await self._carrier.send(
            order.from_,
            order.to,
            order.body,
            media=media,
            profile_name=order.profile_name,
            sid=order.sid,
            extra=order.extra,
        )
        return web.json_response(asdict(result))

    async def _redeliver(self, request: web.Request) -> web.Response:
        sid = (await read(request, RedeliverOrder)).sid
        try:
            return web.json_response(asdict(await self._carrier.redeliver(sid)))
        except KeyError as exc:
            raise refused(f"no message {sid} was sent from here") from exc

    async def _post(self, request: web.Request) -> web.Response:
        order = await read(request, PostOrder)
        return web.json_response(asdict(await self._carrier.post(tuple(order.form), path=order.path, signature=order.signature)))

    async def _set(self, request: web.Request) -> web.Response:
        order = await read(request, SettingsOrder)
        for name in order.model_fields_set:
            setattr(self._carrier, name, getattr(order, name))
        return web.Response(status=204)

    async def _add_account(self, request: web.Request) -> web.Response:
        order = await read(request, AccountOrder)
        self._carrier.add_account(order.account_sid, order.auth_token, numbers=order.numbers)
        return web.Response(status=204)

    async def _ledger(self, request: web.Request) -> web.Response:
        after = request.query.get("after", "0")
        if not after.isdecimal():
            raise refused(f"after must be a number of entries, not {after!r}")
        accepted = self._carrier.accepted
        entries = [{name.rstrip("_"): value for name, value in asdict(entry).items()} for entry in accepted[int(after) :]]
        return web.json_response({"total": len(accepted), "accepted": entries, "leaks": self._carrier.leaks})

    async def _messages(self, _: web.Request) -> web.Response:
        return web.json_response([message.as_json() for message in self._carrier.messages.all()])

    async def _requests(self, _: web.Request) -> web.Response:
        return web.json_response([asdict(request) for request in self._carrier.requests])

    async def _webhooks(self, _: web.Request) -> web.Response:
        return web.json_response(
            [{"at": posted.at, "status": posted.status, "curl": posted.curl()} for posted in self._carrier.posted]
        )
