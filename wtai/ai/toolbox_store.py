"""SQL of what tools did in a turn, and of actions that wait for the person's yes."""

from dataclasses import dataclass

from wtai.db.tx import OwnerTx


@dataclass(frozen=True, slots=True)
class Recorded:
    """A run of a tool with an effect. ``result`` None: it was started, and what became of it is not known."""

    id: int
    tool: str
    arguments: str
    result: str | None
    failed: bool


@dataclass(frozen=True, slots=True)
class Action:
    """An action with its arguments frozen at ``created_at`` (ms); ``question`` is what the person is asked."""

    id: int
    feature: str
    tool: str
    arguments: str
    question: str
    created_at: int


def begin_run(
    tx: OwnerTx, conversation_id: int, turn: int, call: str, tool: str, arguments: str, *, now: int
) -> tuple[int, Recorded | None]:
    """Record that a call runs; what is recorded of it, if it ran in this turn before."""
    rows = tx.all(
        """
        INSERT INTO tool_runs (owner_id, conversation_id, turn, call, tool, arguments, created_at)
        VALUES (:owner, :conversation_id, :turn, :call, :tool, :arguments, :now)
        ON CONFLICT (owner_id, conversation_id, turn, call) DO NOTHING RETURNING id
        """,
        conversation_id=conversation_id,
        turn=turn,
        call=call,
        tool=tool,
        arguments=arguments,
        now=now,
    )
    if rows:
        return int(rows[0]["id"]), None
    known = run_of_turn(tx, conversation_id, turn, call)
    return (known.id if known else 0), known


def run_of_turn(tx: OwnerTx, conversation_id: int, turn: int, call: str) -> Recorded | None:
    """What is recorded of one call of a turn."""
    row = tx.one(
        """
        SELECT id, tool, arguments, result, failed FROM tool_runs
        WHERE owner_id = :owner AND conversation_id = :conversation_id AND turn = :turn AND call = :call
        """,
        conversation_id=conversation_id,
        turn=turn,
        call=call,
    )
    return Recorded(**{**dict(row), "failed": bool(row["failed"])}) if row else None


def finish_run(tx: OwnerTx, run_id: int, result: str, *, failed: bool) -> None:
    """Keep what a run came to."""
    tx.run(
        "UPDATE tool_runs SET result = :result, failed = :failed WHERE owner_id = :owner AND id = :id",
        id=run_id,
        result=result,
        failed=int(failed),
    )


def forget_run(tx: OwnerTx, run_id: int) -> None:
    """The call certainly had no effect: it may be made again."""
    tx.run("DELETE FROM tool_runs WHERE owner_id = :owner AND id = :id", id=run_id)


def runs_of_turn(tx: OwnerTx, conversation_id: int, turn: int) -> list[Recorded]:
    """What tools did in this turn so far, in order."""
    rows = tx.all(
        """
        SELECT id, tool, arguments, result, failed FROM tool_runs
        WHERE owner_id = :owner AND conversation_id = :conversation_id AND turn = :turn ORDER BY id
        """,
        conversation_id=conversation_id,
        turn=turn,
    )
    return [Recorded(**{**dict(row), "failed": bool(row["failed"])}) for row in rows]


def freeze(
    tx: OwnerTx, conversation_id: int, feature: str, tool: str, arguments: str, question: str, *, expires_at: int, now: int
) -> None:
    """Keep an action for the person's yes; it takes the place of one that waited before."""
    drop_action(tx, conversation_id)
    tx.run(
        """
        INSERT INTO pending_actions
            (owner_id, conversation_id, feature, tool, arguments, question, status, expires_at, created_at)
        VALUES (:owner, :conversation_id, :feature, :tool, :arguments, :question, 'frozen', :expires_at, :now)
        """,
        conversation_id=conversation_id,
        feature=feature,
        tool=tool,
        arguments=arguments,
        question=question,
        expires_at=expires_at,
        now=now,
    )


def ask_action(tx: OwnerTx, conversation_id: int) -> None:
    """The question of the frozen action goes out with this transaction."""
    tx.run(
        """
        UPDATE pending_actions SET status = 'asked'
        WHERE owner_id = :owner AND conversation_id = :conversation_id
            AND status IN ('frozen', 'asked') AND status = 'frozen' -- IN: what the index holds
        """,
        conversation_id=conversation_id,
    )


def drop_action(tx: OwnerTx, conversation_id: int) -> None:
    """Whatever waited does not wait any more."""
    tx.run(
        """
        UPDATE pending_actions SET status = 'dropped'
        WHERE owner_id = :owner AND conversation_id = :conversation_id AND status IN ('frozen', 'asked')
        """,
        conversation_id=conversation_id,
    )


def asked_action(tx: OwnerTx, conversation_id: int, *, now: int) -> Action | None:
    """The action that the person was asked about, unless that is too long ago."""
    row = tx.one(
        """
        SELECT id, feature, tool, arguments, question, created_at FROM pending_actions
        WHERE owner_id = :owner AND conversation_id = :conversation_id
            AND status IN ('frozen', 'asked') AND status = 'asked' AND expires_at > :now
        """,
        conversation_id=conversation_id,
        now=now,
    )
    return Action(**dict(row)) if row else None


def decide_action(tx: OwnerTx, action_id: int, status: str) -> bool:
    """Use up the person's answer; False if that was done before."""
    return bool(
        tx.run(
            "UPDATE pending_actions SET status = :status WHERE owner_id = :owner AND id = :id AND status = 'asked'",
            id=action_id,
            status=status,
        )
    )
