"""What a person may ask for in words that need no model: a human being, or no more messages. Pure."""

import re
import unicodedata
from itertools import filterfalse
from typing import Final

_STOP: Final = frozenset(
    {"stop", "stopall", "unsubscribe", "optout", "revoke", "quit", "parar", "pare", "sair", "descadastrar", "salir", "baja"}
)
_START: Final = frozenset({"start", "unstop", "comecar", "voltar", "iniciar", "empezar", "volver"})

_ARTICLE: Final = r"(?:(?:um|uma|o|a|os|as|algum|alguma|outro|outra|un|una|el|la|algun|otro|otra|an|the|some|another) )?"
_PERSON: Final = (
    r"(?:atendentes?|humanos?|ser humano|pessoa|operador(?:a)?|agente|alguem|alguien|someone|somebody|asesor(?:a)?|persona|"
    r"(?:real |live |human )?(?:human|person|agent|representative|operator))\b"
)
_WISHES: Final = tuple(
    re.compile(rf"\b{verb} {_ARTICLE}{_PERSON}")
    for verb in (
        r"(?:falar?|falo|fale|conversar|hablar|hablo|talk|speak|chat)(?: \w+){0,2}? (?:com|con|to|with)",
        r"me (?:passar?|passe|transfer(?:e|ir)|transfira|conectar?|conecte|encaminhar?|encaminhe)(?: (?:pra|para|pro|ao|a|com))?",
        r"(?:pasame|pasarme|transfiereme|transferirme|comunicame|comunicarme|conectame)(?: (?:con|a))?",
        r"(?:connect|transfer|get|pass|put) me(?: (?:through|over))?(?: (?:to|with))?",
        r"(?<!se )(?<!como )(?:chamar?|chame|llamar?|llame)(?: a)?",
    )
)
_PERSON_ALONE: Final = re.compile(
    r"(?:(?:quero|preciso(?: de)?|cade|tem|quiero|necesito|i want|i need) )?(?:(?:um|uma|o|a|un|una|an|the) )?"
    r"(?:atendente|atendimento humano|humano|operador|asesor|human|agent|representative)(?: (?:por favor|pfv?|please))?"
)
_NEGATION: Final = re.compile(r"\b(?:nao|nunca|nem|sem|no|not|never|don t|dont|without|sin)\b")
_WORD: Final = re.compile(r"\w+")
# Folding takes its time, and cannot make one word of these. Nothing is tried twice: a long text takes no longer than it must.
_TWO_WORDS: Final = re.compile(r"[^A-Za-z0-9]*+[A-Za-z0-9]\S*+\s\W*+[A-Za-z0-9]")
_CLAUSE_END: Final = re.compile(r"[.,;:!?\n]+")


def asks_to_stop(text: str) -> bool:
    """The whole message is an opt-out word."""
    return not _TWO_WORDS.match(text) and _folded(text) in _STOP


def asks_to_start(text: str) -> bool:
    """The whole message takes an opt-out back."""
    return not _TWO_WORDS.match(text) and _folded(text) in _START


def asks_for_person(text: str) -> bool:
    """The message clearly asks for a human being; what is less clear is the model's to judge."""
    return _PERSON_ALONE.fullmatch(_folded(text)) is not None or any(map(_wishes_for_person, _CLAUSE_END.split(text)))


def _wishes_for_person(clause: str) -> bool:
    folded = _folded(clause)
    found = (wish.search(folded) for wish in _WISHES)
    return any(wish is not None and not _NEGATION.search(folded[: wish.start()]) for wish in found)


def _folded(text: str) -> str:
    """Lower case without accents, punctuation as single blanks."""
    plain = text.casefold()
    if not plain.isascii():
        plain = "".join(filterfalse(unicodedata.combining, unicodedata.normalize("NFKD", plain)))
    return " ".join(_WORD.findall(plain))
