"""Routing rows through the whole program, with a model to be measured: which specialist answers, and what finding it costs."""

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluation.past import converse, open_conversation
from evaluation.world import Line, World, founded, person
from wtai.ai.llm import Assistant, Message, User
from wtai.ai.specialists import DEFAULT
from wtai.ai.store import SETTLED
from wtai.app import running
from wtai.clock import SystemClock
from wtai.conversation import store as conversations
from wtai.db.tx import OwnerTx

Json = dict[str, Any]

SPECIALISTS = {"other": DEFAULT}
"""The product's specialist for a label; other labels are specialists' names."""

_AT_ONCE = 8
_TURN_SECONDS = 180.0


@dataclass(frozen=True)
class Routed:
    """A row with the specialist that answered, None where nobody did; ``how`` it was found, and the model calls it took."""

    row: Json
    answered: str | None
    how: str
    router_calls: int
    calls: int

    @property
    def wanted(self) -> str:
        """Who should have answered."""
        return SPECIALISTS.get(self.row["label"], self.row["label"])

    @property
    def right(self) -> bool:
        """Whether the right one answered."""
        return self.answered == self.wanted


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command line of this measurement."""
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="JSON lines: text, label, current_agent?, turns?")
    model_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print the report as JSON")


def model_arguments(parser: argparse.ArgumentParser) -> None:
    """What says which model is asked."""
    parser.add_argument("--base-url", required=True, metavar="URL", help="an OpenAI-compatible server, with its /v1")
    parser.add_argument("--api-key-file", type=Path, metavar="FILE", help="the key, where the server wants one; - is stdin")
    parser.add_argument("--api", choices=("auto", "chat", "responses"), default="auto", help="the wire format")
    parser.add_argument("--model", help="model of the specialists, instead of the default one")
    parser.add_argument("--router-model", help="model of the router, instead of the default one")


def model_settings(options: argparse.Namespace) -> dict[str, object]:
    """The section ``openai`` of the settings. OSError if the key cannot be read."""
    key = "none"
    if options.api_key_file is not None:
        read = sys.stdin.read() if str(options.api_key_file) == "-" else options.api_key_file.read_text("utf-8")
        key = read.strip()
    chosen = {"model": options.model, "router_model": options.router_model}
    return {"base_url": options.base_url, "api_key": key, "api": options.api} | {name: one for name, one in chosen.items() if one}


def main(options: argparse.Namespace) -> int:
    """Route every row; 2 when there is none, one cannot be read, or the model answers nothing."""
    try:
        rows = [json.loads(line) for path in options.files for line in path.read_text("utf-8").splitlines() if line.strip()]
        unlabelled = [row.get("id") for row in rows if not {"text", "label"} <= row.keys()]
        openai = model_settings(options)
    except (OSError, ValueError, AttributeError) as error:
        print(f"evaluate.py routing: cannot read the rows or the key: {error}", file=sys.stderr)
        return 2
    if not rows or unlabelled:
        print(f"evaluate.py routing: no rows, or rows without text or label: {unlabelled}", file=sys.stderr)
        return 2
    routed = asyncio.run(route_all(rows, openai))
    if not any(one.calls for one in routed) and any(one.answered is None for one in routed):
        print(f"evaluate.py routing: {options.base_url} answered nothing; is the model reachable?", file=sys.stderr)
        return 2
    report = summary(routed)
    if options.json:
        print(json.dumps(report, ensure_ascii=False, indent=2))
    else:
        _print(report)
    return 0


async def route_all(rows: Sequence[Json], openai: dict[str, object]) -> list[Routed]:
    """Each row as the message of a person of its own."""
    clock = SystemClock()
    sections = {"openai": openai, "worker": {"max_attempts": 3, "concurrency": _AT_ONCE}}
    async with founded(owners=1, clock=clock, sections=sections) as world, running(world.settings) as program:
        (line,) = world.lines
        world.twilio.webhook_url = program.url or ""
        for number, row in enumerate(rows, 1):
            await program.database.write(line.owner_id, _begin, line, row, person(number), now=clock.now())
        for number, row in enumerate(rows, 1):
            await world.twilio.send(person(number), line.number, row["text"])
        await world.at_rest(seconds=_TURN_SECONDS * (1 + len(rows) / _AT_ONCE))
        return [_routed(world, row, person(number)) for number, row in enumerate(rows, 1)]


def summary(routed: Sequence[Routed]) -> Json:
    """All figures; one that has nothing to count is None. ``calls_per_message`` are the router's."""
    count = len(routed)
    return {
        "rows": count,
        "accuracy": _share(routed),
        "macro_f1": _macro_f1(routed),
        "sticky": _share([one for one in routed if one.row.get("subtype") == "sticky"]),
        "switch": _share([one for one in routed if one.row.get("subtype") == "switch"]),
        "calls_per_message": round(sum(one.router_calls for one in routed) / count, 4),
        "sticky_calls_per_message": _mean([one.router_calls for one in routed if one.row.get("subtype") == "sticky"]),
        "model_calls_per_message": round(sum(one.calls for one in routed) / count, 4),
        "unanswered": [one.row.get("id") for one in routed if one.answered is None],
        "misses": [
            {
                "id": one.row.get("id"),
                "text": one.row["text"],
                "label": one.row["label"],
                "answered": one.answered,
                "how": one.how,
            }
            for one in routed
            if not one.right
        ],
    }


def _begin(tx: OwnerTx, line: Line, row: Json, address: str, *, now: int) -> None:
    """The person, in conversation with the row's specialist where it names one."""
    conversation = open_conversation(tx, line, address, now=now)
    current = row.get("current_agent")
    if current:
        conversations.set_feature(tx, conversation.id, SPECIALISTS.get(current, current))
    said: list[Message] = [
        Assistant(turn["text"]) if turn["role"] == "assistant" else User(turn["text"]) for turn in row.get("turns") or ()
    ]
    if said:
        converse(tx, line, conversation, said, current or DEFAULT, now=now)


def _routed(world: World, row: Json, address: str) -> Routed:
    found = world.rows(
        """
        SELECT r.feature, r.route, r.requests, r.model, r.outcome
        FROM ai_results r JOIN conversations c ON c.id = r.conversation_id
        WHERE c.user_address = :address AND r.through_message_id = (
            SELECT max(m.id) FROM messages m WHERE m.conversation_id = c.id AND m.direction = 'inbound'
        )
        """,
        address=address,
    )
    # What a shortcut settled counts for the specialist that had the conversation.
    if not found or not (found[0]["model"] or found[0]["outcome"] in SETTLED):
        return Routed(row, None, "", 0, 0)
    route = json.loads(found[0]["route"])
    asked = int((route.get("usage") or {}).get("requests", 0))
    return Routed(row, found[0]["feature"], route.get("how", "shortcut"), asked, found[0]["requests"])


def _miss(one: Routed) -> Json:
    row = one.row
    return {"id": row.get("id"), "text": row["text"], "label": row["label"], "answered": one.answered, "how": one.how}


def _share(routed: Sequence[Routed]) -> float | None:
    return round(sum(one.right for one in routed) / len(routed), 4) if routed else None


def _mean(amounts: Sequence[int]) -> float | None:
    return round(sum(amounts) / len(amounts), 4) if amounts else None


def _macro_f1(routed: Sequence[Routed]) -> float:
    """The mean of the F1 of each specialist that should have answered something."""
    scores = []
    for name in sorted({one.wanted for one in routed}):
        hits = sum(one.right for one in routed if one.wanted == name)
        named = sum(one.answered == name for one in routed) + sum(one.wanted == name for one in routed)
        scores.append(2 * hits / named)
    return round(sum(scores) / len(scores), 4)


def _print(report: Json) -> None:
    for miss in report["misses"]:
        print(f"{miss['id']}: {miss['label']}, answered by {miss['answered']} ({miss['how']}): {miss['text']}")
    figures = {key: value for key, value in report.items() if key not in {"misses", "unanswered"}}
    print("  ".join(f"{key} {'-' if value is None else value}" for key, value in figures.items()))
