"""Tools for reminders: agreed in the owner's time zone, kept and sent by wtai.conversation.reminders."""

from dataclasses import dataclass
from datetime import datetime, time
from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints

from wtai.ai.tools.dates import local_today, spoken_date, spoken_weekday
from wtai.ai.tools.moments import Moment, read_moment
from wtai.ai.tools.relationship_claims import CANCELED, SCHEDULED, STANDS
from wtai.ai.tools.tool import AnyTool, Arguments, Effect, Tool, ToolContext, ToolError
from wtai.conversation import reminders, reminders_store
from wtai.conversation.recurrence import Repeats, next_due, to_local, to_ms
from wtai.conversation.reminders_store import Plan, Reminder
from wtai.db.tx import OwnerTx

_MOST: Final = 100
"""Reminders that one person may have ahead of them: each of them costs the owner a message."""

_YEARS_AHEAD: Final = 10

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]
When = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=80)]
Id = Annotated[str, Field(min_length=1, max_length=64, description="Id of the reminder, as list_reminders gives it.")]
Often = Literal["never", "daily", "weekly", "monthly", "yearly"]

_WHEN: Final = (
    'Day, or day and time, on the person\'s clock: "2026-11-22T09:00", "amanhã às 9h", "sexta 15:30", "20/11", '
    '"daqui a 20 minutos". Take the person\'s own words rather than reckoning.'
)


class NewReminder(Arguments):
    """What to remind of and when."""

    text: Annotated[Text, Field(description="What to remind of, worded for the person who will read it.")]
    when: Annotated[When, Field(description=_WHEN)]
    time: Annotated[When | None, Field(description="Time of day as HH:MM, if when does not tell it.")] = None
    repeats: Annotated[Often, Field(description="How often it comes again, from the first time on.")] = "never"


class Changes(Arguments):
    """Which reminder, and what is to be different; what is left out stays."""

    reminder: Id
    text: Text | None = None
    when: Annotated[When | None, Field(description=f"New day or moment. {_WHEN}")] = None
    time: Annotated[When | None, Field(description="New time of day as HH:MM.")] = None
    repeats: Often | None = None


class Which(Arguments):
    """One reminder."""

    reminder: Id


class All(Arguments):
    """Every reminder."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A reminder as the model sees it. ``when`` is local; ``spoken`` is it in the owner's language."""

    reminder: str
    text: str
    when: str
    spoken: str
    repeats: str


@dataclass(frozen=True, slots=True)
class Canceled:
    """What will not come any more."""

    canceled: Shown


@dataclass(frozen=True, slots=True)
class Listed:
    """What is ahead, the next first; ``more`` if there are further ones."""

    reminders: tuple[Shown, ...]
    more: bool


def reminder_tools(*, default_hour: int) -> tuple[AnyTool, ...]:
    """``default_hour`` is the time of a reminder for which only a day was said."""

    def create(tx: OwnerTx, context: ToolContext, asked: NewReminder) -> Shown:
        if len(reminders_store.scheduled(tx, context.user_id, limit=_MOST)) == _MOST:
            raise ToolError(f"There are {_MOST} reminders already, which is the most; cancel one of them first.")
        moment = read_moment(asked.when, asked.time, context)
        first = datetime.combine(moment.day or local_today(context), moment.time or time(default_hour))
        plan = Plan(asked.text, first, context.time_zone, Repeats(asked.repeats))
        _future(plan, first, context)
        return _shown(reminders.remind(tx, context.conversation_id, plan, now=context.now), context)

    return (
        Tool(
            "create_reminder",
            "Creates a reminder that is sent to the person at its time, here on this chat. "
            f"A day without a time means {default_hour:02}:00. For a birthday: its next day, repeats yearly.",
            NewReminder,
            work=create,
            effect=Effect.REVERSIBLE,
            claims=SCHEDULED,
        ),
        Tool("list_reminders", "Lists the reminders that are to come.", All, work=_list, claims=STANDS),
        Tool(
            "change_reminder",
            "Changes text, day, time or repetition of a reminder that is to come.",
            Changes,
            work=_change,
            effect=Effect.REVERSIBLE,
            claims=SCHEDULED,
        ),
        Tool(
            "cancel_reminder",
            "Cancels a reminder, with all its repetitions.",
            Which,
            work=_cancel,
            effect=Effect.REVERSIBLE,
            claims=CANCELED,
        ),
    )


def _list(tx: OwnerTx, context: ToolContext, _: All) -> Listed:
    found = reminders_store.scheduled(tx, context.user_id, limit=_MOST + 1)
    return Listed(tuple(_shown(reminder, context) for reminder in found[:_MOST]), len(found) > _MOST)


def _change(tx: OwnerTx, context: ToolContext, asked: Changes) -> Shown:
    reminder = _found(tx, context, asked.reminder)
    if (asked.text, asked.when, asked.time, asked.repeats) == (None, None, None, None):
        raise ToolError("Say what is to be different: text, when, time or repeats.")
    plan, due_at = _changed(reminder, asked, read_moment(asked.when, asked.time, context), context)
    return _shown(reminders.change(tx, reminder, plan, due_at=due_at, now=context.now), context)


def _cancel(tx: OwnerTx, context: ToolContext, asked: Which) -> Canceled:
    reminder = _found(tx, context, asked.reminder)
    reminders.cancel(tx, reminder, now=context.now)
    return Canceled(_shown(reminder, context))


def _changed(reminder: Reminder, asked: Changes, moment: Moment, context: ToolContext) -> tuple[Plan, int]:
    """The plan as it is to be, and when it is due next. A monthly 31st stays one when only its time of day changes."""
    old = reminder.plan
    text, repeats = asked.text or old.text, Repeats(asked.repeats) if asked.repeats else old.repeats
    if moment == Moment(None, None) and repeats is old.repeats:
        return Plan(text, old.first_at, old.time_zone, repeats), reminder.due_at
    next_day = to_local(reminder.due_at, old.time_zone).date()
    at = moment.time or old.first_at.time()
    due = datetime.combine(moment.day or next_day, at)
    keeps_days = moment.day is None and repeats is old.repeats
    first = datetime.combine(old.first_at.date(), at) if keeps_days else due
    plan = Plan(text, first, context.time_zone, repeats)
    return plan, _future(plan, due, context)


def _found(tx: OwnerTx, context: ToolContext, public: str) -> Reminder:
    """ToolError, the same for an id of somebody else and for one that does not exist."""
    reminder = reminders_store.reminder_of_user(tx, context.user_id, public)
    if reminder is None:
        raise ToolError(f"There is no reminder {public!r}; list_reminders gives the ids of those that are to come.")
    if reminder.status != "scheduled":
        raise ToolError(f"This reminder was {reminder.status} already; create a new one instead.")
    return reminder


def _future(plan: Plan, due: datetime, context: ToolContext) -> int:
    """When (ms) ``due`` is. ToolError, with the mend, if it is not to come, or not within ten years."""
    now = to_local(context.now, context.time_zone)
    if due.year > now.year + _YEARS_AHEAD:
        raise ToolError(f"That is more than {_YEARS_AHEAD} years ahead; take an earlier day.")
    if due.year >= now.year and (due_at := to_ms(due, plan.time_zone)) > context.now:
        return due_at
    past = f"{due:%Y-%m-%dT%H:%M} is in the past: it is {now:%Y-%m-%dT%H:%M} now."
    following = next_due(plan.first_at, plan.repeats, plan.time_zone, after=context.now)
    if following is None:
        raise ToolError(f"{past} Ask the person, or take a time that is to come.")
    raise ToolError(f"{past} The next time that it comes is {to_local(following, plan.time_zone):%Y-%m-%dT%H:%M}; take that.")


def _shown(reminder: Reminder, context: ToolContext) -> Shown:
    local = to_local(reminder.due_at, context.time_zone)
    spoken = f"{spoken_weekday(local, context.locale)}, {spoken_date(local.date(), context.locale)}, {local:%H:%M}"
    plan = reminder.plan
    return Shown(reminder.public_id, plan.text, f"{local:%Y-%m-%dT%H:%M}", spoken, plan.repeats)
