"""Whether Twilio sent this request: the check of ``X-Twilio-Signature``.

Twilio signs the URL it called, followed by the form's names and values, with the account's auth token (HMAC-SHA1, or the
algorithm named in ``X-Twilio-Webhooks-Signature-Settings``); see twilio.com/docs/usage/security. The signature has no
delimiters and no time: a request can be replayed, so that only the uniqueness of its MessageSid protects against repeats.
"""

import hmac
from base64 import b64encode
from collections.abc import Iterable, Sequence
from functools import lru_cache
from urllib.parse import urlsplit

from twilio.request_validator import RequestValidator

SIGNATURE_HEADER = "X-Twilio-Signature"
SETTINGS_HEADER = "X-Twilio-Webhooks-Signature-Settings"

_ALGORITHMS = {"HMAC_SHA1": "sha1", "HMAC_SHA256": "sha256"}
_USUAL = "sha1"


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
    # Twilio's own validator, the oracle of the tests, takes ten times as long: it signs both spellings of the URL and splits
    # and joins them on the way.
    signed = "".join([name + value for name, value in sorted(set(form))])
    # An empty token would be a key that everybody knows.
    keys = [token.encode() for token in tokens if token]
    try:
        for base in _bases(public_url):
            content = (base + raw_path + signed).encode()
            for key in keys:
                # hmac.digest would let another thread in, and wait for its end.
                if hmac.compare_digest(b64encode(hmac.new(key, content, algorithm).digest()).decode(), signatures[0]):
                    return True
    except (TypeError, ValueError):
        # A signature that is not ASCII; a lone surrogate in the form; an impossible port in public_url.
        return False
    return False


def sign(url: str, form: Iterable[tuple[str, str]], token: str) -> str:
    """The signature that Twilio would send with this form, by Twilio's own library, for trying a webhook out."""
    fields = _Fields()
    for name, value in form:
        fields.setdefault(name, []).append(value)
    return str(RequestValidator(token).compute_signature(url, fields))


class _Fields(dict[str, list[str]]):
    """Names to all their values, as the official validator reads them."""

    def getall(self, name: str) -> list[str]:
        return self[name]


def _algorithm(settings: Sequence[str]) -> str | None:
    """The hash that signed; SHA-1 without the header, None where the header names what is not known here."""
    if not settings:
        return _USUAL
    named = dict(part.strip().split("=", 1) for part in settings[0].split(",") if "=" in part)
    if len(settings) > 1 or "key" in named:
        return None
    return _ALGORITHMS.get(named["algorithm"]) if "algorithm" in named else _USUAL


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
