"""The tool with which a specialist calls a person."""

from typing import Annotated, Final

from pydantic import Field

from wtai.ai.tools.tool import Arguments, Tool, ToolContext

CALL_PERSON: Final = "call_person"


class Reason(Arguments):
    """Why a person is needed."""

    reason: Annotated[str, Field(min_length=1, max_length=200, description="Motivo, em poucas palavras, para a equipe.")]


async def _noted(_context: ToolContext, _arguments: Reason) -> str:
    return "noted"


def call_person() -> Tool[Reason]:
    """Ends the turn. The turn's own transaction hands the conversation over, and says so: only then has it happened."""
    return Tool(
        CALL_PERSON,
        "Chama uma pessoa da equipe para assumir a conversa: quando a pessoa pede, ou quando você não pode resolver.",
        Reason,
        run=_noted,
        ends_turn=True,
    )
