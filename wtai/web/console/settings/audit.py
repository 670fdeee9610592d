"""The audit log: read, and nothing else."""

from typing import Final

from aiohttp import web

from wtai.db.tx import OwnerTx
from wtai.identity.audit_store import AuditEntry, audit_actions, audit_entries
from wtai.identity.users_store import staff
from wtai.web.console.page import Page, Visit
from wtai.web.console.settings.forms import key_of
from wtai.web.console.settings.frame import PLACE, show

_PATH: Final = f"{PLACE}/audit"
_SHOWN: Final = 50


async def log(visit: Visit) -> web.StreamResponse:
    """The newest first, of one action or of all."""
    query = visit.request.query
    action, target = query.get("action") or None, query.get("target") or None

    def work(tx: OwnerTx) -> tuple[list[AuditEntry], list[str], dict[str, str]]:
        before = key_of(query.get("before"))
        rows = audit_entries(tx, before=before, target=target, action=action, limit=_SHOWN + 1)
        return rows, audit_actions(tx), {user.public_id: user.name or user.email or "" for user in staff(tx)}

    rows, actions, names = await visit.read(work)
    return show(
        visit,
        "audit.html",
        _PATH,
        entries=rows[:_SHOWN],
        following=rows[_SHOWN - 1].id if len(rows) > _SHOWN else None,
        actions=actions,
        names=names,
        action=action,
        target=target,
    )


PAGES = (Page("GET", _PATH, log, "audit.read"),)
