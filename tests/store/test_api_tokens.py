"""API tokens: shown once, found by their hash, confined to their scopes."""

from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.store.identity import House, open_house
from wtai.clock import DAY, MINUTE, SECOND
from wtai.db.sqlite import connect
from wtai.db.tx import PLATFORM
from wtai.errors import NotFound
from wtai.identity import registration
from wtai.identity.access import Principal, Role, TokenRefused, UnknownScope, allowed
from wtai.identity.api_tokens import Issued, end_api_token, issue_api_token
from wtai.identity.api_tokens_store import ApiToken, api_token, api_tokens
from wtai.identity.audit_store import OPERATOR, Actor


@pytest.fixture
async def house(data_dir: Path) -> AsyncIterator[House]:
    async with open_house(data_dir) as opened:
        yield opened


def admin_of(house: House) -> Principal:
    admin = house.home.admin
    assert admin is not None
    return Principal("user", admin.public_id, house.home.owner.id, Role.ADMIN, admin.id, session="ses_1")


async def issue(
    house: House, *scopes: str, role: Role = Role.ADMIN, days: int | None = None, by_operator: bool = False
) -> Issued:
    now = house.clock.now()
    return await house.database.write(
        house.home.owner.id,
        issue_api_token,
        "crm",
        role,
        scopes,
        maker=None if by_operator else admin_of(house),
        address="203.0.113.9",
        expires_at=None if days is None else now + days * DAY,
        now=now,
    )


async def kept(house: House, issued: Issued) -> ApiToken:
    return await house.database.read(house.home.owner.id, api_token, issued.token.public_id)


async def test_a_token_is_its_owners_and_may_what_its_scopes_say(house: House) -> None:
    issued = await issue(house, "conversations", "usage.read")
    found = await house.sessions().principal(issued.text)
    assert (found.kind, found.id, found.owner_id, found.role) == (
        "token",
        issued.token.public_id,
        house.home.owner.id,
        Role.ADMIN,
    )
    assert allowed(found, "conversations.close")
    assert allowed(found, "usage.read")
    assert not allowed(found, "users.read")


async def test_a_token_is_in_no_byte_of_the_database_but_its_start(house: House) -> None:
    issued = await issue(house, "read")
    with closing(connect(house.path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = house.path.read_bytes()
    assert issued.text.rpartition("_")[2].encode() not in content
    assert issued.token.prefix.encode() in content
    assert issued.text.startswith(f"{issued.token.prefix}_")
    assert issued.text not in repr(issued)


async def test_who_made_a_token_and_who_ended_it_is_in_the_log(house: House) -> None:
    issued = await issue(house, "read")
    await house.database.write(house.home.owner.id, end_api_token, issued.token.public_id, OPERATOR, now=5)
    lines = [(line.actor_kind, line.action, line.target) for line in await house.audited()][-2:]
    assert lines == [
        ("user", "api_tokens.create", issued.token.public_id),
        ("operator", "api_tokens.delete", issued.token.public_id),
    ]


async def test_a_revoked_token_and_an_expired_one_are_refused_at_once(house: House) -> None:
    sessions = house.sessions()
    revoked, short = await issue(house, "read"), await issue(house, "read", days=2)
    await house.database.write(house.home.owner.id, end_api_token, revoked.token.public_id, Actor("system"), now=5)
    with pytest.raises(TokenRefused, match="revoked"):
        await sessions.principal(revoked.text)
    house.clock.advance(2 * DAY - 1)
    await sessions.principal(short.text)
    house.clock.advance(1)
    with pytest.raises(TokenRefused, match="expired"):
        await sessions.principal(short.text)


async def test_a_token_ends_with_its_maker_and_rests_while_the_owner_is_shut_out(house: House) -> None:
    sessions, owner, admin = house.sessions(), house.home.owner, house.home.admin
    assert admin is not None
    await house.database.write(owner.id, registration.add_user, Role.ADMIN, None, "b@x.example", "h", actor=OPERATOR, now=1)
    of_admin, of_operator = await issue(house, "read"), await issue(house, "read", by_operator=True)
    await house.database.write(owner.id, registration.let_owner, "disabled", actor=OPERATOR, now=1)
    with pytest.raises(TokenRefused):
        await sessions.principal(of_operator.text)
    await house.database.write(owner.id, registration.let_owner, "active", actor=OPERATOR, now=1)
    await sessions.principal(of_admin.text)
    await house.database.write(owner.id, registration.let, admin, "disabled", actor=OPERATOR, now=1)
    with pytest.raises(TokenRefused):
        await sessions.principal(of_admin.text)
    await sessions.principal(of_operator.text)


async def test_its_last_use_is_noted_once_a_minute(house: House) -> None:
    sessions = house.sessions()
    issued = await issue(house, "read")
    assert (await kept(house, issued)).last_used_at is None
    await sessions.principal(issued.text)
    first = (await kept(house, issued)).last_used_at
    assert first == house.clock.now()
    house.clock.advance(MINUTE - SECOND)
    await sessions.principal(issued.text)
    assert (await kept(house, issued)).last_used_at == first
    house.clock.advance(SECOND)
    await sessions.principal(issued.text)
    assert (await kept(house, issued)).last_used_at == house.clock.now()


@pytest.mark.parametrize(
    "change", [lambda text: text[:-1], lambda text: text + "0", lambda text: text.upper(), lambda text: text[:-1] + "g",
               lambda text: text[:14] + "0" * 64, lambda text: text + "\n", lambda text: "wtai_", lambda text: " " + text],
)  # fmt: skip
async def test_nothing_but_the_token_itself_is_taken(house: House, change) -> None:  # type: ignore[no-untyped-def]
    issued = await issue(house, "read")
    with pytest.raises(TokenRefused):
        await house.sessions().principal(change(issued.text))


async def test_no_token_is_made_with_more_than_its_maker_may(house: House) -> None:
    made = await issue(house, "api_tokens", "usage")
    narrow = await house.sessions().principal(made.text)
    for scopes in (["all"], ["conversations.read"], ["nothing"]):
        with pytest.raises(UnknownScope):
            await house.database.write(
                house.home.owner.id, issue_api_token, "x", Role.ADMIN, scopes, maker=narrow, now=house.clock.now()
            )
    assert len(await house.database.read(house.home.owner.id, api_tokens)) == 1


async def test_owners_see_and_end_their_own_tokens_alone(house: House) -> None:
    issued = await issue(house, "read")
    assert await house.database.read(house.other.owner.id, api_tokens) == []
    with pytest.raises(NotFound):
        await house.database.write(house.other.owner.id, end_api_token, issued.token.public_id, OPERATOR, now=5)
    await house.sessions().principal(issued.text)


async def test_the_platforms_token_is_the_platforms(house: House) -> None:
    issued = await house.database.write(PLATFORM, issue_api_token, "ops", Role.PLATFORM, ["owners"], maker=None, now=1)
    found = await house.sessions().principal(issued.text)
    assert (found.owner_id, found.role) == (PLATFORM, Role.PLATFORM)
    assert allowed(found, "owners.create")
    assert not allowed(found, "plans.read")
