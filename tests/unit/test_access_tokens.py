"""Access tokens: what we issue is good for minutes, and nothing else is good at all."""

import base64
import hmac
import json
from collections.abc import Mapping
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes import ManualClock
from wtai.clock import MINUTE, SECOND
from wtai.identity.access import Role, TokenRefused
from wtai.identity.access_tokens import AUDIENCE, ISSUER, LEEWAY_SECONDS, AccessTokens, Subject
from wtai.secrets import Key, Sealer

OLD, NEW = Key("old00000", b"o" * 32), Key("new00000", b"n" * 32)
CLOCK = ManualClock()
NOW = CLOCK.now() // SECOND
SUBJECT = Subject("usr_1", "ses_1", "own_1", Role.AGENT, 3)
SIGNING_KEY = Sealer(NEW).derived("access tokens")[NEW.id]
HEADER = {"alg": "HS256", "kid": NEW.id, "typ": "at+jwt"}
CLAIMS: dict[str, Any] = {
    "iss": ISSUER, "aud": AUDIENCE, "sub": "usr_1", "sid": "ses_1", "own": "own_1", "rol": "agent", "tv": 3, "jti": "j",
    "iat": NOW, "nbf": NOW, "exp": NOW + 900,
}  # fmt: skip


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def tokens(clock: ManualClock | None = None, *keys: Key) -> AccessTokens:
    return AccessTokens(Sealer(*(keys or (NEW,))), clock or CLOCK)


def encoded(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).decode().rstrip("=")


def forged(header: Mapping[str, Any], claims: Mapping[str, Any], key: bytes = SIGNING_KEY, digest: str = "sha256") -> str:
    """A token with any header and any claims, signed for real."""
    signed = f"{encoded(json.dumps(header).encode())}.{encoded(json.dumps(claims).encode())}"
    return f"{signed}.{encoded(hmac.digest(key, signed.encode(), digest))}"


def test_what_is_issued_says_whose_it_is_for_fifteen_minutes(clock: ManualClock) -> None:
    ours = tokens(clock)
    token = ours.issue(SUBJECT)
    said = ours.verify(token)
    assert (said.sub, said.sid, said.own, said.rol, said.tv) == ("usr_1", "ses_1", "own_1", Role.AGENT, 3)
    assert ours.issue(SUBJECT) != token
    clock.advance(15 * MINUTE + (LEEWAY_SECONDS - 1) * SECOND)
    ours.verify(token)
    clock.advance(SECOND)
    with pytest.raises(TokenRefused, match="expired"):
        ours.verify(token)


def test_no_lifetime_beyond_fifteen_minutes_can_be_set() -> None:
    with pytest.raises(ValueError, match="up to"):
        AccessTokens(Sealer(NEW), CLOCK, lifetime_ms=15 * MINUTE + 1)


def test_the_forger_of_these_tests_can_make_a_good_one() -> None:
    assert tokens().verify(forged(HEADER, CLAIMS)).sub == "usr_1"


@pytest.mark.parametrize("name", CLAIMS)
def test_a_token_without_any_one_claim_is_refused(name: str) -> None:
    with pytest.raises(TokenRefused):
        tokens().verify(forged(HEADER, {key: value for key, value in CLAIMS.items() if key != name}))


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "someone"}, {"aud": "another-api"}, {"aud": [AUDIENCE]}, {"aud": [AUDIENCE, "x"]}, {"rol": "root"}, {"rol": None},
        {"sub": 7}, {"sub": None}, {"tv": "3"}, {"tv": True}, {"tv": 3.0}, {"exp": "9999999999"}, {"exp": 1e300}, {"exp": None},
        {"exp": NOW + 901}, {"exp": NOW + 10**9}, {"exp": NOW, "iat": NOW}, {"x": 1},
        {"iat": NOW - 1_000, "nbf": NOW - 1_000, "exp": NOW - 100}, {"iat": NOW + 60, "exp": NOW + 300}, {"nbf": NOW + 60},
        {"admin": True}, {"jti": "x" * 65}, {"own": 1},
    ],
)  # fmt: skip
def test_a_signed_token_with_a_wrong_claim_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(TokenRefused):
        tokens().verify(forged(HEADER, {**CLAIMS, **changed}))


@pytest.mark.parametrize(
    "header",
    [
        {**HEADER, "alg": "none"}, {**HEADER, "alg": "None"}, {**HEADER, "alg": "HS512"}, {**HEADER, "alg": "RS256"},
        {**HEADER, "alg": "hs256"}, {**HEADER, "alg": ["HS256"]}, {**HEADER, "typ": "JWT"}, {**HEADER, "typ": None},
        {**HEADER, "kid": "other000"}, {**HEADER, "kid": ""}, {**HEADER, "kid": None}, {**HEADER, "kid": ["new00000"]},
        {**HEADER, "kid": "../wtai.key"}, {**HEADER, "kid": "/dev/null"}, {**HEADER, "kid": "x' UNION SELECT 'k"},
        {**HEADER, "crit": ["exp"]}, {**HEADER, "crit": []}, {**HEADER, "jku": "https://evil.example/k"},
        {**HEADER, "b64": False},
        {**HEADER, "jwk": {"kty": "oct", "k": encoded(SIGNING_KEY)}}, {**HEADER, "x5u": "https://evil.example/c"},
        {**HEADER, "x5c": []},
        {**HEADER, "zip": "DEF"}, {"alg": "HS256"}, {"alg": "HS256", "typ": "at+jwt"}, {},
    ],
)  # fmt: skip
def test_a_token_with_another_header_is_refused_however_it_is_signed(header: dict[str, Any]) -> None:
    with pytest.raises(TokenRefused):
        tokens().verify(forged(header, CLAIMS))
    unsigned = forged(header, CLAIMS).rpartition(".")[0] + "."
    with pytest.raises(TokenRefused):
        tokens().verify(unsigned)


@pytest.mark.parametrize("key", [b"", b"n" * 32, b"secret", NEW.id.encode(), bytes(range(32))])
def test_a_token_signed_with_another_key_is_refused_even_the_master_key_itself(key: bytes) -> None:
    with pytest.raises(TokenRefused, match="InvalidSignature"):
        tokens().verify(forged(HEADER, CLAIMS, key))


def test_a_token_signed_with_another_algorithm_under_our_header_is_refused() -> None:
    with pytest.raises(TokenRefused):
        tokens().verify(forged(HEADER, CLAIMS, digest="sha512"))


def test_a_token_of_the_key_before_a_rotation_is_good_and_new_ones_use_the_new_key() -> None:
    before = tokens(None, OLD).issue(SUBJECT)
    after = tokens(None, NEW, OLD)
    assert after.verify(before).sub == "usr_1"
    assert jwt.get_unverified_header(after.issue(SUBJECT))["kid"] == NEW.id
    with pytest.raises(TokenRefused, match="key that is not known"):
        tokens(None, NEW).verify(before)


def test_one_keys_id_with_another_keys_signature_is_refused() -> None:
    with pytest.raises(TokenRefused):
        tokens(None, NEW, OLD).verify(forged({**HEADER, "kid": OLD.id}, CLAIMS))


@pytest.mark.parametrize(
    "text",
    ["", ".", "..", "...", "a.b.c", "é.é.é", "\ud800", "x" * 100_000, encoded(b"[" * 700) + ".e30.AAAA",
     encoded(b"null") + ".e30.AAAA",
     encoded(b'{"alg":"HS256","kid":1e999,"typ":"at+jwt"}') + ".e30.AAAA", "eyJhbGciOiJub25lIn0.e30."],
)  # fmt: skip
def test_what_is_no_token_is_refused_and_breaks_nothing(text: str) -> None:
    with pytest.raises(TokenRefused):
        tokens().verify(text)


@given(st.data())
def test_a_token_with_any_character_changed_is_refused(data: st.DataObject) -> None:
    token = forged(HEADER, CLAIMS)
    # of the last character of a signature two bits carry nothing: every other position carries all it has
    position = data.draw(st.integers(0, len(token) - 2))
    other = data.draw(st.sampled_from("ABCXYZabcxyz0189-_.").filter(lambda letter: letter != token[position]))
    with pytest.raises(TokenRefused):
        tokens().verify(token[:position] + other + token[position + 1 :])


@given(st.text(max_size=300))
def test_no_text_makes_it_fail_otherwise_than_by_refusing(text: str) -> None:
    with pytest.raises(TokenRefused):
        tokens().verify(text)
