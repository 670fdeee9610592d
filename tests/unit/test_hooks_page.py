"""wtai/hooks/README.md says what the program does."""

import re
from pathlib import Path
from typing import Any

from wtai.clock import HOUR, MINUTE, SECOND, SystemClock
from wtai.events import Event
from wtai.hooks.delivery import TIMEOUT_SECONDS
from wtai.hooks.model import SCHEDULE_MS
from wtai.standard_webhooks import new_secret, signed_headers

PAGE = (Path(__file__).resolve().parents[2] / "wtai" / "hooks" / "README.md").read_text("utf-8")
UNITS = {"s": SECOND, "min": MINUTE, "h": HOUR}


def test_the_page_lists_every_event() -> None:
    assert re.findall(r"^\| `([a-z.]+)` \|", PAGE, re.MULTILINE) == list(Event)


def test_the_page_names_the_waits_and_the_time_limit() -> None:
    told = " ".join(PAGE.split()).partition("tried again after ")[2].partition(", each up to")[0]
    waits = [int(number) * UNITS[unit] for number, unit in re.findall(r"(\d+) (s|min|h)\b", told)]
    assert tuple(waits) == SCHEDULE_MS
    assert f"within {TIMEOUT_SECONDS:g} seconds" in PAGE


def test_the_example_takes_what_the_program_signs() -> None:
    [code] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    secret, body = new_secret(), b'{"type":"job.dead"}'
    headers = signed_headers([new_secret(), secret], "evt_1", body, now=SystemClock().now())
    assert names["take"](secret, body, headers) == {"type": "job.dead"}
