"""From where a request comes, and under which id it is followed through the log."""

import re
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Final

from aiohttp import web

from wtai.ids import public_id

REQUEST_ID: Final = "X-Request-Id"
INSTANCE: Final = web.RequestKey("instance", str)
"""Where a request keeps its correlation id."""

_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")
_TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")  # w3.org/TR/trace-context
_NO_TRACE: Final = "0" * 32


def correlation_id(request: web.Request) -> str:
    """The client's own id, if it has the form of one; else that of its trace; else a fresh one."""
    given = request.headers.get(REQUEST_ID, "")
    if _REQUEST_ID.fullmatch(given):
        return given
    trace = _TRACEPARENT.fullmatch(request.headers.get("traceparent", ""))
    return trace[1] if trace and trace[1] != _NO_TRACE else public_id("req")


class Clients:
    """Tells the addresses of clients, taking the word of known proxies alone."""

    def __init__(self, trusted_proxies: Sequence[str]) -> None:
        self._trusted = [ip_network(network) for network in trusted_proxies]

    def address(self, request: web.Request) -> str:
        """The nearest address that is no trusted proxy's."""
        address = request.remote or "unknown"
        forwarded = [hop.strip() for line in request.headers.getall("X-Forwarded-For", ()) for hop in line.split(",")]
        while forwarded and self._is_trusted(address):
            nearest = forwarded.pop()
            if not _is_address(nearest):
                break
            address = nearest
        return address

    def _is_trusted(self, address: str) -> bool:
        return _is_address(address) and any(_holds(network, address) for network in self._trusted)


def _holds(network: IPv4Network | IPv6Network, address: str) -> bool:
    return ip_address(address) in network


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
