"""SQL of the counters: the logs they are counted from, how far that has come, and what the dashboard reads."""

from collections.abc import Mapping
from dataclasses import dataclass

from wtai.db.tx import PLATFORM, OwnerTx, Row, SystemTx
from wtai.rollups.model import Counter, Measure, Span

Counted = Mapping[str, Mapping[str, Mapping[str, int]]]
"""Counts by measure, by start and by key."""


@dataclass(frozen=True, slots=True)
class Written:
    """A message. ``waiting_since`` (ms): if it answers, when the person began to wait for it."""

    id: int
    owner_id: int
    author: str
    feature: str
    created_at: int
    waiting_since: int | None


@dataclass(frozen=True, slots=True)
class Moved:
    """A transition of a conversation. ``had_person``: whether somebody had stepped in before."""

    id: int
    owner_id: int
    from_state: str | None
    to_state: str
    actor: str
    reason: str
    feature: str
    created_at: int
    had_person: int


@dataclass(frozen=True, slots=True)
class Judged:
    """How a message was judged as a goodbye."""

    id: int
    owner_id: int
    confidence: float
    decision: str
    feature: str
    created_at: int


def position(tx: SystemTx, source: str) -> int:
    """How far a source is counted; 0 if not at all."""
    row = tx.one(
        "SELECT through FROM rollup_positions WHERE owner_id = :platform AND source = :source", platform=PLATFORM, source=source
    )
    return int(row["through"]) if row else 0


def written_after(tx: SystemTx, after: int, limit: int) -> list[Written]:
    """Messages in their order. Who waits, waits for the AI or for staff: what the system says is no answer, nor what was
    canceled.
    """
    rows = tx.all(
        """
        SELECT m.id, m.owner_id, m.author, coalesce(r.feature, '') AS feature, m.created_at,
            CASE WHEN m.author IN ('agent', 'staff') THEN (
                SELECT i.created_at FROM messages i
                WHERE i.conversation_id = m.conversation_id AND i.direction = 'inbound' AND i.id < m.id AND i.id > coalesce((
                    SELECT p.id FROM messages p
                    WHERE p.conversation_id = m.conversation_id AND p.id < m.id AND p.author IN ('agent', 'staff')
                        AND p.status <> 'canceled'
                    ORDER BY p.id DESC LIMIT 1
                ), 0)
                ORDER BY i.id LIMIT 1
            ) END AS waiting_since
        FROM messages m LEFT JOIN ai_results r ON r.id = m.ai_result_id AND m.author = 'agent'
        WHERE m.id > :after ORDER BY m.id LIMIT :limit
        """,
        after=after,
        limit=limit,
    )
    return [Written(**dict(row)) for row in rows]


def moved_after(tx: SystemTx, after: int, limit: int) -> list[Moved]:
    """Transitions in their order."""
    rows = tx.all(
        """
        SELECT e.id, e.owner_id, e.from_state, e.to_state, e.actor, e.reason, e.created_at,
            coalesce((
                SELECT r.feature FROM ai_results r
                WHERE r.owner_id = e.owner_id AND r.conversation_id = e.conversation_id AND r.created_at <= e.created_at
                ORDER BY r.id DESC LIMIT 1
            ), '') AS feature,
            EXISTS (
                SELECT 1 FROM conversation_events h
                WHERE h.conversation_id = e.conversation_id AND h.id < e.id AND h.to_state = 'HANDOFF'
            ) AS had_person
        FROM conversation_events e WHERE e.id > :after ORDER BY e.id LIMIT :limit
        """,
        after=after,
        limit=limit,
    )
    return [Moved(**dict(row)) for row in rows]


def judged_after(tx: SystemTx, after: int, limit: int) -> list[Judged]:
    """Judgements in their order."""
    rows = tx.all(
        """
        SELECT d.id, d.owner_id, d.confidence, d.decision, coalesce(r.feature, '') AS feature, d.created_at
        FROM closure_decisions d LEFT JOIN ai_results r
            ON r.owner_id = d.owner_id AND r.conversation_id = d.conversation_id AND r.through_message_id = d.message_id
        WHERE d.id > :after ORDER BY d.id LIMIT :limit
        """,
        after=after,
        limit=limit,
    )
    return [Judged(**dict(row)) for row in rows]


def oldest(tx: SystemTx) -> tuple[str | None, int | None]:
    """Where what is summed up begins: the first day of usage, the first failed message (ms); None without any."""
    day = tx.one("SELECT min(day) AS day FROM usage")
    failed = tx.one("SELECT min(created_at) AS at FROM messages WHERE status IN ('failed', 'undelivered')")
    return day["day"] if day else None, failed["at"] if failed else None


def failed_between(tx: SystemTx, since: int, until: int) -> list[Row]:
    """Messages written from ``since`` up to ``until`` (ms) that did not arrive."""
    return list(
        tx.all(
            """
            SELECT m.owner_id, m.created_at, coalesce(r.feature, '') AS feature,
                coalesce(CAST(m.error_code AS TEXT), '') AS code
            FROM messages m LEFT JOIN ai_results r ON r.id = m.ai_result_id AND m.author = 'agent'
            WHERE m.status IN ('failed', 'undelivered') AND m.created_at >= :since AND m.created_at < :until
            """,
            since=since,
            until=until,
        )
    )


def used_between(tx: SystemTx, since: str, until: str) -> list[Row]:
    """What models were asked and cost by owner, day and feature, from a day up to before another."""
    return list(
        tx.all(
            """
            SELECT owner_id, day, feature, sum(requests) AS requests, sum(prompt_tokens) AS prompt, sum(cached_tokens) AS cached,
                sum(completion_tokens) AS completion, sum(cost) AS cost
            FROM usage WHERE day >= :since AND day < :until GROUP BY owner_id, day, feature
            """,
            since=since,
            until=until,
        )
    )


def sums_between(tx: SystemTx, since: str, until: str) -> dict[Counter, int]:
    """The counters of what is summed up that start from a day up to before another, of all owners."""
    rows = tx.all(
        """
        SELECT owner_id, span, start, measure, feature, key, count FROM rollups
        WHERE measure IN ('failed', 'usage') AND start >= :since AND start < :until
        """,
        since=since,
        until=until,
    )
    return {_counter(row): row["count"] for row in rows}


def add(tx: SystemTx, source: str, before: int, through: int, counts: Mapping[Counter, int], *, hours_from: str) -> bool:
    """Add to counters and note how far that came, unless another has come further than ``before`` meanwhile: then False."""
    if not _move(tx, source, before, through):
        return False
    for counter, count in counts.items():
        _put(tx.for_owner(counter.owner_id), counter, count)
    for owner_id in {counter.owner_id for counter in counts}:
        tx.for_owner(owner_id).run(
            "DELETE FROM rollups WHERE owner_id = :owner AND span = 'hour' AND start < :hours_from", hours_from=hours_from
        )
    return True


def put(tx: SystemTx, source: str, before: int, through: int, changes: Mapping[Counter, int]) -> bool:
    """As :func:`add`, with what the counters change by; one that comes to nothing goes."""
    if not _move(tx, source, before, through):
        return False
    for counter, count in changes.items():
        mine = tx.for_owner(counter.owner_id)
        _put(mine, counter, count)
        mine.run(
            """
            DELETE FROM rollups WHERE owner_id = :owner AND span = :span AND start = :start AND measure = :measure
                AND feature = :feature AND key = :key AND count = 0
            """,
            **_name(counter),
        )
    return True


def forget(tx: SystemTx) -> None:
    """Forget all counters and how far they came: they are counted anew."""
    tx.run("DELETE FROM rollups")
    tx.run("DELETE FROM rollup_positions")


def counted(tx: OwnerTx, span: Span, first: str, last: str, *, feature: str | None) -> Counted:
    """All counters but those of usage that start from ``first`` through ``last``; of one specialist, or of all."""
    rows = tx.all(
        """
        SELECT start, measure, key, sum(count) AS count FROM rollups
        WHERE owner_id = :owner AND span = :span AND start BETWEEN :first AND :last AND measure <> 'usage'
            AND (:feature IS NULL OR feature = :feature)
        GROUP BY start, measure, key
        """,
        span=span,
        first=first,
        last=last,
        feature=feature,
    )
    found: dict[str, dict[str, dict[str, int]]] = {measure: {} for measure in Measure}
    for row in rows:
        found[row["measure"]].setdefault(row["start"], {})[row["key"]] = row["count"]
    return found


def used(tx: OwnerTx, first: str, last: str, *, feature: str | None) -> list[tuple[str, str, str, int]]:
    """(day, feature, key, count) of what models were asked and cost from a day of UTC through another."""
    rows = tx.all(
        """
        SELECT start, feature, key, count FROM rollups
        WHERE owner_id = :owner AND span = 'day' AND start BETWEEN :first AND :last AND measure = 'usage'
            AND (:feature IS NULL OR feature = :feature)
        """,
        first=first,
        last=last,
        feature=feature,
    )
    return [(row["start"], row["feature"], row["key"], row["count"]) for row in rows]


def _move(tx: SystemTx, source: str, before: int, through: int) -> bool:
    """Note how far a source is counted, if it still stands at ``before``."""
    statement = (
        "UPDATE rollup_positions SET through = :through WHERE owner_id = :platform AND source = :source AND through = :before"
        if before
        else """
        INSERT INTO rollup_positions (owner_id, source, through) VALUES (:platform, :source, :through)
        ON CONFLICT (owner_id, source) DO NOTHING
        """
    )
    moved = tx.run(statement, platform=PLATFORM, source=source, through=through, before=before)
    return moved == 1


def _put(tx: OwnerTx, counter: Counter, count: int) -> None:
    tx.run(
        """
        INSERT INTO rollups (owner_id, span, start, measure, feature, key, count)
        VALUES (:owner, :span, :start, :measure, :feature, :key, :count)
        ON CONFLICT (owner_id, span, start, measure, key, feature) DO UPDATE SET count = rollups.count + excluded.count
        """,
        **_name(counter),
        count=count,
    )


def _name(counter: Counter) -> dict[str, str]:
    return {
        "span": counter.span,
        "start": counter.start,
        "measure": counter.measure,
        "feature": counter.feature,
        "key": counter.key,
    }


def _counter(row: Row) -> Counter:
    return Counter(row["owner_id"], row["span"], row["start"], Measure(row["measure"]), row["feature"], row["key"])
