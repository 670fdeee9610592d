"""A random world of two owners, and a recount of it: by plain SQL where SQL can, row by row where it cannot."""

import random
from collections import Counter as Counts
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wtai.clock import DAY, HOUR, MINUTE
from wtai.conversation.handoff import BEGUN
from wtai.db.sqlite import SqliteDatabase, connect
from wtai.db.tx import OwnerTx, SystemTx
from wtai.identity.preferences import Preferences
from wtai.identity.store import choose, create_owner
from wtai.ids import public_id

NOW = 1_800_000_000_000
"""Friday, 15 January 2027, 08:00 UTC."""
BASE = Preferences()
SPECIALISTS = ("general", "finance")
ENDS = ("AGENT_CLOSED", "SUPPORT_CLOSED", "USER_CLOSED", "EXPIRED", "IDLE_TIMEOUT", "FAILED")
REASONS = (
    ("agent", "asked for a person", "asked"),
    ("agent", "3 failed turns", "failing"),
    ("agent", "the model does not answer", "failing"),
    ("agent", "budget reached: month", "budget"),
    ("agent", "quota: messages_per_month", "quota"),
    ("agent", "Dona Ana quer falar da conta 123", "agent"),
    ("staff", "taken by staff", "staff"),
    ("staff", BEGUN, "begun"),
    ("staff", "asked for a person", "staff"),
)
HOURS = Preferences.model_validate(
    {
        "time_zone": "America/Sao_Paulo",
        "business_hours": [
            {"days": ["monday", "tuesday", "wednesday", "thursday", "friday"], "start": "09:00", "end": "18:00"},
        ],
    }
)
JUDGEMENTS = ((0.0, "carry_on"), (0.35, "carry_on"), (0.7, "confirm"), (0.8, "close"), (1.0, "close"))


@dataclass
class RollupWorld:
    """Rows as the program writes them, made up; ``owners`` are keys: one in UTC, one in São Paulo (UTC-3) with business hours."""

    path: Path
    database: SqliteDatabase
    chance: random.Random
    owners: list[int] = field(default_factory=list)
    clock: int = NOW - 40 * DAY
    end: int = NOW

    async def found(self) -> None:
        for zone in ("UTC", "America/Sao_Paulo"):
            made = await self.database.system_write(create_owner, zone, "pt-BR", now=self.clock)
            chosen = HOURS.model_copy(update={"time_zone": zone, "business_hours": HOURS.business_hours if self.owners else ()})
            names = {"time_zone", "business_hours"}
            await self.database.write(made.id, choose, BASE, chosen.model_dump_json(include=names))
            self.owners.append(made.id)

    async def live(self, conversations: int, *, until: int | None = None) -> None:
        """So many conversations, one after another, up to ``until`` (ms), or to the end."""
        begun, step = self.clock, max(1, ((until or self.end) - self.clock) // conversations)
        for number in range(conversations):
            await self.database.write(self.chance.choice(self.owners), self.talk, step)
            self.clock = max(self.clock, begun + (number + 1) * step)

    def rows(self, sql: str, **parameters: object) -> list[dict[str, Any]]:
        with closing(connect(self.path, read_only=True)) as connection:
            return [dict(row) for row in connection.execute(sql, parameters).fetchall()]

    def counted(self, span: str) -> dict[tuple[Any, ...], int]:
        """What was rolled up."""
        rows = self.rows("SELECT * FROM rollups WHERE span = :span", span=span)
        return {(row["owner_id"], row["start"], row["measure"], row["feature"], row["key"]): row["count"] for row in rows}

    def talk(self, tx: OwnerTx, step: int) -> None:
        chance = self.chance
        person = _insert(tx, "users", public_id=public_id("usr"), role="user", created_at=self.clock)
        talk = _insert(
            tx, "conversations", public_id=public_id("cnv"), user_id=person, channel="whatsapp", address="a", user_address="b",
            state="PENDING", opened_at=self.clock, updated_at=self.clock,
        )  # fmt: skip
        self._event(tx, talk, None, "PENDING", "user", "first message")
        for _ in range(chance.randrange(1, 8)):
            self.clock = min(self.end, self.clock + chance.randrange(step // 4 + 1))
            self._turn(tx, talk, person)
        if chance.random() < 0.7:
            end = chance.choice(ENDS)
            self._event(tx, talk, "WAITING_USER", end, "system", "time-out")
            tx.run("UPDATE conversations SET state = :end, closed_at = 1 WHERE owner_id = :owner AND id = :id", end=end, id=talk)

    def _turn(self, tx: OwnerTx, talk: int, person: int) -> None:
        chance = self.chance
        heard = [self._message(tx, talk, "user", "received", wait=chance.randrange(20_000)) for _ in range(chance.randrange(3))]
        kind = chance.choice(("agent", "agent", "staff", "system", "handoff", "judged"))
        if kind == "handoff":
            actor, reason, _ = chance.choice(REASONS)
            self._event(tx, talk, "PROGRESS", "HANDOFF", actor, reason)
        if kind in ("staff", "system"):
            self._message(tx, talk, kind, chance.choice(("delivered", "failed")), wait=chance.randrange(3 * HOUR))
        if kind in ("agent", "judged") and heard:
            feature = chance.choice(SPECIALISTS)
            result = _insert(
                tx, "ai_results", public_id=public_id("air"), conversation_id=talk, through_message_id=heard[-1], feature=feature,
                outcome="answered", created_at=self.clock,
            )  # fmt: skip
            for _ in range(chance.randrange(1, 3)):
                status = chance.choice(("delivered", "read", "failed", "undelivered", "canceled"))
                self._message(tx, talk, "agent", status, wait=chance.randrange(1, 9_000), ai_result_id=result)
            if kind == "judged":
                score, decision = chance.choice(JUDGEMENTS)
                _insert(
                    tx, "closure_decisions", conversation_id=talk, message_id=heard[-1], keyword=0, pattern=0, context=0,
                    modifier=1, confidence=score, decision=decision, created_at=self.clock,
                )  # fmt: skip
            self._use(tx, person, feature)

    def _use(self, tx: OwnerTx, person: int, feature: str) -> None:
        tx.run(
            """
            INSERT INTO usage (owner_id, user_id, feature, day, requests, prompt_tokens, completion_tokens, cost)
            VALUES (:owner, :person, :feature, strftime('%Y-%m-%d', :at / 1000, 'unixepoch'), 1, :prompt, 20, :cost)
            ON CONFLICT DO UPDATE SET requests = requests + 1, prompt_tokens = prompt_tokens + :prompt,
                completion_tokens = completion_tokens + 20, cost = cost + :cost
            """,
            person=person,
            feature=feature,
            at=self.clock,
            prompt=self.chance.randrange(1_000),
            cost=self.chance.randrange(500),
        )

    def _message(self, tx: OwnerTx, talk: int, author: str, status: str, *, wait: int, ai_result_id: int | None = None) -> int:
        self.clock = min(self.end, self.clock + wait)
        failed = status in ("failed", "undelivered")
        return _insert(
            tx, "messages", public_id=public_id("msg"), conversation_id=talk, author=author, status=status, body="x",
            direction="inbound" if author == "user" else "outbound", provider_sid=public_id("SM"), ai_result_id=ai_result_id,
            error_code=self.chance.choice((63016, 30008, None)) if failed else None,
            created_at=self.clock, updated_at=self.clock,
        )  # fmt: skip

    def _event(self, tx: OwnerTx, talk: int, before: str | None, to: str, actor: str, reason: str) -> None:
        _insert(
            tx, "conversation_events", conversation_id=talk, from_state=before, to_state=to, actor=actor, reason=reason,
            created_at=self.clock,
        )  # fmt: skip


def recounted(world: RollupWorld, span: str) -> Counts[tuple[Any, ...]]:
    """What should have been rolled up, without waits, whose keys are not SQL's to find."""
    utc, paulo = world.owners
    shift = f"CASE owner_id WHEN {utc} THEN '+0 hours' WHEN {paulo} THEN '-3 hours' END" if span == "day" else "'+0 hours'"
    form = "%Y-%m-%d" if span == "day" else "%Y-%m-%dT%H"
    start = f"strftime('{form}', created_at / 1000, 'unixepoch', {shift})"
    reason = " ".join(f"WHEN actor = '{actor}' AND reason = '{reason}' THEN '{key}'" for actor, reason, key in REASONS)
    last = """coalesce((SELECT feature FROM ai_results r WHERE r.conversation_id = e.conversation_id
        AND r.created_at <= e.created_at ORDER BY id DESC LIMIT 1), '')"""
    of_result = "coalesce((SELECT feature FROM ai_results r WHERE r.id = m.ai_result_id), '')"
    statements = (
        f"SELECT owner_id, {start} AS start, 'messages' AS measure, {of_result} AS feature, author AS key FROM messages m",
        f"SELECT owner_id, {start} AS start, 'opened' AS measure, '' AS feature, '' AS key FROM conversations_opened",
        f"""SELECT owner_id, {start} AS start, 'ended' AS measure, {last} AS feature, to_state AS key FROM conversation_events e
            WHERE to_state NOT IN ('PENDING', 'PROGRESS', 'WAITING_USER', 'HANDOFF')""",
        f"""SELECT owner_id, {start} AS start, 'contained' AS measure, {last} AS feature, '' AS key FROM conversation_events e
            WHERE to_state NOT IN ('PENDING', 'PROGRESS', 'WAITING_USER', 'HANDOFF') AND conversation_id NOT IN (
                SELECT conversation_id FROM conversation_events WHERE to_state = 'HANDOFF')""",
        f"""SELECT owner_id, {start} AS start, 'handoffs' AS measure, {last} AS feature, CASE {reason} END AS key
            FROM conversation_events e WHERE to_state = 'HANDOFF'""",
        f"""SELECT owner_id, {start} AS start, 'closures' AS measure, (
                SELECT feature FROM ai_results r
                WHERE r.conversation_id = m.conversation_id AND r.through_message_id = m.message_id
            ) AS feature, min(CAST(confidence * 10 AS INTEGER), 9) || ' ' || decision AS key FROM closure_decisions m""",
        f"""SELECT owner_id, {start} AS start, 'failed' AS measure, {of_result} AS feature, coalesce(error_code, '') AS key
            FROM messages m WHERE status IN ('failed', 'undelivered')""",
    )
    found: Counts[tuple[Any, ...]] = Counts()
    for statement in statements:
        text = statement.replace("conversations_opened", "(SELECT owner_id, opened_at AS created_at FROM conversations)")
        for row in world.rows(text):
            found[(row["owner_id"], row["start"], row["measure"], row["feature"], str(row["key"]))] += 1
    if span == "day":
        for key, column in (("requests",) * 2, ("prompt", "prompt_tokens"), ("completion", "completion_tokens"), ("cost",) * 2):
            for row in world.rows(f"SELECT owner_id, day, feature, sum({column}) AS n FROM usage GROUP BY 1, 2, 3"):
                found[(row["owner_id"], row["day"], "usage", row["feature"], key)] = row["n"]
    return Counts({key: count for key, count in found.items() if count})


def waits(world: RollupWorld, author: str) -> list[tuple[int, int, int]]:
    """(owner, from, to) of each answer of this author that somebody waited for: by walking through the conversations."""
    found, waiting = [], {}
    for row in world.rows("SELECT * FROM messages ORDER BY id"):
        talk = row["conversation_id"]
        if row["author"] == "user":
            waiting.setdefault(talk, row["created_at"])
        elif row["author"] in ("agent", "staff"):
            since = waiting.get(talk)
            if since is not None and row["author"] == author:
                found.append((row["owner_id"], since, row["created_at"]))
            if row["status"] != "canceled":
                waiting.pop(talk, None)
    return found


def open_minutes(start: int, end: int) -> int:
    """Of the time between two moments (ms) the minutes on weekdays from 09:00 to 18:00 at UTC-3, counted one by one."""
    return sum(
        1
        for at in range(start, end, MINUTE)
        if (at - 3 * HOUR) // DAY % 7 not in (2, 3) and 9 <= (at - 3 * HOUR) % DAY // HOUR < 18  # 1970 began on a Thursday
    )


def _insert(tx: OwnerTx, table: str, **values: object) -> int:
    names = ", ".join(values)
    marks = ", ".join(f":{name}" for name in values)
    rows = tx.all(f"INSERT INTO {table} (owner_id, {names}) VALUES (:owner, {marks}) RETURNING id", **values)
    return int(rows[0]["id"])


def no_position(tx: SystemTx) -> None:
    """Sabotage: what was counted is not noted."""
    tx.run("DELETE FROM rollup_positions")
