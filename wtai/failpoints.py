"""Named places where a test can kill, fail, hang or cancel the program. Inert unless armed.

``WTAI_FAILPOINTS="name=hit:action;…"``: at the n-th passage (from 1) of ``name`` do ``kill`` (SIGKILL to the process),
``raise`` (:class:`FailpointError`), ``hang`` (never go on) or ``cancel`` (the current task). ``wtai doctor --failpoints``
lists the names.
"""

import asyncio
import os
import signal
import time
from dataclasses import dataclass

from wtai.errors import SettingsError

NAMES = (
    "ack.before_commit",
    "ack.after_commit",
    "claim.before_commit",
    "claim.after_commit",
    "transcribe.before_commit",
    "transcribe.after_commit",
    "turn.before_model",
    "turn.after_model",
    "tool.before_commit",
    "tool.after_commit",
    "turn.before_commit",
    "turn.after_commit",
    "send.before_call",
    "send.after_call",
    "send.before_commit",
    "send.after_commit",
    "status.before_commit",
    "status.after_commit",
    "sweep.before_commit",
    "sweep.after_commit",
    "hook.before_call",
    "hook.after_call",
    "hook.after_commit",
    "migration.before_commit",
    "migration.after_commit",
    "backup.before_commit",
    "backup.after_commit",
)
ACTIONS = ("kill", "raise", "hang", "cancel")


class FailpointError(Exception):
    """What an armed failpoint with the action ``raise`` raises: an error nobody expects."""


@dataclass
class _Armed:
    hit: int
    action: str
    passed: int = 0


_armed: dict[str, _Armed] = {}


def arm(spec: str) -> None:
    """Arm the failpoints of ``spec``, replacing earlier ones; an empty text disarms. SettingsError on an unknown name."""
    _armed.clear()
    for entry in filter(None, (part.strip() for part in spec.split(";"))):
        name, _, rest = entry.partition("=")
        hit, _, action = rest.partition(":")
        if name not in NAMES:
            raise SettingsError(f"WTAI_FAILPOINTS: no failpoint {name!r}; `wtai doctor --failpoints` lists them")
        if not hit.isdigit() or int(hit) < 1 or action not in ACTIONS:
            raise SettingsError(f"WTAI_FAILPOINTS: {entry!r} is not name=hit:action with action one of {', '.join(ACTIONS)}")
        _armed[name] = _Armed(int(hit), action)


def failpoint(name: str) -> None:
    """Pass ``name`` in blocking code (the database's thread)."""
    action = _due(name)
    if action == "hang":
        while True:
            time.sleep(3600)
    elif action is not None:
        raise FailpointError(name)


async def pass_failpoint(name: str) -> None:
    """Pass ``name`` in a task."""
    action = _due(name)
    if action == "hang":
        await asyncio.Event().wait()
    elif action == "cancel":
        task = asyncio.current_task()
        if task is not None:
            task.cancel()
        await asyncio.sleep(0)
    elif action is not None:
        raise FailpointError(name)


def _due(name: str) -> str | None:
    if not _armed:
        return None
    armed = _armed.get(name)
    if armed is None:
        return None
    armed.passed += 1
    if armed.passed != armed.hit:
        return None
    if armed.action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    return armed.action
