"""The tool loop's promises, with a scripted model behind the Llm seam."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from structlog.testing import capture_logs

from wtai.ai import loop
from wtai.ai.agent import Agent, Handoff
from wtai.ai.llm import TOO_LONG, Assistant, Finish, LlmRequest, Message, Reply, System, ToolCall, ToolResult, Usage, User
from wtai.ai.loop import Ending, Limits, Outcome
from wtai.ai.toolbox import Toolbox, failed
from wtai.ai.tools.tool import Arguments, Tool, ToolContext, ToolError
from wtai.errors import LlmRefused, LlmUnavailable

CONTEXT = ToolContext(1, 2, 3, message_id=4, now=1_800_000_000_000, time_zone="America/Sao_Paulo", locale="pt-BR")


class NoDatabase:
    """Where a turn's tools only look outside, nothing may be asked of the database."""

    def __getattr__(self, name: str) -> object:
        raise AssertionError(f"database.{name} was used")


TOOLBOX = Toolbox(NoDatabase(), CONTEXT, turn=0)


class Scripted:
    """An Llm that gives its answers in turn, the last one again and again; an error among them is raised."""

    def __init__(self, *answers: Reply | Exception, delay: float = 0) -> None:
        self.requests: list[LlmRequest] = []
        self._answers = answers
        self._delay = delay

    async def reply(self, request: LlmRequest) -> Reply:
        self.requests.append(request)
        await asyncio.sleep(self._delay)
        answer = self._answers[min(len(self.requests), len(self._answers)) - 1]
        if isinstance(answer, Exception):
            raise answer
        return answer


def says(text: str, finish: Finish = Finish.STOP) -> Reply:
    return Reply(text, finish, "m", usage=Usage(100, 10, 50, 1))


def calls(*called: tuple[str, str, str], finish: Finish = Finish.TOOL_CALLS, reasoning: tuple[str, ...] = ()) -> Reply:
    return Reply("", finish, "m", tuple(ToolCall(*call) for call in called), Usage(100, 10, 50, 1), reasoning)


class Nothing(Arguments):
    pass


class Expense(Arguments):
    amount: Decimal
    category: str
    times: int = 1


def tool(name: str, run: Callable[[], Awaitable[object]], timeout: float = 1) -> Tool[Nothing]:
    async def ignoring(_: ToolContext, __: Nothing) -> object:
        return await run()

    return Tool(name, f"does {name}", Nothing, run=ignoring, timeout_seconds=timeout)


def returning(value: object) -> Callable[[], Awaitable[object]]:
    async def run() -> object:
        return value

    return run


def raising(error: BaseException) -> Callable[[], Awaitable[object]]:
    async def run() -> object:
        raise error

    return run


class Booked:
    """A tool with arguments that remembers what it was given."""

    def __init__(self) -> None:
        self.got: list[tuple[ToolContext, Expense]] = []

    async def run(self, context: ToolContext, arguments: Expense) -> object:
        self.got.append((context, arguments))
        return {"id": len(self.got)}

    @property
    def tool(self) -> Tool[Expense]:
        return Tool("add_expense", "books", Expense, run=self.run)


async def turn(
    llm: Scripted, *tools: Tool, history: Sequence[Message] = (), limits: Limits | None = None, handoffs: tuple[Handoff, ...] = ()
) -> Outcome:
    agents = {"finance": Agent("finance", "Finanças.", tools, handoffs), "people": Agent("people", "Pessoas.", (), BACK)}
    return await loop.run(llm, agents, "finance", TOOLBOX, history, [User("oi")], limits or Limits())


TO_PEOPLE = Handoff("people", "pessoas")
BACK = (Handoff("finance", "dinheiro"),)


def results(llm: Scripted, request: int = -1) -> list[str]:
    return [message.text for message in llm.requests[request].messages if isinstance(message, ToolResult)]


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "FIRST_PAUSE_SECONDS", 0.001)


# --- Tools


async def test_parallel_calls_run_side_by_side_and_are_answered_in_the_models_order() -> None:
    met = asyncio.Barrier(2)

    async def meet() -> object:
        await met.wait()
        return "here"

    llm = Scripted(calls(("c1", "slow", "{}"), ("c2", "quick", "{}")), says("ok"))
    outcome = await turn(llm, tool("slow", meet), tool("quick", meet))
    assert outcome.text == "ok"
    answers = [message.call_id for message in llm.requests[1].messages if isinstance(message, ToolResult)]
    assert answers == ["c1", "c2"]


async def test_a_failing_call_leaves_its_sibling_alone_and_its_words_reach_neither_model_nor_log() -> None:
    secret = RuntimeError("postgres://app:hunter2@db")
    llm = Scripted(calls(("c1", "good", "{}"), ("c2", "bad", "{}")), says("ok"))
    with capture_logs() as logs:
        outcome = await turn(llm, tool("good", returning({"saldo": 1})), tool("bad", raising(secret)))
    assert results(llm)[0] == '{"saldo":1}'
    assert "error" in json.loads(results(llm)[1])
    assert "hunter2" not in str(llm.requests) + str(logs) + str(outcome)
    assert logs[0]["event"] == "tool_failed"
    assert (logs[0]["tool"], logs[0]["error"]) == ("bad", "RuntimeError")


async def test_a_tools_own_words_for_the_model_reach_it() -> None:
    llm = Scripted(calls(("c1", "t", "{}")), says("ok"))
    await turn(llm, tool("t", raising(ToolError("There is no such month."))))
    assert json.loads(results(llm)[0]) == {"error": "There is no such month."}


async def test_a_tool_that_hangs_is_cut_off_and_the_turn_goes_on() -> None:
    llm = Scripted(calls(("c1", "t", "{}")), says("ok"))
    outcome = await turn(llm, tool("t", asyncio.Event().wait, timeout=0.02))
    assert outcome.text == "ok"
    assert "in time" in results(llm)[0]
    assert outcome.calls[0].failed
    assert outcome.calls[0].milliseconds >= 15


async def test_cancelling_a_turn_cancels_its_tools() -> None:
    started, cancelled = asyncio.Event(), asyncio.Event()

    async def wait() -> object:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    running = asyncio.ensure_future(turn(Scripted(calls(("c1", "t", "{}"))), tool("t", wait)))
    await started.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert cancelled.is_set()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ('{"amount": 45, "cat', "not valid JSON"),
        ('{"amount": NaN, "category": "x"}', "not valid JSON"),
        ("[1]", "not a JSON object"),
        ("null", "not a JSON object"),
        ('{"amount": 45}', "category: Field required"),
        ('{"amount": "muito", "category": "x"}', "amount"),
        ('{"amount": 1e999, "category": "x"}', "amount"),
        ('{"amount": 1, "category": 5}', "category"),
        ('{"amount": 1, "category": "x", "times": "2"}', "times"),
        ('{"amount": 1, "category": "x", "user_id": 9}', "user_id"),
        ("", "amount"),
    ],
)
async def test_arguments_that_do_not_fit_are_explained_to_the_model_and_not_run(arguments: str, said: str) -> None:
    booked = Booked()
    llm = Scripted(calls(("c1", "add_expense", arguments)), says("ok"))
    await turn(llm, booked.tool)
    assert booked.got == []
    assert said in results(llm)[0]


async def test_a_tool_gets_typed_arguments_and_the_servers_context() -> None:
    booked = Booked()
    await turn(Scripted(calls(("c1", "add_expense", '{"amount": 32.10, "category": "almoço"}')), says("ok")), booked.tool)
    assert booked.got == [(replace(CONTEXT, call_id="c1"), Expense(amount=Decimal("32.10"), category="almoço"))]


async def test_no_arguments_at_all_are_an_empty_object() -> None:
    llm = Scripted(calls(("c1", "t", "")), says("ok"))
    await turn(llm, tool("t", returning("done")))
    assert results(llm) == ["done"]


def test_a_tool_that_takes_an_identity_from_the_model_cannot_be_made() -> None:
    class Smuggling(Arguments):
        user_id: int

    async def run(_: ToolContext, __: Smuggling) -> object:
        return None

    with pytest.raises(ValueError, match="user_id comes from the context"):
        Tool("t", "d", Smuggling, run=run)


async def test_a_tool_of_another_agent_is_unknown_and_the_available_ones_are_named() -> None:
    llm = Scripted(calls(("c1", "delete_everything", "{}")), says("ok"))
    await turn(llm, tool("get_balance", returning(1)), handoffs=(TO_PEOPLE,))
    assert "get_balance, transfer_to_people" in results(llm)[0]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (
            {"b": Decimal("1250.30"), "at": datetime(2025, 10, 1, tzinfo=UTC), "n": None},
            '{"b":"1250.30","at":"2025-10-01T00:00:00Z","n":null}',
        ),
        (float("nan"), "null"),
        (None, "null"),
        ("já é texto", "já é texto"),
    ],
)
async def test_results_become_json_safe_text(value: object, text: str) -> None:
    llm = Scripted(calls(("c1", "t", "{}")), says("ok"))
    await turn(llm, tool("t", returning(value)))
    assert results(llm) == [text]


@pytest.mark.parametrize("value", [object(), "\ud83d", {"a": b"\xff"}])
async def test_a_result_that_no_json_can_hold_is_an_error_not_a_crash(value: object) -> None:
    llm = Scripted(calls(("c1", "t", "{}")), says("ok"))
    outcome = await turn(llm, tool("t", returning({"value": value})))
    assert outcome.text == "ok"
    assert "error" in results(llm)[0]


async def test_a_huge_result_is_cut_at_the_limit() -> None:
    llm = Scripted(calls(("c1", "t", "{}")), says("ok"))
    await turn(llm, tool("t", returning("x" * 50_000)), limits=Limits(max_tool_output_chars=100))
    assert len(results(llm)[0]) == 100
    assert results(llm)[0].endswith("[cut]")


# --- Limits


async def test_the_last_permitted_call_asks_for_text_and_its_tools_do_not_run() -> None:
    booked = Booked()
    answers = [calls(("c", "add_expense", f'{{"amount": {n}, "category": "x"}}')) for n in range(9)]
    llm = Scripted(*answers)
    outcome = await turn(llm, booked.tool, limits=Limits(max_turns=3))
    assert (outcome.ending, outcome.text, len(llm.requests)) == (Ending.MAX_TURNS, "", 3)
    assert [request.may_call_tools for request in llm.requests] == [True, True, False]
    assert len(booked.got) == 2
    assert all(request.tools == llm.requests[0].tools for request in llm.requests)


async def test_calls_beyond_the_limit_of_a_turn_are_answered_and_not_run() -> None:
    booked = Booked()
    many = [(f"c{number}", "add_expense", f'{{"amount": {number}, "category": "x"}}') for number in range(1, 5)]
    llm = Scripted(calls(*many[:2]), calls(*many[2:]), says("ok"))
    outcome = await turn(llm, booked.tool, limits=Limits(max_calls=3))
    assert [arguments.amount for _, arguments in booked.got] == [1, 2, 3]
    assert results(llm)[-1] == failed(ToolCall(*many[3]), loop.TOO_MANY).result
    assert outcome.text == "ok"


async def test_the_same_failing_call_ends_the_turn_before_its_limit() -> None:
    llm = Scripted(calls(("c", "t", '{"a": 1}')))
    outcome = await turn(llm, tool("t", returning(1)), limits=Limits(max_turns=9, max_tool_failures=3))
    assert (outcome.ending, len(llm.requests)) == (Ending.REPEATED_FAILURE, 3)


async def test_call_ids_that_a_server_uses_again_are_made_distinct() -> None:
    llm = Scripted(calls(("c1", "t", "{}")), calls(("c1", "t", "{}")), says("ok"))
    await turn(llm, tool("t", returning(1)))
    asked = [call.id for message in llm.requests[2].messages if isinstance(message, Assistant) for call in message.tool_calls]
    answered = [message.call_id for message in llm.requests[2].messages if isinstance(message, ToolResult)]
    assert len(set(asked)) == 2
    assert asked == answered


async def test_a_turn_ends_at_its_time_limit_with_what_was_done() -> None:
    llm = Scripted(calls(("c1", "t", "{}")), says("tarde"), delay=0.4)
    outcome = await turn(llm, tool("t", returning(1)), limits=Limits(turn_seconds=0.6))
    assert outcome.ending is Ending.TIME_LIMIT
    assert [call.name for call in outcome.calls] == ["t"]


async def test_a_call_cut_off_at_the_length_limit_is_not_run() -> None:
    booked = Booked()
    cut = calls(("c1", "add_expense", '{"amount": 45, "category": "x"}'), finish=Finish.LENGTH)
    llm = Scripted(cut, says("ok"))
    assert (await turn(llm, booked.tool)).text == "ok"
    assert booked.got == []
    assert "cut off" in results(llm)[0]


async def test_a_text_cut_off_at_the_length_limit_shows_that_it_goes_on() -> None:
    assert (await turn(Scripted(says("Era uma vez", Finish.LENGTH)))).text == "Era uma vez …"


@pytest.mark.parametrize(("finish", "ending"), [(Finish.REFUSAL, Ending.REFUSAL), (Finish.CONTENT_FILTER, Ending.CONTENT_FILTER)])
async def test_a_refusal_ends_the_turn_without_another_call(finish: Finish, ending: Ending) -> None:
    llm = Scripted(Reply("", finish, "m"))
    assert (await turn(llm)).ending is ending
    assert len(llm.requests) == 1


@pytest.mark.parametrize("nothing", ["", " \n", "\u200b", '{"agent": "finance"}', '{"name": "get_balance", "arguments": {}}'])
async def test_a_reply_with_nothing_to_read_is_asked_for_once_more_and_never_delivered(nothing: str) -> None:
    llm = Scripted(says(nothing), says("Pode repetir?"))
    outcome = await turn(llm, tool("get_balance", returning(1)))
    assert outcome.text == "Pode repetir?"
    assert llm.requests[1].messages == (*llm.requests[0].messages, User(loop.NUDGE))
    assert [message for message in outcome.exchange if isinstance(message, User)] == []
    llm = Scripted(says(nothing))
    assert (await turn(llm)).ending is Ending.EMPTY
    assert len(llm.requests) == 2


# --- The model's errors


async def test_an_unavailable_model_is_asked_again_and_no_tool_runs_twice() -> None:
    booked = Booked()
    down = LlmUnavailable("down", code="http_500")
    llm = Scripted(calls(("c1", "add_expense", '{"amount": 1, "category": "x"}')), down, down, says("Lançado!"))
    outcome = await turn(llm, booked.tool)
    assert outcome.text == "Lançado!"
    assert len(booked.got) == 1
    assert outcome.usage.requests == 2


async def test_a_model_that_stays_unavailable_is_the_callers_to_decide() -> None:
    llm = Scripted(LlmUnavailable("down", code="http_500", retry_after_ms=5))
    with pytest.raises(LlmUnavailable) as caught:
        await turn(llm, limits=Limits(llm_retries=2))
    assert len(llm.requests) == 3
    assert caught.value.retry_after_ms == 5


async def test_the_wait_a_server_asks_for_is_kept_up_to_a_cap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "MAX_PAUSE_SECONDS", 0.2)
    now = asyncio.get_running_loop().time
    for wanted_ms, least, most in ((60, 0.06, 0.19), (3_600_000, 0.2, 1.0)):
        started = now()
        await turn(Scripted(LlmUnavailable("busy", code="http_429", retry_after_ms=wanted_ms), says("ok")))
        assert least <= now() - started < most


async def test_a_history_that_is_too_long_is_cut_until_the_model_takes_it_and_stays_cut() -> None:
    too_long = LlmRefused("too long", code=TOO_LONG)
    llm = Scripted(too_long, too_long, calls(("c1", "look", "{}")), says("ok"))
    history = [message for number in range(16) for message in (User(f"q{number}"), Assistant(f"a{number}"))]
    outcome = await turn(llm, tool("look", returning("1")), history=history)
    assert outcome.text == "ok"
    told = [[message for message in request.messages if message in history] for request in llm.requests]
    assert told == [history, history[-8:], history[-2:], history[-2:]]


async def test_what_is_too_long_without_any_history_is_the_callers_to_decide() -> None:
    llm = Scripted(LlmRefused("too long", code=TOO_LONG))
    outcome = await turn(llm, history=[User("q"), Assistant("a")])
    assert (outcome.ending, str(outcome.cause)) == (Ending.CUT_OFF, "too long")
    assert len(llm.requests) == 2


async def test_a_refused_call_is_not_repeated_and_what_was_done_before_it_is_told() -> None:
    llm = Scripted(calls(("c1", "look", "{}")), LlmRefused("no", code="insufficient_quota"))
    outcome = await turn(llm, tool("look", returning("1")))
    assert (outcome.ending, str(outcome.cause), outcome.usage.requests) == (Ending.CUT_OFF, "no", 1)
    assert [call.result for call in outcome.calls] == ["1"]
    assert len(llm.requests) == 2


# --- Handoffs


async def test_the_first_of_two_handoffs_wins_and_every_call_is_answered() -> None:
    other = Handoff("general", "geral")
    llm = Scripted(
        calls(("c1", "t", "{}"), ("c2", "transfer_to_people", "{}"), ("c3", "transfer_to_general", "{bad")), says("Oi, Júlia!")
    )
    outcome = await turn(llm, tool("t", returning(7)), handoffs=(TO_PEOPLE, other))
    assert outcome.agent == "people"
    assert llm.requests[1].messages[0] == System("Pessoas.")
    assert [spec.name for spec in llm.requests[1].tools] == ["transfer_to_finance"]
    assert results(llm) == ["7", "Transferred to people.", "Ignored: people already has it."]


async def test_a_handoff_to_an_agent_that_is_not_enabled_is_answered_and_the_turn_goes_on() -> None:
    llm = Scripted(calls(("c1", "transfer_to_sales", "{}")), says("ok"))
    outcome = await turn(llm, handoffs=(Handoff("sales", "vendas"),))
    assert (outcome.agent, outcome.text) == ("finance", "ok")
    assert "not available" in results(llm)[0]


async def test_agents_that_pass_a_turn_to_and_fro_are_stopped() -> None:
    to_and_fro = [calls((f"c{n}", f"transfer_to_{'people' if n % 2 == 0 else 'finance'}", "{}")) for n in range(3)]
    llm = Scripted(*to_and_fro, says("Eu respondo."))
    outcome = await turn(llm, handoffs=(TO_PEOPLE,), limits=Limits(max_handoffs=2))
    assert (outcome.agent, outcome.text) == ("finance", "Eu respondo.")
    assert "No more transfers" in results(llm)[-1]


async def test_sealed_reasoning_goes_back_within_the_turn_but_neither_to_another_agent_nor_into_the_outcome() -> None:
    sealed = ('{"type":"reasoning"}',)
    llm = Scripted(
        calls(("c1", "t", "{}"), reasoning=sealed), calls(("c2", "transfer_to_people", "{}"), reasoning=sealed), says("ok")
    )
    outcome = await turn(llm, tool("t", returning(1)), handoffs=(TO_PEOPLE,))
    carried = [[said.reasoning for said in request.messages if isinstance(said, Assistant)] for request in llm.requests]
    assert carried == [[], [sealed], [(), ()]]
    assert all(said.reasoning == () for said in outcome.exchange if isinstance(said, Assistant))


# --- What is reported, and what stays the same


async def test_an_outcome_adds_up_usage_and_holds_the_exchange_for_the_next_turn() -> None:
    llm = Scripted(calls(("c1", "t", "{}")), says("ok"))
    outcome = await turn(llm, tool("t", returning(1)))
    assert outcome.usage == Usage(prompt=200, completion=20, cached=100, requests=2)
    assert outcome.exchange == (Assistant("", (ToolCall("c1", "t", "{}"),)), ToolResult("c1", "1"))
    (made,) = outcome.calls
    assert replace(made, milliseconds=0) == replace(
        made, id="c1", name="t", arguments="{}", result="1", failed=False, milliseconds=0
    )


async def test_prompt_and_tools_are_the_same_objects_in_every_request_of_every_turn() -> None:
    agent = Agent("finance", "Finanças.", (Booked().tool,), BACK)
    llm = Scripted(says("ok"))
    for _ in range(3):
        await loop.run(llm, {"finance": agent}, "finance", TOOLBOX, [], [User("oi")])
    assert len({(id(request.tools), request.messages[0]) for request in llm.requests}) == 1
    schema = json.dumps(llm.requests[0].tools[0].parameters)
    assert '"title"' not in schema
    assert '"additionalProperties": false' in schema


def test_two_tools_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="two tools named t"):
        Agent("a", "p", (tool("t", returning(1)), tool("t", returning(2))))
