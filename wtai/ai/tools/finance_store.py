"""SQL of the ledger: each statement inside one owner and one user. Amounts in cents, days as YYYY-MM-DD."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from wtai.ai.tools.periods import Period
from wtai.db.tx import OwnerTx, Row
from wtai.ids import public_id


class Kind(StrEnum):
    """Which way the money went."""

    INCOME = "income"
    EXPENSE = "expense"


@dataclass(frozen=True, slots=True)
class Booking:
    """What an entry says: ``amount`` in cents, always above zero."""

    kind: Kind
    amount: int
    category: str
    description: str
    day: date


@dataclass(frozen=True, slots=True)
class Entry(Booking):
    """A booking that is kept, under its public id."""

    id: str


@dataclass(frozen=True, slots=True)
class Filter:
    """Which entries are meant; None does not restrict."""

    period: Period
    kind: Kind | None = None
    category: str | None = None


@dataclass(frozen=True, slots=True)
class CategorySum:
    """How much went one way in one category: ``amount`` in cents, over ``count`` entries."""

    kind: Kind
    category: str
    amount: int
    count: int


_CHOSEN = """
owner_id = :owner AND user_id = :user_id AND entry_date BETWEEN :first AND :last
AND (:kind IS NULL OR kind = :kind) AND (:category IS NULL OR category = :category)
"""


def insert_entry(tx: OwnerTx, user_id: int, booking: Booking, *, message_id: int, now: int) -> Entry:
    """Book it for this user. ``message_id`` is the message that asked for it."""
    entry = Entry(booking.kind, booking.amount, booking.category, booking.description, booking.day, public_id("ent"))
    tx.run(
        """
        INSERT INTO ledger_entries (owner_id, public_id, user_id, kind, amount, category, description, entry_date, message_id,
            created_at, updated_at)
        VALUES (:owner, :public_id, :user_id, :kind, :amount, :category, :description, :day,
            :message_id, :now, :now)
        """,
        public_id=entry.id,
        user_id=user_id,
        **_values(booking),
        message_id=message_id,
        now=now,
    )
    return entry


def find_entry(tx: OwnerTx, user_id: int, entry_id: str) -> Entry | None:
    """One entry of this user."""
    row = tx.one(
        """
        SELECT public_id, kind, amount, category, description, entry_date FROM ledger_entries
        WHERE owner_id = :owner AND user_id = :user_id AND public_id = :public_id
        """,
        user_id=user_id,
        public_id=entry_id,
    )
    return _entry(row) if row else None


def update_entry(tx: OwnerTx, user_id: int, entry: Entry, *, now: int) -> None:
    """Make the entry of this id say what ``entry`` says."""
    tx.run(
        """
        UPDATE ledger_entries SET kind = :kind, amount = :amount, category = :category, description = :description,
            entry_date = :day, updated_at = :now
        WHERE owner_id = :owner AND user_id = :user_id AND public_id = :public_id
        """,
        public_id=entry.id,
        user_id=user_id,
        **_values(entry),
        now=now,
    )


def delete_entry(tx: OwnerTx, user_id: int, entry_id: str) -> None:
    """Remove one entry of this user."""
    tx.run(
        "DELETE FROM ledger_entries WHERE owner_id = :owner AND user_id = :user_id AND public_id = :public_id",
        user_id=user_id,
        public_id=entry_id,
    )


def delete_entries(tx: OwnerTx, user_id: int) -> int:
    """Remove every entry of this user; returns how many there were."""
    return tx.run("DELETE FROM ledger_entries WHERE owner_id = :owner AND user_id = :user_id", user_id=user_id)


def newest_entries(tx: OwnerTx, user_id: int, chosen: Filter, *, limit: int) -> list[Entry]:
    """The entries meant, newest day first, of a day the one booked last first."""
    rows = tx.all(
        f"""
        SELECT public_id, kind, amount, category, description, entry_date FROM ledger_entries
        WHERE {_CHOSEN} ORDER BY entry_date DESC, id DESC LIMIT :limit
        """,  # noqa: S608 - a constant of this module
        **_restriction(user_id, chosen),
        limit=limit,
    )
    return [_entry(row) for row in rows]


def sums(tx: OwnerTx, user_id: int, chosen: Filter) -> list[CategorySum]:
    """What the entries meant come to, by kind and category, the largest first."""
    rows = tx.all(
        f"""
        SELECT kind, category, sum(amount) AS amount, count(*) AS count FROM ledger_entries
        WHERE {_CHOSEN} GROUP BY kind, category ORDER BY sum(amount) DESC, category
        """,  # noqa: S608 - a constant of this module
        **_restriction(user_id, chosen),
    )
    return [CategorySum(Kind(row["kind"]), row["category"], row["amount"], row["count"]) for row in rows]


def total(amounts: Iterable[CategorySum], kind: Kind) -> int:
    """What one kind comes to, in cents."""
    return sum(one.amount for one in amounts if one.kind is kind)


def used_categories(tx: OwnerTx, user_id: int) -> list[str]:
    """Every category this user has entries in."""
    rows = tx.all(
        "SELECT DISTINCT category FROM ledger_entries WHERE owner_id = :owner AND user_id = :user_id ORDER BY category",
        user_id=user_id,
    )
    return [str(row["category"]) for row in rows]


def _values(booking: Booking) -> dict[str, object]:
    return {
        "kind": booking.kind.value,
        "amount": booking.amount,
        "category": booking.category,
        "description": booking.description,
        "day": booking.day.isoformat(),
    }


def _restriction(user_id: int, chosen: Filter) -> dict[str, object]:
    return {
        "user_id": user_id,
        "first": chosen.period.first.isoformat(),
        "last": chosen.period.last.isoformat(),
        "kind": chosen.kind.value if chosen.kind else None,
        "category": chosen.category,
    }


def _entry(row: Row) -> Entry:
    return Entry(
        Kind(row["kind"]),
        row["amount"],
        row["category"],
        row["description"],
        date.fromisoformat(row["entry_date"]),
        row["public_id"],
    )
