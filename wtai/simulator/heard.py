"""What a scripted model reads from one message: amounts, days, periods, moments, and what they belong to, in Portuguese."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from wtai.simulator.embeddings import fold

_SPOKEN: Final = re.compile(r"\[(?:áudio transcrito|audio transcrito|transcribed audio)\] ")

_NUMBER: Final = r"(\d{1,3}(?:\.\d{3})+(?:,\d{1,2})?|\d+(?:[.,]\d{1,2})?)"
# A number that is marked as money goes before a bare one: "3 camisetas por 120 reais".
_AMOUNTS: Final = tuple(re.compile(pattern) for pattern in (rf"R\$\s*{_NUMBER}", rf"{_NUMBER}\s*reais", _NUMBER))
_NEXT_AMOUNT: Final = re.compile(r"\s+e\s+(?:mais\s+)?(?=(?:R\$\s*)?\d)")
_THING_AFTER: Final = re.compile(
    r"\d\s*(?:reais|conto|pila)?\s*(?:no|na|nos|nas|em|com|de|do|da|pra|para)\s+(.+?)(?:[,.;!?\n]|\se\s|$)", re.IGNORECASE
)
_THING_BEFORE: Final = re.compile(
    r"(?:gastei|paguei|comprei|recebi|ganhei)\s+(?:(?:a|o|as|os|um|uma)\s+)?(\D+?)\s*,?\s*(?:por|de|foi|deu)?\s*(?:R\$\s*)?\d",
    re.IGNORECASE,
)

_WEEKDAY: Final = r"(?:segunda|ter[çc]a|quarta|quinta|sexta|s[áa]bado|domingo)(?:-feira)?"
_MONTH: Final = r"(?:janeiro|fevereiro|mar[çc]o|abril|maio|junho|julho|agosto|setembro|outubro|novembro|dezembro)"
_DATE: Final = rf"\d{{1,2}}(?:/\d{{1,2}}|\s+de\s+{_MONTH})"
_DAY: Final = re.compile(
    rf",?\s*\b(?:n[ao]\s+)?(anteontem|ontem|hoje|{_WEEKDAY}(?:\s+passad[oa])?|dia\s+(?:{_DATE}|\d{{1,2}})|\d{{1,2}}/\d{{1,2}})\b",
    re.IGNORECASE,
)
_CLOCK: Final = (
    r"(?:às|as|pelas)\s+\d{1,2}(?::\d{2}|\s*h\d{0,2}|\s+horas?)?(?:\s+d[ae]\s+(?:manh[ãa]|tarde|noite|madrugada))?|ao meio-dia"
)
_WHEN: Final = re.compile(
    r",?\s*\b((?:daqui\s+a|daqui|dentro\s+de|em)\s+(?:\d+|uma?|meia)\s+(?:segundos?|minutos?|min|horas?|h|dias?|semanas?|m[êe]s(?:es)?)\b"
    rf"|(?:(?:n[ao]\s+)?(?:depois\s+de\s+amanh[ãa]|amanh[ãa]|hoje|{_WEEKDAY}|dia\s+(?:{_DATE}|\d{{1,2}})|{_DATE})\b)(?:,?\s+(?:{_CLOCK}))?"
    rf"|{_CLOCK})",
    re.IGNORECASE,
)
_PERIOD: Final = re.compile(
    rf"\b([úu]ltim[oa]s\s+\d+\s+(?:dias|semanas|meses)|(?:m[êe]s|semana|ano)\s+passad[oa]|(?:d?est[ea]|d?ess[ea]|d[oa]|n[oa])\s+"
    rf"(?:m[êe]s|semana|ano)|hoje|ontem|{_MONTH})\b",
    re.IGNORECASE,
)
_OFTEN: Final = (
    ("daily", re.compile(r",?\s*\btodos?\s+(?:os\s+)?dias?\b", re.IGNORECASE)),
    ("weekly", re.compile(r",?\s*\btodas?\s+(?:as\s+)?semanas?\b", re.IGNORECASE)),
    ("monthly", re.compile(r",?\s*\btodos?\s+(?:os\s+)?m[êe]s(?:es)?\b", re.IGNORECASE)),
    ("yearly", re.compile(r",?\s*\btodos?\s+(?:os\s+)?anos?\b", re.IGNORECASE)),
)
_ASKED: Final = re.compile(
    r".*?(?:lembr\w+-?(?:se)?\s+(?:de\s+|que\s+)?|me\s+avis\w+\s+(?:de\s+|para\s+)?|(?:anot|guard)\w+\s+(?:que\s+)?"
    r"|n[ãa]o\s+esque[çc]\w+\s+(?:de\s+|que\s+)?|esque[çc]\w+\s+(?:de\s+|que\s+|o\s+que\s+|sobre\s+)?)",
    re.IGNORECASE,
)
_STOP_WORDS: Final = frozenset((
    "qual", "quais", "quando", "onde", "como", "quem", "voce", "lembra", "sabe", "sobre", "minha", "meus", "minhas", "para",
    "esse", "essa", "isso", "quero", "favor", "disse", "que", "meu", "das", "dos", "uma", "com", "por", "sim", "nao", "mas",
    "tem", "vai", "foi", "era", "nos", "ele", "ela", "nome", "lembrete", "lancamento",
))  # fmt: skip
_SHORT_WORD: Final = 2


@dataclass(frozen=True)
class Heard:
    """One message of the user, with what they wrote before it and what a client says it knows of them (``known``)."""

    said: str
    earlier: Sequence[str] = ()
    known: Sequence[str] = ()

    @cached_property
    def text(self) -> str:
        """The words, however they came."""
        spoken = _SPOKEN.match(self.said)
        return self.said[spoken.end() :] if spoken else self.said

    @cached_property
    def folded(self) -> str:
        """Lower case, without accents or punctuation."""
        return fold(self.text)

    @cached_property
    def amount(self) -> float:
        """The first amount in the text, Brazilian notation; 0 without one."""
        text = _DAY.sub("", self.text)
        number = next((found.group(1) for pattern in _AMOUNTS if (found := pattern.search(text))), "0")
        return float(number.replace(".", "").replace(",", ".") if "," in number or re.search(r"\.\d{3}", number) else number)

    @property
    def amounts(self) -> list["Heard"]:
        """The message cut where a further amount begins: "20 de uber e 35 de pizza" is two."""
        return [Heard(part, self.earlier, self.known) for part in _NEXT_AMOUNT.split(self.text)]

    @cached_property
    def thing(self) -> str:
        """What the money was for."""
        text = _DAY.sub("", self.text)
        found = _THING_AFTER.search(text) or _THING_BEFORE.search(text)
        return found.group(1).strip() if found else ""

    @cached_property
    def day(self) -> str | None:
        """The day, in the person's word."""
        found = _DAY.search(self.text)
        return found.group(1).lower().removesuffix("-feira") if found else None

    @cached_property
    def period(self) -> str | None:
        """The stretch of days, in the person's words."""
        found = _PERIOD.search(self.text)
        return found.group(1).lower() if found else None

    @cached_property
    def when(self) -> str | None:
        """The moment ahead, in the person's words."""
        found = _WHEN.search(self.text)
        return found.group(1).lower() if found else None

    @cached_property
    def often(self) -> str | None:
        """How often it is to come again, as tools name it."""
        return next((name for name, pattern in _OFTEN if pattern.search(self.text)), None)

    @cached_property
    def request(self) -> str:
        """What is to be remembered or forgotten, without the asking."""
        return _ASKED.sub("", self.text, count=1).strip(" .!?") or self.text

    @cached_property
    def errand(self) -> str:
        """What to remind of, without the asking and the time."""
        text = _WHEN.sub("", self.request)
        for _, pattern in _OFTEN:
            text = pattern.sub("", text)
        return text.strip(" ,.!?:").removeprefix("de ") or self.request


def content_words(text: str) -> set[str]:
    """The words, folded, that tell what a text is about."""
    return {word for word in fold(text).split() if len(word) > _SHORT_WORD and word not in _STOP_WORDS}


def closest(asked: str, texts: Sequence[str]) -> int | None:
    """The place of the text with most words in common, the last of several; None where no word is shared."""
    wanted = content_words(asked)
    shared = [(len(wanted & content_words(text)), at) for at, text in enumerate(texts)]
    count, at = max(shared, default=(0, 0))
    return at if count else None
