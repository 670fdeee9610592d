"""What an owner may set of a specialist: the base of every feature's ``config``."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Line = Annotated[str, Field(min_length=1, max_length=300)]


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
