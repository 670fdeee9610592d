"""Signatures of Standard Webhooks: a receiver can tell who sent a request, that it is whole, and that it is no repeat.

What is signed is ``id.timestamp.body`` with HMAC-SHA256; three headers carry id, timestamp (seconds since 1970) and signatures
(github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md).
"""

import hmac
import re
import secrets
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence

from wtai.errors import WtaiError

ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"

SECRET_PREFIX = "whsec_"  # noqa: S105 - what every secret starts with
TOLERANCE_SECONDS = 300

_VERSION = "v1"
_NEW_SECRET_BYTES = 32
_SECRET_BYTES = range(24, 65)
_ID = re.compile(r"[A-Za-z0-9_-]{1,255}")  # a dot would make ambiguous what is signed
_TIMESTAMP = re.compile(r"[0-9]{1,12}")


class SecretError(WtaiError):
    """A signing secret is not one of Standard Webhooks. The message does not show it."""


class SignatureError(WtaiError):
    """A request is not from who holds the secret, was changed, or is too old."""


def new_secret() -> str:
    """A fresh secret, ``whsec_`` and 32 random bytes in base64."""
    return SECRET_PREFIX + b64encode(secrets.token_bytes(_NEW_SECRET_BYTES)).decode()


def check_secret(secret: str) -> None:
    """SecretError unless ``secret`` is ``whsec_`` and the base64 of 24 to 64 bytes."""
    _key(secret)


def signed_headers(secrets_in_force: Sequence[str], message_id: str, body: bytes, *, now: int) -> dict[str, str]:
    """The headers that sign ``body`` at ``now`` (ms), with one signature for each secret: two while one replaces the other.

    ``message_id`` is the same for each try of the same message. ValueError if it is not of letters, digits, ``_`` and ``-``.
    """
    if not _ID.fullmatch(message_id):
        raise ValueError("a message id is of letters, digits, _ and -, up to 255 of them")
    timestamp = str(now // 1000)
    signatures = (f"{_VERSION},{_signature(secret, message_id, timestamp, body)}" for secret in secrets_in_force)
    return {ID: message_id, TIMESTAMP: timestamp, SIGNATURE: " ".join(signatures)}


def verify(secrets_in_force: Sequence[str], headers: Mapping[str, str], body: bytes, *, now: int) -> str:
    """The id of a message that one of the secrets signed, within five minutes of ``now`` (ms). SignatureError otherwise.

    ``headers`` are asked for by names in lower case.
    """
    message_id, timestamp, signatures = (headers.get(name, "") for name in (ID, TIMESTAMP, SIGNATURE))
    if not message_id or not signatures or not _TIMESTAMP.fullmatch(timestamp):
        raise SignatureError(f"{ID}, {TIMESTAMP} or {SIGNATURE} is absent or cannot be read")
    if abs(now // 1000 - int(timestamp)) > TOLERANCE_SECONDS:
        raise SignatureError(f"{TIMESTAMP} is more than {TOLERANCE_SECONDS} seconds away; mend: set the clocks")
    given = [
        signature.encode() for version, _, signature in (one.partition(",") for one in signatures.split()) if version == _VERSION
    ]
    for secret in secrets_in_force:
        expected = _signature(secret, message_id, timestamp, body).encode()
        if any(hmac.compare_digest(expected, one) for one in given):
            return message_id
    raise SignatureError("no signature fits the message; mend: compare the secrets of both sides")


def _signature(secret: str, message_id: str, timestamp: str, body: bytes) -> str:
    signed = b".".join((message_id.encode(), timestamp.encode(), body))
    return b64encode(hmac.digest(_key(secret), signed, "sha256")).decode()


def _key(secret: str) -> bytes:
    mend = f"mend: use {SECRET_PREFIX} and the base64 of {_SECRET_BYTES.start} to {_SECRET_BYTES.stop - 1} random bytes"
    if not secret.startswith(SECRET_PREFIX):
        raise SecretError(f"the signing secret does not start with {SECRET_PREFIX}; {mend}")
    try:
        key = b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except ValueError:
        raise SecretError(f"the signing secret is not in base64; {mend}") from None
    if len(key) not in _SECRET_BYTES:
        raise SecretError(f"the signing secret has {len(key)} bytes; {mend}")
    return key
