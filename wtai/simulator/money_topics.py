"""What the scripted model does with money: books, states, sums up, corrects and deletes, in the words of the tools' results."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from pydantic import JsonValue

from wtai.simulator.heard import Heard, closest
from wtai.simulator.plan import Intent, Plan, Values, Want, about, at, day_month, items_at, text_at

_CATEGORIES: Final = {
    "mercado": "mercado supermercado feira hortifruti",
    "alimentação": "almoco jantar lanche restaurante padaria cafe comida ifood pizza",
    "transporte": "uber onibus gasolina taxi metro combustivel passagem estacionamento",
    "contas": "luz agua internet energia gas telefone celular conta",
    "moradia": "aluguel condominio moradia",
    "saúde": "farmacia remedio medico dentista consulta exame saude",
    "educação": "escola faculdade curso livro educacao",
    "lazer": "cinema viagem bar show lazer",
    "salário": "salario",
    "vendas": "venda vendas cliente",
}
_KINDS: Final = {"expense": "despesa", "income": "receita"}
_NOT_FOUND: Final = "Não achei esse lançamento no seu extrato."


def _category(text: str) -> str | None:
    words = set(text.split())
    return next((name for name, known in _CATEGORIES.items() if words & set(known.split())), None)


def _entry(heard: Heard) -> Values:
    values: Values = {
        "amount": f"{heard.amount:.2f}",
        "category": _category(heard.folded) or "outros",
        "description": heard.thing,
    }
    return values if heard.day is None else {**values, "date": heard.day}


def _parts(heard: Heard) -> Sequence[Heard]:
    return [part for part in heard.amounts if part.amount]


def _book(tool: str) -> Callable[[Heard], Plan]:
    def plan(heard: Heard) -> Plan:
        return _booked((yield Want(tool, _entry(heard))))

    return plan


def _state(heard: Heard) -> Plan:
    category = _category(heard.folded)
    values: Values = {"period": heard.period, "category": category, "kind": "expense" if "gast" in heard.folded else None}
    found = yield Want("list_entries", {name: value for name, value in values.items() if value is not None})
    spent = text_at(found, "totals", "expenses", "text")
    if category is not None:
        return f"Você gastou {spent} com {category}."
    lines = [f"- {day_month(text_at(entry, 'date'))} {_name(entry)}: {_signed(entry)}" for entry in items_at(found, "entries")]
    if not lines:
        return "Não consta nenhum lançamento nesse período."
    return "\n".join(["Seu extrato:", *lines, f"Despesas: {spent}. Receitas: {text_at(found, 'totals', 'income', 'text')}."])


def _balance(_: Heard) -> Plan:
    totals = at((yield Want("get_balance")), "totals")
    income, expenses = text_at(totals, "income", "text"), text_at(totals, "expenses", "text")
    return f"Seu saldo é {text_at(totals, 'balance', 'text')}: receitas de {income}, despesas de {expenses}."


def _sum_up(heard: Heard) -> Plan:
    found = yield Want("monthly_summary", {} if heard.period is None else {"month": heard.period})
    totals = at(found, "totals")
    lines = [f"- {text_at(one, 'category')}: {text_at(one, 'text')}" for one in items_at(found, "categories")]
    head = f"Resumo de {text_at(found, 'month')}: despesas de {text_at(totals, 'expenses', 'text')}, "
    return "\n".join([f"{head}receitas de {text_at(totals, 'income', 'text')}.", *lines])


def _delete(heard: Heard) -> Plan:
    entry = _meant(heard, (yield Want("list_entries", {"period": "tudo"})))
    if entry is None:
        return _NOT_FOUND
    return _deleted((yield Want("delete_entry", {"id": text_at(entry, "id")}, otherwise=_NOT_FOUND)))


def _delete_all(_: Heard) -> Plan:
    return _deleted((yield Want("delete_all_entries", otherwise="Não consta nenhum lançamento seu.")))


def _correct(heard: Heard) -> Plan:
    entry = _meant(heard, (yield Want("list_entries", {"period": "tudo"})))
    if entry is None:
        return _NOT_FOUND
    changed = {"id": text_at(entry, "id"), "amount": f"{heard.amount:.2f}"}
    return _corrected((yield Want("edit_entry", {**changed}, otherwise="Esse já é o valor que consta.")))


def _meant(heard: Heard, listed: JsonValue) -> JsonValue:
    """The entry whose name has words of the message; the newest if that is what was asked for."""
    entries = items_at(listed, "entries")
    if "ultim" in heard.folded and entries:
        return entries[0]
    place = closest(heard.text, [f"{text_at(entry, 'description')} {text_at(entry, 'category')}" for entry in entries])
    return None if place is None else entries[place]


def _booked(result: JsonValue) -> str:
    return f"Registrei: {_told(at(result, 'booked'))}."


def _deleted(result: JsonValue) -> str:
    entry = at(result, "deleted")
    return f"Apaguei: {_told(entry)}." if isinstance(entry, dict) else f"Apaguei todos os lançamentos ({entry})."


def _corrected(result: JsonValue) -> str:
    return f"Corrigi: {_told(at(result, 'after'))}."


def _told(entry: JsonValue) -> str:
    kind = _KINDS.get(text_at(entry, "kind"), "lançamento")
    category, name = text_at(entry, "category"), _name(entry)
    named = name if name == category else f"{name}, {category}"
    return f"{kind} de {text_at(entry, 'text')} ({named}) em {day_month(text_at(entry, 'date'))}"


def _name(entry: JsonValue) -> str:
    return text_at(entry, "description") or text_at(entry, "category")


def _signed(entry: JsonValue) -> str:
    return f"{'+' if at(entry, 'kind') == 'income' else '-'} {text_at(entry, 'text')}"


def _money(heard: Heard) -> str:
    amount = f"{heard.amount:,.2f}".translate(str.maketrans(",.", ".,"))
    return f"R$ {amount}" + (f" ({heard.thing})" if heard.thing else "")


_SPENT: Final = r"gastei|paguei|comprei|lanca|lance"
_GOT: Final = r"recebi|ganhei|entrou"
_ENTRY: Final = r"lancamento|despesa|gasto|receita|registro"

MONEY: Final = (
    Intent(
        "exclusão",
        re.compile(rf"\b(?:apag|exclu|delet|remov)\w+\b.*\b(?:tod[oa]s|tudo)\b.*\b(?:{_ENTRY}|extrato)"),
        lambda _: "Por aqui ainda não consigo mexer nos seus lançamentos.",
        _delete_all,
        family="finance",
    ),
    Intent(
        "exclusão",
        re.compile(rf"\b(?:apag|exclu|delet|remov)\w+\b.*\b(?:{_ENTRY})"),
        lambda _: "Por aqui ainda não consigo mexer nos seus lançamentos.",
        _delete,
        family="finance",
    ),
    Intent(
        "correção",
        re.compile(rf"\bcorrig\w+\b.*\b(?:{_ENTRY})\b.*\d"),
        lambda _: "Por aqui ainda não consigo mexer nos seus lançamentos.",
        _correct,
        family="finance",
    ),
    Intent(
        "resumo",
        about(r"resumo do mes|como foi (?:o |meu )?mes|resumo financeiro"),
        lambda _: "Ainda não tenho seus lançamentos por aqui para um resumo.",
        _sum_up,
        family="finance",
    ),
    Intent(
        "extrato",
        about(r"quanto (?:eu )?(?:ja )?gastei|extrato|meus gastos|minhas despesas|gastos do mes"),
        lambda _: "Ainda não tenho seus gastos por aqui para montar o extrato.",
        _state,
        family="finance",
    ),
    Intent(
        "receita",
        about(rf"(?:{_GOT})\b.*\d+.*"),
        lambda heard: f"Entendi, uma receita de {_money(heard)}. Por aqui ainda não consigo lançar.",
        _book("add_income"),
        family="finance",
        parts=_parts,
    ),
    Intent(
        "gasto",
        about(rf"(?:{_SPENT})\b.*\d+.*"),
        lambda heard: f"Entendi, um gasto de {_money(heard)}. Por aqui ainda não consigo lançar.",
        _book("add_expense"),
        family="finance",
        parts=_parts,
    ),
    Intent(
        "saldo",
        about(r"saldo|quanto (?:eu )?tenho"),
        lambda _: "Ainda não tenho acesso ao seu saldo por aqui.",
        _balance,
        family="finance",
    ),
)

MONEY_TOLD: Final[Mapping[str, Callable[[JsonValue], str]]] = {
    "add_expense": _booked,
    "add_income": _booked,
    "edit_entry": _corrected,
    "delete_entry": _deleted,
    "delete_all_entries": _deleted,
}
"""What is said of a result that came without having been asked for: of what the person confirmed."""
