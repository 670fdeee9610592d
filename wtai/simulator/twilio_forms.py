"""The forms Twilio posts to an application: names, order and values as in its webhook documentation and in captures."""

import hashlib
from collections.abc import Sequence

from wtai.simulator.twilio_messages import API_VERSION, Media, Message, Pairs

WHATSAPP = "whatsapp:"
_KINDS = {"image/webp": "sticker", "text/vcard": "contacts", "text/x-vcard": "contacts"}
_COUNTRIES = {"+55": "BR", "+34": "ES", "+351": "PT", "+54": "AR", "+52": "MX", "+1": "US"}


def inbound_form(message: Message, media: Sequence[tuple[str, Media]], profile_name: str | None, extra: Pairs) -> Pairs:
    """What Twilio posts for a message of a customer. ``media`` are (URL, file); a name in ``extra`` replaces the usual field."""
    on_whatsapp = message.to.startswith(WHATSAPP)
    form = [(f"MediaContentType{n}", file.content_type) for n, (_, file) in enumerate(media)]
    form += [("SmsMessageSid", message.sid), ("NumMedia", str(len(media)))]
    if on_whatsapp:
        form += _whatsapp_fields(message, [file for _, file in media], profile_name)
    form += [
        ("SmsSid", message.sid),
        ("SmsStatus", "received"),
        ("Body", message.body),
        ("To", message.to),
        ("NumSegments", "1"),
        ("MessageSid", message.sid),
        ("AccountSid", message.account),
        ("From", message.from_ or ""),
    ]
    form += [(f"MediaUrl{n}", url) for n, (url, _) in enumerate(media)]
    form.append(("ApiVersion", API_VERSION))
    replaced = {name for name, _ in extra}
    return (*((name, value) for name, value in form if name not in replaced), *extra)


def status_form(message: Message, status: str) -> Pairs:
    """What Twilio posts when ``message`` reaches ``status``."""
    form = [
        ("SmsSid", message.sid),
        ("SmsStatus", status),
        ("MessageStatus", status),
        ("MessageSid", message.sid),
        ("AccountSid", message.account),
        ("ApiVersion", API_VERSION),
        ("To", message.to),
    ]
    if message.from_ is not None:
        form.append(("From", message.from_))
    if message.service is not None:
        form.append(("MessagingServiceSid", message.service))
    if message.error_code is not None:
        form.append(("ErrorCode", str(message.error_code)))
    if message.to.startswith(WHATSAPP):
        form += _channel_fields(message, status)
    return tuple(form)


def external_user_id(address: str) -> str:
    """The business-scoped id of the person behind a WhatsApp address: the address itself where it already is one."""
    number = address.removeprefix(WHATSAPP)
    if not number.startswith("+"):
        return address
    country = next((code for prefix, code in _COUNTRIES.items() if number.startswith(prefix)), "US")
    return f"{WHATSAPP}{country}.{int(hashlib.sha256(number.encode()).hexdigest()[:13], 16):016d}"


def _whatsapp_fields(message: Message, media: Sequence[Media], profile_name: str | None) -> list[tuple[str, str]]:
    sender = message.from_ or ""
    number = sender.removeprefix(WHATSAPP)
    form = [("ProfileName", profile_name or f"Cliente {number[-4:]}"), ("MessageType", _message_type(media))]
    if number.startswith("+"):
        form.append(("WaId", number.removeprefix("+")))
    form += [("ExternalUserId", external_user_id(sender)), ("ReferralNumMedia", "0")]
    return form


def _channel_fields(message: Message, status: str) -> list[tuple[str, str]]:
    install = hashlib.md5(message.account.encode(), usedforsecurity=False).hexdigest()
    form = [("ChannelInstallSid", f"XE{install}"), ("ChannelPrefix", "whatsapp")]
    form += [("ChannelToAddress", message.to.removeprefix(WHATSAPP)), ("StructuredMessage", "false")]
    if message.error_message is not None:
        form.append(("ChannelStatusMessage", message.error_message))
    if status in {"delivered", "read", "undelivered"}:
        form.append(("EventType", status.upper()))
    if status in {"delivered", "read"}:
        form.append(("ExternalUserId", external_user_id(message.to)))
    return form


def _message_type(media: Sequence[Media]) -> str:
    if not media:
        return "text"
    content_type = media[0].content_type.partition(";")[0]
    family = content_type.partition("/")[0]
    return _KINDS.get(content_type, family if family in {"image", "audio", "video"} else "document")
