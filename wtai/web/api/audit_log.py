"""The audit log of an owner: read, and nothing else."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from wtai.identity.audit_store import AuditEntry, audit_entries
from wtai.web.api.call import Call
from wtai.web.api.models import Id, Page, Paging, View, at
from wtai.web.api.route import ROOT, Route


class ListAudit(Paging):
    """Which lines."""

    target: Annotated[Id | None, Field(description="About what has this id.")] = None


class AuditView(View):
    """Who did what to what, when, from where, and whether it was let."""

    id: str
    actor_kind: str
    actor: str | None
    action: str
    target: str | None
    address: str | None
    outcome: str
    details: str | None
    created_at: datetime


async def list_audit(call: Call[None, ListAudit]) -> Page[AuditView]:
    """The newest first."""
    before = call.after(1)
    rows = await call.read(audit_entries, before=before[0] if before else None, target=call.query.target, limit=call.limit + 1)
    return call.page(Page[AuditView], rows, _entry, lambda row: (row.id,))


def _entry(entry: AuditEntry) -> AuditView:
    return AuditView(
        id=entry.public_id,
        actor_kind=entry.actor_kind,
        actor=entry.actor,
        action=entry.action,
        target=entry.target,
        address=entry.address,
        outcome=entry.outcome,
        details=entry.details,
        created_at=at(entry.created_at),
    )


ROUTES = (
    Route(
        "GET",
        f"{ROOT}/audit-log",
        list_audit,
        "List who did what, the newest first",
        "audit-log",
        {200: Page[AuditView]},
        action="audit.read",
        query=ListAudit,
    ),
)
