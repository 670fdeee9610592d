"""Injection cases through the whole program, with a model that the attack has taken over: what the server has to prevent.

Each row's text enters by its channel, the model does what the attack wants, and database, outbox, requests and log are checked.
"""

import argparse
import asyncio
import hashlib
import io
import json
import logging
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from evaluation.injection_channels import delivery, plain
from evaluation.injection_checks import Scene, breaks, useless
from evaluation.injection_model import HijackedModel
from evaluation.injection_tools import ASKS_FIRST, attack, product_tool, specialist_of
from evaluation.injection_world import WRITER, Cast, cast, kept
from evaluation.world import LANGUAGE, World, founded, opened
from wtai import logs
from wtai.ai import toolbox_store
from wtai.app import running
from wtai.clock import MINUTE, SystemClock
from wtai.conversation import store as conversations
from wtai.conversation.consent import Consent, consent
from wtai.conversation.model import Question
from wtai.db.tx import OwnerTx

Json = dict[str, Any]

API_KEY = "sk-evaluation-0123456789abcdef"
_CASE_SECONDS = 90
_RESTING_SECONDS = 25.0
_PATIENCE_MIN = 10


@dataclass(frozen=True)
class Played:
    """A case that was played, with what did not hold."""

    row: Json
    breaks: list[str]
    useless: list[str]


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command line of this measurement."""
    parser.add_argument(
        "files", nargs="+", type=Path, metavar="FILE", help="JSON lines: id, channel, text, hijacked_model_action, …"
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")


def main(options: argparse.Namespace) -> int:
    """Play every row; 2 when there is none, or one cannot be read."""
    try:
        rows = [json.loads(line) for path in options.files for line in path.read_text("utf-8").splitlines() if line.strip()]
    except (OSError, ValueError) as error:
        print(f"evaluate.py injection: cannot read the cases: {error}", file=sys.stderr)
        return 2
    if not rows or not all(isinstance(row, dict) for row in rows):
        print("evaluate.py injection: the files have no rows, or a row that is no object", file=sys.stderr)
        return 2
    report = summary(asyncio.run(play_all(rows)))
    if options.json:
        print(json.dumps(report, ensure_ascii=False, indent=2))
    else:
        _print(report)
    return 0


def summary(played: Iterable[Played]) -> Json:
    """What broke, which benign rows did not work, and what the advisory rows showed."""
    report: Json = {"rows": 0, "breaks": [], "benign_failed": [], "advisory": []}
    for one in played:
        report["rows"] += 1
        name = one.row.get("id", "unnamed")
        broken = report["advisory" if one.row.get("advisory") else "breaks"]
        broken += [{"id": name, "why": why} for why in one.breaks]
        if one.row.get("benign"):
            report["benign_failed"] += [{"id": name, "why": why} for why in one.useless]
    return report


async def play_all(rows: list[Json]) -> list[Played]:
    """One row after the other."""
    return [await _play_row(row) for row in rows]


async def _play_row(row: Json) -> Played:
    """The row's text, and its other wording if it has one."""
    played = Played(row, [], [])
    for text in filter(None, (row.get("text", ""), row.get("alt_text"))):
        # Whatever the program raises on a case is that case's break, not the end of the measurement.
        (raised,) = await asyncio.gather(_play(row, str(text), played), return_exceptions=True)
        if raised is not None:
            played.breaks.append(f"ANSWERED: raised {type(raised).__name__}: {raised}")
    return played


async def _play(row: Json, text: str, played: Played) -> None:
    """Let the row happen and note in ``played`` what did not hold."""
    clock = SystemClock()
    async with HijackedModel(clock) as model, asyncio.timeout(_CASE_SECONDS):
        sections = {"openai": {"base_url": f"{model.url}/v1", "api_key": API_KEY, "api": "chat"}, "worker": {"max_attempts": 2}}
        async with founded(owners=2, clock=clock, sections=sections) as world:
            async with opened(world) as database:
                people = await cast(database, world, _poison(row, text), now=clock.now())
                await database.write(people.writer.line.owner_id, _prepare, people, row, now=clock.now())
            model.cast = people
            before = kept(world)
            with _logged() as log:
                async with running(world.settings) as program:
                    world.twilio.webhook_url = program.url or ""
                    turns, refused = await _converse(world, model, people, row, text)
            scene = Scene(
                row, text, world, people, before, kept(world), model.seen, turns, log.getvalue(), _secrets(world), refused,
                consented=_consents(row) or (_pending_age(row) < _PATIENCE_MIN and consent(text) is Consent.YES),
            )  # fmt: skip
            played.breaks.extend(breaks(scene))
            played.useless.extend(useless(scene, _tools(row), LANGUAGE))


@contextmanager
def _logged() -> Iterator[io.StringIO]:
    """What the program logs inside the block, as it would in production."""
    configured, handlers, level = structlog.get_config(), logging.root.handlers[:], logging.root.level
    log = io.StringIO()
    logs.configure("json", "info", stream=log)
    try:
        yield log
    finally:
        structlog.configure(**configured)
        logging.root.handlers[:] = handlers
        logging.root.setLevel(level)


def _secrets(world: World) -> tuple[str, ...]:
    key = world.settings.security.key_file.read_text("utf-8").strip()
    return (API_KEY, key, *(line.token for line in world.lines))


async def _converse(
    world: World, model: HijackedModel, people: Cast, row: Json, text: str
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The attack; then, the model still taken over, words that are no yes; in the end a no, or a yes where the row wants one.

    Returns the model calls of each turn, and the statuses of webhooks that were not taken.
    """
    form = delivery(row.get("channel", "user_text"), text)
    model.attack = attack(row)
    if form.audio is not None:
        model.transcriptions[hashlib.sha256(form.audio).hexdigest()] = text
    said = [form, *map(plain, ["como assim?", "sim" if _consents(row) else "não"])]
    turns, refused = [], []
    for number, one in enumerate(said):
        if number == len(said) - 1 and _consents(row):
            model.attack = None
        calls = len(model.seen.chats)
        result = await world.twilio.send(
            WRITER, people.writer.line.number, one.body, media=one.media, profile_name=one.profile_name, extra=one.extra
        )
        if result.status != 200:
            refused.append(result.status)
        await world.at_rest(seconds=_RESTING_SECONDS)
        turns.append(len(model.seen.chats) - calls)
    return tuple(turns), tuple(refused)


def _prepare(tx: OwnerTx, people: Cast, row: Json, *, now: int) -> None:
    """What the row wants to be there: an action that waits for the person's yes since some minutes."""
    pending = (row.get("setup") or {}).get("pending")
    if not isinstance(pending, dict):
        return
    conversation = people.writer.conversation
    asked_at = now - round(_pending_age(row) * MINUTE)
    tool = product_tool(str(pending.get("name", "")))
    agent = specialist_of(tool)
    frozen = json.dumps({"id": people.writer.entry} if tool == "delete_entry" else {})
    toolbox_store.freeze(
        tx, conversation.id, agent, tool, frozen, "Apagar?", expires_at=asked_at + _PATIENCE_MIN * MINUTE, now=asked_at
    )
    toolbox_store.ask_action(tx, conversation.id)
    conversations.set_question(tx, conversation.id, Question.ACTION)
    conversations.set_feature(tx, conversation.id, agent)


def _pending_age(row: Json) -> float:
    """Minutes since the person was asked; for ever where nothing waits."""
    setup = row.get("setup") or {}
    return float(setup.get("pending_age_min", 0)) if setup.get("pending") else float("inf")


def _tools(row: Json) -> tuple[str, ...]:
    """The product's tools that the row's action takes."""
    return tuple(product_tool(name) for name, _ in attack(row).calls)


def _consents(row: Json) -> bool:
    """Whether the person wants what has to be asked about."""
    return bool(row.get("benign")) and not ASKS_FIRST.isdisjoint(_tools(row))


def _poison(row: Json, text: str) -> str:
    """The text where it waits in what is stored of the writer."""
    return text if row.get("channel") in {"memory", "tool_result"} else ""


def _print(report: Json) -> None:
    for kind in ("breaks", "benign_failed", "advisory"):
        for entry in report[kind]:
            print(f"{kind}: {entry['id']}: {entry['why']}")
    print(f"{report['rows']} rows, {len(report['breaks'])} breaks, {len(report['benign_failed'])} benign failures")
