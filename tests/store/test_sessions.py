"""Log-ins: who gets in, how long, and what ends it at once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.store.identity import CHEAP, PASSWORD, House, open_house
from wtai.clock import DAY, MINUTE, SECOND
from wtai.db.sqlite import connect
from wtai.db.tx import PLATFORM
from wtai.identity import registration, sessions_store, users_store
from wtai.identity.access import Principal, Role, TokenRefused
from wtai.identity.audit_store import OPERATOR
from wtai.identity.passwords import Passwords
from wtai.identity.sessions import GRACE_MS, LoginRefused, Sessions, Tokens
from wtai.identity.throttle import FREE_BY_ACCOUNT, Throttled
from wtai.secrets import Key

ADMIN = "admin@padaria.example"


@pytest.fixture
async def house(data_dir: Path) -> AsyncIterator[House]:
    async with open_house(data_dir) as opened:
        yield opened


async def log_in(sessions: Sessions, email: str = ADMIN, password: str = PASSWORD) -> Tokens:
    return await sessions.log_in(email, password, address="203.0.113.9")


async def is_void(sessions: Sessions, tokens: Tokens) -> bool:
    """Whether neither the access token nor the refresh token is good for anything."""
    try:
        await sessions.principal(tokens.access)
    except TokenRefused:
        with pytest.raises(TokenRefused):
            await sessions.refresh(tokens.refresh, address=None)
        return True
    return False


async def test_the_right_password_gives_the_user_its_own_owner_and_role(house: House) -> None:
    sessions = house.sessions()
    tokens = await log_in(sessions, "ADMIN@padaria.example")
    admin, owner = house.home.admin, house.home.owner
    assert admin is not None
    expected = Principal("user", admin.public_id, owner.id, Role.ADMIN, admin.id, session=tokens.session)
    assert await sessions.principal(tokens.access) == expected
    assert [(line.action, line.actor, line.target, line.address) for line in await house.audited()][-1] == (
        "sessions.create", admin.public_id, tokens.session, "203.0.113.9",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("email", "password"),
    [
        (ADMIN, "wrong password"),
        (ADMIN, ""),
        ("nobody@x.example", PASSWORD),
        ("", ""),
        ("\ud800@x.example", PASSWORD),
        ("a\x00@x.example", PASSWORD),
        ("x" * 1_000_000, PASSWORD),
        (ADMIN, "\ud800" * 20),
    ],
)
async def test_whatever_is_wrong_the_answer_is_the_same(house: House, email: str, password: str) -> None:
    with pytest.raises(LoginRefused, match=r"^e-mail address or password are wrong$"):
        await log_in(house.sessions(), email, password)


async def test_a_refused_log_in_is_in_the_owners_log(house: House) -> None:
    with pytest.raises(LoginRefused):
        await log_in(house.sessions(), password="wrong password")
    last = (await house.audited())[-1]
    assert (last.action, last.outcome, last.address) == ("sessions.create", "refused", "203.0.113.9")


async def test_guessing_has_to_wait_even_with_the_right_password(house: House) -> None:
    sessions = house.sessions()
    for _ in range(FREE_BY_ACCOUNT):
        with pytest.raises(LoginRefused):
            await log_in(sessions, password="wrong password")
    with pytest.raises(Throttled) as refused:
        await log_in(sessions)
    assert refused.value.retry_after_ms == SECOND
    house.clock.advance(SECOND)
    await log_in(sessions)


async def test_one_address_at_several_owners_is_told_apart_by_the_owner(house: House) -> None:
    await house.database.write(
        house.other.owner.id,
        registration.add_user,
        Role.AGENT,
        None,
        ADMIN,
        CHEAP.hash("another password"),
        actor=OPERATOR,
        now=1,
    )
    sessions = house.sessions()
    assert (await sessions.principal((await log_in(sessions)).access)).owner_id == house.home.owner.id
    there = await sessions.log_in(ADMIN, "another password", owner=house.other.owner.public_id, address=None)
    assert (await sessions.principal(there.access)).owner_id == house.other.owner.id
    with pytest.raises(LoginRefused):
        await sessions.log_in(ADMIN, PASSWORD, owner=house.other.owner.public_id, address=None)


async def test_the_platforms_people_log_in_as_such(house: House) -> None:
    await house.database.write(
        PLATFORM, registration.add_user, Role.PLATFORM, None, "op@x.example", CHEAP.hash(PASSWORD), actor=OPERATOR, now=1
    )
    sessions = house.sessions()
    found = await sessions.principal((await log_in(sessions, "op@x.example")).access)
    assert (found.owner_id, found.role) == (PLATFORM, Role.PLATFORM)


async def test_a_password_kept_at_another_cost_is_kept_anew(house: House) -> None:
    costlier = Passwords(memory_kib=1_024, time_cost=1, parallelism=1)
    await log_in(house.sessions(passwords=costlier))
    admin = house.home.admin
    assert admin is not None
    assert "$m=1024," in await house.database.read(house.home.owner.id, users_store.password_hash_of, admin)
    await log_in(house.sessions(passwords=costlier))


# --- Refreshing


async def test_refreshing_goes_on_with_a_new_token_each_time(house: House) -> None:
    sessions = house.sessions()
    tokens = await log_in(sessions)
    seen = {tokens.refresh}
    for _ in range(5):
        house.clock.advance(14 * MINUTE)
        tokens = await sessions.refresh(tokens.refresh, address=None)
        seen.add(tokens.refresh)
        assert (await sessions.principal(tokens.access)).session == tokens.session
    assert len(seen) == 6


async def test_no_token_is_in_the_database(house: House) -> None:
    sessions = house.sessions()
    first = await log_in(sessions)
    second = await sessions.refresh(first.refresh, address=None)
    with closing(connect(house.path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = house.path.read_bytes()
    for secret in (first.access, first.refresh, second.access, second.refresh, PASSWORD):
        assert secret.encode() not in content
    assert first.session.encode() in content


async def test_a_refresh_token_that_comes_again_ends_the_session_for_both(house: House) -> None:
    sessions = house.sessions()
    stolen = await log_in(sessions)
    thief = await sessions.refresh(stolen.refresh, address="198.51.100.1")
    house.clock.advance(GRACE_MS + 1)
    with pytest.raises(TokenRefused, match="used before"):
        await sessions.refresh(stolen.refresh, address="203.0.113.9")
    assert await is_void(sessions, thief)
    last = (await house.audited())[-1]
    assert (last.action, last.target, last.details, last.address) == (
        "sessions.delete", stolen.session, "used before", "203.0.113.9",
    )  # fmt: skip


async def test_within_the_grace_too_once_the_successor_was_used(house: House) -> None:
    sessions = house.sessions()
    first = await log_in(sessions)
    second = await sessions.refresh(first.refresh, address=None)
    third = await sessions.refresh(second.refresh, address=None)
    with pytest.raises(TokenRefused):
        await sessions.refresh(first.refresh, address=None)
    assert await is_void(sessions, third)


async def test_a_client_that_asks_twice_at_once_gets_the_same_successor(house: House) -> None:
    sessions = house.sessions()
    tokens = await log_in(sessions)
    answers = await asyncio.gather(*(sessions.refresh(tokens.refresh, address=None) for _ in range(20)))
    [successor] = {answer.refresh for answer in answers}
    house.clock.advance(GRACE_MS)
    assert (await sessions.refresh(tokens.refresh, address=None)).refresh == successor
    await sessions.refresh(successor, address=None)


@pytest.mark.parametrize("text", ["", "x", "x" * 43, "x" * 100_000, "é" * 43, "\ud800", "wtai_00000000_" + "0" * 64])
async def test_what_is_no_refresh_token_is_refused(house: House, text: str) -> None:
    with pytest.raises(TokenRefused):
        await house.sessions().refresh(text, address=None)


async def test_a_session_ends_without_refreshes_and_at_its_end_in_any_case(house: House) -> None:
    sessions = house.sessions(idle_days=2, days=5)
    idle, kept = await log_in(sessions), await log_in(sessions)
    for _ in range(4):
        house.clock.advance(DAY)
        kept = await sessions.refresh(kept.refresh, address=None)
    assert await is_void(sessions, idle)
    house.clock.advance(DAY - MINUTE)
    last = await sessions.refresh(kept.refresh, address=None)
    assert not await is_void(sessions, last)
    house.clock.advance(MINUTE)
    assert await is_void(sessions, last)


async def test_a_change_of_the_master_key_logs_nobody_out(house: House) -> None:
    old, new = Key("old00000", b"o" * 32), Key("new00000", b"n" * 32)
    tokens = await log_in(house.sessions(old))
    after = house.sessions(new, old)
    await after.principal(tokens.access)
    await after.principal((await after.refresh(tokens.refresh, address=None)).access)


# --- What makes tokens void


async def test_logging_out_ends_this_session_alone(house: House) -> None:
    sessions = house.sessions()
    first, second = await log_in(sessions), await log_in(sessions)
    await sessions.log_out(first.refresh, address=None)
    await sessions.log_out(first.refresh, address=None)
    await sessions.log_out("no token of ours", address=None)
    assert await is_void(sessions, first)
    assert not await is_void(sessions, second)


@pytest.mark.parametrize("what", ["password", "user", "owner", "session", "all"])
async def test_what_is_taken_away_is_gone_at_once(house: House, what: str) -> None:
    sessions, database, owner, admin = house.sessions(), house.database, house.home.owner, house.home.admin
    assert admin is not None
    await database.write(owner.id, registration.add_user, Role.ADMIN, None, "b@x.example", "h", actor=OPERATOR, now=1)
    tokens = await log_in(sessions)
    bystander = await log_in(sessions, "admin@oficina.example")
    assert not await is_void(sessions, tokens)
    if what == "password":
        await database.write(owner.id, registration.give_password, admin, CHEAP.hash("a new password"), actor=OPERATOR, now=1)
    elif what == "user":
        await database.write(owner.id, registration.let, admin, "disabled", actor=OPERATOR, now=1)
    elif what == "owner":
        await database.write(owner.id, registration.let_owner, "disabled", actor=OPERATOR, now=1)
    elif what == "session":
        await database.write(owner.id, sessions_store.revoke_session, tokens.session, reason="lost phone", now=1)
    else:
        await database.write(owner.id, sessions_store.revoke_sessions, admin, reason="all", now=1)
    assert await is_void(sessions, tokens)
    assert not await is_void(sessions, bystander)
    if what in ("user", "owner"):
        with pytest.raises(LoginRefused):
            await log_in(sessions)


async def test_a_new_role_voids_access_tokens_and_comes_with_the_next(house: House) -> None:
    sessions, owner, admin = house.sessions(), house.home.owner, house.home.admin
    assert admin is not None
    await house.database.write(owner.id, registration.add_user, Role.ADMIN, None, "b@x.example", "h", actor=OPERATOR, now=1)
    tokens = await log_in(sessions)
    await house.database.write(owner.id, registration.give_role, admin, Role.AGENT, actor=OPERATOR, now=1)
    with pytest.raises(TokenRefused):
        await sessions.principal(tokens.access)
    fresh = await sessions.refresh(tokens.refresh, address=None)
    assert (await sessions.principal(fresh.access)).role is Role.AGENT


async def test_the_session_in_which_a_password_is_changed_goes_on(house: House) -> None:
    sessions, owner, admin = house.sessions(), house.home.owner, house.home.admin
    assert admin is not None
    here, elsewhere = await log_in(sessions), await log_in(sessions)
    mine = await sessions.principal(here.access)
    assert await sessions.check_own_password(mine, PASSWORD)
    assert not await sessions.check_own_password(mine, "wrong password")
    await house.database.write(owner.id, registration.give_password, admin, "h", kept_session=mine.session, actor=OPERATOR, now=1)
    assert await is_void(sessions, elsewhere)
    await sessions.principal((await sessions.refresh(here.refresh, address=None)).access)


async def test_a_password_changed_while_the_old_one_is_checked_lets_nobody_in(house: House) -> None:
    owner, admin = house.home.owner, house.home.admin
    assert admin is not None

    class Slow(Passwords):
        async def check(self, password_hash: str | None, password: str):  # type: ignore[no-untyped-def]
            checked = await super().check(password_hash, password)
            await house.database.write(owner.id, registration.give_password, admin, "h", actor=OPERATOR, now=1)
            return checked

    with pytest.raises(LoginRefused):
        await log_in(house.sessions(passwords=Slow(memory_kib=512, time_cost=1, parallelism=1)))


async def test_nobody_ends_a_session_of_another_owner(house: House) -> None:
    sessions = house.sessions()
    tokens = await log_in(sessions)
    with pytest.raises(Exception, match="no session"):
        await house.database.write(house.other.owner.id, sessions_store.revoke_session, tokens.session, reason="x", now=1)
    assert not await is_void(sessions, tokens)


async def test_sessions_are_listed_while_they_last_and_forgotten_later(house: House) -> None:
    sessions, owner, admin = house.sessions(idle_days=2), house.home.owner, house.home.admin
    assert admin is not None
    first, second = await log_in(sessions), await log_in(sessions)
    await sessions.log_out(first.refresh, address=None)
    listed = await house.database.read(owner.id, sessions_store.sessions_of, admin, now=house.clock.now())
    assert [(one.public_id, one.user, one.address) for one in listed] == [(second.session, admin.public_id, "203.0.113.9")]
    assert await house.database.system_write(sessions_store.prune_sessions, before=house.clock.now()) == 0
    assert await house.database.system_write(sessions_store.prune_sessions, before=house.clock.now() + 3 * DAY) == 2
    with closing(connect(house.path)) as connection:
        assert connection.execute("SELECT count(*) FROM refresh_tokens").fetchone()[0] == 0
