"""Whether Twilio sent this request: the check of ``X-Twilio-Signature``.

Twilio signs the URL it called, followed by the form's names and values, with the account's auth token (HMAC-SHA1, or the
algorithm named in ``X-Twilio-Webhooks-Signature-Settings``); see twilio.com/docs/usage/security. The signature has no
delimiters and no time: a request can be replayed, so that only the uniqueness of its MessageSid protects against repeats.
"""

import hmac
from collections.abc import Iterable, Sequence
from functools import lru_cache
from urllib.parse import urlsplit

from twilio.request_validator import HMAC_SHA1, HMAC_SHA256, RequestValidator

SIGNATURE_HEADER = "X-Twilio-Signature"
SETTINGS_HEADER = "X-Twilio-Webhooks-Signature-Settings"

_ALGORITHMS = (HMAC_SHA1, HMAC_SHA256)


def is_signed(
    *,
    public_url: str,
    raw_path: str,
    form: Iterable[tuple[str, str]],
    signatures: Sequence[str],
    settings: Sequence[str],
    tokens: Iterable[str],
) -> bool:
    """Whether one of ``tokens`` signed this form post. Never raises.

    ``public_url`` is the configured base that Twilio calls, ``raw_path`` path and query as received, byte for byte;
    ``signatures`` and ``settings`` are all values of the two headers. The URL counts with and without its port, repeated
    names count as Twilio's libraries sign them (each different value once, sorted). A settings header that names a key
    is refused: its secret is none of the account's tokens.
    """
    algorithm = _algorithm(settings)
    if algorithm is None or len(signatures) != 1 or not raw_path.startswith("/"):
        return False
    fields = _Fields()
    for name, value in form:
        fields.setdefault(name, []).append(value)
    # An empty token would be a key that everybody knows.
    validators = [RequestValidator(token) for token in tokens if token]
    try:
        # validate() always signs both spellings of the URL and rebuilds them on the way; one at a time costs half and
        # leaves the path as it came.
        return any(
            hmac.compare_digest(_signature(validator, base + raw_path, fields, algorithm), signatures[0])
            for base in _bases(public_url)
            for validator in validators
        )
    except (TypeError, ValueError):
        # A signature that is not ASCII; a lone surrogate in the form; an impossible port in public_url.
        return False


def sign(url: str, form: Iterable[tuple[str, str]], token: str) -> str:
    """The signature that Twilio would send with this form, for trying a webhook out."""
    fields = _Fields()
    for name, value in form:
        fields.setdefault(name, []).append(value)
    return _signature(RequestValidator(token), url, fields, HMAC_SHA1)


def _signature(validator: RequestValidator, url: str, fields: dict[str, list[str]], algorithm: str) -> str:
    return str(validator.compute_signature(url, fields, algorithm))


class _Fields(dict[str, list[str]]):
    """Names to all their values, as the official validator reads them."""

    def getall(self, name: str) -> list[str]:
        return self[name]


def _algorithm(settings: Sequence[str]) -> str | None:
    """The algorithm that signed; HMAC-SHA1 without the header, None where the header names what is not known here."""
    if not settings:
        return HMAC_SHA1
    named = dict(part.strip().split("=", 1) for part in settings[0].split(",") if "=" in part)
    algorithm = named.get("algorithm", HMAC_SHA1)
    if len(settings) > 1 or "key" in named or algorithm not in _ALGORITHMS:
        return None
    return algorithm


@lru_cache(maxsize=8)
def _bases(public_url: str) -> tuple[str, str]:
    """The base as configured, then with its port removed, or with the scheme's own port added: Twilio signs either."""
    base = public_url.rstrip("/")
    url = urlsplit(base)
    if url.port is None:
        other = f"{url.netloc}:{443 if url.scheme == 'https' else 80}"
    else:
        other = url.netloc.removesuffix(f":{url.port}")
    return base, url._replace(netloc=other).geturl()
