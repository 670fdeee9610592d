"""Compares what was acknowledged with what the fake Twilio took for each customer. Knows nothing of the program inside.

Every message has a text of its own and the model is an echo, so that ``eco: a | b`` proves which messages an answer covers. The
fallback text, or the word that a person was called instead, stands for at least one message: those missing between the echoes
around it. The request to write what could not be heard stands for any number of them, since an echo may name it too.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

from wtai.ai.texts import apology
from wtai.conversation.texts import texts
from wtai.simulator.twilio_messages import Accepted

_ECHO = "eco: "
_BETWEEN = " | "
_NEXT_PART = re.compile(r"\| |(\[áudio transcrito\] )?\d{3}x\d{4}\b|transcrito\]")
"""How the second part begins of an echo that is longer than one message may be."""
_FALLBACKS = (apology("pt-BR"), texts("pt-BR").failed)
_ASKED_TO_WRITE = texts("pt-BR").unheard
_UNHEARD = "[áudio que não pôde ser ouvido"


@dataclass(slots=True)
class Verdict:
    """Texts that broke a promise, by the promise; ``apologized`` were answered with the fallback text, which breaks none."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    disordered: list[str] = field(default_factory=list)
    strange: list[str] = field(default_factory=list)
    apologized: list[str] = field(default_factory=list)
    answered: int = 0

    @property
    def broken(self) -> dict[str, list[str]]:
        """The promises that were broken, with the texts that show it; empty if all were kept."""
        found = {"lost": self.lost, "doubled": self.doubled, "disordered": self.disordered, "strange": self.strange}
        return {promise: texts for promise, texts in found.items() if texts}


def judge(heard: Mapping[str, Sequence[str]], accepted: Iterable[Accepted]) -> Verdict:
    """``heard``: each customer's texts in the order in which they were acknowledged; ``accepted``: the fake Twilio's ledger."""
    verdict = Verdict()
    taken = list(accepted)
    calls = Counter(_our_id(message) for message in taken)
    verdict.doubled += [f"{message}, sent {times} times" for message, times in calls.items() if times > 1]
    for customer, said in heard.items():
        _judge_customer(verdict, said, [message.body for message in taken if message.to == customer])
    verdict.strange += [message.body for message in taken if message.to not in heard]
    return verdict


def _judge_customer(verdict: Verdict, texts: Sequence[str], bodies: Sequence[str]) -> None:
    place = {text: number for number, text in enumerate(texts)}
    seen: set[str] = set()
    passed_over: list[str] = []
    position = apologies = 0
    asked = False
    for body in _joined(bodies):
        apologies += body in _FALLBACKS
        asked = asked or body == _ASKED_TO_WRITE
        if body in (*_FALLBACKS, _ASKED_TO_WRITE):
            continue
        for text in body.removeprefix(_ECHO).split(_BETWEEN):
            if text.startswith(_UNHEARD):
                asked = True
            elif text not in place or not body.startswith(_ECHO):
                verdict.strange.append(body)
            elif text in seen:
                verdict.doubled.append(text)
            elif place[text] < position:
                verdict.disordered.append(text)
            else:
                passed_over += _explained(verdict, texts[position : place[text]], apologies, asked=asked)
                position, apologies, asked = place[text] + 1, 0, False
            seen.add(text)
    passed_over += _explained(verdict, texts[position:], apologies, asked=asked)
    verdict.lost += [text for text in passed_over if text not in seen]
    verdict.answered += len(seen & place.keys())


def _joined(bodies: Sequence[str]) -> list[str]:
    """The bodies, with the parts of an echo put together again."""
    whole: list[str] = []
    for body in bodies:
        if whole and whole[-1].startswith(_ECHO) and _NEXT_PART.match(body):
            whole[-1] += f" {body}"
        else:
            whole.append(body)
    return whole


def _explained(verdict: Verdict, missing: Sequence[str], apologies: int, *, asked: bool) -> list[str]:
    """What ``apologies`` leave unexplained of ``missing``; more of them than there were messages answered one twice."""
    if apologies > len(missing):
        verdict.doubled.append(f"{apologies} fallback texts for {len(missing)} messages")
    if not apologies and not asked:
        return list(missing)
    verdict.apologized += missing
    return []


def _our_id(message: Accepted) -> str:
    """The public id that the status callback's address carries."""
    (found,) = parse_qs(urlsplit(dict(message.form)["StatusCallback"]).query)["m"]
    return found
