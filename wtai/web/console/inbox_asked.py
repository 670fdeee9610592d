"""What the address of the inbox asks for: the tab, its order and filters, and what is searched for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Self
from urllib.parse import urlencode

from wtai.conversation.desk_store import OPEN, Order, Position, Tab, View
from wtai.conversation.labels_store import label_of
from wtai.conversation.model import State
from wtai.db.tx import OwnerTx
from wtai.errors import NotFound
from wtai.identity.users_store import user_of_public_id

NOBODY: Final = "nobody"
CHANNELS: Final = ("whatsapp", "sms")
STATES: Final = {
    "open": OPEN,
    "closed": frozenset(State) - OPEN,
    **{str(state).lower(): frozenset({state}) for state in State},
}
"""What the filter of states offers."""

_MOST: Final = 100
_NOTHING: Final = -1
_ORDERS: Final = {Tab.NEEDS: Order.WAITING, Tab.MINE: Order.WAITING, Tab.AI: Order.NEWEST, Tab.ALL: Order.NEWEST}


@dataclass(frozen=True, slots=True)
class Asked:
    """The parts of the query, empty where nothing is asked. ``label`` and ``assignee`` are public ids, or NOBODY."""

    tab: Tab = Tab.NEEDS
    sort: str = ""
    state: str = ""
    label: str = ""
    assignee: str = ""
    channel: str = ""
    feature: str = ""
    q: str = ""

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Self:
        """What is no part, or cannot be meant, is left out."""
        given = {name: query.get(name, "").strip()[:_MOST] for name in ("label", "assignee", "channel", "feature", "q")}
        tab, sort, state = query.get("tab", ""), query.get("sort", ""), query.get("state", "")
        return cls(
            tab=Tab(tab) if tab in set(Tab) else Tab.NEEDS,
            sort=sort if sort in set(Order) else "",
            state=state if state in STATES else "",
            **given,
        )

    @property
    def order(self) -> Order:
        """As asked for, else as suits the tab."""
        return Order(self.sort) if self.sort else _ORDERS[self.tab]

    @property
    def filters(self) -> int:
        """How many filters are set."""
        return sum(map(bool, (self.state, self.label, self.assignee, self.channel, self.feature)))

    def address(self, path: str, **more: object) -> str:
        """An address that asks for the same, and ``more``."""
        chosen = {
            "tab": "" if self.tab is Tab.NEEDS else self.tab,
            "sort": "" if self.sort == _ORDERS[self.tab] else self.sort,
            "state": self.state,
            "label": self.label,
            "assignee": self.assignee,
            "channel": self.channel,
            "feature": self.feature,
            "q": self.q,
            **more,
        }
        query = urlencode({name: value for name, value in chosen.items() if value not in ("", None)})
        return f"{path}?{query}" if query else path

    def on(self, tab: str) -> Self:
        """The same on another tab, in the order that suits it, and not searched."""
        return replace(self, tab=Tab(tab), sort="", q="")

    def unfiltered(self) -> Self:
        """The tab, with everything in it."""
        return type(self)(tab=self.tab, sort=self.sort)


def view_of(tx: OwnerTx, asked: Asked, me: int) -> View:
    """What ``asked`` means for the owner. What the owner has not is on no conversation. A search goes through all of them."""
    label = _key(lambda: label_of(tx, asked.label).id) if asked.label else None
    named = asked.assignee and asked.assignee != NOBODY
    return View(
        me=me,
        tab=Tab.ALL if asked.q else asked.tab,
        order=asked.order,
        states=STATES.get(asked.state, frozenset(State)),
        label_id=label,
        assignee_id=_key(lambda: user_of_public_id(tx, asked.assignee).id) if named else None,
        unassigned=asked.assignee == NOBODY,
        channel=asked.channel or None,
        feature=asked.feature or None,
    )


def position_of(text: str) -> Position | None:
    """A position as :func:`text_of` writes it; None if it is none."""
    rank, _, key = text.partition(".")
    whole = rank.isascii() and key.isascii() and rank.isdecimal() and key.isdecimal() and len(text) < 40
    found = (int(rank), int(key)) if whole else None
    return found if found is not None and max(found) < 1 << 63 else None


def text_of(position: Position) -> str:
    """A position, for an address."""
    return f"{position[0]}.{position[1]}"


def _key(find: Callable[[], int]) -> int:
    try:
        return find()
    except NotFound:
        return _NOTHING
