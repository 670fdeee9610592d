"""What a turn sends to the model: how much, how often, and how much of it is the same as in the turn before.

Providers cache the longest prefix that they have seen, byte for byte: tools, system text, then the messages.
"""

import json
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from benchmarks.webhooks import inbound

TURNS: Final = 20

_OPENINGS: Final = {
    "general": "vocês têm pão de queijo?",
    "finance": "quanto gastei este mês?",
    "relationship": "quais são os meus lembretes?",
}
_FIRST_USER: Final = 50_000_000
"""Nobody of whom the rounds of the benchmark know."""

_Body = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Prompts:
    """Sizes in bytes of JSON. ``fixed`` is tools and system text by specialist, ``request`` the largest request of the turns,
    ``stable`` what any two requests that follow each other have in common at the least; ``shared`` is the share (0 to 1) of all
    their bytes that stood in the request before. Calls are per message: the ``first`` of a conversation, and a ``sticky`` one.
    """

    fixed: Mapping[str, int]
    request: int
    stable: int
    shared: float
    first: float
    sticky: float


def measure(model_url: str, say: Callable[[bytes], None]) -> Prompts:
    """Hold a conversation of ``TURNS`` turns with the general specialist, and one of a single turn with each other. ``say`` sends
    a webhook and returns once it is answered.
    """
    heard = _Heard(model_url)
    turns: dict[str, list[_Body]] = {}
    for user, (specialist, text) in enumerate(_OPENINGS.items(), _FIRST_USER):
        say(inbound(user, text))
        turns[specialist] = heard.since()
    first = [len(calls) for calls in turns.values()]
    sticky: list[list[_Body]] = []
    for number in range(1, TURNS):
        say(inbound(_FIRST_USER, f"e no sábado número {number}, a que horas?"))
        sticky.append(heard.since())
    answers = [calls[-1] for calls in [turns["general"], *sticky]]
    prefixes = [_prompt(answer) for answer in answers]
    common = [_in_common(*pair) for pair in pairwise(prefixes)]
    return Prompts(
        fixed={specialist: len(_fixed(calls[-1])) for specialist, calls in turns.items()},
        request=max(len(json.dumps(answer, ensure_ascii=False).encode()) for answer in answers),
        stable=min(common),
        shared=sum(common) / sum(map(len, prefixes[1:])),
        first=sum(first) / len(first),
        sticky=sum(map(len, sticky)) / len(sticky),
    )


class _Heard:
    """What the fake model was asked for turns: routes and answers. What is asked beside them, such as summaries, is none."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._known = 0

    def since(self) -> list[_Body]:
        """The requests since the last call."""
        with urllib.request.urlopen(f"{self._url}/requests", timeout=30) as answer:
            bodies: list[_Body] = json.load(answer)
        new, self._known = bodies[self._known :], len(bodies)
        return [body for body in new if "messages" in body and _schema(body) in (None, "route")]


def _schema(body: _Body) -> str | None:
    return body["response_format"]["json_schema"]["name"] if "response_format" in body else None


def _fixed(body: _Body) -> bytes:
    return _bytes([*body["tools"], body["messages"][0]])


def _prompt(body: _Body) -> bytes:
    return _bytes([*body["tools"], *body["messages"]])


def _in_common(one: bytes, other: bytes) -> int:
    """The length of what both begin with."""
    return next(
        (at for at, (left, right) in enumerate(zip(one, other, strict=False)) if left != right), min(len(one), len(other))
    )


def _bytes(parts: Sequence[object]) -> bytes:
    return "\n".join(json.dumps(part, ensure_ascii=False) for part in parts).encode()
