"""Tools of the general specialist."""

from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from wtai.ai.tools.tool import Arguments, Tool, ToolContext
from wtai.clock import Clock

_WEEKDAYS = ("segunda-feira", "terça-feira", "quarta-feira", "quinta-feira", "sexta-feira", "sábado", "domingo")
_ZONE = ZoneInfo("America/Sao_Paulo")


class NoArguments(Arguments):
    """A tool that takes nothing."""


@dataclass(frozen=True, slots=True)
class CurrentTime:
    """Date and time in Brasília, with the name of the day in Portuguese."""

    date: str
    time: str
    weekday: str


def current_time(clock: Clock) -> Tool[NoArguments]:
    """Tells the date and the time, so that neither stands in the prompt, where it would void the provider's cache."""

    async def run(_context: ToolContext, _arguments: NoArguments) -> CurrentTime:
        now = datetime.fromtimestamp(clock.now() / 1000, UTC).astimezone(_ZONE)
        return CurrentTime(now.date().isoformat(), f"{now:%H:%M}", _WEEKDAYS[now.weekday()])

    return Tool("current_time", "Data e hora de agora, no horário de Brasília.", NoArguments, run=run)
