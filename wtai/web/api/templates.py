"""Approved templates, by what they are for and in which language."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from wtai.conversation import template_views_store as store
from wtai.conversation.template_views_store import TemplateExists, TemplateRow
from wtai.db.tx import OwnerTx
from wtai.web.api.call import Call
from wtai.web.api.models import Given, Locale, Page, Paging, Versioned, at
from wtai.web.api.route import ROOT, Route
from wtai.web.problems import CONFLICT, Fault, Problem

_TAG = "templates"
_PATH = f"{ROOT}/templates"
_ONE = f"{_PATH}/{{template}}"

ContentSid = Annotated[str, Field(pattern=r"^HX[0-9a-fA-F]{32}$", description="The provider's id of the approved template.")]


class TemplateChange(Given):
    """Another approved template for the same purpose."""

    content_sid: ContentSid


class NewTemplate(TemplateChange):
    """``reminder`` is what reminders go out by; its first variable is their text."""

    name: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[a-z0-9_]+$")]
    locale: Locale


class TemplateView(Versioned):
    """A template."""

    name: str
    locale: Locale
    content_sid: str
    created_at: datetime


async def list_templates(call: Call[None, Paging]) -> Page[TemplateView]:
    """The oldest first."""
    rows = await call.read(store.template_rows, after=(call.after(1) or (0,))[0], limit=call.limit + 1)
    return call.page(Page[TemplateView], rows, _shown, lambda row: (row.id,))


async def create_template(call: Call[NewTemplate, None]) -> TemplateView:
    """One for each purpose and language."""

    def work(tx: OwnerTx) -> TemplateView:
        given = call.body
        try:
            return _shown(store.create_template(tx, given.name, given.locale, given.content_sid, now=call.now))
        except TemplateExists as exc:
            raise Problem(CONFLICT, str(exc), [Fault("/name", str(exc))]) from exc

    return await call.commit(work)


async def read_template(call: Call[None, None]) -> TemplateView:
    """One of them."""
    return _shown(await call.read(store.template_row, call.ids["template"]))


async def change_template(call: Call[TemplateChange, None]) -> TemplateView:
    """For what goes out from now on."""

    def work(tx: OwnerTx) -> TemplateView:
        row = store.template_row(tx, call.ids["template"])
        return _shown(store.change_template(tx, row, call.body.content_sid, version=call.if_match))

    return await call.commit(work)


async def delete_template(call: Call[None, None]) -> None:
    """What was to go out by it waits for a person."""

    def work(tx: OwnerTx) -> None:
        store.delete_template(tx, store.template_row(tx, call.ids["template"]), version=call.if_match)

    await call.commit(work)


def _shown(row: TemplateRow) -> TemplateView:
    return TemplateView.model_validate(
        {
            "id": row.public_id,
            "version": row.version,
            "name": row.name,
            "locale": row.locale,
            "content_sid": row.content_sid,
            "created_at": at(row.created_at),
        }
    )


ROUTES = (
    Route("GET", _PATH, list_templates, "List templates", _TAG, {200: Page[TemplateView]}, action="templates.read", query=Paging),
    Route(
        "POST",
        _PATH,
        create_template,
        "Add a template",
        _TAG,
        {201: TemplateView},
        action="templates.create",
        body=NewTemplate,
        problems=(CONFLICT,),
        location=f"{_PATH}/{{id}}",
    ),
    Route("GET", _ONE, read_template, "Read a template", _TAG, {200: TemplateView}, action="templates.read"),
    Route(
        "PUT",
        _ONE,
        change_template,
        "Take another approved template",
        _TAG,
        {200: TemplateView},
        action="templates.update",
        body=TemplateChange,
        needs_if_match=True,
    ),
    Route(
        "DELETE",
        _ONE,
        delete_template,
        "Delete a template",
        _TAG,
        {204: None},
        action="templates.delete",
        needs_if_match=True,
    ),
)
