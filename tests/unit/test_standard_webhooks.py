"""Signatures are those of Standard Webhooks: its own library agrees, in both directions."""

from base64 import b64encode
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from wtai.standard_webhooks import (
    ID,
    SIGNATURE,
    TIMESTAMP,
    SecretError,
    SignatureError,
    check_secret,
    new_secret,
    signed_headers,
    verify,
)

NOW = 1_800_000_000_000
SECRET, OTHER = new_secret(), new_secret()
BODY = '{"test": "olá"}'.encode()

texts = st.text(max_size=200)
ids = st.from_regex(r"\A[A-Za-z0-9_-]{1,40}\Z")


@given(body=texts, message_id=ids, key=st.binary(min_size=24, max_size=64), seconds=st.integers(0, 4_000_000_000))
def test_the_official_library_signs_the_same(body: str, message_id: str, key: bytes, seconds: int) -> None:
    body = body.encode("utf-8", "replace").decode()
    secret = "whsec_" + b64encode(key).decode()
    ours = signed_headers([secret], message_id, body.encode(), now=seconds * 1000 + 999)
    theirs = Webhook(secret).sign(message_id, datetime.fromtimestamp(seconds, UTC), body)
    assert ours == {ID: message_id, TIMESTAMP: str(seconds), SIGNATURE: theirs}


def test_the_official_library_verifies_what_was_signed_now() -> None:
    now = round(datetime.now(UTC).timestamp() * 1000)
    assert Webhook(SECRET).verify(BODY, signed_headers([SECRET], "msg_1", BODY, now=now)) == {"test": "olá"}


def test_while_secrets_are_exchanged_either_side_may_have_the_old_or_the_new_one() -> None:
    headers = signed_headers([SECRET, OTHER], "msg_1", BODY, now=NOW)
    assert len(headers[SIGNATURE].split(" ")) == 2
    for held in ([SECRET], [OTHER], [new_secret(), OTHER]):
        assert verify(held, headers, BODY, now=NOW) == "msg_1"


@pytest.mark.parametrize(
    "change",
    [
        {ID: "msg_2"},
        {ID: ""},
        {TIMESTAMP: str(NOW // 1000 + 1)},
        {TIMESTAMP: "now"},
        {TIMESTAMP: f"{NOW // 1000}.0"},
        {TIMESTAMP: "-1"},
        {TIMESTAMP: "9" * 5_000},
        {SIGNATURE: ""},
        {SIGNATURE: "v1,"},
        {SIGNATURE: "v1"},
        {SIGNATURE: "v1,é"},
        {SIGNATURE: "v1a,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4="},
    ],
)
def test_a_changed_message_is_refused(change: dict[str, str]) -> None:
    headers = signed_headers([SECRET], "msg_1", BODY, now=NOW)
    assert verify([SECRET], headers, BODY, now=NOW) == "msg_1"
    with pytest.raises(SignatureError):
        verify([SECRET], headers | change, BODY, now=NOW)


def test_another_body_secret_or_version_is_refused() -> None:
    headers = signed_headers([SECRET], "msg_1", BODY, now=NOW)
    for secrets, body in (([SECRET], BODY + b" "), ([OTHER], BODY), ([], BODY)):
        with pytest.raises(SignatureError):
            verify(secrets, headers, body, now=NOW)
    with pytest.raises(SignatureError):
        verify([SECRET], headers | {SIGNATURE: headers[SIGNATURE].replace("v1,", "v2,")}, BODY, now=NOW)


@pytest.mark.parametrize(("seconds", "fresh"), [(-301, False), (-300, True), (300, True), (301, False)])
def test_a_message_counts_for_five_minutes(seconds: int, fresh: bool) -> None:
    headers = signed_headers([SECRET], "msg_1", BODY, now=NOW)
    if fresh:
        assert verify([SECRET], headers, BODY, now=NOW + seconds * 1000) == "msg_1"
    else:
        with pytest.raises(SignatureError, match="clocks"):
            verify([SECRET], headers, BODY, now=NOW + seconds * 1000)


@pytest.mark.parametrize("message_id", ["", "a.b", "a b", "a\r\nX: y", "é", "a" * 256])
def test_an_id_that_would_make_the_signed_text_ambiguous_is_refused(message_id: str) -> None:
    with pytest.raises(ValueError, match="message id"):
        signed_headers([SECRET], message_id, BODY, now=NOW)


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "whsec_",
        "whsec_***",
        "secret",
        pytest.param(SECRET.removeprefix("whsec_"), id="without its prefix"),
        "whsec_" + b64encode(b"x" * 23).decode(),
        "whsec_" + b64encode(b"x" * 65).decode(),
    ],
)
def test_a_secret_that_is_none_is_refused_without_being_shown(secret: str) -> None:
    with pytest.raises(SecretError, match="whsec_ and the base64 of 24 to 64") as refused:
        check_secret(secret)
    assert len(secret) < 8 or secret not in str(refused.value)


def test_new_secrets_differ_and_are_accepted() -> None:
    assert SECRET != OTHER
    check_secret(SECRET)
