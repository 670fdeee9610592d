"""Labels: which there are, and which are on a conversation."""

from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from wtai.conversation.labels_store import (
    COLOURS,
    MOST,
    Label,
    LabelTaken,
    change_label,
    delete_label,
    insert_label,
    label_of,
    label_rows,
    label_uses,
    put_label,
    take_label,
)
from wtai.conversation.views_store import conversation_row
from wtai.db.tx import OwnerTx
from wtai.web.console.page import ROOT, Page, Visit, required
from wtai.web.problems import INVALID, QUOTA, Fault, Problem

_LONGEST = 40


@dataclass(frozen=True, slots=True)
class Used:
    """A label, and on how many conversations it is."""

    label: Label
    uses: int


async def labels(visit: Visit) -> web.StreamResponse:
    """All of them, to be changed by whoever may."""
    return await _shown(visit)


async def create(visit: Visit) -> web.StreamResponse:
    """A new one."""
    name, colour = await _given(visit)

    def work(tx: OwnerTx) -> Label:
        if len(label_rows(tx)) >= MOST:
            raise Problem(QUOTA, f"an owner may have {MOST} labels")
        return insert_label(tx, name, colour, now=visit.now)

    return await _tried(visit, "labels.create", None, work)


async def change(visit: Visit) -> web.StreamResponse:
    """Another name or colour."""
    name, colour = await _given(visit)
    public = visit.ids["label"]
    return await _tried(visit, "labels.update", public, lambda tx: change_label(tx, label_of(tx, public), name, colour))


async def delete(visit: Visit) -> web.StreamResponse:
    """Off all conversations, and away."""
    public = visit.ids["label"]
    await visit.audited("labels.delete", public, lambda tx: delete_label(tx, label_of(tx, public)))
    return visit.go(f"{ROOT}/labels")


async def put(visit: Visit) -> web.StreamResponse:
    """Put a ``label`` on a conversation, or take it off where ``off`` is set."""
    form = await visit.form()
    public = required(form, "label", most=100)

    def work(tx: OwnerTx) -> None:
        conversation, label = conversation_row(tx, visit.ids["conversation"]), label_of(tx, public)
        if form.get("off"):
            take_label(tx, conversation.id, label, now=visit.now)
        else:
            put_label(tx, conversation.id, label, now=visit.now)

    await visit.write(work)
    return web.Response(status=204) if visit.is_partial else visit.go(f"{ROOT}/c/{visit.ids['conversation']}")


async def _tried(visit: Visit, action: str, target: str | None, work: Callable[[OwnerTx], object]) -> web.Response:
    try:
        await visit.audited(action, target, work)
    except LabelTaken as exc:
        return await _shown(visit, taken=str(exc))
    return visit.go(f"{ROOT}/labels")


async def _shown(visit: Visit, *, taken: str = "") -> web.Response:
    def read(tx: OwnerTx) -> list[Used]:
        return [Used(label, label_uses(tx, label)) for label in label_rows(tx)]

    used = await visit.read(read)
    status = 409 if taken else 200
    return visit.page("inbox/labels.html", status=status, section="inbox", used=used, colours=COLOURS, taken=taken)


async def _given(visit: Visit) -> tuple[str, str]:
    form = await visit.form()
    colour = form.get("colour", COLOURS[0])
    if colour not in COLOURS:
        raise Problem(INVALID, f"colour must be one of {', '.join(COLOURS)}", [Fault("colour", "unknown")])
    return required(form, "name", most=_LONGEST), colour


PAGES = (
    Page("GET", f"{ROOT}/labels", labels, "conversations.read"),
    Page("POST", f"{ROOT}/labels", create, "owners.update"),
    Page("POST", f"{ROOT}/labels/{{label}}", change, "owners.update"),
    Page("POST", f"{ROOT}/labels/{{label}}/delete", delete, "owners.update"),
    Page("POST", f"{ROOT}/c/{{conversation}}/labels", put, "conversations.note"),
)
