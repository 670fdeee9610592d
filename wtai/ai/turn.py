"""The job that answers a conversation: read, think with no transaction open, write the answer and what became of it at once."""

from dataclasses import dataclass
from typing import Final

import structlog
from pydantic import TypeAdapter

from wtai.ai import context, store
from wtai.ai.agent import Agent
from wtai.ai.execution import Call
from wtai.ai.llm import Llm, User, messages_to_json
from wtai.ai.llm import Message as Said
from wtai.ai.loop import Ending, Limits, Outcome, run
from wtai.ai.specialists import DEFAULT, prompt_id
from wtai.ai.store import AiResult
from wtai.ai.texts import apology
from wtai.ai.tools.tool import ToolContext
from wtai.clock import Clock
from wtai.conversation import lifecycle, outbox
from wtai.conversation import store as conversations
from wtai.conversation.model import Conversation, Message, State
from wtai.conversation.whatsapp import split, to_whatsapp
from wtai.db.tx import Database, OwnerTx
from wtai.errors import LlmRefused, LlmUnavailable, Retry, StaleVersion
from wtai.failpoints import failpoint, pass_failpoint
from wtai.identity.store import owner
from wtai.jobs.queue import Job

log = structlog.get_logger(__name__)

APOLOGIZE: Final = "apologize"
"""The kind of job that takes over from a dead turn; same payload."""

_DRAFTS: Final = 3
_NO_KEY_YET: Final = "missing_api_key"
_TAKES_TURNS: Final = frozenset({State.PENDING, State.PROGRESS, State.WAITING_USER})
_CALLS: Final = TypeAdapter(tuple[Call, ...])


@dataclass(frozen=True, slots=True)
class Owed:
    """What a turn answers, as read at one moment."""

    conversation: Conversation
    messages: tuple[Message, ...]
    history: tuple[Said, ...]
    locale: str

    @property
    def through(self) -> int:
        """The newest message the answer covers."""
        return self.messages[-1].id


class Turns:
    """Answers conversations with ``agents``."""

    def __init__(self, database: Database, llm: Llm, agents: dict[str, Agent], clock: Clock, limits: Limits) -> None:
        self._database = database
        self._llm = llm
        self._agents = agents
        self._clock = clock
        self._limits = limits

    async def handle(self, job: Job) -> None:
        """Answer everything the person wrote since the last answer.

        A message that arrives meanwhile voids the draft, which is then made again with it; the third draft goes out as it is.
        Retry while the model is unavailable or has no key yet.
        """
        for draft in range(1, _DRAFTS + 1):
            owed = await self._read(job)
            if owed is None:
                return
            result, text = await self._think(job, owed)
            try:
                await self._answer(job, owed, result, text, final=draft == _DRAFTS)
            except StaleVersion:
                log.info("turn.draft_void", conversation=owed.conversation.public_id, draft=draft)
            else:
                return

    async def apologize(self, job: Job) -> None:
        """Answer with the fallback text what a dead turn left unanswered, unless a later turn did."""
        owed = await self._read(job)
        if owed is not None:
            result = AiResult(owed.conversation.feature or DEFAULT, "failed", "", "")
            await self._answer(job, owed, result, apology(owed.locale), final=True)

    async def _read(self, job: Job) -> Owed | None:
        conversation_id = job.argument("conversation_id")
        owed = await self._database.read(job.owner_id, _owed, conversation_id)
        if owed is not None and owed.conversation.state is State.PENDING:
            owed = await self._database.write(job.owner_id, _begin, conversation_id, now=self._clock.now())
        return owed

    async def _think(self, job: Job, owed: Owed) -> tuple[AiResult, str]:
        """The turn's result and the text to send; the fallback text where the model has none or refuses."""
        agent = self._agents[owed.conversation.feature or DEFAULT]
        who = ToolContext(job.owner_id, owed.conversation.user_id, owed.conversation.id)
        users = [User(context.spoken(message)) for message in owed.messages]
        await pass_failpoint("turn.before_model")
        started = self._clock.monotonic()
        try:
            outcome = await run(self._llm, self._agents, agent.name, who, owed.history, users, self._limits)
        except LlmUnavailable as exc:
            raise Retry(f"model unavailable: {exc.code}", delay_ms=exc.retry_after_ms) from exc
        except LlmRefused as exc:
            log.error("turn.model_refused", code=exc.code, conversation=owed.conversation.public_id)  # noqa: TRY400
            if exc.code == _NO_KEY_YET:
                raise Retry(str(exc)) from exc
            return AiResult(agent.name, exc.code, "", prompt_id(agent)), apology(owed.locale)
        await pass_failpoint("turn.after_model")
        answered = outcome.ending is Ending.ANSWERED
        text = outcome.text if answered else apology(owed.locale)
        return self._result(outcome, round((self._clock.monotonic() - started) * 1000)), text

    def _result(self, outcome: Outcome, latency_ms: int) -> AiResult:
        return AiResult(
            feature=outcome.agent,
            outcome=outcome.ending,
            model=outcome.model,
            prompt_id=prompt_id(self._agents[outcome.agent]),
            exchange=messages_to_json(outcome.exchange),
            calls=_CALLS.dump_json(outcome.calls).decode(),
            requests=outcome.usage.requests,
            prompt_tokens=outcome.usage.prompt,
            cached_tokens=outcome.usage.cached,
            completion_tokens=outcome.usage.completion,
            latency_ms=latency_ms,
        )

    async def _answer(self, job: Job, owed: Owed, result: AiResult, text: str, *, final: bool) -> None:
        bodies = split(to_whatsapp(text))
        await self._database.write(job.owner_id, _commit, owed, result, bodies, final=final, now=self._clock.now())
        await pass_failpoint("turn.after_commit")


def _owed(tx: OwnerTx, conversation_id: int) -> Owed | None:
    conversation = conversations.conversation(tx, conversation_id)
    if conversation is None or conversation.state not in _TAKES_TURNS:
        return None
    messages = conversations.unanswered(tx, conversation)
    if not messages:
        return None
    skip = context.turns_left_out(store.count_turns(tx, conversation_id))
    turns = store.past_turns(tx, conversation_id, skip=skip)
    after = store.through_of_turn(tx, conversation_id, skip)
    said = context.history(turns, store.messages_after(tx, conversation_id, after)) if turns else ()
    return Owed(conversation, tuple(messages), said, owner(tx).locale)


def _begin(tx: OwnerTx, conversation_id: int, *, now: int) -> Owed | None:
    owed = _owed(tx, conversation_id)
    if owed is not None and owed.conversation.state is State.PENDING:
        lifecycle.move(tx, owed.conversation, State.PROGRESS, actor="agent", reason="turn started", now=now)
        owed = _owed(tx, conversation_id)
    return owed


def _commit(tx: OwnerTx, owed: Owed, result: AiResult, bodies: list[str], *, final: bool, now: int) -> None:
    """Answer, outbox, AI result and state in one transaction. StaleVersion if the conversation moved on, unless ``final``."""
    current = conversations.conversation(tx, owed.conversation.id)
    if current is None or current.state not in _TAKES_TURNS:
        return
    if current.version != owed.conversation.version and not final:
        raise StaleVersion(f"conversation {current.public_id} has moved on since its turn was read")
    result_id = store.insert_result(tx, current.id, owed.through, result, now=now)
    if result_id is None:
        return
    conversations.mark_answered(tx, current.id, owed.through, result.feature)
    if not any(message.id > owed.through for message in conversations.unanswered(tx, current)):
        lifecycle.move(tx, current, State.WAITING_USER, actor="agent", reason=result.outcome, now=now)
    outbox.put(tx, current, bodies, author="agent", ai_result_id=result_id, now=now)
    failpoint("turn.before_commit")
