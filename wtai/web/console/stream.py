"""The stream of a tab: ``/console/live``."""

import asyncio
from contextlib import suppress
from typing import Final

from aiohttp import web
from aiohttp_sse import EventSourceResponse

from wtai.web.console.page import Page, Visit
from wtai.web.console.session import PRIVATE, cookie_of

_BEAT_SECONDS: Final = 5.0


async def stream(visit: Visit) -> web.StreamResponse:
    """Events until the tab closes, its session ends or the program stops.

    ``after`` in the query is the change up to which the page is complete; a reconnecting tab says Last-Event-ID instead.
    """
    request = visit.request
    if request.transport is None:
        raise ConnectionResetError("the tab was gone before its stream began")
    response = EventSourceResponse(headers=dict(PRIVATE))
    await response.prepare(request)
    async with asyncio.TaskGroup() as group:
        telling = group.create_task(_tell(visit, response, _after(request)))
        telling.add_done_callback(lambda _: response.stop_streaming())
        watching = group.create_task(_watch_session(visit, response))
        try:
            await response.wait()
        finally:
            telling.cancel()
            watching.cancel()
    return response


async def _tell(visit: Visit, response: EventSourceResponse, after: int) -> None:
    with suppress(ConnectionError, TimeoutError):  # the tab is gone
        async for event in visit.means.live.follow(visit.owner.id, after):
            await response.send(event.data, id=str(event.id), event=event.name)


async def _watch_session(visit: Visit, response: EventSourceResponse) -> None:
    """Give a sign of life, as long as the session lives: a tab that stays open learns nothing more then, and says so."""
    sessions, cookie = visit.means.sessions, cookie_of(visit.request)
    with suppress(ConnectionError, TimeoutError):
        while await sessions.of_cookie(cookie, keep=False) is not None:
            await response.send("", event="beat")
            await asyncio.sleep(_BEAT_SECONDS)
        await response.send("", event="over")
    response.stop_streaming()


def _after(request: web.Request) -> int:
    given = request.headers.get("Last-Event-ID") or request.query.get("after", "")
    return int(given) if given.isdecimal() and len(given) < 19 else 0


PAGES = (Page("GET", "/console/live", stream, "conversations.read"),)
