"""What the scripted model remembers: by tools, from what a client says it knows, and from the same conversation."""

import re
from collections.abc import Callable, Mapping
from typing import Final

from pydantic import JsonValue

from wtai.simulator.embeddings import fold
from wtai.simulator.heard import Heard, closest
from wtai.simulator.plan import Intent, Plan, Want, about, day_month, items_at, text_at

_NAME: Final = re.compile(r"(?:me chamo|meu nome [ée]|my name is|me llamo)\s+(\w+)", re.IGNORECASE)
_OF_ONESELF: Final = re.compile(r"\b(?:eu|meus?|minhas?|sou|moro|tenho|trabalho|gosto|adoro|prefiro)\b")
_ORDER: Final = re.compile(r"\b(?:apag|exclu|esque|cancel|me lembr|ignor|quer|mostr|manda)\w*")
_SUBJECT: Final = re.compile(r".*\b(?:sobre|que)\s+(?:(?:a|o|as|os|minhas?|meus?)\s+)?", re.IGNORECASE)
_DATED: Final = re.compile(r"(\d{4}-\d{2}-\d{2}): (.+)")
_NOTHING: Final = "Ainda não sei isso sobre você."


def _remember(heard: Heard) -> Plan:
    yield Want("remember", {"text": heard.request}, otherwise="Isso não posso guardar.")
    return f"Guardei: {heard.request}."


def _recall(heard: Heard) -> Plan:
    known = _known(heard)
    if known is not None:
        return known
    found = items_at((yield Want("recall", {"query": heard.text}, otherwise=_NOTHING)), "memories")
    if not found:
        return _NOTHING
    memory = found[closest(heard.text, [text_at(memory, "text") for memory in found]) or 0]
    return _told(text_at(memory, "text"), text_at(memory, "told_on"))


def _known(heard: Heard) -> str | None:
    """An answer from what was said in the same conversation, or from what the client says it knows."""
    names = [found.group(1) for text in heard.earlier if (found := _NAME.search(text))]
    if names and re.search(r"meu nome|me chamo", heard.folded):
        return f"Seu nome é {names[-1]}."
    texts = [*filter(_tells_of_oneself, heard.earlier), *(line for line in heard.known if "(no longer)" not in line)]
    place = closest(heard.text, texts)
    if place is None:
        return None
    dated = _DATED.fullmatch(texts[place])
    return _told(dated[2], dated[1]) if dated else _told(texts[place])


def _tells_of_oneself(text: str) -> bool:
    folded = fold(text)
    return not text.rstrip().endswith("?") and bool(_OF_ONESELF.search(folded)) and not _ORDER.search(folded)


def _told(text: str, day: str = "") -> str:
    return f"Você me contou{f' em {day_month(day)}' if day else ''}: “{text}”."


def _forget(heard: Heard) -> Plan:
    subject = _SUBJECT.sub("", heard.request) or heard.request
    found = items_at((yield Want("recall", {"query": subject})), "memories")
    meant = [memory for memory in found if closest(subject, [text_at(memory, "text")]) is not None]
    for memory in meant:
        yield Want("forget", {"memory": text_at(memory, "memory")})
    return _forgotten(None) if meant else "Não há nada sobre isso na minha memória."


def _forget_everything(_: Heard) -> Plan:
    return _forgotten((yield Want("forget_everything", otherwise="Não há nada na minha memória.")))


def _forgotten(_: JsonValue) -> str:
    return "Esqueci."


def _introduced(heard: Heard) -> str:
    found = _NAME.search(heard.text)
    return f"Prazer, {found.group(1)}!" if found else "Prazer!"


MEMORY: Final = (
    Intent("apresentação", about(r"me chamo \w+|meu nome e \w+|my name is|me llamo"), _introduced, social=True),
    Intent(
        "esquecimento",
        about(r"esquec[ae]r? tudo|apag\w+ tudo (?:o )?que (?:voce |vc )?(?:sabe|lembra|guardou)"),
        lambda _: "Por aqui ainda não guardo nada sobre você.",
        _forget_everything,
    ),
    Intent(
        "esquecimento",
        about(r"(?<!nao )(?:esquec[ae]r?|apag\w+) (?:o |a )?(?:que|sobre|isso|meu|minha)"),
        lambda _: "Por aqui ainda não guardo nada sobre você.",
        _forget,
    ),
    Intent(
        "memória",
        about(r"(?:lembr[ae](?: se)?|anot[ae]|guard[ae]|nao esque\w+) que"),
        lambda heard: f"Entendi: {heard.request}. Vou levar em conta nesta conversa.",
        _remember,
    ),
    Intent(
        "lembrança",
        about(
            r"(?:se )?lembra (?:d[oa]|sobre|qual|quando|onde|como|o que)|o que (?:voce|vc) (?:sabe|lembra)"
            r"|como (?:eu me|se) chama?o?|qual (?:e |era )?o nome d[aeo]"
            r"|qual (?:e |era )?(?:o |a )?(?:meu|minha) (?!saldo|extrato|conta)\w+"
        ),
        lambda heard: _known(heard) or _NOTHING,
        _recall,
    ),
)

MEMORY_TOLD: Final[Mapping[str, Callable[[JsonValue], str]]] = {"forget_everything": _forgotten}
"""What is said of a result that came without having been asked for: of what the person confirmed."""
