"""SQL of erasures: rows go by the list of tables, and what must stay is left with nobody's name on it."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from wtai.ai.memory import facts
from wtai.db.tx import OwnerTx, Row
from wtai.identity.users_store import user_of_public_id
from wtai.privacy.tables_store import TABLES, Table

_ALL: Final = 1_000_000
_SPECIAL: Final = frozenset({"usage", "memory_vectors", "memories"})
"""Of a person these tables are emptied by functions of their own."""


@dataclass(frozen=True, slots=True)
class Reach:
    """The keys by which jobs may refer to a person."""

    user_id: int
    conversations: frozenset[int]
    messages: frozenset[int]
    reminders: frozenset[int]
    deliveries: frozenset[int]

    def has(self, arguments: dict[str, int]) -> bool:
        """Whether a job with this payload is about the person."""
        named = {
            "user_id": frozenset({self.user_id}),
            "conversation_id": self.conversations,
            "message_id": self.messages,
            "reminder_id": self.reminders,
            "delivery_id": self.deliveries,
        }
        return any(arguments.get(name) in keys for name, keys in named.items())


def nobody(owner_id: int) -> str:
    """The public id of the owner's person without a name or an address, on whom the sums of erased people stand."""
    return f"usr_erased_{owner_id}"


def _key_of_nobody(tx: OwnerTx) -> int:
    public = nobody(tx.owner_id)
    tx.run(
        """
        INSERT INTO users (owner_id, public_id, role, created_at) VALUES (:owner, :public, 'user', 0)
        ON CONFLICT (public_id) DO NOTHING
        """,
        public=public,
    )
    return user_of_public_id(tx, public).id


def reach(tx: OwnerTx, user_id: int) -> Reach:
    """What of a person jobs may name."""
    conversations = _keys(tx, "SELECT id FROM conversations WHERE owner_id = :owner AND user_id = :user_id", user_id)
    messages = _keys(
        tx,
        """
        SELECT m.id FROM messages m JOIN conversations c ON c.owner_id = m.owner_id AND c.id = m.conversation_id
        WHERE m.owner_id = :owner AND c.user_id = :user_id
        """,
        user_id,
    )
    reminders = _keys(tx, "SELECT id FROM reminders WHERE owner_id = :owner AND user_id = :user_id", user_id)
    deliveries = _keys(tx, "SELECT id FROM webhook_deliveries WHERE owner_id = :owner AND user_id = :user_id", user_id)
    return Reach(user_id, conversations, messages, reminders, deliveries)


def delete_jobs(tx: OwnerTx, of: Reach) -> int:
    """Delete the jobs about a person in whatever state, running ones too, with all that wait behind them."""
    rows = tx.all("SELECT id, key, payload FROM jobs WHERE owner_id = :owner")
    keys = {row["key"] for row in rows if row["key"] is not None and of.has(_arguments(row))}
    gone = [row["id"] for row in rows if row["key"] in keys or of.has(_arguments(row))]
    for job_id in gone:
        tx.run("DELETE FROM jobs WHERE owner_id = :owner AND id = :id", id=job_id)
    return len(gone)


def delete_memories(tx: OwnerTx, user_id: int) -> int:
    """Delete what is remembered of a person, with its words and vectors."""
    found = facts.newest(tx, user_id, limit=_ALL)
    for fact in found:
        facts.delete(tx, user_id, fact)
    return len(found)


def anonymise_usage(tx: OwnerTx, user_id: int) -> int:
    """Add a person's usage to nobody's: the owner's sums stay. Returns the number of rows."""
    if tx.one("SELECT 1 FROM usage WHERE owner_id = :owner AND user_id = :user_id LIMIT 1", user_id=user_id) is None:
        return 0
    tx.run(
        """
        INSERT INTO usage (owner_id, user_id, feature, day, requests, prompt_tokens, cached_tokens, completion_tokens, cost, held)
        SELECT owner_id, :heir, feature, day, requests, prompt_tokens, cached_tokens, completion_tokens, cost, held
        FROM usage WHERE owner_id = :owner AND user_id = :user_id
        ON CONFLICT (owner_id, day, user_id, feature) DO UPDATE SET requests = usage.requests + excluded.requests,
            prompt_tokens = usage.prompt_tokens + excluded.prompt_tokens,
            cached_tokens = usage.cached_tokens + excluded.cached_tokens,
            completion_tokens = usage.completion_tokens + excluded.completion_tokens,
            cost = usage.cost + excluded.cost, held = usage.held + excluded.held
        """,
        user_id=user_id,
        heir=_key_of_nobody(tx),
    )
    return delete_usage(tx, user_id)


def delete_usage(tx: OwnerTx, user_id: int) -> int:
    """Delete a person's usage, sums and all."""
    return tx.run("DELETE FROM usage WHERE owner_id = :owner AND user_id = :user_id", user_id=user_id)


def leave_work(tx: OwnerTx, user_id: int, public: str) -> int:
    """Take a member of staff out of what belongs to others: conversations, what they did in them, their notes. Returns the number
    of rows.
    """
    return sum(
        (
            tx.run(
                "UPDATE conversations SET assignee_id = NULL WHERE owner_id = :owner AND assignee_id = :user_id", user_id=user_id
            ),
            tx.run("UPDATE conversation_notes SET author = 'erased' WHERE owner_id = :owner AND author = :public", public=public),
            tx.run("UPDATE conversation_events SET staff = 'erased' WHERE owner_id = :owner AND staff = :public", public=public),
            tx.run("UPDATE messages SET staff = 'erased' WHERE owner_id = :owner AND staff = :public", public=public),
        )
    )


def leave_versions(tx: OwnerTx, public: str) -> int:
    """Take a member of staff out of the versions of features that they set. Returns the number of rows."""
    return tx.run("UPDATE feature_versions SET actor = 'erased' WHERE owner_id = :owner AND actor = :public", public=public)


def delete_rows_of_person(tx: OwnerTx, user_id: int, public: str) -> dict[str, int]:
    """Delete what is about a person in the tables of the list, all but those with functions of their own; how many of each."""
    gone = {}
    for table in TABLES:
        if table.of_person is not None and table.name not in _SPECIAL:
            gone[table.name] = tx.run(_delete(table, table.of_person), user_id=user_id, public=public)
    return gone


def delete_rows_of_owner(tx: OwnerTx, table: Table) -> int:
    """Delete every row of the owner in a table."""
    return tx.run(_delete(table, "true"))


def delete_jobs_of_owner(tx: OwnerTx) -> int:
    """Delete every job of the owner."""
    return tx.run("DELETE FROM jobs WHERE owner_id = :owner")


def people(tx: OwnerTx) -> list[str]:
    """The public ids of all of the owner's people, oldest first."""
    return [row["public_id"] for row in tx.all("SELECT public_id FROM users WHERE owner_id = :owner ORDER BY id")]


def empty_owner(tx: OwnerTx) -> None:
    """Leave of the owner's own row that there was one."""
    tx.run(
        """
        UPDATE owners SET name = 'erased', preferences = '{}', status = 'erased', version = version + 1
        WHERE id = :owner AND status <> 'erased'
        """
    )


def addresses(tx: OwnerTx, user_id: int) -> list[str]:
    """Every address a person was seen under."""
    rows = tx.all("SELECT address FROM user_addresses WHERE owner_id = :owner AND user_id = :user_id", user_id=user_id)
    return [row["address"] for row in rows]


def opted_out_of(tx: OwnerTx, user_id: int) -> list[str]:
    """Our addresses from which the person wants nothing."""
    rows = tx.all("SELECT our_address FROM opt_outs WHERE owner_id = :owner AND user_id = :user_id", user_id=user_id)
    return [row["our_address"] for row in rows]


def files(tx: OwnerTx, user_id: int) -> list[str]:
    """The files that nobody but this person sent, relative to the media directory."""
    rows = tx.all(
        """
        SELECT a.path, count(*) = sum(c.user_id = :user_id) AS own
        FROM media a JOIN messages m ON m.owner_id = a.owner_id AND m.id = a.message_id
            JOIN conversations c ON c.owner_id = m.owner_id AND c.id = m.conversation_id
        WHERE a.owner_id = :owner AND a.path IS NOT NULL AND a.path IN (
            SELECT b.path FROM media b JOIN messages n ON n.owner_id = b.owner_id AND n.id = b.message_id
                JOIN conversations d ON d.owner_id = n.owner_id AND d.id = n.conversation_id
            WHERE b.owner_id = :owner AND d.user_id = :user_id
        )
        GROUP BY a.path
        """,
        user_id=user_id,
    )
    return [row["path"] for row in rows if row["own"]]


def referred_files(tx: OwnerTx) -> frozenset[str]:
    """The owner's files that an attachment refers to."""
    return frozenset(row["path"] for row in tx.all("SELECT path FROM media WHERE owner_id = :owner AND path IS NOT NULL"))


def provider_copies(tx: OwnerTx, user_id: int | None) -> int:
    """How many messages of a person, or of the whole owner, the provider may have a copy of."""
    rows = tx.all(
        """
        SELECT count(*) AS n FROM messages m JOIN conversations c ON c.owner_id = m.owner_id AND c.id = m.conversation_id
        WHERE m.owner_id = :owner AND m.provider_sid IS NOT NULL AND c.user_id = coalesce(:user_id, c.user_id)
        """,
        user_id=user_id,
    )
    return int(rows[0]["n"])


def _delete(table: Table, condition: str) -> str:
    return f"DELETE FROM {table.name} WHERE owner_id = :owner AND {condition}"  # noqa: S608 - both come from the list of tables


def _keys(tx: OwnerTx, sql: str, user_id: int) -> frozenset[int]:
    return frozenset(_only(tx.all(sql, user_id=user_id)))


def _only(rows: Sequence[Row]) -> Iterable[int]:
    return (row["id"] for row in rows)


def _arguments(row: Row) -> dict[str, int]:
    arguments = json.loads(row["payload"])
    return arguments if isinstance(arguments, dict) else {}
