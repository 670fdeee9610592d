"""A copy of a database in which stored turns can be undone one by one, the newest first, so that each is owed again."""

import json
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wtai.db.migrate import migrate
from wtai.db.sqlite import SqliteConnection, connect
from wtai.identity.plans import PlanLimits

Json = dict[str, Any]

_KEEPS = frozenset({"router", "sticky", "only"})
"""How a specialist was found that has the conversation from then on."""

_LIMITED = ", ".join(f"'$.{name}'" for name in PlanLimits.model_fields if name != "features")
"""All that a plan says but which specialists there are: a turn of the past is not one more than the owner may have."""

_MINUTE_MS = 60_000


@dataclass(frozen=True)
class Turn:
    """A turn that a model answered: the row of its result, what it answered, and what it said. ``actions`` are those of which
    the conversation's person was asked whether to do them.
    """

    owner_id: int
    result: Json
    conversation: str
    said: tuple[str, ...]
    reply: str
    actions: tuple[Json, ...]

    @property
    def conversation_id(self) -> int:
        """The conversation's key."""
        return int(self.result["conversation_id"])

    @property
    def calls(self) -> list[Json]:
        """The tool calls, with what came of them."""
        made: list[Json] = json.loads(self.result["calls"])
        return made


def copy(source: Path, target: Path) -> None:
    """Copy a database that may be in use, bring the copy to this program's schema, and take off what would keep it from going
    back in time. EnvironmentProblem or SchemaError if it cannot be read.
    """
    with closing(connect(source, read_only=True)) as original, closing(connect(target)) as duplicate:
        original.backup(duplicate)
    migrate(target)
    with closing(connect(target)) as duplicate:
        duplicate.execute("DROP TRIGGER IF EXISTS conversations_final")
        duplicate.execute("DROP INDEX IF EXISTS conversations_one_open")
        duplicate.execute("DELETE FROM opt_outs")
        duplicate.execute("DELETE FROM jobs")
        duplicate.execute(
            "UPDATE owners SET preferences = json_remove(preferences, '$.budget_month_usd', '$.budget_user_day_usd')"
        )
        duplicate.execute(f"UPDATE plans SET limits = json_remove(limits, {_LIMITED})")
        duplicate.execute("UPDATE subscriptions SET status = 'active'")  # a suspended one has no messages left either


def turns(path: Path, owner: str | None, limit: int | None) -> list[Turn]:
    """The newest ``limit`` turns that a model answered, of one owner or all, oldest first."""
    with closing(connect(path, read_only=True)) as database:
        found = _rows(
            database,
            """
            SELECT r.*, c.public_id AS conversation FROM ai_results r
            JOIN conversations c ON c.id = r.conversation_id JOIN owners o ON o.id = r.owner_id
            WHERE r.requests > 0 AND (:owner IS NULL OR o.public_id = :owner) ORDER BY r.id DESC LIMIT :limit
            """,
            owner=owner,
            limit=-1 if limit is None else limit,
        )
        return [_turn(database, row) for row in reversed(found)]


def stored(path: Path, turn: Turn) -> Turn | None:
    """What answers the same messages now; None if nothing does."""
    with closing(connect(path, read_only=True)) as database:
        found = _rows(
            database,
            """
            SELECT r.*, c.public_id AS conversation FROM ai_results r JOIN conversations c ON c.id = r.conversation_id
            WHERE r.conversation_id = :conversation AND r.through_message_id = :through
            """,
            conversation=turn.conversation_id,
            through=turn.result["through_message_id"],
        )
        return _turn(database, found[0]) if found else None


def undo(path: Path, turn: Turn) -> None:
    """Make the turn owed again, with all that came after it gone. Facts and ledgers stay as they are now."""
    result, conversation_id = turn.result, turn.conversation_id
    with closing(connect(path)) as database:
        database.execute("PRAGMA foreign_keys = OFF")
        before = _rows(
            database, "SELECT * FROM ai_results WHERE conversation_id = :id AND id < :result ORDER BY id",
            id=conversation_id, result=result["id"],
        )  # fmt: skip
        answered = int(before[-1]["through_message_id"]) if before else 0
        values = {
            "id": conversation_id,
            "result": result["id"],
            "through": result["through_message_id"],
            "at": result["created_at"],
            "answered": answered,
            "feature": _active(before),
            "question": _question(before),
        }
        for statement in _UNDO:
            database.execute(statement, values)
        _open_action_again(database, values)


_UNDO = (
    """
    DELETE FROM messages WHERE conversation_id = :id AND (
        direction = 'inbound' AND id > :through
        OR direction = 'outbound' AND (ai_result_id >= :result OR ai_result_id IS NULL AND created_at > :at))
    """,
    "DELETE FROM ai_results WHERE conversation_id = :id AND id >= :result",
    "DELETE FROM conversation_events WHERE conversation_id = :id AND created_at > :at",
    """
    DELETE FROM tool_runs WHERE conversation_id = :id AND (turn > :answered OR turn = :answered AND NOT EXISTS (
        SELECT 1 FROM pending_actions a WHERE a.conversation_id = :id AND a.status = 'confirmed'
            AND a.tool = tool_runs.tool AND a.arguments = tool_runs.arguments AND :question = 'action'))
    """,
    """
    UPDATE conversations SET state = 'PROGRESS', closed_at = NULL, idle_at = NULL, quiet_until = :at,
        answered_through = :answered, feature = :feature, question = :question, version = version + 1,
        summary = CASE WHEN summary_through <= :answered THEN summary END,
        summary_from = CASE WHEN summary_through <= :answered THEN summary_from ELSE 0 END,
        summary_through = CASE WHEN summary_through <= :answered THEN summary_through ELSE 0 END
    WHERE id = :id
    """,
)


def _open_action_again(database: SqliteConnection, values: Json) -> None:
    """An action to which the person said no in this turn waits again; what was asked later was never asked."""
    database.execute("DELETE FROM pending_actions WHERE conversation_id = :id AND created_at >= :at", values)
    if values["question"] == "action":
        database.execute(
            f"""
            UPDATE pending_actions SET status = 'asked', expires_at = :at + {_MINUTE_MS} WHERE status = 'refused' AND id = (
                SELECT max(id) FROM pending_actions WHERE conversation_id = :id)
            """,
            values,
        )


def _turn(database: SqliteConnection, row: Json) -> Turn:
    before = _rows(
        database,
        "SELECT max(through_message_id) AS through FROM ai_results WHERE conversation_id = :id AND id < :result",
        id=row["conversation_id"],
        result=row["id"],
    )
    said = _rows(
        database,
        """
        SELECT body FROM messages WHERE conversation_id = :id AND direction = 'inbound' AND id > :after AND id <= :through
        ORDER BY id
        """,
        id=row["conversation_id"],
        after=before[0]["through"] or 0,
        through=row["through_message_id"],
    )
    reply = _rows(database, "SELECT body FROM messages WHERE ai_result_id = :id ORDER BY id", id=row["id"])
    actions = _rows(
        database, "SELECT tool, arguments, question FROM pending_actions WHERE conversation_id = :id", id=row["conversation_id"]
    )
    bodies = (tuple(one["body"] for one in said), "\n".join(one["body"] for one in reply))
    return Turn(row["owner_id"], row, row["conversation"], *bodies, tuple(actions))


def _active(before: list[Json]) -> str | None:
    """The specialist that had the conversation after these turns."""
    active = None
    for row in before:
        route = json.loads(row["route"])
        if "agent" in route and (route.get("how") in _KEEPS or route["agent"] != row["feature"]):
            active = row["feature"]
    return active


def _question(before: list[Json]) -> str | None:
    """What the last of these turns asked the person."""
    if not before:
        return None
    if before[-1]["outcome"] == "asked":
        return "closure"
    return "action" if any(call.get("waits") for call in json.loads(before[-1]["calls"])) else None


def _rows(database: SqliteConnection, sql: str, **parameters: object) -> list[Json]:
    return [dict(row) for row in database.execute(sql, parameters).fetchall()]
