"""Rows of the logs as counters. Pure."""

import re
from collections import Counter as Counts
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from wtai.clock import SECOND
from wtai.conversation.handoff import ASKED, BEGUN
from wtai.conversation.lifecycle import OPEN
from wtai.conversation.model import State
from wtai.db.tx import Row
from wtai.identity.preferences import Preferences
from wtai.rollups.model import Counter, Handoff, Measure, bucket
from wtai.rollups.store import Judged, Moved, Written

HOURS_KEPT: Final = 72
"""For so long hours are told apart; of what is older only the days are kept."""

_CALLED: Final = (
    (re.compile(re.escape(ASKED)), Handoff.ASKED),
    (re.compile(r"the model does not answer|\d+ failed turns"), Handoff.FAILING),
    (re.compile(r"budget reached: .*"), Handoff.BUDGET),
    (re.compile(r"quota: .*"), Handoff.QUOTA),
)
"""What the AI's own reasons begin a handoff with; any other is a specialist's, in words of its own."""

Fact = tuple[Measure, str, str]
"""What is counted once: measure, specialist, key."""


class Tally:
    """Counts facts of all owners, by the day of each and, if it is not long ago, by the hour."""

    def __init__(self, preferences: Mapping[int, Preferences], hours_from: str) -> None:
        self.counts: Counts[Counter] = Counts()
        self._zones = {owner_id: ZoneInfo(chosen.time_zone) for owner_id, chosen in preferences.items()}
        self._hours_from = hours_from

    def count(self, owner_id: int, at: int, facts: Iterable[Fact]) -> None:
        """Facts of one moment (ms)."""
        moment = datetime.fromtimestamp(at / SECOND, UTC)
        day, hour = moment.astimezone(self._zones[owner_id]).date().isoformat(), hour_of(moment)
        for measure, feature, key in facts:
            self.counts[Counter(owner_id, "day", day, measure, feature, key)] += 1
            if hour >= self._hours_from:
                self.counts[Counter(owner_id, "hour", hour, measure, feature, key)] += 1


def hour_of(moment: datetime) -> str:
    """How the hour of a moment of UTC is called: YYYY-MM-DDTHH."""
    return moment.strftime("%Y-%m-%dT%H")


def hours_from(now: int) -> str:
    """The first hour that is told apart at ``now`` (ms)."""
    return hour_of(datetime.fromtimestamp(now // SECOND, UTC) - timedelta(hours=HOURS_KEPT))


def facts_of_message(row: Written, chosen: Preferences) -> Iterator[Fact]:
    """Who wrote, and how long it was waited for."""
    yield Measure.MESSAGES, row.feature, row.author
    if row.waiting_since is None:
        return
    if row.author == "agent":
        yield Measure.AI_WAIT, row.feature, bucket(row.created_at - row.waiting_since)
    else:
        yield Measure.HUMAN_WAIT, row.feature, bucket(chosen.open_ms(row.waiting_since, row.created_at))


def facts_of_transition(row: Moved, _chosen: Preferences) -> Iterator[Fact]:
    """A beginning, an end, or a handoff."""
    if row.from_state is None:
        yield Measure.OPENED, "", ""
    state = State(row.to_state)
    if state is State.HANDOFF:
        yield Measure.HANDOFFS, row.feature, _handoff(row.actor, row.reason)
    elif state not in OPEN:
        yield Measure.ENDED, row.feature, state
        if not row.had_person:
            yield Measure.CONTAINED, row.feature, ""


def facts_of_judgement(row: Judged, _chosen: Preferences) -> Iterator[Fact]:
    """A score, and what was decided."""
    yield Measure.CLOSURES, row.feature, f"{min(int(row.confidence * 10 + 1e-9), 9)} {row.decision}"


def facts_of_failure(row: Row) -> Iterator[Fact]:
    """A message that did not arrive."""
    yield Measure.FAILED, row["feature"], row["code"]


def counters_of_usage(row: Row) -> Iterator[tuple[Counter, int]]:
    """What an owner's specialist used in a day."""
    for key in ("requests", "prompt", "cached", "completion", "cost"):
        if row[key]:
            yield Counter(row["owner_id"], "day", row["day"], Measure.USAGE, row["feature"], key), row[key]


def _handoff(actor: str, reason: str) -> Handoff:
    if actor == "staff":
        return Handoff.BEGUN if reason == BEGUN else Handoff.STAFF
    return next((handoff for pattern, handoff in _CALLED if pattern.fullmatch(reason)), Handoff.AGENT)
