"""Agent-loop transcripts, replayed over HTTP through the real loop and adapter, or through the whole program.

Each case scripts what the model server answers; the program's requests, tool runs and deliveries are checked.
"""

import argparse
import asyncio
import json
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evaluation.transcript_case import Recorder, agents, elsewhere, history, limits
from evaluation.transcript_checks import Observed, advice, faults
from evaluation.transcript_program import begin, needs_program, replay_through_program, somebody_else
from evaluation.transcript_server import PATHS, ScriptedServer, serving
from evaluation.world import LANGUAGE, founded, opened
from wtai.ai.agent import Agent
from wtai.ai.history import window
from wtai.ai.llm import Assistant, Llm, Message, Usage, User
from wtai.ai.loop import Ending, run
from wtai.ai.openai import Api, OpenAiLlm
from wtai.ai.texts import apology
from wtai.ai.toolbox import Toolbox
from wtai.ai.tools.tool import ToolContext
from wtai.clock import SystemClock
from wtai.conversation.whatsapp import split, to_whatsapp
from wtai.db.tx import Database
from wtai.errors import LlmError

Json = dict[str, Any]

MAX_CASE_SECONDS = 60


@dataclass
class Report:
    """The names of what passed, and of what did not with the reasons; ``notes`` are advice that does not count."""

    passed: list[str] = field(default_factory=list)
    failed: list[dict[str, str]] = field(default_factory=list)
    notes: list[dict[str, str]] = field(default_factory=list)


@dataclass
class _Conversation:
    """The conversation of one case whose every input is one turn of the loop."""

    llm: Llm
    agents: dict[str, Agent]
    recorder: Recorder
    case: Json
    agent: str
    history: list[Message]
    database: Database
    context: ToolContext
    usage: Usage = field(default_factory=Usage)
    deliveries: list[str] = field(default_factory=list)
    delivered: int = 0

    async def hear(self, text: str) -> None:
        """One turn, as the program makes it: the answer in WhatsApp's form, or the fallback text."""
        self.recorder.inputs += 1
        said = (User(text),)
        recent = window(self.history, self.case.get("config", {}).get("history_window_messages", 40))
        toolbox = Toolbox(self.database, self.context, turn=self.recorder.inputs)
        answer = ""
        try:
            outcome = await run(self.llm, self.agents, self.agent, toolbox, recent, said, limits(self.case))
        except LlmError:
            self.history += said
        else:
            answer = outcome.text if outcome.ending is Ending.ANSWERED else ""
            self.agent, self.usage = outcome.agent, self.usage + outcome.usage
            self.history += [*said, *outcome.exchange]
        self.deliveries = split(to_whatsapp(answer)) or [apology(LANGUAGE)]
        self.delivered += len(self.deliveries)
        self.history.append(Assistant("\n".join(self.deliveries)))


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command line of this measurement."""
    parser.add_argument("directories", nargs="+", type=Path, metavar="DIR", help="directories of case files, or case files")
    parser.add_argument("--api", choices=sorted(PATHS), default="chat", help="the wire format to replay in")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")


def main(options: argparse.Namespace) -> int:
    """Replay every case; 2 when there is none, or one cannot be read."""
    files = [path for given in options.directories for path in (sorted(given.glob("*.json")) if given.is_dir() else [given])]
    try:
        cases = [json.loads(path.read_text("utf-8")) for path in files]
    except (OSError, ValueError) as error:
        print(f"evaluate.py transcripts: cannot read the cases: {error}", file=sys.stderr)
        return 2
    if not cases:
        print("evaluate.py transcripts: no *.json case in the directories given", file=sys.stderr)
        return 2
    report = asyncio.run(replay_all(cases, options.api))
    if options.json:
        shown = {"passed": report.passed, "failed": report.failed, "pending": [], "notes": report.notes}
        print(json.dumps(shown, ensure_ascii=False, indent=2))
    else:
        _print(report)
    return 0


async def replay_all(cases: list[Json], api: Api) -> Report:
    """One case after the other: some measure time."""
    report = Report()
    for case in cases:
        name = case.get("id", "unnamed")
        # Whatever the program raises on a case is that case's failure, not the end of the measurement.
        (seen,) = await asyncio.gather(_replay(case, api), return_exceptions=True)
        if isinstance(seen, BaseException):
            report.failed.append({"name": name, "why": f"raised {type(seen).__name__}: {seen}"})
            continue
        found = faults(seen)
        if found:
            report.failed.append({"name": name, "why": "; ".join(found)})
        else:
            report.passed.append(name)
        report.notes += [{"name": name, "why": why} for why in advice(seen)]
    return report


async def _replay(case: Json, api: Api) -> Observed:
    server = ScriptedServer(case["script"], api=api, repeat_last=case.get("script_exhausted") == "repeat_last")
    async with serving(server, api) as base_url, asyncio.timeout(MAX_CASE_SECONDS):
        replayed = replay_through_program if needs_program(case) else _replay_in_loop
        return await replayed(case, api, server, base_url)


async def _replay_in_loop(case: Json, api: Api, server: ScriptedServer, base_url: str) -> Observed:
    """The case's inputs as turns of the loop, with its own history, whatever that is."""
    identities = {key: value for key, value in case.get("context", {}).items() if key.endswith("_id")}
    recorder = Recorder(identities, case.get("tool_behaviours", {}))
    known = agents(case, recorder) | {"elsewhere": elsewhere(case, recorder)}
    timeout = case.get("config", {}).get("llm_timeout_s", 30)
    clock = SystemClock()
    async with founded(owners=2, clock=clock, sections={}) as world, opened(world) as database:
        line = world.lines[1]
        await database.write(line.owner_id, somebody_else, line, now=clock.now())
        numbers = await database.write(line.owner_id, begin, line, {}, now=clock.now())
        recorder.know(owner_id=line.owner_id, **numbers)
        llm = OpenAiLlm(base_url=base_url, api_key="sk-scripted", api=api, model="fake-model", timeout_seconds=timeout)
        context = ToolContext(
            line.owner_id, **numbers, message_id=1, now=clock.now(), time_zone="America/Sao_Paulo", locale=LANGUAGE
        )
        conversation = _Conversation(llm, known, recorder, case, case["start_agent"], history(case), database, context)
        started = time.monotonic()
        try:
            for said in case["inputs"]:
                await conversation.hear(said["content"])
        finally:
            await llm.close()
    usage = conversation.usage
    return Observed(
        case=case,
        requests=server.requests,
        unexpected_requests=server.unexpected,
        overlapped=server.overlapped,
        runs=recorder.runs,
        deliveries=conversation.deliveries,
        delivered=conversation.delivered,
        fallback=apology(LANGUAGE),
        agent=conversation.agent,
        usage={
            "prompt_tokens": usage.prompt,
            "completion_tokens": usage.completion,
            "cached_tokens": usage.cached,
            "requests": usage.requests,
        },
        wall_s=time.monotonic() - started,
    )


def _print(report: Report) -> None:
    for name in report.passed:
        print(f"passed   {name}")
    for kind, entries in (("note", report.notes), ("FAILED", report.failed)):
        for entry in entries:
            print(f"{kind:8} {entry['name']}: {entry['why']}")
    print(f"{len(report.passed)} passed, {len(report.failed)} failed")
