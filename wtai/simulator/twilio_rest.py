"""The REST resources of the fake Twilio: messages, media and typing, refused and answered as Twilio does."""

import base64
import binascii
import gzip
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from aiohttp import web

from wtai.simulator.faults import Armed
from wtai.simulator.server import Listener, drop_connection
from wtai.simulator.twilio_carrier import Carrier, Received
from wtai.simulator.twilio_faults import TwilioFault
from wtai.simulator.twilio_messages import API_VERSION, Listing, Media, Message, Pairs, TwilioRefusal, fresh_sid

BODY_LIMIT = 1_600
MEDIA_LIMIT = 10
MEDIA_BYTES = 16 * 1024 * 1024
_FIELDS = frozenset(
    {
        "To",
        "From",
        "MessagingServiceSid",
        "Body",
        "MediaUrl",
        "ContentSid",
        "ContentVariables",
        "StatusCallback",
        "ApplicationSid",
        "MaxPrice",
        "ProvideFeedback",
        "Attempt",
        "ValidityPeriod",
        "ForceDelivery",
        "ContentRetention",
        "AddressRetention",
        "SmartEncoded",
        "PersistentAction",
        "TrafficType",
        "ShortenUrls",
        "ScheduleType",
        "SendAt",
        "SendAsMms",
        "RiskCheck",
        "FallbackFrom",
        "MessageIntent",
        "Tags",
    }
)
_REPEATABLE = frozenset({"MediaUrl", "PersistentAction"})
_TO = re.compile(r"\+[1-9][0-9]{4,14}|(whatsapp|rcs|messenger):.+")
_SERVICE = re.compile(r"MG[0-9a-fA-F]{32}")
_CONTENT = re.compile(r"HX[0-9a-fA-F]{32}")


@dataclass(frozen=True, slots=True)
class Call:
    """A request that has passed authentication."""

    request: web.Request
    account: str
    form: Pairs


Handler = Callable[[Call], Awaitable[web.StreamResponse]]


class TwilioRest:
    """Handlers of the REST resources over one carrier."""

    def __init__(self, carrier: Carrier, listener: Listener) -> None:
        self._carrier = carrier
        self._messages = carrier.messages
        self._listener = listener

    def routes(self) -> list[web.RouteDef]:
        account = f"/{API_VERSION}/Accounts/{{account}}"
        media = f"{account}/Messages/{{sid}}/Media"
        return [
            web.post(f"{account}/Messages.json", self._api(self._create)),
            web.get(f"{account}/Messages.json", self._api(self._list)),
            web.get(f"{account}/Messages/{{sid}}.json", self._api(self._fetch)),
            web.get(f"{media}.json", self._api(self._list_media)),
            web.get(f"{media}/{{media}}.json", self._api(self._fetch_media)),
            web.delete(f"{media}/{{media}}.json", self._api(self._delete_media)),
            web.get(f"{media}/{{media}}", self._api(self._redirect_media)),
            web.delete(f"{media}/{{media}}", self._api(self._delete_media)),
            web.post("/v2/Indicators/Typing.json", self._api(self._typing)),
            web.get("/cdn/{media}", self._cdn),
        ]

    def _api(self, handler: Handler) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def answer(request: web.Request) -> web.StreamResponse:
            form = tuple(parse_qsl((await request.read()).decode(errors="replace"), keep_blank_values=True))
            status = 0
            try:
                response = await handler(Call(request, self._authenticate(request), form))
                status = 0 if request.transport is None or request.transport.is_closing() else response.status
            except TwilioRefusal as refusal:
                status = refusal.status
                response = error(refusal)
            finally:
                self._carrier.requests.append(Received(self._carrier.clock.now(), request.method, request.path_qs, form, status))
            return response

        return answer

    def _authenticate(self, request: web.Request) -> str:
        """The account whose SID and token came as HTTP Basic. Raises TwilioRefusal 401."""
        scheme, _, encoded = request.headers.get("Authorization", "").partition(" ")
        try:
            user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            user = password = ""
        known = scheme.lower() == "basic" and user in self._carrier.tokens and self._carrier.tokens[user] == password
        if not known or request.match_info.get("account", user) != user:
            raise TwilioRefusal(401, 20003, "Authenticate")
        return user

    async def _create(self, call: Call) -> web.StreamResponse:
        to = next((value for name, value in call.form if name == "To"), None)
        before = self._carrier.faults.take(TwilioFault.THROTTLED, TwilioFault.ERROR_BEFORE, TwilioFault.OPTED_OUT, to=to)
        if before is not None:
            return _refused_before(before)
        message = self._accept(call)
        after = self._carrier.faults.take(TwilioFault.ERROR_AFTER, TwilioFault.TIMEOUT_AFTER, TwilioFault.RESET_AFTER, to=to)
        if after is not None:
            if after.kind is TwilioFault.RESET_AFTER:
                return drop_connection(call.request)
            if after.kind is TwilioFault.ERROR_AFTER:
                raise TwilioRefusal(500, 20500, "An internal server error has occurred")
            await self._listener.hold(after.seconds)
        return web.json_response(message.as_json(), status=201)

    def _accept(self, call: Call) -> Message:
        fields = _checked(call)
        now = self._carrier.clock.now()
        service = fields.get("MessagingServiceSid")
        message = Message(
            sid=fresh_sid("MM" if "MediaUrl" in fields else "SM"),
            account=call.account,
            from_=fields.get("From"),
            to=fields["To"],
            body=fields.get("Body", ""),
            direction="outbound-api",
            status="accepted" if service else "queued",
            created_at=now,
            updated_at=now,
            service=service,
            callback=fields.get("StatusCallback"),
        )
        self._carrier.accept(message, call.form)
        return message

    async def _list(self, call: Call) -> web.StreamResponse:
        listing = Listing.parse(call.request.query.items())
        until = self._carrier.clock.now() - round(self._carrier.listing_delay_seconds * 1000)
        return web.json_response(self._messages.page(call.account, listing, until))

    async def _fetch(self, call: Call) -> web.StreamResponse:
        return web.json_response(self._messages.get(call.account, call.request.match_info["sid"]).as_json())

    async def _list_media(self, call: Call) -> web.StreamResponse:
        message = self._messages.get(call.account, call.request.match_info["sid"])
        page = {"media_list": [self._messages.media[sid].as_json() for sid in message.media], "page": 0, "page_size": 50}
        uri = call.request.path_qs
        page |= {"start": 0, "end": max(len(message.media) - 1, 0), "first_page_uri": uri, "uri": uri}
        return web.json_response({**page, "next_page_uri": None, "previous_page_uri": None})

    async def _fetch_media(self, call: Call) -> web.StreamResponse:
        return web.json_response(self._messages.file(call.account, call.request.match_info["media"]).as_json())

    async def _redirect_media(self, call: Call) -> web.StreamResponse:
        media = self._messages.file(call.account, call.request.match_info["media"])
        fault = self._carrier.faults.take(
            TwilioFault.MEDIA_GONE, TwilioFault.MEDIA_ERROR, TwilioFault.MEDIA_ELSEWHERE, to=self._sender_of(media)
        )
        if fault is not None:
            return _media_fault(fault)
        query = (
            f"Expires={self._carrier.clock.now() // 1000 + 14_400}&Signature={media.signature}&Key-Pair-Id=APKAIRUDFXVKPONS3KUA"
        )
        return web.Response(status=307, headers={"Location": f"{call.request.url.origin()}/cdn/{media.sid}?{query}"})

    async def _delete_media(self, call: Call) -> web.StreamResponse:
        self._messages.detach(call.account, call.request.match_info["media"])
        return web.Response(status=204)

    async def _typing(self, call: Call) -> web.StreamResponse:
        fields = dict(call.form)
        if fields.keys() != {"channel", "messageId"} or fields["channel"] != "whatsapp":
            raise TwilioRefusal(400, 20001, "Expected exactly channel=whatsapp and messageId")
        message = self._messages.get(call.account, fields["messageId"])
        if message.direction != "inbound":
            raise TwilioRefusal(400, 20001, "messageId must name an inbound message")
        self._carrier.show_typing(message)
        return web.json_response({"success": True})

    async def _cdn(self, request: web.Request) -> web.Response:
        if "Authorization" in request.headers:
            self._carrier.leaks.append(request.path)
            return web.Response(status=400, text="Only one auth mechanism allowed")
        media = self._messages.media.get(request.match_info["media"])
        if media is None or request.query.get("Signature") != media.signature:
            return web.Response(status=403, text="Access denied")
        headers = {"Content-Type": media.content_type}
        if name := self._carrier.file_names.get(media.content_type):
            headers["Content-Disposition"] = f'attachment; filename="{name}"'
        if self._carrier.faults.take(TwilioFault.MEDIA_COMPRESSED, to=self._sender_of(media)):
            return web.Response(body=gzip.compress(media.data), headers={**headers, "Content-Encoding": "gzip"})
        if self._carrier.faults.take(TwilioFault.MEDIA_TOO_LARGE, to=self._sender_of(media)):
            return web.Response(body=media.data.ljust(MEDIA_BYTES + 1, b"\0"), headers=headers)
        return web.Response(body=media.data, headers=headers)

    def _sender_of(self, media: Media) -> str | None:
        return self._messages.get(media.account, media.message_sid).from_


def error(refusal: TwilioRefusal, retry_after: str | None = None) -> web.Response:
    """Twilio's JSON of an error: code, message, more_info, status."""
    body = {
        "code": refusal.code,
        "message": str(refusal),
        "more_info": f"https://www.twilio.com/docs/errors/{refusal.code}",
        "status": refusal.status,
    }
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    if refusal.status == 401:
        headers["WWW-Authenticate"] = 'Basic realm="Twilio API"'
    return web.json_response(body, status=refusal.status, headers=headers)


def _media_fault(fault: Armed[TwilioFault]) -> web.Response:
    if fault.kind is TwilioFault.MEDIA_ELSEWHERE:
        return web.Response(status=307, headers={"Location": "https://media.elsewhere.example/file"})
    if fault.kind is TwilioFault.MEDIA_GONE:
        raise TwilioRefusal(404, 20404, "The requested resource was not found")
    raise TwilioRefusal(500, 20500, "An internal server error has occurred")


def _refused_before(fault: Armed[TwilioFault]) -> web.Response:
    if fault.kind is TwilioFault.THROTTLED:
        return error(TwilioRefusal(429, 20429, "Too Many Requests"), fault.retry_after)
    if fault.kind is TwilioFault.OPTED_OUT:
        raise TwilioRefusal(400, 21610, "Attempt to send to unsubscribed recipient")
    raise TwilioRefusal(500, 20500, "An internal server error has occurred")


def _checked(call: Call) -> dict[str, str]:
    """The fields of a create that Twilio would take. Raises TwilioRefusal 400 with the code of the first thing wrong."""
    if call.request.content_type != "application/x-www-form-urlencoded":
        raise TwilioRefusal(400, 20001, "The body must be application/x-www-form-urlencoded")
    names = [name for name, _ in call.form]
    for name in names:
        if name not in _FIELDS:
            raise TwilioRefusal(400, 20001, f"Unknown parameter: {name}")
        if name not in _REPEATABLE and names.count(name) > 1:
            raise TwilioRefusal(400, 20001, f"Repeated parameter: {name}")
    fields = dict(call.form)
    _check_addresses(fields)
    _check_content(fields, names.count("MediaUrl"))
    return fields


def _check_addresses(fields: dict[str, str]) -> None:
    to, sender, service = fields.get("To", ""), fields.get("From", ""), fields.get("MessagingServiceSid", "")
    if not to:
        raise TwilioRefusal(400, 21604, "A 'To' phone number is required.")
    if not sender and not service:
        raise TwilioRefusal(400, 21603, "A 'From' phone number or a MessagingServiceSid is required.")
    if not _TO.fullmatch(to):
        raise TwilioRefusal(400, 21211, f"Invalid 'To' Phone Number: {to}")
    if service and not _SERVICE.fullmatch(service):
        raise TwilioRefusal(400, 21701, "The Messaging Service does not exist")
    if sender and sender.rpartition(":")[0] != to.rpartition(":")[0]:
        raise TwilioRefusal(400, 21910, "Invalid From and To pair. From and To should be of the same channel")
    if "StatusCallback" in fields and not urlsplit(fields["StatusCallback"]).netloc:
        raise TwilioRefusal(400, 21609, "The 'StatusCallback' URL is not a valid URL.")


def _check_content(fields: dict[str, str], media: int) -> None:
    content = fields.get("ContentSid")
    if content is not None and not _CONTENT.fullmatch(content):
        raise TwilioRefusal(400, 21655, "The ContentSid is invalid")
    if not fields.get("Body") and not media and content is None:
        raise TwilioRefusal(400, 21619, "A text message body or media urls must be specified.")
    if len(fields.get("Body", "").encode("utf-16-le")) // 2 > BODY_LIMIT:
        raise TwilioRefusal(400, 21617, "The concatenated message body exceeds the 1600 character limit")
    if media > MEDIA_LIMIT:
        raise TwilioRefusal(400, 21623, "Number of media files exceeds allowed limit")
