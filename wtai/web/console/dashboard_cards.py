"""From counters to what stands on the dashboard: a table for each question."""

from collections import Counter as Counts
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Literal

from wtai.rollups.model import Measure, quantiles
from wtai.web.console.dashboard_figures import Figures, day_label
from wtai.web.console.dashboard_table import Column, Line, Table, Unit, Value, shown
from wtai.web.console.dashboard_words import authors, decisions, endings, failure, handoffs, specialists
from wtai.web.console.page import Visit

Chart = Literal["stacked", "lines", "bars", "none"]


@dataclass(frozen=True, slots=True)
class Card:
    """A question and its answer. ``note`` says what has to be known to read it."""

    name: str
    title: str
    chart: Chart
    table: Table
    note: str = ""

    @property
    def is_drawn(self) -> bool:
        """Whether there is a chart beside the table."""
        return self.chart in ("stacked", "lines") and not self.table.is_empty


@dataclass(frozen=True, slots=True)
class Tile:
    """A figure of the whole period."""

    title: str
    value: str
    note: str = ""


def tiles(visit: Visit, figures: Figures) -> list[Tile]:
    """What one wants to know first."""
    ended = figures.totals(Measure.ENDED).total()
    contained = figures.totals(Measure.CONTAINED).total()
    cost = sum(count for _, _, key, count in figures.used if key == "cost")
    show = _Show(visit.language)
    written = figures.totals(Measure.MESSAGES)
    found = [
        Tile(
            visit.text("Messages"),
            show.count(written.total()),
            visit.text("%(count)s by the AI") % {"count": show.count(written["agent"])},
        ),
        Tile(
            visit.text("Ended without a person"),
            show(_share(contained, ended), Unit.SHARE),
            visit.text("of %(count)s conversations that ended") % {"count": show.count(ended)},
        ),
    ]
    for measure, title in (
        (Measure.AI_WAIT, visit.text("The AI answers in")),
        (Measure.HUMAN_WAIT, visit.text("Staff answer in")),
    ):
        waits = figures.totals(measure)
        half, most = quantiles(waits, 0.5, 0.9)
        note = visit.text("9 of 10 within %(wait)s") % {"wait": show(most, Unit.WAIT)} if waits else ""
        found.append(Tile(title, show(half, Unit.WAIT), note))
    handed = figures.totals(Measure.HANDOFFS).total()
    failed = figures.totals(Measure.FAILED).total()
    found += [
        Tile(visit.text("Handoffs"), show.count(handed)),
        Tile(visit.text("Failed sends"), show.count(failed)),
        Tile(visit.text("Cost of the AI"), show(cost, Unit.DOLLARS)),
    ]
    return found


def cards(visit: Visit, figures: Figures) -> list[Card]:
    """All tables, in the order of the page."""
    return [
        _messages(visit, figures),
        _conversations(visit, figures),
        _waits(visit, figures, Measure.AI_WAIT),
        _waits(visit, figures, Measure.HUMAN_WAIT),
        _containment(visit, figures),
        _kinds(visit, figures, Measure.HANDOFFS, "handoffs", visit.text("Handoffs by reason"), handoffs(visit)),
        _kinds(visit, figures, Measure.ENDED, "endings", visit.text("How conversations ended"), endings(visit)),
        _scores(visit, figures),
        _failures(visit, figures),
        _used(visit, figures, "cost", visit.text("Cost by specialist"), Unit.DOLLARS, ("cost",)),
        _used(visit, figures, "tokens", visit.text("Tokens by specialist"), Unit.COUNT, ("prompt", "completion")),
        _specialists(visit, figures),
    ]


def _messages(visit: Visit, figures: Figures) -> Card:
    names, found = authors(visit), figures.by_start(Measure.MESSAGES)
    columns = [Column(title, key=key) for key, title in names.items()]
    lines = _over_time(visit, figures, lambda start: [found.get(start, {}).get(key, 0) for key in names])
    note = visit.text("Only the AI's messages belong to a specialist.") if figures.choice.feature else ""
    return Card("messages", visit.text("Messages by author"), "stacked", Table(_when(visit, figures), columns, lines), note)


def _conversations(visit: Visit, figures: Figures) -> Card:
    opened, ended = figures.by_start(Measure.OPENED), figures.by_start(Measure.ENDED)
    columns = [Column(visit.text("Opened"), key="opened"), Column(visit.text("Ended"), key="ended")]
    lines = _over_time(visit, figures, lambda start: [_sum(opened, start), _sum(ended, start)])
    note = visit.text("A conversation that begins belongs to no specialist yet.") if figures.choice.feature else ""
    return Card("conversations", visit.text("Conversations"), "lines", Table(_when(visit, figures), columns, lines), note)


def _waits(visit: Visit, figures: Figures, measure: Measure) -> Card:
    found = figures.by_start(measure)

    def values(start: str) -> list[Value]:
        waits = found.get(start, {})
        return [*quantiles(waits, 0.5, 0.9), sum(waits.values())]

    columns = [
        Column(visit.text("Half within"), Unit.WAIT, "median"),
        Column(visit.text("9 of 10 within"), Unit.WAIT, "p90"),
        Column(visit.text("Answers")),
    ]
    table = Table(_when(visit, figures), columns, _over_time(visit, figures, values), hidden=frozenset({2}))
    if measure is Measure.AI_WAIT:
        note = visit.text("From the first message that nobody had answered.")
        return Card("ai-response", visit.text("Response time of the AI"), "lines", table, note)
    note = visit.text("From the first message that nobody had answered; only business hours count, if there are any.")
    if figures.choice.feature:
        note = visit.text("What staff answer belongs to no specialist.")
    return Card("staff-response", visit.text("Response time of staff"), "lines", table, note)


def _containment(visit: Visit, figures: Figures) -> Card:
    ended, contained = figures.by_start(Measure.ENDED), figures.by_start(Measure.CONTAINED)

    def values(start: str) -> list[Value]:
        alone, all_ = _sum(contained, start), _sum(ended, start)
        return [_share(alone, all_), alone, all_]

    columns = [
        Column(visit.text("Share"), Unit.SHARE, "share"),
        Column(visit.text("Without a person")),
        Column(visit.text("Ended")),
    ]
    table = Table(_when(visit, figures), columns, _over_time(visit, figures, values), hidden=frozenset({1, 2}))
    return Card("containment", visit.text("Ended without a person"), "lines", table)


def _kinds(visit: Visit, figures: Figures, measure: Measure, name: str, title: str, words: Mapping[str, str]) -> Card:
    found = figures.totals(measure)
    lines = [Line(words[key], words[key], [count]) for key, count in found.most_common()]
    return Card(name, title, "bars", Table(visit.text("Reason"), [Column(visit.text("Conversations"))], lines))


def _scores(visit: Visit, figures: Figures) -> Card:
    found, words = figures.totals(Measure.CLOSURES), decisions(visit)
    lines = []
    for tenth in range(10):
        label = f"{tenth / 10:.1f}\u2060–\u2060{(tenth + 1) / 10:.1f}"  # never on two lines
        counts = [found[f"{tenth} {decision}"] for decision in words]
        lines.append(
            Line(label if visit.language == "en" else label.replace(".", ","), f"{tenth / 10:.1f}", [sum(counts), *counts])
        )
    columns = [Column(visit.text("Messages")), *(Column(title) for title in words.values())]
    note = visit.text("How sure it was that the customer is done, and what followed.")
    title = visit.text("Scores of goodbyes")
    return Card("closure-scores", title, "bars", Table(visit.text("Score"), columns, lines), note)


def _failures(visit: Visit, figures: Figures) -> Card:
    found = figures.totals(Measure.FAILED)
    lines = [Line(code or "–", code, [count], failure(visit, code)) for code, count in found.most_common()]
    table = Table(visit.text("Code"), [Column(visit.text("Messages"))], lines, about=visit.text("What it means"))
    return Card("failed-sends", visit.text("Failed sends by code"), "bars", table)


def _used(visit: Visit, figures: Figures, name: str, title: str, unit: Unit, keys: tuple[str, ...]) -> Card:
    found: defaultdict[str, Counts[str]] = defaultdict(Counts)
    totals: Counts[str] = Counts()
    for day, feature, key, count in figures.used:
        if key in keys:
            found[day][feature] += count
            totals[feature] += count
    of = [feature for feature, _ in totals.most_common()]
    names = specialists(visit, of)
    columns = [Column(names[feature], unit, feature) for feature in of]
    days = figures.choice.utc_days
    lines = [Line(day_label(day, visit.language), day, [found[day][feature] for feature in of]) for day in days]
    return Card(name, title, "stacked", Table(visit.text("Day"), columns, lines), visit.text("Days of UTC."))


def _specialists(visit: Visit, figures: Figures) -> Card:
    found: defaultdict[tuple[str, str], dict[str, int]] = defaultdict(dict)
    for day, feature, key, count in figures.used:
        found[(day, feature)][key] = count
    names = specialists(visit, {feature for _, feature in found})
    columns = {
        "cost": Column(visit.text("Cost"), Unit.DOLLARS),
        "requests": Column(visit.text("Calls")),
        "prompt": Column(visit.text("Tokens read")),
        "completion": Column(visit.text("Tokens written")),
        "cached": Column(visit.text("Cached")),
    }
    lines = []
    for (day, feature), counts in sorted(found.items(), key=itemgetter(0), reverse=True):
        lines.append(Line(day_label(day, visit.language), day, [counts.get(key, 0) for key in columns], names[feature]))
    table = Table(visit.text("Day"), list(columns.values()), lines, about=visit.text("Specialist"))
    return Card("usage", visit.text("Usage by day and specialist"), "none", table, visit.text("Days of UTC."))


class _Show:
    """Writes values in a language."""

    def __init__(self, language: str) -> None:
        self._language = language

    def __call__(self, value: Value, unit: Unit) -> str:
        return shown(value, unit, self._language)

    def count(self, value: int) -> str:
        """A number of things."""
        return shown(value, Unit.COUNT, self._language)


def _over_time(visit: Visit, figures: Figures, values: Callable[[str], Sequence[Value]]) -> list[Line]:
    choice = figures.choice
    return [Line(choice.label(start, visit.language), choice.exact(start), values(start)) for start in choice.starts]


def _when(visit: Visit, figures: Figures) -> str:
    return visit.text("Hour") if figures.choice.span == "hour" else visit.text("Day")


def _sum(found: Mapping[str, Mapping[str, int]], start: str) -> int:
    return sum(found.get(start, {}).values())


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
