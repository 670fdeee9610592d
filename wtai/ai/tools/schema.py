"""A JSON schema of a tool's arguments, as the type that checks them.

Understood is the part of JSON Schema (draft 2020-12) that models obey reliably: objects with named properties, strings, numbers,
integers, booleans, choices and arrays of these. Whatever else a schema says would not be kept, so it is refused.
"""

import re
from collections.abc import Callable, Mapping
from types import GenericAlias
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import ConfigDict, Field, SerializerFunctionWrapHandler, TypeAdapter, create_model, model_serializer
from pydantic.annotated_handlers import GetJsonSchemaHandler
from pydantic_core import CoreSchema, SchemaError

from wtai.ai.tools.tool import IDENTITY, Arguments
from wtai.errors import WtaiError

MAX_DEPTH: Final = 3

_PROPERTY = re.compile(r"[A-Za-z0-9_.-]{1,64}")  # what OpenAI takes as a property's name
_ANYWHERE = frozenset({"type", "description"})
_NUMBERS = {"minimum": "ge", "maximum": "le", "exclusiveMinimum": "gt", "exclusiveMaximum": "lt"}
_COUNTS = {"minLength": "min_length", "maxLength": "max_length", "minItems": "min_length", "maxItems": "max_length"}
_KEYWORDS: Final[Mapping[str, frozenset[str]]] = {
    "object": frozenset({"properties", "required", "additionalProperties"}),
    "array": frozenset({"items", "minItems", "maxItems"}),
    "string": frozenset({"pattern", "minLength", "maxLength"}),
    "choice": frozenset({"enum"}),
    "integer": frozenset(_NUMBERS),
    "number": frozenset(_NUMBERS),
    "boolean": frozenset(),
}
_TYPES = _KEYWORDS.keys() - {"choice"}
_EXACT = 2**53  # up to here every program reads the number that was written


class SchemaProblem(WtaiError):
    """A schema says what is not understood: ``message`` at ``pointer`` (RFC 6901)."""

    def __init__(self, pointer: str, message: str) -> None:
        super().__init__(f"{pointer or '(the schema itself)'}: {message}")
        self.pointer = pointer
        self.message = message


class SchemedArguments(Arguments):
    """Arguments whose names and types an owner wrote. They are dumped under those names, without what was not given."""

    model_config: ClassVar[ConfigDict] = ConfigDict(serialize_by_alias=True)

    written: ClassVar[Mapping[str, object]]

    @model_serializer(mode="wrap")
    def _given(self, write: SerializerFunctionWrapHandler) -> dict[str, object]:
        fields = type(self).model_fields
        given = {name for field in self.model_fields_set for name in (field, fields[field].alias)}
        return {name: value for name, value in write(self).items() if name in given}

    @classmethod
    def __get_pydantic_json_schema__(cls, _schema: CoreSchema, _handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return dict(cls.written)


def arguments_of(name: str, schema: Mapping[str, object]) -> type[SchemedArguments]:
    """The type of the arguments that ``schema`` allows; the model is shown the schema itself. SchemaProblem."""
    place = _Place(name, "", schema)
    if place.kind != "object" or place.nullable:
        raise place.wrong("type", 'arguments are an object: "type": "object"')
    return _object(place, 1)


class _Place:
    """A schema within the schema: what it says, checked keyword by keyword."""

    def __init__(self, name: str, pointer: str, schema: object) -> None:
        self.name, self.pointer = name, pointer
        if not isinstance(schema, Mapping):
            raise SchemaProblem(pointer, 'must be a schema, such as {"type": "string"}')
        self.says: Mapping[str, object] = schema
        self.kind, self.nullable = self._kind()
        understood = _ANYWHERE | _KEYWORDS[self.kind]
        for keyword in schema:
            if keyword not in understood:
                raise self.wrong(
                    str(keyword), f"is not understood here; remove it (understood are {', '.join(sorted(understood))})"
                )

    def wrong(self, keyword: str, message: str) -> SchemaProblem:
        return SchemaProblem(f"{self.pointer}/{_escaped(keyword)}", message)

    def at(self, *path: str) -> "_Place":
        """The schema further down."""
        inner: Any = self.says
        for step in path:
            inner = inner[step]
        return _Place(f"{self.name}_{path[-1]}", "/".join((self.pointer, *map(_escaped, path))), inner)

    def value(self, keyword: str, fits: Callable[[Any], bool], what: str) -> Any:
        """What ``keyword`` says, None without it."""
        value = self.says.get(keyword)
        if keyword in self.says and not fits(value):
            raise self.wrong(keyword, f"must be {what}")
        return value

    def _kind(self) -> tuple[str, bool]:
        kind = self.says.get("type")
        if "enum" in self.says:
            if self.says.get("type", "string") != "string":
                raise self.wrong("type", "with enum only string")
            return "choice", False
        nullable = isinstance(kind, list) and len(kind) == 2 and "null" in kind
        if isinstance(kind, list) and nullable:
            kind = next((one for one in kind if one != "null"), None)
        if not isinstance(kind, str) or kind not in _TYPES:
            raise self.wrong("type", f"must be one of {', '.join(sorted(_TYPES))}; or one of them and null, in a list")
        return kind, nullable


def _object(place: _Place, depth: int) -> type[SchemedArguments]:
    if depth > MAX_DEPTH:
        raise place.wrong("type", f"objects may be nested {MAX_DEPTH} deep, not more")
    properties = (
        place.value("properties", lambda value: isinstance(value, Mapping), "an object with a schema for each name") or {}
    )
    required = place.value("required", _are_texts, "a list of different names") or []
    place.value("additionalProperties", lambda value: value is False, "false: other names are refused in any case")
    unknown = set(required) - set(properties)
    if unknown:
        raise place.wrong("required", f"{', '.join(sorted(unknown))} is not among the properties")
    fields: dict[str, Any] = {}
    for number, name in enumerate(properties):
        if not _PROPERTY.fullmatch(name) or name in IDENTITY:
            pointer = f"{place.pointer}/properties/{_escaped(name)}"
            raise SchemaProblem(
                pointer, f"a name has up to 64 letters, digits, _ - . and is none of {', '.join(sorted(IDENTITY))}"
            )
        # Named by number inside: a property may be called what means something else to a class, such as "copy".
        default = ... if name in required else None
        fields[f"p{number}"] = (_annotation(place.at("properties", name), depth), Field(default, alias=name))
    model = create_model(re.sub(r"\W", "_", place.name), __base__=SchemedArguments, **fields)
    model.written = {"properties": {}, **place.says, "additionalProperties": False}
    return model


def _annotation(place: _Place, depth: int) -> Any:
    description = place.value("description", lambda value: isinstance(value, str), "a text")
    kind = _type(place, depth)
    annotation: Any = Annotated[kind, Field(description=description, **_constraints(place))]
    return annotation | None if place.nullable else annotation


def _type(place: _Place, depth: int) -> Any:
    match place.kind:
        case "object":
            return _object(place, depth + 1)
        case "array":
            if "items" not in place.says:
                raise place.wrong("items", "say what the array holds")
            item = place.at("items")
            if item.kind == "array":
                raise item.wrong("type", "an array in an array; put an object in between")
            return GenericAlias(list, (_annotation(item, depth),))
        case "choice":
            choices = place.value("enum", lambda value: bool(value) and _are_texts(value), "a list of different texts")
            return Literal[tuple(choices)]
        case "number":
            return int | float  # so that a whole number arrives as one
        case kind:
            return {"string": str, "integer": int, "boolean": bool}[kind]


def _constraints(place: _Place) -> dict[str, Any]:
    bounds = (
        (_NUMBERS, _is_whole if place.kind == "integer" else _is_number, "a number such as the type takes, up to 2**53"),
        (_COUNTS, lambda value: _is_whole(value) and value >= 0, "a whole number from 0"),
    )
    constraints = {
        names[keyword]: place.value(keyword, fits, what)
        for names, fits, what in bounds
        for keyword in names
        if keyword in place.says
    }
    pattern = place.value("pattern", lambda value: isinstance(value, str), "a text")
    if pattern is not None:
        try:
            TypeAdapter(Annotated[str, Field(pattern=pattern)])
        except SchemaError:
            raise place.wrong(
                "pattern", "no regular expression that can be run here (without look-around and references)"
            ) from None
        constraints["pattern"] = pattern
    return constraints


def _escaped(step: str) -> str:
    return step.replace("~", "~0").replace("/", "~1")


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value) and len(set(value)) == len(value)


def _is_number(value: object) -> bool:
    return _is_whole(value) or (type(value) is float and abs(value) <= _EXACT)


def _is_whole(value: object) -> bool:
    return type(value) is int and abs(value) <= _EXACT
