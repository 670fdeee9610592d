"""People, the program, the provider and the clock, taking steps in any order.

The real units of work over real SQLite, one after the other, as the single writer runs them; what is under way between two
awaits is held in ``Thinking`` and ``Sending`` until a rule goes on with it, or a crash loses it.
"""

import itertools
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import cast

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.fakes import ManualClock
from tests.faults.lifecycle_promises import ALLOWED, FINAL, Lane, Promises, Units
from wtai.ai import turn
from wtai.ai.memory.window import Windows
from wtai.ai.owed import Owed, read_owed
from wtai.ai.store import AiResult
from wtai.ai.thinking import Answer, failed
from wtai.ai.turn import APOLOGIZE
from wtai.clock import DAY, HOUR
from wtai.conversation import handoff, inbox, lifecycle, outbox, store, timeouts
from wtai.conversation.inbox import TURN
from wtai.conversation.model import Conversation, Inbound, Kind, Question, State, Status, StatusUpdate, Template
from wtai.conversation.outbox import SEND
from wtai.db.sqlite import driver
from wtai.db.tx import Database, OwnerTx
from wtai.errors import InvalidTransition, StaleVersion
from wtai.identity.preferences import Preferences
from wtai.jobs.queue import Job
from wtai.jobs.sqlite import SqliteQueue

BASE = Preferences(expires_in_handoff=False, farewell_on_timeout=True, handoff_after_failures=2)
RECONCILE_MS = 60_000
LANES: list[Lane] = [("whatsapp:+5511980000001", "whatsapp:+551130000001"), ("whatsapp:+5511980000001", "whatsapp:+551130000002")]
LANES += [("whatsapp:+5511980000002", "whatsapp:+551130000001")]
WORDS = ["oi", "quero dois pães", "e", "obrigado", "sim", "tchau"]
SAID = st.sampled_from([*WORDS * 3, "sair", "START", "começar"])
TOLD = st.sampled_from([*[None] * 20, "STOP", "START", "HELP"])
ANSWERS = st.sampled_from(["answer", "answer", "answer", "ask", "close", "call", "fail"])
STAFF = ["take over", "take over", "reply", "reply", "resume", "resume", "resume", "close", "template"]
OUTCOMES = st.sampled_from(["taken", "taken", "taken", "429", "429", "rejected", "window", "opted_out", "lost", "lost but taken"])
CALLBACKS = [Status.SENT, Status.DELIVERED, Status.READ, Status.FAILED, Status.UNDELIVERED]


@dataclass
class Thinking:
    """A turn between two awaits."""

    job: Job
    draft: int = 1
    owed: Owed | None = None


@dataclass
class Sending:
    """A send between two awaits: ``called`` once the provider is being called."""

    job: Job
    message_id: int
    called: bool = False


class LifecycleMachine(RuleBasedStateMachine):
    """``units`` are shared by all runs, each of which starts with nobody; ``steps`` counts rules over all of them."""

    units: Units
    steps: "itertools.count[int]"

    @initialize()
    def start(self) -> None:
        self.model = Promises(self.units)
        self.clock = ManualClock()
        self.thinking: list[Thinking] = []
        self.sending: list[Sending] = []
        self.posts: list[tuple[Inbound, Lane]] = []
        self.remembered: list[Conversation] = []
        self.lives = 0
        self.units.empty()
        self.crash()

    # What comes in

    @rule(lane=st.sampled_from(LANES), body=SAID, told=TOLD)
    def somebody_writes(self, lane: Lane, body: str, told: str | None) -> None:
        self.write(lane, body, told)

    def write(self, lane: Lane, body: str, told: str | None) -> None:
        details: dict[str, object] = {"opt_out": told} if told else {}
        sid = f"SM{len(self.posts):032x}"
        inbound = Inbound("whatsapp", sid, lane[1], lane[0], (lane[0],), (), Kind.TEXT, body, details=details)
        received = self.units.write(inbox.receive, inbound, BASE, now=self.clock.now())
        assert received.new
        assert received.conversation_id is not None
        self.posts.append((inbound, lane))
        self.model.heard_at[received.conversation_id] = self.clock.now()
        if told == "STOP" or body == "sair":
            self.model.opted_out.add(lane)
        elif told == "START" or body in ("START", "começar"):
            self.model.opted_out.discard(lane)

    @precondition(lambda self: any(one.owed for one in self.thinking))
    @rule(data=st.data(), body=SAID)
    def write_into_a_turn(self, data: st.DataObject, body: str) -> None:
        thought = data.draw(st.sampled_from([one.owed for one in self.thinking if one.owed]))
        self.write(self.model.lanes[thought.conversation.id], body, None)

    @precondition(lambda self: self.posts)
    @rule(data=st.data(), what=st.sampled_from(["post", "open", "move", "move"]))
    def try_what_changes_nothing(self, data: st.DataObject, what: str) -> None:
        if what == "post":
            self.post_again(data)
        elif what == "open":
            self.open_a_second_conversation(data)
        else:
            self.remember(data)
            self.move_from_what_is_remembered(data)

    def post_again(self, data: st.DataObject) -> None:
        inbound, _ = data.draw(st.sampled_from(self.posts))
        before = self.units.rows("SELECT * FROM conversations") + self.units.rows("SELECT * FROM jobs")
        assert not self.units.write(inbox.receive, inbound, BASE, now=self.clock.now()).new
        assert self.units.rows("SELECT * FROM conversations") + self.units.rows("SELECT * FROM jobs") == before

    def open_a_second_conversation(self, data: st.DataObject) -> None:
        """As someone would who does not see the open one: two programs on one file, a changed query."""
        inbound, lane = data.draw(st.sampled_from(self.posts))
        now = self.clock.now()
        taken = [c for c, state in self.model.states.items() if self.model.lanes[c] == lane and state not in FINAL]
        (row,) = self.units.rows("SELECT user_id FROM user_addresses WHERE address = :address", address=lane[0])
        if taken:
            with suppress(driver.IntegrityError):
                self.units.write(store.insert_conversation, row["user_id"], inbound, expires_at=now + DAY, now=now)

    # What the program does

    def claim(self, limit: int) -> None:
        jobs, _ = self.units.system(self.queue._claim, limit, 0)
        for job in jobs:
            if job.kind not in {SEND, TURN, APOLOGIZE}:  # what is remembered afterwards is not looked at here
                self.units.system(self.queue._complete, [job])
            elif job.kind == SEND:
                self.sending.append(Sending(job, job.argument("message_id")))
            else:
                self.thinking.append(Thinking(job))

    @rule(data=st.data(), awaits=st.integers(1, 3))
    def get_on(self, data: st.DataObject, awaits: int) -> None:
        """The next awaits of what is under way, or the next jobs."""
        self.get_on_with(data, awaits)

    def get_on_with(self, data: st.DataObject, awaits: int) -> None:
        for _ in range(awaits):
            under_way = [*self.thinking, *self.sending]
            if not under_way:
                self.clock.advance(BASE.burst_quiet_ms)
                self.claim(4)
                continue
            match data.draw(st.sampled_from(under_way)):
                case Thinking() as thought:
                    self.go_on_thinking(thought, data.draw(ANSWERS))
                case Sending() as send:
                    self.go_on_sending(send, data.draw(OUTCOMES))
            self.model.check()

    @rule(data=st.data())
    def get_on_alone(self, data: st.DataObject) -> None:
        """As far as it goes before anything else happens."""
        self.get_on_with(data, 12)

    @precondition(lambda self: any(one.owed for one in self.thinking))
    @rule(data=st.data(), dies=st.booleans())
    def fail_to_think(self, data: st.DataObject, dies: bool) -> None:
        one = data.draw(st.sampled_from([one for one in self.thinking if one.owed]))
        self.thinking.remove(one)
        if dies:
            self.units.system(self.queue._bury, one.job, "no")
        else:
            self.units.system(self.queue._retry, one.job, self.clock.now() + 1_000, "again", True)

    def go_on_thinking(self, one: Thinking, answer: str) -> None:
        if one.owed is None:
            self.read(one)
        else:
            self.commit(one, one.owed, answer)

    def read(self, one: Thinking) -> None:
        conversation_id = one.job.argument("conversation_id")
        one.owed = self.units.write(read_owed, conversation_id, BASE, Windows(), now=self.clock.now())
        if one.owed is not None and one.owed.conversation.state is State.PENDING:
            one.owed = self.units.write(turn._begin, conversation_id, BASE, Windows(), now=self.clock.now())
        if one.owed is None:
            self.finish(one)

    def commit(self, one: Thinking, owed: Owed, kind: str) -> None:
        apology = one.job.kind == APOLOGIZE
        final = apology or one.draft == turn._DRAFTS
        (before,) = self.units.rows("SELECT * FROM conversations WHERE id = :id", id=owed.conversation.id)
        try:
            self.units.write(turn._commit, owed, answer_of(owed, "call" if apology else kind), final=final, now=self.clock.now())
        except StaleVersion:
            assert not final
            one.draft, one.owed = one.draft + 1, None
            return
        if self.units.rows("SELECT 1 FROM ai_results WHERE through_message_id = :id", id=owed.through):
            covered = {message.id for message in owed.messages}
            assert covered.isdisjoint(self.model.answered), "answered twice"
            assert min(covered) > before["answered_through"], "answered what somebody else had answered"
            assert before["takeover_epoch"] == owed.conversation.takeover_epoch, "an answer from before a person stepped in"
            assert final or before["version"] == owed.conversation.version, "an answer to what is no longer the whole question"
            self.model.answered |= covered
        self.finish(one)

    def finish(self, one: Thinking) -> None:
        self.thinking.remove(one)
        assert self.units.system(self.queue._complete, [one.job]) == []

    # What goes out

    def go_on_sending(self, one: Sending, outcome: str) -> None:
        if one.called:
            self.end_call(one, outcome)
            return
        due = self.units.write(outbox.start, one.message_id, now=self.clock.now())
        if due.step is outbox.Step.CALL:
            self.model.may_go_out(one.message_id, self.clock.now())
            one.called = True
        elif due.step is outbox.Step.FIND_OUT:
            self.find_out(one)
        else:
            self.end_send(one)

    def end_call(self, one: Sending, outcome: str) -> None:
        now, message_id = self.clock.now(), one.message_id
        if outcome in ("taken", "lost but taken"):
            self.model.taken[message_id] = f"SM{message_id:031x}f"
        if outcome == "taken":
            self.units.write(outbox.accepted, message_id, self.model.taken[message_id], now=now)
        elif outcome == "429":
            self.units.write(outbox.not_accepted, message_id, now=now)
        elif outcome in ("lost", "lost but taken"):
            self.units.write(outbox.unknown, message_id, now=now)
        else:
            held_back = outcome if outcome != "rejected" else None
            self.units.write(outbox.failed, message_id, 21610, held_back, now=now)
        if outcome == "opted_out":
            self.model.opts_out(message_id)
        if outcome in ("429", "lost", "lost but taken"):
            self.send_again(one)
        else:
            self.end_send(one)

    def find_out(self, one: Sending) -> None:
        now, sid = self.clock.now(), self.model.taken.get(one.message_id)
        if sid is not None:
            self.units.write(outbox.accepted, one.message_id, sid, now=now)
            self.end_send(one)
            return
        match self.units.write(outbox.absent, one.message_id, apart_ms=RECONCILE_MS, now=now):
            case outbox.Absence.ASK_AGAIN | outbox.Absence.RESEND:
                self.send_again(one)
            case _:
                self.end_send(one)

    def send_again(self, one: Sending) -> None:
        self.sending.remove(one)
        assert self.units.system(self.queue._retry, one.job, self.clock.now(), "again", False)

    def end_send(self, one: Sending) -> None:
        self.sending.remove(one)
        assert self.units.system(self.queue._complete, [one.job]) == []

    @precondition(lambda self: self.model.taken)
    @rule(data=st.data(), status=st.sampled_from(CALLBACKS), held_back=st.sampled_from([None, "window", "opted_out"]))
    def call_back(self, data: st.DataObject, status: Status, held_back: str | None) -> None:
        message_id = data.draw(st.sampled_from(sorted(self.model.taken)))
        (before,) = self.units.rows("SELECT public_id, status FROM messages WHERE id = :id", id=message_id)
        held_back = held_back if status in (Status.FAILED, Status.UNDELIVERED) else None
        update = StatusUpdate(self.model.taken[message_id], status, before["public_id"], held_back=held_back)
        assert self.units.write(outbox.update_status, update, now=self.clock.now())
        (row,) = self.units.rows("SELECT status, parked FROM messages WHERE id = :id", id=message_id)
        # One that comes again says nothing new: the person may have written START since.
        if held_back and before["status"] != row["status"] == status and row["parked"] == "opted_out":
            self.model.opts_out(message_id)

    # What people and timers do

    @precondition(lambda self: self.model.states)
    @rule(data=st.data(), act=st.sampled_from(STAFF))
    def step_in(self, data: st.DataObject, act: str) -> None:
        final = [conversation for conversation, state in self.model.states.items() if state in FINAL]
        conversation_id = data.draw(st.sampled_from(sorted(self.model.states.keys() - final) + final[-1:]))
        state = self.model.states[conversation_id]
        acts: dict[str, Callable[[OwnerTx, Conversation], object]] = {
            "take over": lambda tx, read: handoff.take_over(tx, read, now=self.clock.now()),
            "reply": lambda tx, read: handoff.reply(tx, read, ["aqui é a Bia"], now=self.clock.now()),
            "resume": lambda tx, read: handoff.resume(tx, read, BASE, now=self.clock.now()),
            "close": lambda tx, read: handoff.close(tx, read, now=self.clock.now()),
            "template": lambda tx, read: handoff.send_template(tx, read, Template("HX" + "a" * 32), now=self.clock.now()),
        }

        def unit(tx: OwnerTx) -> None:
            read = store.conversation(tx, conversation_id)
            assert read is not None
            acts[act](tx, read)

        if act != "template" and (state in FINAL or (act == "resume" and state != "HANDOFF")):
            with pytest.raises(InvalidTransition):
                self.units.write(unit)
        else:
            self.units.write(unit)

    def remember(self, data: st.DataObject) -> None:
        read = self.units.write(store.conversation, data.draw(st.sampled_from(sorted(self.model.states))))
        assert read is not None
        self.remembered = [*self.remembered[-2:], read]

    def move_from_what_is_remembered(self, data: st.DataObject) -> None:
        """What was read a while ago decides nothing that has changed since; the attempt itself is undone."""
        read, to = data.draw(st.sampled_from(self.remembered)), data.draw(st.sampled_from(State))
        allowed = to in ALLOWED[read.state]
        fresh = self.model.versions[read.id] == read.version

        def unit(tx: OwnerTx) -> None:
            lifecycle.move(tx, read, to, actor="staff", reason="test", now=self.clock.now())
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError if allowed and fresh else StaleVersion if allowed else InvalidTransition):
            self.units.write(unit)

    @rule()
    def sweep(self) -> None:
        idle = {row["id"] for row in self.units.rows("SELECT id FROM conversations WHERE idle_at <= :now", now=self.clock.now())}
        before = dict(self.model.states)
        self.units.system(timeouts._strike, BASE, now=self.clock.now())
        for row in self.units.rows("SELECT id, state, expires_at FROM conversations"):
            if row["state"] == "IDLE_TIMEOUT" and before[row["id"]] != "IDLE_TIMEOUT":
                assert row["id"] in idle
                assert before[row["id"]] == "WAITING_USER"
            if row["state"] == "EXPIRED" and before[row["id"]] != "EXPIRED":
                assert row["expires_at"] <= self.clock.now()
                assert before[row["id"]] != "HANDOFF"

    @rule(milliseconds=st.sampled_from([500, 2_000, RECONCILE_MS, HOUR]))
    def let_time_pass(self, milliseconds: int) -> None:
        self.clock.advance(milliseconds)

    @rule(data=st.data())
    def the_clock_jumps_or_the_program_dies(self, data: st.DataObject) -> None:
        """Seldom: after most of them there is little left to go wrong."""
        match data.draw(st.integers(0, 9)):
            case 0:
                self.clock.advance(data.draw(st.sampled_from([-30, -2, 12, 25])) * HOUR)
            case 1:
                self.crash()

    def crash(self) -> None:
        """Everything under way is lost, in the provider's hands or not; the next life takes the jobs over."""
        for one in self.sending:
            if one.called and one.message_id % 2:
                self.model.taken[one.message_id] = f"SM{one.message_id:031x}f"
        self.thinking, self.sending = [], []
        self.lives += 1
        self.units.reopen()
        database = cast("Database", None)  # its moves are called as units of work here
        worker, after_death = f"life {self.lives}", {TURN: APOLOGIZE}
        self.queue = SqliteQueue(database, self.clock, worker=worker, lease_ms=365 * DAY, after_death=after_death)
        self.units.system(self.queue._reap, True)

    # What holds at any time

    @invariant()
    def every_promise_is_kept(self) -> None:
        next(self.steps)
        self.model.check()

    def teardown(self) -> None:
        """Liveness: once nothing fails any more, every message is answered or in a person's hands."""
        self.crash()
        self.clock.advance(100 * DAY)  # as far as the clock may have jumped back
        while jobs := self.units.system(self.queue._claim, 16, 0)[0]:
            self.work_off(jobs)
            self.model.check()
            self.clock.advance(2 * RECONCILE_MS)
        assert not self.units.rows("SELECT * FROM jobs WHERE state <> 'dead'")
        left = [conversation for conversation, state in self.model.states.items() if state == "PROGRESS"]
        dead = self.units.rows("SELECT key FROM jobs WHERE kind = 'apologize'")  # its worker died under it, too
        assert {f"conversation:{conversation}" for conversation in left} <= {row["key"] for row in dead}

    def work_off(self, jobs: list[Job]) -> None:
        for job in jobs:
            self.model.check()
            if job.kind not in {SEND, TURN, APOLOGIZE}:
                self.units.system(self.queue._complete, [job])
            elif job.kind == SEND:
                one = Sending(job, job.argument("message_id"))
                self.sending.append(one)
                while one in self.sending:
                    self.finish_send(one)
            else:
                thought = Thinking(job)
                self.thinking.append(thought)
                self.read(thought)
                if thought.owed is not None:
                    self.commit(thought, thought.owed, "answer")

    def finish_send(self, one: Sending) -> None:
        due = self.units.write(outbox.start, one.message_id, now=self.clock.now())
        if due.step is outbox.Step.CALL:
            self.model.may_go_out(one.message_id, self.clock.now())
            self.model.check()
            self.end_call(one, "taken")
        elif due.step is outbox.Step.FIND_OUT:
            self.find_out(one)
        else:
            self.end_send(one)


def answer_of(owed: Owed, kind: str) -> Answer:
    """What a turn may come to."""
    result = AiResult("general", "answered", "m", "p")
    match kind:
        case "ask":
            return Answer(result, "Posso encerrar?", question=Question.CLOSURE)
        case "close":
            return Answer(result, "Até logo!", State.USER_CLOSED, "said goodbye")
        case "call":
            return Answer(result, "", State.HANDOFF, "asked for a person")
        case "fail":
            return failed(owed, AiResult("general", "empty", "m", "p"))
        case _:
            return Answer(result, "claro")
