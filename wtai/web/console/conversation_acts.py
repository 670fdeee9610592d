"""What staff do in a conversation: step in and out, assign, close, note; through the same machine as everybody who steps in."""

from collections.abc import Callable

from aiohttp import web

from wtai.conversation import drafts_store, handoff, lifecycle
from wtai.conversation.changes_store import note_change
from wtai.conversation.model import Conversation
from wtai.conversation.views_store import add_note, assign, conversation_row
from wtai.db.tx import OwnerTx
from wtai.errors import InvalidTransition, NotFound
from wtai.identity.audit_store import audit
from wtai.identity.model import User
from wtai.identity.store import preferences
from wtai.identity.users_store import user_of_public_id
from wtai.web.api.conversations import as_read
from wtai.web.api.errors import wrong
from wtai.web.console.conversation_forms import ONE, first_time, kind_of
from wtai.web.console.conversation_parts import shown_again
from wtai.web.console.page import Page, Visit, required

_MOST_NOTE = 4_000
_MOST_DRAFT = 16_000

Work = Callable[[OwnerTx, Conversation], None]
"""Does something to a conversation as it is now."""


async def take_over(visit: Visit) -> web.StreamResponse:
    """From the commit on nothing goes out that the AI wrote, and the visitor has the conversation, whoever had it before."""

    def work(tx: OwnerTx, conversation: Conversation) -> None:
        handoff.take_over(tx, conversation, staff=visit.principal.id, now=visit.now)
        assign(tx, conversation.id, visit.user.id, now=visit.now)

    return await _done(visit, "conversations.take_over", work)


async def hand_back(visit: Visit) -> web.StreamResponse:
    """The AI goes on, with everything that was said meanwhile."""

    def work(tx: OwnerTx, conversation: Conversation) -> None:
        chosen = preferences(tx, visit.means.base)
        handoff.resume(tx, conversation, chosen, staff=visit.principal.id, now=visit.now)
        assign(tx, conversation.id, None, now=visit.now)

    return await _done(visit, "conversations.resume", work)


async def close(visit: Visit) -> web.StreamResponse:
    """Staff end it, as they saw it: not with a message in it that came since."""
    version = (await visit.form()).get("version", "")
    if not version.isdecimal() or len(version) > 18:
        raise wrong("version", "must be the version of the conversation that is to be closed")

    def work(tx: OwnerTx, conversation: Conversation) -> None:
        handoff.close(tx, conversation, staff=visit.principal.id, now=visit.now)

    return await _done(visit, "conversations.close", work, version=int(version))


async def give(visit: Visit) -> web.StreamResponse:
    """A colleague has it from now on, or nobody in particular; the AI has it no more."""
    chosen = (await visit.form()).get("user", "")

    def work(tx: OwnerTx, conversation: Conversation) -> None:
        if conversation.state not in lifecycle.OPEN:
            raise InvalidTransition(f"conversation {conversation.public_id} is closed")
        colleague = _colleague(tx, chosen) if chosen else None
        handoff.take_over(tx, conversation, reason="assigned", staff=visit.principal.id, now=visit.now)
        assign(tx, conversation.id, colleague.id if colleague else None, now=visit.now)

    return await _done(visit, "conversations.take_over", work)


async def note(visit: Visit) -> web.StreamResponse:
    """For staff alone."""
    form = await visit.form()
    text = required(form, "text", most=_MOST_NOTE)

    def work(tx: OwnerTx) -> None:
        conversation = as_read(tx, visit.ids["conversation"], None)
        if first_time(tx, form, now=visit.now):
            add_note(tx, conversation.id, visit.principal.id, text, now=visit.now)
            drafts_store.keep_draft(tx, conversation.id, visit.user.id, "note", "", now=visit.now)
            audit(tx, visit.actor, "conversations.note", conversation.public_id, now=visit.now)

    await visit.write(work)
    return await shown_again(visit)


async def draft(visit: Visit) -> web.StreamResponse:
    """Keep what the visitor has written so far, unless it was sent meanwhile. Colleagues see that somebody writes."""
    form = await visit.form()
    kind, text, token = kind_of(form), form.get("text", ""), form.get("once", "")
    if len(text) > _MOST_DRAFT:
        raise wrong("text", f"must have at most {_MOST_DRAFT} characters")

    def work(tx: OwnerTx) -> None:
        conversation = as_read(tx, visit.ids["conversation"], None)
        if not drafts_store.is_used(tx, token):
            drafts_store.keep_draft(tx, conversation.id, visit.user.id, kind, text if text.strip() else "", now=visit.now)

    await visit.write(work)
    await _seen(visit, writes=kind == "reply" and bool(text.strip()))
    return web.Response(status=204)


async def here(visit: Visit) -> web.StreamResponse:
    """The visitor has the conversation open, or has left it; who else is there."""
    public = visit.ids["conversation"]
    await visit.read(conversation_row, public)
    presence = visit.means.presence
    if (await visit.form()).get("gone"):
        presence.leave(visit.owner.id, public, visit.user.public_id)
        return web.Response(status=204)
    await _seen(visit, writes=False)
    others = presence.others(visit.owner.id, public, visit.user.public_id, now=visit.now)
    return visit.page("conversation/presence.html", here=others)


async def _seen(visit: Visit, *, writes: bool) -> None:
    """Tell the pages of colleagues, where it is news to them."""
    public, name = visit.ids["conversation"], visit.user.name or visit.user.email or ""
    if visit.means.presence.beat(visit.owner.id, public, visit.user.public_id, name, writes=writes, now=visit.now):
        await visit.write(lambda tx: note_change(tx, conversation_row(tx, public).id, now=visit.now))


async def _done(visit: Visit, action: str, work: Work, *, version: int | None = None) -> web.StreamResponse:
    """Do it to the conversation of the path, with a line in the audit log, and show what has become of it."""
    public = visit.ids["conversation"]

    def unit(tx: OwnerTx) -> None:
        work(tx, as_read(tx, public, version))
        audit(tx, visit.actor, action, public, now=visit.now)

    await visit.write(unit)
    return await shown_again(visit)


def _colleague(tx: OwnerTx, public: str) -> User:
    """A member of staff who may log in. Problem."""
    try:
        user = user_of_public_id(tx, public)
    except NotFound:
        user = None
    if user is None or user.email is None or user.status != "active":
        raise wrong("user", "is nobody of the team")
    return user


PAGES = (
    Page("POST", f"{ONE}/take", take_over, "conversations.take_over"),
    Page("POST", f"{ONE}/back", hand_back, "conversations.resume"),
    Page("POST", f"{ONE}/close", close, "conversations.close"),
    Page("POST", f"{ONE}/assign", give, "conversations.take_over"),
    Page("POST", f"{ONE}/note", note, "conversations.note"),
    Page("POST", f"{ONE}/draft", draft, "conversations.read"),
    Page("POST", f"{ONE}/here", here, "conversations.read"),
)
