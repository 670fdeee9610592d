"""JSON of a shape that is asked for: a specialist by the messages' topic, facts and a summary of what was said."""

import json
import re
from collections.abc import Sequence
from typing import Final

from pydantic import JsonValue

from wtai.simulator.facts import Fact, facts
from wtai.simulator.heard import Heard
from wtai.simulator.intents import topics
from wtai.simulator.plan import Values
from wtai.simulator.prompt import Parameters, Property

_SUMMED_UP: Final = 400
_NUMBER: Final = re.compile(r"\d+")  # by which a transcript's line is cited


def shaped(schema: Parameters, heard: Sequence[Heard]) -> str:
    """The JSON text. Of several names it is the one that the messages' first matter belongs to; a list of objects holds the facts
    found in the messages; any other text is the messages, cut.
    """
    families = [intent.family for one in heard for intent in topics(one) if not intent.social]
    said = " ".join(one.text for one in heard)[:_SUMMED_UP]
    found = list(facts([one.text for one in heard]))
    value: Values = {}
    for name, wanted in schema.properties.items():
        if wanted.items is not None:
            item = _resolved(wanted.items, schema)
            value[name] = [_object(item, fact, schema) for fact in found] if item.properties else []
        else:
            resolved = _resolved(wanted, schema)
            family = next((family for family in [*families, "general"] if family in (resolved.enum or ())), said)
            value[name] = fitting(resolved, family)
    return json.dumps(value, ensure_ascii=False)


def fitting(wanted: Property, value: JsonValue) -> JsonValue:
    """``value``, if it is of a type that fits, else one made up."""
    kinds = {wanted.type} if isinstance(wanted.type, str) else set(wanted.type or ())
    kinds |= {option.type for option in wanted.anyOf or () if isinstance(option.type, str)}
    if wanted.enum:
        return value if value in wanted.enum else wanted.enum[0]
    if value is None and "null" in kinds:
        return None
    if isinstance(value, int) and "integer" in kinds:
        return value
    if "string" in kinds or not kinds:
        return value if isinstance(value, str) or not kinds else str(value)
    if "null" in kinds:
        return None
    made_up: Values = {"boolean": False, "array": [], "object": {}}
    return made_up.get(next(iter(kinds)), 0)


def _object(wanted: Property, fact: Fact, schema: Parameters) -> JsonValue:
    """A fact as an object, under the names that the shape has for its parts."""
    number = _NUMBER.search(fact.line)
    known: Values = {
        "text": fact.text,
        "kind": fact.kind,
        "entity": fact.entity,
        "attribute": fact.attribute,
        "message": int(number.group()) if number else None,
    }
    return {name: fitting(_resolved(part, schema), known.get(name)) for name, part in wanted.properties.items()}


def _resolved(wanted: Property, schema: Parameters) -> Property:
    return schema.defs[wanted.ref.rpartition("/")[2]] if wanted.ref else wanted
