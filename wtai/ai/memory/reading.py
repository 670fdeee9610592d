"""A text as memory reads it: the keys under which a fact is found, and what a question asks for.

A key is a letter and a word: ``s`` a stem, ``c`` a concept of the lexicon, ``d`` its wider field, ``a`` what the text could
answer (when, how much, where, who), ``g`` a trigram.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from wtai.ai.memory.lexicon import Lexicon, lexicon
from wtai.ai.memory.words import fold, grams, stem, words

VERSION: Final = 1
"""Of what :func:`keys` yields: facts kept under another version are read anew by ``wtai memory reembed``."""

STEM_WEIGHT: Final = 1.0
CONCEPT_WEIGHT: Final = 0.8
DOMAIN_WEIGHT: Final = 0.35
_LIGHT: Final = 0.5
ANSWER_WEIGHT: Final = 0.35
STRONG: Final = "sc"
"""Kinds of keys that say what a text is about; the others hint at it."""

_LEAST_GRAMS: Final = 3
_MOST_KEYS: Final = 400


CHANGE: Final = "achange"
"""The key of facts that tell of a change: what held before holds no longer."""


class Answers(StrEnum):
    """What a fact could tell, and a question ask."""

    WHEN = "when"
    MONEY = "money"
    COUNT = "count"
    PLACE = "place"
    PERSON = "person"


class Time(StrEnum):
    """Which time a question is about."""

    NOW = "now"
    PAST = "past"
    DONE = "done"
    """Something the person did, whatever came of it."""
    ANY = "any"


@dataclass(frozen=True, slots=True)
class Question:
    """What a query asks for. Each of ``wanted`` is one thing said: the keys it may be found by, and how much each says."""

    wanted: tuple[Mapping[str, float], ...]
    trigrams: frozenset[str]
    time: Time


_MONTHS = (
    "janeiro fevereiro marco abril maio junho julho agosto setembro outubro novembro dezembro enero febrero marzo mayo junio "
    "julio septiembre octubre noviembre diciembre january february march april june july august september october november "
    "december"
)
_DAYS = (
    "segunda terca quarta quinta sexta sabado domingo lunes martes miercoles jueves viernes monday tuesday wednesday thursday "
    "friday saturday sunday"
)
_TELLS: Final = {
    Answers.WHEN: re.compile(
        rf"\b(?:{'|'.join((_MONTHS + ' ' + _DAYS).split())})s?\b|\bdias? \d|\bel \d{{1,2}}\b|\b\d{{1,2}}(?:h\b|:\d\d|/\d)|"
        r"\b(?:ontem|amanha|semana que vem|mes que vem|desde|ayer|manana|tomorrow|yesterday|since|noite|manha|tarde|noche)\b"
    ),
    Answers.MONEY: re.compile(r"r\$|us\$|[$€]|\b(?:reais|mil|euros?|dolar(?:es)?|pesos|contos?|dollars?|bucks)\b|\d[.,]\d\d\b"),
    Answers.COUNT: re.compile(r"\d|\b(?:um|uma|dois|duas|tres|quatro|cinco|dos|cuatro|cinco|two|three|four|five)\b"),
}
_TOLD_PLACE = re.compile(r"\b(?:em|na|no|de|da|do|en|in|at|a|to|pra|para) (?:[A-ZÀ-Ý]\w+)")
_PLACES = frozenset({"city", "state", "country", "live", "where", "home"})
_NAME = re.compile(r"(?<=[\w,;] )[A-ZÀ-Ý][\w'’-]+")
_ASKS: Final = {
    Answers.WHEN: re.compile(
        r"\b(?:quando|(?:que|qual|em que) (?:dia|data|hora|horas|mes|horario)|cuando|que (?:dia|fecha|hora)|when|"
        r"what (?:day|time|date)|data|prazo|ate quando|horas)\b"
    ),
    Answers.MONEY: re.compile(r"\b(?:quanto|quanta|valor|preco|custa|custou|cuanto|cuesta|how much|price)\b"),
    Answers.COUNT: re.compile(r"\b(?:quantos|quantas|numero|idade|cuantos|cuantas|edad|how many|how old|number)\b"),
    Answers.PLACE: re.compile(r"\b(?:onde|aonde|donde|where|cidade|ciudad|city|endereco|lugar|bairro)\b"),
    Answers.PERSON: re.compile(r"\b(?:quem|nome|chama|quien|nombre|llama|who|whose|name)\b"),
}
_CHANGES = re.compile(
    r"\b(?:agora|mudei|mudou|mudamos|mudaram|troquei|trocou|trocamos|passou|passei|subiu|aumentou|baixou|diminuiu|reajustou|adiei|"
    r"adiou|adiado|adiada|remarquei|remarcou|cancelei|cancelou|parei|parou|deixei|larguei|vendi|vendeu|devolveu|devolvi|pagou|"
    r"quitei|quitou|em vez|no lugar|lugar d[oae]|a partir|nao .{0,20}mais|novo|nova|saiu|saimos|voltou|voltaram|pazes|contratei|"
    r"contratamos|"
    r"ahora|mude|mudo|cambie|cambio|cambiamos|subio|bajo|vendi|vendio|deje|dejo|devolvio|aplace|ya no|nuevo|nueva|en lugar|"
    r"now|moved|changed|switched|sold|stopped|cancelled|canceled|no longer|instead|anymore|replaced|raised|new|rescheduled)\b"
)
_PAST = re.compile(
    r"\b(?:antes|antig[oa]s?|anterior(?:es)?|era|eram|foi|tinha|devia|deviam|costumava|antigamente|primeiro|"
    r"used to|was|were|before|previous|old|did|owed|"
    r"antiguo|antigua|solia|debia|tenia|fue)\b|\b\w{2,}(?:ava|avam|aba|aban)\b"
)
_NOW = re.compile(
    r"\b(?:agora|hoje|atual|atuais|atualmente|ainda|ultim[oa]s?|nov[oa]s?|ahora|hoy|actual|actualmente|ultim[oa]|nuev[oa]|now|today|"
    r"current|currently|latest|new)\b"
)


_DID = re.compile(r"\b\w{3,}ei\b|\b(?:did i|i (?:bought|lent|paid|sold|said|told|started))\b")
_TIMES: Final = {Time.PAST: _PAST, Time.NOW: _NOW, Time.DONE: _DID}


def keys(text: str) -> str:
    """The keys of a fact, each once, one space apart."""
    found: dict[str, None] = {}
    for group in _groups(_spoken(text)):
        found.update(dict.fromkeys(group))
    found.update(dict.fromkeys(f"a{answer}" for answer in _told(text, found)))
    if _CHANGES.search(fold(text)):
        found[CHANGE] = None
    found.update(dict.fromkeys(f"g{gram}" for gram in trigrams(text)))
    return " ".join(list(found)[:_MOST_KEYS])


def question(text: str) -> Question:
    """What a query asks for."""
    folded = fold(text)
    book = lexicon()
    spoken = " ".join(book.spelled_out(words(folded)))
    wanted: list[Mapping[str, float]] = list(_groups(spoken.split()))
    wanted += [{f"a{answer}": ANSWER_WEIGHT} for answer, asks in _ASKS.items() if asks.search(spoken)]
    return Question(tuple(wanted), frozenset(trigrams(text)), _time(spoken))


def _time(spoken: str) -> Time:
    found = (time for time, told in _TIMES.items() if told.search(spoken))
    return next(found, Time.ANY)


def trigrams(text: str) -> frozenset[str]:
    """The trigrams of the words that say what a text is about."""
    told = [word for word in _spoken(text) if len(word) >= _LEAST_GRAMS and word not in lexicon().stop]
    return frozenset(gram for word in told for gram in grams(word))


def stems(text: str) -> list[str]:
    """The stems of the words that say what a text is about, in order."""
    return [stem(word) for word in _spoken(text) if word not in lexicon().stop]


def names(text: str) -> frozenset[str]:
    """What is written like a name (a capital inside a sentence), folded."""
    return frozenset(fold(found) for found in _NAME.findall(text))


def numbers(text: str) -> frozenset[str]:
    """The numbers in a text, amounts in one form."""
    return frozenset(word for word in words(fold(text)) if any(letter.isdigit() for letter in word))


def denials(text: str) -> frozenset[str]:
    """The words with which a text denies something."""
    return lexicon().no.intersection(words(fold(text)))


def alike(one: str, other: str) -> bool:
    """Whether two texts have the same numbers, the same names and the same denials: what a likeness may hide."""
    return numbers(one) == numbers(other) and names(one) == names(other) and denials(one) == denials(other)


def _spoken(text: str) -> list[str]:
    return lexicon().spelled_out(words(fold(text)))


def _groups(spoken: Sequence[str]) -> Iterator[dict[str, float]]:
    """One group for each word that says something, and one for each phrase that stands for more than its words."""
    book = lexicon()
    senses: dict[tuple[int, int], frozenset[str]] = {(start, end): found for start, end, found in book.senses(spoken)}
    for at, word in enumerate(spoken):
        group: dict[str, float] = {}
        if word not in lexicon().stop:
            group[f"s{stem(word)}"] = STEM_WEIGHT
        _add_senses(group, senses.pop((at, at + 1), frozenset()), book)
        if group:
            yield {key: weight * _LIGHT for key, weight in group.items()} if word in book.light else group
    for found in senses.values():
        group = {}
        _add_senses(group, found, book)
        yield group


def _add_senses(group: dict[str, float], concepts: frozenset[str], book: Lexicon) -> None:
    for concept in sorted(concepts):
        group[_key("c", concept)] = CONCEPT_WEIGHT
        for domain in sorted(book.domains.get(concept, ())):
            group.setdefault(_key("d", domain), DOMAIN_WEIGHT)


def _key(kind: str, name: str) -> str:
    return kind + name.replace("_", "")


def _told(text: str, found: Mapping[str, None]) -> Iterator[Answers]:
    folded = fold(text)
    yield from (answer for answer, tells in _TELLS.items() if tells.search(folded))
    if _TOLD_PLACE.search(text) or any(_key("c", concept) in found for concept in _PLACES):
        yield Answers.PLACE
    if _NAME.search(text):
        yield Answers.PERSON
