"""Stored conversations run again, against another prompt, model or router, with the tools' results as they were recorded.

Works on a copy: nothing is written to the database and nothing is sent. Each turn that a model answered is asked again as it was
owed then, with its own date; a tool call that was not made then is answered with an error.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from evaluation.replay_past import Turn, copy, stored, turns, undo
from evaluation.replay_tools import RecordedMemories, RecordedSpecialists
from evaluation.routing import model_arguments, model_settings
from wtai.ai.features_store import Feature, features, set_feature
from wtai.ai.openai import OpenAiLlm
from wtai.ai.specialists import Specialists
from wtai.ai.tools.http import HttpTools
from wtai.ai.turn import Turns
from wtai.clock import SystemClock
from wtai.conversation.inbox import TURN
from wtai.conversation.model import Conversation
from wtai.db.sqlite import SqliteDatabase
from wtai.db.tx import OwnerTx
from wtai.egress import Egress
from wtai.errors import WtaiError
from wtai.identity.audit_store import SYSTEM
from wtai.identity.from_settings import preferences, sealer
from wtai.jobs.queue import Job
from wtai.secrets import create_key_file
from wtai.settings import Settings
from wtai.working import Given, metered, thinker

Json = dict[str, Any]

ROUTER = "router"
_FIGURES = ("requests", "prompt_tokens", "cached_tokens", "completion_tokens", "cost")


class StoredClock(SystemClock):
    """The time of the turn that is replayed."""

    def __init__(self) -> None:
        self.at = 0

    def now(self) -> int:
        return self.at


@dataclass(frozen=True)
class Compared:
    """A turn as it was and as it is now; ``now`` is None where it failed, ``why`` says how."""

    was: Turn
    now: Turn | None
    missing: int = 0
    why: str = ""

    @property
    def changed(self) -> list[str]:
        """What differs, by name."""
        if self.now is None:
            return ["failed"]
        was, now = self.was, self.now
        differs = {
            "reply": _words(was.reply) != _words(now.reply),
            "route": was.result["feature"] != now.result["feature"],
            "tool_calls": _called(was) != _called(now),
            "outcome": was.result["outcome"] != now.result["outcome"],
        }
        return [name for name, different in differs.items() if different]


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command line of this measurement."""
    parser.add_argument(
        "--database", required=True, type=Path, metavar="FILE", help="a wtai.db; it is read only, also while in use"
    )
    parser.add_argument("--owner", metavar="own_…", help="only this owner's conversations")
    parser.add_argument("--limit", type=int, metavar="N", help="only the newest N turns")
    parser.add_argument("--prompt", action="append", default=[], metavar="NAME=FILE", help="another prompt; may be repeated")
    model_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print the report as JSON")


def main(options: argparse.Namespace) -> int:
    """Replay the turns; 2 when there is none, or the database, a prompt or the key cannot be read."""
    try:
        prompts = dict(_prompt(given) for given in options.prompt)
        openai = model_settings(options)
        if not options.database.is_file():
            raise FileNotFoundError(f"there is no database {options.database}")
        with tempfile.TemporaryDirectory(prefix="wtai-replay-") as name:
            path = Path(name) / "wtai.db"
            copy(options.database, path)
            past = turns(path, options.owner, options.limit)
            if not past:
                print("evaluate.py replay: no turn that a model answered; check --database and --owner", file=sys.stderr)
                return 2
            settings = _settings(path, options.database.parent / "media", openai)
            compared = asyncio.run(replay(path, past, settings, prompts, one_model=options.model is not None))
    except (OSError, ValueError, WtaiError) as error:
        print(f"evaluate.py replay: {error}", file=sys.stderr)
        return 2
    report = summary(compared)
    if options.json:
        print(json.dumps(report, ensure_ascii=False, indent=2))
    else:
        _print(report)
    return 0


async def replay(
    path: Path, past: Sequence[Turn], settings: Settings, prompts: Mapping[str, str], *, one_model: bool
) -> list[Compared]:
    """Each turn again, the newest first, so that those before it are still as they were; returned oldest first."""
    clock = StoredClock()
    recorded: list[RecordedSpecialists] = []

    def wrap(own: Specialists) -> Specialists:
        recorded.append(RecordedSpecialists(own, router_prompt=prompts.get(ROUTER), one_model=one_model))
        return recorded[0]

    database = await SqliteDatabase.open(path)
    llm = OpenAiLlm(
        base_url=settings.openai.base_url,
        api_key=settings.openai.api_key.get_secret_value() if settings.openai.api_key else None,
        api=settings.openai.api,
        model=settings.openai.model,
        timeout_seconds=settings.openai.timeout_seconds,
    )
    egress = Egress(())
    try:
        for owner_id in {turn.owner_id for turn in past}:
            await database.write(owner_id, _set_prompts, prompts)
        memories = RecordedMemories(database)
        http_tools = HttpTools(database, sealer(settings), egress, clock)
        given = Given(specialists=wrap)
        thinks = thinker(settings, database, metered(settings, database, llm, clock), memories, http_tools, clock, given)
        turns_again = Turns(database, thinks, clock, base=preferences(settings), show_typing=_show_nothing)
        again = _Again(path, turns_again, clock, recorded[0], memories)
        return [await again.compared(turn) for turn in reversed(past)][::-1]
    finally:
        await egress.close()
        await llm.close()
        await database.close()


def summary(compared: Sequence[Compared]) -> Json:
    """Totals, and what changed turn by turn."""
    differences = Counter(name for one in compared for name in one.changed)
    whole = [one for one in compared if one.now is not None]
    return {
        "turns": len(compared),
        "failed": differences["failed"],
        "changed": {name: differences[name] for name in ("reply", "route", "tool_calls", "outcome")},
        "calls_not_recorded": sum(one.missing for one in compared),
        "before": {name: sum(one.was.result[name] for one in whole) for name in _FIGURES},
        "after": {name: sum(one.now.result[name] for one in whole if one.now) for name in _FIGURES},
        "differences": [_difference(one) for one in compared if one.changed],
    }


@dataclass(frozen=True)
class _Again:
    """The program's turn on a copy of the database, with what each turn had at hand."""

    path: Path
    turns: Turns
    clock: StoredClock
    specialists: RecordedSpecialists
    memories: RecordedMemories

    async def compared(self, turn: Turn) -> Compared:
        """Undo the turn, with all that came after it, and have it answered again."""
        undo(self.path, turn)
        record = self.specialists.record
        record.begin(turn.calls, turn.actions)
        self.clock.at, self.memories.shown = turn.result["created_at"], json.loads(turn.result["memories"])
        job = Job(0, turn.owner_id, TURN, None, json.dumps({"conversation_id": turn.conversation_id}), 1, 0, 0)
        try:
            await self.turns.handle(job)
        except WtaiError as error:
            return Compared(turn, None, record.missing, f"{type(error).__name__}: {error}")
        now = stored(self.path, turn)
        return Compared(turn, now, record.missing, "" if now else "the conversation takes no turns")


async def _show_nothing(_owner_id: int, _conversation: Conversation, _sid: str) -> None:
    """Nobody is waiting."""


def _set_prompts(tx: OwnerTx, prompts: Mapping[str, str]) -> None:
    known = {feature.name: feature for feature in features(tx)}
    for name, prompt in prompts.items():
        if name != ROUTER:
            feature = known.get(name, Feature(name, True, "{}"))
            config = json.dumps({**json.loads(feature.config), "prompt": prompt})
            set_feature(tx, replace(feature, config=config), actor=SYSTEM, now=0)


def _settings(path: Path, media: Path, openai: Mapping[str, object]) -> Settings:
    key_file = path.with_name("wtai.key")
    create_key_file(key_file)
    return Settings.model_validate(
        {
            "database": {"url": f"sqlite:///{path}"},
            "security": {"key_file": str(key_file)},
            "media": {"directory": str(media)},
            "openai": dict(openai),
        }
    )


def _prompt(given: str) -> tuple[str, str]:
    name, equals, file = given.partition("=")
    if not equals:
        raise ValueError(f"--prompt {given}: write NAME=FILE, such as finance=finance.md")
    return name, Path(file).read_text("utf-8").strip()


def _called(turn: Turn) -> Counter[tuple[str, str]]:
    """The calls of a turn, however their arguments are written and in whichever order."""
    return Counter((call["name"], _sorted(call["arguments"])) for call in turn.calls)


def _sorted(text: str) -> str:
    try:
        return json.dumps(json.loads(text or "{}"), sort_keys=True)
    except ValueError:
        return text


def _words(text: str) -> list[str]:
    return text.split()


def _difference(one: Compared) -> Json:
    shown: Json = {
        "turn": one.was.result["public_id"],
        "conversation": one.was.conversation,
        "said": list(one.was.said),
        "changed": one.changed,
        "before": _shown(one.was),
        "after": _shown(one.now) if one.now else None,
        "calls_not_recorded": one.missing,
    }
    return shown | ({"why": one.why} if one.why else {})


def _shown(turn: Turn) -> Json:
    return {
        "reply": turn.reply,
        "specialist": turn.result["feature"],
        "outcome": turn.result["outcome"],
        "tool_calls": [{"name": call["name"], "arguments": call["arguments"], "failed": call["failed"]} for call in turn.calls],
        **{name: turn.result[name] for name in _FIGURES},
    }


def _print(report: Json) -> None:
    for one in report["differences"]:
        print(f"{one['turn']} {', '.join(one['changed'])}: {' | '.join(one['said'])}")
        for when in ("before", "after"):
            if one[when]:
                calls = ", ".join(call["name"] for call in one[when]["tool_calls"]) or "no tools"
                print(f"  {when:6} [{one[when]['specialist']}; {calls}] {one[when]['reply']}")
        if "why" in one:
            print(f"  {one['why']}")
    changed = ", ".join(f"{count} {name}" for name, count in report["changed"].items())
    print(f"{report['turns']} turns, {report['failed']} failed; changed: {changed}; not recorded: {report['calls_not_recorded']}")
    for name in _FIGURES:
        print(f"  {name:18} {report['before'][name]:>12} -> {report['after'][name]}")
