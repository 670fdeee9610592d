"""The parts of a conversation's page: all of them when it is opened, later those that may have changed."""

from collections.abc import Mapping
from zlib import crc32
from zoneinfo import ZoneInfo

from aiohttp import web
from markupsafe import Markup

from wtai.ids import public_id
from wtai.web.console import conversation_words as words
from wtai.web.console.conversation_media import cards_of, essence, shown_as
from wtai.web.console.conversation_stream import Item, Reader, Stretch, items_of
from wtai.web.console.conversation_view import Read, read
from wtai.web.console.page import HTML, ROOT, Visit


async def thread(visit: Visit, public: str) -> Markup:
    """The conversation with everything beside it. NotFound."""
    found = await visit.read(read, public, visit.user, visit.means.base, now=visit.now)
    return await _rendered(visit, "conversation/thread.html", found)


async def refreshed(visit: Visit, public: str, *, status: int = 200, notice: str = "") -> web.Response:
    """What may have changed since the page was put together, each part with its place; ``notice`` stays until it is dismissed."""
    since = visit.request.query.get("since")
    found = await visit.read(read, public, visit.user, visit.means.base, since=since or None, now=visit.now)
    body = await _rendered(visit, "conversation/refresh.html", found, notice=notice)
    response = web.Response(text=str(body), status=status, content_type=HTML)
    response.enable_compression()
    return response


async def shown_again(visit: Visit) -> web.StreamResponse:
    """The answer to a form: the parts that it changed, or the whole page where a whole page asked."""
    public = visit.ids["conversation"]
    return await refreshed(visit, public) if visit.is_partial else visit.go(f"{ROOT}/c/{public}")


async def items(visit: Visit, stretch: Stretch, names: Mapping[str, str], zone: ZoneInfo) -> list[Item]:
    """A part of the stream for this visitor; ``names`` are those of staff by public id."""
    return items_of(stretch, Reader(visit.text, names, zone, visit.now), await cards_of(visit, stretch.lines))


def revision(html: Markup, *others: object) -> str:
    """What tells a message as it is shown from how it was shown before."""
    return f"{crc32(repr((html, others)).encode()):08x}"


async def _rendered(visit: Visit, template: str, found: Read, notice: str = "") -> Markup:
    opened, names = found.opened, found.opened.names
    change = opened.last_change
    by = names.get(change.staff or "", "") if change else ""
    return visit.part(
        template,
        opened=opened,
        row=opened.row,
        path=f"{ROOT}/c/{opened.row.public_id}",
        items=await items(visit, found.stretch, names, opened.zone),
        stretch=found.stretch,
        anew=found.begins_anew,
        notice=notice,
        here=visit.means.presence.others(visit.owner.id, opened.row.public_id, visit.user.public_id, now=visit.now),
        state=words.state(visit.text, opened.row.state),
        why=words.reason(visit.text, opened.row.handoff_reason or ""),
        ended="" if opened.is_open or change is None else words.ended(visit.text, change, by),
        state_of=lambda other: words.state(visit.text, other),
        fresh=lambda: public_id("one"),
        shown_as=shown_as,
        essence=essence,
        rev=revision,
    )
