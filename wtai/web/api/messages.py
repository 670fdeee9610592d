"""Messages: read with what became of them, and sent by staff through the outbox."""

import json
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import AliasChoices, Field, model_validator

from wtai.conversation.model import Conversation, Status, Template
from wtai.conversation.templates_store import template_sid
from wtai.conversation.views_store import (
    MessageRow,
    conversation_row,
    last_message_id,
    message_row,
    message_rows,
)
from wtai.db.tx import OwnerTx
from wtai.errors import NotFound
from wtai.web.api.call import Call
from wtai.web.api.conversations import as_read
from wtai.web.api.errors import wrong
from wtai.web.api.models import Given, Id, Identified, Page, Paging, View, at
from wtai.web.api.route import ROOT, Route
from wtai.web.problems import OPTED_OUT, STALE, WINDOW_CLOSED, WRONG_STATE
from wtai.web.sending import check_wanted, send_template, send_text

_TAG = "messages"
_OF_CONVERSATION = f"{ROOT}/conversations/{{conversation}}/messages"
_MOST_PARTS = 20

Direction = Literal["inbound", "outbound"]
Placeholder = Annotated[str, Field(min_length=1, max_length=64)]
Value = Annotated[str, Field(max_length=1_024)]


class TemplateMessage(Given):
    """An approved template: by its content SID, or by the ``name`` and ``locale`` it has under templates."""

    content_sid: Annotated[str | None, Field(pattern=r"^HX[0-9a-fA-F]{32}$")] = None
    name: Annotated[str | None, Field(min_length=1, max_length=64)] = None
    locale: Literal["pt-BR", "es", "en"] = "pt-BR"
    variables: Annotated[dict[Placeholder, Value], Field(default_factory=dict, max_length=64)]

    @model_validator(mode="after")
    def _named_once(self) -> Self:
        if (self.content_sid is None) == (self.name is None):
            raise ValueError("must have content_sid or name, and not both")
        return self


class NewMessage(Given):
    """Free text, within 24 hours of the person's last message on WhatsApp; or a template, at any time.

    ``body`` may be called ``text`` too. ``instead_of`` is a message that waits for a person, which the template stands for.
    """

    body: Annotated[
        str | None, Field(min_length=1, max_length=16_000, pattern=r"\S", validation_alias=AliasChoices("body", "text"))
    ] = None
    template: TemplateMessage | None = None
    instead_of: Id | None = None

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if (self.body is None) == (self.template is None):
            raise ValueError("must have body or template, and not both")
        if self.instead_of is not None and self.template is None:
            raise ValueError("instead_of goes with a template")
        return self


class ListMessages(Paging):
    """Which messages."""

    conversation: Annotated[Id | None, Field(description="Of this conversation.")] = None
    direction: Direction | None = None
    status: Annotated[Status | None, Field(description="With what became of them.")] = None


class MessageView(Identified):
    """A message. ``provider_sid`` and ``error_code`` are the provider's; ``parked``: why it waits for a person instead of being
    sent. The ``body`` of a template, whose text is the provider's, tells which one it is and what was put in.
    """

    conversation: str
    direction: Direction
    author: Literal["user", "agent", "staff", "system"]
    kind: str
    status: Status
    body: str
    provider_sid: str | None
    error_code: int | None
    parked: Literal["window", "opted_out"] | None
    content_sid: str | None
    variables: dict[str, str] | None
    ai_result: str | None
    created_at: datetime
    updated_at: datetime


class SentMessages(View):
    """What is on its way: more than one message for a text longer than one may be."""

    items: list[MessageView]


async def list_messages(call: Call[None, Paging]) -> Page[MessageView]:
    """The newest first."""

    def work(tx: OwnerTx, before: tuple[int, ...] | None) -> list[MessageRow]:
        row = conversation_row(tx, call.ids["conversation"])
        return message_rows(tx, row.id, before=before[0] if before else None, limit=call.limit + 1)

    rows = await call.read(work, call.after(1))
    return call.page(Page[MessageView], rows, shown, lambda row: (row.id,))


async def list_all(call: Call[None, ListMessages]) -> Page[MessageView]:
    """The newest first, of one conversation or of all."""
    query = call.query

    def work(tx: OwnerTx, before: tuple[int, ...] | None) -> list[MessageRow]:
        try:
            of = conversation_row(tx, query.conversation).id if query.conversation is not None else None
        except NotFound:
            return []
        behind = before[0] if before else None
        return message_rows(tx, of, direction=query.direction, status=query.status, before=behind, limit=call.limit + 1)

    rows = await call.read(work, call.after(1))
    return call.page(Page[MessageView], rows, shown, lambda row: (row.id,))


async def read_message(call: Call[None, None]) -> MessageView:
    """One message."""
    return shown(await call.read(message_row, call.ids["message"]))


async def send_message(call: Call[NewMessage, None]) -> SentMessages:
    """A person answers: which takes the conversation over. A template is sent without that; where a person has the
    conversation it answers as text does.
    """

    def work(tx: OwnerTx) -> SentMessages:
        conversation = as_read(tx, call.ids["conversation"], call.if_match)
        check_wanted(conversation)
        newest = last_message_id(tx, conversation.id)
        if call.body.template is not None:
            _send_template(tx, conversation, call.body.template, call)
        else:
            send_text(tx, conversation, call.body.body or "", call.principal, now=call.now)
        rows = message_rows(tx, conversation.id, limit=_MOST_PARTS)
        return SentMessages(items=[shown(row) for row in reversed(rows) if row.id > newest])

    return await call.commit(work)


def shown(row: MessageRow) -> MessageView:
    """A message as the API shows it."""
    return MessageView.model_validate(
        {
            "id": row.public_id,
            "conversation": row.conversation,
            "direction": row.direction,
            "author": row.author,
            "kind": row.kind,
            "status": row.status,
            "body": row.body,
            "provider_sid": row.provider_sid,
            "error_code": row.error_code,
            "parked": row.parked,
            "content_sid": row.content_sid,
            "variables": json.loads(row.content_variables) if row.content_variables else None,
            "ai_result": row.ai_result,
            "created_at": at(row.created_at),
            "updated_at": at(row.updated_at),
        }
    )


def _send_template(tx: OwnerTx, conversation: Conversation, given: TemplateMessage, call: Call[NewMessage, None]) -> None:
    sid = given.content_sid or template_sid(tx, given.name or "", given.locale)
    if sid is None:
        raise wrong("/template/name", "there is no template of this name in this locale")
    template = Template(sid, json.dumps(given.variables, ensure_ascii=False))
    send_template(tx, conversation, template, call.principal, instead_of=call.body.instead_of, now=call.now)


ROUTES = (
    Route(
        "GET",
        _OF_CONVERSATION,
        list_messages,
        "List a conversation's messages, the newest first",
        _TAG,
        {200: Page[MessageView]},
        action="messages.read",
        query=Paging,
    ),
    Route(
        "POST",
        _OF_CONVERSATION,
        send_message,
        "Send a message as staff: free text, or a template",
        _TAG,
        {202: SentMessages},
        action="messages.create",
        body=NewMessage,
        problems=(WRONG_STATE, WINDOW_CLOSED, OPTED_OUT, STALE),
    ),
    Route(
        "GET",
        f"{ROOT}/messages",
        list_all,
        "List messages, the newest first",
        _TAG,
        {200: Page[MessageView]},
        action="messages.read",
        query=ListMessages,
    ),
    Route(
        "GET", f"{ROOT}/messages/{{message}}", read_message, "Read a message", _TAG, {200: MessageView}, action="messages.read"
    ),
)
