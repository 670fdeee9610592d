"""The tool with which a specialist calls a person."""

import re
from typing import Annotated, Final

from pydantic import Field

from wtai.ai.tools.tool import Arguments, Tool, ToolContext

CALL_PERSON: Final = "call_person"


_SOMEONE: Final = r"(?:atendente|humano|pessoa|equipe|agente|persona|equipo|asesora?|human|person|team|agent|colleague)"
_CLAIMS: Final = re.compile(
    rf"(?<!não )(?<!no )\b(?:(?:vou|estou|já|voy a|estoy|ya|i'm|i am|i'll|i will|i have|i've) )?(?:te |lhe |o |a |la |lo )?"
    rf"(?:transferi|transferindo|encaminhei|encaminhando|chamei|chamando|acionei|transferí|transfiriendo|llamé|llamando"
    rf"|avisé|transferred|transferring|forwarded|called|calling|notified)\b[^.!?\n]{{0,60}}\b{_SOMEONE}\b"
    rf"|\b(?:vou|voy a|i'll|i will) (?:te |lhe )?(?:transferir|encaminhar|passar|chamar|llamar|pasar|transfer|forward|call)\b"
    rf"[^.!?\n]{{0,60}}\b{_SOMEONE}\b",
    re.IGNORECASE,
)


class Reason(Arguments):
    """Why a person is needed."""

    reason: Annotated[str, Field(min_length=1, max_length=200, description="Why, in a few words, for the team.")]


async def _noted(_context: ToolContext, _arguments: Reason) -> str:
    return "noted"


def call_person() -> Tool[Reason]:
    """Ends the turn. The turn's own transaction hands the conversation over, and says so: only then has it happened."""
    return Tool(
        CALL_PERSON,
        "Calls a person of the team to take over the conversation: when the person asks for one, or when you cannot help.",
        Reason,
        run=_noted,
        claims=_CLAIMS,
        ends_turn=True,
    )
