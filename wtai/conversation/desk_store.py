"""SQL of the inbox as staff have it before them: which conversations, in which order, and what is shown of each.

Every list is a few walks along an index, each in the order of the list, that stop as soon as a page is full. Where a filter
leaves out most of what is walked over, a page ends at the latest after ``_LOOK`` rows of a walk, and the next one goes on from
there.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from wtai.conversation.labels_store import Label, label_ids_of, label_rows
from wtai.conversation.model import State
from wtai.db.tx import OwnerTx, Row

OPEN: Final = frozenset({State.PENDING, State.PROGRESS, State.WAITING_USER, State.HANDOFF})
COUNTED: Final = 1_000
"""Counts go no further."""

_LOOK: Final = 2_000
_RARE: Final = 2_000
_FAR: Final = 1 << 62

_URGENCY: Final = "coalesce(9007199254740992 - c.waiting_since, c.updated_at)"
_FITS: Final = """
AND (:unassigned = 0 OR c.assignee_id IS NULL) AND (:assignee_id IS NULL OR c.assignee_id = :assignee_id)
AND (:desk = 0 OR c.assignee_id IS NULL OR c.assignee_id = :me)
AND (:channel IS NULL OR c.channel = :channel) AND (:feature IS NULL OR c.feature = :feature)
AND (:label_id IS NULL OR EXISTS (
    SELECT 1 FROM conversation_labels l
    WHERE l.owner_id = :owner AND l.conversation_id = c.id AND l.label_id = :label_id
))
"""
_IN_STATES: Final = "AND :states LIKE '%,' || c.state || ',%'"
_BY_TIME: Final = "AND (c.updated_at, c.id) < (:rank, :id)"
_BY_URGENCY: Final = f"AND ({_URGENCY}, c.id) < (:rank, :id)"
_OF_STATE: Final = "FROM conversations c WHERE c.owner_id = :owner AND c.state = :state"
_OF_OPEN_STATE: Final = f"{_OF_STATE} AND c.closed_at IS NULL"
_OF_STAFF: Final = "FROM conversations c WHERE c.owner_id = :owner AND c.assignee_id = :staff"
_OPEN_OF_STAFF: Final = f"{_OF_STAFF} AND c.closed_at IS NULL"
_NEWEST_FIRST: Final = "ORDER BY c.updated_at DESC, c.id DESC LIMIT"
_URGENT_FIRST: Final = f"ORDER BY {_URGENCY} DESC, c.id DESC LIMIT"

_STATE_NEWEST: Final = f"""
SELECT c.id, c.updated_at AS rank {_OF_STATE} {_BY_TIME} AND c.updated_at >= :floor {_FITS} {_NEWEST_FIRST} :limit
"""
_STATE_URGENT: Final = f"""
SELECT c.id, {_URGENCY} AS rank {_OF_OPEN_STATE} {_BY_URGENCY} AND {_URGENCY} >= :floor {_FITS} {_URGENT_FIRST} :limit
"""
_STAFF_NEWEST: Final = f"""
SELECT c.id, c.updated_at AS rank {_OF_STAFF} {_IN_STATES} {_BY_TIME} AND c.updated_at >= :floor {_FITS} {_NEWEST_FIRST} :limit
"""
_STAFF_URGENT: Final = f"""
SELECT c.id, {_URGENCY} AS rank {_OPEN_OF_STAFF} {_IN_STATES} {_BY_URGENCY} AND {_URGENCY} >= :floor {_FITS}
{_URGENT_FIRST} :limit
"""
_STATE_NEWEST_FLOOR: Final = f"SELECT c.updated_at AS rank {_OF_STATE} {_BY_TIME} {_NEWEST_FIRST} 1 OFFSET :look"
_STATE_URGENT_FLOOR: Final = f"SELECT {_URGENCY} AS rank {_OF_OPEN_STATE} {_BY_URGENCY} {_URGENT_FIRST} 1 OFFSET :look"
_STAFF_NEWEST_FLOOR: Final = f"SELECT c.updated_at AS rank {_OF_STAFF} {_BY_TIME} {_NEWEST_FIRST} 1 OFFSET :look"
_STAFF_URGENT_FLOOR: Final = f"SELECT {_URGENCY} AS rank {_OPEN_OF_STAFF} {_BY_URGENCY} {_URGENT_FIRST} 1 OFFSET :look"
_LABELLED: Final = f"""
SELECT id, rank FROM (
    SELECT c.id, CASE WHEN :urgent THEN {_URGENCY} ELSE c.updated_at END AS rank
    FROM conversation_labels g CROSS JOIN conversations c ON c.owner_id = g.owner_id AND c.id = g.conversation_id
    WHERE g.owner_id = :owner AND g.label_id = :label_id {_IN_STATES} {_FITS}
) AS labelled
WHERE (rank, id) < (:rank, :id) ORDER BY rank DESC, id DESC LIMIT :limit
"""  # noqa: S608 - constants only
_FITTING: Final = f"SELECT 1 FROM conversations c WHERE c.owner_id = :owner AND c.id = :id {_IN_STATES} {_FITS}"  # noqa: S608

_UNREAD: Final = """
x.owner_id = :owner AND x.conversation_id = c.id AND x.direction = 'inbound' AND x.id > coalesce((
    SELECT r.through FROM read_marks r WHERE r.owner_id = :owner AND r.user_id = :me AND r.conversation_id = c.id
), 0)
"""
_ROW: Final = f"""
SELECT c.id, c.public_id, c.state, c.channel, c.address, c.user_address, c.feature, c.waiting_since, c.updated_at, u.name,
    a.public_id AS assignee, coalesce(a.name, a.email) AS assignee_name, m.author, m.kind, m.status,
    substr(m.body, 1, 200) AS body, m.created_at AS said_at, (
        SELECT substr(max(t.transcript), 1, 200) FROM media t WHERE t.owner_id = :owner AND t.message_id = m.id
    ) AS transcript, CASE WHEN c.state = 'HANDOFF' OR c.assignee_id = :me OR EXISTS (
        SELECT 1 FROM read_marks r WHERE r.owner_id = :owner AND r.user_id = :me AND r.conversation_id = c.id
    ) THEN (
        SELECT count(*) FROM (SELECT 1 FROM messages x WHERE {_UNREAD} LIMIT 10) AS some
    ) ELSE 0 END AS unread
FROM conversations c JOIN users u ON u.owner_id = c.owner_id AND u.id = c.user_id
    LEFT JOIN users a ON a.owner_id = c.owner_id AND a.id = c.assignee_id
    LEFT JOIN messages m ON m.owner_id = c.owner_id AND m.id = (
        SELECT max(y.id) FROM messages y WHERE y.owner_id = :owner AND y.conversation_id = c.id AND y.status <> 'canceled'
    )
WHERE c.owner_id = :owner AND c.id = :id
"""  # noqa: S608 - constants only
_WANTED: Final = """
WITH needs AS (
    SELECT c.id FROM conversations c
    WHERE c.owner_id = :owner AND c.state = 'HANDOFF' AND (c.assignee_id IS NULL OR c.assignee_id = :me) LIMIT :most
), mine AS (
    SELECT c.id FROM conversations c WHERE c.owner_id = :owner AND c.assignee_id = :me AND c.closed_at IS NULL LIMIT :most
)
"""
_CALLING: Final = f"""
SELECT c.id FROM (SELECT id FROM needs UNION SELECT id FROM mine) AS c
WHERE EXISTS (SELECT 1 FROM messages x WHERE {_UNREAD}) LIMIT 100
"""  # noqa: S608 - constants only


class Tab(StrEnum):
    """What the inbox is divided into. NEEDS: a person is wanted, and nobody else is that person."""

    NEEDS = "needs"
    MINE = "mine"
    AI = "ai"
    ALL = "all"


class Order(StrEnum):
    """WAITING: who waits longest first, then those for whom nobody waits. NEWEST: the latest changed first."""

    WAITING = "waiting"
    NEWEST = "newest"


_STATES: Final = {
    Tab.NEEDS: frozenset({State.HANDOFF}),
    Tab.MINE: OPEN,
    Tab.AI: OPEN - {State.HANDOFF},
    Tab.ALL: frozenset(State),
}


@dataclass(frozen=True, slots=True)
class View:
    """What a member of staff wants to see: a tab, as they ordered and filtered it. ``me`` is their key.

    ``unassigned``: only what nobody has; ``assignee_id``: only what this member of staff has.
    """

    me: int
    tab: Tab = Tab.NEEDS
    order: Order = Order.WAITING
    states: frozenset[State] = frozenset(State)
    label_id: int | None = None
    assignee_id: int | None = None
    unassigned: bool = False
    channel: str | None = None
    feature: str | None = None

    @property
    def shown_states(self) -> list[State]:
        """What the tab and the filter have in common."""
        return [state for state in State if state in _STATES[self.tab] & self.states]

    @property
    def staff(self) -> int | None:
        """With whom all of it is, if it all is with one."""
        return self.me if self.tab is Tab.MINE else self.assignee_id

    @property
    def is_filtered(self) -> bool:
        """Whether the tab is not all shown."""
        chosen = (self.label_id, self.assignee_id, self.channel, self.feature)
        return self.unassigned or self.states != frozenset(State) or any(one is not None for one in chosen)

    @property
    def is_narrow(self) -> bool:
        """Whether a walk may leave out most of what it goes over."""
        return self.is_filtered or self.staff is not None or self.tab is Tab.NEEDS

    def parameters(self, states: Sequence[State]) -> dict[str, object]:
        """Those of ``_FITS`` and ``_IN_STATES``."""
        return {
            "me": self.me,
            "desk": int(self.tab is Tab.NEEDS),
            "unassigned": int(self.unassigned),
            "assignee_id": self.assignee_id,
            "channel": self.channel,
            "feature": self.feature,
            "label_id": self.label_id,
            "states": f",{','.join(states)},",
        }


@dataclass(frozen=True, slots=True)
class DeskRow:
    """A line of the list; times in ms. What was said last is None where nothing was. ``unread`` counts up to ten: of what is for
    a person or for oneself, and of what one has opened before. What the AI does alone calls nobody.
    """

    id: int
    public_id: str
    state: State
    channel: str
    address: str
    user_address: str
    feature: str | None
    waiting_since: int | None
    updated_at: int
    name: str | None
    assignee: str | None
    assignee_name: str | None
    author: str | None
    kind: str | None
    status: str | None
    body: str | None
    said_at: int | None
    transcript: str | None
    unread: int
    labels: tuple[Label, ...] = ()

    @property
    def is_open(self) -> bool:
        """Whether it may still go on."""
        return self.state in OPEN

    @property
    def is_unread(self) -> bool:
        """Whether there is something to read: in what has ended nobody waits for that."""
        return self.unread > 0 and self.is_open


@dataclass(frozen=True, slots=True)
class Said:
    """A message, or what was said aloud in it; ``created_at`` in ms."""

    public_id: str
    author: str
    created_at: int
    text: str


Position = tuple[int, int]
"""Behind which conversation a page begins: its rank in the order, and its key."""

TOP: Final[Position] = (_FAR, _FAR)


@dataclass(frozen=True, slots=True)
class Listed:
    """Some lines of the list, and where the next ones begin; None at its end."""

    rows: tuple[DeskRow, ...]
    next: Position | None


@dataclass(frozen=True, slots=True)
class Counts:
    """How many conversations each tab has, up to COUNTED, and how many of NEEDS and MINE have something unread, up to 100."""

    needs: int
    mine: int
    ai: int
    all: int
    unread: int


def listed(tx: OwnerTx, view: View, *, behind: Position = TOP, limit: int) -> Listed:
    """Up to ``limit`` lines behind a position. There may be fewer although more follow, where a filter leaves out most."""
    if view.label_id is not None and _is_rare(tx, view.label_id):
        floor, found = 0, list(_labelled(tx, view, behind, limit + 1))
    else:
        walks = _walks(view)
        floor = max((_floor(tx, walk, view, behind) for walk in walks), default=0) if view.is_narrow else 0
        found = [row for walk in walks for row in _walked(tx, walk, view, behind, floor, limit + 1)]
    first = sorted(((row["rank"], row["id"]) for row in found), reverse=True)
    following = first[limit - 1] if len(first) > limit else (floor, 0) if floor else None
    return Listed(rows_of(tx, view.me, [key for _, key in first[:limit]]), following)


def rows_of(tx: OwnerTx, me: int, ids: Iterable[int]) -> tuple[DeskRow, ...]:
    """These conversations as lines, in this order."""
    labels = {label.id: label for label in label_rows(tx)}
    return tuple(_row(tx, row, labels) for one in ids for row in tx.all(_ROW, id=one, me=me))


def said(tx: OwnerTx, message_id: int, position: int | None) -> Said | None:
    """A message as it was found: by its text, or by what was said in the attachment at ``position``. None if it is gone."""
    row = tx.one(
        """
        SELECT m.public_id, m.author, m.created_at, CASE WHEN :position IS NULL THEN m.body ELSE (
            SELECT t.transcript FROM media t WHERE t.owner_id = :owner AND t.message_id = m.id AND t.position = :position
        ) END AS text
        FROM messages m WHERE m.owner_id = :owner AND m.id = :id
        """,
        id=message_id,
        position=position,
    )
    return Said(**dict(row)) if row else None


def fits(tx: OwnerTx, view: View, conversation_id: int) -> bool:
    """Whether a conversation passes the filter of ``view``."""
    return tx.one(_FITTING, id=conversation_id, **view.parameters(view.shown_states)) is not None


def counts(tx: OwnerTx, me: int) -> Counts:
    """How much there is in each tab."""
    row = tx.all(
        f"""
        {_WANTED} SELECT (SELECT count(*) FROM needs) AS needs, (SELECT count(*) FROM mine) AS mine, (
            SELECT count(*) FROM (
                SELECT 1 FROM conversations c WHERE c.owner_id = :owner AND c.state IN ('PENDING', 'PROGRESS', 'WAITING_USER')
                LIMIT :most
            ) AS ai
        ) AS ai, (
            SELECT count(*) FROM (SELECT 1 FROM conversations c WHERE c.owner_id = :owner LIMIT :most) AS every
        ) AS "all", (SELECT count(*) FROM ({_CALLING}) AS some) AS unread
        """,  # noqa: S608 - constants only
        me=me,
        most=COUNTED,
    )
    return Counts(**dict(row[0]))


def calling(tx: OwnerTx, me: int) -> list[str]:
    """The conversations (by public id) of NEEDS and MINE that have something unread, up to 100."""
    rows = tx.all(
        f"{_WANTED} SELECT public_id FROM conversations WHERE owner_id = :owner AND id IN ({_CALLING})",  # noqa: S608 - constants only
        me=me,
        most=COUNTED,
    )
    return [row["public_id"] for row in rows]


@dataclass(frozen=True, slots=True)
class _Walk:
    """Along which index: of one ``state``, or of one member of staff (None) in ``states``."""

    urgent: bool
    state: State | None
    states: Sequence[State]


def _walks(view: View) -> list[_Walk]:
    """What has ended is not urgent: it is ranked by its time in either order."""
    shown, waiting = view.shown_states, view.order is Order.WAITING
    if view.staff is None:
        return [_Walk(waiting and state in OPEN, state, (state,)) for state in shown]
    if not waiting:
        return [_Walk(False, None, shown)]
    parts = ((True, [one for one in shown if one in OPEN]), (False, [one for one in shown if one not in OPEN]))
    return [_Walk(urgent, None, states) for urgent, states in parts if states]


def _walked(tx: OwnerTx, walk: _Walk, view: View, behind: Position, floor: int, limit: int) -> Sequence[Row]:
    given = {**view.parameters(walk.states), **_place(walk, view, behind), "floor": floor, "limit": limit}
    if walk.state is None:
        return tx.all(_STAFF_URGENT if walk.urgent else _STAFF_NEWEST, **given)
    return tx.all(_STATE_URGENT if walk.urgent else _STATE_NEWEST, **given)


def _floor(tx: OwnerTx, walk: _Walk, view: View, behind: Position) -> int:
    """The rank at which a walk has gone over enough; 0 if it comes to its end before."""
    given = {**_place(walk, view, behind), "look": _LOOK}
    if walk.state is None:
        row = tx.one(_STAFF_URGENT_FLOOR if walk.urgent else _STAFF_NEWEST_FLOOR, **given)
    else:
        row = tx.one(_STATE_URGENT_FLOOR if walk.urgent else _STATE_NEWEST_FLOOR, **given)
    return int(row["rank"]) if row else 0


def _place(walk: _Walk, view: View, behind: Position) -> dict[str, object]:
    return {"rank": behind[0], "id": behind[1], "state": walk.state, "staff": view.staff}


def _is_rare(tx: OwnerTx, label_id: int) -> bool:
    """Whether a label is on so few conversations that they are better gathered than walked to."""
    row = tx.one(
        """
        SELECT 1 FROM conversation_labels WHERE owner_id = :owner AND label_id = :label_id
        ORDER BY conversation_id LIMIT 1 OFFSET :most
        """,
        label_id=label_id,
        most=_RARE,
    )
    return row is None


def _labelled(tx: OwnerTx, view: View, behind: Position, limit: int) -> Sequence[Row]:
    given = view.parameters(view.shown_states)
    return tx.all(_LABELLED, **given, rank=behind[0], id=behind[1], urgent=int(view.order is Order.WAITING), limit=limit)


def _row(tx: OwnerTx, row: Row, labels: dict[int, Label]) -> DeskRow:
    mine = label_ids_of(tx, row["id"]) if labels else []
    return DeskRow(**{**row, "state": State(row["state"]), "labels": tuple(labels[one] for one in mine)})
