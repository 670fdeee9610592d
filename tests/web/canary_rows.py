"""Owners whose every text holds a word of their own, in every table there is."""

import json
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from tests.program import Line
from wtai.ai.memory.writing import Told, remember
from wtai.clock import SystemClock
from wtai.db.tx import OwnerTx, SystemTx
from wtai.ids import public_id

DISTANT = 4_000_000_000_000
"""A time (ms) that no test lives to see."""


def fresh_word() -> str:
    """A word of 38 random bits that looks like a name: what looks like a key is not remembered."""
    return "".join(secrets.choice("bdfgjlmnprstvxzk") + secrets.choice("aeiou") for _ in range(6)) + "ndo"


@dataclass
class Canary:
    """An owner. ``word`` is in all of its texts, and so are the ``marks`` where a text must have a form; ``ids`` by kind."""

    line: Line
    person: str
    word: str = field(default_factory=fresh_word)
    ids: dict[str, list[str]] = field(default_factory=dict)

    @property
    def marks(self) -> tuple[str, ...]:
        """What only this owner's data hold."""
        line = self.line
        return (self.word, line.account_sid, line.token, line.number.rpartition("+")[2], self.person.rpartition("+")[2])

    def know(self, kind: str, name: str) -> None:
        self.ids.setdefault(kind, []).append(name)

    def every_id(self) -> Iterator[str]:
        for names in self.ids.values():
            yield from names


def settle(tx: OwnerTx, canary: Canary, endpoint_id: int, staff: Mapping[str, int]) -> None:
    """A row of the owner in every table in which it has none yet, once somebody has written to it and was answered."""
    tx.run("UPDATE owners SET name = :name, preferences = :chosen WHERE id = :owner", name=canary.word, chosen=_chosen(canary))
    own = _Rows(tx, canary)
    own.put(
        "features",
        name=canary.word,
        config=json.dumps({"description": canary.word, "prompt": canary.word, "tools": [canary.word]}),
    )
    own.put("templates", locale="pt-BR", name=canary.word)
    own.put("webhook_deliveries", endpoint_id=endpoint_id, status="delivered", next_at=None, payload=json.dumps(canary.word))
    own.put("kept_opt_outs")
    own.put("erasures", subject_kind="user", receipt=json.dumps(canary.word))
    own.put("usage_months", month="2020-01", booked=7)
    own.put("feature_versions", version=1, enabled=1, config=json.dumps({"prompt": canary.word}), actor_kind="user")
    own.put("canned_replies")
    own.put("used_forms")
    own.put("message_terms")
    own.put("rollups", span="day")
    own.put("rollup_positions")
    job = own.put("jobs", state="dead", run_at=DISTANT, worker=None, lease_until=None, payload="{}", kind=canary.word)
    canary.know("job", f"job_{job}")
    _settle_person(own, canary, staff["agent"])
    _settle_staff(own, staff)


def _settle_person(own: "_Rows", canary: Canary, agent: int) -> None:
    tx = own.tx
    user = tx.all(
        "SELECT user_id AS id FROM user_addresses WHERE owner_id = :owner AND address = :address", address=canary.person
    )[0]["id"]
    tx.run("UPDATE users SET name = :word WHERE owner_id = :owner AND id = :id", id=user, word=f"{canary.word} nome")
    tx.run("UPDATE users SET found_by = :word WHERE owner_id = :owner AND id = :id", id=user, word=f"{canary.word} nome")
    of = {"user_id": user}
    talk = own.put(
        "conversations", **of, state="HANDOFF", question=None, channel="whatsapp", address=f"{canary.word} ours",
        assignee_id=agent, last_inbound_at=own.now, expires_at=None, idle_at=None,
    )  # fmt: skip
    own.put("conversations", **of, state="EXPIRED", closed_at=own.now, question=None, previous_id=talk, assignee_id=agent)
    within = {"conversation_id": talk}
    own.put("conversation_events", **within, from_state="PENDING", to_state="HANDOFF", actor="staff")
    texts = {name: json.dumps([canary.word]) for name in ("exchange", "calls", "memories", "prompts")}
    result = own.put("ai_results", **within, **texts, route=json.dumps({"why": canary.word}), through_message_id=1)
    said = {"direction": "inbound", "author": "user", "status": "received", "parked": None}
    heard = own.put("messages", **within, **said, ai_result_id=result, content_variables=None)
    own.put(
        "messages", **within, direction="outbound", author="agent", status="queued", parked="window",
        content_variables=json.dumps({"1": canary.word}),
    )  # fmt: skip
    own.put("closure_decisions", **within, message_id=heard, decision="confirm")
    own.put("media", message_id=heard, position=0, status="kept")
    own.put("opt_outs", user_id=agent)
    own.put("tool_runs", **within, arguments=json.dumps(canary.word), result=json.dumps(canary.word))
    own.put("pending_actions", **within, status="asked", arguments=json.dumps(canary.word))
    own.put("conversation_notes", **within)
    own.put("read_marks", **within, user_id=agent)
    own.put("drafts", **within, user_id=agent, kind="reply")
    own.put("conversation_labels", **within, label_id=own.put("labels", colour="red"))
    own.put("ledger_entries", **of, kind="expense", entry_date="2026-11-20", amount=3_000, message_id=heard)
    friend = own.put("people", **of, name=f"{canary.word} Ana", folded=f"{canary.word} ana", birthday="--11-20")
    own.put("interactions", **of, person_id=friend, kind="note", happened_on="2026-11-20")
    own.put(
        "reminders",
        **of,
        **within,
        repeats="never",
        status="scheduled",
        due_at=DISTANT,
        first_at="2096-01-01T09:00:00",
        time_zone="America/Sao_Paulo",
    )
    own.put("usage", **of, feature=canary.word, day="2026-11-20", cost=3, held=0)
    own.put("budget_alerts", **of, budget="user_day")
    own.put("quota_alerts", **of)
    told = Told(
        f"O gato se chama {canary.word}",
        own.now,
        entity=f"{canary.word} gato",
        attribute=f"{canary.word} nome",
        source_message_id=heard,
    )
    remember(tx, user, told, now=own.now)


def _settle_staff(own: "_Rows", staff: Mapping[str, int]) -> None:
    session = own.put("sessions", user_id=staff["admin"], revoked_at=None, reason=None, idle_until=DISTANT, ends_at=DISTANT)
    own.put("sessions", user_id=staff["agent"], revoked_at=own.now, idle_until=DISTANT, ends_at=DISTANT)
    own.put("refresh_tokens", session_id=session)
    own.put("api_tokens", user_id=staff["admin"], role="admin", scopes=json.dumps(["read"]))
    own.put("idempotency_keys")
    own.put("audit_log", actor_kind="user", outcome="done")


class _Rows:
    """Puts rows of one owner, each text of them with the owner's word."""

    def __init__(self, tx: OwnerTx, canary: Canary) -> None:
        self.tx = tx
        self.now = SystemClock().now()  # what is old is forgotten by timers
        self._canary = canary

    def put(self, table: str, **given: object) -> int:
        """A row with the given values; returns its key, 0 if it has none."""
        values: dict[str, object] = {}
        for column in self.tx.all(
            'SELECT name, type, dflt_value, "notnull" AS required FROM pragma_table_info(:table)', table=table
        ):
            name, is_needed = column["name"], column["required"] and column["dflt_value"] is None
            if name in given:
                values[name] = given[name]
            elif name == "owner_id":
                values[name] = self.tx.owner_id
            elif name == "public_id":
                values[name] = public_id("cny")
            elif column["type"] == "TEXT":
                values[name] = f"{self._canary.word} {name} {secrets.token_hex(4)}"
            elif name != "id" and is_needed:
                values[name] = self.now
        names, marks = ", ".join(values), ", ".join(f":v_{name}" for name in values)
        rows = self.tx.all(
            f"INSERT INTO {table} ({names}) VALUES ({marks}) RETURNING *",
            **{f"v_{name}": value for name, value in values.items()},
        )
        return int(dict(rows[0]).get("id") or 0)


def _chosen(canary: Canary) -> str:
    return json.dumps({"farewell_text": canary.word, "handoff_text": canary.word, "away_text": canary.word, "burst_quiet_ms": 0})


def gather(tx: SystemTx, canary: Canary) -> None:
    """Learn every public id that the owner has."""
    for table, columns in columns_by_table(tx).items():
        if "public_id" in columns and "owner_id" in columns:
            rows = tx.all(f"SELECT public_id FROM {table} WHERE owner_id = :id ORDER BY id", id=canary.line.owner_id)
            for row in rows:
                canary.know(table, row["public_id"])
    canary.know("owners", canary.line.owner)
    canary.know("twilio_accounts", canary.line.account_sid)
    canary.know("twilio_numbers", canary.line.number)
    canary.know("features_by_name", canary.word)


def columns_by_table(tx: SystemTx) -> dict[str, dict[str, str]]:
    """The columns of every table, with their types."""
    tables = tx.all("SELECT name FROM sqlite_master WHERE type = 'table' AND sql LIKE '%STRICT%' AND name NOT LIKE 'sqlite%'")
    return {
        table["name"]: {
            one["name"]: one["type"] for one in tx.all("SELECT name, type FROM pragma_table_info(:table)", table=table["name"])
        }
        for table in tables
    }
