"""Passwords: what is taken, what it costs to check, and how many guesses there are."""

import asyncio
import time
from collections.abc import Callable

import pytest

from tests.fakes import ManualClock
from wtai.clock import MINUTE, SECOND
from wtai.identity import throttle
from wtai.identity.passwords import COMMON, Passwords, PasswordsBusy, WeakPassword, check_password
from wtai.identity.throttle import Throttle, Throttled
from wtai.settings import Security

GOOD = "quatro cavalos azuis"
CHEAP = Passwords(memory_kib=1_024, time_cost=1, parallelism=1)


@pytest.mark.parametrize("password", [GOOD, "é" * 3 + "ação-não", "x1!?" * 256, "日本語日本語のパスワード"])
def test_a_long_password_of_any_script_is_taken(password: str) -> None:
    check_password(password, ["ana@padaria.example"])


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("nine-char", "at least 10"),
        ("ab1!" * 257, "at most 1024 bytes"),
        ("password123", "first that anybody"),
        ("Senha12345", "first that anybody"),
        ("aaaaaaaaaaaaaaa", "first that anybody"),
        ("Ana.Maria.Souza", "first that anybody"),
        ("ana.maria.souza@padaria.example", "first that anybody"),
        ("long enough\x00 but", "printable"),
        ("two lines\nof text", "printable"),
    ],
)
def test_a_weak_password_is_refused_with_the_reason_and_not_repeated(password: str, why: str) -> None:
    with pytest.raises(WeakPassword, match=why) as refused:
        check_password(password, ["ana.maria.souza@padaria.example"])
    assert password not in str(refused.value)


def test_every_common_password_would_pass_otherwise() -> None:
    assert all(len(word) >= 10 and len(set(word)) >= 4 and word == word.casefold() for word in COMMON)


async def test_a_password_is_checked_against_its_hash_alone() -> None:
    kept = await CHEAP.hashed(GOOD)
    assert kept.startswith("$argon2id$")
    assert await CHEAP.hashed(GOOD) != kept
    assert (await CHEAP.check(kept, GOOD)).right
    for wrong in ("", f"{GOOD} ", GOOD.upper(), "x" * 2_000, "\ud800"):
        assert not (await CHEAP.check(kept, wrong)).right
    assert not (await CHEAP.check("no hash at all", GOOD)).right


async def test_a_hash_of_another_cost_is_renewed_when_the_password_is_right() -> None:
    old = Passwords(memory_kib=512, time_cost=1, parallelism=1).hash(GOOD)
    checked = await CHEAP.check(old, GOOD)
    assert checked.rehashed is not None
    assert await CHEAP.check(checked.rehashed, GOOD) == type(checked)(right=True, rehashed=None)
    assert (await CHEAP.check(old, "something else")).rehashed is None


async def test_an_account_that_does_not_exist_takes_as_long_as_one_that_does() -> None:
    costly = Passwords(memory_kib=32_768, time_cost=2, parallelism=1)
    kept = costly.hash(GOOD)

    async def took(password_hash: str | None) -> float:
        started = time.perf_counter()
        assert not (await costly.check(password_hash, "wrong password")).right
        return time.perf_counter() - started

    pairs = [(await took(None), await took(kept)) for _ in range(8)]  # in turns: the machine's load is then that of both
    absent, present = map(min, zip(*pairs, strict=True))
    assert 0.5 < absent / present < 2


async def test_passwords_that_wait_are_bounded_and_the_loop_goes_on() -> None:
    costly = Passwords(memory_kib=8_192, time_cost=1, parallelism=1)
    kept = costly.hash(GOOD)
    checks = [asyncio.create_task(costly.check(kept, GOOD)) for _ in range(100)]
    results = await asyncio.gather(*checks, return_exceptions=True)
    busy = [result for result in results if isinstance(result, PasswordsBusy)]
    assert 30 <= len(busy) <= 40
    assert sum(not isinstance(result, PasswordsBusy) for result in results) == 100 - len(busy)
    assert (await costly.check(kept, GOOD)).right


def test_the_cost_is_that_of_the_settings() -> None:
    kept = Passwords.of(Security(argon2_memory_kib=19_456, argon2_time_cost=2, argon2_parallelism=1)).hash(GOOD)
    assert "$m=19456,t=2,p=1$" in kept
    default = Security()
    assert (default.argon2_memory_kib, default.argon2_time_cost, default.argon2_parallelism) == (65_536, 3, 4)


# --- Guessing


def refused_for(attempt: Callable[[], None]) -> int:
    with pytest.raises(Throttled) as refused:
        attempt()
    return refused.value.retry_after_ms


def test_after_five_failures_each_further_one_doubles_the_wait() -> None:
    guard, clock = Throttle(), ManualClock()

    def attempt() -> None:
        guard.attempt("ana", "1.2.3.4", now=clock.now())

    for _ in range(throttle.FREE_BY_ACCOUNT):
        attempt()
    waits = []
    for _ in range(6):
        waits.append(refused_for(attempt))
        clock.advance(waits[-1])
        attempt()
    assert waits == [SECOND << power for power in range(6)]


def test_a_guesser_who_takes_all_the_time_gets_few_guesses_a_day() -> None:
    guard, now, guesses = Throttle(), 0, 0
    while now < 24 * 60 * MINUTE:
        try:
            guard.attempt("ana", f"10.0.0.{guesses}", now=now)
            guesses += 1
        except Throttled as wait:
            now += wait.retry_after_ms
    assert guesses < 1_500


def test_a_success_forgets_and_other_accounts_never_wait() -> None:
    guard = Throttle()
    for _ in range(throttle.FREE_BY_ACCOUNT):
        guard.attempt("ana", "1.2.3.4", now=0)
    refused_for(lambda: guard.attempt("ana", "5.6.7.8", now=0))
    guard.attempt("bia", "1.2.3.4", now=0)
    guard.succeeded("ana", "1.2.3.4")
    guard.attempt("ana", "1.2.3.4", now=0)


def test_one_address_that_tries_many_accounts_has_to_wait() -> None:
    guard = Throttle()
    for number in range(throttle.FREE_BY_ADDRESS):
        guard.attempt(f"user {number}", "1.2.3.4", now=0)
    assert refused_for(lambda: guard.attempt("yet another", "1.2.3.4", now=0)) == SECOND
    guard.attempt("yet another", "5.6.7.8", now=0)


def test_an_attempt_counts_while_it_is_looked_at() -> None:
    guard = Throttle()
    at_once = 0
    for _ in range(100):
        try:
            guard.attempt("ana", "1.2.3.4", now=0)
        except Throttled:
            continue
        at_once += 1
    assert at_once == throttle.FREE_BY_ACCOUNT


def test_what_it_remembers_is_bounded() -> None:
    guard = Throttle(kept=100)
    for number in range(1_000):
        guard.attempt(f"user {number}", f"10.0.{number // 250}.{number % 250}", now=0)
    assert len(guard._failures) == 100
