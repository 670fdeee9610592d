"""A person's data handed over, or erased for good."""

import asyncio
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from aiohttp import web

from wtai.db.tx import OwnerTx
from wtai.identity.audit_store import audit
from wtai.identity.users_store import addresses_of
from wtai.privacy.erase_store import provider_copies
from wtai.privacy.export import export
from wtai.web.api.end_users import customer
from wtai.web.console.page import Page, Visit
from wtai.web.console.settings.forms import sent
from wtai.web.console.settings.frame import PEOPLE, show
from wtai.web.console.settings.people import ONE, label, page_of
from wtai.web.console.settings.words import Refused

_CHUNK: Final = 1 << 18


async def hand_over(visit: Visit) -> web.StreamResponse:
    """All that is kept of the person, as a zip file."""
    public = visit.ids["user"]

    def note(tx: OwnerTx) -> None:
        audit(tx, visit.actor, "end_users.export", customer(tx, public).public_id, now=visit.now)

    await visit.write(note)
    folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="wtai-export-"))
    try:
        target = folder / f"{public}.zip"
        means, owner = visit.means, visit.owner
        media = means.settings.media.directory
        await export(means.database, owner.id, public, owner=owner.public_id, media=media, target=target, clock=means.clock)
        return await _streamed(visit, target)
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


async def erase(visit: Visit) -> web.StreamResponse:
    """Everything of the person, once their name was typed; the receipt is shown."""

    async def work(given: Mapping[str, str]) -> web.Response:
        public = visit.ids["user"]

        def who(tx: OwnerTx) -> tuple[str, int]:
            user = customer(tx, public)
            return label(user, addresses_of(tx, user)), provider_copies(tx, user.id)

        name, copies = await visit.read(who)
        if given.get("sure", "").strip() != name.strip():
            raise Refused("sure", visit.text("This is not what stands above. Nothing was erased."))
        receipt = await visit.means.eraser.erase_user(visit.owner.id, public, visit.actor, rewrite="by the job")
        return show(visit, "erased.html", PEOPLE, receipt=receipt, copies=copies)

    return await sent(visit, work, lambda form: page_of(visit, form))


async def _streamed(visit: Visit, path: Path) -> web.StreamResponse:
    size = (await asyncio.to_thread(path.stat)).st_size
    response = web.StreamResponse(
        headers={
            "Content-Type": "application/zip",
            "Content-Disposition": f'attachment; filename="{path.name}"',
            "Content-Length": str(size),
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
        }
    )
    await response.prepare(visit.request)
    with path.open("rb") as file:
        while piece := await asyncio.to_thread(file.read, _CHUNK):
            await response.write(piece)
    await response.write_eof()
    return response


PAGES = (
    Page("POST", f"{ONE}/export", hand_over, "end_users.export"),
    Page("POST", f"{ONE}/erase", erase, "end_users.delete"),
)
