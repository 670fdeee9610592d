"""What the scripted model does about people and reminders, in the words of the tools' results."""

import re
from collections.abc import Callable, Mapping
from typing import Final

from pydantic import JsonValue

from wtai.simulator.embeddings import fold
from wtai.simulator.heard import Heard, closest
from wtai.simulator.plan import Intent, Plan, Values, Want, about, at, day_month, items_at, text_at

_MONTHS: Final = (
    "janeiro", "fevereiro", "marco", "abril", "maio", "junho", "julho", "agosto", "setembro", "outubro", "novembro", "dezembro",
)  # fmt: skip
_HER: Final = frozenset(("mae", "irma", "avo", "filha", "esposa", "namorada", "tia", "prima", "sogra", "vizinha", "amiga"))
_HIS: Final = frozenset(("pai", "irmao", "marido", "filho", "namorado", "tio", "primo", "sogro", "vizinho", "amigo", "chefe"))
_WHOSE: Final = re.compile(
    r"anivers[áa]rio\s+d[aoe]s?\s+(?:(?:minha|meu|nossa|nosso)\s+)?(.+?)(?:\s+(?:é|cai|será|fica|foi|no|em|dia)\b|[?.!,:]|$)"
    r"|(?:(?:minha|meu|nossa|nosso|a|o)\s+)?(\w+)\s+faz\s+anos",
    re.IGNORECASE,
)
_BIRTHDAY: Final = re.compile(rf"(\d{{1,2}}) (?:de )?({'|'.join(_MONTHS)}|\d{{1,2}})(?: (?:de )?(\d{{4}}))?(?!\d)")
_CONTACT: Final = re.compile(r"(?:pessoa|contato)\s+(?:d[aoe]\s+)?(.+?)(?:[?.!,]|$)", re.IGNORECASE)
_NOTE: Final = re.compile(r"anot\w+\s+sobre\s+(?:a\s+|o\s+)?(\w+)\s*[:,]\s*(.+)", re.IGNORECASE)
_WHO: Final = "De quem é o aniversário?"
_UNKNOWN: Final = "Essa pessoa não está entre as suas."


def _birthday(heard: Heard) -> Plan:
    found = _WHOSE.search(heard.text)
    date = _BIRTHDAY.search(heard.folded)
    if found is None:
        return _coming((yield Want("upcoming_birthdays", {"days": 366 if "ano" in heard.folded.split() else 30})))
    name = (found[1] or found[2]).strip()
    if date is None:
        return _when((yield Want("get_person", {"name": name}, otherwise=_UNKNOWN)), name)
    month = date[2] if date[2].isdigit() else str(_MONTHS.index(date[2]) + 1)
    values: Values = {"name": name, "birthday": f"{date[3] or '-'}-{int(month):02}-{int(date[1]):02}"}
    if fold(name) in _HER | _HIS:
        values["relation"] = name
    saved = yield Want("save_person", values, otherwise="Essa data não existe no calendário.")
    return f"Anotei: aniversário {_of(name)} em {day_month(text_at(saved, 'person', 'birthday', 'next'))}."


def _when(told: JsonValue, name: str) -> str:
    day = text_at(told, "person", "birthday", "next")
    known = [text_at(note, "text") for note in items_at(told, "notes")]
    notes = f" Nota: {'; '.join(known)}." if known else ""
    return f"O aniversário {_of(name)} é em {day_month(day)}.{notes}" if day else f"Não sei o aniversário {_of(name)}.{notes}"


def _coming(listed: JsonValue) -> str:
    people = [
        f"- {day_month(text_at(person, 'birthday', 'next'))} {text_at(person, 'name')}" for person in items_at(listed, "people")
    ]
    return "\n".join(["Próximos aniversários:", *people]) if people else "Nenhum aniversário à vista."


def _note(heard: Heard) -> Plan:
    found = _NOTE.search(heard.text)
    if found is None:
        return "O que devo anotar, e sobre quem?"
    yield Want("save_person", {"name": found[1]})
    noted = yield Want("add_note", {"name": found[1], "text": found[2].strip(" .!")})
    return f"Anotei sobre {text_at(noted, 'name')}: {text_at(noted, 'noted', 'text')}."


def _forget(heard: Heard) -> Plan:
    found = _CONTACT.search(heard.text)
    if found is None:
        return "Quem devo apagar?"
    return _forgotten((yield Want("forget_person", {"name": found[1].strip()}, otherwise=_UNKNOWN)))


def _forgotten(result: JsonValue) -> str:
    return f"Apaguei {text_at(result, 'forgotten')} e tudo sobre essa pessoa."


def _remind(heard: Heard) -> Plan:
    if heard.when is None:
        return "Para quando é o lembrete?"
    values: Values = {"text": heard.errand, "when": heard.when}
    if heard.often is not None:
        values["repeats"] = heard.often
    reminder = yield Want("create_reminder", values, otherwise="Não entendi para quando é o lembrete.")
    return f"Lembrete criado para {text_at(reminder, 'spoken')}: {text_at(reminder, 'text')}."


def _reminders(_: Heard) -> Plan:
    listed = yield Want("list_reminders")
    lines = [f"- {text_at(one, 'spoken')}: {text_at(one, 'text')}" for one in items_at(listed, "reminders")]
    return "\n".join(["Seus lembretes:", *lines]) if lines else "Você não tem lembretes."


def _cancel(heard: Heard) -> Plan:
    listed = items_at((yield Want("list_reminders")), "reminders")
    place = closest(heard.text, [text_at(one, "text") for one in listed])
    if place is None:
        return "Não achei esse lembrete."
    canceled = yield Want("cancel_reminder", {"reminder": text_at(listed[place], "reminder")})
    return f"Cancelei o lembrete: {text_at(at(canceled, 'canceled'), 'text')}."


def _of(name: str) -> str:
    folded = fold(name)
    return f"da sua {name}" if folded in _HER else f"do seu {name}" if folded in _HIS else f"de {name}"


PEOPLE: Final = (
    Intent(
        "lembretes",
        re.compile(r"\b(?:cancel|desmarc|apag|remov)\w+\b.*\blembrete"),
        lambda _: "Por aqui ainda não consigo mexer em lembretes.",
        _cancel,
        family="relationship",
    ),
    Intent(
        "lembretes",
        about(r"(?:quais|liste?|lista|mostra|ver|meus|todos os) (?:(?:sao|os|meus|de|todos) )*lembretes"),
        lambda _: "Por aqui ainda não consigo ver lembretes.",
        _reminders,
        family="relationship",
    ),
    Intent(
        "lembrete",
        about(r"lembrete|me lembr[ae]r? de|me avis[ae]|me lembr[ae] (?:amanha|hoje|as|daqui)"),
        lambda heard: f"Você quer um lembrete: “{heard.request}”. Por aqui ainda não consigo agendar.",
        _remind,
        family="relationship",
    ),
    Intent(
        "aniversário",
        about(r"aniversarios?|faz anos"),
        lambda heard: f"Entendi, é sobre um aniversário: “{heard.text}”. Por aqui ainda não consigo anotar datas.",
        _birthday,
        family="relationship",
    ),
    Intent(
        "nota",
        about(r"anot\w+ sobre"),
        lambda heard: f"Entendi: {heard.text}. Por aqui ainda não consigo anotar.",
        _note,
        family="relationship",
    ),
    Intent(
        "pessoa",
        re.compile(r"\b(?:apag|exclu|remov|esque)\w+\b.*\b(?:pessoa|contato)\b"),
        lambda _: "Por aqui ainda não consigo mexer nas suas pessoas.",
        _forget,
        family="relationship",
    ),
)

PEOPLE_TOLD: Final[Mapping[str, Callable[[JsonValue], str]]] = {"forget_person": _forgotten}
"""What is said of a result that came without having been asked for: of what the person confirmed."""
