"""Whatever is logged, by us or by a library, reaches stderr without secrets, bodies and whole phone numbers."""

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from wtai import logs


@pytest.fixture(autouse=True)
def _loggers_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.contextvars.clear_contextvars()
    structlog.reset_defaults()


@pytest.fixture
def output() -> io.StringIO:
    """What was logged, as JSON lines."""
    stream = io.StringIO()
    logs.configure("auto", "info", stream)
    return stream


def lines(output: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.getvalue().splitlines()]


def test_a_record_is_one_json_line_with_time_level_and_bound_ids(output: io.StringIO) -> None:
    structlog.contextvars.bind_contextvars(owner=7, message="msg_1")
    structlog.get_logger("wtai.jobs").info("job.done", kind="turn")
    logging.getLogger("aiohttp.client").warning("slow %s", "host")
    ours, foreign = lines(output)
    assert ours.pop("timestamp").endswith("Z")
    assert ours == {"event": "job.done", "kind": "turn", "level": "info", "logger": "wtai.jobs", "owner": 7, "message": "msg_1"}
    assert (foreign["event"], foreign["level"], foreign["owner"], foreign["message"]) == ("slow host", "warning", 7, "msg_1")


@pytest.mark.parametrize(
    "key",
    [
        "token",
        "auth_token",
        "secret",
        "Authorization",
        "password",
        "api_key",
        "OPENAI_API_KEY",
        "body",
        "text",
        "tokens",
        "cookie",
    ],
)
def test_the_value_of_a_private_key_is_removed_at_any_depth(key: str, output: io.StringIO) -> None:
    structlog.get_logger().info("x", **{key: "private"}, outer={"inner": [{key: "private"}]})
    assert "private" not in output.getvalue()
    assert lines(output)[0][key] == logs.REMOVED


def test_counts_are_no_secrets(output: io.StringIO) -> None:
    structlog.get_logger().info("turn.done", prompt_tokens=812, tokens=900, body_bytes=10)
    [line] = lines(output)
    assert (line["prompt_tokens"], line["tokens"], line["body_bytes"]) == (812, 900, 10)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("+5511987654321", "+55119****4321"),
        ("whatsapp:+5511987654321 said", "whatsapp:+55119****4321 said"),
        ("/x?From=whatsapp%3A%2B5511987654321&a=1", "/x?From=whatsapp%3A%2B55119****4321&a=1"),
        ("tel +55 (11) 98765-4321.", "tel +55119****4321."),
        ("whatsapp:5511987654321", "whatsapp:55119****4321"),
        ("from 5511987654321", "from 55119****4321"),
        ("+12025550143", "+12025****0143"),
        ("+49301234", "+49****34"),
    ],
)
def test_phone_numbers_are_shortened(text: str, shown: str) -> None:
    assert logs.masked(text) == shown


@pytest.mark.parametrize(
    "text", ["1763683200000", "2026-11-20T10:00:00+00:00", "job 55 of 1200", "msg_5511987654321abcdef", "127.0.0.1:8080"]
)
def test_what_is_no_phone_number_stays(text: str) -> None:
    assert logs.masked(text) == text


@given(
    st.from_regex(r"\+[1-9]\d{9,14}", fullmatch=True), st.text(max_size=20), st.text(alphabet=" ,;)\n'", min_size=1, max_size=3)
)
def test_no_e164_number_survives_whatever_stands_around_it(number: str, before: str, after: str) -> None:
    assert number[1:] not in logs.masked(before + number + after)


def test_numbers_under_the_keys_of_addresses_are_shortened_without_a_plus(output: io.StringIO) -> None:
    structlog.get_logger().info("x", sender="11987654321", job=11987654321)
    [line] = lines(output)
    assert (line["sender"], line["job"]) == ("11987****4321", 11987654321)


def test_library_messages_and_tracebacks_are_masked_too(output: io.StringIO) -> None:
    try:
        int("cannot send to whatsapp:+5511987654321 with Bearer abcdef123456 and sk-proj-abcdefghijkl")
    except ValueError:
        logging.getLogger("library").exception("failed for %s at https://AC1:s3cret@api.example.com/", "+5511987654321")
    text = output.getvalue()
    assert "cannot send to whatsapp:+55119****4321 with" in lines(output)[0]["exception"]
    assert not [secret for secret in ("987654321", "abcdef123456", "abcdefghijkl", "s3cret") if secret in text]


def test_libraries_that_log_bodies_are_quiet_even_when_details_are_wanted() -> None:
    stream = io.StringIO()
    logs.configure("json", "debug", stream)
    for name in ("openai._base_client", "httpx2", "aiohttp.access", "apscheduler.scheduler", "twilio.http_client"):
        logging.getLogger(name).info("request options: %s", {"messages": "private"})
    structlog.get_logger("wtai").debug("details")
    assert [line["event"] for line in lines(stream)] == ["details"]


def test_a_record_below_the_level_is_not_written(output: io.StringIO) -> None:
    structlog.get_logger("wtai").debug("details")
    assert output.getvalue() == ""


def test_a_terminal_gets_text_without_local_variables() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    logs.configure("auto", "info", stream)
    local_body = "private" + " matter"
    try:
        int("broken")
    except ValueError:
        structlog.get_logger("wtai").exception("turn.failed", phone="+5511987654321")
    text = stream.getvalue()
    assert "turn.failed" in text
    assert "ValueError: invalid literal" in text
    assert "+55119****4321" in text
    assert local_body not in text


async def test_a_malformed_request_is_one_line_and_no_traceback(output: io.StringIO, free_port: int) -> None:
    runner = web.AppRunner(web.Application())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", free_port).start()
    reader, writer = await asyncio.open_connection("127.0.0.1", free_port)
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: nonsense\r\n\r\n")
    answer = await reader.read()
    writer.close()
    await runner.cleanup()
    assert b" 400 " in answer
    [line] = lines(output)
    assert line["event"].startswith("malformed request: ")
    assert "exception" not in line
