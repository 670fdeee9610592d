"""SQL of what is shown of the owners' accounts: never a token."""

from dataclasses import dataclass

from wtai.db.tx import OwnerTx
from wtai.errors import NotFound


@dataclass(frozen=True, slots=True)
class AccountRow:
    """An account by its SID at the provider, with the addresses connected to it; ``created_at`` in ms."""

    id: int
    account_sid: str
    addresses: tuple[str, ...]
    created_at: int


def account_rows(tx: OwnerTx, *, after: int = 0, limit: int) -> list[AccountRow]:
    """The owner's accounts, oldest first, with a key above ``after``."""
    rows = tx.all(
        """
        SELECT id, account_sid, created_at FROM twilio_accounts WHERE owner_id = :owner AND id > :after
        ORDER BY id LIMIT :limit
        """,
        after=after,
        limit=limit,
    )
    return [AccountRow(row["id"], row["account_sid"], _addresses(tx, row["account_sid"]), row["created_at"]) for row in rows]


def account_row(tx: OwnerTx, account_sid: str) -> AccountRow:
    """NotFound if the owner has not connected it."""
    row = tx.one(
        "SELECT id, account_sid, created_at FROM twilio_accounts WHERE owner_id = :owner AND account_sid = :sid", sid=account_sid
    )
    if row is None:
        raise NotFound(f"no account {account_sid}")
    return AccountRow(row["id"], row["account_sid"], _addresses(tx, account_sid), row["created_at"])


def remove_account(tx: OwnerTx, account_sid: str) -> None:
    """Connect the account and its addresses no more: its tokens are gone. NotFound."""
    tx.run("DELETE FROM twilio_numbers WHERE owner_id = :owner AND account_sid = :sid", sid=account_sid)
    if not tx.run("DELETE FROM twilio_accounts WHERE owner_id = :owner AND account_sid = :sid", sid=account_sid):
        raise NotFound(f"no account {account_sid}")


def remove_address(tx: OwnerTx, account_sid: str, address: str) -> None:
    """Connect the address no more: what is written to it is refused. NotFound."""
    gone = tx.run(
        "DELETE FROM twilio_numbers WHERE owner_id = :owner AND account_sid = :sid AND address = :address",
        sid=account_sid,
        address=address,
    )
    if not gone:
        raise NotFound(f"{address} is not connected with {account_sid}")


def count_addresses(tx: OwnerTx) -> int:
    """How many addresses the owner has."""
    row = tx.one("SELECT count(*) AS n FROM twilio_numbers WHERE owner_id = :owner")
    return int(row["n"]) if row else 0


def _addresses(tx: OwnerTx, account_sid: str) -> tuple[str, ...]:
    rows = tx.all(
        "SELECT address FROM twilio_numbers WHERE owner_id = :owner AND account_sid = :sid ORDER BY address", sid=account_sid
    )
    return tuple(row["address"] for row in rows)
