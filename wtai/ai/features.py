"""What an owner may set of a specialist: the base of every feature's ``config``."""

import re
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

Line = Annotated[str, Field(min_length=1, max_length=300)]

OWN_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")
"""Names that an owner may give: part of a tool's name, which OpenAI takes in ASCII and up to 64 characters only."""
RESERVED: Final = frozenset({"router", "memory", "voice"})
"""Names under which the program books what it spends itself."""


class FeatureConfig(BaseModel):
    """None keeps what the program ships. ``tools`` names HTTP tools of the owner that this specialist may use besides its own."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    description: Line | None = Field(None, description="When this specialist is the right one, for the router and the others.")
    prompt: Annotated[str, Field(min_length=1, max_length=20_000)] | None = Field(None, description="Instructions.")
    model: Line | None = Field(None, description="Model, instead of openai.model.")
    tools: tuple[Line, ...] = Field((), max_length=32, description="Names of the owner's HTTP tools.")


class OwnSpecialist(FeatureConfig):
    """A specialist that an owner adds: its instructions and when it is the right one are required."""

    description: Line = Field(description="When this specialist is the right one, for the router and the others.")
    prompt: Annotated[str, Field(min_length=1, max_length=20_000)] = Field(description="Instructions.")
