"""The job that takes facts from what a person said, after the reply and away from it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import Final
from zoneinfo import ZoneInfo

import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from wtai.ai.llm import OBJECTIONABLE, TOO_LONG, Finish, LlmRequest, ResponseSchema, System, User
from wtai.ai.memory import conversations
from wtai.ai.memory.asking import FEATURE, NOT_NOW, later
from wtai.ai.memory.conversations import Bookmarks, Line
from wtai.ai.memory.reading import STRONG, keys, numbers, question
from wtai.ai.memory.writing import Kind, NotKept, Told, remember
from wtai.ai.metering import Meter
from wtai.ai.usage_store import Budget, Budgets, budgets_of, resets_at
from wtai.clock import Clock
from wtai.db.tx import Database, OwnerTx
from wtai.errors import GiveUp, LlmRefused, Retry
from wtai.identity.preferences import Preferences
from wtai.identity.store import preferences
from wtai.jobs.queue import Job
from wtai.jobs.store import BACKGROUND, enqueue

log = structlog.get_logger(__name__)

EXTRACT: Final = "extract_memories"
"""The kind of job; payload conversation_id."""

_MOST_CHARS: Final = 24_000
_MOST_LINE: Final = 2_000
_MAX_OUTPUT_TOKENS: Final = 4_096
_GROUNDED: Final = 0.5
_LARGEST_DAY: Final = 31
_YEARS: Final = range(1900, 2101)


class _Fact(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    text: str
    kind: Kind
    entity: str | None
    attribute: str | None
    message: int


class _Facts(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    facts: list[_Fact] = Field(max_length=100)


_SCHEMA: Final = ResponseSchema(
    "facts",
    {
        "type": "object",
        "properties": {
            "facts": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "text": {"type": "string"},
                        "kind": {"type": "string", "enum": ["fact", "preference", "relation", "event"]},
                        "entity": {"type": ["string", "null"]},
                        "attribute": {"type": ["string", "null"]},
                        "message": {"type": "integer"},
                    },
                    "required": ["text", "kind", "entity", "attribute", "message"],
                    "additionalProperties": False,
                },
            }
        },
        "required": ["facts"],
        "additionalProperties": False,
    },
)


@dataclass(frozen=True, slots=True)
class _Stretch:
    """What is to be read of a conversation. ``more`` is left for another job."""

    read: Bookmarks
    lines: tuple[Line, ...]
    zone: ZoneInfo
    budgets: Budgets
    more: bool

    @property
    def through(self) -> int:
        return self.lines[-1].id

    @property
    def half(self) -> "_Stretch":
        return replace(self, lines=self.lines[: len(self.lines) // 2], more=True)


def owe_extraction(tx: OwnerTx, conversation_id: int, *, now: int) -> None:
    """Have facts taken from what was said since the last time; once, however often it is owed before the job starts."""
    ids = {"conversation_id": conversation_id}
    enqueue(tx, EXTRACT, ids, key=f"facts:{conversation_id}", unique_key=str(conversation_id), priority=BACKGROUND, now=now)


class Extraction:
    """Takes facts with ``model``, metered, for owners whose choices are over ``base``."""

    def __init__(self, database: Database, meter: Meter, clock: Clock, *, base: Preferences, model: str | None) -> None:
        self._database = database
        self._meter = meter
        self._clock = clock
        self._base = base
        self._model = model

    async def handle(self, job: Job) -> None:
        """The job EXTRACT: one call for what was said since the last one; more of them for less each, where the facts do not fit
        an answer. A try that was cut off leaves nothing behind.

        Retry while there is no model, or no money for one, or it answers nonsense. Only of what a model objects to, and of one
        message that is too much for it, there is nothing to take.
        """
        conversation_id = job.argument("conversation_id")
        stretch = await self._database.read(job.owner_id, _stretch, conversation_id, self._base)
        if stretch is None:
            return
        stretch, found = await self._taken(job.owner_id, stretch)
        kept = await self._database.write(job.owner_id, _keep, conversation_id, stretch, found, now=self._clock.now())
        log.info("memory.extracted", told=len(found), kept=kept)

    async def _taken(self, owner_id: int, stretch: _Stretch) -> tuple[_Stretch, tuple[_Fact, ...]]:
        """The facts of the stretch, or of as much from its start as fits into one answer."""
        while any(line.own for line in stretch.lines):
            found = await self._asked(owner_id, stretch)
            if found is not None:
                return stretch, found
            if len(stretch.lines) == 1:
                log.warning("memory.not_extracted", code=Finish.LENGTH.value)
                break
            stretch = stretch.half
        return stretch, ()

    async def _asked(self, owner_id: int, stretch: _Stretch) -> tuple[_Fact, ...] | None:
        """The facts of the stretch; None if it is too much for one answer."""
        request = LlmRequest(
            (System(_prompt()), User(_transcript(stretch.lines, stretch.zone))),
            model=self._model,
            response_schema=_SCHEMA,
            max_output_tokens=_MAX_OUTPUT_TOKENS,
        )
        llm = self._meter.of(owner_id, stretch.read.user_id, FEATURE, stretch.budgets)
        try:
            reply = await llm.reply(request)
        except NOT_NOW as exc:
            raise later(exc, now=self._clock.now()) from exc
        except LlmRefused as exc:
            if exc.code == TOO_LONG:
                return None
            if exc.code in OBJECTIONABLE:
                log.warning("memory.not_extracted", code=exc.code)
                return ()
            raise GiveUp(f"the model refused to take facts: {exc.code}") from exc
        match reply.finish:
            case Finish.LENGTH if llm.spent.stepped_down:
                now = self._clock.now()
                raise Retry("a budget cut the answer short", delay_ms=resets_at(Budget.USER_DAY, now) - now, counts=False)
            case Finish.LENGTH:
                return None
            case Finish.CONTENT_FILTER | Finish.REFUSAL:
                log.warning("memory.not_extracted", code=reply.finish.value)
                return ()
        try:
            return tuple(_Facts.model_validate_json(reply.text).facts)
        except ValidationError as exc:
            raise Retry("the model's facts are not in the form asked for") from exc


def _stretch(tx: OwnerTx, conversation_id: int, base: Preferences) -> _Stretch | None:
    read = conversations.bookmarks(tx, conversation_id)
    if read is None:
        return None
    lines = conversations.lines(tx, conversation_id, read.extracted_through, read.last_message_id)
    taken: list[Line] = []
    left = _MOST_CHARS
    for line in lines:
        left -= min(len(line.text), _MOST_LINE)
        if left < 0 and taken:
            break
        taken.append(line)
    if not taken:
        return None
    zone = ZoneInfo(preferences(tx, base).time_zone)
    return _Stretch(read, tuple(taken), zone, budgets_of(tx, base), more=len(taken) < len(lines))


def _keep(tx: OwnerTx, conversation_id: int, stretch: _Stretch, found: Iterable[_Fact], *, now: int) -> int:
    """Remember what is fit and grounded, unless another try did, or the person had something forgotten meanwhile."""
    if not conversations.mark_extracted(tx, conversation_id, stretch.read.extracted_through, stretch.through):
        return 0
    if stretch.more:
        owe_extraction(tx, conversation_id, now=now)
    own = {line.id: line for line in stretch.lines if line.own}
    kept = 0
    for fact in found:
        line = own.get(fact.message)
        if line is None or not _is_grounded(fact.text, line, own.values()):
            log.info("memory.not_grounded")
            continue
        told = Told(fact.text, line.created_at, fact.kind, fact.entity, fact.attribute, line.id)
        try:
            remember(tx, stretch.read.user_id, told, now=now)
        except NotKept as exc:
            log.info("memory.unfit", why=exc.why.value)
        else:
            kept += 1
    return kept


def _is_grounded(text: str, line: Line, own: Iterable[Line]) -> bool:
    """Whether the person said this: most of what it says stands in their own words, something of it in the line it is said to
    come from, and no amount is new. Days and years may be: they were counted out.
    """
    said = frozenset(key for one in own for key in keys(one.text).split())
    there = frozenset(keys(line.text).split())
    groups = [[key for key in group if key[0] in STRONG] for group in question(text).wanted]
    told = [group for group in groups if group]
    amounts = {number for number in numbers(text) if not _may_be_of_a_date(number)}
    return (
        sum(not said.isdisjoint(group) for group in told) >= _GROUNDED * len(told)
        and any(not there.isdisjoint(group) for group in told)
        and amounts <= {number for one in own for number in numbers(one.text)}
    )


def _may_be_of_a_date(number: str) -> bool:
    return number.isdecimal() and (int(number) <= _LARGEST_DAY or int(number) in _YEARS)


def _transcript(lines: Sequence[Line], zone: ZoneInfo) -> str:
    """The lines, each with its number, who said it and when."""
    told = []
    for line in lines:
        when = datetime.fromtimestamp(line.created_at / 1000, UTC).astimezone(zone)
        who = "USER" if line.own else "CONTEXT"
        told.append(f"[{line.id}] {when:%Y-%m-%d %a %H:%M} {who}: {' '.join(line.text[:_MOST_LINE].split())}")
    return "\n".join(told)


@cache
def _prompt() -> str:
    return (files("wtai.ai.memory") / "extraction.md").read_text("utf-8").strip()
