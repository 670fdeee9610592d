"""One request as its handler sees it: who asks, for which owner, with what; and the ways to the data."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Concatenate, Generic, ParamSpec, TypeVar

from pydantic import BaseModel

from wtai.db.tx import Database, OwnerTx, SystemTx
from wtai.egress import Egress
from wtai.identity.access import Principal
from wtai.identity.audit_store import Actor
from wtai.identity.passwords import Passwords
from wtai.identity.preferences import Preferences
from wtai.identity.sessions import Sessions
from wtai.privacy.eraser import Eraser
from wtai.secrets import Sealer
from wtai.web.api.cursors import Cursors, Position
from wtai.web.api.models import Page, Paging
from wtai.web.api.once import Once

B_co = TypeVar("B_co", covariant=True)
Q_co = TypeVar("Q_co", covariant=True)
P = ParamSpec("P")
T = TypeVar("T")
R = TypeVar("R", bound=BaseModel | None)
V = TypeVar("V", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Means:
    """What handlers work with besides the data; ``base`` holds for owners that chose nothing of their own."""

    sealer: Sealer
    sessions: Sessions
    passwords: Passwords
    egress: Egress
    eraser: Eraser
    base: Preferences


@dataclass(frozen=True, slots=True)
class Call(Generic[B_co, Q_co]):
    """A request that was let in and understood.

    ``owner_id`` is the principal's own; only for the platform it is the one that the path names. ``if_match`` is the version the
    change is for, None for any; ``match_given`` tells whether the client said so. ``now`` in ms.
    """

    asks: Principal | None
    owner_id: int
    address: str
    ids: Mapping[str, str]
    body: B_co
    query: Q_co
    if_match: int | None
    match_given: bool
    now: int
    means: Means
    database: Database
    cursors: Cursors
    context: Mapping[str, str]
    once: Once | None

    @property
    def principal(self) -> Principal:
        """Who asks. Only on routes with an action."""
        if self.asks is None:
            raise RuntimeError("a route without an action has no principal")
        return self.asks

    @property
    def actor(self) -> Actor:
        """Who asks, for the audit log."""
        return Actor.of(self.principal, self.address)

    @property
    def limit(self) -> int:
        """How many items the page may have."""
        return self.query.limit if isinstance(self.query, Paging) else Paging().limit

    async def read(self, work: Callable[Concatenate[OwnerTx, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``work`` on one snapshot of the owner's data."""
        return await self.database.read(self.owner_id, work, *args, **kwargs)

    async def commit(self, work: Callable[Concatenate[OwnerTx, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Change the owner's data, once: what ``work`` returns is what the request is answered with."""
        return await self.commit_across(lambda tx: work(tx.for_owner(self.owner_id), *args, **kwargs))

    async def commit_across(self, work: Callable[[SystemTx], R]) -> R:
        """The same, across owners."""
        if self.once is None:
            raise RuntimeError("only a route with an action may change anything")
        return await self.database.system_write(self.once, work)

    def after(self, length: int) -> Position | None:
        """The position behind which the page starts, of ``length`` numbers; None at the beginning. Problem if it is forged."""
        cursor = self.query.cursor if isinstance(self.query, Paging) else None
        return None if cursor is None else self.cursors.read(cursor, self.context, length)

    def page(self, of: type[Page[V]], rows: Sequence[T], view: Callable[[T], V], key: Callable[[T], Position]) -> Page[V]:
        """The page of ``rows``, of which one more than the limit was read if there are more."""
        shown = rows[: self.limit]
        more = len(rows) > self.limit
        following = self.cursors.write(key(shown[-1]), self.context) if more else None
        return of(items=[view(row) for row in shown], next=following)
