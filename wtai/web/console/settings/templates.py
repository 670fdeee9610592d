"""Approved templates: what may be sent once a person's 24 hours are over."""

from collections.abc import Mapping
from typing import Final

from aiohttp import web

from wtai.conversation import template_views_store as store
from wtai.conversation.template_views_store import TemplateRow
from wtai.db.tx import OwnerTx
from wtai.identity.audit_store import audit
from wtai.web.api.templates import NewTemplate, TemplateChange
from wtai.web.console.page import Page, Visit
from wtai.web.console.settings.forms import BLANK, Form, read, sent, version_of
from wtai.web.console.settings.frame import PLACE, over, show

_PATH: Final = f"{PLACE}/templates"
_ONE: Final = f"{_PATH}/{{template}}"


async def templates(visit: Visit) -> web.StreamResponse:
    """All of them; who may, adds one."""
    return await _listed(visit, BLANK)


async def create(visit: Visit) -> web.StreamResponse:
    """One for each purpose and language."""

    async def work(given: Mapping[str, str]) -> web.Response:
        said = read(NewTemplate, given)

        def write(tx: OwnerTx) -> None:
            made = store.create_template(tx, said.name, said.locale, said.content_sid, now=visit.now)
            audit(tx, visit.actor, "templates.create", made.public_id, now=visit.now)

        await visit.write(write)
        return over(visit, _PATH, "added")

    return await sent(visit, work, lambda form: _listed(visit, form))


async def template(visit: Visit) -> web.StreamResponse:
    """One of them."""
    return await _one(visit, BLANK)


async def change(visit: Visit) -> web.StreamResponse:
    """Another approved template for the same purpose, for what goes out from now on."""

    async def work(given: Mapping[str, str]) -> web.Response:
        said, public = read(TemplateChange, given), visit.ids["template"]

        def write(tx: OwnerTx) -> TemplateRow:
            return store.change_template(tx, store.template_row(tx, public), said.content_sid, version=version_of(given))

        await visit.audited("templates.update", public, write)
        return over(visit, _PATH, "saved")

    return await sent(visit, work, lambda form: _one(visit, form))


async def delete(visit: Visit) -> web.StreamResponse:
    """What was to go out by it waits for a person."""

    async def work(given: Mapping[str, str]) -> web.Response:
        public = visit.ids["template"]

        def write(tx: OwnerTx) -> None:
            store.delete_template(tx, store.template_row(tx, public), version=version_of(given))

        await visit.audited("templates.delete", public, write)
        return over(visit, _PATH, "deleted")

    return await sent(visit, work, lambda form: _one(visit, form))


async def _listed(visit: Visit, form: Form) -> web.Response:
    rows = await visit.read(store.template_rows, limit=-1)
    return show(visit, "templates.html", _PATH, status=form.status, form=form, templates=rows)


async def _one(visit: Visit, form: Form) -> web.Response:
    row = await visit.read(store.template_row, visit.ids["template"])
    return show(visit, "template.html", _PATH, status=form.status, form=form, row=row)


PAGES = (
    Page("GET", _PATH, templates, "templates.read"),
    Page("POST", _PATH, create, "templates.create"),
    Page("GET", _ONE, template, "templates.update"),
    Page("POST", _ONE, change, "templates.update"),
    Page("POST", f"{_ONE}/delete", delete, "templates.delete"),
)
