"""Reminders: each due time is a job, written with the reminder itself, and sending is one transaction.

A job is about one due time of one reminder. Whatever moved or canceled the reminder meanwhile, or sent it before, shows in the
row, and the job does nothing: a reminder is sent once for each time it is due, however often its job runs.
"""

import json
from dataclasses import replace
from typing import Final

from wtai.clock import Clock
from wtai.conversation import outbox, outbox_store, store
from wtai.conversation import reminders_store as reminders
from wtai.conversation.model import Conversation, Template
from wtai.conversation.recurrence import next_due, to_ms
from wtai.conversation.reminders_store import Plan, Reminder
from wtai.conversation.templates_store import template_sid
from wtai.db.tx import Database, OwnerTx
from wtai.identity.store import owner
from wtai.jobs.queue import Job
from wtai.jobs.store import enqueue

REMIND: Final = "remind"
"""The kind of job; its payload is {"reminder_id", "due_at"}."""

TEMPLATE: Final = "reminder"
"""What the owner's template for reminders is called; variable 1 is the text."""

_WORDS: Final = {"pt-BR": "⏰ Lembrete: ", "es": "⏰ Recordatorio: ", "en": "⏰ Reminder: "}


def remind(tx: OwnerTx, conversation_id: int, plan: Plan, *, now: int) -> Reminder:
    """Have the conversation's person reminded, once this commits. ``plan.first_at`` is to come."""
    due_at = to_ms(plan.first_at, plan.time_zone)
    reminder = reminders.insert(tx, conversation_id, plan, due_at=due_at, now=now)
    _owe(tx, reminder.id, due_at, now)
    return reminder


def change(tx: OwnerTx, reminder: Reminder, plan: Plan, *, due_at: int, now: int) -> Reminder:
    """Remind of ``plan`` instead, next at ``due_at``, one of its times."""
    reminders.replan(tx, reminder.id, plan, due_at=due_at, now=now)
    _owe(tx, reminder.id, due_at, now)
    return replace(reminder, plan=plan, due_at=due_at)


def cancel(tx: OwnerTx, reminder: Reminder, *, now: int) -> None:
    """Remind no more."""
    reminders.end(tx, reminder.id, "canceled", now=now)


class Reminders:
    """Sends what is due."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def handle(self, job: Job) -> None:
        """Put the reminder into the outbox and see to its next time, unless the job is out of date."""
        reminder_id, due_at = job.argument("reminder_id"), job.argument("due_at")
        await self._database.write(job.owner_id, _strike, reminder_id, due_at, now=self._clock.now())


def _strike(tx: OwnerTx, reminder_id: int, due_at: int, *, now: int) -> None:
    reminder = reminders.reminder(tx, reminder_id)
    if reminder is None or reminder.status != "scheduled" or reminder.due_at != due_at:
        return
    told = _tell(tx, reminder, now)
    plan = reminder.plan
    # From now on, not from the time that was due: after a long stop of the program one reminder comes, not one for each day.
    following = next_due(plan.first_at, plan.repeats, plan.time_zone, after=max(now, due_at))
    if following is None:
        reminders.end(tx, reminder.id, "sent" if told else "canceled", now=now)
    else:
        reminders.move_on(tx, reminder.id, due_at=following, now=now)
        _owe(tx, reminder.id, following, now)


def _tell(tx: OwnerTx, reminder: Reminder, now: int) -> bool:
    """As text while the window is open, else by the owner's template; without one as text, which the sender parks.

    False, and nothing is written, if the person wants nothing from us.
    """
    conversation = store.conversation(tx, reminders.newest_conversation(tx, reminder.conversation_id))
    if conversation is None or conversation.opted_out:
        return False
    locale, text = owner(tx).locale, reminder.plan.text
    closed = conversation.channel == "whatsapp" and now >= outbox.window_closes_at(conversation.last_inbound_at)
    content_sid = template_sid(tx, TEMPLATE, locale) if closed else None
    if content_sid is None:
        outbox.put(tx, conversation, [f"{_WORDS[locale]}{text}"], author="system", ai_result_id=None, now=now)
    else:
        # WhatsApp refuses line breaks, tabs and runs of blanks in a variable.
        template = Template(content_sid, json.dumps({"1": " ".join(text.split())}, ensure_ascii=False))
        _put_template(tx, conversation, template, f"{_WORDS[locale]}{text}", now)
    return True


def _put_template(tx: OwnerTx, conversation: Conversation, template: Template, words: str, now: int) -> None:
    """Send the template; ``words`` are what staff and the model read in its place."""
    message_id = outbox_store.insert_outbound(
        tx, conversation.id, words, author="system", ai_result_id=None, template=template, now=now
    )
    enqueue(tx, outbox.SEND, {"message_id": message_id}, key=f"send:{conversation.user_id}", now=now)


def _owe(tx: OwnerTx, reminder_id: int, due_at: int, now: int) -> None:
    payload = {"reminder_id": reminder_id, "due_at": due_at}
    enqueue(tx, REMIND, payload, unique_key=f"{reminder_id}:{due_at}", run_at=due_at, now=now)
