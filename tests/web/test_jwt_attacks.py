"""Every way to come in with a token that is not, or no longer, good: each is refused by the running program, and told nothing."""

import base64
import hmac
import json
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
import pytest

from tests.web.api_client import HASH, PASSWORD, Api, Client, Reply, open_api
from wtai.app import sealer
from wtai.clock import HOUR, SystemClock
from wtai.identity.access import Role
from wtai.identity.access_tokens import AUDIENCE, ISSUER
from wtai.identity.api_tokens import end_api_token, issue_api_token
from wtai.identity.audit_store import OPERATOR
from wtai.identity.model import User
from wtai.identity.registration import add_user, give_password, give_role, let, let_owner
from wtai.identity.sessions import GRACE_MS

REFUSED = {
    "type": "/api/docs/errors/unauthenticated",
    "title": "Nobody is known by this token",
    "status": 401,
    "detail": "the token is not, or no longer, good",
}


@dataclass(frozen=True)
class Scene:
    """A member of staff who is logged in, the tokens of the log-in, and the keys of the program."""

    api: Api
    user: User
    tokens: Mapping[str, str]

    @property
    def access(self) -> str:
        return self.tokens["access_token"]

    @property
    def keys(self) -> Mapping[str, bytes]:
        return sealer(self.api.world.settings()).derived("access tokens")

    @property
    def header(self) -> dict[str, Any]:
        return {"alg": "HS256", "kid": next(iter(self.keys)), "typ": "at+jwt"}

    @property
    def claims(self) -> dict[str, Any]:
        return dict(jwt.decode(self.access, options={"verify_signature": False}))

    def forged(self, header: Mapping[str, Any] | None = None, claims: Mapping[str, Any] | None = None, **options: Any) -> str:
        """A token with these changes, signed with the program's own key unless another ``key`` is given. None takes away."""
        return signed(
            _without_none({**self.header, **(header or {})}),
            _without_none({**self.claims, **(claims or {})}),
            options.get("key", next(iter(self.keys.values()))),
            options.get("digest", "sha256"),
        )

    async def change(self, work: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        return await self.api.database.write(self.user.owner_id, work, *arguments, **options, now=SystemClock().now())

    async def post(self, path: str, **body: str) -> Reply:
        return await self.api.nobody.post(f"/auth/{path}", body)

    async def as_bearer(self, token: str) -> Reply:
        return await Client(self.api.session, token).get("/me")


def encoded(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).decode().rstrip("=")


def signed(header: Mapping[str, Any], claims: Mapping[str, Any], key: bytes, digest: str = "sha256") -> str:
    text = f"{encoded(json.dumps(header).encode())}.{encoded(json.dumps(claims).encode())}"
    return f"{text}.{encoded(hmac.digest(key, text.encode(), digest))}"


def _without_none(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


@asynccontextmanager
async def open_scene(data_dir: Path) -> AsyncIterator[Scene]:
    async with open_api(data_dir) as api:
        line, now = api.lines[0], SystemClock().now()
        email = "bia@padaria.example"
        user = await api.database.write(line.owner_id, add_user, Role.AGENT, "Bia", email, HASH, actor=OPERATOR, now=now)
        tokens = await api.nobody.post("/auth/token", {"email": email, "password": PASSWORD})
        assert tokens.status == 200, tokens.text
        yield Scene(api, user, tokens.body)


@pytest.fixture
async def scene(data_dir: Path) -> AsyncIterator[Scene]:
    async with open_scene(data_dir) as opened:
        yield opened


Forger = Callable[[Scene], str]


def unsigned(scene: Scene, algorithm: str) -> str:
    return scene.forged({"alg": algorithm}).rpartition(".")[0] + "."


def with_payload(scene: Scene, **changes: Any) -> str:
    """The program's own header and signature around another payload."""
    header, _, signature = scene.access.split(".")
    return f"{header}.{encoded(json.dumps({**scene.claims, **changes}).encode())}.{signature}"


def other_purpose(scene: Scene, purpose: str) -> bytes:
    return next(iter(sealer(scene.api.world.settings()).derived(purpose).values()))


def now_seconds(shift: int = 0) -> int:
    return SystemClock().now() // 1000 + shift


FORGERIES: dict[str, Forger] = {
    "none algorithm, without a signature": lambda scene: unsigned(scene, "none"),
    "None algorithm, written otherwise": lambda scene: unsigned(scene, "nOnE"),
    "none algorithm, with the signature": lambda scene: scene.forged({"alg": "none"}),
    "our header, without the signature": lambda scene: scene.access.rpartition(".")[0] + ".",
    "our header, two parts": lambda scene: scene.access.rpartition(".")[0],
    "HS256 with a random key": lambda scene: scene.forged(key=secrets.token_bytes(32)),
    "HS256 with an empty key": lambda scene: scene.forged(key=b""),
    "HS256 with a public word as key": lambda scene: scene.forged(key=b"secret"),
    "HS256 with the key's id as key": lambda scene: scene.forged(key=scene.header["kid"].encode()),
    "HS256 with the owner's public id as key": lambda scene: scene.forged(key=scene.claims["own"].encode()),
    "HS256 with the issuer as key": lambda scene: scene.forged(key=ISSUER.encode()),
    "HS256 with the key of another purpose": lambda scene: scene.forged(key=other_purpose(scene, "cursors")),
    "HS256 with the key of refresh tokens": lambda scene: scene.forged(key=other_purpose(scene, "refresh tokens")),
    "HS256 with the key file as it stands": lambda scene: scene.forged(key=(scene.api.world.data_dir / "wtai.key").read_bytes()),
    "HS512 with our key": lambda scene: scene.forged({"alg": "HS512"}, digest="sha512"),
    "HS384 with our key": lambda scene: scene.forged({"alg": "HS384"}, digest="sha384"),
    "SHA-512 under HS256": lambda scene: scene.forged(digest="sha512"),
    "RS256 named, HMAC made": lambda scene: scene.forged({"alg": "RS256"}),
    "ES256 named, HMAC made": lambda scene: scene.forged({"alg": "ES256"}),
    "algorithm as a list": lambda scene: scene.forged({"alg": ["HS256"]}),
    "no algorithm": lambda scene: scene.forged({"alg": None}),
    "expired": lambda scene: scene.forged(claims={"iat": now_seconds(-900), "nbf": now_seconds(-900), "exp": now_seconds(-30)}),
    "not yet valid": lambda scene: scene.forged(claims={"nbf": now_seconds(60)}),
    "issued in the future": lambda scene: scene.forged(
        claims={"iat": now_seconds(60), "nbf": now_seconds(60), "exp": now_seconds(600)}
    ),
    "good for a day": lambda scene: scene.forged(claims={"exp": now_seconds(86_400)}),
    "good for ever": lambda scene: scene.forged(claims={"exp": 253_402_300_799}),
    "expiry as text": lambda scene: scene.forged(claims={"exp": str(now_seconds(600))}),
    "expiry infinite": lambda scene: scene.forged(claims={"exp": 1e308}),
    "another audience": lambda scene: scene.forged(claims={"aud": "another-api"}),
    "our audience among others": lambda scene: scene.forged(claims={"aud": [AUDIENCE, "another-api"]}),
    "another issuer": lambda scene: scene.forged(claims={"iss": "somebody"}),
    "issuer as a list": lambda scene: scene.forged(claims={"iss": [ISSUER]}),
    **{f"without {name}": lambda scene, name=name: scene.forged(claims={name: None})  # type: ignore[misc]
       for name in ("iss", "aud", "sub", "sid", "own", "rol", "tv", "jti", "iat", "nbf", "exp")},
    "a claim that is none of ours": lambda scene: scene.forged(claims={"admin": True}),
    "of another user": lambda scene: scene.forged(claims={"sub": scene.api.admin_id}),
    "of another owner": lambda scene: scene.forged(claims={"own": scene.api.lines[1].owner}),
    "of the platform's owner": lambda scene: scene.forged(claims={"own": "own_platform"}),
    "of a session that is not there": lambda scene: scene.forged(claims={"sid": "ses_" + "0" * 24}),
    "of an older version of the user": lambda scene: scene.forged(claims={"tv": scene.claims["tv"] - 1}),
    "of a later version of the user": lambda scene: scene.forged(claims={"tv": scene.claims["tv"] + 1}),
    "of a role that is none": lambda scene: scene.forged(claims={"rol": "root"}),
    "payload tampered: role": lambda scene: with_payload(scene, rol="admin"),
    "payload tampered: owner": lambda scene: with_payload(scene, own="own_platform"),
    "payload tampered: expiry": lambda scene: with_payload(scene, exp=now_seconds(899)),
    "kid is a path": lambda scene: scene.forged({"kid": "../../dev/null"}, key=b""),
    "kid is a file of the system": lambda scene: scene.forged({"kid": "/dev/null"}, key=b""),
    "kid is SQL": lambda scene: scene.forged({"kid": "x' UNION SELECT 'k' --"}, key=b"k"),
    "kid is a command": lambda scene: scene.forged({"kid": "| id"}),
    "kid is an address": lambda scene: scene.forged({"kid": "https://evil.example/k"}),
    "kid is unknown": lambda scene: scene.forged({"kid": "00000000"}),
    "kid is empty": lambda scene: scene.forged({"kid": ""}),
    "kid is absent": lambda scene: scene.forged({"kid": None}),
    "kid is a list": lambda scene: scene.forged({"kid": [scene.header["kid"]]}),
    "kid is a number": lambda scene: scene.forged({"kid": 0}),
    "kid is ours in other letters": lambda scene: scene.forged({"kid": scene.header["kid"].upper() + " "}),
    "jku": lambda scene: scene.forged({"jku": "https://evil.example/keys"}),
    "jwk with the key in it": lambda scene: scene.forged({"jwk": {"kty": "oct", "k": encoded(b"k" * 32)}}, key=b"k" * 32),
    "x5u": lambda scene: scene.forged({"x5u": "https://evil.example/chain"}),
    "x5c": lambda scene: scene.forged({"x5c": ["MIIB"]}),
    "crit": lambda scene: scene.forged({"crit": ["exp"]}),
    "crit without anything": lambda scene: scene.forged({"crit": []}),
    "b64 false": lambda scene: scene.forged({"b64": False}),
    "zip": lambda scene: scene.forged({"zip": "DEF"}),
    "of the type of other tokens": lambda scene: scene.forged({"typ": "JWT"}),
    "of the type of refresh tokens": lambda scene: scene.forged({"typ": "rt+jwt"}),
    "without a type": lambda scene: scene.forged({"typ": None}),
    "encrypted in form": lambda scene: f"{scene.access}.{encoded(b'x')}.{encoded(b'y')}",
    "longer than any": lambda scene: scene.forged(claims={"jti": "j" * 4_000}),
    "with a second signature": lambda scene: f"{scene.access}.{scene.access.rpartition('.')[2]}",
    "a refresh token as an access token": lambda scene: scene.tokens["refresh_token"],
    "an API token that nobody made": lambda scene: "wtai_00000000_" + "0" * 64,
    "an API token without its secret": lambda scene: "wtai_00000000_",
}  # fmt: skip
"""Tokens that were never given out, or not like this."""


async def test_no_forgery_gets_anybody_in_and_all_are_answered_alike(data_dir: Path) -> None:
    async with open_scene(data_dir) as scene:
        assert (await scene.as_bearer(scene.access)).status == 200
        assert (await scene.as_bearer(scene.forged())).status == 200, "the forger can make a good one"
        let_through = {}
        for number, (name, forge) in enumerate(FORGERIES.items()):
            client = Client(scene.api.session, forge(scene))
            reply = await client.get("/me", X_Forwarded_For=f"203.0.113.{number}")
            said = {field: value for field, value in reply.body.items() if field != "instance"}
            if said != REFUSED or 'error="invalid_token"' not in reply.headers["WWW-Authenticate"]:
                let_through[name] = reply.text
        assert let_through == {}
        assert (await scene.as_bearer(scene.access)).status == 200


Ending = Callable[[Scene], Awaitable[object]]


async def _log_out(scene: Scene) -> None:
    assert (await scene.post("revoke", refresh_token=scene.tokens["refresh_token"])).status == 204


async def _steal(scene: Scene) -> None:
    """A refresh token that is used again, once its successor was."""
    first = scene.tokens["refresh_token"]
    second = (await scene.post("refresh", refresh_token=first)).body["refresh_token"]
    assert (await scene.post("refresh", refresh_token=second)).status == 200
    assert (await scene.post("refresh", refresh_token=first)).status == 401


async def _end_session(scene: Scene) -> None:
    reply = await Client(scene.api.session, scene.access)("DELETE", f"/sessions/{scene.claims['sid']}")
    assert reply.status == 204


ENDINGS: dict[str, Ending] = {
    "session revoked by its refresh token": _log_out,
    "session ended by its user": _end_session,
    "refresh token replayed": _steal,
    "user disabled": lambda scene: scene.change(let, scene.user, "disabled", actor=OPERATOR),
    "password changed": lambda scene: scene.change(give_password, scene.user, HASH, actor=OPERATOR),
    "owner disabled": lambda scene: scene.change(let_owner, "disabled", actor=OPERATOR),
    "role changed": lambda scene: scene.change(give_role, scene.user, Role.ADMIN, actor=OPERATOR),
}
"""What makes good tokens void, at once."""


@pytest.mark.parametrize("name", ENDINGS)
async def test_an_access_token_is_void_as_soon_as(name: str, scene: Scene) -> None:
    assert (await scene.as_bearer(scene.access)).status == 200
    await ENDINGS[name](scene)
    refused = await scene.as_bearer(scene.access)
    assert {field: value for field, value in refused.body.items() if field != "instance"} == REFUSED


@pytest.mark.parametrize("name", [name for name in ENDINGS if name != "role changed"])
async def test_a_refresh_token_is_void_as_soon_as(name: str, scene: Scene) -> None:
    await ENDINGS[name](scene)
    refused = await scene.post("refresh", refresh_token=scene.tokens["refresh_token"])
    assert {field: value for field, value in refused.body.items() if field != "instance"} == REFUSED


async def test_a_replayed_refresh_token_takes_its_whole_family_along(scene: Scene) -> None:
    first = scene.tokens["refresh_token"]
    second = (await scene.post("refresh", refresh_token=first)).body
    third = (await scene.post("refresh", refresh_token=second["refresh_token"])).body
    assert (await scene.as_bearer(third["access_token"])).status == 200
    assert (await scene.post("refresh", refresh_token=first)).status == 401
    for tokens in (second, third):
        assert (await scene.as_bearer(tokens["access_token"])).status == 401
        assert (await scene.post("refresh", refresh_token=tokens["refresh_token"])).status == 401


async def test_a_refresh_token_that_comes_again_late_ends_its_session_though_its_successor_is_unused(scene: Scene) -> None:
    first = scene.tokens["refresh_token"]
    second = (await scene.post("refresh", refresh_token=first)).body
    await scene.api.database.system_write(
        lambda tx: tx.run("UPDATE refresh_tokens SET used_at = used_at - :late WHERE used_at IS NOT NULL", late=GRACE_MS + 1)
    )
    assert (await scene.post("refresh", refresh_token=first)).status == 401
    assert (await scene.post("refresh", refresh_token=second["refresh_token"])).status == 401
    assert (await scene.as_bearer(second["access_token"])).status == 401


@pytest.mark.parametrize("made_of", ["access token", "API token", "nothing", "another's letters", "its own hash"])
async def test_what_is_no_refresh_token_refreshes_nothing(made_of: str, scene: Scene) -> None:
    known = scene.tokens["refresh_token"]
    text = {
        "access token": scene.access[:128],
        "API token": scene.api.admin.token or "",
        "nothing": "0" * 43,
        "another's letters": known.swapcase(),
        "its own hash": str(scene.api.world.value("SELECT hash FROM refresh_tokens")),
    }[made_of]
    assert (await scene.post("refresh", refresh_token=text)).status == 401
    assert (await scene.post("revoke", refresh_token=text)).status == 204
    assert (await scene.as_bearer(scene.access)).status == 200
    assert (await scene.post("refresh", refresh_token=known)).status == 200


async def test_the_role_in_a_token_is_not_what_counts(scene: Scene) -> None:
    raised = Client(scene.api.session, scene.forged(claims={"rol": "admin"}))
    assert (await raised.get("/me")).body["role"] == "agent"
    assert (await raised.get("/api-tokens")).status == 403


@pytest.mark.parametrize("ending", ["revoked", "expired", "owner disabled", "user who made it disabled"])
async def test_an_api_token_is_void_once(ending: str, scene: Scene) -> None:
    now = SystemClock().now()
    line = scene.api.lines[0]
    maker = Client(scene.api.session, (await _logged_in_admin(scene)))
    made = (await maker.post("/api-tokens", {"name": "t", "role": "agent", "scopes": ["conversations.read"]})).body
    client = Client(scene.api.session, made["token"])
    assert (await client.get("/conversations")).status == 200
    assert (await client.get("/memories?user=x")).status == 403, "outside of its scopes"
    assert (await client.get("/me")).status == 403, "outside of its scopes"
    match ending:
        case "revoked":
            await scene.change(end_api_token, made["id"], OPERATOR)
        case "expired":
            await scene.api.database.write(
                line.owner_id, lambda tx: tx.run("UPDATE api_tokens SET expires_at = :now WHERE owner_id = :owner", now=now)
            )
        case "owner disabled":
            await scene.change(let_owner, "disabled", actor=OPERATOR)
        case _:
            await scene.change(add_user, Role.ADMIN, "Cida", "cida@padaria.example", HASH, actor=OPERATOR)
            assert (await scene.api.admin.post(f"/users/{scene.api.admin_id}/disable")).status == 200
    refused = await client.get("/conversations")
    assert {field: value for field, value in refused.body.items() if field != "instance"} == REFUSED


async def test_an_api_token_is_good_up_to_its_hour(scene: Scene) -> None:
    now = SystemClock().now()
    owner_id = scene.api.lines[0].owner_id
    for expires_at, status in ((now + HOUR, 200), (now - 1, 401)):
        issued = await scene.api.database.write(
            owner_id, issue_api_token, "t", Role.AGENT, ["all"], maker=None, expires_at=expires_at, now=now
        )
        assert (await Client(scene.api.session, issued.text).get("/me")).status == status


async def test_a_token_comes_in_the_header_once_and_nowhere_else(scene: Scene) -> None:
    session, path = scene.api.session, "/api/v1/me"
    twice = [("Authorization", f"Bearer {scene.access}"), ("Authorization", f"Bearer {scene.access}")]
    for headers in (twice, [("Authorization", f"Basic {scene.access}")], [("Cookie", f"access_token={scene.access}")], []):
        async with session.get(f"{path}", headers=headers) as reply:
            assert reply.status == 401
    async with session.get(f"{path}?access_token={scene.access}") as reply:
        assert reply.status == 401


async def _logged_in_admin(scene: Scene) -> str:
    reply = await scene.post("token", email="ana@padaria.example", password=PASSWORD)
    return str(reply.body["access_token"])
