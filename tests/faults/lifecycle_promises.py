"""What a conversation promises, whatever happens to it: the model of what was promised so far, and the comparison."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from wtai.clock import DAY
from wtai.db.sqlite import SqliteConnection, connect
from wtai.db.tx import OwnerTx, SystemTx
from wtai.db.units import Statements
from wtai.identity.store import create_owner

P = ParamSpec("P")
T = TypeVar("T")
Lane = tuple[str, str]
"""A person's address and the one of ours that they write to."""

# The contract's table, written down once more: who changes the program's must change this one too.
FINAL = {"AGENT_CLOSED", "SUPPORT_CLOSED", "USER_CLOSED", "EXPIRED", "IDLE_TIMEOUT", "FAILED"}
ALLOWED: dict[str | None, set[str]] = {
    None: {"PENDING"},
    "PENDING": {"PROGRESS", "HANDOFF", *FINAL},
    "PROGRESS": {"WAITING_USER", "HANDOFF", *FINAL},
    "WAITING_USER": {"PROGRESS", "HANDOFF", *FINAL},
    "HANDOFF": {"PROGRESS", "WAITING_USER", *FINAL},
    **{state: set() for state in FINAL},
}
HEARD = {"delivered", "read", "failed", "undelivered"}
FORWARD = {
    None: {"queued"},
    "queued": {"sending", "canceled"},
    "sending": {"queued", "unknown", "sent", *HEARD},
    "unknown": {"queued", "sent", *HEARD},
    "sent": HEARD,
    "delivered": {"read"},
    "failed": {"delivered", "read"},
    "undelivered": {"delivered", "read"},
    "canceled": {"delivered", "read"},
    "read": set(),
}


class Units:
    """Units of work on one connection."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.owner_id = 0
        self.connection: SqliteConnection = None
        self.reopen()
        self.owner_id = self.system(create_owner, "Padaria", "pt-BR", now=0).id

    def reopen(self) -> None:
        """As a new process does."""
        self.close()
        self.connection = connect(self._path)
        self.connection.execute("PRAGMA synchronous = OFF")

    def close(self) -> None:
        if self.connection is not None:
            self.connection.close()

    def system(self, work: Callable[Concatenate[SystemTx, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            done = work(SystemTx(Statements(self.connection), set()), *args, **kwargs)
        except BaseException:
            self.connection.execute("ROLLBACK")
            raise
        self.connection.execute("COMMIT")
        return done

    def write(self, work: Callable[Concatenate[OwnerTx, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        return self.system(lambda tx: work(tx.for_owner(self.owner_id), *args, **kwargs))

    def rows(self, sql: str, **parameters: object) -> list[dict[str, Any]]:
        return [dict(row) for row in self.connection.execute(sql, parameters).fetchall()]

    def empty(self) -> None:
        self.connection.execute("BEGIN")
        for table in (
            "changes",
            "closure_decisions",
            "jobs",
            "media",
            "messages",
            "ai_results",
            "conversation_events",
            "conversations",
        ):
            self.connection.execute(f"DELETE FROM {table}")
        for table in ("opt_outs", "user_addresses", "users"):
            self.connection.execute(f"DELETE FROM {table}")
        self.connection.execute("DELETE FROM sqlite_sequence WHERE name <> 'owners'")  # the same run has the same ids
        self.connection.execute("COMMIT")


class Promises:
    """What was promised so far, and whether it is kept. :meth:`check` follows every change, so that none goes unseen."""

    def __init__(self, units: Units) -> None:
        self.units = units
        self.states: dict[int, str] = {}
        self.versions: dict[int, int] = {}
        self.lanes: dict[int, Lane] = {}
        self.statuses: dict[int, str] = {}
        self.written: dict[int, int] = {}
        self.stepped_in: Counter[Lane] = Counter()
        self.answered: set[int] = set()
        self.opted_out: set[Lane] = set()
        self.heard_at: dict[int, int] = {}
        self.taken: dict[int, str] = {}
        self.last_event = 0

    def check(self) -> None:
        """Fails where a promise is broken."""
        self.transitions_are_the_contracts()
        self.conversations_are_sound()
        self.messages_are_sound()

    def may_go_out(self, message_id: int, now: int) -> None:
        """A call for this message begins."""
        (row,) = self.units.rows("SELECT * FROM messages WHERE id = :id", id=message_id)
        lane = self.lanes[row["conversation_id"]]
        assert message_id not in self.taken, "sent twice"
        assert lane not in self.opted_out, "sent to someone who opted out"
        assert row["parked"] is None, "sent although it is kept back"
        if row["author"] == "agent":
            assert self.written[message_id] == self.stepped_in[lane], "written before a person stepped in"
        if row["content_sid"] is None:
            assert now < self.heard_at[row["conversation_id"]] + DAY, "free text outside the window"

    def opts_out(self, message_id: int) -> None:
        """The provider says that whom this message is for wants none."""
        (row,) = self.units.rows("SELECT conversation_id FROM messages WHERE id = :id", id=message_id)
        lane = self.lanes[row["conversation_id"]]
        assert self.units.rows(
            """SELECT 1 FROM opt_outs o JOIN user_addresses a USING (user_id)
            WHERE a.address = :user AND o.our_address = :ours""",
            user=lane[0],
            ours=lane[1],
        )
        self.opted_out.add(lane)

    def transitions_are_the_contracts(self) -> None:
        for event in self.units.rows(
            """SELECT e.id, conversation_id, from_state, to_state, user_address, address FROM conversation_events e
            JOIN conversations c ON c.id = e.conversation_id WHERE e.id > :last ORDER BY e.id""",
            last=self.last_event,
        ):
            conversation_id, to = event["conversation_id"], event["to_state"]
            assert event["from_state"] == self.states.get(conversation_id), "an event is missing"
            assert to in ALLOWED[event["from_state"]], f"{event['from_state']} to {to}"
            self.states[conversation_id] = to
            self.lanes[conversation_id] = (event["user_address"], event["address"])
            self.stepped_in[self.lanes[conversation_id]] += to == "HANDOFF"
            self.last_event = event["id"]

    def conversations_are_sound(self) -> None:
        rows = self.units.rows(
            """SELECT id, user_id, address, state, version, idle_at, expires_at, EXISTS (
                SELECT 1 FROM messages m WHERE m.conversation_id = c.id AND direction = 'inbound' AND m.id > answered_through
            ) AS owed, EXISTS (
                SELECT 1 FROM jobs j WHERE key = 'conversation:' || c.id AND (j.state <> 'dead' OR kind = 'apologize')
            ) AS will_be_answered FROM conversations c"""
        )
        open_ones = [(row["user_id"], row["address"]) for row in rows if row["state"] not in FINAL]
        assert len(open_ones) == len(set(open_ones)), "two open conversations of one person"
        for row in rows:
            assert row["state"] == self.states[row["id"]], "a state was written without an event"
            assert row["version"] >= self.versions.get(row["id"], 1), "a version went back"
            self.versions[row["id"]] = row["version"]
            if row["state"] == "PROGRESS":
                assert row["will_be_answered"], "in progress, and nobody at work on it"
            if row["state"] in ("PENDING", "WAITING_USER"):
                assert row["will_be_answered"] or not row["owed"], "an unanswered message, and nobody at work on it"
            if row["state"] == "WAITING_USER":
                assert not row["owed"], "we wait for the user and owe an answer"
                assert row["idle_at"] is not None

    def messages_are_sound(self) -> None:
        for row in self.units.rows(
            """SELECT id, conversation_id, author, status, parked, EXISTS (
                SELECT 1 FROM jobs j WHERE kind = 'send_message' AND payload = '{"message_id":' || m.id || '}'
            ) AS will_be_sent FROM messages m WHERE direction = 'outbound'"""
        ):
            message_id, status, before = row["id"], row["status"], self.statuses.get(row["id"])
            if before is None:
                self.written[message_id] = self.stepped_in[self.lanes[row["conversation_id"]]]
            assert status == before or status in FORWARD[before] or before is None, f"{before} to {status}"
            self.statuses[message_id] = status
            assert status != "queued" or row["will_be_sent"] or row["parked"], "not sent, and nobody knows why"
            assert not row["parked"] or status in ("queued", "canceled", "failed", "undelivered", *HEARD)
