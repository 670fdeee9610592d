"""One conversation: what was said, what became of it, and what staff do in it."""

from markupsafe import Markup

from wtai.conversation.views_store import conversation_row
from wtai.web.console.page import Page, Visit


async def thread(visit: Visit, public: str) -> Markup:
    """The conversation with everything beside it. NotFound."""
    row = await visit.read(conversation_row, public)
    return visit.part("conversation/thread.html", row=row)


PAGES: tuple[Page, ...] = ()
