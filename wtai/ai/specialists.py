"""The specialists of an owner: those that come with the program, as the owner set them, and the owner's own."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any, Final

from pydantic import ValidationError

from wtai.ai.agent import HANDOFF_PREFIX, Agent, Handoff
from wtai.ai.features import OWN_NAME, RESERVED, FeatureConfig, OwnSpecialist
from wtai.ai.features_store import Feature
from wtai.ai.memory.memories import Memories
from wtai.ai.router import router
from wtai.ai.tools.finance import LANGUAGES, FinanceConfig, finance_tools
from wtai.ai.tools.general import current_time
from wtai.ai.tools.handoff import call_person
from wtai.ai.tools.memory import memory_tools
from wtai.ai.tools.relationship import RelationshipConfig, relationship_tools
from wtai.ai.tools.tool import AnyTool
from wtai.ai.wire import sendable_name
from wtai.errors import WtaiError
from wtai.identity.plans import PlanLimits, allowed_features

DEFAULT: Final = "general"

_KEPT: Final = 1_000


class WrongFeature(WtaiError):
    """A feature's configuration does not fit. The message names each place."""


class WrongName(WrongFeature):
    """A name that no specialist of an owner's own may have. The message says which do."""


@dataclass(frozen=True, slots=True)
class Family:
    """A specialist that comes with the program: what an owner may set of it, its own tools, and when it is right.

    ``languages``: what stands in place of the configuration's defaults for owners of other locales.
    """

    config: type[FeatureConfig]
    tools: Callable[[Any], tuple[AnyTool, ...]]
    description: str
    languages: Mapping[str, Mapping[str, object]] = field(default_factory=dict)

    def in_language(self, config: FeatureConfig, locale: str) -> FeatureConfig:
        """``config`` with the defaults of a locale where the owner set nothing."""
        shipped = self.languages.get(locale, {})
        return config.model_copy(update={name: shipped[name] for name in shipped.keys() - config.model_fields_set})


FAMILIES: Final[Mapping[str, Family]] = {
    DEFAULT: Family(FeatureConfig, lambda _: (), "questions about the business, small talk, whatever fits no other"),
    "finance": Family(
        FinanceConfig,
        finance_tools,
        "the customer's own money: expenses, income, balance, statements, what was spent on what",
        LANGUAGES,
    ),
    "relationship": Family(
        RelationshipConfig,
        relationship_tools,
        "people in the customer's life: birthdays, notes, contacts with them; and reminders of any kind",
    ),
}


@dataclass(frozen=True)
class Roster:
    """Who may answer for an owner: agents by name, the one that answers what fits no other, and who picks among them."""

    agents: Mapping[str, Agent]
    default: str
    router: Agent


def shared_tools(memories: Memories) -> tuple[AnyTool, ...]:
    """The tools of every specialist."""
    return (*memory_tools(memories), current_time(), call_person())


def built_in_names(shared: Iterable[AnyTool]) -> frozenset[str]:
    """Names of the program's own tools, which no HTTP tool may take: of those ``shared`` and of each family."""
    own = (tool for family in FAMILIES.values() for tool in family.tools(family.config()))
    return frozenset(tool.name for tool in (*shared, *own))


class Specialists:
    """Builds rosters, and keeps them while what they are built of stays the same: the model's prefix cache needs equal bytes.

    ``shared`` are tools of every specialist.
    """

    def __init__(self, shared: Sequence[AnyTool], *, router_model: str | None) -> None:
        self._shared = tuple(shared)
        self._router_model = router_model
        self._built: dict[tuple[str, tuple[Feature, ...], tuple[AnyTool, ...]], Roster] = {}

    def of(self, locale: str, features: tuple[Feature, ...], own_tools: tuple[AnyTool, ...] = ()) -> Roster:
        """The roster of an owner with this locale, these features and these HTTP tools. WrongFeature."""
        key = (locale, features, own_tools)
        roster = self._built.get(key)
        if roster is None:
            while len(self._built) >= _KEPT:
                del self._built[next(iter(self._built))]
            roster = self._built[key] = self._build(locale, features, own_tools)
        return roster

    def _build(self, locale: str, features: tuple[Feature, ...], own_tools: tuple[AnyTool, ...]) -> Roster:
        chosen = {feature.name: feature for feature in features}
        off = {feature.name for feature in features if not (feature.enabled and _is_sendable(feature.name))}
        names = [name for name in dict.fromkeys([*FAMILIES, *chosen]) if name not in off] or [DEFAULT]
        configs = {name: _parsed(name, chosen[name].config if name in chosen else "{}") for name in names}
        alone = {name: self._agent(name, config, locale, own_tools) for name, config in configs.items()}
        agents = {name: replace(agent, handoffs=_handoffs(agent, alone.values())) for name, agent in alone.items()}
        default = DEFAULT if DEFAULT in agents else next(iter(agents))
        return Roster(agents, default, router(agents, default, model=self._router_model))

    def _agent(self, name: str, config: FeatureConfig, locale: str, own_tools: tuple[AnyTool, ...]) -> Agent:
        family = FAMILIES.get(name)
        lent = tuple(tool for tool in own_tools if tool.name in config.tools)
        return Agent(
            name,
            f"{_prompt('rules', locale)}\n\n{config.prompt or _prompt(name, locale)}",
            tools=(*(family.tools(family.in_language(config, locale)) if family else ()), *self._shared, *lent),
            model=config.model,
            description=config.description or (family.description if family else ""),
        )


def checked(name: str, config: str) -> FeatureConfig:
    """The configuration of feature ``name`` from JSON. WrongName; WrongFeature says what does not fit and where."""
    if name in RESERVED or name.startswith(HANDOFF_PREFIX):
        raise WrongName(f"{name!r} is a name of the program's own: take another one for a specialist")
    if name not in FAMILIES and not OWN_NAME.fullmatch(name):
        raise WrongName(
            f"{name!r} is no name for a specialist: take up to 40 lower case letters from a to z, digits and underscores, "
            "a letter first"
        )
    return _parsed(name, config)


def _parsed(name: str, config: str) -> FeatureConfig:
    family = FAMILIES.get(name)
    try:
        return (family.config if family else OwnSpecialist).model_validate_json(config)
    except ValidationError as exc:
        places = "; ".join(f"{'.'.join(map(str, error['loc'])) or 'config'}: {error['msg']}" for error in exc.errors())
        raise WrongFeature(f"feature {name}: {places}") from exc


def in_plan(features: tuple[Feature, ...], limits: PlanLimits) -> tuple[Feature, ...]:
    """``features`` with those switched off that the owner's plan does not have."""
    has = allowed_features(limits, [*FAMILIES, *(feature.name for feature in features)])
    lacking = [name for name in FAMILIES if name not in has]
    return (*(feature for feature in features if feature.name in has), *(Feature(name, False, "{}") for name in lacking))


def shipped_prompt(name: str, locale: str) -> str:
    """What a specialist that comes with the program is told, unless its owner says otherwise."""
    return _prompt(name, locale)


def prompt_id(agent: Agent) -> str:
    """Name and content hash of an agent's prompt: what an AI result keeps of it."""
    return f"{agent.name}@{sha256(agent.prompt.encode()).hexdigest()[:12]}"


def _handoffs(agent: Agent, agents: Iterable[Agent]) -> tuple[Handoff, ...]:
    return tuple(Handoff(other.name, f"Hands over: {other.description}") for other in agents if other.name != agent.name)


def _is_sendable(name: str) -> bool:
    """Whether the tool that hands over to this specialist has a name that servers take; older releases let others be set."""
    tool = Handoff(name, "").tool_name
    return sendable_name(tool) == tool


@cache
def _prompt(name: str, locale: str) -> str:
    return (files("wtai.ai.prompts") / f"{name}.{locale.partition('-')[0]}.md").read_text("utf-8").strip()
