"""What the dashboard calls things."""

from collections.abc import Iterable, Mapping

from wtai.channels.twilio.errors import Reaction, reaction
from wtai.web.console.page import Visit


def specialists(visit: Visit, own: Iterable[str]) -> Mapping[str, str]:
    """Specialists by their names in the program: ours in the visitor's language, an owner's own as it calls them."""
    ours = {
        "general": visit.text("General"),
        "finance": visit.text("Finance"),
        "relationship": visit.text("Relationship"),
        "memory": visit.text("Memory"),
        "voice": visit.text("Voice messages"),
    }
    return {**{name: name for name in own}, **ours}


def authors(visit: Visit) -> Mapping[str, str]:
    """Who writes messages."""
    return {
        "user": visit.text("Customers"),
        "agent": visit.text("AI"),
        "staff": visit.text("Staff"),
        "system": visit.text("System"),
    }


def handoffs(visit: Visit) -> Mapping[str, str]:
    """Why people step in."""
    return {
        "asked": visit.text("The customer asked for a person"),
        "agent": visit.text("The AI called a person"),
        "failing": visit.text("The AI kept failing"),
        "budget": visit.text("The budget was used up"),
        "quota": visit.text("A limit of the plan was reached"),
        "staff": visit.text("Staff took over"),
        "begun": visit.text("Staff wrote first"),
    }


def endings(visit: Visit) -> Mapping[str, str]:
    """How conversations end."""
    return {
        "USER_CLOSED": visit.text("The customer said goodbye"),
        "AGENT_CLOSED": visit.text("The AI closed it"),
        "SUPPORT_CLOSED": visit.text("Staff closed it"),
        "IDLE_TIMEOUT": visit.text("The customer fell silent"),
        "EXPIRED": visit.text("It expired"),
        "FAILED": visit.text("It failed"),
    }


def decisions(visit: Visit) -> Mapping[str, str]:
    """What follows from the score of a goodbye."""
    return {
        "carry_on": visit.text("Carried on"),
        "confirm": visit.text("Asked"),
        "close": visit.text("Closed"),
    }


def failure(visit: Visit, code: str) -> str:
    """What an error code of a send comes to, for people who have to do something about it."""
    if not code:
        return visit.text("Twilio gave no reason.")
    words = {
        Reaction.RETRY_SLOWLY: visit.text("Too many messages at once: the queue or the rate limit was full."),
        Reaction.PAUSE: visit.text("The account's messages of the day were used up."),
        Reaction.FIND_OUT: visit.text("Twilio failed, and may have sent it."),
        Reaction.UNREACHABLE: visit.text("The person cannot be reached at this number."),
        Reaction.OPTED_OUT: visit.text("The person blocked the number or opted out."),
        Reaction.WINDOW: visit.text("The 24-hour window was closed: only a template goes out then."),
        Reaction.TEMPLATE: visit.text("The template or its variables were refused."),
        Reaction.CONTENT: visit.text("The text or the media were refused."),
        Reaction.CONFIGURATION: visit.text("The Twilio account or the number is not set up for this."),
        Reaction.TRIAL: visit.text("A trial account's limit."),
        Reaction.ASK_STAFF: visit.text("It failed on the way, and may have arrived."),
        Reaction.REJECT: visit.text("WhatsApp or the carrier did not deliver it."),
    }
    return words[reaction(int(code))]
