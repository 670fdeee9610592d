"""The job that answers a conversation: read, think with no transaction open, write the answer and what became of it at once."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Final

import structlog

from wtai.ai import context, store, toolbox_store
from wtai.ai.llm import Assistant, User
from wtai.ai.memory.extraction import owe_extraction
from wtai.ai.memory.summaries import owe_summary_of_past
from wtai.ai.memory.window import Windows
from wtai.ai.owed import TAKES_TURNS, Owed, read_owed
from wtai.ai.specialists import DEFAULT
from wtai.ai.store import ASKED, CLOSED, HANDED_OVER, INTERRUPTED, NO_QUOTA, AiResult
from wtai.ai.texts import apology
from wtai.ai.thinking import Answer, Thinker, cut_off
from wtai.ai.toolbox import calls_of
from wtai.clock import MINUTE, Clock
from wtai.conversation import handoff, lifecycle, outbox, shortcuts
from wtai.conversation import store as conversations
from wtai.conversation.closure import Turn as LastWords
from wtai.conversation.inbox import owe_turn_still
from wtai.conversation.model import Conversation, Question, State
from wtai.conversation.shortcuts import Next, Step
from wtai.conversation.texts import texts
from wtai.conversation.whatsapp import split, to_whatsapp
from wtai.db.tx import Database, OwnerTx
from wtai.errors import StaleVersion, WtaiError
from wtai.failpoints import failpoint, pass_failpoint
from wtai.identity import quota
from wtai.identity.preferences import Preferences
from wtai.jobs.queue import GAVE_UP, Job

log = structlog.get_logger(__name__)

APOLOGIZE: Final = "apologize"
"""The kind of job that takes over from a dead turn; same payload."""

_DRAFTS: Final = 3
_TURNS_BETWEEN_EXTRACTIONS: Final = 10
_TYPING_AFTER_SECONDS: Final = 0.7
_TYPING_SECONDS: Final = 20.0  # the sign goes out after 25 s

ShowTyping = Callable[[int, Conversation, str], Awaitable[None]]
"""Shows the writer of a message (owner, conversation, the provider's id) that an answer is being written."""


class Turns:
    """Answers conversations with what ``thinker`` thinks. ``base`` is what holds for owners that chose nothing."""

    def __init__(self, database: Database, thinker: Thinker, clock: Clock, *, base: Preferences, show_typing: ShowTyping) -> None:
        self._database = database
        self._thinker = thinker
        self._clock = clock
        self._base = base
        self._show_typing = show_typing
        self._windows = Windows()

    async def handle(self, job: Job) -> None:
        """Answer everything the person wrote since the last answer.

        A message that arrives meanwhile voids the draft, which is then made again with it; the third draft goes out as it is.
        Retry while the model is unavailable or has no key yet.
        """
        for draft in range(1, _DRAFTS + 1):
            owed = await self._read(job, patient=draft == 1)
            if owed is None:
                return
            step = _step(owed)
            answer = _without_model(owed, step) or await self._out_of_quota(job, owed)
            if answer is None:
                async with self._typing(job, owed):
                    answer = await self._thinker.answer(job.owner_id, owed, step)
            try:
                await self._write(job, owed, replace(answer, closure=step.closure), final=draft == _DRAFTS)
            except StaleVersion:
                log.info("turn.draft_void", conversation=owed.conversation.public_id, draft=draft)
            else:
                return

    async def apologize(self, job: Job) -> None:
        """Answer for a dead turn, unless a later one did: a person is called where the model failed; where the program died
        under the turn, the user is asked to write again.
        """
        owed = await self._read(job)
        if owed is None:
            return
        feature = owed.conversation.feature or DEFAULT
        done = calls_of(await self._database.read(job.owner_id, toolbox_store.runs_of_turn, owed.conversation.id, owed.turn))
        if job.argument(GAVE_UP):
            failed = texts(owed.locale).failed
            answer = Answer(cut_off(feature, "failed", done), failed, State.HANDOFF, "the model does not answer")
        else:
            answer = Answer(cut_off(feature, INTERRUPTED, done), apology(owed.locale))
        await self._write(job, owed, answer, final=True)

    async def _read(self, job: Job, *, patient: bool = False) -> Owed | None:
        """What is owed. If ``patient``, nothing while the person may still be writing: then the turn is owed for later."""
        what = (job.argument("conversation_id"), self._base, self._windows)
        now = self._clock.now()
        owed = await self._database.read(job.owner_id, read_owed, *what, now=now)
        if patient and owed is not None and owed.starts_at > now:
            await self._database.write(job.owner_id, owe_turn_still, owed.conversation.id, run_at=owed.starts_at, now=now)
            return None
        if owed is not None and owed.conversation.state is State.PENDING:
            owed = await self._database.write(job.owner_id, _begin, *what, now=now)
        return owed

    async def _out_of_quota(self, job: Job, owed: Owed) -> Answer | None:
        """What the owner's plan wants done where it leaves no answer; None where it does."""
        if not owed.out_of_quota:
            return None
        user_id = owed.conversation.user_id
        verdict = await self._database.write(job.owner_id, quota.check, user_id, now=self._clock.now())
        if verdict.reached is None:
            return None
        if verdict.first:
            log.warning("quota.reached", owner=job.owner_id, quota=verdict.reached.quota)
        if verdict.allowed:
            return None
        result, reason = AiResult(owed.conversation.feature or DEFAULT, NO_QUOTA, "", ""), f"quota: {verdict.reached.quota}"
        if verdict.at_limit == "handoff":
            return Answer(result, "", State.HANDOFF, reason)
        return Answer(result, texts(owed.locale).at_limit, reason=reason)

    @asynccontextmanager
    async def _typing(self, job: Job, owed: Owed) -> AsyncIterator[None]:
        """Show that an answer is being written while the body runs, once it takes longer than a moment."""
        newest = owed.messages[-1].provider_sid
        showing = asyncio.create_task(self._keep_typing(job.owner_id, owed.conversation, newest)) if newest else None
        try:
            yield
        finally:
            if showing is not None:
                showing.cancel()
                await asyncio.wait({showing})

    async def _keep_typing(self, owner_id: int, conversation: Conversation, newest: str) -> None:
        await asyncio.sleep(_TYPING_AFTER_SECONDS)
        with suppress(WtaiError):  # a sign that could not be shown changes nothing
            while True:
                await self._show_typing(owner_id, conversation, newest)
                await asyncio.sleep(_TYPING_SECONDS)

    async def _write(self, job: Job, owed: Owed, answer: Answer, *, final: bool) -> None:
        await self._database.write(job.owner_id, _commit, owed, answer, final=final, now=self._clock.now())
        await pass_failpoint("turn.after_commit")


def _step(owed: Owed) -> Step:
    said = (
        LastWords(one.role, one.text)
        for one in owed.history[-6:]
        if isinstance(one, User | Assistant) and one.text and one.text not in context.NOTES
    )
    return shortcuts.step(owed.conversation, owed.messages, tuple(said)[-3:], owed.number, owed.chosen)


def _without_model(owed: Owed, step: Step) -> Answer | None:
    """The answer where the person's words decide it; None where a model has to be asked."""
    feature, words = owed.conversation.feature or DEFAULT, texts(owed.locale)
    match step.next:
        case Next.CALL_PERSON:
            return Answer(AiResult(feature, HANDED_OVER, "", ""), "", State.HANDOFF, step.reason)
        case Next.CLOSE:
            farewell = owed.chosen.farewell_text or words.farewell
            return Answer(AiResult(feature, CLOSED, "", ""), farewell, State.USER_CLOSED, step.reason)
        case Next.ASK_WHETHER_DONE:
            return Answer(AiResult(feature, ASKED, "", ""), words.may_close, reason=step.reason, question=Question.CLOSURE)
        case Next.THINK | Next.DO | Next.LEAVE:
            return None


def _begin(tx: OwnerTx, conversation_id: int, base: Preferences, windows: Windows, *, now: int) -> Owed | None:
    owed = read_owed(tx, conversation_id, base, windows, now=now)
    if owed is not None and owed.conversation.state is State.PENDING:
        lifecycle.move(tx, owed.conversation, State.PROGRESS, actor="agent", reason="turn started", now=now)
        owed = read_owed(tx, conversation_id, base, windows, now=now)
    return owed


def _commit(tx: OwnerTx, owed: Owed, answer: Answer, *, final: bool, now: int) -> None:
    """Answer, outbox, AI result and state in one transaction. StaleVersion if the conversation moved on, unless ``final``."""
    current = conversations.conversation(tx, owed.conversation.id)
    if current is None or current.state not in TAKES_TURNS or current.takeover_epoch != owed.conversation.takeover_epoch:
        return
    if owed.through <= current.answered_through:  # the person opted out meanwhile
        return
    if current.version != owed.conversation.version and not final:
        raise StaleVersion(f"conversation {current.public_id} has moved on since its turn was read")
    result_id = store.insert_result(tx, current.id, owed.through, answer.result, now=now)
    if result_id is None:
        return
    conversations.mark_answered(tx, current.id, owed.through)
    if answer.active is not None:
        conversations.set_feature(tx, current.id, answer.active)
    if answer.closure is not None:
        conversations.insert_closure(tx, current.id, owed.through, answer.closure, now=now)
    _conclude(tx, current, owed, answer, result_id, now)
    _remember(tx, current.id, owed.number, now)
    failpoint("turn.before_commit")


def _remember(tx: OwnerTx, conversation_id: int, turns: int, now: int) -> None:
    """Away from the turn: facts every ten turns, and a summary of what leaves the window. At the end ``after`` does the rest."""
    if turns % _TURNS_BETWEEN_EXTRACTIONS == 0:
        owe_extraction(tx, conversation_id, now=now)
    left_out = context.turns_left_out(turns)
    if left_out:
        owe_summary_of_past(tx, conversation_id, store.through_of_turn(tx, conversation_id, left_out), now=now)


def _conclude(tx: OwnerTx, current: Conversation, owed: Owed, answer: Answer, result_id: int, now: int) -> None:
    """Say it, and go where it leads. While newer messages wait, the conversation stays in progress: a turn is owed for them."""
    if answer.to is State.HANDOFF:
        text, reason = answer.text or None, answer.reason
        handoff.request(tx, current, owed.chosen, actor="agent", reason=reason, text=text, ai_result_id=result_id, now=now)
        return
    outbox.put(tx, current, split(to_whatsapp(answer.text)), author="agent", ai_result_id=result_id, now=now)
    newer = any(message.id > owed.through for message in conversations.unanswered(tx, current))
    # What was written before a question came does not answer it.
    question = None if newer else answer.question
    conversations.set_question(tx, current.id, question)
    if question is Question.ACTION:
        toolbox_store.ask_action(tx, current.id)
    else:
        toolbox_store.drop_action(tx, current.id)
    if newer:
        return
    idle_at = now + owed.chosen.idle_minutes * MINUTE if answer.to is State.WAITING_USER else None
    reason = answer.reason or answer.result.outcome
    actor = "user" if answer.to is State.USER_CLOSED else "agent"
    lifecycle.move(tx, current, answer.to, actor=actor, reason=reason, idle_at=idle_at, now=now)
