"""A tool's JSON schema becomes a type that accepts what the schema allows and nothing else, or is refused with the place."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import ValidationError
from pydantic_core import to_json

from wtai.ai.tools.schema import SchemaProblem, arguments_of
from wtai.ai.tools.tool import Tool, ToolContext

ORDER = {
    "type": "object",
    "description": "An order.",
    "properties": {
        "copy": {"type": "string", "minLength": 2, "maxLength": 5, "pattern": "^[a-z]+$", "description": "Which copy."},
        "model_config": {"type": ["integer", "null"], "minimum": 1, "maximum": 9},
        "price": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 100},
        "size": {"type": "string", "enum": ["P", "M", "G"]},
        "gift": {"type": "boolean"},
        "title": {"enum": ["a"]},
        "items": {
            "type": "array",
            "minItems": 1,
            "maxItems": 2,
            "items": {
                "type": "object",
                "properties": {"sku": {"type": "string"}, "tags": {"type": "array", "items": {"type": "string"}}},
                "required": ["sku"],
                "additionalProperties": False,
            },
        },
    },
    "required": ["copy"],
}


def takes(schema: dict[str, Any], arguments: object) -> bool:
    try:
        arguments_of("order", schema).model_validate_json(json.dumps(arguments))
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize(
    "more",
    [
        *({}, {"model_config": 9}, {"model_config": None}, {"price": 99.5}, {"price": 1}, {"size": "M"}, {"gift": False}),
        *({"title": "a"}, {"items": [{"sku": "x", "tags": []}, {"sku": "y", "tags": ["a", "b"]}]}),
    ],
)
def test_what_the_schema_allows_is_taken(more: dict[str, Any]) -> None:
    assert takes(ORDER, {"copy": "abc", **more})


@pytest.mark.parametrize(
    "more",
    [
        *({"copy": "a"}, {"copy": "abcdef"}, {"copy": "AB"}, {"copy": None}, {"copy": 5}),
        *({"model_config": 0}, {"model_config": 10}, {"model_config": 1.5}, {"model_config": "1"}, {"model_config": True}),
        *({"price": 0}, {"price": 100}, {"price": True}, {"price": "1"}, {"price": None}, {"price": float("nan")}),
        *({"size": "X"}, {"size": None}, {"gift": 1}, {"gift": "true"}, {"title": "b"}, {"title": None}),
        *(
            {"items": []},
            {"items": [{"sku": "x"}] * 3},
            {"items": [{}]},
            {"items": [{"sku": "x", "y": 1}]},
            {"items": {"sku": "x"}},
        ),
        *({"unknown": 1}, {"p0": "abc"}, {"owner_id": 1}),
    ],
)
def test_what_the_schema_does_not_allow_is_refused(more: dict[str, Any]) -> None:
    assert not takes(ORDER, {"copy": "abc", **more})


def test_a_required_argument_is_required() -> None:
    assert not takes(ORDER, {})


def test_arguments_are_dumped_as_they_were_given() -> None:
    given_ = {"copy": "abc", "price": 3, "items": [{"sku": "x"}]}
    kind = arguments_of("order", ORDER)
    arguments = kind.model_validate_json(json.dumps(given_))
    for dumped in (arguments.model_dump_json(), arguments.model_dump_json(exclude_unset=True), to_json(arguments).decode()):
        assert json.loads(dumped) == given_
        assert kind.model_validate_json(dumped) == arguments
    assert arguments.model_dump(mode="json") == given_


async def test_the_model_is_shown_the_schema_as_it_was_written() -> None:
    async def run(_context: ToolContext, _arguments: Any) -> str:
        return ""

    tool = Tool("order", "orders", arguments_of("order", ORDER), run=run)
    assert tool.spec.parameters == {**ORDER, "additionalProperties": False}


PROBLEMS: list[tuple[str, dict[str, Any]]] = [
    ("/type", {}),
    ("/type", {"type": "array", "items": {"type": "string"}}),
    ("/type", {"type": ["object", "null"]}),
    ("/type", {"type": {}}),
    ("/$schema", {"type": "object", "$schema": "https://json-schema.org/draft/2020-12/schema"}),
    ("/additionalProperties", {"type": "object", "additionalProperties": True}),
    ("/patternProperties", {"type": "object", "patternProperties": {}}),
    ("/properties", {"type": "object", "properties": []}),
    ("/required", {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["b"]}),
    ("/required", {"type": "object", "required": "a"}),
    ("/required", {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a", "a"]}),
    ("/properties/owner_id", {"type": "object", "properties": {"owner_id": {"type": "string"}}}),
    ("/properties/a b", {"type": "object", "properties": {"a b": {"type": "string"}}}),
    ("/properties/a~1b~0", {"type": "object", "properties": {"a/b~": {"type": "string"}}}),
]


@pytest.mark.parametrize(("pointer", "schema"), PROBLEMS)
def test_a_schema_of_no_arguments_is_refused_with_the_place(pointer: str, schema: dict[str, Any]) -> None:
    with pytest.raises(SchemaProblem) as refused:
        arguments_of("t", schema)
    assert refused.value.pointer == pointer


@pytest.mark.parametrize(
    ("pointer", "part"),
    [
        ("", "string"),
        ("", True),
        ("", None),
        ("/type", {}),
        ("/type", {"type": "null"}),
        ("/type", {"type": "date"}),
        ("/type", {"type": "choice", "enum": ["a"]}),
        ("/type", {"type": ["string", "integer"]}),
        ("/type", {"type": ["null"]}),
        ("/type", {"type": [[], "null"]}),
        ("/type", {"type": ["string", "null"], "enum": ["a"]}),
        ("/type", {"type": "integer", "enum": [1]}),
        ("/anyOf", {"type": "string", "anyOf": []}),
        ("/$ref", {"type": "object", "$ref": "#"}),
        ("/format", {"type": "string", "format": "date"}),
        ("/default", {"type": "string", "default": "x"}),
        ("/minLength", {"type": "integer", "minLength": 1}),
        ("/minimum", {"type": "string", "minimum": 1}),
        ("/pattern", {"enum": ["a"], "pattern": "a"}),
        ("/description", {"type": "string", "description": 1}),
        ("/minLength", {"type": "string", "minLength": -1}),
        ("/minLength", {"type": "string", "minLength": True}),
        ("/maxLength", {"type": "string", "maxLength": 10**30}),
        ("/minimum", {"type": "integer", "minimum": 0.5}),
        ("/maximum", {"type": "number", "maximum": "1"}),
        ("/maximum", {"type": "number", "maximum": float("inf")}),
        ("/maximum", {"type": "number", "maximum": float("nan")}),
        ("/pattern", {"type": "string", "pattern": 1}),
        ("/pattern", {"type": "string", "pattern": "("}),
        ("/pattern", {"type": "string", "pattern": "(?=a)"}),
        ("/pattern", {"type": "string", "pattern": "((a{1000}){1000}){1000}"}),
        ("/enum", {"enum": []}),
        ("/enum", {"enum": ["a", "a"]}),
        ("/enum", {"enum": ["a", 1]}),
        ("/enum", {"enum": "a"}),
        ("/items", {"type": "array"}),
        ("/items", {"type": "array", "items": [{"type": "string"}]}),
        ("/items/type", {"type": "array", "items": {"type": "array", "items": {"type": "string"}}}),
        ("/items/format", {"type": "array", "items": {"type": "string", "format": "uri"}}),
        ("/uniqueItems", {"type": "array", "items": {"type": "string"}, "uniqueItems": True}),
        ("/properties/b/x", {"type": "object", "properties": {"b": {"type": "string", "x": 1}}}),
        ("/properties/user_id", {"type": "object", "properties": {"user_id": {"type": "string"}}}),
    ],
)
def test_what_is_not_understood_is_refused_with_the_place(pointer: str, part: object) -> None:
    with pytest.raises(SchemaProblem) as refused:
        arguments_of("t", {"type": "object", "properties": {"a": part}})
    assert refused.value.pointer == f"/properties/a{pointer}"


def test_objects_are_nested_three_deep_and_no_deeper() -> None:
    def nested(depth: int) -> dict[str, Any]:
        inner = nested(depth - 1) if depth > 1 else {"type": "string"}
        return {"type": "object", "properties": {"a": inner}}

    assert takes(nested(3), {"a": {"a": {"a": "x"}}})
    with pytest.raises(SchemaProblem) as refused:
        arguments_of("t", nested(4))
    assert refused.value.pointer == "/properties/a/properties/a/properties/a/type"


names = st.sampled_from(["a", "b", "copy", "model_x", "json", "_x", "class", "x.y-z"])
whole = st.integers(-3, 3)


def optional(**keywords: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=keywords)


def typed(kind: str, keywords: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.tuples(st.sampled_from([kind, [kind, "null"]]), keywords).map(lambda pair: {"type": pair[0], **pair[1]})


bounds = optional(minimum=whole, maximum=whole, exclusiveMinimum=whole, exclusiveMaximum=whole)
scalars = st.one_of(
    typed(
        "string", optional(minLength=st.integers(0, 2), maxLength=st.integers(0, 3), pattern=st.sampled_from(["a", "^[ab]*$"]))
    ),
    typed("integer", bounds),
    typed("number", bounds),
    typed("boolean", st.just({})),
    st.lists(st.sampled_from(["a", "b", ""]), min_size=1, unique=True).map(lambda choices: {"enum": choices}),
)


def objects(parts: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    def required(properties: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
        chosen = st.lists(st.sampled_from(sorted(properties)), unique=True) if properties else st.just([])
        return chosen.map(
            lambda names: {"type": "object", "properties": properties, "required": names, "additionalProperties": False}
        )

    return st.dictionaries(names, parts, max_size=3).flatmap(required)


def arrays(parts: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.tuples(parts, optional(minItems=st.integers(0, 2), maxItems=st.integers(0, 3))).map(
        lambda pair: {"type": "array", "items": pair[0], **pair[1]}
    )


level_3 = objects(scalars | arrays(scalars))
level_2 = objects(scalars | arrays(scalars | level_3) | level_3)
schemas = objects(scalars | arrays(scalars | level_2) | level_2)

values = st.recursive(
    st.none() | st.booleans() | whole | st.sampled_from([0.5, -1.5, 2.5]) | st.text("abA", max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)


@st.composite
def cases(draw: st.DrawFn) -> tuple[dict[str, Any], object]:
    """A schema and arguments that are often almost right."""
    schema = draw(schemas)
    return schema, draw(st.dictionaries(names, values, max_size=3) if draw(st.booleans()) else _fitting(schema))


def _fitting(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    if "enum" in schema:
        return st.sampled_from([*schema["enum"], "c"])
    match schema["type"]:
        case "object":
            known = {name: _fitting(part) for name, part in schema["properties"].items()}
            return st.fixed_dictionaries(
                {name: known[name] for name in schema["required"]},
                optional={name: part for name, part in known.items() if name not in schema["required"]},
            )
        case "array":
            return st.lists(_fitting(schema["items"]), max_size=3)
        case kind:
            kinds: dict[str, st.SearchStrategy[Any]] = {
                "string": st.text("ab", max_size=3),
                "integer": whole,
                "number": whole | st.sampled_from([0.5, -1.5]),
                "boolean": st.booleans(),
            }
            return kinds[kind] if isinstance(kind, str) else kinds[kind[0]] | st.none()


@given(cases())
def test_it_agrees_with_a_validator_of_json_schema(case: tuple[dict[str, Any], object]) -> None:
    schema, arguments = case
    assert takes(schema, arguments) == Draft202012Validator(schema).is_valid(arguments)
