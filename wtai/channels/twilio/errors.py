"""Twilio's error codes for messages, and what is to be done about each.

A code comes with a refused request, or later with a status callback (63016 is always late: the request was answered 201).
Meanings after twilio.com/docs/api/errors; Twilio may change them, so a code that is not here counts by its HTTP status.
"""

from enum import StrEnum


class Reaction(StrEnum):
    """What an error asks for."""

    RETRY_SLOWLY = "retry_slowly"
    """Not accepted because of a rate or a full queue: again after minutes, and slower."""
    PAUSE = "pause"
    """The sender's allowance is used up: nothing more before tomorrow."""
    FIND_OUT = "find_out"
    """May have been accepted: find out before anything is sent again."""
    UNREACHABLE = "unreachable"
    """This person cannot be reached at this address."""
    OPTED_OUT = "opted_out"
    """The person does not want messages: none until they write again."""
    WINDOW = "window"
    """Outside the 24 hours after the person's last message: only an approved template may be sent."""
    TEMPLATE = "template"
    """The template or its variables are at fault: use another one."""
    CONTENT = "content"
    """Text or media refused: send something else, plain text for media."""
    CONFIGURATION = "configuration"
    """Every message of this sender will fail until the account is mended: tell an administrator."""
    TRIAL = "trial"
    """A trial account's limit: tell an administrator to upgrade it."""
    ASK_STAFF = "ask_staff"
    """Failed on the way; sending again may show the message twice: a person decides."""
    REJECT = "reject"
    """This message will not be delivered; nothing follows from it for others."""


ERRORS: dict[int, tuple[Reaction, str]] = {
    11200: (Reaction.CONFIGURATION, "Twilio could not fetch our webhook"),
    11205: (Reaction.CONFIGURATION, "Twilio could not connect to our webhook in time"),
    11237: (Reaction.CONFIGURATION, "Twilio does not trust the certificate of our webhook"),
    11751: (Reaction.CONTENT, "the media is larger than the channel allows"),
    12100: (Reaction.CONFIGURATION, "our webhook answered with TwiML that cannot be parsed"),
    12300: (Reaction.CONFIGURATION, "our webhook answered with a content type that Twilio does not take"),
    20003: (Reaction.CONFIGURATION, "account SID or auth token refused, or not available on a trial account"),
    20404: (Reaction.CONFIGURATION, "account or resource not found"),
    20429: (Reaction.RETRY_SLOWLY, "too many requests at once"),
    20500: (Reaction.FIND_OUT, "Twilio failed; the message may have been accepted"),
    21211: (Reaction.UNREACHABLE, "the recipient's address is not valid"),
    21408: (Reaction.CONFIGURATION, "messages to the recipient's country are not enabled for the account"),
    21606: (Reaction.CONFIGURATION, "the sender's number cannot send messages of this kind"),
    21608: (Reaction.TRIAL, "a trial account sends to verified numbers only"),
    21610: (Reaction.OPTED_OUT, "the recipient has opted out (STOP)"),
    21611: (Reaction.RETRY_SLOWLY, "the sender's queue is full"),
    21612: (Reaction.UNREACHABLE, "this sender cannot reach this recipient"),
    21614: (Reaction.UNREACHABLE, "the recipient's number is not a mobile number"),
    21617: (Reaction.CONTENT, "the text is longer than 1,600 characters"),
    21619: (Reaction.CONTENT, "the message is empty"),
    21620: (Reaction.CONTENT, "the media URL is not valid"),
    21623: (Reaction.CONTENT, "more than ten media"),
    21654: (Reaction.TRIAL, "a template is required: free text is not available on a trial account"),
    21655: (Reaction.TEMPLATE, "the template's ContentSid is not valid"),
    21656: (Reaction.TEMPLATE, "the template's variables are not valid"),
    21658: (Reaction.TEMPLATE, "a template variable is too long"),
    21663: (Reaction.CONFIGURATION, "the sender's number belongs to another region"),
    21703: (Reaction.CONFIGURATION, "the messaging service has no sender for this recipient"),
    30001: (Reaction.RETRY_SLOWLY, "the message waited too long in the sender's queue"),
    30002: (Reaction.CONFIGURATION, "the account is suspended"),
    30003: (Reaction.UNREACHABLE, "the handset is off or cannot be reached"),
    30004: (Reaction.REJECT, "the recipient or the carrier blocked the message"),
    30005: (Reaction.UNREACHABLE, "the recipient's number does not exist"),
    30006: (Reaction.UNREACHABLE, "a landline, or a carrier that cannot be reached"),
    30007: (Reaction.REJECT, "filtered by Twilio or by the carrier"),
    30008: (Reaction.ASK_STAFF, "failed at the carrier for a reason not known"),
    30034: (Reaction.CONFIGURATION, "the sender's number is not registered for business messages"),
    30410: (Reaction.ASK_STAFF, "the provider did not answer in time; it may still deliver"),
    30450: (Reaction.REJECT, "blocked as suspected message pumping"),
    57012: (Reaction.CONFIGURATION, "our webhook's signature check refused Twilio"),
    63001: (Reaction.CONFIGURATION, "the channel refused the sender's credentials"),
    63003: (Reaction.UNREACHABLE, "the recipient is not on this channel"),
    63005: (Reaction.CONTENT, "the channel refused the content"),
    63007: (Reaction.CONFIGURATION, "no sender of this channel has this address"),
    63010: (Reaction.ASK_STAFF, "the channel failed inside Twilio"),
    63012: (Reaction.ASK_STAFF, "the channel's provider failed"),
    63013: (Reaction.CONTENT, "the channel's policy refused the content"),
    63014: (Reaction.OPTED_OUT, "the recipient blocks messages of this kind"),
    63015: (Reaction.UNREACHABLE, "the recipient has not joined the sandbox, or three days ago: send 'join <code>' to it"),
    63016: (Reaction.WINDOW, "more than 24 hours since the recipient wrote: only a template may be sent"),
    63017: (Reaction.RETRY_SLOWLY, "the account's rate on this channel is exceeded"),
    63018: (Reaction.RETRY_SLOWLY, "the sender's messaging limit is reached, perhaps for 24 hours"),
    63019: (Reaction.CONTENT, "the media could not be downloaded"),
    63020: (Reaction.CONFIGURATION, "the business has not accepted Twilio's invitation on this channel"),
    63021: (Reaction.CONTENT, "the channel found the content not valid"),
    63024: (Reaction.UNREACHABLE, "the recipient is not valid on this channel"),
    63027: (Reaction.TEMPLATE, "the template does not exist in this language"),
    63028: (Reaction.TEMPLATE, "the number of template variables does not match"),
    63030: (Reaction.CONTENT, "the channel does not support a parameter of the message"),
    63032: (Reaction.REJECT, "WhatsApp keeps this recipient out of business messages for an experiment"),
    63033: (Reaction.OPTED_OUT, "the recipient has blocked this sender"),
    63038: (Reaction.PAUSE, "the account's messages of the day are used up"),
    63040: (Reaction.TEMPLATE, "the template was rejected"),
    63041: (Reaction.TEMPLATE, "the template is paused"),
    63042: (Reaction.TEMPLATE, "the template is disabled"),
    63049: (Reaction.REJECT, "WhatsApp withheld a marketing message from this recipient"),
    63051: (Reaction.CONFIGURATION, "the sender is locked; one without messages for 30 days has to be registered again"),
    572006: (Reaction.TRIAL, "free text is not available on a trial account"),
}
"""Code to its reaction and, in a few words, its meaning."""


def reaction(code: int | None, http_status: int | None = None) -> Reaction:
    """What to do about ``code``; about the answer's HTTP status where the code is absent or not known here."""
    if code in ERRORS:
        return ERRORS[code][0]
    if http_status is None:
        return Reaction.REJECT
    if http_status == 429:
        return Reaction.RETRY_SLOWLY
    if http_status >= 500:
        return Reaction.FIND_OUT
    return Reaction.CONFIGURATION if http_status in {401, 403, 404} else Reaction.REJECT


def meaning(code: int) -> str:
    """A few words for staff and logs; a code that is not known here points to Twilio's page about it."""
    if code in ERRORS:
        return ERRORS[code][1]
    return f"see https://www.twilio.com/docs/api/errors/{code}"


def held_back(code: int | None) -> str | None:
    """What the code says of the person rather than of the message: ``window`` is closed, ``opted_out``; None: nothing."""
    if code is None:
        return None
    return _HELD_BACK.get(reaction(code))


_HELD_BACK = {Reaction.WINDOW: "window", Reaction.OPTED_OUT: "opted_out"}
