"""Any order of messages, turns, staff, sweeps, sends, callbacks, crashes and clock jumps keeps what a conversation promises.

The database lies on a memory disk where there is one and is not synced: this is about the order of steps, not about power cuts.
"""

import itertools
import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.faults.lifecycle_machine import LifecycleMachine
from tests.faults.lifecycle_promises import Units
from tests.schema import new_database
from wtai.ai import turn
from wtai.ai.turn import Answer, Owed
from wtai.conversation import handoff, outbox, store
from wtai.conversation.model import Conversation, OutboundMessage, State
from wtai.db.sqlite import driver
from wtai.db.tx import OwnerTx

STEPS_PER_RUN = 50
MEMORY_DISK = Path("/dev/shm")


@pytest.fixture
def machine() -> Iterator[type[LifecycleMachine]]:
    with TemporaryDirectory(dir=MEMORY_DISK if MEMORY_DISK.is_dir() else None) as directory:
        path = Path(directory) / "wtai.db"
        new_database(path)
        units = Units(path)
        yield type("Machine", (LifecycleMachine,), {"units": units, "steps": itertools.count()})
        units.close()


def explore(machine: type[LifecycleMachine], config: pytest.Config, steps: int, *, phases: Sequence[Phase] = tuple(Phase)) -> int:
    """Take at least ``steps`` steps from a seed that is printed; returns how many they were."""
    given = config.getoption("--hypothesis-seed", None)
    number = int(given) if given is not None else random.SystemRandom().getrandbits(32)
    print(f"\nto see this run again: --hypothesis-seed={number}")
    run_state_machine_as_test(
        seed(number)(machine),
        settings=settings(
            max_examples=max(1, steps * 5 // (STEPS_PER_RUN * 4)),  # some runs end before their time
            stateful_step_count=STEPS_PER_RUN,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            database=None,
            report_multiple_bugs=False,
            phases=phases,
        ),
    )
    return next(machine.steps)


def test_no_order_of_steps_breaks_a_promise(machine: type[LifecycleMachine], pytestconfig: pytest.Config) -> None:
    explore(machine, pytestconfig, pytestconfig.getoption("--steps", None) or 3_000)


@pytest.mark.slow
def test_two_hundred_thousand_steps_break_no_promise(machine: type[LifecycleMachine], pytestconfig: pytest.Config) -> None:
    assert explore(machine, pytestconfig, max(200_000, pytestconfig.getoption("--steps", None) or 0)) >= 200_000


# With a guard switched off


def states_change_whatever_the_version(patch: pytest.MonkeyPatch, _: Units) -> None:
    change = store.change_state

    def change_anyway(tx: OwnerTx, read: Conversation, to: State, **options: Any) -> bool:
        current = store.conversation(tx, read.id)
        assert current is not None
        return change(tx, current, to, **options)

    patch.setattr(store, "change_state", change_anyway)


def turns_commit_whatever_the_version(patch: pytest.MonkeyPatch, _: Units) -> None:
    commit = turn._commit

    def commit_anyway(tx: OwnerTx, owed: Owed, answer: Answer, *, final: bool, now: int) -> None:
        commit(tx, owed, answer, final=True, now=now)

    patch.setattr(turn, "_commit", commit_anyway)


def nobody_looks_at_the_epoch(patch: pytest.MonkeyPatch, _: Units) -> None:
    hold_back = outbox._is_held_back

    def without_epoch(tx: OwnerTx, message: OutboundMessage, now: int) -> bool:
        return hold_back(tx, replace(message, takeover_epoch=0), now)

    patch.setattr(outbox, "_is_held_back", without_epoch)
    patch.setattr(handoff, "cancel_unsent", lambda *_, **__: None)


def conversations_have_no_unique_index(_: pytest.MonkeyPatch, units: Units) -> None:
    units.connection.execute("DROP INDEX conversations_one_open")


CASES = [
    (states_change_whatever_the_version, "DID NOT RAISE|ZeroDivisionError|a final state never changes"),
    (turns_commit_whatever_the_version, "no longer the whole question"),
    (nobody_looks_at_the_epoch, "before a person stepped in"),
    (conversations_have_no_unique_index, "two open conversations"),
]


@pytest.mark.parametrize(("sabotage", "promise"), CASES)
def test_without_its_guard_a_promise_is_broken(
    machine: type[LifecycleMachine],
    monkeypatch: pytest.MonkeyPatch,
    pytestconfig: pytest.Config,
    sabotage: Callable[[pytest.MonkeyPatch, Units], None],
    promise: str,
) -> None:
    sabotage(monkeypatch, machine.units)
    with pytest.raises((AssertionError, ZeroDivisionError, driver.IntegrityError, pytest.fail.Exception)) as broken:
        explore(machine, pytestconfig, 60_000, phases=(Phase.generate,))
    assert re.search(promise, repr(broken.value))
