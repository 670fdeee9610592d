"""What a turn answers, read at one moment."""

from dataclasses import dataclass

from wtai.ai import context, store
from wtai.ai.features_store import Feature, features
from wtai.ai.llm import Message as Said
from wtai.ai.memory.conversations import summary_of
from wtai.ai.memory.window import Windows
from wtai.ai.tools.http_store import HttpTool, http_tools
from wtai.conversation import store as conversations
from wtai.conversation.burst import quiet_from
from wtai.conversation.media import answerable
from wtai.conversation.media_store import attached
from wtai.conversation.model import Conversation, Message, State
from wtai.db.tx import OwnerTx
from wtai.identity import quota
from wtai.identity.plans import PlanLimits
from wtai.identity.plans_store import limits_of
from wtai.identity.preferences import Preferences
from wtai.identity.store import owner, preferences

TAKES_TURNS = frozenset({State.PENDING, State.PROGRESS, State.WAITING_USER})


@dataclass(frozen=True, slots=True)
class Owed:
    """What a turn answers, and what it needs to know. ``number`` counts the conversation's turns from 1."""

    conversation: Conversation
    messages: tuple[Message, ...]
    history: tuple[Said, ...]
    number: int
    failed_before: int
    locale: str
    chosen: Preferences
    limits: PlanLimits
    features: tuple[Feature, ...]
    http_tools: tuple[HttpTool, ...]
    out_of_quota: bool

    @property
    def through(self) -> int:
        """The newest message the answer covers."""
        return self.messages[-1].id

    @property
    def starts_at(self) -> int:
        """When (ms) the turn may start: once the person is quiet, but not much later than after their first words."""
        return quiet_from(self.conversation, self.messages)

    @property
    def turn(self) -> int:
        """Names the turn in its conversation, the same at each try and each draft: what was answered before it."""
        return self.conversation.answered_through


def read_owed(tx: OwnerTx, conversation_id: int, base: Preferences, windows: Windows, *, now: int) -> Owed | None:
    """What the conversation is owed at ``now`` (ms); None if that is nothing, or waits for an attachment."""
    conversation = conversations.conversation(tx, conversation_id)
    if conversation is None or conversation.state not in TAKES_TURNS:
        return None
    messages = answerable(conversations.unanswered(tx, conversation), now=now)
    if not messages:
        return None
    count = store.count_turns(tx, conversation_id)
    limits = limits_of(tx)
    return Owed(
        conversation,
        tuple(messages),
        windows.history(tx, conversation, lambda: _history(tx, conversation, context.turns_left_out(count))),
        count + 1,
        store.failed_turns(tx, conversation_id),
        owner(tx).locale,
        preferences(tx, base),
        limits,
        features(tx),
        http_tools(tx),
        quota.reached_quota(tx, conversation.user_id, limits, now=now) is not None,
    )


def _history(tx: OwnerTx, conversation: Conversation, skip: int) -> tuple[Said, ...]:
    after = store.through_of_turn(tx, conversation.id, skip)
    messages = attached(tx, conversation.id, store.messages_after(tx, conversation.id, after))
    steps = conversations.steps_of_people(tx, conversation.id)
    if skip:  # what happened before the window opens stays outside it
        steps = [step for step in steps if messages and step[0] >= messages[0].created_at]
    turns = store.past_turns(tx, conversation.id, skip=skip)
    summaries = summary_of(tx, conversation.id)
    recap = context.recap(summaries.previous, summaries.own if skip else None)
    return (*recap, *context.history(turns, messages, steps, conversation.answered_through, owner(tx).locale))
