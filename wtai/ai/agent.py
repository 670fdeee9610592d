"""An agent: a prompt, the tools it may use, the agents it may hand over to, and its model."""

from dataclasses import dataclass
from functools import cached_property

from wtai.ai.llm import ToolSpec
from wtai.ai.tools.tool import AnyTool

HANDOFF_PREFIX = "transfer_to_"


@dataclass(frozen=True, slots=True)
class Handoff:
    """Another agent that may take the conversation over. ``description`` tells the model when."""

    agent: str
    description: str

    @property
    def tool_name(self) -> str:
        """What the model calls to hand over."""
        return HANDOFF_PREFIX + self.agent


@dataclass(frozen=True)
class Agent:
    """A specialist. ``prompt`` holds nothing that changes with time or person, so that providers can cache it with the tools.
    ``model`` None: the default one. ``description`` tells the router and the other agents when this one is right.
    """

    name: str
    prompt: str
    tools: tuple[AnyTool, ...] = ()
    handoffs: tuple[Handoff, ...] = ()
    model: str | None = None
    max_output_tokens: int = 4096
    description: str = ""

    def __post_init__(self) -> None:
        names = [spec.name for spec in self.specs]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise ValueError(f"agent {self.name}: two tools named {', '.join(sorted(twice))}; rename one")

    @cached_property
    def specs(self) -> tuple[ToolSpec, ...]:
        """Tools, then handoffs, as the model sees them, always in the same order."""
        empty: dict[str, object] = {"type": "object", "properties": {}, "additionalProperties": False}
        handoffs = (ToolSpec(handoff.tool_name, handoff.description, empty) for handoff in self.handoffs)
        return (*(tool.spec for tool in self.tools), *handoffs)

    def tool(self, name: str) -> AnyTool | None:
        """This agent's tool of that name."""
        return next((tool for tool in self.tools if tool.name == name), None)

    def ends_turn(self, name: str) -> bool:
        """Whether this agent's tool of that name leaves nothing to say."""
        tool = self.tool(name)
        return tool is not None and tool.ends_turn

    def handoff(self, name: str) -> Handoff | None:
        """The handoff behind a tool name."""
        return next((handoff for handoff in self.handoffs if handoff.tool_name == name), None)
