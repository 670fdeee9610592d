"""Tools of every specialist that belong to no matter."""

from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from wtai.ai.tools.tool import Arguments, Tool, ToolContext

_WEEKDAYS = ("segunda-feira", "terça-feira", "quarta-feira", "quinta-feira", "sexta-feira", "sábado", "domingo")


class NoArguments(Arguments):
    """A tool that takes nothing."""


@dataclass(frozen=True, slots=True)
class CurrentTime:
    """Date and time in the owner's time zone, with the name of the day in Portuguese."""

    date: str
    time: str
    weekday: str


async def _now(context: ToolContext, _arguments: NoArguments) -> CurrentTime:
    now = datetime.fromtimestamp(context.now / 1000, UTC).astimezone(ZoneInfo(context.time_zone))
    return CurrentTime(now.date().isoformat(), f"{now:%H:%M}", _WEEKDAYS[now.weekday()])


def current_time() -> Tool[NoArguments]:
    """Tells the date and the time, so that the time does not stand in the prompt, where it would void the provider's cache."""
    return Tool("current_time", "Data e hora de agora, no fuso horário da empresa.", NoArguments, run=_now)
