"""Canned replies: picked in the composer by whoever writes, kept by administrators."""

import re
from typing import Final

from aiohttp import web

from wtai.conversation import canned_store as store
from wtai.conversation.canned_store import Canned, CannedTaken
from wtai.db.tx import OwnerTx
from wtai.web.api.errors import wrong
from wtai.web.console.page import ROOT, Page, Visit, required
from wtai.web.console.settings.frame import around
from wtai.web.problems import Problem

_SETTINGS: Final = f"{ROOT}/settings/canned"
_ONE: Final = f"{_SETTINGS}/{{canned}}"
_SHORTCUT: Final = re.compile(r"[a-z0-9à-öø-ÿ][a-z0-9à-öø-ÿ_-]{0,31}")
_MOST_TEXT: Final = 4_000


async def picker(visit: Visit) -> web.StreamResponse:
    """All of them, for the composer."""
    return visit.page("conversation/canned_options.html", canned=await visit.read(store.canned_replies))


async def settings(visit: Visit) -> web.StreamResponse:
    """The list, and a form for one more."""
    return await _shown(visit)


async def create(visit: Visit) -> web.StreamResponse:
    """One more."""
    form = await visit.form()
    try:
        shortcut, text = _fields(form)
        await visit.audited("canned_replies.update", None, lambda tx: store.create_canned(tx, shortcut, text, now=visit.now))
    except (CannedTaken, Problem) as exc:
        return await _shown(visit, fault=exc, given=form)
    return visit.go(_SETTINGS)


async def change(visit: Visit) -> web.StreamResponse:
    """Another name or text. StaleVersion if somebody changed it meanwhile."""
    form = await visit.form()
    version = form.get("version", "")
    if not version.isdecimal() or len(version) > 18:
        raise wrong("version", "must be the version of the canned reply that is to be changed")

    def work(tx: OwnerTx, shortcut: str, text: str) -> None:
        store.change_canned(tx, store.canned_reply(tx, visit.ids["canned"]), shortcut, text, version=int(version))

    try:
        shortcut, text = _fields(form)
        await visit.audited("canned_replies.update", visit.ids["canned"], lambda tx: work(tx, shortcut, text))
    except (CannedTaken, Problem) as exc:
        return await _shown(visit, fault=exc, given=form, of=visit.ids["canned"])
    return visit.go(_SETTINGS)


async def delete(visit: Visit) -> web.StreamResponse:
    """Forget it."""

    def work(tx: OwnerTx) -> None:
        store.delete_canned(tx, store.canned_reply(tx, visit.ids["canned"]))

    await visit.audited("canned_replies.update", visit.ids["canned"], work)
    return visit.go(_SETTINGS)


def _fields(form: dict[str, str]) -> tuple[str, str]:
    """Name and text. Problem."""
    shortcut = required(form, "shortcut", most=32).removeprefix("/").lower()
    if not _SHORTCUT.fullmatch(shortcut):
        raise wrong("shortcut", "must be a short name of letters, digits, - and _")
    return shortcut, required(form, "text", most=_MOST_TEXT)


async def _shown(
    visit: Visit, *, fault: CannedTaken | Problem | None = None, given: dict[str, str] | None = None, of: str = ""
) -> web.Response:
    canned: list[Canned] = await visit.read(store.canned_replies)
    status = 422 if fault else 200
    return visit.page(
        "conversation/canned.html",
        status=status,
        **around(visit, _SETTINGS, status),
        canned=canned,
        may_change=visit.may("canned_replies.update"),
        fault=fault is not None,
        taken=isinstance(fault, CannedTaken),
        given=given or {},
        of=of,
    )


PAGES = (
    Page("GET", f"{ROOT}/canned", picker, "canned_replies.read"),
    Page("GET", _SETTINGS, settings, "canned_replies.read"),
    Page("POST", _SETTINGS, create, "canned_replies.update"),
    Page("POST", _ONE, change, "canned_replies.update"),
    Page("POST", f"{_ONE}/delete", delete, "canned_replies.update"),
)
