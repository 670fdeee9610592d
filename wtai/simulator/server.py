"""How a fake provider is served: one aiohttp application on one port, the tasks it owns, and the ways it can misbehave."""

import argparse
import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Protocol

from aiohttp import web

# Voice notes and documents are at most 16 MB on WhatsApp; a transcription upload may be 25 MB.
MAX_BODY_BYTES = 32 * 1024 * 1024


class Fake(Protocol):
    """A stand-in for a provider."""

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> str:
        """Serve; returns the URL without a trailing slash."""

    async def close(self) -> None:
        """Stop serving and drop what is still under way."""


class Background:
    """Tasks that outlive the request that started them; they end with ``close`` at the latest."""

    def __init__(self) -> None:
        self._group: asyncio.TaskGroup | None = None
        self._owner: asyncio.Task[None] | None = None

    async def start(self) -> None:
        ready = asyncio.Event()
        # A TaskGroup lives and ends in one task, while a fake may be started and closed by different ones: it gets its own.
        self._owner = asyncio.create_task(self._own(ready))
        await ready.wait()

    def spawn(self, work: Coroutine[None, None, None]) -> None:
        """Run ``work`` beside the requests; an error of it surfaces in ``close``."""
        if self._group is None:
            work.close()
            raise RuntimeError("the fake is not started: call start() or use it with 'async with' first")
        self._group.create_task(work)

    async def close(self) -> None:
        if self._owner is None:
            return
        self._owner.cancel()
        await asyncio.wait([self._owner])
        if not self._owner.cancelled():
            self._owner.result()
        self._group = self._owner = None

    async def _own(self, ready: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as group:
            self._group = group
            ready.set()
            await asyncio.Event().wait()


class Listener:
    """Serves one application at a time. ``hold`` keeps a request waiting, as a provider that never answers."""

    def __init__(self) -> None:
        self._stack: AsyncExitStack | None = None
        self._closing = asyncio.Event()

    async def start(self, app: web.Application, host: str, port: int) -> str:
        """Listen; returns the URL. Raises OSError when the port is taken."""
        stack = AsyncExitStack()
        self._closing = asyncio.Event()
        async with stack:
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            site = web.TCPSite(runner, host, port)
            await site.start()
            self._stack = stack.pop_all()
        bound = runner.addresses[0]
        return f"http://{host}:{bound[1]}"

    async def close(self) -> None:
        self._closing.set()
        if self._stack is not None:
            stack, self._stack = self._stack, None
            await stack.aclose()

    async def hold(self, seconds: float) -> None:
        """Return after ``seconds``, or when the listener closes."""
        try:
            async with asyncio.timeout(seconds):
                await self._closing.wait()
        except TimeoutError:
            return


def drop_connection(request: web.Request) -> web.Response:
    """Close the client's connection without an answer; the returned response goes nowhere."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


@asynccontextmanager
async def served(fake: Fake, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """Serve ``fake`` for the time of the block."""
    url = await fake.start(host, port)
    try:
        yield url
    finally:
        await fake.close()


def serve(build: Callable[[], Fake], host: str, port: int) -> None:
    """Serve until SIGTERM or Ctrl-C. The URL is the first line on stdout, so that a parent process can wait for it."""
    asyncio.run(_serve(build(), host, port))


def listen_options(parser: argparse.ArgumentParser) -> None:
    """``--host`` and ``--port``, as every fake takes them."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="port to listen on (default: any free one)")


async def _serve(fake: Fake, host: str, port: int) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with served(fake, host, port) as url:
        sys.stdout.write(f"{url}\n")
        sys.stdout.flush()
        await stop.wait()
