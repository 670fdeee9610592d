"""What a message carries that has no column: location, button, list, referral and the like, as JSON-ready values.

==============  ====================================================================================
location        latitude, longitude (degrees), address, label
button, list    what was pressed or picked: text, payload, type; id, title
interactive     InteractiveData of the channel, parsed
flow            FlowData (a WhatsApp flow's answers), parsed
context         the channel's own words on what is replied to or forwarded (ChannelMetadata)
referral        the advertisement that led here: ``ReferralSourceUrl`` becomes ``source_url`` and so on
forwarded       True where the person forwarded it, frequently_forwarded where many did
opt_out         STOP, START or HELP, as Twilio's Advanced Opt-Out understood and already answered it
message_type    Twilio's MessageType, where it is not text
==============  ====================================================================================
"""

import json
import math
import re
from collections.abc import Mapping

_REFERRAL = "Referral"
_BUTTON = {"text": "ButtonText", "payload": "ButtonPayload", "type": "ButtonType"}
_LIST = {"id": "ListId", "title": "ListTitle"}
# What Twilio posts with every message, a text on WhatsApp included.
_OF_PLAIN_TEXT = frozenset(
    {"AccountSid", "ApiVersion", "Body", "ExternalUserId", "From", "MessageSid", "MessageType", "NumMedia", "NumSegments"}
    | {"ProfileName", "ReferralNumMedia", "SmsMessageSid", "SmsSid", "SmsStatus", "To", "WaId"}
)
_DEGREES = re.compile(r"[+-]?[0-9]{1,3}(\.[0-9]{1,20})?")


def details_of(fields: Mapping[str, str]) -> dict[str, object]:
    """The details present in ``fields``; empty parameters count as absent."""
    if fields.keys() <= _OF_PLAIN_TEXT and fields.get("MessageType", "text") == "text":
        return {}  # what nearly every message is
    message_type = fields.get("MessageType")
    details: dict[str, object] = {
        "location": _location(fields),
        "button": _named(fields, _BUTTON),
        "list": _named(fields, _LIST),
        "interactive": _json(fields.get("InteractiveData", "")),
        "flow": _json(fields.get("FlowData", "")),
        "context": _context(fields.get("ChannelMetadata", "")),
        "referral": _referral(fields),
        "forwarded": fields.get("Forwarded") == "true",
        "frequently_forwarded": fields.get("FrequentlyForwarded") == "true",
        "opt_out": fields.get("OptOutType"),
        "message_type": message_type if message_type != "text" else None,
    }
    return {name: value for name, value in details.items() if value}


def _named(fields: Mapping[str, str], names: Mapping[str, str]) -> dict[str, str]:
    return {ours: fields[theirs] for ours, theirs in names.items() if fields.get(theirs)}


def _location(fields: Mapping[str, str]) -> dict[str, object]:
    if "Latitude" not in fields:
        return {}
    latitude, longitude = _degrees(fields.get("Latitude", ""), 90), _degrees(fields.get("Longitude", ""), 180)
    if latitude is None or longitude is None:
        return {}
    return {"latitude": latitude, "longitude": longitude, **_named(fields, {"address": "Address", "label": "Label"})}


def _degrees(text: str, limit: int) -> float | None:
    if not _DEGREES.fullmatch(text):
        return None
    degrees = float(text)
    return degrees if abs(degrees) <= limit else None


def _referral(fields: Mapping[str, str]) -> dict[str, str]:
    """Twilio sends these empty, and ReferralNumMedia as 0, on messages that no advertisement led to."""
    found = [name for name, value in fields.items() if name.startswith(_REFERRAL) and value]
    if found in ([], [f"{_REFERRAL}NumMedia"]):
        return {}
    return {re.sub(r"(?<!^)(?=[A-Z])", "_", name.removeprefix(_REFERRAL)).lower(): fields[name] for name in found}


def _context(text: str) -> object:
    """``{"type": "whatsapp", "data": {"context": {…}}}``: the context, where it has the published shape."""
    metadata = _json(text)
    data = metadata.get("data") if isinstance(metadata, dict) else None
    return data.get("context") if isinstance(data, dict) else None


def _json(text: str) -> object:
    """The value of a JSON parameter; the text itself where it is not JSON, or not JSON that a database can store."""
    if not text:
        return None
    try:
        value: object = json.loads(text, parse_float=_finite, parse_constant=_refuse_constant)
        # NUL is refused by PostgreSQL's jsonb, a lone surrogate by every UTF-8 encoder.
        written = json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return text
    return text if b"\\u0000" in written else value


def _finite(number: str) -> float:
    value = float(number)
    if not math.isfinite(value):
        raise ValueError("a number beyond a double's range")
    return value


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")
