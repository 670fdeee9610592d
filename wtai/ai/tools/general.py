"""Tools of every specialist that belong to no matter."""

from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from wtai.ai.tools.dates import spoken_weekday
from wtai.ai.tools.tool import Arguments, Tool, ToolContext


class NoArguments(Arguments):
    """A tool that takes nothing."""


@dataclass(frozen=True, slots=True)
class CurrentTime:
    """Date and time in the owner's time zone, with the name of the day in the owner's language."""

    date: str
    time: str
    weekday: str


async def _now(context: ToolContext, _arguments: NoArguments) -> CurrentTime:
    now = datetime.fromtimestamp(context.now / 1000, UTC).astimezone(ZoneInfo(context.time_zone))
    return CurrentTime(now.date().isoformat(), f"{now:%H:%M}", spoken_weekday(now, context.locale))


def current_time() -> Tool[NoArguments]:
    """Tells the date and the time, so that the time does not stand in the prompt, where it would void the provider's cache."""
    return Tool("current_time", "Date and time of now, in the time zone of the business.", NoArguments, run=_now)
