"""The body of a Twilio webhook: from raw bytes to the ordered names and values that were signed.

Twilio posts ``application/x-www-form-urlencoded`` in UTF-8 and signs every field, also the empty and the unknown ones
(twilio.com/docs/messaging/guides/webhook-request), so nothing is dropped, trimmed or reordered here. What comes out has no
lone surrogates (they are not UTF-8) but may have NUL characters: the signature is over them; ``inbound`` takes them out of
what is stored as text and keeps them, escaped, in the raw parameters.
"""

from urllib.parse import unquote_to_bytes

from yarl import query_to_pairs

from wtai.errors import WtaiError

CONTENT_TYPE = "application/x-www-form-urlencoded"

_CHARSETS = ("utf-8", "utf8")


class MalformedPost(WtaiError):
    """Not a request that Twilio makes: answer 400. ``field`` is the parameter at fault, None for the body as a whole.

    The message names the field and never quotes what it held.
    """

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


def parse_form(body: bytes, content_type: str, *, max_fields: int = 1000) -> list[tuple[str, str]]:
    """The fields of ``body`` in their order, blanks and repeats kept. MalformedPost if it is not a form in UTF-8.

    A message with ten attachments and a referral has about 60 fields.
    """
    media_type, *parameters = content_type.split(";")
    if media_type.strip().lower() != CONTENT_TYPE:
        raise MalformedPost(f"Content-Type is not {CONTENT_TYPE}, which is what Twilio posts")
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset" and value.strip().strip('"').lower() not in _CHARSETS:
            raise MalformedPost("Content-Type names a charset other than utf-8; Twilio posts utf-8")
    try:
        unquote_to_bytes(body).decode()  # what is escaped must be utf-8, too: the parser would leave it escaped
        return query_to_pairs(body.decode(), max_fields=max_fields)
    except UnicodeDecodeError:
        raise MalformedPost("the form is not valid utf-8") from None
    except ValueError:
        raise MalformedPost(f"the form has more than {max_fields} fields") from None
