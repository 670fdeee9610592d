"""Moves the counters forward: from the last row of each log that was counted, in bounded batches, each counted once.

What is appended to (messages, transitions, judgements) is counted from a position that is written in the same transaction. What
still changes after it is written (usage, failed messages) is summed up anew for the days in which it may, and the counters are
put right by the difference.
"""

from collections import Counter as Counts
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final, Generic, Protocol, TypeVar

from wtai.clock import DAY, HOUR, SECOND, Clock
from wtai.db.tx import Database, SystemTx
from wtai.identity.preferences import Preferences
from wtai.identity.store import preferences
from wtai.jobs.queue import Job
from wtai.rollups import counting, store
from wtai.rollups.counting import Fact, Tally
from wtai.rollups.model import Counter

ROLLUPS: Final = "sweep_rollups"
"""The kind of job; no payload."""

_BATCH: Final = 500
_SUMS: Final = "sums"
_SUMS_MAY_CHANGE: Final = timedelta(days=2)
_DAYS_AT_ONCE: Final = timedelta(days=31)
_FARTHEST_ZONE_MS: Final = 14 * HOUR
_SUMS_EVERY_MS: Final = 2 * SECOND


class _Logged(Protocol):
    @property
    def id(self) -> int: ...

    @property
    def owner_id(self) -> int: ...

    @property
    def created_at(self) -> int: ...


T = TypeVar("T", bound=_Logged)


@dataclass(frozen=True, slots=True)
class _Log(Generic[T]):
    """A log, and what of a row is counted."""

    name: str
    after: Callable[[SystemTx, int, int], Sequence[T]]
    facts: Callable[[T, Preferences], Iterator[Fact]]

    def read(self, tx: SystemTx, base: Preferences, hours_from: str) -> "_Step | None":
        """The next batch, counted; None if there is nothing new."""
        before = store.position(tx, self.name)
        rows = self.after(tx, before, _BATCH)
        if not rows:
            return None
        chosen = {owner_id: preferences(tx.for_owner(owner_id), base) for owner_id in {row.owner_id for row in rows}}
        tally = Tally(chosen, hours_from)
        for row in rows:
            tally.count(row.owner_id, row.created_at, self.facts(row, chosen[row.owner_id]))
        return _Step(before, rows[-1].id, tally.counts, more=len(rows) == _BATCH)


@dataclass(frozen=True, slots=True)
class _Step:
    """What is to be added to counters when a source is counted from ``before`` to ``through``; ``more``: it goes on."""

    before: int
    through: int
    counts: Mapping[Counter, int]
    more: bool


_Read = Callable[[SystemTx, Preferences, str], _Step | None]

_LOGS: Final[Mapping[str, _Read]] = {
    log.name: log.read
    for log in (
        _Log("messages", store.written_after, counting.facts_of_message),
        _Log("conversation_events", store.moved_after, counting.facts_of_transition),
        _Log("closure_decisions", store.judged_after, counting.facts_of_judgement),
    )
}


class Rollups:
    """The job that counts what there is. ``base`` is what holds for owners that chose nothing."""

    def __init__(self, database: Database, base: Preferences, clock: Clock) -> None:
        self._database = database
        self._base = base
        self._clock = clock

    async def handle(self, _job: Job) -> None:
        """Count until there is nothing new."""
        while not await catch_up(self._database, self._base, now=self._clock.now()):
            pass


async def catch_up(database: Database, base: Preferences, *, now: int, batches: int = 10) -> bool:
    """Count up to ``batches`` of each source; whether there is nothing new any more. Others may do so at the same time."""
    whole = True
    for source, read in _LOGS.items():
        whole &= await _count(database, source, read, base, now, batches)
    return await _sum_up(database, base, now, batches) and whole


async def _count(database: Database, source: str, read: _Read, base: Preferences, now: int, batches: int) -> bool:
    hours_from = counting.hours_from(now)
    for _ in range(batches):
        step = await database.system_read(read, base, hours_from)
        if step is not None:
            # A power cut may undo it: then the position, too.
            await database.system_write_relaxed(store.add, source, step.before, step.through, step.counts, hours_from=hours_from)
        if step is None or not step.more:
            return True
    return False


async def _sum_up(database: Database, base: Preferences, now: int, batches: int) -> bool:
    for _ in range(batches):
        step = await database.system_read(_sums, base, now)
        if step is not None:
            await database.system_write_relaxed(store.put, _SUMS, step.before, step.through, step.counts)
        if step is None or not step.more:
            return True
    return False


def _sums(tx: SystemTx, base: Preferences, now: int) -> _Step | None:
    """What counters change by when the days that may have changed, up to a month of them, are summed up; None if that was just
    done.
    """
    before = store.position(tx, _SUMS)
    if before <= now < before + _SUMS_EVERY_MS:
        return None
    tomorrow = _day(now + _FARTHEST_ZONE_MS) + timedelta(days=1)
    since = min(_day(before), _day(now)) - _SUMS_MAY_CHANGE if before else _first_day(tx, tomorrow)
    until = min(since + _DAYS_AT_ONCE, tomorrow)
    fresh: Counts[Counter] = Counts()
    for used in store.used_between(tx, since.isoformat(), until.isoformat()):
        fresh.update(dict(counting.counters_of_usage(used)))
    fresh.update(_failed(tx, base, since, until, counting.hours_from(now)))
    kept = store.sums_between(tx, since.isoformat(), until.isoformat())
    changes = {counter: fresh[counter] - kept.get(counter, 0) for counter in fresh.keys() | kept.keys()}
    through = now if until == tomorrow else _midnight(until)
    return _Step(before, through, {counter: by for counter, by in changes.items() if by}, more=until < tomorrow)


def _failed(tx: SystemTx, base: Preferences, since: date, until: date, hours_from: str) -> dict[Counter, int]:
    """Messages that did not arrive, of all days and hours that begin in the span: days begin earlier east of Greenwich."""
    rows = store.failed_between(tx, _midnight(since) - _FARTHEST_ZONE_MS, _midnight(until) + _FARTHEST_ZONE_MS)
    chosen = {owner_id: preferences(tx.for_owner(owner_id), base) for owner_id in {row["owner_id"] for row in rows}}
    tally = Tally(chosen, hours_from)
    for row in rows:
        tally.count(row["owner_id"], row["created_at"], counting.facts_of_failure(row))
    return {counter: count for counter, count in tally.counts.items() if since.isoformat() <= counter.start < until.isoformat()}


def _first_day(tx: SystemTx, tomorrow: date) -> date:
    day, failed = store.oldest(tx)
    days = [date.fromisoformat(day)] if day else []
    days += [_day(failed - _FARTHEST_ZONE_MS)] if failed is not None else []
    return min(days, default=tomorrow - timedelta(days=1))


def _day(at: int) -> date:
    return datetime.fromtimestamp(at // SECOND, UTC).date()


def _midnight(day: date) -> int:
    return (day - date(1970, 1, 1)).days * DAY
