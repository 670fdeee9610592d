"""A message's way out: forward only, in whatever order words about it come, and never sent twice while its fate is unknown."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.schema import new_database
from wtai.conversation import outbox, outbox_store, store
from wtai.conversation.inbox import receive
from wtai.conversation.model import Inbound, Kind, OutboundMessage, Status, StatusUpdate, Template
from wtai.conversation.outbox import SEND, Absence, Step
from wtai.conversation.templates_store import set_template
from wtai.db.sqlite import SqliteConnection, connect
from wtai.db.tx import OwnerTx, SystemTx
from wtai.db.units import Statements
from wtai.errors import NotFound
from wtai.identity.preferences import Preferences
from wtai.identity.store import create_owner
from wtai.jobs.store import list_jobs

NOW = 1_800_000_000_000
APART_MS = 60_000
WAY = [
    {Status.QUEUED},
    {Status.SENDING, Status.UNKNOWN},
    {Status.SENT},
    {Status.FAILED, Status.UNDELIVERED, Status.CANCELED},
    {Status.DELIVERED},
    {Status.READ},
]
SAID = st.sampled_from([status for status in Status if status not in (Status.RECEIVED, Status.UNKNOWN)])


def stage(status: Status) -> int:
    return next(place for place, statuses in enumerate(WAY) if status in statuses)


class Desk:
    """Two owners with a conversation each, in one transaction that is never committed."""

    def __init__(self, connection: SqliteConnection) -> None:
        self.system = SystemTx(Statements(connection), set())
        for name in ("Casa", "Loja"):
            owner = create_owner(self.system, name, "pt-BR", now=NOW)
            tx = self.system.for_owner(owner.id)
            receive(tx, inbound(f"SMin{owner.id}"), Preferences(), now=NOW)
        self.system.run("DELETE FROM jobs")
        self.tx: OwnerTx = self.system.for_owner(1)

    def put(self, *bodies: str) -> list[int]:
        conversation = store.conversation(self.tx, 1)
        assert conversation is not None
        before = {row["id"] for row in self.tx.all("SELECT id FROM messages")}
        outbox.put(self.tx, conversation, bodies, author="agent", ai_result_id=None, now=NOW)
        return [row["id"] for row in self.tx.all("SELECT id FROM messages ORDER BY id") if row["id"] not in before]

    def message(self, message_id: int) -> OutboundMessage:
        found = outbox_store.outbound(self.tx, message_id)
        assert found is not None
        return found

    def sending(self) -> int:
        """A message whose call to the provider has started."""
        (message_id,) = self.put("olá")
        assert outbox.start(self.tx, message_id, now=NOW).step is Step.CALL
        return message_id

    def unknown(self) -> int:
        """A message whose call ended without an outcome."""
        message_id = self.sending()
        outbox.unknown(self.tx, message_id, now=NOW)
        return message_id

    def hear(self, message_id: int, status: Status, *, sid: str = "SM1", by_sid: bool = False) -> bool:
        public = None if by_sid else self.message(message_id).public_id
        return outbox.update_status(self.tx, StatusUpdate(sid, status, public), now=NOW)

    def absent(self, message_id: int, now: int) -> Absence:
        return outbox.absent(self.tx, message_id, apart_ms=APART_MS, now=now)


def inbound(sid: str) -> Inbound:
    them = "whatsapp:+5511987654321"
    return Inbound("whatsapp", sid, "whatsapp:+551140001234", them, (them,), (), Kind.TEXT, "oi")


@pytest.fixture(scope="module")
def open_desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], "contextmanager[Desk]"]]:
    path = Path(tmp_path_factory.mktemp("outbox")) / "wtai.db"
    new_database(path)
    with closing(connect(path)) as connection:

        @contextmanager
        def opened() -> Iterator[Desk]:
            connection.execute("BEGIN IMMEDIATE")
            try:
                connection.execute("DELETE FROM sqlite_sequence")
                yield Desk(connection)
            finally:
                connection.execute("ROLLBACK")

        yield opened


@pytest.fixture
def desk(open_desk: Callable[[], "contextmanager[Desk]"]) -> Iterator[Desk]:
    with open_desk() as opened:
        yield opened


def test_messages_are_queued_in_order_behind_one_another_with_a_job_each(desk: Desk) -> None:
    first, second = desk.put("um", "dois")
    rows = [row for row in list_jobs(desk.system, state=None, limit=10) if row.kind == SEND]
    assert [(row.state, row.key) for row in rows] == [("ready", "send:1"), ("waiting", "send:1")]
    assert [desk.message(each).status for each in (first, second)] == [Status.QUEUED, Status.QUEUED]


def test_a_message_is_marked_before_the_call_and_called_once(desk: Desk) -> None:
    message_id = desk.sending()
    assert desk.message(message_id).status is Status.SENDING
    outbox.accepted(desk.tx, message_id, "SM1", now=NOW)
    assert outbox.start(desk.tx, message_id, now=NOW).step is Step.NOTHING
    assert (desk.message(message_id).status, desk.message(message_id).provider_sid) == (Status.SENT, "SM1")


def test_whoever_finds_a_message_in_the_middle_of_a_call_must_find_out_first(desk: Desk) -> None:
    message_id = desk.sending()
    assert outbox.start(desk.tx, message_id, now=NOW).step is Step.FIND_OUT
    assert desk.message(message_id).status is Status.UNKNOWN
    assert outbox.start(desk.tx, message_id, now=NOW).step is Step.FIND_OUT


def test_what_was_not_accepted_may_be_sent_again_and_what_was_refused_may_not(desk: Desk) -> None:
    message_id = desk.sending()
    outbox.not_accepted(desk.tx, message_id, now=NOW)
    assert outbox.start(desk.tx, message_id, now=NOW).step is Step.CALL
    outbox.failed(desk.tx, message_id, 21610, None, now=NOW)
    assert outbox.start(desk.tx, message_id, now=NOW).step is Step.NOTHING
    code = desk.tx.all("SELECT error_code FROM messages WHERE id = :id", id=message_id)[0][0]
    assert (desk.message(message_id).status, code) == (Status.FAILED, 21610)


def test_what_nobody_tries_any_more_has_failed_until_somebody_does_and_what_may_have_been_sent_is_unknown(desk: Desk) -> None:
    message_id = desk.sending()
    outbox.not_accepted(desk.tx, message_id, now=NOW)
    outbox.abandon(desk.tx, message_id, now=NOW)
    assert desk.message(message_id).status is Status.FAILED
    assert outbox.start(desk.tx, message_id, now=NOW).step is Step.CALL
    outbox.abandon(desk.tx, message_id, now=NOW)
    assert desk.message(message_id).status is Status.UNKNOWN
    assert outbox.start(desk.tx, message_id, now=NOW).step is Step.FIND_OUT


def test_a_message_of_another_owner_is_no_message(desk: Desk) -> None:
    message_id = desk.sending()
    public = desk.message(message_id).public_id
    other = desk.system.for_owner(2)
    with pytest.raises(NotFound):
        outbox.start(other, message_id, now=NOW)
    assert not outbox.update_status(other, StatusUpdate("SM1", Status.READ, public), now=NOW)
    outbox.failed(other, message_id, 1, None, now=NOW)
    assert desk.message(message_id).status is Status.SENDING


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(said=st.lists(st.tuples(SAID, st.booleans()), min_size=1, max_size=8), accepted_at=st.integers(0, 8))
def test_words_about_a_message_move_it_forward_only_in_any_order(
    open_desk: Callable[[], "contextmanager[Desk]"], said: Sequence[tuple[Status, bool]], accepted_at: int
) -> None:
    with open_desk() as desk:
        message_id = desk.sending()
        reached = [stage(Status.SENDING)]
        for place, (status, by_sid) in enumerate([*said, (said[0][0], False)]):
            if place == accepted_at:
                outbox.accepted(desk.tx, message_id, "SM1", now=NOW)
                reached.append(stage(desk.message(message_id).status))
            known = desk.hear(message_id, status, by_sid=by_sid and desk.message(message_id).provider_sid is not None)
            assert known
            reached.append(stage(desk.message(message_id).status))
        assert reached == sorted(reached)
        assert reached[-1] == max(stage(Status.SENT), *(stage(status) for status, _ in said))
        assert desk.message(message_id).provider_sid == "SM1"
        assert outbox.start(desk.tx, message_id, now=NOW).step is Step.NOTHING


@pytest.mark.parametrize("status", [Status.QUEUED, Status.SENDING, Status.SENT, Status.DELIVERED, Status.READ])
def test_any_callback_settles_an_unknown_outcome(desk: Desk, status: Status) -> None:
    message_id = desk.unknown()
    assert desk.hear(message_id, status)
    assert stage(desk.message(message_id).status) == max(stage(Status.SENT), stage(status))
    assert desk.message(message_id).provider_sid == "SM1"
    assert desk.absent(message_id, NOW) is Absence.SETTLED


def test_a_callback_that_overtakes_the_end_of_its_call_is_not_undone(desk: Desk) -> None:
    message_id = desk.sending()
    desk.hear(message_id, Status.DELIVERED)
    outbox.unknown(desk.tx, message_id, now=NOW)
    outbox.accepted(desk.tx, message_id, "SM1", now=NOW)
    assert desk.message(message_id).status is Status.DELIVERED


def test_a_callback_about_another_call_or_another_message_changes_nothing(desk: Desk) -> None:
    message_id = desk.sending()
    outbox.accepted(desk.tx, message_id, "SM1", now=NOW)
    assert not desk.hear(message_id, Status.FAILED, sid="SM2")
    assert not outbox.update_status(desk.tx, StatusUpdate("SM3", Status.FAILED, "msg_of_nobody"), now=NOW)
    assert not outbox.update_status(desk.tx, StatusUpdate("SMin1", Status.FAILED), now=NOW), "that one came in"
    assert desk.message(message_id).status is Status.SENT


def test_a_code_of_the_provider_is_kept(desk: Desk) -> None:
    message_id = desk.sending()
    outbox.accepted(desk.tx, message_id, "SM1", now=NOW)
    update = StatusUpdate("SM1", Status.UNDELIVERED, desk.message(message_id).public_id, 63016)
    assert outbox.update_status(desk.tx, update, now=NOW)
    assert desk.tx.all("SELECT error_code FROM messages WHERE id = :id", id=message_id)[0][0] == 63016


def test_what_two_listings_apart_do_not_have_is_sent_again_once(desk: Desk) -> None:
    message_id = desk.unknown()
    assert desk.absent(message_id, NOW) is Absence.ASK_AGAIN
    assert desk.absent(message_id, NOW + APART_MS - 1) is Absence.ASK_AGAIN, "too soon to count"
    assert desk.absent(message_id, NOW + APART_MS) is Absence.RESEND
    assert outbox.start(desk.tx, message_id, now=NOW + APART_MS).step is Step.CALL

    outbox.unknown(desk.tx, message_id, now=NOW + APART_MS)
    later = NOW + 10 * APART_MS
    assert desk.absent(message_id, later) is Absence.ASK_AGAIN, "the listings before the second call count no more"
    assert desk.absent(message_id, later + APART_MS) is Absence.GIVE_UP
    assert desk.message(message_id).status is Status.UNKNOWN
    assert desk.absent(message_id, later + 9 * APART_MS) is Absence.GIVE_UP


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(gaps=st.lists(st.integers(0, 2 * APART_MS), max_size=12))
def test_however_often_it_is_asked_a_message_is_called_twice_at_most(
    open_desk: Callable[[], "contextmanager[Desk]"], gaps: list[int]
) -> None:
    with open_desk() as desk:
        message_id, calls, now = desk.unknown(), 1, NOW
        for gap in gaps:
            now += gap
            if desk.absent(message_id, now) is Absence.RESEND:
                assert outbox.start(desk.tx, message_id, now=now).step is Step.CALL
                calls += 1
                outbox.unknown(desk.tx, message_id, now=now)
            assert outbox.start(desk.tx, message_id, now=now).step is Step.FIND_OUT
        assert calls <= 2


def test_a_callback_between_the_decision_to_send_again_and_the_call_prevents_it(desk: Desk) -> None:
    message_id = desk.unknown()
    desk.absent(message_id, NOW)
    assert desk.absent(message_id, NOW + APART_MS) is Absence.RESEND
    desk.hear(message_id, Status.SENT)
    assert outbox.start(desk.tx, message_id, now=NOW + APART_MS).step is Step.NOTHING


def test_only_what_belongs_to_no_message_yet_can_be_adopted(desk: Desk) -> None:
    taken = desk.sending()
    outbox.accepted(desk.tx, taken, "SM1", now=NOW)
    message_id = desk.unknown()
    found = outbox.candidates(desk.tx, desk.message(message_id), ["SM1", "SM2", "SMin1"], NOW + 1)
    assert found == outbox.Candidates(("SM2",), rival=False)
    outbox.accepted(desk.tx, message_id, "SM2", now=NOW)
    assert (desk.message(message_id).status, desk.message(message_id).provider_sid) == (Status.SENT, "SM2")
    assert outbox.candidates(desk.tx, desk.message(message_id), ["SM2"], NOW + 1).provider_sids == ()


def test_two_unknown_messages_alike_are_rivals_for_what_is_listed(desk: Desk) -> None:
    first, second = desk.unknown(), desk.unknown()
    for message_id in (first, second):
        assert outbox.candidates(desk.tx, desk.message(message_id), ["SM1"], NOW - 1).rival


def test_one_whose_call_is_under_way_is_a_rival_too(desk: Desk) -> None:
    message_id = desk.unknown()
    assert not outbox.candidates(desk.tx, desk.message(message_id), ["SM1"], NOW - 1).rival
    desk.sending()
    assert outbox.candidates(desk.tx, desk.message(message_id), ["SM1"], NOW - 1).rival


@pytest.mark.parametrize(("locale", "word"), [("pt-BR", "modelo"), ("es", "plantilla"), ("en", "template")])
def test_a_template_reads_as_its_name_and_what_was_put_in_by_number(desk: Desk, locale: str, word: str) -> None:
    desk.tx.run("UPDATE owners SET locale = :locale WHERE id = :owner", locale=locale)
    named, unnamed = "HX" + "a" * 32, "HX" + "b" * 32
    set_template(desk.tx, "retorno", "pt-BR", named, now=NOW)
    set_template(desk.system.for_owner(2), "alheio", "pt-BR", unnamed, now=NOW)
    values = {"10": "às dez", "dia": "hoje", "2": "amanhã", "1": "Ana"}
    conversation = store.conversation(desk.tx, 1)
    assert conversation is not None
    for template in (Template(named, json.dumps(values)), Template(named), Template(unnamed)):
        outbox.put_template(desk.tx, conversation, template, now=NOW)
    written = [row["body"] for row in desk.tx.all("SELECT body FROM messages WHERE content_sid IS NOT NULL ORDER BY id")]
    assert written == [f"[{word} retorno: Ana; amanhã; às dez; hoje]", f"[{word} retorno]", f"[{word} {unnamed}]"]


def test_what_a_template_is_listed_with_may_be_any_messages(desk: Desk) -> None:
    """What we read in its place is not what the person reads."""
    conversation = store.conversation(desk.tx, 1)
    assert conversation is not None
    desk.unknown()
    outbox.put_template(desk.tx, conversation, Template("HX" + "a" * 32, '{"1": "Ana"}'), now=NOW)
    (newest,) = desk.tx.all("SELECT max(id) AS id FROM messages")
    message_id = newest["id"]
    outbox.start(desk.tx, message_id, now=NOW)
    outbox.unknown(desk.tx, message_id, now=NOW)
    assert outbox.candidates(desk.tx, desk.message(message_id), ["SM1"], NOW - 1).rival


def test_a_late_callback_about_the_first_call_is_not_undone_by_the_end_of_the_second(desk: Desk) -> None:
    message_id = desk.unknown()
    desk.absent(message_id, NOW)
    assert desk.absent(message_id, NOW + APART_MS) is Absence.RESEND
    outbox.start(desk.tx, message_id, now=NOW + APART_MS)
    desk.hear(message_id, Status.DELIVERED)  # the first call was accepted after all
    outbox.not_accepted(desk.tx, message_id, now=NOW + APART_MS)  # the second one was throttled
    assert desk.message(message_id).status is Status.DELIVERED
    assert outbox.start(desk.tx, message_id, now=NOW + APART_MS).step is Step.NOTHING


def test_what_was_delivered_did_not_fail(desk: Desk) -> None:
    message_id = desk.sending()
    desk.hear(message_id, Status.DELIVERED)
    outbox.failed(desk.tx, message_id, 20500, None, now=NOW)
    assert desk.message(message_id).status is Status.DELIVERED
