"""Memory: is the fact that answers a question among the first found, and never one of somebody else?"""

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from wtai.ai.memory.embedder import Embedder, HashedEmbedder
from wtai.ai.memory.memories import Memories
from wtai.ai.memory.writing import NotKept, Told, remember
from wtai.ai.openai import OpenAiLlm
from wtai.ai.openai_embeddings import OpenAiEmbedder
from wtai.ai.paying import Payers
from wtai.ai.pricing import Prices
from wtai.clock import SystemClock
from wtai.conversation.store import insert_user
from wtai.db.migrate import migrate
from wtai.db.sqlite import SqliteDatabase
from wtai.db.tx import OwnerTx
from wtai.errors import WtaiError
from wtai.identity.preferences import Preferences
from wtai.identity.store import create_owner
from wtai.settings import OpenAi, Settings

Json = dict[str, Any]

_DEFAULTS = OpenAi()


@dataclass(frozen=True)
class Asked:
    """A query with the ids of what was found for it, best first, and the dates of all memories."""

    row: Json
    found: tuple[str, ...]
    degraded: bool
    dates: dict[str, str]

    @property
    def relevant(self) -> list[str]:
        """What answers it; empty where nothing of this person does."""
        return list(self.row["relevant"])

    def recall(self, first: int) -> float:
        """The share of what answers it among the ``first`` found."""
        return sum(one in self.found[:first] for one in self.relevant) / len(self.relevant)

    @property
    def newest_first(self) -> bool:
        """Whether what holds now was found, with nothing older before it."""
        at = next((place for place, one in enumerate(self.found) if one in self.relevant), None)
        return at is not None and all(self.dates[one] >= self.dates[self.found[at]] for one in self.found[:at])


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command line of this measurement."""
    parser.add_argument("memories", type=Path, metavar="MEMORIES", help="JSON lines: id, user_id, date, text")
    parser.add_argument("queries", type=Path, metavar="QUERIES", help="JSON lines: user_id, query, relevant (ids), tags")
    parser.add_argument("--embedder", choices=("hashed", "openai"), default="hashed", help="what makes the vectors")
    parser.add_argument("--base-url", default=_DEFAULTS.base_url, metavar="URL", help="server of the openai embedder")
    parser.add_argument("--api-key-file", type=Path, metavar="FILE", help="file that holds that server's key")
    parser.add_argument("--model", default=_DEFAULTS.embedding_model, metavar="NAME", help="embedding model")
    parser.add_argument("--dimensions", type=int, default=_DEFAULTS.embedding_dimensions, metavar="N", help="length of vectors")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")


def main(options: argparse.Namespace) -> int:
    """Keep the memories as the program would, and ask every query; 2 when a file cannot be read or the server does not answer."""
    try:
        memories, queries = (
            _rows(options.memories, {"id", "user_id", "date", "text"}),
            _rows(options.queries, {"user_id", "query"}),
        )
        key = options.api_key_file.read_text("utf-8").strip() if options.api_key_file else None
        asked = asyncio.run(_evaluate(options, key, memories, queries))
    except (OSError, ValueError, KeyError, TypeError, WtaiError) as error:
        print(f"evaluate.py memory: {type(error).__name__}: {error}", file=sys.stderr)
        return 2
    report = summary(asked, {row["id"]: row["user_id"] for row in memories})
    print(json.dumps(report, ensure_ascii=False, indent=2)) if options.json else _print(report)
    return 0


def summary(asked: Sequence[Asked], whose: dict[str, str]) -> Json:
    """All figures; None where there is nothing to count. ``leaks`` counts found memories of another person."""
    tags = dict.fromkeys(tag for one in asked for tag in one.row.get("tags") or ())
    return {
        **_metrics(asked),
        "queries": len(asked),
        "leaks": sum(whose[found] != one.row["user_id"] for one in asked for found in one.found),
        "degraded": sum(one.degraded for one in asked),
        "tags": {tag: _metrics([one for one in asked if tag in (one.row.get("tags") or ())]) for tag in tags},
        "rows": [
            {"id": one.row.get("id"), "query": one.row["query"], "relevant": one.relevant, "found": list(one.found)}
            for one in asked
        ],
    }


def _metrics(asked: Iterable[Asked]) -> Json:
    answerable = [one for one in asked if one.relevant]
    updates = [one for one in answerable if "update" in (one.row.get("tags") or ())]
    return {
        "answerable": len(answerable),
        "recall_at_1": _mean([one.recall(1) for one in answerable]),
        "recall_at_3": _mean([one.recall(3) for one in answerable]),
        "recall_at_5": _mean([one.recall(5) for one in answerable]),
        "updates": len(updates),
        "update_order": _mean([float(one.newest_first) for one in updates]),
    }


async def _evaluate(options: argparse.Namespace, key: str | None, memories: list[Json], queries: list[Json]) -> list[Asked]:
    server = OpenAiLlm(base_url=options.base_url, api_key=key, model=options.model)
    with tempfile.TemporaryDirectory(prefix="wtai-evaluate-") as folder:
        path = Path(folder) / "wtai.db"
        migrate(path)
        database = await SqliteDatabase.open(path)
        try:
            return await _ask(database, Memories(database, _embedder(options, server, database)), memories, queries)
        finally:
            await database.close()
            await server.close()


def _embedder(options: argparse.Namespace, server: OpenAiLlm, database: SqliteDatabase) -> Embedder:
    if options.embedder == "hashed":
        return HashedEmbedder()
    payers, price = Payers(database, SystemClock(), Preferences()), Prices.of(Settings().prices).price(options.model)
    return OpenAiEmbedder(server.post, payers, model=options.model, price=price, dimensions=options.dimensions)


async def _ask(database: SqliteDatabase, memory: Memories, memories: list[Json], queries: list[Json]) -> list[Asked]:
    owner = (await database.system_write(create_owner, "evaluation", "pt-BR", now=0)).id
    users: dict[str, int] = {}
    for row in [*memories, *queries]:
        if row["user_id"] not in users:
            users[row["user_id"]] = await database.write(owner, insert_user, None, now=0)
    ids: dict[str, str] = {}
    for row in sorted(memories, key=lambda row: str(row["date"])):
        kept = await database.write(owner, _keep, users[row["user_id"]], row)
        if kept is not None:
            ids.setdefault(kept, row["id"])
    for user in users.values():
        await memory.embed_missing(owner, user)
    dates = {row["id"]: row["date"] for row in memories}
    asked = []
    for row in queries:
        found = await memory.recall(owner, users[row["user_id"]], row["query"])
        asked.append(Asked(row, tuple(ids[item.public_id] for item in found.items), found.degraded, dates))
    return asked


def _keep(tx: OwnerTx, user_id: int, row: Json) -> str | None:
    observed = round(datetime.fromisoformat(row["date"]).replace(tzinfo=UTC).timestamp() * 1000)
    try:
        kept = remember(tx, user_id, Told(row["text"], observed), now=observed)
    except NotKept as unfit:
        print(f"evaluate.py memory: {row['id']} is not kept: {unfit.why}", file=sys.stderr)
        return None
    return kept.public_id


def _rows(path: Path, needed: set[str]) -> list[Json]:
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]
    for number, row in enumerate(rows, 1):
        if missing := needed - row.keys():
            raise ValueError(f"{path}, row {number}: without {', '.join(sorted(missing))}")
        row.setdefault("relevant", [])
    if not rows:
        raise ValueError(f"{path} holds no row")
    return rows


def _mean(values: Sequence[float]) -> float | None:
    return round(sum(values) / len(values), 4) if values else None


def _print(report: Json) -> None:
    for row in report["rows"]:
        if row["relevant"] and row["relevant"][0] not in row["found"][:1]:
            print(f"{row['id']}: {row['query']} · wanted {', '.join(row['relevant'])} · found {', '.join(row['found'][:5])}")
    for name, figures in {"all": report, **report["tags"]}.items():
        shown = "  ".join(
            f"{key} {'-' if figures[key] is None else figures[key]}"
            for key in ("answerable", "recall_at_1", "recall_at_3", "recall_at_5", "update_order")
        )
        print(f"{name}: {shown}")
    print(f"leaks {report['leaks']}")
