"""How long an open page of the console waits to be told that somebody wrote."""

import asyncio
import re
import time
from collections.abc import Iterable

import aiohttp

from benchmarks.load import fire
from benchmarks.program import Server
from benchmarks.webhooks import inbound
from wtai.web.console.session import COOKIE

_PATIENCE_SECONDS = 60
_CHANGED = b"event: changed"


async def from_webhook_to_stream(server: Server, cookie: str, users: Iterable[int]) -> list[float]:
    """Seconds from a webhook's first byte to the event of a logged-in page's stream, for each user writing in turn.

    Each writes once the event for the last one is there, and once the webhook is acknowledged. TimeoutError after a minute.
    """
    taken: list[float] = []
    session = aiohttp.ClientSession(server.url, headers={"Cookie": f"{COOKIE}={cookie}"}, cookie_jar=aiohttp.DummyCookieJar())
    async with asyncio.timeout(_PATIENCE_SECONDS), session, session.get(await _address(session)) as stream:
        stream.raise_for_status()
        for user in users:
            request, began = inbound(user, "oi, ainda tem pão?"), time.perf_counter()
            await asyncio.gather(_told(stream.content), fire(server.url, [request], concurrency=1))
            taken.append(time.perf_counter() - began)
    return taken


async def _address(session: aiohttp.ClientSession) -> str:
    """Where the inbox listens, from the change on up to which it is complete."""
    async with session.get("/console") as page:
        found = re.search(r'hx-sse:connect="([^"]+)"', await page.text())
    if found is None:
        raise RuntimeError("the inbox names no stream")
    return found[1]


async def _told(stream: aiohttp.StreamReader) -> None:
    """Return at the next event that tells of a change."""
    while (line := await stream.readline()).strip() != _CHANGED:
        if not line:
            raise ConnectionError("the stream ended")
