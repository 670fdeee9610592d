"""Credentials at rest: sealed with AES-256-GCM under a master key that lives in a file of its own.

A sealed text is ``v1.<key id>.<base64url of nonce and ciphertext>``. It is bound to its owner and field, so that a value copied
to another row or column does not open there.
"""

import os
import secrets
import stat
from base64 import b64decode, b64encode, urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from pathlib import Path

from wtai.errors import EnvironmentProblem, WtaiError

_FORMAT = "v1"
_KEY_BYTES = 32
_NONCE_BYTES = 12  # 96 bits, what GCM is specified for (NIST SP 800-38D §8.2)
_OTHERS = stat.S_IRWXG | stat.S_IRWXO

_HEADING = (
    "# Master key of wtai. Without it the credentials in the database cannot be read:\n"
    "# keep a copy of this file apart from the database's back-ups.\n"
)


class UnsealError(WtaiError):
    """A sealed value does not open: another key, another owner or field, or it was changed."""


@dataclass(frozen=True, slots=True)
class Key:
    """A master key; ``id`` stands in what it sealed."""

    id: str
    secret: bytes = field(repr=False)


def create_key_file(path: Path) -> Key:
    """Write a new random key, readable by its owner alone. EnvironmentProblem if it exists or cannot be written."""
    key = Key(secrets.token_hex(4), secrets.token_bytes(_KEY_BYTES))
    content = f"{_HEADING}{key.id} {b64encode(key.secret).decode()}\n"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
    except FileExistsError as exc:
        raise EnvironmentProblem(f"{path} is there already: a key is never overwritten; move it away to make another") from exc
    except OSError as exc:
        raise EnvironmentProblem(f"cannot write the key file {path}: {exc.strerror}; make its folder writable") from exc
    return key


def read_key_file(path: Path) -> Key:
    """The key in ``path``. EnvironmentProblem, with the mend, if it is absent, readable by others, or no key."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & _OTHERS:
            raise EnvironmentProblem(f"the key file {path} is open to others (mode {mode:04o}); mend: chmod 600 {path}")
        content = path.read_text("ascii")
    except FileNotFoundError as exc:
        raise EnvironmentProblem(f"there is no key file {path}; mend: `wtai init` makes one, or restore your copy of it") from exc
    except (OSError, UnicodeDecodeError) as exc:
        raise EnvironmentProblem(f"cannot read the key file {path}: {exc}; mend: give this user the right to read it") from exc
    lines = [line.split() for line in content.splitlines() if line.strip() and not line.startswith("#")]
    try:
        [[key_id, encoded]] = lines
        secret = b64decode(encoded, validate=True)
    except ValueError as exc:
        raise EnvironmentProblem(f"{path} is no key file of wtai; mend: restore your copy of it") from exc
    if len(secret) != _KEY_BYTES:
        raise EnvironmentProblem(
            f"the key in {path} has {len(secret)} bytes instead of {_KEY_BYTES}; mend: restore your copy of it"
        )
    return Key(key_id, secret)


class Sealer:
    """Seals with the ``current`` key and opens with that or any ``previous`` one."""

    def __init__(self, current: Key, *previous: Key) -> None:
        # 50 ms to import, which commands that seal nothing should not pay
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self._current_id = current.id
        self._ciphers = {key.id: AESGCM(key.secret) for key in (*previous, current)}
        self._invalid: type[Exception] = InvalidTag

    def seal(self, owner_id: int, field_name: str, plaintext: str) -> str:
        """``plaintext`` for this owner and field; a fresh random nonce makes each result different."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        ciphertext = self._ciphers[self._current_id].encrypt(nonce, plaintext.encode(), _bound_to(owner_id, field_name))
        return f"{_FORMAT}.{self._current_id}.{urlsafe_b64encode(nonce + ciphertext).decode()}"

    def unseal(self, owner_id: int, field_name: str, sealed: str) -> str:
        """What was sealed for this owner and field. UnsealError otherwise; the message holds nothing secret."""
        what = f"{field_name} of owner {owner_id}"
        version, _, rest = sealed.partition(".")
        key_id, _, encoded = rest.partition(".")
        if version != _FORMAT:
            raise UnsealError(f"{what} is not a sealed value")
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise UnsealError(f"{what} is sealed with key {key_id}; mend: name its file in security.previous_key_files")
        try:
            content = urlsafe_b64decode(encoded)
            opened = cipher.decrypt(content[:_NONCE_BYTES], content[_NONCE_BYTES:], _bound_to(owner_id, field_name))
        except (ValueError, self._invalid) as exc:
            raise UnsealError(f"{what} does not open with key {key_id}: it was changed, or sealed for another place") from exc
        return opened.decode()


def _bound_to(owner_id: int, field_name: str) -> bytes:
    return owner_id.to_bytes(8, "big", signed=True) + field_name.encode()
