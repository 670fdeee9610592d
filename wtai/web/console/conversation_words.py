"""What became of messages and conversations, in words for staff."""

from collections.abc import Callable
from dataclasses import dataclass

from wtai.ai import store
from wtai.channels.twilio.errors import Reaction, meaning, reaction
from wtai.conversation import handoff
from wtai.conversation.thread_store import Change, Line
from wtai.identity.quota import Quota

Text = Callable[[str], str]
"""Turns a text of the code into the reader's language."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """Where an outbound message is: an icon, its name, and why it is there where that is worth telling."""

    icon: str
    label: str
    tone: str = ""
    reason: str = ""


def delivery(_: Text, line: Line) -> Delivery:
    """Of an outbound message."""
    if line.status == "queued" and line.parked is not None:
        return Delivery("alert", _("Not sent"), "bad", _parked(_, line.parked))
    if line.status == "canceled":
        return Delivery("x", _("Not sent"), "soft", _canceled(_, line))
    if line.status in ("failed", "undelivered"):
        label = _("Failed") if line.status == "failed" else _("Not delivered")
        return Delivery("alert", label, "bad", failure(_, line))
    return {
        "queued": Delivery("clock", _("Waiting to be sent")),
        "sending": Delivery("clock", _("Being sent")),
        "sent": Delivery("check", _("Sent")),
        "delivered": Delivery("checks", _("Delivered")),
        "read": Delivery("checks", _("Read"), "read"),
    }.get(
        line.status,
        Delivery(
            "help",
            _("Perhaps sent"),
            "warn",
            _("It is not known whether it was sent. It is not sent again by itself, so that nobody gets it twice."),
        ),
    )


def failure(_: Text, line: Line) -> str:
    """Why a message failed, and what can be done about it; the provider's code first."""
    if line.error_code is None:
        return _parked(_, line.parked) if line.parked is not None else _("The provider gave no reason.")
    return f"{line.error_code}: {_reaction(_, reaction(line.error_code))}"


def provider_words(line: Line) -> str:
    """What the provider's code means, in English."""
    return meaning(line.error_code) if line.error_code is not None else ""


def _parked(_: Text, reason: str) -> str:
    if reason == "window":
        return _("The 24-hour window was closed. Send a template instead.")
    return _("The person wrote STOP and wants no messages.")


def _canceled(_: Text, line: Line) -> str:
    if line.parked == "opted_out":
        return _parked(_, line.parked)
    if line.parked == "window":
        return _("A template was sent instead.")
    return _("Somebody of the team took over before it went out.")


def _reaction(_: Text, of: Reaction) -> str:
    return {
        Reaction.RETRY_SLOWLY: _("Too many messages at once. Try again later."),
        Reaction.PAUSE: _("The allowance of messages for today is used up. It starts anew tomorrow."),
        Reaction.FIND_OUT: _("The provider failed, and may have sent it all the same. Ask the person before you send it again."),
        Reaction.UNREACHABLE: _("The person cannot be reached at this address."),
        Reaction.OPTED_OUT: _("The person wants no messages, or has blocked this number."),
        Reaction.WINDOW: _("The 24-hour window was closed. Send a template instead."),
        Reaction.TEMPLATE: _("The template or its variables are refused. Choose another one, or mend it."),
        Reaction.CONTENT: _("The content is refused: too long, empty, or of a kind that the channel does not take."),
        Reaction.CONFIGURATION: _("The account or the number is not set up for this. Tell an administrator."),
        Reaction.TRIAL: _("A trial account does not allow this. Tell an administrator."),
        Reaction.ASK_STAFF: _("It failed on its way. Sent again, it may arrive twice: you decide."),
        Reaction.REJECT: _("It was blocked, and will not be delivered."),
    }[of]


def event(_: Text, change: Change, by: str) -> str:
    """A change of state. ``by`` names the member of staff, empty if unknown."""
    if change.from_state is None:
        if change.actor != "staff":
            return _("The conversation began")
        return _("%(name)s began the conversation") % {"name": by} if by else _("The team began the conversation")
    if change.to_state == "HANDOFF":
        if change.actor != "staff":
            asked = change.reason == handoff.ASKED
            return _("The person asked for somebody of the team") if asked else _("The AI called a person")
        return _("%(name)s took over") % {"name": by} if by else _("Taken over by the team")
    if change.from_state == "HANDOFF" and change.to_state in ("PROGRESS", "WAITING_USER"):
        return _("%(name)s handed back to the AI") % {"name": by} if by else _("Handed back to the AI")
    if change.reason == "opted out":
        return _("The person wrote STOP")
    return ended(_, change, by)


def ended(_: Text, change: Change, by: str) -> str:
    """How a conversation ended."""
    if change.to_state == "SUPPORT_CLOSED" and by:
        return _("%(name)s closed the conversation") % {"name": by}
    return {
        "SUPPORT_CLOSED": _("Closed by the team"),
        "AGENT_CLOSED": _("Closed by the AI"),
        "USER_CLOSED": _("The person said goodbye"),
        "EXPIRED": _("Closed: it had been open for too long"),
        "IDLE_TIMEOUT": _("Closed: no answer from the person"),
        "FAILED": _("Closed after an error"),
    }.get(change.to_state, change.to_state)


def reason(_: Text, said: str) -> str:
    """Why a person was called, where the event does not say it already; the model's own words stay as they are."""
    told = {
        handoff.TAKEN: "",
        handoff.REPLIED: "",
        handoff.BEGUN: "",
        handoff.ASKED: "",
        "handed back": "",
        "closed by staff": "",
        "time-out": "",
        "first message": "",
        "opted out": "",
        "said goodbye": "",
        "assigned": "",
        "confirmed": _("They confirmed that all is done"),
        "the model does not answer": _("The model does not answer"),
        "budget reached: month": _("The budget of the month is used up"),
        "budget reached: user_day": _("The person's budget of the day is used up"),
        f"quota: {Quota.MESSAGES}": _("The plan's messages of the month are used up"),
        f"quota: {Quota.TOKENS}": _("The plan's tokens of the month are used up"),
        f"quota: {Quota.COST}": _("The plan's budget of the month is used up"),
        f"quota: {Quota.USER_MESSAGES}": _("The person's messages of the day are used up"),
        f"quota: {Quota.USER_COST}": _("The person's budget of the day is used up"),
    }.get(said)
    if told is not None:
        return told
    count, _space, rest = said.partition(" ")
    if rest == "failed turns":
        return _("The AI failed %(count)s times in a row") % {"count": count}
    return said


def state(_: Text, of: str) -> str:
    """A state of a conversation."""
    return {
        "PENDING": _("The AI is answering"),
        "PROGRESS": _("The AI is answering"),
        "WAITING_USER": _("The AI waits for the person"),
        "HANDOFF": _("With the team"),
    }.get(of, _("Closed"))


def author(_: Text, line_author: str, by: str) -> str:
    """Who wrote a message of ours."""
    if line_author == "staff":
        return by or _("Team")
    return _("AI") if line_author == "agent" else _("Automatic message")


def outcome(_: Text, of: str) -> str:
    """How a turn of the AI ended; what the model's server said stays as it is."""
    return {
        store.ANSWERED: _("Answered"),
        store.CLOSED: _("Closed the conversation"),
        store.ASKED: _("Asked whether all is done"),
        store.HANDED_OVER: _("Called a person"),
        store.INTERRUPTED: _("Was interrupted, and asked the person to write again"),
        store.NO_BUDGET: _("No budget was left"),
        store.NO_QUOTA: _("The plan allowed no more"),
    }.get(of, of)
