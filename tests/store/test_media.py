"""A conversation waits for its attachments, goes on once they are settled, and says once what it could not hear."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.schema import new_database
from wtai.channels.media_files import MediaFiles
from wtai.conversation import handoff, media, media_store, store
from wtai.conversation.burst import LONGEST_QUIET_MS
from wtai.conversation.inbox import FETCH, TRANSCRIBE, TURN, receive
from wtai.conversation.media_store import Kept
from wtai.conversation.model import Conversation, Inbound, InboundMedia, Kind, Message, State
from wtai.conversation.texts import texts
from wtai.db.sqlite import SqliteDatabase
from wtai.db.tx import OwnerTx
from wtai.identity.preferences import Preferences
from wtai.identity.store import create_owner
from wtai.jobs.store import JobRow, list_jobs

NOW = 1_800_000_000_000
LATER = NOW + 700
CHOSEN = Preferences(burst_quiet_ms=1_500)
AUDIO, IMAGE = "audio/ogg", "image/jpeg"


def message(sid: str, body: str = "", *content_types: str, address: str = "whatsapp:+5511987654321") -> Inbound:
    kind = {AUDIO: Kind.AUDIO, IMAGE: Kind.IMAGE}[content_types[0]] if content_types else Kind.TEXT
    files = tuple(InboundMedia(f"https://api/{sid}/{number}", one) for number, one in enumerate(content_types))
    return Inbound("whatsapp", sid, "whatsapp:+551140001234", address, (address,), (), kind, body, media=files)


@pytest.fixture
async def database(data_dir: Path) -> AsyncIterator[SqliteDatabase]:
    path = data_dir / "wtai.db"
    new_database(path)
    opened = await SqliteDatabase.open(path)
    for name in ("Casa", "Loja"):
        await opened.system_write(create_owner, name, "pt-BR", now=NOW)
    yield opened
    await opened.close()


class Talk:
    """One conversation of owner 1, seen from inside."""

    def __init__(self, database: SqliteDatabase) -> None:
        self.database = database
        self.conversation_id = 0

    async def say(self, sid: str, body: str = "", *content_types: str) -> int:
        received = await self.database.write(1, receive, message(sid, body, *content_types), CHOSEN, now=NOW)
        assert received.message_id and received.conversation_id
        self.conversation_id = received.conversation_id
        return received.message_id

    async def ends(self, message_id: int, transcript: str | None = None, *, failed: bool = False) -> None:
        """Each attachment of a message is settled, as the job does it."""

        def settle(tx: OwnerTx) -> None:
            for attachment in media_store.of_message(tx, message_id):
                news = (
                    media_store.set_failed(tx, attachment.id, "gone")
                    if failed
                    else media_store.set_kept(tx, attachment.id, transcript)
                )
                if news:
                    media.go_on(tx, self.conversation_id, CHOSEN, now=LATER)

        await self.database.write(1, settle)

    async def now(self) -> Conversation:
        found = await self.database.read(1, store.conversation, self.conversation_id)
        assert found is not None
        return found

    async def unanswered(self) -> list[Message]:
        return await self.database.read(1, store.unanswered, await self.now())

    async def jobs(self, *kinds: str) -> list[JobRow]:
        rows = await self.database.system_read(list_jobs, state=None, limit=100)
        return [row for row in rows if row.kind in kinds]

    async def turn_ran(self) -> None:
        await self.database.system_write(lambda tx: tx.run("DELETE FROM jobs WHERE kind = 'turn'"))

    async def told(self) -> list[str]:
        def bodies(tx: OwnerTx) -> list[str]:
            rows = tx.all("SELECT body FROM messages WHERE owner_id = :owner AND direction = 'outbound' ORDER BY id")
            return [row["body"] for row in rows]

        return await self.database.read(1, bodies)


@pytest.fixture
async def talk(database: SqliteDatabase) -> Talk:
    return Talk(database)


async def test_audio_is_owed_a_transcription_in_its_order_and_other_files_a_download(talk: Talk) -> None:
    await talk.say("MM1", "", AUDIO)
    await talk.say("MM2", "", IMAGE)
    await talk.say("MM3", "", IMAGE, AUDIO)
    await talk.say("SM4", "oi")
    audio = await talk.jobs(TRANSCRIBE)
    assert [(row.key, row.state) for row in audio] == [("audio:1", "ready"), ("audio:1", "waiting")]
    assert [(row.key, row.state) for row in await talk.jobs(FETCH)] == [(None, "ready")]


async def test_a_message_awaits_its_attachments_until_all_of_them_are_settled(talk: Talk) -> None:
    await talk.say("SM1", "veja")
    await talk.say("MM2", "", IMAGE, IMAGE)
    first, second = (await talk.unanswered())[1].media
    assert [message.awaits_media for message in await talk.unanswered()] == [False, True]
    await talk.database.write(1, media_store.set_kept, first.id, None)
    assert (await talk.unanswered())[1].awaits_media
    await talk.database.write(1, media_store.set_failed, second.id, "gone")
    assert not (await talk.unanswered())[1].awaits_media


async def test_the_turn_that_waited_is_owed_at_once(talk: Talk) -> None:
    note = await talk.say("MM1", "", AUDIO)
    await talk.turn_ran()
    await talk.ends(note, "oi")
    (turn,) = await talk.jobs(TURN)
    assert (turn.state, turn.run_at) == ("ready", LATER)


async def test_a_turn_that_is_still_to_come_keeps_its_time(talk: Talk) -> None:
    note = await talk.say("MM1", "", AUDIO)
    (before,) = await talk.jobs(TURN)
    await talk.ends(note, "oi")
    (turn,) = await talk.jobs(TURN)
    assert turn.run_at == before.run_at > LATER


async def test_while_another_attachment_is_awaited_nothing_goes_on(talk: Talk) -> None:
    first, second = await talk.say("MM1", "", AUDIO), await talk.say("MM2", "", IMAGE)
    await talk.turn_ran()
    await talk.ends(first, failed=True)
    assert (await talk.jobs(TURN), await talk.told()) == ([], [])
    await talk.ends(second)
    assert len(await talk.jobs(TURN)) == 1
    assert await talk.told() == [texts("pt-BR").unheard]


@pytest.mark.parametrize("failed", [True, False], ids=["failed", "silence"])
async def test_where_nothing_could_be_heard_the_request_to_write_is_the_answer(talk: Talk, failed: bool) -> None:
    note = await talk.say("MM1", "", AUDIO)
    await talk.turn_ran()
    await talk.ends(note, "", failed=failed)
    assert await talk.told() == [texts("pt-BR").unheard]
    assert await talk.unanswered() == []
    assert await talk.jobs(TURN) == []
    conversation = await talk.now()
    assert (conversation.state, conversation.idle_at) == (State.WAITING_USER, LATER + 60 * 60_000)


async def test_what_else_was_said_is_still_answered(talk: Talk) -> None:
    note = await talk.say("MM1", "", AUDIO)
    await talk.say("SM2", "alô?")
    await talk.turn_ran()
    await talk.ends(note, failed=True)
    assert await talk.told() == [texts("pt-BR").unheard]
    assert [message.unheard for message in await talk.unanswered()] == [True, False]
    assert len(await talk.jobs(TURN)) == 1


async def test_the_person_is_asked_to_write_once_for_the_same_note(talk: Talk) -> None:
    note = await talk.say("MM1", "", AUDIO)
    await talk.say("SM2", "alô?")
    await talk.ends(note, failed=True)
    await talk.ends(await talk.say("MM3", "", IMAGE))
    await talk.ends(note, failed=True)
    assert await talk.told() == [texts("pt-BR").unheard]


async def test_what_was_written_before_does_not_wait_longer_than_a_burst(talk: Talk) -> None:
    await talk.say("SM1", "quanto custa?")
    note = await talk.say("MM2", "", AUDIO)
    await talk.say("SM3", "alô?")
    await talk.turn_ran()
    messages = await talk.unanswered()
    assert media.answerable(messages, now=NOW + LONGEST_QUIET_MS - 1) == []
    assert media.answerable(messages, now=NOW + LONGEST_QUIET_MS) == messages[:1]
    await talk.database.write(1, media.go_on, talk.conversation_id, CHOSEN, now=NOW + LONGEST_QUIET_MS - 1)
    assert await talk.jobs(TURN) == []
    await talk.database.write(1, media.go_on, talk.conversation_id, CHOSEN, now=NOW + LONGEST_QUIET_MS)
    assert len(await talk.jobs(TURN)) == 1
    await talk.ends(note, "oi")
    assert media.answerable(await talk.unanswered(), now=LATER) == await talk.unanswered()


async def test_a_note_that_failed_does_not_wait_longer_than_a_burst_for_the_next_one(talk: Talk) -> None:
    first = await talk.say("MM1", "", AUDIO)
    await talk.say("MM2", "", AUDIO)
    await talk.ends(first, failed=True)
    assert await talk.told() == []
    await talk.database.write(1, media.go_on, talk.conversation_id, CHOSEN, now=NOW + LONGEST_QUIET_MS)
    assert await talk.told() == [texts("pt-BR").unheard]
    assert [message.provider_sid for message in await talk.unanswered()] == ["MM2"]
    assert (await talk.now()).state is State.PENDING


async def test_a_picture_that_is_not_to_be_had_is_left_to_the_turn(talk: Talk) -> None:
    picture = await talk.say("MM1", "", IMAGE)
    await talk.turn_ran()
    await talk.ends(picture, failed=True)
    assert await talk.told() == []
    assert len(await talk.jobs(TURN)) == 1


async def test_a_note_with_a_caption_is_answered_by_its_caption(talk: Talk) -> None:
    note = await talk.say("MM1", "ouve isso", AUDIO)
    await talk.turn_ran()
    await talk.ends(note, failed=True)
    assert await talk.told() == []
    assert len(await talk.jobs(TURN)) == 1


async def test_while_a_person_has_the_conversation_nothing_is_said_or_owed(talk: Talk) -> None:
    note = await talk.say("MM1", "", AUDIO)
    await talk.turn_ran()
    await talk.database.write(1, handoff.take_over, await talk.now(), now=NOW)
    await talk.ends(note, failed=True)
    assert (await talk.jobs(TURN), await talk.told()) == ([], [])
    assert (await talk.now()).state is State.HANDOFF


async def test_who_opted_out_is_told_nothing(talk: Talk) -> None:
    note = await talk.say("MM1", "", AUDIO)
    await talk.say("SM2", "PARAR")
    await talk.turn_ran()
    await talk.ends(note, failed=True)
    assert (await talk.jobs(TURN), await talk.told()) == ([], [])


async def test_what_was_heard_is_the_messages_transcript_and_its_body_stays(talk: Talk) -> None:
    await talk.ends(await talk.say("MM1", "", AUDIO, AUDIO), "um")
    (heard,) = await talk.unanswered()
    assert (heard.transcript, heard.body, heard.unheard) == ("um\num", "", False)


async def test_the_same_content_is_known_by_what_was_heard_but_only_to_its_owner(database: SqliteDatabase) -> None:
    kept = Kept("a/bc/bcd", 3, "bcd", None)
    ids: list[int] = []
    for owner, sid in ((1, "MM1"), (1, "MM2"), (2, "MM3")):
        received = await database.write(owner, receive, message(sid, "", AUDIO), CHOSEN, now=NOW)
        (attachment,) = await database.read(owner, media_store.of_message, received.message_id or 0)
        await database.write(owner, media_store.set_file, attachment.id, kept)
        ids.append(attachment.id)
    await database.write(1, media_store.set_kept, ids[0], "oi")
    assert await database.read(1, media_store.transcript_of, ids[1]) == "oi"
    assert await database.read(2, media_store.transcript_of, ids[2]) is None
    assert await database.read(2, media_store.of_message, ids[0]) == []
    assert await database.read(2, media_store.origin, ids[0]) is None


# The files


def test_a_file_is_kept_by_its_content_once(tmp_path: Path) -> None:
    files = MediaFiles(tmp_path / "media")
    files.prepare()
    paths = []
    for _ in range(2):
        with files.incoming() as file:
            file.write(b"son")
            file.write(b"ido")
            paths.append(file.keep("own_a"))
    digest = hashlib.sha256(b"sonido").hexdigest()
    assert paths == [f"own_a/{digest[:2]}/{digest}"] * 2
    assert files.has(paths[0]) and files.read(paths[0]) == b"sonido"
    assert sorted(path.name for path in (tmp_path / "media").rglob("*") if path.is_file()) == [digest]


def test_what_was_not_kept_is_thrown_away_also_after_a_crash(tmp_path: Path) -> None:
    files = MediaFiles(tmp_path / "media")
    files.prepare()
    with pytest.raises(OSError, match="disk"), files.incoming() as file:
        file.write(b"half")
        raise OSError("disk")
    (tmp_path / "media" / "incoming" / "left").write_bytes(b"half")
    files.prepare()
    assert [path for path in (tmp_path / "media").rglob("*") if path.is_file()] == []
