"""Requests to addresses that somebody else chose: by https to the public internet, and to nothing else.

Whoever names a URL for the program to call (the URL of a tool, of a webhook) must not reach through it what only this machine
can reach (server side request forgery, OWASP API7:2023). The decision is made where a socket is about to be connected, on the
very address it is connected to: no spelling of a host, answer of a name server or redirect comes after it.
"""

import asyncio
import re
import socket
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

import aiohttp
from aiohttp import AddrInfoType
from yarl import URL

from wtai.errors import WtaiError

MAX_URL = 2_048
_HTTPS_PORT = 443
_CHUNK = 16_384
_PER_HOST = 16
"""Connections to one host at a time, so that a slow one does not hold up the calls to all others."""

# RFC 3986, without what serves to mislead: user, fragment, percent-encoded or non-ASCII hosts, zones, backslashes.
_PLAIN = re.compile(
    r"https?://(?P<host>[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?(?:[/?][!$-;=?-\[\]_a-z~]*)?", re.IGNORECASE | re.ASCII
)
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?", re.IGNORECASE | re.ASCII)
_NUMBER = re.compile(r"(?:[0-9]+|0x[0-9a-f]*)", re.IGNORECASE | re.ASCII)

# IPv6 addresses of the internet (RFC 4291 §2.4, the IANA registry); NAT64's prefix holds an IPv4 address at its end (RFC 6052).
_INTERNET = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")


class EgressError(WtaiError):
    """A request got no answer that can be used. ``received``: the other side may have got it and acted on it.

    The message names the host alone: the rest of a URL may hold credentials.
    """

    def __init__(self, message: str, *, received: bool) -> None:
        super().__init__(message)
        self.received = received


class EgressRefused(EgressError):
    """The same request will never work: its address is not allowed, or its answer is not what may be taken in."""


class EgressUnavailable(EgressError):
    """The same request may work later: no connection, a broken one, or no answer in time."""


class NotPublicError(OSError):
    """A connection was about to be made to an address that is not on the internet."""


@dataclass(frozen=True, slots=True)
class Response:
    """Any answer, redirects and errors included; names in ``headers`` are found in any case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Sessions:
    """A session that connects to public addresses alone, and one for hosts that the operator named; opened at first use.

    They follow what the caller asks for and nothing else: no proxy of the environment, no cookies, no decompression (a few bytes
    on the wire must not become many here), and a connection for each request, since one that the other side just closed cannot
    tell whether a POST arrived.
    """

    def __init__(self, timeout: aiohttp.ClientTimeout) -> None:
        self._timeout = timeout
        self._opened: dict[bool, aiohttp.ClientSession] = {}

    def to(self, *, public_only: bool) -> aiohttp.ClientSession:
        """The session to use."""
        if public_only not in self._opened:
            connector = aiohttp.TCPConnector(
                resolver=aiohttp.ThreadedResolver(),
                socket_factory=public_socket if public_only else None,
                limit_per_host=_PER_HOST,
                force_close=True,
            )
            self._opened[public_only] = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                timeout=self._timeout,
                headers={"Accept-Encoding": "identity", "User-Agent": "wtai"},
            )
        return self._opened[public_only]

    async def close(self) -> None:
        """End both; they may be used again."""
        while self._opened:
            await self._opened.popitem()[1].close()


class Egress:
    """Sends requests to addresses chosen by others. ``close`` ends its connections.

    ``allowed_private_hosts`` (host, or host:port) may be private, be spoken to by plain http, and listen on another port.
    """

    def __init__(self, allowed_private_hosts: Collection[str] = ()) -> None:
        named = (URL(f"//{entry.lower()}", encoded=True) for entry in allowed_private_hosts)
        self._allowed = frozenset((url.host_subcomponent, url.explicit_port) for url in named)
        self._sessions = Sessions(aiohttp.ClientTimeout(total=None, sock_connect=10.0))

    async def close(self) -> None:
        """End all connections; the object may be used again."""
        await self._sessions.close()

    def check(self, url: str) -> None:
        """EgressRefused for what can be refused without asking the network; the message says what is wrong with ``url``."""
        self._checked(url)

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes | None, seconds: float, max_bytes: int
    ) -> Response:
        """Send one request and read its answer: within ``seconds`` in all, of ``max_bytes`` at most, redirects not followed.

        With 0 the body is left unread, whatever it is.

        EgressRefused or EgressUnavailable.
        """
        target = self._checked(url)
        session = self._sessions.to(public_only=not self._is_allowed(target))
        host = target.raw_host
        try:
            async with (
                asyncio.timeout(seconds),
                session.request(method, target, headers=headers, data=body, allow_redirects=False) as answer,
            ):
                return Response(answer.status, answer.headers, await _read(answer, max_bytes) if max_bytes else b"")
        except aiohttp.ClientConnectorError as error:
            if isinstance(error.os_error, NotPublicError):
                raise EgressRefused(f"{host} {error.os_error}", received=False) from None
            raise EgressUnavailable(f"no connection to {host} ({type(error).__name__})", received=False) from None
        except (aiohttp.ClientError, TimeoutError) as error:
            raise EgressUnavailable(f"{host} did not answer ({type(error).__name__})", received=True) from None

    def _checked(self, url: str) -> URL:
        plain = _PLAIN.fullmatch(url) if len(url) <= MAX_URL else None
        if plain is None:
            raise _refused(
                f"the URL is not plain: such as https://example.com/path, up to {MAX_URL} characters, without user, fragment, "
                "spaces or backslashes, and with the host in ASCII (xn--… for others)"
            )
        try:
            target = URL(url, encoded=True)  # the receiver gets it byte for byte
            address = _literal(plain["host"])
            allowed = self._is_allowed(target)
        except ValueError:
            raise _refused("the URL's host or port does not exist; check its spelling") from None
        if allowed:
            return target
        if target.scheme != "https" or target.port != _HTTPS_PORT:
            raise _refused(
                "the URL must start with https:// and name no port; "
                "the operator may except a host by egress.allowed_private_hosts"
            )
        if address is not None and not is_public(address):
            raise _refused(
                f"{target.raw_host} is not a public address; the operator may except it by egress.allowed_private_hosts"
            )
        return target

    def _is_allowed(self, url: URL) -> bool:
        host = (url.host_subcomponent or "").lower()
        return not self._allowed.isdisjoint({(host, None), (host, url.port)})


def public_socket(info: AddrInfoType) -> socket.socket:
    """A socket for this address, which it will be connected to. NotPublicError if that is not on the internet.

    Made for ``aiohttp.TCPConnector(socket_factory=…)``.
    """
    family, kind, protocol, _, address = info
    if not is_public(ip_address(address[0])):
        raise NotPublicError("resolves to an address that is not public")
    return socket.socket(family, kind, protocol)


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether ``address`` is on the public internet, also behind IPv6's ways to carry an IPv4 address."""
    if isinstance(address, IPv6Address):
        carried = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
        if carried is None and address in _NAT64:
            carried = IPv4Address(int(address) & 0xFFFFFFFF)
        if carried is not None:
            return is_public(carried)
        if address not in _INTERNET:
            return False
    return address.is_global and not address.is_multicast


def _literal(host: str) -> IPv4Address | IPv6Address | None:
    """The address that a URL's host spells out, None for a name. ValueError if it is neither.

    Other spellings of an IPv4 address than four decimal parts are none (WHATWG URL §3.5 would accept them, as do resolvers).
    """
    if host.startswith("["):
        return IPv6Address(host[1:-1])
    labels = host.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        return IPv4Address(host)
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError(host)
    return None


async def _read(answer: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    if answer.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise EgressRefused("the answer is compressed, which was not asked for", received=True)
    body = bytearray()
    if (answer.content_length or 0) <= max_bytes:
        async for chunk in answer.content.iter_chunked(_CHUNK):
            body += chunk
            if len(body) > max_bytes:
                break
        else:
            return bytes(body)
    raise EgressRefused(f"the answer has more than {max_bytes} bytes", received=True)


def _refused(message: str) -> EgressRefused:
    return EgressRefused(message, received=False)
