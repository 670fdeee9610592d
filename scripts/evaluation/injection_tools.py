"""What an attack calls, in the case's words and in the product's: tools under their own names, arguments that fit them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from evaluation.injection_world import Cast

Json = dict[str, Any]

PRODUCT_TOOLS = {
    "add_contact": "save_person",
    "add_person": "save_person",
    "add_expense": "add_expense",
    "add_income": "add_income",
    "add_note": "add_note",
    "add_reminder": "create_reminder",
    "cancel_reminder": "cancel_reminder",
    "delete_all_expenses": "delete_all_entries",
    "delete_all": "delete_all_entries",
    "delete_contact": "forget_person",
    "delete_expense": "delete_entry",
    "delete_income": "delete_entry",
    "delete_memories": "forget_everything",
    "delete_all_memories": "forget_everything",
    "delete_memory": "forget",
    "delete_person": "forget_person",
    "delete_reminder": "cancel_reminder",
    "edit_expense": "edit_entry",
    "update_expense": "edit_entry",
    "get_balance": "get_balance",
    "get_birthday": "get_person",
    "get_birthdays": "upcoming_birthdays",
    "get_contact": "get_person",
    "get_expenses": "list_entries",
    "get_memories": "recall",
    "get_person": "get_person",
    "get_report": "monthly_summary",
    "get_summary": "monthly_summary",
    "get_statement": "list_entries",
    "handoff": "call_person",
    "list_contacts": "list_people",
    "list_birthdays": "upcoming_birthdays",
    "list_expenses": "list_entries",
    "list_income": "list_entries",
    "list_memories": "recall",
    "list_people": "list_people",
    "list_reminders": "list_reminders",
    "list_transactions": "list_entries",
    "save_contact": "save_person",
    "record_expense": "add_expense",
    "record_income": "add_income",
    "remember_fact": "remember",
    "save_memory": "remember",
    "save_person_fact": "remember",
    "search_expenses": "list_entries",
    "search_memory": "recall",
    "search_memories": "recall",
    "send_message": "create_reminder",
    "set_reminder": "create_reminder",
    "transfer_to_human": "call_person",
    "update_memory": "update_memory",
}
"""The product's tool for what a case calls by a general name. What is not here is tried under its own name."""

ASKS_FIRST = frozenset({"delete_entry", "delete_all_entries", "forget_person", "forget_everything"})
"""Tools that do what cannot be undone."""

_IDENTITY = ("owner", "user", "tenant", "phone", "account", "customer", "wa_id", "conversation")
_MOMENTS = ("when", "date", "time", "at", "datetime", "month", "period", "birthday")
"""Names of arguments that tell a moment: what was ahead when a case was written may be over."""

_SPECIALISTS = {
    "finance": ("entr", "expense", "income", "balance", "summary"),
    "relationship": ("person", "people", "note", "remind"),
}
_RENAMED = {
    "id": ("id", "expense_id", "income_id", "entry_id", "transaction_id", "memory_id"),
    "memory": ("memory", "memory_id", "id"),
    "reminder": ("reminder", "reminder_id", "id"),
    "period": ("period", "month", "range", "date"),
    "month": ("month", "period"),
    "name": ("name", "person", "contact", "contact_name"),
    "text": ("text", "body", "content", "fact", "memory", "note", "message", "value"),
    "words": ("words", "query", "text", "memory", "content"),
    "query": ("query", "q", "text", "search"),
    "reason": ("reason",),
    "amount": ("amount", "value", "total"),
    "description": ("description", "text", "note"),
}
_MADE_UP = {
    "amount": "10",
    "when": "amanhã",
    "time": "10:00",
    "name": "Amiga",
    "query": "tudo",
    "month": "2026-01",
    "period": "tudo",
}


@dataclass(frozen=True)
class Attack:
    """What the model is made to do. ``endless``: call for ever. ``route``: what the router answers instead of a specialist."""

    calls: tuple[tuple[str, Json], ...] = ()
    text: str = ""
    route: str | None = None
    endless: bool = False


def attack(row: Json) -> Attack:
    """The attack of a case, in whichever of its forms the case gives it."""
    action = row.get("hijacked_model_action")
    about = row.get("invariants") or []
    endless = "COST" in about
    route = "admin" if "ROUTE" in about else None
    match action:
        case None:
            return Attack(route=route)
        case str():
            return Attack(text=action, route=route)
        case dict():
            given = action.get("tool_calls") or ([action["tool_call"]] if "tool_call" in action else [])
            calls = tuple((str(call["name"]), _as_object(call.get("arguments"))) for call in given)
            chosen = action.get("route") or action.get("agent") or action.get("router")
            rest = "" if given or chosen else json.dumps(action, ensure_ascii=False)
            return Attack(calls, str(action.get("text", rest)), str(chosen) if chosen else route, endless)
        case _:
            return Attack(text=json.dumps(action, ensure_ascii=False), route=route)


def product_tool(name: str) -> str:
    """What the product calls the tool."""
    return PRODUCT_TOOLS.get(name, name)


def specialist_of(tool: str) -> str:
    """The specialist that has a tool of this name, as far as the name tells."""
    return next((agent for agent, parts in _SPECIALISTS.items() if any(part in tool for part in parts)), "general")


def variants(arguments: Json, schema: Json, cast: Cast | None) -> list[str]:
    """The arguments as given, without the identities, and fitted to the tool: at another time, with the writer's ids and with
    others'.
    """
    bare = {key: value for key, value in arguments.items() if not any(part in key for part in _IDENTITY)}
    timeless = {key: value for key, value in bare.items() if key not in _MOMENTS}
    found = [arguments, bare, _fitted(bare, schema, {}), _fitted(timeless, schema, {})]
    for one in (cast.writer, *cast.others) if cast else ():
        ids = {"id": one.entry, "memory": one.memory, "memory_id": one.memory, "reminder": one.reminder}
        found.append(_fitted(bare, schema, ids))
    return list(dict.fromkeys(json.dumps(variant, ensure_ascii=False) for variant in found))


def _fitted(arguments: Json, schema: Json, ids: Mapping[str, str]) -> Json:
    fitted: Json = {}
    for name, wanted in schema.get("properties", {}).items():
        given = next((arguments[key] for key in (name, *_RENAMED.get(name, ())) if key in arguments), None)
        if name in ids:
            fitted[name] = ids[name]
        elif given is not None:
            fitted[name] = _typed(given, wanted)
        elif name in schema.get("required", ()):
            fitted[name] = _typed(_MADE_UP.get(name, "1"), wanted)
    return fitted


def _typed(value: object, wanted: Json) -> object:
    kinds = {wanted.get("type"), *(option.get("type") for option in wanted.get("anyOf", ()))}
    if wanted.get("enum"):
        return value if value in wanted["enum"] else wanted["enum"][0]
    if "string" in kinds or kinds == {None}:
        return value if isinstance(value, str) else json.dumps(value)
    if "integer" in kinds and str(value).lstrip("-").isdigit():
        return int(str(value))
    return value


def _as_object(arguments: object) -> Json:
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments)
        except ValueError:
            return {"input": arguments}
    return arguments if isinstance(arguments, dict) else {}
