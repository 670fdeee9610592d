"""Twilio's form posts are read whole: nothing signed is dropped, every kind of message is told apart, bad posts are named."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote_to_bytes, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wtai.channels.twilio.errors import ERRORS, Reaction, meaning, reaction
from wtai.channels.twilio.form import Form, MalformedPost, parse_form
from wtai.channels.twilio.inbound import account_sid, parse, parse_status
from wtai.conversation.model import Status

CASES = json.loads((Path(__file__).parent.parent / "cases" / "twilio" / "inbound.json").read_text("utf-8"))
FORM = "application/x-www-form-urlencoded"
SID = "SM" + "0" * 32
MINIMAL = {"MessageSid": SID, "AccountSid": "AC" + "0" * 32, "From": "whatsapp:+5511987654321", "To": "whatsapp:+14155238886"}

Params = list[tuple[str, str]]


def params(**changed: str) -> Params:
    return list({**MINIMAL, **changed}.items())


def form(fields: Params) -> Form:
    return parse_form(urlencode(fields).encode(), FORM)


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_a_message_posted_by_twilio_is_normalised(case: Any) -> None:
    heard = parse(form([(name, value) for name, value in case["params"]]))
    found = json.loads(json.dumps({**asdict(heard), "media": [(media.url, media.content_type) for media in heard.media]}))
    expected = case["expect"]
    assert {name: found[name] for name in expected} == expected
    assert [list(pair) for pair in parse_qsl(heard.raw, keep_blank_values=True)] == case["params"]


def test_fields_come_out_as_they_were_signed() -> None:
    body = b"Body=+a%20b%0D%0A%F0%9F%98%80++&Empty=&Empty=x&NoValue&%C3%A7=%2B%26%3D%00&plain=\xc3\xa3&Empty="
    assert list(parse_form(body, f"{FORM}; charset=UTF-8").pairs) == [
        ("Body", " a b\r\n😀  "),
        ("Empty", ""),
        ("Empty", "x"),
        ("NoValue", ""),
        ("ç", "+&=\0"),
        ("plain", "ã"),
        ("Empty", ""),
    ]


@given(st.lists(st.tuples(st.text(st.characters(codec="utf-8"), min_size=1), st.text(st.characters(codec="utf-8"))), max_size=30))
def test_any_form_survives_the_way_through_its_encoding(fields: Params) -> None:
    assert list(form(fields).pairs) == fields


@given(
    st.lists(
        st.sampled_from([b"a", b"=", b"&", b"+", b"%", b"%25", b"%00", b"%c3", b"%A9", b"%ed", b"%a0", b"%80", b"\xc3", b"\xa9"])
    )
)
def test_what_is_escaped_must_be_utf_8_like_the_rest(parts: list[bytes]) -> None:
    body = b"".join(parts)
    try:
        body.decode()
        unquote_to_bytes(body).decode()
    except UnicodeDecodeError:
        with pytest.raises(MalformedPost):
            parse_form(body, FORM)
    else:
        assert list(parse_form(body, FORM).pairs) == parse_qsl(body.decode(), keep_blank_values=True)


def test_nul_characters_are_signed_and_not_stored() -> None:
    heard = parse_form(urlencode(params(Body="a\0b")).encode() + b"&Raw=\0", FORM)
    assert ("Body", "a\0b") in heard.pairs
    assert ("Raw", "\0") in heard.pairs
    assert parse(heard).body == "ab"
    assert "\0" not in heard.text
    assert dict(parse_qsl(heard.text)) == dict(heard.pairs)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"{}", "application/json"),
        (b"a=b", ""),
        (b"a=b", "multipart/form-data; boundary=x"),
        (b"a=b", "application/x-www-form-urlencoded-not"),
        (b"a=b", f"{FORM}; charset=iso-8859-1"),
        (b"a=b", f"{FORM}; charset=nope"),
        (b"a=\xff", FORM),
        (b"a=%ff", FORM),
        (b"a=%ed%a0%80", FORM),
        (b"&".join([b"a=b"] * 1001), FORM),
    ],
)
def test_a_body_that_twilio_does_not_post_is_malformed(body: bytes, content_type: str) -> None:
    with pytest.raises(MalformedPost):
        parse_form(body, content_type)


@pytest.mark.parametrize("name", list(MINIMAL))
def test_a_missing_required_parameter_is_named(name: str) -> None:
    with pytest.raises(MalformedPost) as caught:
        parse(form([pair for pair in params() if pair[0] != name]))
    assert caught.value.field == name


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MessageSid", "SM" + "0" * 31),
        ("MessageSid", SID + "\n"),
        ("MessageSid", "CA" + "0" * 32),
        ("AccountSid", "AC"),
        ("From", "whatsapp: 5511987654321"),
        ("From", "whatsapp:"),
        ("From", " 5511987654321"),
        ("From", "+5511\x07"),
        ("To", "x" * 300),
    ],
)
def test_an_invalid_required_parameter_is_named_and_not_quoted(name: str, value: str) -> None:
    with pytest.raises(MalformedPost) as caught:
        parse(form(params(**{name: value})))
    assert caught.value.field == name
    assert "5511987654321" not in str(caught.value)


def test_two_values_for_what_a_message_is_are_refused_and_equal_ones_are_not() -> None:
    with pytest.raises(MalformedPost) as caught:
        form([*params(), ("From", "whatsapp:+5521900000000")])
    assert caught.value.field == "From"
    twice = [*params(), ("From", MINIMAL["From"]), ("Unknown", "1"), ("Unknown", "2")]
    assert parse(form(twice)).reply_to == MINIMAL["From"]


def test_deep_or_huge_json_in_a_parameter_harms_nothing() -> None:
    deep, huge = "[" * 100_000, "[" + "9" * 10_000 + ",1e999]"
    assert parse(form(params(FlowData=deep, InteractiveData=huge))).details == {"flow": deep, "interactive": huge}


def test_the_account_is_read_before_anything_is_checked() -> None:
    assert account_sid(form([("AccountSid", "whatever")])) == "whatever"
    with pytest.raises(MalformedPost):
        account_sid(form([("Body", "hi")]))


@pytest.mark.parametrize(
    ("said", "understood"),
    [
        ("accepted", Status.QUEUED),
        ("scheduled", Status.QUEUED),
        ("queued", Status.QUEUED),
        ("sending", Status.SENDING),
        ("sent", Status.SENT),
        ("delivered", Status.DELIVERED),
        ("read", Status.READ),
        ("failed", Status.FAILED),
        ("undelivered", Status.UNDELIVERED),
        ("canceled", Status.CANCELED),
    ],
)
def test_every_status_of_an_outbound_message_is_understood(said: str, understood: Status) -> None:
    update = parse_status(form([("MessageSid", SID), ("MessageStatus", said), ("ErrorCode", "")]), {"m": "msg_0a1b"})
    assert update is not None
    assert (update.provider_sid, update.status, update.message, update.error_code) == (SID, understood, "msg_0a1b", None)


def test_a_failure_keeps_twilios_code() -> None:
    update = parse_status(form([("SmsSid", SID), ("SmsStatus", "undelivered"), ("ErrorCode", "63016")]), {})
    assert update is not None
    assert (update.status, update.error_code, update.message) == (Status.UNDELIVERED, 63016, None)


def test_a_callback_about_an_inbound_message_says_nothing() -> None:
    assert parse_status(form([("MessageSid", SID), ("SmsStatus", "received")]), {}) is None


def test_an_unknown_status_is_malformed() -> None:
    with pytest.raises(MalformedPost) as caught:
        parse_status(form([("MessageSid", SID), ("MessageStatus", "exploded")]), {})
    assert caught.value.field == "MessageStatus"


@pytest.mark.parametrize("query", [{}, {"m": ""}, {"m": "a b"}, {"m": "x" * 65}, {"m": "msg_1\n"}])
def test_a_callback_without_our_own_id_is_still_known_by_its_sid(query: dict[str, str]) -> None:
    update = parse_status(form([("MessageSid", SID), ("MessageStatus", "sent")]), query)
    assert update is not None
    assert update.message is None


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (20003, Reaction.CONFIGURATION),
        (20429, Reaction.RETRY_SLOWLY),
        (21211, Reaction.UNREACHABLE),
        (21610, Reaction.OPTED_OUT),
        (21654, Reaction.TRIAL),
        (30001, Reaction.RETRY_SLOWLY),
        (30008, Reaction.ASK_STAFF),
        (63003, Reaction.UNREACHABLE),
        (63016, Reaction.WINDOW),
        (63018, Reaction.RETRY_SLOWLY),
        (63028, Reaction.TEMPLATE),
        (63038, Reaction.PAUSE),
    ],
)
def test_a_known_error_code_has_its_reaction_whatever_the_http_status(code: int, expected: Reaction) -> None:
    assert reaction(code) is reaction(code, 500) is expected


def test_an_unknown_error_code_counts_by_its_http_status() -> None:
    expected = {400: Reaction.REJECT, 401: Reaction.CONFIGURATION, 429: Reaction.RETRY_SLOWLY, 503: Reaction.FIND_OUT}
    assert {http: reaction(99999, http) for http in expected} == {http: reaction(None, http) for http in expected} == expected
    assert reaction(99999) is Reaction.REJECT
    assert "99999" in meaning(99999)


def test_every_meaning_says_something() -> None:
    assert all(len(meaning(code)) > 10 for code in ERRORS)
