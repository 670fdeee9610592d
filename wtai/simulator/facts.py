"""What the scripted model finds worth keeping in a transcript: facts, by a few patterns, and a summary."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

_ENDS: Final = r"(?=[.,;!?\n]|\s+(?:e|mas|que)\s|$)"
_ABOUT: Final = (
    (r"(?:meu nome é|me chamo) (?P<a>\w+)", "fact", "O nome da pessoa é {a}.", ("user", "name")),
    (r"meu (?P<b>\w+) (?:se chama|chama-se) (?P<a>[\w ]+?)", "relation", "O {b} se chama {a}.", ("{b}", "name")),
    (r"minha (?P<b>\w+) (?:se chama|chama-se) (?P<a>[\w ]+?)", "relation", "A {b} se chama {a}.", ("{b}", "name")),
    (r"moro (?:em|no|na) (?P<a>[\w ]+?)", "fact", "A pessoa mora em {a}.", ("user", "address")),
    (r"trabalho (?:como|com|em|no|na) (?P<a>[\w ]+?)", "fact", "A pessoa trabalha com {a}.", ("user", "work")),
    (r"sou al[ée]rgic[oa] a (?P<a>[\w ]+?)", "fact", "A pessoa é alérgica a {a}.", None),
    (r"n[ãa]o (?:como|gosto de) (?P<a>[\w ]+?)", "preference", "A pessoa não gosta de {a}.", None),
    (r"(?<!não )(?:gosto de|adoro|prefiro|amo) (?P<a>[\w ]+?)", "preference", "A pessoa gosta de {a}.", None),
)
_FORMS: Final = tuple((re.compile(rf"\b{form}{_ENDS}", re.IGNORECASE), *rest) for form, *rest in _ABOUT)
_NOT_THEIRS: Final = re.compile(r"\b(?:CONTEXT|AGENT|STAFF):")
_THEIRS: Final = re.compile(r"USER: (.*)")
_LONGEST: Final = 400


@dataclass(frozen=True, slots=True)
class Fact:
    """One fact; ``line`` is where it was found. ``entity`` and ``attribute`` name what it is about, or are both None."""

    text: str
    kind: str
    entity: str | None
    attribute: str | None
    line: str


def facts(lines: Sequence[str]) -> Iterator[Fact]:
    """The facts in lines of text, in order. In a transcript the lines of others hold none."""
    for line in lines:
        if _NOT_THEIRS.search(line):
            continue
        for pattern, kind, text, about in _FORMS:
            for found in pattern.finditer(line):
                names = {name: value.strip() for name, value in found.groupdict().items()}
                entity, attribute = (part.format(**names).lower() for part in about) if about else (None, None)
                yield Fact(text.format(**names), kind, entity, attribute, line)


def summary(lines: Sequence[str]) -> str | None:
    """What the person said, in short, if the lines are a transcript."""
    theirs = [found[1] for line in lines if (found := _THEIRS.match(line))]
    return f"A pessoa disse: {'; '.join(theirs)}"[:_LONGEST] if theirs else None
