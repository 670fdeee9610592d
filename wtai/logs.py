"""Logs on stderr: JSON lines, or coloured text on a terminal. Secrets, message bodies and phone numbers never get there.

Records of other libraries go the same way as ours, with the ids bound to the running task (``structlog.contextvars``).
"""

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping, Sequence
from typing import Literal, TextIO

import structlog

REMOVED = "[removed]"

_PRIVATE_KEY = re.compile(r"(?:^|_)(?:token|secret|authorization|password|passphrase|api_?key|cookie|body|text)s?$")
_PHONE_KEY = re.compile(r"(?:^|_)(?:phone|address|wa_?id|sender|recipient|from|to)$")
_CREDENTIAL = re.compile(r"\bsk-[\w-]{12,}|(?i:\b(?:bearer|basic)\s+)[\w.~+/=-]{8,}|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)")
_MARKED_PHONE = re.compile(r"(?i:(?<=\+)|(?<=%2b)|(?<=whatsapp:)|(?<=whatsapp%3a))\d(?:[ .()-]{0,2}\d){7,14}(?!\d)")
_BRAZILIAN_PHONE = re.compile(r"(?<![\w.])55[1-9]\d9?\d{8}(?!\w)")
_DIGITS = re.compile(r"\d{8,15}")

# At these levels they log request bodies or every request; what matters of it is in our own records.
_QUIET = ("aiohttp.access", "apscheduler", "asyncio", "httpx2", "httpcore2", "openai", "twilio", "urllib3")


def configure(form: Literal["auto", "console", "json"] = "auto", level: str = "info", stream: TextIO | None = None) -> None:
    """Send every record of ``level`` and above to ``stream`` (stderr). ``auto`` is console on a terminal, else json."""
    stream = stream or sys.stderr
    colours = stream.isatty()
    console = form == "console" or (form == "auto" and colours)
    renderer: structlog.typing.Processor = structlog.processors.JSONRenderer(ensure_ascii=False, default=str)
    if console:  # the plain formatter: a richer one prints local variables, message bodies among them
        renderer = structlog.dev.ConsoleRenderer(colors=colours, exception_formatter=structlog.dev.plain_traceback)
    gathered: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[
            *gathered,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
    handler.addFilter(_without_trace_of_malformed_requests)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=gathered,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                redact,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))


def redact(_logger: object, _method: str, event: MutableMapping[str, object]) -> MutableMapping[str, object]:
    """Remove the values of private keys and mask credentials and phone numbers in all texts, tracebacks included."""
    for key, value in event.items():
        event[key] = _clean(key, value)
    return event


def masked(text: str) -> str:
    """``text`` with its credentials removed and its phone numbers shortened: ``+5511987654321`` is ``+55119****4321``."""
    text = _CREDENTIAL.sub(REMOVED, text)
    text = _MARKED_PHONE.sub(_shortened, text)
    return _BRAZILIAN_PHONE.sub(_shortened, text)


def _clean(key: str, value: object) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value  # a count of tokens is no token
    if _PRIVATE_KEY.search(key.lower()):
        return REMOVED
    if isinstance(value, Mapping):
        return {str(name): _clean(str(name), inner) for name, inner in value.items()}
    if isinstance(value, Sequence | set | frozenset) and not isinstance(value, str | bytes):
        return [_clean(key, inner) for inner in value]
    text = masked(str(value))
    return _DIGITS.sub(_shortened, text) if _PHONE_KEY.search(key.lower()) else text


def _shortened(match: re.Match[str]) -> str:
    digits = re.sub(r"\D", "", match[0])
    shown = 5 if len(digits) >= 11 else 2
    return f"{digits[:shown]}****{digits[-4:] if len(digits) >= 11 else digits[-2:]}"


def _without_trace_of_malformed_requests(record: logging.LogRecord) -> bool:
    """aiohttp logs a traceback for every request that is not HTTP, which any port scanner sends: one line is enough."""
    error = record.exc_info[1] if record.exc_info else None
    # by name: importing aiohttp here would make every command slow
    if record.name == "aiohttp.server" and error is not None and type(error).__module__ == "aiohttp.http_exceptions":
        record.levelno, record.levelname = logging.WARNING, "WARNING"
        record.msg, record.args = "malformed request: %s", (type(error).__name__,)
        record.exc_info = record.exc_text = None
    return True
