"""SQL of the audit log: who did what to what, when, from where, and whether it was let. It is only ever added to."""

from dataclasses import dataclass
from typing import Final, Literal

from wtai.db.tx import OwnerTx, Row
from wtai.identity.access import Principal
from wtai.ids import public_id

Outcome = Literal["done", "refused", "failed"]

_ENTRY: Final = """
SELECT id, public_id, actor_kind, actor, action, target, address, outcome, details, created_at FROM audit_log
"""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: a user or an API token by its public id, the operator at the machine, or the program itself."""

    kind: Literal["user", "token", "operator", "system"]
    id: str | None = None
    address: str | None = None

    @classmethod
    def of(cls, principal: Principal, address: str | None) -> "Actor":
        """A principal, asking from a client address."""
        return cls(principal.kind, principal.id, address)


OPERATOR: Final = Actor("operator")
SYSTEM: Final = Actor("system")


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One line of the log; ``id`` orders them. ``target`` is the public id of what it was about."""

    id: int
    public_id: str
    actor_kind: str
    actor: str | None
    action: str
    target: str | None
    address: str | None
    outcome: str
    details: str | None
    created_at: int


def audit(
    tx: OwnerTx,
    actor: Actor,
    action: str,
    target: str | None,
    *,
    outcome: Outcome = "done",
    details: str | None = None,
    now: int,
) -> None:
    """Add a line, in the transaction of what it tells. ``details`` holds no secrets, no texts and no addresses of people."""
    tx.run(
        """
        INSERT INTO audit_log (owner_id, public_id, actor_kind, actor, action, target, address, outcome, details, created_at)
        VALUES (:owner, :public_id, :actor_kind, :actor, :action, :target, :address, :outcome, :details, :now)
        """,
        public_id=public_id("aud"),
        actor_kind=actor.kind,
        actor=actor.id,
        action=action,
        target=target,
        address=actor.address,
        outcome=outcome,
        details=details,
        now=now,
    )


def audit_entries(
    tx: OwnerTx, *, before: int | None = None, target: str | None = None, action: str | None = None, limit: int = 50
) -> list[AuditEntry]:
    """The owner's log, newest first: up to ``limit`` lines with a key below ``before``, of one target or action or of all."""
    of_action = "AND action = :action" if action is not None else ""
    of_target = "AND target = :target" if target is not None else ""
    rows = tx.all(
        f"""
        {_ENTRY} WHERE owner_id = :owner AND (:before IS NULL OR id < :before) {of_target} {of_action}
        ORDER BY id DESC LIMIT :limit
        """,
        before=before,
        target=target,
        action=action,
        limit=limit,
    )
    return [_entry(row) for row in rows]


def audit_actions(tx: OwnerTx) -> list[str]:
    """The actions that the owner's log has lines of, by name."""
    # Each step goes to the next one in the index: to look at every line would take as long as the log is.
    rows = tx.all(
        """
        WITH RECURSIVE known (action) AS (
            SELECT min(action) FROM audit_log WHERE owner_id = :owner
            UNION ALL
            SELECT (SELECT min(l.action) FROM audit_log l WHERE l.owner_id = :owner AND l.action > known.action)
            FROM known WHERE known.action IS NOT NULL
        )
        SELECT action FROM known WHERE action IS NOT NULL
        """
    )
    return [row["action"] for row in rows]


def erase_from_audit(tx: OwnerTx, public: str) -> int:
    """Take a person out of the log: its public id, and the addresses it came from. Returns the number of lines; they stay.

    The one way past the triggers: the marker lets this transaction, and no other, change the owner's lines.
    """
    _mark(tx)
    changed = tx.run(
        """
        UPDATE audit_log SET target = CASE target WHEN :public THEN 'erased' ELSE target END,
            address = CASE actor WHEN :public THEN NULL ELSE address END,
            actor = CASE actor WHEN :public THEN 'erased' ELSE actor END
        WHERE owner_id = :owner AND (target = :public OR actor = :public)
        """,
        public=public,
    )
    _unmark(tx)
    return changed


def erase_audit(tx: OwnerTx) -> int:
    """Delete the owner's whole log, with the owner; returns the number of lines."""
    _mark(tx)
    gone = tx.run("DELETE FROM audit_log WHERE owner_id = :owner")
    _unmark(tx)
    return gone


def _mark(tx: OwnerTx) -> None:
    tx.run("INSERT INTO audit_erasures (owner_id) VALUES (:owner)")


def _unmark(tx: OwnerTx) -> None:
    tx.run("DELETE FROM audit_erasures WHERE owner_id = :owner")


def _entry(row: Row) -> AuditEntry:
    return AuditEntry(**dict(row))
