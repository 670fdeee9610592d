"""Only what Twilio signed is accepted: its libraries' published vectors pass, ten thousand altered requests do not."""

import base64
import hashlib
import hmac
import json
import random
import string
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator

from wtai.channels.twilio.signature import is_signed

VECTORS = Path(__file__).parents[3] / "shared" / "data" / "twilio_signature_vectors.json"
# Signed with a re-encoded query, which of Twilio's libraries the one for Node alone takes for equal.
NODE_ONLY = "query with unescaped ' and +"
TOKEN = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
PATH = "/webhooks/twilio/status?m=msg_5f0c"


def form_vectors() -> list[Any]:
    if not VECTORS.exists():
        return []
    return [vector for vector in json.loads(VECTORS.read_text("utf-8")) if vector["body"] is None and vector["name"] != NODE_ONLY]


@pytest.mark.skipif(not VECTORS.exists(), reason="the vectors of Twilio's libraries are not part of the repository")
def test_the_vectors_are_there() -> None:
    assert sum(vector["valid"] for vector in form_vectors()) >= 30


@pytest.mark.parametrize("vector", form_vectors(), ids=lambda vector: vector["name"])
def test_a_published_vector_of_a_form_post_is_judged_as_published(vector: Any) -> None:
    url = urlsplit(vector["url"])
    base = f"{url.scheme}://{url.netloc}"
    settings = [] if vector["algorithm"] == "HMAC_SHA1" else [f"algorithm={vector['algorithm']}"]
    judged = is_signed(
        public_url=base,
        raw_path=vector["url"].removeprefix(base),
        form=[(name, value or "") for name, value in vector["params"]],
        signatures=[vector["signature"]],
        settings=settings,
        tokens=[vector["token"]],
    )
    assert judged is vector["valid"]


@dataclass(frozen=True)
class Request:
    """A request as it arrives, and what it is checked with."""

    public_url: str = "https://bot.example.com"
    raw_path: str = PATH
    form: tuple[tuple[str, str], ...] = (
        ("MessageSid", "SM" + "a1" * 16),
        ("AccountSid", "AC" + "b2" * 16),
        ("From", "whatsapp:+5511987654321"),
        ("To", "whatsapp:+14155238886"),
        ("Body", " Olá\r\nquanto custa? 😀 "),
        ("NumMedia", "0"),
        ("ToCity", ""),
        ("FromState", ""),
        ("ChannelMetadata", '{"type":"whatsapp"}'),
        ("Tag", "b"),
        ("Tag", "a"),
    )
    signatures: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    tokens: tuple[str, ...] = (TOKEN,)

    def accepted(self) -> bool:
        return is_signed(
            public_url=self.public_url,
            raw_path=self.raw_path,
            form=self.form,
            signatures=self.signatures,
            settings=self.settings,
            tokens=self.tokens,
        )

    def text(self) -> str:
        """What Twilio signs."""
        return self.public_url + self.raw_path + "".join(name + value for name, value in sorted(set(self.form)))

    def signed(self, token: str = TOKEN, algorithm: str = "sha1") -> "Request":
        digest = hmac.digest(token.encode(), self.text().encode(), algorithm)
        return replace(self, signatures=(base64.b64encode(digest).decode(),))


def test_the_official_validator_agrees_with_the_signature_these_tests_make() -> None:
    request = Request(form=Request.form[:-2]).signed()
    assert RequestValidator(TOKEN).validate(request.public_url + PATH, dict(request.form), request.signatures[0])
    assert request.accepted()


class Fields(dict[str, list[str]]):
    """Names to all their values, as the official validator reads them."""

    def getall(self, name: str) -> list[str]:
        return self[name]


UNICODE = st.text(st.characters(codec="utf-8"), max_size=8)


@pytest.mark.parametrize("algorithm", ["HMAC_SHA1", "HMAC_SHA256"])
@given(
    form=st.lists(st.tuples(st.sampled_from(["A", "Ab", "a", "ç"]) | UNICODE, UNICODE), max_size=20), token=UNICODE.filter(bool)
)
def test_any_form_signed_by_the_official_validator_is_accepted(algorithm: str, form: list[tuple[str, str]], token: str) -> None:
    fields = Fields()
    for name, value in form:
        fields.setdefault(name, []).append(value)
    request = Request(form=tuple(form), settings=(f"algorithm={algorithm}",), tokens=(token,))
    signature = RequestValidator(token).compute_signature(request.public_url + request.raw_path, fields, algorithm)
    assert replace(request, signatures=(signature,)).accepted()


def test_the_order_of_the_form_and_a_repeated_equal_pair_do_not_count() -> None:
    request = Request().signed()
    assert replace(request, form=tuple(reversed(request.form))).accepted()
    assert replace(request, form=(*request.form, request.form[0])).accepted()


@pytest.mark.parametrize(
    ("configured", "called"),
    [
        ("https://bot.example.com", "https://bot.example.com:443"),
        ("https://bot.example.com:8443/", "https://bot.example.com"),
        ("https://bot.example.com:8443", "https://bot.example.com:8443"),
        ("http://bot.example.com", "http://bot.example.com:80"),
        ("https://bot.example.com/prefix/", "https://bot.example.com:443/prefix"),
        ("http://[2001:db8::1]:8080", "http://[2001:db8::1]"),
        ("http://[2001:db8::1]", "http://[2001:db8::1]:80"),
    ],
)
def test_the_port_may_be_signed_or_not(configured: str, called: str) -> None:
    assert replace(Request(public_url=called).signed(), public_url=configured).accepted()


@pytest.mark.parametrize("configured", ["https://bot.example.com:8443", "http://bot.example.com", "https://bot.example.org"])
def test_another_public_url_is_not_the_one_that_was_signed(configured: str) -> None:
    assert not replace(Request(public_url="https://bot.example.com:443").signed(), public_url=configured).accepted()


def test_either_token_of_a_rotation_signs() -> None:
    for token in ("first", "second"):
        assert replace(Request().signed(token), tokens=("first", "second")).accepted()
    assert not replace(Request().signed("third"), tokens=("first", "second")).accepted()


def test_an_empty_token_signs_nothing() -> None:
    assert not replace(Request().signed(""), tokens=("",)).accepted()
    assert not replace(Request().signed(""), tokens=()).accepted()


def test_a_settings_header_may_name_the_algorithm_and_no_key() -> None:
    request = Request().signed(algorithm="sha256")
    assert replace(request, settings=("algorithm=HMAC_SHA256",)).accepted()
    for settings in (
        (),
        ("key=webhooks_sharedkey_0,algorithm=HMAC_SHA256",),
        ("algorithm=HMAC_SHA256, key=",),
        ("algorithm=HMAC_MD5",),
        ("algorithm=",),
        ("algorithm=HMAC_SHA256", "algorithm=HMAC_SHA256"),
    ):
        assert not replace(request, settings=settings).accepted(), settings


def test_what_the_official_validator_raises_on_is_refused() -> None:
    request = Request().signed()
    assert not replace(request, signatures=()).accepted()
    assert not replace(request, signatures=("çé😀\udcff",)).accepted()
    assert not replace(request, form=(("Body", "\ud800"),)).accepted()
    assert not replace(request, public_url="https://bot.example.com:port").accepted()
    assert not replace(request, public_url="https://[bot").accepted()
    assert not replace(request, raw_path="*").accepted()


Mutation = Callable[[Request, random.Random], Request]


def _put(text: str, dice: random.Random) -> str:
    """``text`` with one character more, less or other."""
    at = dice.randrange(len(text)) if text else 0
    other = dice.choice([char for char in string.ascii_letters + string.digits + " +%" if char != text[at : at + 1]])
    return dice.choice(
        [text[:at] + other + text[at + 1 :], text[:at] + other + text[at:], text[:at] + text[at + 1 :]] if text else [other]
    )


def _at_field(request: Request, dice: random.Random, change: Callable[[str, str], list[tuple[str, str]]]) -> Request:
    at = dice.randrange(len(request.form))
    return replace(request, form=(*request.form[:at], *change(*request.form[at]), *request.form[at + 1 :]))


def path(request: Request, dice: random.Random) -> Request:
    return replace(request, raw_path="/" + _put(request.raw_path[1:], dice))


def tail(request: Request, dice: random.Random) -> Request:
    return replace(request, raw_path=request.raw_path + dice.choice(["?", "&", "#", "/", ";", "%00", "#x", " ", "\t"]))


def host(request: Request, dice: random.Random) -> Request:
    return replace(request, public_url="https://" + _put("bot.example.com", dice).lower())


def name(request: Request, dice: random.Random) -> Request:
    return _at_field(request, dice, lambda name, value: [(_put(name, dice), value)])


def value(request: Request, dice: random.Random) -> Request:
    return _at_field(request, dice, lambda name, value: [(name, _put(value, dice))])


def strip(request: Request, dice: random.Random) -> Request:
    return replace(request, form=tuple((name, value.strip()) for name, value in request.form))


def drop(request: Request, dice: random.Random) -> Request:
    return _at_field(request, dice, lambda name, value: [])


def add(request: Request, dice: random.Random) -> Request:
    return _at_field(request, dice, lambda name, value: [(name, value), (name, value + dice.choice("xyz"))])


def swap(request: Request, dice: random.Random) -> Request:
    first, second = dice.sample(range(9), 2)
    values = [value for _, value in request.form]
    values[first], values[second] = values[second], values[first]
    return replace(request, form=tuple((name, value) for (name, _), value in zip(request.form, values, strict=True)))


def bit(request: Request, dice: random.Random) -> Request:
    digest = bytearray(base64.b64decode(request.signatures[0]))
    digest[dice.randrange(len(digest))] ^= 1 << dice.randrange(8)
    return replace(request, signatures=(base64.b64encode(digest).decode(),))


def header(request: Request, dice: random.Random) -> Request:
    signature = request.signatures[0]
    garbage = "".join(dice.choice(string.printable + "çé😀\udc80\0") for _ in range(dice.randrange(60)))
    wrong = [(), ("",), (garbage,), (signature, signature), (signature[:-1],), (signature + " ",), (signature + "=",)]
    return replace(
        request,
        signatures=dice.choice([*wrong, (signature.swapcase(),), (hashlib.sha1(garbage.encode("utf-8", "ignore")).hexdigest(),)]),
    )


def settings(request: Request, dice: random.Random) -> Request:
    return replace(
        request,
        settings=(
            dice.choice(["key=x,algorithm=HMAC_SHA1", "algorithm=none", "algorithm=HMAC_SHA256", "key=", "a\0=,algorithm="]),
        ),
    )


def token(request: Request, dice: random.Random) -> Request:
    return replace(request, tokens=tuple(_put(TOKEN, dice) for _ in range(dice.randrange(3))))


MUTATIONS: tuple[Mutation, ...] = (path, tail, host, name, value, strip, drop, add, swap, bit, header, settings, token)


def test_ten_thousand_altered_requests_are_refused_without_an_exception() -> None:
    dice = random.Random(20261120)
    genuine = Request().signed()
    assert genuine.accepted()
    refused = 0
    while refused < 10_000:
        altered = dice.choice(MUTATIONS)(genuine, dice)
        if altered.text() == genuine.text() and altered.signatures == genuine.signatures and altered.form != genuine.form:
            continue  # the signed text has no delimiters: moving a character from value to name leaves it the same
        if altered == genuine:
            continue
        assert not altered.accepted(), altered
        refused += 1
