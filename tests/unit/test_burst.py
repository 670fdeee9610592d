"""How long an answer waits for more of the same thought."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.schema import new_database
from wtai.clock import SECOND
from wtai.conversation import inbox, store
from wtai.conversation.burst import LONGEST_QUIET_MS, quiet_after, quiet_from
from wtai.conversation.model import Inbound, InboundMedia, Kind
from wtai.db.sqlite import SqliteConnection, connect
from wtai.db.tx import OwnerTx, SystemTx
from wtai.db.units import Statements
from wtai.identity.preferences import Preferences
from wtai.identity.store import create_owner

QUIET_MS = 1_500
START = 1_800_000_000_000


def heard(body: str, kind: Kind = Kind.TEXT, number: int = 0) -> Inbound:
    media = (InboundMedia("https://example.test/m", "audio/ogg"),) if kind is Kind.AUDIO else ()
    address = "whatsapp:+5511980000001"
    return Inbound("whatsapp", f"SM{number:032x}", "whatsapp:+551130000001", address, (address,), (), kind, body, media=media)


def test_after_a_sentence_we_wait_the_usual_time() -> None:
    assert quiet_after(heard("quero dois pães, por favor"), QUIET_MS) == QUIET_MS


@pytest.mark.parametrize(
    "body", ["então,", "olha...", "assim…", "quero:", "sim,", "quero dois pães e", "preciso de", "I want to", "quiero un"]
)
def test_unfinished_text_is_given_more_time(body: str) -> None:
    assert quiet_after(heard(body), QUIET_MS) == 3 * QUIET_MS


def test_while_audio_arrives_we_wait_longer() -> None:
    assert quiet_after(heard("", Kind.AUDIO), QUIET_MS) == 3 * QUIET_MS


@pytest.mark.parametrize("kind", [Kind.BUTTON, Kind.LIST])
def test_a_press_is_a_whole_thought(kind: Kind) -> None:
    assert quiet_after(heard("quero e", kind), QUIET_MS) == 0


@pytest.mark.parametrize("body", ["sim", "Não", "tchau", "Tchau!", "yes", "chau"])
def test_a_single_clear_final_word_is_answered_at_once(body: str) -> None:
    assert quiet_after(heard(body), QUIET_MS) == 0


@pytest.mark.parametrize("body", ["oi", "e", "pão", "bom dia", ""])
def test_another_short_word_is_not(body: str) -> None:
    assert quiet_after(heard(body), QUIET_MS) >= QUIET_MS


def test_a_caption_that_says_goodbye_is_no_final_word() -> None:
    assert quiet_after(heard("tchau", Kind.IMAGE), QUIET_MS) == QUIET_MS


@pytest.mark.parametrize("quiet_ms", [3_000, 8_000, 60_000])
def test_it_is_never_more_than_eight_seconds(quiet_ms: int) -> None:
    assert quiet_after(heard("quero um pão"), quiet_ms) <= LONGEST_QUIET_MS
    assert quiet_after(heard("quero um"), quiet_ms) == LONGEST_QUIET_MS == 8 * SECOND


def test_an_owner_without_patience_waits_for_nothing() -> None:
    assert quiet_after(heard("quero um"), 0) == 0


# The time at which the turn starts


class Desk:
    """Messages of one person, as they come in."""

    def __init__(self, connection: SqliteConnection) -> None:
        self.connection = connection
        self._heard = 0
        self._tx = SystemTx(Statements(connection), set())
        self.owner = create_owner(self._tx, "Padaria", "pt-BR", now=0).id

    def hear(self, after_ms: int, body: str, kind: Kind = Kind.TEXT, *, quiet_ms: int = QUIET_MS) -> int:
        """A message this long after the start; returns how long after the start it will be answered."""
        self._heard += 1
        chosen = Preferences(burst_quiet_ms=quiet_ms)
        mine: OwnerTx = self._tx.for_owner(self.owner)
        inbox.receive(mine, heard(body, kind, self._heard), chosen, now=START + after_ms)
        jobs = self.connection.execute(
            "SELECT run_at FROM jobs WHERE kind = 'turn' AND state IN ('ready', 'scheduled')"
        ).fetchall()
        assert len(jobs) == 1, "one turn for all that is unanswered"
        conversation = store.conversation(mine, 1)
        assert conversation is not None
        starts_at = quiet_from(conversation, store.unanswered(mine, conversation))
        return max(int(jobs[0]["run_at"]), starts_at) - START


@pytest.fixture
def desk(data_dir: Path) -> Iterator[Desk]:
    path = data_dir / "wtai.db"
    new_database(path)
    with closing(connect(path)) as connection:
        yield Desk(connection)


def test_each_message_of_a_burst_puts_the_answer_off(desk: Desk) -> None:
    assert [desk.hear(at, "mais uma coisa") for at in (0, 1_000, 2_000)] == [1_500, 2_500, 3_500]


def test_the_answer_starts_eight_seconds_after_the_first_message_whatever_follows(desk: Desk) -> None:
    starts = [desk.hear(at, "mais uma coisa") for at in range(0, 12_000, 1_000)]
    assert starts[:7] == [1_500, 2_500, 3_500, 4_500, 5_500, 6_500, 7_500]
    assert set(starts[7:]) == {8_000}


def test_the_cap_holds_for_unfinished_text_audio_and_a_patient_owner(desk: Desk) -> None:
    assert desk.hear(0, "olha", quiet_ms=60_000) == 8_000
    assert desk.hear(7_000, "", Kind.AUDIO, quiet_ms=60_000) == 8_000
    assert desk.hear(9_000, "um pão e", quiet_ms=60_000) == 8_000


def test_a_button_or_a_final_word_ends_the_burst(desk: Desk) -> None:
    assert desk.hear(0, "quero dois pães e") == 4_500
    assert desk.hear(1_000, "Confirmar", Kind.BUTTON) == 1_000


def test_a_second_thought_is_taken_along_if_the_turn_has_not_begun(desk: Desk) -> None:
    assert desk.hear(0, "sim") == 0
    assert desk.hear(100, "e mais um café, por favor") == 1_600
