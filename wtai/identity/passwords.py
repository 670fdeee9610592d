"""Passwords: argon2id in a thread, a bounded number at a time, and the same work for an account that does not exist."""

import asyncio
import secrets
from base64 import b64encode
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from wtai.errors import WtaiError
from wtai.settings import Security

MIN_CHARACTERS: Final = 10
MAX_BYTES: Final = 1_024

_MIN_DISTINCT: Final = 4  # characters that differ
_AT_ONCE: Final = 2  # each takes 64 MiB by default
_MAX_WAITING: Final = 64

COMMON: Final = frozenset(
    """
    0123456789 01234567890 1029384756 111222333444 1122334455 112233445566 1234512345 123456123456 1234567890 12345678900
    12345678901 123456789012 123456789123 1234567891 12345678910 123456789a 123456789q 1234qwerasdf 123qweasdzxc 1472583690
    1q2w3e4r5t 1q2w3e4r5t6y 1qaz2wsx3edc 9876543210 a123456789 abc123456789 abcd123456 abcd1234567890 abcdefghij admin12345
    admin123456 administrador administrator alexander123 asdfghjkl123 asdfghjkl1 bemvindo123 brasil1234 brasil12345
    changeme123 changeme1234 charlie123 computer123 corinthians flamengo123 football123 iloveyou12 iloveyou123 internet123
    jesuscristo jesuscristo1 letmein123 letmein1234 liverpool1 manchester minhasenha minhasenha1 minhasenha123 mudar12345
    mudarsenha palmeiras123 p4ssw0rd123 p@ssw0rd123 p@ssword123 passw0rd123 passw0rd1234 password01 password10 password11
    password12 password123 password1234 password12345 password123456 password123! princess123 q1w2e3r4t5 q1w2e3r4t5y6
    qazwsxedcrfv qwer123456 qwerty1234 qwerty12345 qwerty123456 qwertyuiop qwertyuiop1 qwertyuiop123 root123456 saopaulo123
    senha12345 senha123456 senha1234567 senha@1234 senha@12345 senhasenha secret1234 starwars123 sunshine123 superman123
    teste12345 teste123456 test123456 trustno1234 welcome123 welcome1234 whatsapp123 whatsapp1234 zaq12wsxcde3 zxcvbnm123
    zxcvbnm1234 zxcvbnm12345
    """.split()  # noqa: SIM905 - a list of words reads best as words
)
"""Of the passwords that leak most, those long enough to pass otherwise; kept in lower case."""


class WeakPassword(WtaiError):
    """A password cannot be taken; the message says why, and never repeats it."""


class PasswordsBusy(WtaiError):
    """Too many passwords wait to be checked; try again in a second."""


@dataclass(frozen=True, slots=True)
class Checked:
    """Whether a password is right, and its hash at today's cost where the one kept has another."""

    right: bool
    rehashed: str | None = None


def check_password(password: str, known: Collection[str] = ()) -> None:
    """WeakPassword unless it may become one. ``known`` are texts that everybody knows of the user, such as the e-mail address."""
    if len(password) < MIN_CHARACTERS:
        raise WeakPassword(f"a password has at least {MIN_CHARACTERS} characters")
    if len(password.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise WeakPassword(f"a password has at most {MAX_BYTES} bytes")
    if not password.isprintable():
        raise WeakPassword("a password is made of printable characters")
    plain = password.casefold()
    parts = {part for text in known for part in (text.casefold(), text.casefold().partition("@")[0])}
    if plain in COMMON or len(set(plain)) < _MIN_DISTINCT or plain in parts:
        raise WeakPassword("this password is among the first that anybody would try; take another")


class Passwords:
    """Hashes and checks passwords at the given cost (RFC 9106: argon2id)."""

    def __init__(self, *, memory_kib: int, time_cost: int, parallelism: int) -> None:
        self._hasher = PasswordHasher(time_cost=time_cost, memory_cost=memory_kib, parallelism=parallelism)
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._waiting = 0
        self._nobody = self._hash_of_nobody()

    @classmethod
    def of(cls, security: Security) -> "Passwords":
        """At the cost of the settings."""
        return cls(
            memory_kib=security.argon2_memory_kib,
            time_cost=security.argon2_time_cost,
            parallelism=security.argon2_parallelism,
        )

    def hash(self, password: str) -> str:
        """A new salted hash, in blocking code."""
        return self._hasher.hash(password)

    async def hashed(self, password: str) -> str:
        """A new salted hash. PasswordsBusy."""
        async with self._turn():
            return await asyncio.to_thread(self._hasher.hash, password)

    async def check(self, password_hash: str | None, password: str) -> Checked:
        """Whether ``password`` is the one; for None, an account that does not exist, no after the same work. PasswordsBusy."""
        if len(password.encode("utf-8", "surrogatepass")) > MAX_BYTES:
            return Checked(right=False)
        async with self._turn():
            return await asyncio.to_thread(self._check, password_hash or self._nobody, password)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """A slot among those that work at once; PasswordsBusy rather than a queue without end."""
        if self._waiting >= _MAX_WAITING:
            raise PasswordsBusy("too many passwords are being checked; try again in a second")
        self._waiting += 1
        try:
            await self._slots.acquire()
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._slots.release()

    def _check(self, password_hash: str, password: str) -> Checked:
        try:
            self._hasher.verify(password_hash, password)
        except (VerificationError, InvalidHashError, UnicodeEncodeError):
            return Checked(right=False)
        stale = self._hasher.check_needs_rehash(password_hash)
        return Checked(right=True, rehashed=self._hasher.hash(password) if stale else None)

    def _hash_of_nobody(self) -> str:
        """A hash that no password has, at today's cost: to check against it takes as long as against a real one."""
        of = self._hasher
        salt, digest = (b64encode(secrets.token_bytes(size)).decode().rstrip("=") for size in (of.salt_len, of.hash_len))
        return f"$argon2id$v=19$m={of.memory_cost},t={of.time_cost},p={of.parallelism}${salt}${digest}"
