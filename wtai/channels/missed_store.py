"""SQL of how far each number was listened to, and of what was heard there."""

from collections.abc import Sequence
from dataclasses import dataclass

from wtai.db.tx import OwnerTx, SystemTx


@dataclass(frozen=True, slots=True)
class ConnectedAccount:
    """An account of an active owner, by the key of its row."""

    owner_id: int
    id: int


def connected_accounts(tx: SystemTx) -> list[ConnectedAccount]:
    """The accounts that have numbers, of all active owners."""
    rows = tx.all(
        """
        SELECT a.owner_id, a.id FROM twilio_accounts a JOIN owners o ON o.id = a.owner_id AND o.status = 'active'
        WHERE EXISTS (SELECT 1 FROM twilio_numbers n WHERE n.owner_id = a.owner_id AND n.account_sid = a.account_sid)
        ORDER BY a.id
        """
    )
    return [ConnectedAccount(row["owner_id"], row["id"]) for row in rows]


def heard_until(tx: OwnerTx, account_id: int) -> dict[str, int]:
    """The account's addresses, and up to when (ms) each was listened to."""
    rows = tx.all(
        """
        SELECT n.address, n.heard_until FROM twilio_accounts a
        JOIN twilio_numbers n ON n.owner_id = a.owner_id AND n.account_sid = a.account_sid
        WHERE a.owner_id = :owner AND a.id = :id ORDER BY n.address
        """,
        id=account_id,
    )
    return {row["address"]: row["heard_until"] for row in rows}


def set_heard(tx: OwnerTx, address: str, until: int) -> None:
    """Everything that was written to the address up to ``until`` (ms) is here."""
    tx.run(
        "UPDATE twilio_numbers SET heard_until = max(heard_until, :until) WHERE owner_id = :owner AND address = :address",
        address=address,
        until=until,
    )


def hear_nothing_of_disabled(tx: SystemTx, *, until: int) -> None:
    """Ask for nothing that was written up to ``until`` (ms) to owners who are not active."""
    tx.run(
        """
        UPDATE twilio_numbers SET heard_until = :until
        WHERE heard_until < :until AND owner_id IN (SELECT id FROM owners WHERE status <> 'active')
        """,
        until=until,
    )


def hear_from_now_on(tx: SystemTx, *, now: int) -> None:
    """Ask for nothing that was written before now."""
    tx.run("UPDATE twilio_numbers SET heard_until = max(heard_until, :now)", now=now)


def was_erased_since(tx: OwnerTx, digests: Sequence[str], since: int) -> bool:
    """Whether somebody with an address of one of these digests was erased at or after ``since`` (ms)."""
    return any(
        tx.one(
            """
            SELECT 1 FROM erasures e, json_each(e.addresses) one
            WHERE e.owner_id = :owner AND e.created_at >= :since AND one.value = :digest
            """,
            digest=digest,
            since=since,
        )
        for digest in digests
    )
