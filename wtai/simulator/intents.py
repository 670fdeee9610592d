"""The topics the scripted model understands, in the order in which they are looked for.

Patterns are matched against text in lower case without accents or punctuation (see ``fold``), amounts and names against the
text as written.
"""

import re
from collections.abc import Callable, Mapping
from typing import Final

from pydantic import JsonValue

from wtai.simulator.heard import Heard
from wtai.simulator.memory_topics import MEMORY, MEMORY_TOLD
from wtai.simulator.money_topics import MONEY, MONEY_TOLD
from wtai.simulator.people_topics import PEOPLE, PEOPLE_TOLD
from wtai.simulator.plan import Intent, Plan, Want, about, plain, text_at

GREETING: Final = "saudação"

_LONG: Final = "Era uma vez uma pequena loja no centro da cidade, onde cada cliente era recebido pelo nome e com um café quente. "


def _time(_: Heard) -> Plan:
    now = yield Want("current_time")
    day = re.search(r"(\d{4})-(\d{2})-(\d{2})", text_at(now, "date"))
    hour, weekday = text_at(now, "time"), text_at(now, "weekday")
    if not day or not hour:
        return f"Agora: {plain(now)}."
    return f"Agora são {hour} de {f'{weekday}, ' if weekday else ''}{day.group(3)}/{day.group(2)}/{day.group(1)}."


def _person(heard: Heard) -> Plan:
    yield Want("call_person", {"reason": heard.text[:200]})
    return "Certo, um atendente vai continuar a conversa com você."


_GENERAL: Final = (
    Intent(GREETING, about(r"oi+|ola|bom dia|boa tarde|boa noite|hello|hi|hola|e ai|opa"), lambda _: "Olá!", social=True),
    Intent(
        "hora",
        about(r"que horas sao|que horas tem|que dia e hoje|que dia da semana|qual e? ?a data|data de hoje|hora certa|what time"),
        lambda _: "Não tenho um relógio por aqui, então não sei a hora nem o dia de hoje.",
        _time,
    ),
    Intent(
        "horário de atendimento",
        about(
            r"horario de (?:funcionamento|atendimento)|que horas \w* ?(?:abre|abrem|fecha|fecham)"
            r"|(?:abrem|fecham) (?:a )?que horas|estao abertos"
        ),
        lambda _: "Nosso horário de atendimento é de segunda a sexta, das 9h às 18h.",
    ),
    Intent(
        "atendente",
        about(r"atendente|atendimento humano|falar com (?:um |uma )?(?:humano|pessoa|alguem)|pessoa de verdade"),
        lambda _: "No momento não consigo chamar um atendente por aqui, mas sigo à disposição.",
        _person,
    ),
)

_CLOSING: Final = (
    Intent("texto longo", about(r"historia|texto longo|conte tudo"), lambda _: (_LONG * 20).strip()),
    Intent("agradecimento", about(r"obrigad[oa]|valeu|brigad[oa]|thanks|gracias"), lambda _: "De nada!", social=True),
    Intent("despedida", about(r"tchau|ate logo|ate mais|era so isso|bye"), lambda _: "Até logo!", social=True),
)

_INTENTS: Final = (*_GENERAL, *PEOPLE, *MONEY, *MEMORY, *_CLOSING)

TOLD: Final[Mapping[str, Callable[[JsonValue], str]]] = {**MONEY_TOLD, **PEOPLE_TOLD, **MEMORY_TOLD}
"""By tool: what is said of a result that came without having been asked for."""


def topics(heard: Heard) -> list[Intent]:
    """What a message is about: every courtesy in it, and the first matter."""
    found = [intent for intent in _INTENTS if intent.pattern.search(heard.folded)]
    matter = next((intent for intent in found if not intent.social), None)
    return [intent for intent in found if intent.social or intent is matter]
