"""What Twilio's webhooks say, in our words: a person's message, or the fate of one of ours.

Parameters after twilio.com/docs/messaging/guides/webhook-request and twilio.com/docs/whatsapp/key-concepts. New ones appear
without notice, so unknown ones are no error: they stay in ``Inbound.raw``.
"""

import re
from collections.abc import Mapping

from wtai.channels.twilio.address import identities, spellings
from wtai.channels.twilio.details import details_of
from wtai.channels.twilio.errors import held_back
from wtai.channels.twilio.form import Form, MalformedPost
from wtai.conversation.model import Inbound, InboundMedia, Kind, Status, StatusUpdate

# A WhatsApp address has at most 140 characters with its prefix; a sender's name on SMS is shorter.
MAX_ADDRESS = 256
# WhatsApp carries one attachment a message, MMS at most ten.
MAX_MEDIA = 10

STATUSES = {
    "accepted": Status.QUEUED,
    "scheduled": Status.QUEUED,
    "queued": Status.QUEUED,
    "sending": Status.SENDING,
    "sent": Status.SENT,
    "partially_delivered": Status.SENT,
    "delivered": Status.DELIVERED,
    "read": Status.READ,
    "failed": Status.FAILED,
    "undelivered": Status.UNDELIVERED,
    "canceled": Status.CANCELED,
}
"""Twilio's statuses of an outbound message (MessageStatus of the REST API and of callbacks) in our words."""

_INBOUND_STATUSES = ("receiving", "received")

_MESSAGE_SID = re.compile(r"(SM|MM)[0-9a-f]{32}")
_ACCOUNT_SID = re.compile(r"AC[0-9a-f]{32}")
_ADDRESS = re.compile(r"(?!([a-z]+:)?(\s|$))[^\x00-\x1f\x7f]+")
_PUBLIC_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def account_sid(form: Form) -> str:
    """The account that a request says it is about, unchecked: it chooses the tokens to check it with. MalformedPost if absent."""
    return _required(form.fields, "AccountSid")


def our_address(form: Form) -> str:
    """Our address that a request says it is about, unchecked: where a message went to, or where one of ours came from."""
    fields = form.fields
    outbound = fields.get("MessageStatus", fields.get("SmsStatus", "received")) not in _INBOUND_STATUSES
    return _address(fields, "From" if outbound else "To")


def parse(form: Form) -> Inbound:
    """The message of an inbound webhook whose signature was checked. MalformedPost names the parameter that does not fit.

    ``Inbound.raw`` keeps every parameter as received.
    """
    fields = form.fields
    sid = _matching(fields, "MessageSid", _MESSAGE_SID)
    _matching(fields, "AccountSid", _ACCOUNT_SID)
    sender, ours = _address(fields, "From"), _address(fields, "To")
    media = _media(fields)
    details = details_of(fields)
    known_as = identities(sender, fields)
    prefix, colon, _ = sender.partition(":")
    quoted = fields.get("OriginalRepliedMessageSid", "")
    return Inbound(
        channel=prefix if colon else "sms",
        provider_sid=sid,
        our_address=ours,
        reply_to=sender,
        identities=known_as,
        lookup=spellings(known_as, fields),
        kind=_kind(fields, media, details),
        body=fields.get("Body", ""),
        profile_name=fields.get("ProfileName", "").strip() or None,
        quoted_sid=quoted if _MESSAGE_SID.fullmatch(quoted) else None,
        media=media,
        details=details,
        raw=form.text,
    )


def parse_status(form: Form, query: Mapping[str, str]) -> StatusUpdate | None:
    """The fate of an outbound message, None where the callback is about an inbound one. MalformedPost on an unknown status.

    ``query`` is that of the callback's URL, signed with the form: its ``m`` is the public id that ``client`` put there.
    """
    fields = form.fields
    sid = _matching(fields, "MessageSid" if "MessageSid" in fields else "SmsSid", _MESSAGE_SID)
    name = "MessageStatus" if "MessageStatus" in fields else "SmsStatus"
    said = _required(fields, name)
    if said in _INBOUND_STATUSES:
        return None
    status = STATUSES.get(said)
    if status is None:
        raise MalformedPost(f"{name} is none of {', '.join(STATUSES)}", field=name)
    ours = query.get("m", "")
    code = fields.get("ErrorCode", "")
    number = int(code) if re.fullmatch(r"[1-9][0-9]{0,8}", code) else None
    return StatusUpdate(
        provider_sid=sid,
        status=status,
        message=ours if _PUBLIC_ID.fullmatch(ours) else None,
        error_code=number,
        held_back=held_back(number),
    )


def _required(fields: Mapping[str, str], name: str) -> str:
    value = fields.get(name, "")
    if not value:
        raise MalformedPost(f"{name} is missing", field=name)
    return value


def _matching(fields: Mapping[str, str], name: str, form: re.Pattern[str]) -> str:
    value = _required(fields, name)
    if not form.fullmatch(value):
        raise MalformedPost(f"{name} is not of the form {form.pattern}", field=name)
    return value


def _address(fields: Mapping[str, str], name: str) -> str:
    value = _required(fields, name)
    if len(value) > MAX_ADDRESS or not _ADDRESS.fullmatch(value):
        raise MalformedPost(f"{name} is no address: too long, or a blank where '+' (%2B in a form) belongs", field=name)
    return value


def _media(fields: Mapping[str, str]) -> tuple[InboundMedia, ...]:
    """The attachments, by their URLs and not by NumMedia; one without a type is RFC 9110's octet-stream."""
    found = []
    for number in range(MAX_MEDIA):
        url = fields.get(f"MediaUrl{number}", "")
        if not url:
            break
        found.append(InboundMedia(url, fields.get(f"MediaContentType{number}", "") or "application/octet-stream"))
    return tuple(found)


def _kind(fields: Mapping[str, str], media: tuple[InboundMedia, ...], details: Mapping[str, object]) -> Kind:
    if media:
        return _kind_of_media(media[0].content_type, fields.get("MessageType", ""))
    for name, kind in (("list", Kind.LIST), ("button", Kind.BUTTON), ("location", Kind.LOCATION)):
        if name in details:
            return kind
    if fields.get("Body") or fields.get("MessageType") == "text":
        return Kind.TEXT
    return Kind.UNKNOWN


def _kind_of_media(content_type: str, message_type: str) -> Kind:
    """By content type; WhatsApp's stickers are WebP, and its photos never are (accepted-mime-types of Twilio's guides)."""
    essence = content_type.partition(";")[0].strip().lower()
    if message_type == "sticker" or essence == "image/webp":
        return Kind.STICKER
    if essence in {"text/vcard", "text/x-vcard", "text/directory"}:
        return Kind.CONTACT
    return _MEDIA_KINDS.get(essence.partition("/")[0], Kind.DOCUMENT)


_MEDIA_KINDS = {"image": Kind.IMAGE, "audio": Kind.AUDIO, "video": Kind.VIDEO}
