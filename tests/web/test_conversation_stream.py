"""A conversation as it is shown: every kind of message, what became of each, and nothing in it that does anything."""

import json
import re
import time
from html import unescape
from html.parser import HTMLParser

from tests.flow.test_images import PNG
from tests.program import person
from tests.web.console_client import ADMIN, Staff
from tests.web.conversation_page import act, editing, messages, page, public, words
from wtai.simulator.voice import voice_note
from wtai.web.console.conversation_stream import MOST, PAGE

ANA = person(1)
EVIL = "<img src=x onerror=alert(1)>\"'><script>alert(2)</script>&lt;"
CARD = b"BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Tia Lu\r\nitem1.TEL;type=CELL:+55 11 91111-2222\r\nEND:VCARD\r\n"


class Suspicions(HTMLParser):
    """What a page should not have: scripts in it, handlers, styles, files or links from elsewhere but the map."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    @classmethod
    def of(cls, text: str) -> list[str]:
        parser = cls()
        parser.feed(text)
        return parser.found

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name.startswith("on") or name == "style":
                self.found.append(f"{tag} {name}={value}")
            if name in ("src", "href", "action") and not re.match(r"/console|#|https://www\.openstreetmap\.org/\?", value or ""):
                self.found.append(f"{tag} {name}={value}")
        if tag == "script" and not dict(attrs).get("src"):
            self.found.append("script")


async def test_every_kind_of_message_is_shown_as_what_it_is(staff: Staff) -> None:
    conversation = await staff.conversation(ANA, "*oi*, tudo _bem_?")
    await act(staff.admin, conversation, "take")
    answer = staff.world.sent_to(ANA)[0].sid
    say = staff.world.say
    await say(ANA, "olha só", media=[("image/png", PNG)])
    await say(ANA, "", media=[("audio/ogg", voice_note("dois pães"))])
    await say(ANA, "", media=[("application/pdf", b"%PDF-1.7 nota")])
    await say(ANA, "", media=[("text/vcard", CARD)])
    place = [("Latitude", "-23.5617"), ("Longitude", "-46.6560"), ("Label", "Padaria"), ("Address", "Av. Paulista, 1000")]
    await say(ANA, "", extra=place)
    await say(ANA, "Sim", extra=[("ButtonText", "Sim"), ("ButtonPayload", "yes")])
    await say(ANA, "Pão", extra=[("ListId", "1"), ("ListTitle", "Pão francês")])
    await say(ANA, "sobre isto", extra=[("OriginalRepliedMessageSid", answer)])
    await say(ANA, "vim do anúncio", extra=[("ReferralHeadline", "Pão quente"), ("ReferralSourceUrl", "javascript:alert(1)")])
    await say(ANA, "repasso", extra=[("Forwarded", "true")])
    await staff.world.at_rest()
    shown = await page(staff.admin, conversation)
    assert "<strong>oi</strong>, tudo <em>bem</em>?" in shown
    picture, note, paper = messages(shown)[2:5]
    assert f'<img src="/console/media/{picture}/0" loading="lazy" alt="Image">' in shown
    assert re.search(rf'<audio id="audio-{note}-0" controls preload="none" src="/console/media/{note}/0"', shown)
    assert "Transcript dois pães" in words(shown)
    assert f'<a class="file" href="/console/media/{paper}/0" download>' in shown
    assert "Tia Lu +55 11 91111-2222" in words(shown)
    assert 'href="https://www.openstreetmap.org/?mlat=-23.561700&amp;mlon=-46.656000#map=16/' in shown
    assert "Padaria Av. Paulista, 1000" in words(shown)
    for said in ("Pressed: Sim", "Chose: Pão francês", "Forwarded", "Came from an advertisement Pão quente"):
        assert said in words(shown), said
    assert "javascript:" not in shown
    assert "AI eco: *oi*, tudo _bem_?" in words(shown)
    assert 'rel="noopener noreferrer"' in shown


async def test_nothing_that_is_written_anywhere_becomes_part_of_the_page(staff: Staff) -> None:
    conversation = await staff.conversation(ANA)
    await act(staff.admin, conversation, "take")
    say = staff.world.say
    await say(ANA, EVIL, profile_name=EVIL, media=[("audio/ogg", voice_note("x"))])
    await say(ANA, EVIL, extra=[("ButtonText", EVIL), ("ButtonPayload", EVIL)])
    await say(ANA, EVIL, extra=[("ListId", EVIL), ("ListTitle", EVIL)])
    await say(ANA, "", extra=[("Latitude", "1"), ("Longitude", "2"), ("Label", EVIL), ("Address", EVIL)])
    await say(ANA, "x", extra=[(f"Referral{part}", EVIL) for part in ("Headline", "Body", "SourceUrl")])
    await say(ANA, "", media=[("text/vcard", f"BEGIN:VCARD\nFN:{EVIL}\nTEL:{EVIL}\nEND:VCARD\n".encode())])
    await say(ANA, "", media=[("application/x-evil", b"x")])
    await staff.world.at_rest()
    await act(staff.admin, conversation, "note", text=EVIL, once="um")
    await act(staff.admin, conversation, "draft", kind="reply", text=f"</textarea>{EVIL}", once="dois")
    await act(staff.admin, conversation, "reply", text=EVIL, once="três", seen="")
    with editing(staff) as connection:
        connection.execute("UPDATE media SET name = ?, transcript = ?", (EVIL, EVIL))
        connection.execute("UPDATE users SET name = ?", (EVIL,))
        connection.execute("UPDATE conversations SET summary = ?, handoff_reason = ?, feature = ?", (EVIL, EVIL, EVIL))
        connection.execute("UPDATE conversation_events SET reason = ? WHERE to_state = 'HANDOFF'", (EVIL,))
    await act(staff.admin, conversation, "draft", kind="reply", text=f"</textarea>{EVIL}", once="quatro")
    await act(staff.agent, conversation, "here")
    shown = await page(staff.admin, conversation)
    sheets = [(await staff.admin.get(f"/console/c/{conversation}/m/{message}")).text for message in messages(shown)]
    await act(staff.agent, conversation, "assign", user="")
    for text in (shown, *sheets, (await staff.admin.get(f"/console/c/{conversation}")).text):
        assert Suspicions.of(text) == []
    assert unescape(shown).count(EVIL) >= 16


async def test_a_file_is_handed_out_so_that_it_can_do_nothing(staff: Staff) -> None:
    await staff.conversation(ANA)
    for kind, data in (("audio/ogg", voice_note("oi")), ("image/svg+xml", b"<svg onload='alert(1)'/>"), ("text/html", b"<b>")):
        await staff.world.say(ANA, "", media=[(kind, data)])
    await staff.world.at_rest()
    rows = staff.world.rows("SELECT m.public_id AS id FROM media a JOIN messages m ON m.id = a.message_id ORDER BY a.id")
    audio, svg, html = (row["id"] for row in rows)
    with editing(staff) as connection:
        connection.execute("UPDATE media SET name = ? WHERE content_type = 'text/html'", ('nota\u202efdp."\r\n/..\\x.html',))
    heard = await staff.admin.get(f"/console/media/{audio}/0", Range="bytes=0-3")
    assert (heard.status, heard.headers["Content-Type"], heard.text) == (206, "audio/ogg", "OggS")
    assert heard.headers["Content-Range"] == f"bytes 0-3/{len(voice_note('oi'))}"
    for message in (audio, svg, html):
        reply = await staff.admin.get(f"/console/media/{message}/0", Range="bytes=0-0")
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
        assert reply.headers["Content-Security-Policy"] == "sandbox; default-src 'none'"
        assert reply.headers["Cache-Control"].startswith("private")
        if message != audio:
            assert reply.headers["Content-Type"] == "application/octet-stream"
            assert reply.headers["Content-Disposition"].startswith("attachment")
    saved = (await staff.admin.get(f"/console/media/{html}/0")).headers["Content-Disposition"]
    assert not re.search(r"[\r\n\\/\u202e]", saved)
    assert (await staff.admin.get(f"/console/media/{audio}/0?save", Range="bytes=0-3")).headers["Content-Disposition"]
    for path in (f"{audio}/1", f"{audio}/99", "msg_absent/0", f"{audio}/../0"):
        assert (await staff.admin.get(f"/console/media/{path}")).status == 404, path
    assert (await staff.other.get(f"/console/media/{audio}/0")).status == 404
    assert (await staff.nobody.get(f"/console/media/{audio}/0")).status == 303


FATES = [
    ("read", None, None, "Read", ""),
    ("unknown", None, None, "Perhaps sent", "It is not known whether it was sent."),
    ("undelivered", None, 63016, "Not delivered", "63016: The 24-hour window was closed. Send a template instead."),
    ("failed", "opted_out", 21610, "Failed", "21610: The person wants no messages, or has blocked this number."),
    ("failed", None, 999_999, "Failed", "999999: It was blocked, and will not be delivered."),
    ("canceled", None, None, "Not sent", "Somebody of the team took over before it went out."),
    ("canceled", "opted_out", None, "Not sent", "The person wrote STOP and wants no messages."),
    ("queued", "window", None, "Not sent", "The 24-hour window was closed. Send a template instead."),
]


async def test_what_became_of_a_message_is_told_with_its_reason(staff: Staff) -> None:
    conversation = await staff.conversation(ANA)
    for status, parked, code, label, reason in FATES:
        with editing(staff) as connection:
            connection.execute(
                "UPDATE messages SET status = ?, parked = ?, error_code = ? WHERE direction = 'outbound'", (status, parked, code)
            )
        shown = await page(staff.admin, conversation)
        assert re.search(rf'<button class="look tick [^>]*aria-label="{label}\.', shown), status
        assert ('class="undelivered' in shown) == bool(reason)
        assert f"{label}. {reason}".strip() in words(shown) or not reason


async def test_a_sheet_explains_what_the_ai_did(staff: Staff) -> None:
    conversation = await staff.conversation(ANA)
    asked, answer = messages(await page(staff.admin, conversation))
    person_key = staff.world.value("SELECT user_id FROM conversations")
    call = {"name": "record_expense", "arguments": '{"amount": 5}', "result": "feito", "failed": False, "milliseconds": 7}
    memories = [{"public_id": "mem_1", "score": 0.71, "parts": {}}, {"public_id": "mem_2", "score": 0.2, "superseded": False}]
    with editing(staff) as connection:
        connection.execute(
            "INSERT INTO memories (owner_id, public_id, user_id, text, kind, observed_at, created_at, text_hash, keys,"
            " keys_version) VALUES (1, 'mem_1', ?, 'gosta de pão', 'fact', 1, 1, 'x', '', 1)",
            (person_key,),
        )
        connection.execute(
            "UPDATE ai_results SET memories = ?, calls = ?, route = ?, cost = 884, prompt_tokens = 100, cached_tokens = 40,"
            " completion_tokens = 7, latency_ms = 321, stepped_down = 1, prompts = ?",
            (
                json.dumps(memories),
                json.dumps([call]),
                '{"agent": "general", "how": "router", "model": "gpt-tiny"}',
                '["router@0123456789ab", "general@ba9876543210"]',
            ),
        )
    sheet = words((await staff.agent.get(f"/console/c/{conversation}/m/{answer}", HX_Request="true")).text)
    for told in (
        "picked by the router",
        "a budget asked for a smaller model or a shorter answer",
        "Model of the router gpt-tiny",
        "Prompts router@0123456789ab general@ba9876543210",
        "100 in (40 cached), 7 out",
        "US$ 0.000884",
        "321 ms",
        "0.71 gosta de pão",
        "0.20 forgotten since",
        'record_expense done 7 ms {"amount": 5} feito',
        "Was it a goodbye? Decision No: went on",
        "Outcome Answered",
    ):
        assert told in sheet, told
    assert "Was it a goodbye?" in words((await staff.agent.get(f"/console/c/{conversation}/m/{asked}")).text)
    other = await staff.conversation(person(2))
    assert (await staff.agent.get(f"/console/c/{other}/m/{answer}")).status == 404


def fill(staff: Staff, conversation: str, count: int) -> None:
    """As many messages more, two seconds apart, ending now; with a change of state and a note now and then."""
    with editing(staff) as connection:
        key, last = connection.execute(
            "SELECT c.id, max(m.created_at) FROM conversations c JOIN messages m ON m.conversation_id = c.id"
            " WHERE c.public_id = ?",
            (conversation,),
        ).fetchone()
        start = last + 1
        rows = [(key, f"msg_f{number:05d}", f"Mensagem {number}", number, start + number * 2_000) for number in range(count)]
        connection.executemany(
            "INSERT INTO messages (owner_id, conversation_id, public_id, body, provider_sid, direction, author, status,"
            " created_at, updated_at) VALUES (1, ?1, ?2, ?3, 'SMf' || ?4, iif(?4 % 2, 'inbound', 'outbound'),"
            " iif(?4 % 2, 'user', 'agent'),"
            " iif(?4 % 2, 'received', 'read'), ?5, ?5)",
            rows,
        )
        connection.executemany(
            "INSERT INTO conversation_events (owner_id, conversation_id, from_state, to_state, actor, reason, created_at)"
            " VALUES (1, ?, 'WAITING_USER', iif(? % 40, 'PROGRESS', 'HANDOFF'), 'user', 'message', ?)",
            [(key, number, start + number * 2_000) for number in range(0, count, 2)],
        )
        connection.executemany(
            "INSERT INTO conversation_notes (owner_id, conversation_id, public_id, author, text, created_at)"
            " VALUES (1, ?, ?, 'usr_x', 'nota', ?)",
            [(key, f"not_{number}", start + number * 2_000) for number in range(0, count, 100)],
        )


async def test_a_long_conversation_opens_at_its_end_and_is_read_backwards_page_by_page(staff: Staff) -> None:
    conversation = await staff.conversation(ANA)
    fill(staff, conversation, 2_000)
    path = f"/console/c/{conversation}"
    took = []
    for _ in range(8):
        started = time.perf_counter()
        shown = await page(staff.admin, conversation)
        took.append(time.perf_counter() - started)
    print(f"opened in {min(took) * 1000:.0f} ms, {len(shown) // 1024} KB")
    assert min(took) < 1.0, "the best of a few: the machine may be busy with something else"
    assert messages(shown)[-1] == "msg_f01999"
    assert len(messages(shown)) == PAGE
    read, pieces = messages(shown), re.findall(r'<li id="((?:change|not|day)[-_][\w-]+)"', shown)
    while following := re.search(r'hx-get="([^"]+/older\?before=\w+)"', shown):
        shown = (await staff.admin.get(following[1], HX_Request="true")).text
        read = messages(shown) + read
        pieces += re.findall(r'<li id="((?:change|not|day)[-_][\w-]+)"', shown)
    assert len(read) == len(set(read)) == 2_002
    assert read == [row["public_id"] for row in staff.world.rows("SELECT public_id FROM messages ORDER BY id")]
    assert len(pieces) == len(set(pieces))
    assert sum(piece.startswith("not") for piece in pieces) == 20
    assert sum(piece.startswith("change") for piece in pieces) == 51
    assert (await staff.admin.get(f"{path}/older?before=msg_absent")).status == 404


async def test_a_page_that_stays_open_is_told_all_since_its_first_message_until_that_is_too_much(staff: Staff) -> None:
    conversation = await staff.conversation(ANA)
    first = messages(await page(staff.admin, conversation))[0]
    fill(staff, conversation, 120)
    live = (await staff.admin.get(f"/console/c/{conversation}/live?since={first}", HX_Request="true")).text
    assert len(messages(live)) == 122
    assert 'hx-target="#talk-older"' not in live
    with editing(staff) as connection:
        connection.execute("DELETE FROM messages WHERE public_id LIKE 'msg_f%'")
        connection.execute("DELETE FROM conversation_notes")
    fill(staff, conversation, MOST)
    live = (await staff.admin.get(f"/console/c/{conversation}/live?since={first}", HX_Request="true")).text
    assert len(messages(live)) == MOST
    assert f"older?before={messages(live)[0]}" in live
    assert f"live?since={messages(live)[0]}" in live


async def test_the_day_and_who_did_what_stand_between_the_messages(staff: Staff) -> None:
    conversation = await staff.conversation(ANA)
    with editing(staff) as connection:
        connection.execute("UPDATE messages SET created_at = created_at - 86400000")
        connection.execute("UPDATE conversation_events SET created_at = created_at - 86400000")
    await act(staff.admin, conversation, "reply", text="bom dia", once="um", seen="")
    staff.admin.language = "pt-BR"
    shown = words((await page(staff.admin, conversation)).partition('id="talk-tail"')[2])
    parts = ("Ontem", "A conversa começou", "A pessoa: oi", "Hoje", "Ana Chefe assumiu", "bom dia")
    order = [shown.index(part) for part in parts]
    assert order == sorted(order)
    assert staff.world.value("SELECT staff FROM conversation_events WHERE to_state = 'HANDOFF'") == public(staff, ADMIN)
