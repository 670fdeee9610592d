"""SQL of the owners' accounts with the provider. Tokens stay sealed here."""

from dataclasses import dataclass

from wtai.db.tx import OwnerTx, SystemTx


@dataclass(frozen=True, slots=True)
class SealedAccount:
    """An account whose tokens are sealed: a JSON list of sealed texts, the primary token first; with its owner's preferences."""

    owner_id: int
    account_sid: str
    tokens: str
    preferences: str


def account_of_address(tx: SystemTx, account_sid: str, address: str) -> SealedAccount | None:
    """Whose address this is with this account, for an active owner; None if nobody connected it."""
    row = tx.one(
        """
        SELECT a.owner_id, a.account_sid, a.tokens, o.preferences
        FROM twilio_numbers n
        JOIN twilio_accounts a ON a.owner_id = n.owner_id AND a.account_sid = n.account_sid
        JOIN owners o ON o.id = a.owner_id AND o.status = 'active'
        WHERE n.account_sid = :account_sid AND n.address = :address
        """,
        account_sid=account_sid,
        address=address,
    )
    return SealedAccount(**dict(row)) if row else None


def account_of_owner(tx: OwnerTx, address: str) -> SealedAccount | None:
    """The account that one of this owner's addresses belongs to."""
    row = tx.one(
        """
        SELECT a.owner_id, a.account_sid, a.tokens, o.preferences
        FROM twilio_numbers n
        JOIN twilio_accounts a ON a.owner_id = n.owner_id AND a.account_sid = n.account_sid
        JOIN owners o ON o.id = a.owner_id
        WHERE n.owner_id = :owner AND n.address = :address
        """,
        address=address,
    )
    return SealedAccount(**dict(row)) if row else None


def put_account(tx: OwnerTx, account_sid: str, tokens: str, *, now: int) -> None:
    """Connect an account, or replace its tokens."""
    tx.run(
        """
        INSERT INTO twilio_accounts (owner_id, account_sid, tokens, created_at) VALUES (:owner, :account_sid, :tokens, :now)
        ON CONFLICT (owner_id, account_sid) DO UPDATE SET tokens = :tokens
        """,
        account_sid=account_sid,
        tokens=tokens,
        now=now,
    )


def put_number(tx: OwnerTx, account_sid: str, address: str, *, now: int) -> bool:
    """Connect an address of the account, to hear what is written to it from now on; False if another owner has it."""
    taken = tx.one(
        """
        INSERT INTO twilio_numbers (owner_id, account_sid, address, heard_until) VALUES (:owner, :account_sid, :address, :now)
        ON CONFLICT (account_sid, address) DO UPDATE SET address = excluded.address RETURNING owner_id = :owner AS ours
        """,
        account_sid=account_sid,
        address=address,
        now=now,
    )
    return bool(taken and taken["ours"])


def release_number(tx: OwnerTx, address: str) -> None:
    """Connect the owner's address with no account."""
    tx.run("DELETE FROM twilio_numbers WHERE owner_id = :owner AND address = :address", address=address)


def numbers(tx: OwnerTx) -> list[tuple[str, str]]:
    """This owner's addresses: (account SID, address)."""
    rows = tx.all("SELECT account_sid, address FROM twilio_numbers WHERE owner_id = :owner ORDER BY address")
    return [(row["account_sid"], row["address"]) for row in rows]
