"""The specialists, as data: a prompt, tools and handoffs each."""

from hashlib import sha256
from importlib.resources import files

from wtai.ai.agent import Agent
from wtai.ai.tools.general import current_time
from wtai.ai.tools.handoff import call_person
from wtai.clock import Clock

DEFAULT = "general"


def specialists(clock: Clock) -> dict[str, Agent]:
    """All specialists by name."""
    return {DEFAULT: Agent(DEFAULT, _prompt(DEFAULT), tools=(current_time(clock), call_person()))}


def prompt_id(agent: Agent) -> str:
    """Name and content hash of an agent's prompt: what an AI result keeps of it."""
    return f"{agent.name}@{sha256(agent.prompt.encode()).hexdigest()[:12]}"


def _prompt(name: str) -> str:
    return (files("wtai.ai.prompts") / f"{name}.md").read_text("utf-8").strip()
