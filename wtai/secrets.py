"""Credentials at rest: sealed with AES-256-GCM under a master key that lives in a file of its own.

A sealed text is ``v1.<key id>.<base64url of nonce and ciphertext>``. It is bound to its owner and field, so that a value copied
to another row or column does not open there.

A key file has a key a line, the one that seals first. A rotation puts a new one on top; older ones stay, because rows not yet
sealed anew, and back-ups, need them.
"""

import fcntl
import os
import secrets
import stat
from base64 import b64decode, b64encode, urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from wtai.errors import EnvironmentProblem, WtaiError

_FORMAT = "v1"
_KEY_BYTES = 32
_NONCE_BYTES = 12  # 96 bits, what GCM is specified for (NIST SP 800-38D §8.2)
_OTHERS = stat.S_IRWXG | stat.S_IRWXO

_HEADING = (
    "# Master key of wtai. Without it the credentials in the database cannot be read:\n"
    "# keep a copy of this file apart from the database's back-ups. The first key seals, the others still open.\n"
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
    key = _new_key()
    try:
        _write(path, [key], os.O_EXCL)
    except FileExistsError as exc:
        raise EnvironmentProblem(f"{path} is there already: a key is never overwritten; move it away to make another") from exc
    except OSError as exc:
        raise EnvironmentProblem(f"cannot write the key file {path}: {exc.strerror}; make its folder writable") from exc
    return key


def add_key(path: Path) -> Key:
    """Put a new random key on top of a key file, in one step: a kill leaves the old file or the new one. EnvironmentProblem."""
    keys = [_new_key(), *read_keys(path)]
    fresh = path.with_name(f"{path.name}.new")
    try:
        _write(fresh, keys, os.O_TRUNC)
        fresh.replace(path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as exc:
        raise EnvironmentProblem(f"cannot write the key file {path}: {exc.strerror}; make its folder writable") from exc
    return keys[0]


@contextmanager
def one_rotation(path: Path) -> Iterator[None]:
    """Keep other rotations of this key file out: two at once would lose the new key of one. EnvironmentProblem."""
    try:
        descriptor = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as exc:
        raise EnvironmentProblem(f"cannot write beside the key file {path}: {exc.strerror}; make its folder writable") from exc
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as exc:
        raise EnvironmentProblem(f"another rotation of {path} is at work; wait for its end") from exc
    finally:
        os.close(descriptor)


def read_key_file(path: Path) -> Key:
    """The key that seals. EnvironmentProblem as below."""
    return read_keys(path)[0]


def read_keys(path: Path) -> list[Key]:
    """The keys in ``path``, the one that seals first. EnvironmentProblem, with the mend, if it is absent, readable by others, or
    holds no keys.
    """
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & _OTHERS:
            raise EnvironmentProblem(f"the key file {path} is open to others (mode {mode:04o}); mend: chmod 600 {path}")
        content = path.read_text("ascii")
    except FileNotFoundError as exc:
        raise EnvironmentProblem(f"there is no key file {path}; mend: `wtai init` makes one, or restore your copy of it") from exc
    except (OSError, UnicodeDecodeError) as exc:
        raise EnvironmentProblem(f"cannot read the key file {path}: {exc}; mend: give this user the right to read it") from exc
    keys = [_parsed(line, path) for line in content.splitlines() if line.strip() and not line.startswith("#")]
    if not keys:
        raise EnvironmentProblem(f"{path} is no key file of wtai; mend: restore your copy of it")
    return keys


def key_id(sealed: str) -> str:
    """Which key a text was sealed with; empty if it is no sealed text."""
    return sealed.split(".")[1] if sealed.startswith(f"{_FORMAT}.") and sealed.count(".") == 2 else ""


def open_sealer(key_file: Path, previous: Sequence[Path] = ()) -> "Sealer":
    """A sealer with the keys of these files, which it reads again when they change. EnvironmentProblem."""
    paths = (key_file, *previous)
    return Sealer(*(key for path in paths for key in read_keys(path)), files=paths)


class Sealer:
    """Seals with the ``current`` key and opens with that or any ``previous`` one.

    With ``files`` it follows a rotation that another process makes: before it seals, and when it meets a key it does not know.
    """

    def __init__(self, current: Key, *previous: Key, files: Sequence[Path] = ()) -> None:
        # 50 ms to import, which commands that seal nothing should not pay
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self._cipher_of = AESGCM
        self._invalid: type[Exception] = InvalidTag
        self._files = tuple(files)
        self._stamp = _stamp(self._files)
        self._take([current, *previous])

    @property
    def key_ids(self) -> tuple[str, ...]:
        """The keys known, the one that seals first."""
        self._follow()
        return tuple(self._keys)

    def seal(self, owner_id: int, field_name: str, plaintext: str) -> str:
        """``plaintext`` for this owner and field; a fresh random nonce makes each result different."""
        self._follow()
        current = next(iter(self._keys))
        nonce = secrets.token_bytes(_NONCE_BYTES)
        ciphertext = self._ciphers[current].encrypt(nonce, plaintext.encode(), _bound_to(owner_id, field_name))
        return f"{_FORMAT}.{current}.{urlsafe_b64encode(nonce + ciphertext).decode()}"

    def unseal(self, owner_id: int, field_name: str, sealed: str) -> str:
        """What was sealed for this owner and field. UnsealError otherwise; the message holds nothing secret."""
        what = f"{field_name} of owner {owner_id}"
        version, _, rest = sealed.partition(".")
        key, _, encoded = rest.partition(".")
        if version != _FORMAT:
            raise UnsealError(f"{what} is not a sealed value")
        if key not in self._ciphers:
            self._follow()
        cipher = self._ciphers.get(key)
        if cipher is None:
            raise UnsealError(f"{what} is sealed with key {key}; mend: name its file in security.previous_key_files")
        try:
            content = urlsafe_b64decode(encoded)
            opened = cipher.decrypt(content[:_NONCE_BYTES], content[_NONCE_BYTES:], _bound_to(owner_id, field_name))
        except (ValueError, self._invalid) as exc:
            raise UnsealError(f"{what} does not open with key {key}: it was changed, or sealed for another place") from exc
        return opened.decode()

    def derived(self, purpose: str) -> Mapping[str, bytes]:
        """A key of 32 bytes for another purpose from each master key, by its id, the current one's first (HKDF, RFC 5869)."""
        self._follow()
        known = self._derived.get(purpose)
        if known is None:
            known = self._derived[purpose] = {name: _expanded(key.secret, purpose) for name, key in self._keys.items()}
        return known

    def _follow(self) -> None:
        stamp = _stamp(self._files)
        if stamp == self._stamp:
            return
        try:
            keys = [key for path in self._files for key in read_keys(path)]
        except EnvironmentProblem:
            return  # what is known stays in force while a file is away; the next call looks again
        self._take(keys)
        self._stamp = stamp

    def _take(self, keys: Sequence[Key]) -> None:
        self._keys = {key.id: key for key in keys}
        self._ciphers = {key.id: self._cipher_of(key.secret) for key in keys}
        self._derived: dict[str, dict[str, bytes]] = {}


def _bound_to(owner_id: int, field_name: str) -> bytes:
    return owner_id.to_bytes(8, "big", signed=True) + field_name.encode()


def _expanded(secret: bytes, purpose: str) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256  # late for the same reason
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(SHA256(), _KEY_BYTES, salt=None, info=f"wtai {purpose}".encode()).derive(secret)


def _stamp(files: Sequence[Path]) -> tuple[tuple[int, int], ...]:
    """Changes when one of the files is replaced or written."""
    stats = [path.stat() for path in files if path.exists()]
    return tuple((found.st_ino, found.st_mtime_ns) for found in stats)


def _new_key() -> Key:
    return Key(secrets.token_hex(4), secrets.token_bytes(_KEY_BYTES))


def _write(path: Path, keys: Sequence[Key], how: int) -> None:
    lines = "".join(f"{key.id} {b64encode(key.secret).decode()}\n" for key in keys)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | how, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(_HEADING + lines)
        file.flush()
        os.fsync(descriptor)


def _parsed(line: str, path: Path) -> Key:
    try:
        name, encoded = line.split()
        secret = b64decode(encoded, validate=True)
    except ValueError as exc:
        raise EnvironmentProblem(f"{path} is no key file of wtai; mend: restore your copy of it") from exc
    if len(secret) != _KEY_BYTES:
        raise EnvironmentProblem(
            f"the key in {path} has {len(secret)} bytes instead of {_KEY_BYTES}; mend: restore your copy of it"
        )
    return Key(name, secret)
