"""The job that ends conversations whose time is up: found by index, in bounded batches, one transaction each.

Changes that live pages no longer ask for are forgotten with it.
"""

from typing import Final

from wtai.clock import HOUR, Clock
from wtai.conversation import lifecycle, outbox, store
from wtai.conversation.changes_store import prune_changes
from wtai.conversation.model import Conversation, State
from wtai.conversation.texts import texts
from wtai.db.tx import Database, OwnerTx, SystemTx
from wtai.failpoints import failpoint, pass_failpoint
from wtai.identity.preferences import Preferences
from wtai.identity.store import owner, preferences
from wtai.jobs.queue import Job

TIMEOUTS: Final = "sweep_timeouts"
"""The kind of job; no payload."""

_BATCH: Final = 50
_CHANGES_KEPT_MS: Final = HOUR
_CHANGES_BATCH: Final = 1_000


class Timeouts:
    """Ends idle and expired conversations. ``base`` is what holds for owners that chose nothing."""

    def __init__(self, database: Database, base: Preferences, clock: Clock) -> None:
        self._database = database
        self._base = base
        self._clock = clock

    async def handle(self, _job: Job) -> None:
        """End every conversation whose time is up, batch after batch."""
        found = _BATCH
        while found == _BATCH:
            found = await self._database.system_write(_strike, self._base, now=self._clock.now())
            await pass_failpoint("sweep.after_commit")
        before = self._clock.now() - _CHANGES_KEPT_MS
        while await self._database.system_write_relaxed(prune_changes, before=before, limit=_CHANGES_BATCH) == _CHANGES_BATCH:
            pass


def _strike(tx: SystemTx, base: Preferences, *, now: int) -> int:
    """One batch; returns how many conversations it looked at. Each leaves the index by which it was found."""
    due = store.due(tx, now=now, limit=_BATCH)
    for owner_id, conversation_id in due:
        mine = tx.for_owner(owner_id)
        conversation = store.conversation(mine, conversation_id)
        if conversation is not None:
            _end(mine, conversation, preferences(mine, base), now)
    failpoint("sweep.before_commit")
    return len(due)


def _end(tx: OwnerTx, conversation: Conversation, chosen: Preferences, now: int) -> None:
    expired = conversation.expires_at is not None and conversation.expires_at <= now
    if conversation.state is State.HANDOFF and not chosen.expires_in_handoff:
        store.set_expiry(tx, conversation.id, None)  # starts again when the AI gets the conversation back
        return
    to = State.EXPIRED if expired else State.IDLE_TIMEOUT
    lifecycle.move(tx, conversation, to, actor="system", reason="time-out", now=now)
    reachable = now < outbox.window_closes_at(conversation.last_inbound_at)
    if chosen.farewell_on_timeout and reachable and not conversation.opted_out:
        text = chosen.farewell_text or texts(owner(tx).locale).timed_out
        outbox.put(tx, conversation, [text], author="system", ai_result_id=None, now=now)
