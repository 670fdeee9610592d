"""The inbox: the list of conversations, and the one that is open beside it."""

from aiohttp import web
from markupsafe import Markup

from wtai.web.console.conversation import thread
from wtai.web.console.page import ROOT, Page, Visit


async def inbox(visit: Visit) -> web.StreamResponse:
    """The list, with nothing open."""
    return await _shell(visit, None)


async def opened(visit: Visit) -> web.StreamResponse:
    """The list, with a conversation open."""
    return await _shell(visit, visit.ids["conversation"])


async def _shell(visit: Visit, public: str | None) -> web.StreamResponse:
    through = await visit.means.live.newest()
    beside = await thread(visit, public) if public is not None else Markup("")
    return visit.page("inbox/inbox.html", section="inbox", through=through, thread=beside, opened=public)


PAGES = (
    Page("GET", ROOT, inbox, "conversations.read"),
    Page("GET", f"{ROOT}/c/{{conversation}}", opened, "conversations.read"),
)
