"""What was said and done in a conversation, as one stream: messages, changes of state, notes, days."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import ClassVar, Final
from zoneinfo import ZoneInfo

from wtai.clock import MINUTE
from wtai.conversation import thread_store as store
from wtai.conversation.lifecycle import OPEN
from wtai.conversation.thread_store import Change, Line, Note
from wtai.db.tx import OwnerTx
from wtai.web.console.conversation_details import Contact, Details, details_of, variables_of
from wtai.web.console.conversation_words import Delivery, Text, author, delivery, event, reason

PAGE: Final = 50
MOST: Final = 200
"""Messages that a page which stays open shows without going back."""
_TOGETHER_MS: Final = 5 * MINUTE

Cards = Mapping[tuple[str, int], Sequence[Contact]]
"""The people on cards, by message and position."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of the stream as read. ``earlier``: when (ms) the message before it came; None if nothing did."""

    lines: list[Line]
    changes: list[Change]
    notes: list[Note]
    earlier: int | None

    @property
    def first(self) -> str:
        """The oldest message; empty if there is none."""
        return self.lines[0].public_id if self.lines else ""

    @property
    def last(self) -> str:
        """The newest message; empty if there is none."""
        return self.lines[-1].public_id if self.lines else ""


@dataclass(frozen=True, slots=True)
class Day:
    """Where another day begins. ``noon`` (ms) is in UTC, so that it is the same day nearly everywhere."""

    kind: ClassVar[str] = "day"
    id: str
    noon: int
    near: str


@dataclass(frozen=True, slots=True)
class Said:
    """A message. ``by``: who of us wrote it; ``first``: of several that one author wrote in a row."""

    kind: ClassVar[str] = "said"
    line: Line
    by: str
    first: bool
    delivery: Delivery | None
    details: Details
    variables: Mapping[str, str]
    contacts: Sequence[Contact]


@dataclass(frozen=True, slots=True)
class Happened:
    """A change of state, in words, and why."""

    kind: ClassVar[str] = "happened"
    change: Change
    words: str
    why: str


@dataclass(frozen=True, slots=True)
class Noted:
    """A note of staff."""

    kind: ClassVar[str] = "noted"
    note: Note
    by: str


Item = Day | Said | Happened | Noted


@dataclass(frozen=True, slots=True)
class Reader:
    """For whom the stream is told: the words, the names of staff by public id, the owner's time zone, the time (ms)."""

    text: Text
    names: Mapping[str, str]
    zone: ZoneInfo
    now: int

    def name(self, staff: str | None) -> str:
        """The name of a member of staff; empty if unknown."""
        return self.names.get(staff or "", "")


def read_stretch(
    tx: OwnerTx, conversation_id: int, *, since: str | None = None, before: str | None = None, limit: int = PAGE
) -> Stretch:
    """The newest ``limit`` messages from ``since`` on and before ``before`` (public ids), and what lies between. NotFound."""
    behind = store.place(tx, conversation_id, before) if before else None
    lines = store.lines(
        tx,
        conversation_id,
        since=store.place(tx, conversation_id, since).id if since else 0,
        before=behind.id if behind else None,
        limit=limit,
    )
    earlier = store.place_before(tx, conversation_id, lines[0].id) if lines else None
    within = {"since": lines[0].created_at if earlier else 0, "before": behind.created_at if behind else None}
    changes = store.changes(tx, conversation_id, since=within["since"] or 0, before=within["before"])
    notes = store.notes(tx, conversation_id, since=within["since"] or 0, before=within["before"])
    return Stretch(lines, changes, notes, earlier.created_at if earlier else None)


def items_of(stretch: Stretch, reader: Reader, cards: Cards) -> list[Item]:
    """The stretch in its order."""
    day = _day(stretch.earlier, reader.zone) if stretch.earlier is not None else None
    said_before: Said | None = None
    found: list[Item] = []
    for at, entry in _merged(stretch):
        if _day(at, reader.zone) != day:
            day = _day(at, reader.zone)
            found.append(_began(day, reader))
            said_before = None
        item = _item(entry, reader, cards, said_before)
        said_before = item if isinstance(item, Said) else None
        found.append(item)
    return found


def _merged(stretch: Stretch) -> Iterator[tuple[int, Line | Change | Note]]:
    """In order of time; of what is of the same moment messages in theirs, after what led to them and before what followed."""
    entries: list[tuple[tuple[int, int, int], Line | Change | Note]] = []
    latest = 0
    for line in stretch.lines:
        latest = max(latest, line.created_at)
        entries.append(((latest, 1, line.id), line))
    entries.extend(((change.created_at, 0 if change.to_state in OPEN else 3, change.id), change) for change in stretch.changes)
    entries.extend(((note.created_at, 2, note.id), note) for note in stretch.notes)
    for key, entry in sorted(entries, key=lambda one: one[0]):
        yield key[0], entry


def _item(entry: Line | Change | Note, reader: Reader, cards: Cards, before: Said | None) -> Item:
    match entry:
        case Line():
            return _said(entry, reader, cards, before)
        case Change():
            return Happened(entry, event(reader.text, entry, reader.name(entry.staff)), reason(reader.text, entry.reason))
        case Note():
            return Noted(entry, reader.name(entry.author) or reader.text("Team"))


def _said(line: Line, reader: Reader, cards: Cards, before: Said | None) -> Said:
    outbound = line.direction == "outbound"
    by = author(reader.text, line.author, reader.name(line.staff)) if outbound else ""
    together = (
        before is not None
        and (before.line.author, before.by) == (line.author, by)
        and line.created_at - before.line.created_at < _TOGETHER_MS
    )
    return Said(
        line=line,
        by=by,
        first=not together,
        delivery=delivery(reader.text, line) if outbound else None,
        details=details_of(line.details),
        variables=variables_of(line.content_variables),
        contacts=[contact for file in line.files for contact in cards.get((line.public_id, file.position), ())],
    )


def _day(at: int, zone: ZoneInfo) -> date:
    return datetime.fromtimestamp(at / 1000, UTC).astimezone(zone).date()


def _began(day: date, reader: Reader) -> Day:
    today = _day(reader.now, reader.zone)
    near = {today: reader.text("Today"), today - timedelta(days=1): reader.text("Yesterday")}.get(day, "")
    noon = round(datetime.combine(day, time(12), UTC).timestamp() * 1000)
    return Day(f"day-{day.isoformat()}", noon, near)
