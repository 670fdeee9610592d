"""One conversation: what was said, what became of it, and what staff do in it."""

from aiohttp import web

from wtai.web.console import (
    conversation_acts,
    conversation_canned,
    conversation_media,
    conversation_send,
    conversation_trace,
)
from wtai.web.console.conversation_forms import ONE
from wtai.web.console.conversation_media import essence, shown_as
from wtai.web.console.conversation_parts import items, refreshed, revision, thread
from wtai.web.console.conversation_view import read_older
from wtai.web.console.page import HTML, ROOT, Page, Visit

__all__ = ["PAGES", "thread"]


async def whole(visit: Visit) -> web.StreamResponse:
    """The conversation, to be put into the page."""
    response = web.Response(text=str(await thread(visit, visit.ids["conversation"])), content_type=HTML)
    response.enable_compression()
    return response


async def live(visit: Visit) -> web.StreamResponse:
    """What may have changed in it, from the message ``since`` on."""
    return await refreshed(visit, visit.ids["conversation"])


async def older(visit: Visit) -> web.StreamResponse:
    """The page of messages before the message ``before``."""
    before, public = visit.request.query.get("before", ""), visit.ids["conversation"]
    found = await visit.read(read_older, public, visit.means.base, before=before)
    return visit.page(
        "conversation/older.html",
        path=f"{ROOT}/c/{public}",
        stretch=found.stretch,
        items=await items(visit, found.stretch, found.names, found.zone),
        shown_as=shown_as,
        essence=essence,
        rev=revision,
    )


PAGES: tuple[Page, ...] = (
    Page("GET", f"{ONE}/thread", whole, "messages.read"),
    Page("GET", f"{ONE}/live", live, "messages.read"),
    Page("GET", f"{ONE}/older", older, "messages.read"),
    *conversation_acts.PAGES,
    *conversation_send.PAGES,
    *conversation_trace.PAGES,
    *conversation_media.PAGES,
    *conversation_canned.PAGES,
)
