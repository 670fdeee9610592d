"""The faults the fake Twilio commits when they are armed."""

from enum import StrEnum


class TwilioFault(StrEnum):
    """What can go wrong at Twilio. 'after' means: the message was accepted all the same."""

    THROTTLED = "429"
    ERROR_BEFORE = "500_before"
    ERROR_AFTER = "500_after"
    TIMEOUT_AFTER = "timeout_after"
    RESET_AFTER = "reset_after"
    OUTSIDE_WINDOW = "63016"
    OPTED_OUT = "21610"
    STATUS_DUPLICATED = "status_duplicated"
    STATUS_REORDERED = "status_reordered"
    STATUS_DROPPED = "status_dropped"
    WEBHOOK_DUPLICATED = "webhook_duplicated"
    MEDIA_GONE = "media_404"
    MEDIA_ERROR = "media_500"
    MEDIA_ELSEWHERE = "media_elsewhere"
    MEDIA_COMPRESSED = "media_compressed"
    MEDIA_TOO_LARGE = "media_too_large"
