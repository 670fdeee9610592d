"""A client that costs little: keep-alive connections that write ready-made requests and look at nothing but the status."""

import asyncio
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlsplit

_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)
_PATIENCE_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Sample:
    """How a server took a round of requests. Latencies in seconds, in the order of the answers."""

    seconds: float
    latencies: Sequence[float]

    @property
    def per_second(self) -> float:
        """Requests answered in a second."""
        return len(self.latencies) / self.seconds


class _Connection(asyncio.Protocol):
    """Sends a request, waits for its answer, sends the next."""

    def __init__(self, requests: Iterator[bytes], latencies: list[float]) -> None:
        self.finished = asyncio.get_running_loop().create_future()
        self._requests = requests
        self._latencies = latencies
        self._answer = b""
        self._sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # a TCP connection has no other; uvloop's is no subclass
        self._next()

    def data_received(self, data: bytes) -> None:
        self._answer += data
        head, separator, body = self._answer.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if not separator or (length and len(body) < int(length[1])):
            return
        self._latencies.append(time.perf_counter() - self._sent_at)
        if not head.startswith(b"HTTP/1.1 200"):
            self._end(RuntimeError(f"the server under test refused a request: {self._answer[:200]!r}"))
            return
        self._answer = b""
        self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(exc or ConnectionError("the server under test closed the connection"))

    def _next(self) -> None:
        request = next(self._requests, None)
        if request is None:
            self._end(None)
            return
        self._sent_at = time.perf_counter()
        self._transport.write(request)

    def _end(self, error: Exception | None) -> None:
        if not self.finished.done():
            if error is None:
                self.finished.set_result(None)
            else:
                self.finished.set_exception(error)
            self._transport.close()


async def fire(url: str, requests: Sequence[bytes], *, concurrency: int) -> Sample:
    """Send all ``requests`` over ``concurrency`` connections. RuntimeError unless every one is answered 200,
    TimeoutError after a minute."""
    host, _, port = urlsplit(url).netloc.partition(":")
    loop = asyncio.get_running_loop()
    waiting, latencies = iter(requests), list[float]()
    started = time.perf_counter()
    connections = [
        (await loop.create_connection(lambda: _Connection(waiting, latencies), host, int(port)))[1]
        for _ in range(min(concurrency, len(requests)))
    ]
    async with asyncio.timeout(_PATIENCE_SECONDS):
        await asyncio.gather(*(connection.finished for connection in connections))
    return Sample(time.perf_counter() - started, latencies)
