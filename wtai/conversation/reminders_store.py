"""SQL of reminders."""

from dataclasses import dataclass
from datetime import datetime

from wtai.conversation.recurrence import Repeats
from wtai.db.tx import OwnerTx, Row
from wtai.errors import NotFound
from wtai.ids import public_id

_REMINDER = """
SELECT id, public_id, user_id, conversation_id, text, first_at, time_zone, due_at, repeats, status FROM reminders
WHERE owner_id = :owner
"""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a person wants to be reminded of and when: first at ``first_at``, by the clock on the wall of ``time_zone``."""

    text: str
    first_at: datetime
    time_zone: str
    repeats: Repeats


@dataclass(frozen=True, slots=True)
class Reminder:
    """A reminder as kept; ``due_at`` (ms) is when it is sent next, or was sent last. ``status``: scheduled, sent, canceled."""

    id: int
    public_id: str
    user_id: int
    conversation_id: int
    plan: Plan
    due_at: int
    status: str


def insert(tx: OwnerTx, conversation_id: int, plan: Plan, *, due_at: int, now: int) -> Reminder:
    """A reminder for the person of this conversation."""
    rows = tx.all(
        """
        INSERT INTO reminders (owner_id, public_id, user_id, conversation_id, text, first_at, time_zone, due_at, repeats,
            created_at, updated_at)
        SELECT :owner, :public_id, user_id, id, :text, :first_at, :time_zone, :due_at, :repeats, :now, :now
        FROM conversations WHERE owner_id = :owner AND id = :conversation_id
        RETURNING *
        """,
        public_id=public_id("rem"),
        conversation_id=conversation_id,
        text=plan.text,
        first_at=plan.first_at.isoformat(),
        time_zone=plan.time_zone,
        due_at=due_at,
        repeats=plan.repeats,
        now=now,
    )
    return _reminder(rows[0])


def reminder(tx: OwnerTx, reminder_id: int) -> Reminder | None:
    """One reminder of this owner."""
    row = tx.one(f"{_REMINDER} AND id = :id", id=reminder_id)
    return _reminder(row) if row else None


def reminder_of_user(tx: OwnerTx, user_id: int, public: str) -> Reminder | None:
    """One reminder of this person; None for anybody else's."""
    row = tx.one(f"{_REMINDER} AND user_id = :user_id AND public_id = :public", user_id=user_id, public=public)
    return _reminder(row) if row else None


def scheduled(tx: OwnerTx, user_id: int, *, limit: int) -> list[Reminder]:
    """What this person will be reminded of, the next first."""
    rows = tx.all(
        f"{_REMINDER} AND user_id = :user_id AND status = 'scheduled' ORDER BY due_at, id LIMIT :limit",
        user_id=user_id,
        limit=limit,
    )
    return [_reminder(row) for row in rows]


def replan(tx: OwnerTx, reminder_id: int, plan: Plan, *, due_at: int, now: int) -> None:
    """Another text, another time."""
    tx.run(
        """
        UPDATE reminders SET text = :text, first_at = :first_at, time_zone = :time_zone, due_at = :due_at, repeats = :repeats,
            updated_at = :now
        WHERE owner_id = :owner AND id = :id
        """,
        id=reminder_id,
        text=plan.text,
        first_at=plan.first_at.isoformat(),
        time_zone=plan.time_zone,
        due_at=due_at,
        repeats=plan.repeats,
        now=now,
    )


def move_on(tx: OwnerTx, reminder_id: int, *, due_at: int, now: int) -> None:
    """It comes again at ``due_at``."""
    tx.run(
        "UPDATE reminders SET due_at = :due_at, updated_at = :now WHERE owner_id = :owner AND id = :id",
        id=reminder_id,
        due_at=due_at,
        now=now,
    )


def end(tx: OwnerTx, reminder_id: int, status: str, *, now: int) -> None:
    """It does not come again: ``sent`` or ``canceled``."""
    tx.run(
        "UPDATE reminders SET status = :status, updated_at = :now WHERE owner_id = :owner AND id = :id",
        id=reminder_id,
        status=status,
        now=now,
    )


def newest_conversation(tx: OwnerTx, conversation_id: int) -> int:
    """The newest conversation, the open one if any is open, of the same person with the same address of ours. NotFound."""
    row = tx.one(
        """
        SELECT n.id FROM conversations c
        JOIN conversations n ON n.owner_id = c.owner_id AND n.user_id = c.user_id AND n.address = c.address
        WHERE c.owner_id = :owner AND c.id = :id ORDER BY n.id DESC LIMIT 1
        """,
        id=conversation_id,
    )
    if row is None:
        raise NotFound(f"no conversation {conversation_id}")
    return int(row["id"])


def _reminder(row: Row) -> Reminder:
    plan = Plan(row["text"], datetime.fromisoformat(row["first_at"]), row["time_zone"], Repeats(row["repeats"]))
    return Reminder(row["id"], row["public_id"], row["user_id"], row["conversation_id"], plan, row["due_at"], row["status"])
