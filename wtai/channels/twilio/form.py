"""The body of a Twilio webhook: from raw bytes to the ordered names and values that were signed.

Twilio posts ``application/x-www-form-urlencoded`` in UTF-8 and signs every field, also the empty and the unknown ones
(twilio.com/docs/messaging/guides/webhook-request), so nothing is dropped, trimmed or reordered here. What comes out has no
lone surrogates (they are not UTF-8) but may have NUL characters: the signature is over them. ``Form.fields`` and ``Form.text``,
which are stored, have none: not every database takes them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote_to_bytes

from yarl import query_to_pairs

from wtai.errors import WtaiError

CONTENT_TYPE = "application/x-www-form-urlencoded"

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_CHARSETS = ("utf-8", "utf8")

# Two different values of one of these would let the reader pick what a message is, or whose.
_ONCE = ("MessageSid", "AccountSid", "From", "To", "Body", "ExternalUserId", "MessageStatus")


class MalformedPost(WtaiError):
    """Not a request that Twilio makes: answer 400. ``field`` is the parameter at fault, None for the body as a whole.

    The message names the field and never quotes what it held.
    """

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, slots=True)
class Form:
    """A form post: its text as received, its names and values in their order, blanks and repeats kept, and each name's first
    value.
    """

    text: str
    pairs: Sequence[tuple[str, str]]
    fields: Mapping[str, str]


def parse_form(body: bytes, content_type: str, *, max_fields: int = 1000) -> Form:
    """Read ``body``. MalformedPost if it is not a form in UTF-8, or says twice and differently what a message is, or whose.

    A message with ten attachments and a referral has about 60 fields.
    """
    _require_form(content_type)
    try:
        text = body.decode()
        pairs = query_to_pairs(text, max_fields=max_fields)
        if any(_REPLACEMENT in name or _REPLACEMENT in value for name, value in pairs):
            unquote_to_bytes(body).decode()  # the parser's word for what is escaped and not UTF-8, unless it was written so
    except UnicodeDecodeError:
        raise MalformedPost("the form is not valid utf-8") from None
    except ValueError:
        raise MalformedPost(f"the form has more than {max_fields} fields") from None
    return Form(text.replace("\0", "%00"), pairs, _first_values(text, pairs))


def _first_values(text: str, pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    fields = dict(pairs)
    if len(fields) == len(pairs) and "%00" not in text and "\0" not in text:
        return fields
    fields.clear()
    for name, value in pairs:
        clean = value.replace("\0", "")
        if fields.setdefault(name, clean) != clean and name in _ONCE:
            raise MalformedPost(f"{name} is given twice with different values", field=name)
    return fields


@lru_cache(maxsize=8)
def _require_form(content_type: str) -> None:
    """MalformedPost unless this type is what Twilio posts."""
    media_type, *parameters = content_type.split(";")
    if media_type.strip().lower() != CONTENT_TYPE:
        raise MalformedPost(f"Content-Type is not {CONTENT_TYPE}, which is what Twilio posts")
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset" and value.strip().strip('"').lower() not in _CHARSETS:
            raise MalformedPost("Content-Type names a charset other than utf-8; Twilio posts utf-8")
