"""Scenarios: what several customers write, what goes wrong meanwhile, and what each of them is to get. A TOML file:

    name = "A quiet morning"

    [customers.ana]                          # the id by which steps name her
    name = "Ana Lima"
    address = "whatsapp:+5511987650001"      # no two customers have the same

    [[scenes]]                               # one after the other; each ends when the program has nothing left to do
    title = "Two greetings"
    days_ago = 20                            # of the program's clock; scenes of the past come first (default: 0, now)

    [[scenes.steps]]                         # a customer's steps follow each other, different customers act at once
    who = "ana"
    say = ["Oi", "tudo bem?"]                # one message each, without a pause; a single text is one message
    faults = [{ kind = "429", retry_after = "1" }]
    expect = { answers = 1, contains = ["Olá"] }

A step sends ``say``, then ``voice`` (a voice note in which that text is 'said'), ``image = true`` (a small picture) and
``location = { latitude, longitude, label, address }``; at least one of them. Further keys of a step:

``faults``    faults of the fake Twilio, armed for this customer before the step: ``kind``, ``times`` (1), ``retry_after``,
              ``seconds`` (how long a held request waits)
``repeated``  each webhook comes twice at once, and again after the answer
``forged``    the webhooks carry a wrong signature
``kill``      the program is killed (SIGKILL) and started again: ``"heard"`` once the messages are acknowledged, ``"sent"``
              once Twilio took the first answer, which ``timeout_after`` keeps the program from knowing
``expect``    ``answers`` (exactly so many messages, 1), ``contains`` and ``excludes`` (texts of all answers together),
              ``matches`` (a regular expression found in them), ``within_ms`` (until the last of them, 15,000), ``status``
              (the last one of each, read), ``webhook`` (how the program answers the webhooks, 200)
"""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from wtai.errors import WtaiError
from wtai.simulator.phone import Place
from wtai.simulator.twilio_faults import TwilioFault

DEFAULT = Path(__file__).with_name("scenarios") / "default.toml"


class ScenarioError(WtaiError):
    """The file is no scenario; the message names each place and what is wrong with it."""


def _expression(text: str) -> str:
    try:
        re.compile(text)
    except re.error as exc:
        raise ValueError(f"is no regular expression: {exc}") from exc
    return text


def _several(value: object) -> object:
    return (value,) if isinstance(value, str) else value


Texts = Annotated[tuple[str, ...], BeforeValidator(_several)]


class Part(BaseModel):
    """One table of the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Customer(Part):
    name: str = Field(min_length=1)
    address: str = Field(pattern=r"^(whatsapp:)?\+[0-9]{8,15}$")


class Fault(Part):
    kind: TwilioFault
    times: int = Field(default=1, ge=1)
    retry_after: str | None = None
    seconds: float = Field(default=60, gt=0)


class Expectation(Part):
    answers: int = Field(default=1, ge=0)
    contains: Texts = ()
    excludes: Texts = ()
    matches: Annotated[str, AfterValidator(_expression)] | None = None
    within_ms: int = Field(default=15_000, gt=0)
    status: str = "read"
    webhook: int = 200


class Step(Part):
    who: str
    say: Texts = ()
    voice: str | None = None
    image: bool = False
    location: Place | None = None
    faults: tuple[Fault, ...] = ()
    repeated: bool = False
    forged: bool = False
    kill: Literal["heard", "sent"] | None = None
    expect: Expectation = Expectation()

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not (self.say or self.voice or self.image or self.location):
            raise ValueError("sends nothing: give it say, voice, image or location")
        return self


class Scene(Part):
    title: str = Field(min_length=1)
    days_ago: int = Field(default=0, ge=0, le=3_650)
    steps: tuple[Step, ...] = Field(min_length=1)

    def by_customer(self) -> dict[str, list[Step]]:
        """Each customer's steps in their order."""
        steps: dict[str, list[Step]] = {}
        for step in self.steps:
            steps.setdefault(step.who, []).append(step)
        return steps


class Scenario(Part):
    name: str = Field(min_length=1)
    customers: dict[str, Customer] = Field(min_length=1)
    scenes: tuple[Scene, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _names_fit(self) -> Self:
        for at, scene in enumerate(self.scenes):
            for step in scene.steps:
                if step.who not in self.customers:
                    raise ValueError(f"scenes[{at}] has a step of {step.who!r}; customers are {', '.join(self.customers)}")
        days = [scene.days_ago for scene in self.scenes]
        if days != sorted(days, reverse=True):
            raise ValueError("time goes forward: no scene may have more days_ago than the one before it")
        addresses = [customer.address for customer in self.customers.values()]
        if len(set(addresses)) < len(addresses):
            raise ValueError("two customers have the same address")
        return self


def load(path: Path) -> Scenario:
    """The scenario in the file. ScenarioError, naming what is wrong and where."""
    try:
        return Scenario.model_validate(tomllib.loads(path.read_text("utf-8")))
    except OSError as exc:
        raise ScenarioError(f"cannot read {path}: {exc.strerror}") from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise ScenarioError(f"{path} is not TOML: {exc}") from exc
    except ValidationError as exc:
        raise ScenarioError("\n".join(f"{path}: {problem}" for problem in _problems(exc.errors()))) from exc


def _problems(errors: list[ErrorDetails]) -> Iterator[str]:
    for error in errors:
        place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error["loc"]).removeprefix(".")
        rule = error["msg"].removeprefix("Value error, ")
        yield f"{place}: {rule}" if place else rule
