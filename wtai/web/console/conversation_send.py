"""Messages that staff send: a reply, a template, the first words of a new conversation. Each goes out once."""

import json
from collections.abc import Mapping
from typing import Final

from aiohttp import web

from wtai.conversation import drafts_store, handoff, lifecycle, thread_store
from wtai.conversation.model import Conversation, Template
from wtai.conversation.store import open_conversation
from wtai.conversation.template_views_store import template_row
from wtai.conversation.views_store import assign
from wtai.db.tx import OwnerTx
from wtai.errors import InvalidTransition, NotFound, WtaiError
from wtai.identity.audit_store import audit
from wtai.identity.store import preferences
from wtai.web.api.conversations import as_read
from wtai.web.api.errors import wrong
from wtai.web.console.conversation_forms import ONE, first_time
from wtai.web.console.conversation_parts import refreshed, shown_again
from wtai.web.console.page import Page, Visit, required
from wtai.web.sending import check_wanted, send_template, send_text

_MOST_TEXT: Final = 16_000
_MOST_VALUE: Final = 1_024
_MOST_VARIABLES: Final = 20


class Overtaken(WtaiError):
    """A colleague has written since the visitor looked."""


async def reply(visit: Visit) -> web.StreamResponse:
    """Text, as the visitor: which takes the conversation over. Not if a colleague wrote something that they have not seen."""
    form = await visit.form()
    text = required(form, "text", most=_MOST_TEXT)
    public = visit.ids["conversation"]

    def work(tx: OwnerTx) -> None:
        conversation = as_read(tx, public, None)
        if not first_time(tx, form, now=visit.now):
            return
        check_wanted(conversation)
        _check_seen(tx, conversation, form.get("seen", ""), visit.principal.id)
        send_text(tx, conversation, text, visit.principal, now=visit.now)
        _sent(tx, visit, conversation)

    try:
        await visit.write(work)
    except Overtaken:
        notice = visit.text("A colleague has just replied. Read it first; then send again if it is still needed.")
        return await refreshed(visit, public, status=409, notice=notice)
    return await shown_again(visit)


async def template(visit: Visit) -> web.StreamResponse:
    """A template, also outside the 24-hour window; in place of a message that waits for it, if the form names one."""
    form = await visit.form()
    public = visit.ids["conversation"]

    def work(tx: OwnerTx) -> None:
        conversation = as_read(tx, public, None)
        if not first_time(tx, form, now=visit.now):
            return
        check_wanted(conversation)
        if conversation.state not in lifecycle.OPEN:
            raise InvalidTransition(f"conversation {public} is closed: begin a new one")
        _send_template(tx, visit, conversation, form)
        audit(tx, visit.actor, "messages.create", public, now=visit.now)

    await visit.write(work)
    return await shown_again(visit)


async def again(visit: Visit) -> web.StreamResponse:
    """Begin a new conversation with the person of one that is over: with text within the window, with a template at any time."""
    form = await visit.form()
    text = None if form.get("template") else required(form, "text", most=_MOST_TEXT)

    def work(tx: OwnerTx) -> str:
        before = as_read(tx, visit.ids["conversation"], None)
        if not first_time(tx, form, now=visit.now):
            there = open_conversation(tx, before.user_id, before.address)
            return there.public_id if there else before.public_id
        check_wanted(before)
        begun = handoff.begin(tx, before, preferences(tx, visit.means.base), staff=visit.principal.id, now=visit.now)
        assign(tx, begun.id, visit.user.id, now=visit.now)
        if text is None:
            _send_template(tx, visit, begun, form)
            audit(tx, visit.actor, "messages.create", begun.public_id, now=visit.now)
        else:
            send_text(tx, as_read(tx, begun.public_id, None), text, visit.principal, now=visit.now)
            _sent(tx, visit, begun)
            drafts_store.keep_draft(tx, before.id, visit.user.id, "reply", "", now=visit.now)
        return begun.public_id

    return visit.go(f"/console/c/{await visit.write(work)}")


def _check_seen(tx: OwnerTx, conversation: Conversation, seen: str, me: str) -> None:
    newest = thread_store.place(tx, conversation.id, seen).id if seen else 0
    if thread_store.replied_since(tx, conversation.id, newest, besides=me):
        raise Overtaken("a colleague has written since")


def _sent(tx: OwnerTx, visit: Visit, conversation: Conversation) -> None:
    drafts_store.keep_draft(tx, conversation.id, visit.user.id, "reply", "", now=visit.now)
    audit(tx, visit.actor, "messages.create", conversation.public_id, now=visit.now)


def _send_template(tx: OwnerTx, visit: Visit, conversation: Conversation, form: Mapping[str, str]) -> None:
    try:
        chosen = template_row(tx, form.get("template", ""))
    except NotFound:
        raise wrong("template", "must be one of the owner's templates") from None
    variables = json.dumps(_variables(form), ensure_ascii=False)
    instead_of = form.get("instead_of") or None
    sent = Template(chosen.content_sid, variables)
    send_template(tx, conversation, sent, visit.principal, instead_of=instead_of, now=visit.now)


def _variables(form: Mapping[str, str]) -> dict[str, str]:
    """What was written for the placeholders, up to the last of them that has something. Problem."""
    values = [form.get(f"var_{number}", "").strip() for number in range(1, _MOST_VARIABLES + 1)]
    if any(len(value) > _MOST_VALUE for value in values):
        raise wrong("var_1", f"must have at most {_MOST_VALUE} characters")
    while values and not values[-1]:
        values.pop()
    if not all(values):
        raise wrong("var_1", "every placeholder up to the last one needs a value")
    return {str(number): value for number, value in enumerate(values, 1)}


PAGES = (
    Page("POST", f"{ONE}/reply", reply, "messages.create"),
    Page("POST", f"{ONE}/template", template, "messages.create"),
    Page("POST", f"{ONE}/again", again, "messages.create"),
)
