"""What a call costs, to the millionth of a dollar, and what it cannot exceed, whatever name the server gives its model."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wtai.ai import openai_chat, openai_responses
from wtai.ai.llm import Assistant, LlmRequest, ResponseSchema, System, ToolCall, ToolResult, ToolSpec, Usage, User
from wtai.ai.pricing import MICROS, Minute, Price, Prices, Quote, cost, most_prompt_tokens
from wtai.errors import SettingsError
from wtai.settings import Settings
from wtai.settings_source import load

MINI = Price.of("input 0.25 cached 0.025 output 2.00")
DEAR = Price.of("input 15 cached 7.5 output 60")
PRICES = Prices(
    {"gpt-5": DEAR, "gpt-5-mini": MINI, "gpt-4": DEAR},
    Price.of("input 5 cached 5 output 5"),
    {"ears": Minute.of("minute 0.0045")},
    Minute.of("minute 0.02"),
)


@pytest.mark.parametrize(
    ("usage", "micros"),
    [
        (Usage(), 0),
        (Usage(prompt=4_000_000), 1_000_000),
        (Usage(prompt=4), 1),
        (Usage(prompt=5), 2),  # 1.25
        (Usage(prompt=1), 1),  # 0.25
        (Usage(completion=3), 6),
        (Usage(prompt=40, cached=40), 1),
        (Usage(prompt=2_000, cached=1_000, completion=100), 250 + 25 + 200),
        (Usage(prompt=2_001, cached=1_001, completion=100), 250 + 26 + 200),  # 25.025
        (Usage(prompt=10, cached=4_000), 1),  # more cached than there was: the prompt, at the price of cached
    ],
)
def test_a_call_costs_its_tokens_rounded_up_to_a_whole_micro(usage: Usage, micros: int) -> None:
    assert cost(PRICES, "gpt-5-mini", usage) == micros


@pytest.mark.parametrize(
    ("model", "price"),
    [
        ("gpt-5", DEAR),
        ("gpt-5-mini", MINI),
        ("gpt-5-mini-2026-03-17", MINI),
        ("gpt-5-mini-20260317", MINI),
        ("gpt-5-mini-latest", MINI),
        ("gpt-4-0613", DEAR),
        ("gpt-5-mini-turbo", PRICES.default),
        ("gpt-5-pro", PRICES.default),
        ("gpt-5.4", PRICES.default),
        ("gpt-50", PRICES.default),
        ("gpt", PRICES.default),
        ("llama", PRICES.default),
        ("", PRICES.default),
    ],
)
def test_a_dated_version_costs_what_its_model_does_and_a_stranger_the_default(model: str, price: Price) -> None:
    assert PRICES.price(model) == price


def test_every_model_of_the_default_settings_has_a_price() -> None:
    settings = Settings()
    prices, openai = Prices.of(settings.prices), settings.openai
    for model in (openai.model, openai.router_model, openai.small_model, openai.embedding_model):
        assert prices.known(model), model
    assert openai.transcription_model in prices.minutes
    assert prices.known("gpt-5.4-mini-2026-03-17") == Price(750_000, 75_000, 4_500_000)
    assert prices.price(openai.small_model).output < prices.price(openai.model).output < prices.default.output


def test_the_operator_sets_prices_in_the_file_or_in_the_environment(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = '[prices]\nmodels = ["llama input 0 cached 0 output 0"]\ndefault = "input 1 cached 1 output 1"\n'
    (data_dir / "config.toml").write_text(text)
    prices = Prices.of(load(None, data_dir).prices)
    assert (prices.price("llama"), prices.price("gpt-5.4-mini").output) == (Price(0, 0, 0), MICROS)
    monkeypatch.setenv("WTAI_PRICES__MODELS", "a input 0.000001 cached 0 output 2, b input 3 cached 3 output 3")
    prices = Prices.of(load(None, data_dir).prices)
    assert (prices.price("a").input, prices.price("b").cached) == (1, 3 * MICROS)


@pytest.mark.parametrize(
    "line",
    [
        "input 1 cached 1 output 1",
        "llama",
        "llama 1 1 1",
        "llama input 1 cached 1",
        "llama input -1 cached 1 output 1",
        "llama input 1,5 cached 1 output 1",
        "llama input 1e3 cached 1 output 1",
        "llama input NaN cached 1 output 1",
        "llama input 0.0000001 cached 1 output 1",
        "llama input 1 cached 1 output 1 ",
        "ears minute",
        "ears minute -1",
        "ears minute 0.01 output 1",
        "minute 0.01",
    ],
)
def test_a_price_that_cannot_be_read_is_refused_by_name(line: str, data_dir: Path) -> None:
    with pytest.raises(SettingsError, match=r"prices\.models = .* is not valid: must be a model and its price"):
        load(None, data_dir, {"prices.models": [line]})


@pytest.mark.parametrize(
    ("model", "seconds", "micros"),
    [
        ("ears", 0, 0),
        ("ears", 0.2, 75),
        ("ears", 1, 75),
        ("ears-2026-03-17", 60, 4_500),
        ("ears", 61, 4_575),
        ("strange", 1, 334),  # 333.3…
        ("ears-mini", 60, 20_000),
    ],
)
def test_sound_costs_by_the_second_rounded_up_and_a_stranger_the_default(model: str, seconds: float, micros: int) -> None:
    assert PRICES.minute(model).cost(seconds) == micros


def test_the_operator_sets_the_price_of_a_minute(data_dir: Path) -> None:
    chosen = {"prices.models": ["ears minute 0.01"], "prices.default_minute": "minute 1"}
    prices = Prices.of(load(None, data_dir, chosen).prices)
    assert (prices.minute("ears"), prices.minute("others"), prices.known("ears")) == (Minute(10_000), Minute(MICROS), None)
    with pytest.raises(SettingsError, match=r"prices\.default_minute = .* must be dollars per minute"):
        load(None, data_dir, {"prices.default_minute": "0.02"})


# --- What a call can cost at most


def test_a_quote_is_what_its_tokens_would_cost_were_none_of_them_cached() -> None:
    quote = Quote("m", MINI, prompt_tokens=1_001, output_tokens=10, least_output_tokens=10)
    assert quote.most == 271 == MINI.cost(Usage(prompt=1_001, completion=10))
    upside_down = Price.of("input 1 cached 2 output 1")
    assert Quote("m", upside_down, 10, 10, 10).most >= upside_down.cost(Usage(prompt=10, cached=10, completion=10))


@given(
    price=st.builds(Price, *[st.integers(0, 30 * MICROS)] * 3),
    prompt=st.integers(0, 100_000),
    output=st.integers(1, 10_000),
    least=st.integers(1, 10_000),
    room=st.integers(-1_000, 200_000),
)
def test_what_fits_a_room_is_the_longest_answer_that_does(price: Price, prompt: int, output: int, least: int, room: int) -> None:
    quote = Quote("m", price, prompt, output, min(least, output))
    fitted = quote.within(room)
    if fitted is None:
        assert Quote("m", price, prompt, quote.least_output_tokens, 1).most > room
        return
    assert fitted.most <= room
    assert quote.least_output_tokens <= fitted.output_tokens <= output
    if fitted.output_tokens < output:
        assert Quote("m", price, prompt, fitted.output_tokens + 1, 1).most > room


def leaves(body: object) -> list[str]:
    """Every text in a request's body, keys included where they are the caller's own."""
    match body:
        case str():
            return [body]
        case dict():
            return [text for value in body.values() for text in leaves(value)]
        case list() | tuple():
            return [text for value in body for text in leaves(value)]
        case _:
            return []


SEALED = '{"type": "reasoning", "encrypted_content": "' + "x" * 500 + '"}'
ANY_TEXT = st.text(max_size=200)
CALL = st.builds(ToolCall, ANY_TEXT, ANY_TEXT, ANY_TEXT)
MESSAGE = st.one_of(
    st.builds(System, ANY_TEXT),
    st.builds(User, ANY_TEXT),
    st.builds(Assistant, ANY_TEXT, st.lists(CALL, max_size=3).map(tuple), st.just((SEALED,))),
    st.builds(ToolResult, ANY_TEXT, ANY_TEXT),
)
SCHEMA = st.dictionaries(ANY_TEXT, st.lists(ANY_TEXT, max_size=3), max_size=3)


@given(
    messages=st.lists(MESSAGE, max_size=6),
    tools=st.lists(st.builds(ToolSpec, ANY_TEXT, ANY_TEXT, SCHEMA), max_size=3),
    schema=st.none() | st.builds(ResponseSchema, st.just("reply"), SCHEMA),
)
def test_a_prompt_is_never_longer_than_its_bound_even_at_one_token_a_byte(
    messages: list[User], tools: list[ToolSpec], schema: ResponseSchema | None
) -> None:
    request = LlmRequest(tuple(messages), tuple(tools), response_schema=schema)
    bodies = openai_chat.body(request, ""), openai_responses.body(request, "", sealed_reasoning=True)
    for body in bodies:
        in_bytes = sum(len(text.encode("utf-8", "replace")) for text in leaves(body))
        assert most_prompt_tokens(request) >= in_bytes + 4 * len(messages)


def test_the_bound_counts_bytes_not_characters() -> None:
    plain, family = (most_prompt_tokens(LlmRequest((User(text),))) for text in ("a" * 100, "👨‍👩‍👧" * 100))
    assert family - plain == 100 * len("👨‍👩‍👧".encode()) - 100


def test_arguments_that_are_no_json_count_as_they_are_sent_back() -> None:
    calls = tuple(ToolCall(f"call-{number}", "t", "\x00" * 10) for number in range(20))
    request = LlmRequest((Assistant("", calls),))
    sent = sum(len(text) for text in leaves(openai_chat.body(request, "")))
    assert most_prompt_tokens(request) >= sent > 20 * 60


def test_a_lone_surrogate_is_no_reason_to_fail() -> None:
    assert most_prompt_tokens(LlmRequest((User("\ud83d"),), (ToolSpec("t", "\ud83d", {"a": "\ud83d"}),))) > 0
