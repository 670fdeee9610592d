"""Histories that a server accepts, and texts that a person can read."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wtai.ai.answer import is_bare_json, is_blank, is_tool_call_in_prose
from wtai.ai.history import repaired, window
from wtai.ai.llm import Assistant, Message, System, ToolCall, ToolResult, ToolSpec, User
from wtai.ai.texts import apology

TOOLS = (ToolSpec("get_balance", "Saldo", {"type": "object"}),)

CALL = ToolCall("h1", "t", "{}")
MESSAGES = st.sampled_from(
    [
        User("a"),
        System("resumo"),
        Assistant("b"),
        Assistant(""),
        Assistant("", (CALL,)),
        Assistant("", (CALL, ToolCall("h2", "t", "{}"))),
        ToolResult("h1", "1"),
        ToolResult("h2", "2"),
        ToolResult("h9", "x"),
    ]
)


def assert_sound(messages: Sequence[Message]) -> None:
    """Each call answered once, right after, in order; no other result."""
    expected: list[str] = []
    for message in messages:
        if isinstance(message, ToolResult):
            assert expected.pop(0) == message.call_id
        else:
            assert expected == []
        if isinstance(message, Assistant):
            assert message.text or message.tool_calls
            expected = [call.id for call in message.tool_calls]
    assert expected == []


@given(st.lists(MESSAGES, max_size=12), st.integers(0, 12))
def test_any_history_is_repaired_and_any_window_of_it_is_whole(history: list[Message], limit: int) -> None:
    mended = repaired(history)
    assert_sound(mended)
    assert repaired(mended) == mended
    recent = window(history, limit)
    assert_sound(recent)
    assert len(recent) <= limit
    assert not recent or recent == mended[-len(recent) :]


def test_a_result_that_came_late_is_put_where_it_belongs() -> None:
    late = repaired([User("saldo?"), Assistant("", (CALL,)), User("oi?"), ToolResult("h1", "10")])
    assert late == (User("saldo?"), Assistant("", (CALL,)), ToolResult("h1", "10"), User("oi?"))


def test_a_window_begins_with_a_turn() -> None:
    history = [User("1"), Assistant("a"), User("2"), Assistant("", (CALL,)), ToolResult("h1", "x"), Assistant("b")]
    assert window(history, 5) == tuple(history[2:])
    assert window(history, 3) == tuple(history[3:])


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "get_balance", "arguments": {}}',
        'Vou ver: ```json\n{"name": "outra", "parameters": {"a": "}"}}\n```',
        '<tool_call>{"name": "get_balance"}</tool_call>',
        '{"tool_calls": [{"function": {"name": "x"}}]}',
        '{"type": "function", "function": {"name": "x", "arguments": "{}"}}',
        "get_balance()",
        'Chamando get_balance(month="10")…',
        "<function=get_balance>{}</function>",
        '<|channel|>commentary to=functions.get_balance <|message|>{"month": "10"}',
    ],
)
def test_a_tool_call_written_as_text_is_recognised(text: str) -> None:
    assert is_tool_call_in_prose(text, TOOLS)


@pytest.mark.parametrize(
    "text",
    [
        "Seu saldo (get_balance) é R$ 10.",
        'Use {"cor": "azul"} no arquivo.',
        "f(x) = 2x {1, 2}",
        "Tudo certo {",
        '{"name": "Júlia", "age": 3}',
    ],
)
def test_ordinary_text_with_braces_or_brackets_is_not_taken_for_a_call(text: str) -> None:
    assert not is_tool_call_in_prose(text, TOOLS)
    assert not is_blank(text)


@pytest.mark.parametrize(
    ("text", "bare"),
    [
        ('{"agent": "finance"}', True),
        ('```json\n{"amount": 45}\n```', True),
        ('[{"amount": 45}]', True),
        ('Seu saldo: {"amount": 45}', False),
        ("45", False),
        ('"tudo certo"', False),
        ("[áudio]", False),
        ("```\n- pão\n```", False),
    ],
)
def test_a_text_that_is_data_as_a_whole_is_told_from_words(text: str, bare: bool) -> None:
    assert is_bare_json(text) is bare


def test_the_apology_speaks_the_persons_language() -> None:
    assert len({apology(tag) for tag in ("pt-BR", "es-AR", "en")}) == 3
    assert apology("de") == apology("pt-BR")
