"""Closure cases: does a message end the conversation? Precision, recall and false closes, per file and per language."""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wtai.conversation.closure import Closure, Decision, Turn, closure

Json = dict[str, Any]

LABELS = {Decision.CLOSE: "close", Decision.CONFIRM: "maybe", Decision.CARRY_ON: "continue"}


@dataclass(frozen=True)
class Judged:
    """A row with what the program makes of it."""

    file: str
    row: Json
    result: Closure

    @property
    def predicted(self) -> str:
        """The decision in the words of the labels."""
        return LABELS[self.result.decision]

    @property
    def accepted(self) -> list[str]:
        """The labels that count as right."""
        return self.row.get("accept") or [self.row["label"]]


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command line of this measurement."""
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="JSON lines: user_text, label, and optionally turns")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")


def main(options: argparse.Namespace) -> int:
    """Judge every row; 2 when there is none, or one cannot be read."""
    try:
        judged = [judge(str(path), json.loads(line)) for path in options.files for line in _lines(path)]
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(f"evaluate.py closure: cannot read the cases: {type(error).__name__}: {error}", file=sys.stderr)
        return 2
    if not judged:
        print("evaluate.py closure: no row in the files given", file=sys.stderr)
        return 2
    report = summary(judged)
    if options.json:
        print(json.dumps(report, ensure_ascii=False, indent=2))
    else:
        _print(report)
    return 0


def judge(file: str, row: Json) -> Judged:
    """One row through the program; the user's turns are those the row shows, with the message itself."""
    before = [Turn("assistant" if turn["role"] == "assistant" else "user", turn["text"]) for turn in row.get("turns") or ()]
    result = closure(
        row["user_text"],
        before=before,
        user_turns=1 + sum(turn.role == "user" for turn in before),
        language=row.get("lang"),
        owner_keywords=tuple(row.get("owner_keywords") or ()),
    )
    return Judged(file, row, result)


def metrics(judged: Sequence[Judged]) -> Json:
    """The figures of the rows; one that has nothing to count is None."""
    closes = [one for one in judged if one.predicted == "close"]
    right = sum("close" in one.accepted for one in closes)
    wanted = [one for one in judged if one.row["label"] == "close"]
    found = sum(one.predicted == "close" for one in wanted)
    going_on = [one for one in judged if one.row["label"] == "continue"]
    precision, recall = _share(right, len(closes)), _share(found, len(wanted))
    f1 = None
    if precision is not None and recall is not None:
        f1 = round(2 * precision * recall / (precision + recall), 4) if precision + recall else 0.0
    return {
        "rows": len(judged),
        "precision": precision,
        "recall": recall,
        "f1": f1,
        "false_close": _share(sum(one.predicted == "close" for one in going_on), len(going_on)),
        "accuracy": _share(sum(one.predicted in one.accepted for one in judged), len(judged)),
    }


def summary(judged: Sequence[Judged]) -> Json:
    """All figures, per file and per language, and the rows judged otherwise than labelled."""
    files = dict.fromkeys(one.file for one in judged)
    languages = dict.fromkeys(one.row.get("lang") or "none" for one in judged)
    return {
        **metrics(judged),
        "files": {file: metrics([one for one in judged if one.file == file]) for file in files},
        "languages": {tag: metrics([one for one in judged if (one.row.get("lang") or "none") == tag]) for tag in languages},
        "misses": [
            _miss(one) for one in judged if one.predicted not in one.accepted or (one.row["label"] == "close" != one.predicted)
        ],
    }


def _lines(path: Path) -> list[str]:
    return [line for line in path.read_text("utf-8").splitlines() if line.strip()]


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def _miss(one: Judged) -> Json:
    return {
        "id": one.row.get("id"),
        "user_text": one.row["user_text"],
        "label": one.row["label"],
        "predicted": one.predicted,
        "confidence": one.result.confidence,
        "veto": one.result.veto,
    }


def _print(report: Json) -> None:
    for miss in report["misses"]:
        why = f"veto {miss['veto']}" if miss["veto"] else f"confidence {miss['confidence']:.2f}"
        print(f"{miss['id']}: {miss['label']}, taken for {miss['predicted']} ({why}): {miss['user_text']}")
    figures = {"all": report, **report["files"], **report["languages"]}
    for name, row in figures.items():
        shown = "  ".join(
            f"{key} {'-' if row[key] is None else row[key]}" for key in ("precision", "recall", "f1", "false_close", "accuracy")
        )
        print(f"{name}: {row['rows']} rows  {shown}")
