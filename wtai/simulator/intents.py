"""The topics the scripted model understands, what it says about each, and the tool it would rather ask.

Patterns are matched against text in lower case without accents or punctuation (see ``fold``), amounts and names against the
text as written.
"""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from wtai.simulator.embeddings import fold

Values = dict[str, JsonValue]

_NUMBER = r"(\d{1,3}(?:\.\d{3})+(?:,\d{1,2})?|\d+(?:[.,]\d{1,2})?)"
# A number that is marked as money goes before a bare one: "3 camisetas por 120 reais".
_AMOUNTS = tuple(re.compile(pattern) for pattern in (rf"R\$\s*{_NUMBER}", rf"{_NUMBER}\s*reais", _NUMBER))
_THING = re.compile(
    r"\d\s*(?:reais|conto|pila)?\s*(?:no|na|nos|nas|em|com|de|do|da|pra|para)\s+(.+?)(?:[,.;!?\n]|\se\s|$)", re.IGNORECASE
)
_NAME = re.compile(r"(?:me chamo|meu nome [ée]|my name is|me llamo)\s+(\w+)", re.IGNORECASE)
_ASKED = re.compile(
    r".*?(?:lembr\w+-?(?:se)?\s+(?:de\s+|que\s+)?|(?:anot|guard)\w+\s+(?:que\s+)?|n[ãa]o esque[çc]\w+\s+(?:de\s+|que\s+)?)",
    re.IGNORECASE,
)
_CATEGORIES = {
    "alimentação": "almoco jantar lanche mercado restaurante padaria cafe comida ifood pizza",
    "transporte": "uber onibus gasolina taxi metro combustivel passagem estacionamento",
    "moradia": "aluguel luz agua internet condominio energia gas",
    "saúde": "farmacia remedio medico dentista consulta exame",
}
_LONG = "Era uma vez uma pequena loja no centro da cidade, onde cada cliente era recebido pelo nome e com um café quente. "
_STOP_WORDS = frozenset(
    {
        "qual",
        "quais",
        "quando",
        "onde",
        "como",
        "quem",
        "voce",
        "lembra",
        "sabe",
        "sobre",
        "minha",
        "meus",
        "minhas",
        "para",
        "esse",
        "essa",
        "isso",
    }
)


@dataclass(frozen=True, slots=True)
class Heard:
    """One message of the user, with what they wrote before it."""

    text: str
    earlier: Sequence[str]

    @property
    def amount(self) -> float:
        """The first amount in the text, Brazilian notation; 0 without one."""
        number = next((found.group(1) for pattern in _AMOUNTS if (found := pattern.search(self.text))), "0")
        return float(number.replace(".", "").replace(",", ".") if "," in number or re.search(r"\.\d{3}", number) else number)

    @property
    def thing(self) -> str:
        """What the money was for."""
        found = _THING.search(self.text)
        return found.group(1).strip() if found else ""

    @property
    def request(self) -> str:
        """What is to be remembered, without the asking."""
        return _ASKED.sub("", self.text, count=1).strip(" .!") or self.text


@dataclass(frozen=True, slots=True)
class Intent:
    """A topic. ``offline`` is said without a tool, ``online`` with a tool's result; ``label`` when the tool failed."""

    label: str
    pattern: re.Pattern[str]
    offline: Callable[[Heard], str]
    tools: tuple[str, ...] = ()
    values: Callable[[Heard], Values] = lambda heard: {"query": heard.text, "text": heard.request}
    online: Callable[[Heard, str], str] = lambda _, result: plain(result)
    family: str = "general"
    social: bool = False


def money(amount: float) -> str:
    """``1250.3`` → ``R$ 1.250,30``."""
    return "R$ " + f"{amount:,.2f}".translate(str.maketrans(",.", ".,"))


def plain(result: str) -> str:
    """A tool's result as a person would read it."""
    try:
        value = json.loads(result)
    except ValueError:
        return result
    match value:
        case dict():
            return ", ".join(f"{name}: {item}" for name, item in value.items())
        case list():
            return "; ".join(plain(json.dumps(item, ensure_ascii=False)) for item in value) or "nada"
        case _:
            return str(value)


def _entry(heard: Heard) -> Values:
    words = set(fold(heard.text).split())
    category = next((name for name, known in _CATEGORIES.items() if words & set(known.split())), "outros")
    kind = "income" if _INCOME.search(fold(heard.text)) else "expense"
    return {"amount": heard.amount, "description": heard.thing or heard.text, "category": category, "kind": kind, "type": kind}


def _spent(heard: Heard) -> str:
    return money(heard.amount) + (f" ({heard.thing})" if heard.thing else "")


def _time(_: Heard, result: str) -> str:
    day, hour = re.search(r"(\d{4})-(\d{2})-(\d{2})", result), re.search(r"\b(\d{2}:\d{2})", result)
    weekday = re.search(r"(segunda|ter[çc]a|quarta|quinta|sexta)-feira|s[áa]bado|domingo", result)
    if not day or not hour:
        return f"Agora: {plain(result)}."
    named = f"{weekday.group()}, " if weekday else ""
    return f"Agora são {hour.group(1)} de {named}{day.group(3)}/{day.group(2)}/{day.group(1)}."


def _recall(heard: Heard) -> str:
    """Answer from what was said earlier in the same conversation: the name, or the message with most words in common."""
    names = [found.group(1) for text in heard.earlier if (found := _NAME.search(text))]
    if names and re.search(r"\b(nome|chamo)\b", fold(heard.text)):
        return f"Seu nome é {names[-1]}."
    asked = _content_words(heard.text)
    shared = [(len(asked & _content_words(text)), at) for at, text in enumerate(heard.earlier) if not text.rstrip().endswith("?")]
    count, at = max(shared, default=(0, 0))
    return f"Você me contou: “{heard.earlier[at]}”." if count else "Ainda não sei isso sobre você."


def _content_words(text: str) -> set[str]:
    return {word for word in fold(text).split() if len(word) > 3 and word not in _STOP_WORDS}


def _introduced(heard: Heard) -> str:
    found = _NAME.search(heard.text)
    return f"Prazer, {found.group(1)}!" if found else "Prazer!"


def _about(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{pattern})\b")


_INCOME = _about(r"recebi|ganhei|entrou")

INTENTS: tuple[Intent, ...] = (
    Intent("saudação", _about(r"oi+|ola|bom dia|boa tarde|boa noite|hello|hi|hola|e ai|opa"), lambda _: "Olá!", social=True),
    Intent("apresentação", _about(r"me chamo \w+|meu nome e \w+|my name is|me llamo"), _introduced, social=True),
    Intent(
        "hora",
        _about(r"que horas sao|que horas tem|que dia e hoje|que dia da semana|qual e? ?a data|data de hoje|hora certa|what time"),
        lambda _: "Não tenho um relógio por aqui, então não sei a hora nem o dia de hoje.",
        tools=("current_time", "get_current_time"),
        values=lambda _: {},
        online=_time,
    ),
    Intent(
        "horário de atendimento",
        _about(
            r"horario de (?:funcionamento|atendimento)|que horas \w* ?(?:abre|abrem|fecha|fecham)"
            r"|(?:abrem|fecham) (?:a )?que horas|estao abertos"
        ),
        lambda _: "Nosso horário de atendimento é de segunda a sexta, das 9h às 18h.",
    ),
    Intent(
        "extrato",
        _about(r"quanto (?:eu )?(?:ja )?gastei|extrato|meus gastos|minhas despesas|gastos do mes"),
        lambda _: "Ainda não tenho seus gastos por aqui para montar o extrato.",
        tools=("get_statement", "statement", "list_expenses", "list_entries"),
        online=lambda _, result: f"Seu extrato: {plain(result)}.",
        family="finance",
    ),
    Intent(
        "receita",
        _about(r"(?:recebi|ganhei|entrou)\b.*\d+.*"),
        lambda heard: f"Entendi, uma receita de {_spent(heard)}. Por aqui ainda não consigo lançar.",
        tools=("record_income", "add_income", "record_entry", "add_entry", "record_transaction", "add_transaction"),
        values=_entry,
        online=lambda heard, _: f"Registrei a receita de {_spent(heard)}.",
        family="finance",
    ),
    Intent(
        "gasto",
        _about(r"(?:gastei|paguei|comprei|lanca|lance)\b.*\d+.*"),
        lambda heard: f"Entendi, um gasto de {_spent(heard)}. Por aqui ainda não consigo lançar.",
        tools=("record_expense", "add_expense", "record_entry", "add_entry", "record_transaction", "add_transaction"),
        values=_entry,
        online=lambda heard, _: f"Registrei o gasto de {_spent(heard)}.",
        family="finance",
    ),
    Intent(
        "saldo",
        _about(r"saldo|quanto (?:eu )?tenho"),
        lambda _: "Ainda não tenho acesso ao seu saldo por aqui.",
        tools=("get_balance", "balance"),
        values=lambda _: {},
        online=lambda _, result: f"Seu saldo: {plain(result)}.",
        family="finance",
    ),
    Intent(
        "aniversário",
        _about(r"aniversario|faz anos"),
        lambda heard: f"Entendi, é sobre um aniversário: “{heard.text}”. Por aqui ainda não consigo anotar datas.",
        tools=("save_birthday", "record_birthday", "upcoming_birthdays", "list_birthdays", "save_person", "add_person"),
        online=lambda _, result: f"Sobre o aniversário: {plain(result)}.",
        family="relationship",
    ),
    Intent(
        "lembrete",
        _about(r"lembrete|me lembr[ae]r? de|me avis[ae]|me lembr[ae] (?:amanha|hoje|as)"),
        lambda heard: f"Você quer um lembrete: “{heard.request}”. Por aqui ainda não consigo agendar.",
        tools=("create_reminder", "add_reminder", "set_reminder"),
        online=lambda heard, _: f"Lembrete criado: “{heard.request}”.",
        family="relationship",
    ),
    Intent(
        "memória",
        _about(r"(?:lembr[ae](?: se)?|anot[ae]|guard[ae]|nao esque\w+) que"),
        lambda heard: f"Entendi: {heard.request}. Vou levar em conta nesta conversa.",
        tools=("remember", "save_memory"),
        online=lambda heard, _: f"Guardei: {heard.request}.",
    ),
    Intent(
        "lembrança",
        _about(
            r"(?:se )?lembra (?:d[oa]|sobre|qual|quando|onde|como|o que)|o que (?:voce|vc) sabe|como (?:eu me|se) chama?o?"
            r"|qual (?:e |era )?(?:o |a )?(?:meu|minha) (?!saldo|extrato|conta)\w+"
        ),
        _recall,
        tools=("recall", "search_memory", "search_memories"),
        online=lambda _, result: f"Eu me lembro: {plain(result)}.",
    ),
    Intent(
        "atendente",
        _about(r"atendente|atendimento humano|falar com (?:um |uma )?(?:humano|pessoa|alguem)|pessoa de verdade"),
        lambda _: "No momento não consigo chamar um atendente por aqui, mas sigo à disposição.",
        tools=("handoff", "request_human", "transfer_to_human", "human_handoff", "talk_to_human"),
        values=lambda heard: {"reason": heard.text, "summary": heard.text},
        online=lambda *_: "Certo, um atendente vai continuar a conversa com você.",
    ),
    Intent("texto longo", _about(r"historia|texto longo|conte tudo"), lambda _: (_LONG * 20).strip()),
    Intent("agradecimento", _about(r"obrigad[oa]|valeu|brigad[oa]|thanks|gracias"), lambda _: "De nada!", social=True),
    Intent("despedida", _about(r"tchau|ate logo|ate mais|era so isso|bye"), lambda _: "Até logo!", social=True),
)
