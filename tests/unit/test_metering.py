"""The meter before a model over real HTTP, with a real database: what is counted and held, and that no budget is ever passed."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import pytest

from tests.fakes import ManualClock
from tests.program import until
from tests.schema import new_database
from wtai.ai.llm import Assistant, LlmRequest, System, ToolCall, ToolResult, Usage, User
from wtai.ai.metering import Meter, Spent
from wtai.ai.openai import OpenAiLlm
from wtai.ai.paying import Payer
from wtai.ai.pricing import MICROS, Minute, Price, Prices, Quote, most_prompt_tokens
from wtai.ai.usage_store import Budget, Budgets, Purpose, months, usage_of
from wtai.clock import DAY, SystemClock
from wtai.db.sqlite import SqliteDatabase, connect
from wtai.db.tx import OwnerTx, Row
from wtai.errors import BudgetReached, LlmError, LlmRefused, LlmUnavailable
from wtai.identity.store import create_owner
from wtai.simulator.model import ModelFault, ScriptedModel

BIG, SMALL = Price(2 * MICROS, MICROS, 10 * MICROS), Price(MICROS, MICROS, 4 * MICROS)
PRICES = Prices({"big": BIG, "small": SMALL}, Price(3 * MICROS, 3 * MICROS, 30 * MICROS), {}, Minute(0))
ASKED = LlmRequest((System("Seja breve."), User("oi, quanto gastei ontem?")), max_output_tokens=1_000)
PROMPT = most_prompt_tokens(ASKED)
MOST = 2 * PROMPT + 10 * 1_000
MOST_SMALL = PROMPT + 4 * 1_000
NOVEMBER = round(datetime.fromisoformat("2026-11-20T12:00:00+00:00").timestamp() * 1000)


@dataclass
class House:
    """A database with one owner and two people, a scripted model, and meters before it."""

    path: Path
    database: SqliteDatabase
    model: ScriptedModel
    clock: ManualClock
    owner: int = 0
    ana: int = 0
    bia: int = 0

    async def open(self) -> None:
        self.owner = (await self.database.system_write(create_owner, "Padaria", "pt-BR", now=0)).id
        self.ana, self.bia = [await self.database.write(self.owner, new_user, name) for name in ("ana", "bia")]

    @asynccontextmanager
    async def meter(self, *, api: str = "chat", seconds: float = 5.0, small: str = "small") -> AsyncIterator[Meter]:
        llm = OpenAiLlm(base_url=f"{self.model.url}/v1", api_key="k", model="big", api=api, timeout_seconds=seconds)  # type: ignore[arg-type]
        try:
            yield Meter(self.database, llm, PRICES, self.clock, model="big", small_model=small)
        finally:
            await llm.close()

    def rows(self, sql: str) -> list[Row]:
        with closing(connect(self.path, read_only=True)) as connection:
            return [dict(row) for row in connection.execute(sql).fetchall()]

    def books(self) -> tuple[int, int, int]:
        """Cost, held and requests of everything; the month's sum has to agree."""
        (row,) = self.rows(
            "SELECT coalesce(sum(cost), 0) AS cost, coalesce(sum(held), 0) AS held, coalesce(sum(requests), 0) AS n FROM usage"
        )
        (month,) = self.rows("SELECT coalesce(sum(booked), 0) AS booked FROM usage_months")
        assert month["booked"] == row["cost"] + row["held"]
        return row["cost"], row["held"], row["n"]

    def asked(self) -> list[tuple[str, int]]:
        """Model and output limit of each request that the server saw."""
        return [(body["model"], body["max_completion_tokens"]) for body in self.model.requests]  # type: ignore[index, call-overload]


def new_user(tx: OwnerTx, name: str) -> int:
    sql = "INSERT INTO users (owner_id, public_id, created_at) VALUES (:owner, :name, 0) RETURNING id"
    return int(tx.all(sql, name=f"usr_{name}")[0]["id"])


def says(prompt: int, completion: int, cached: int = 0, model: str = "big-2026-03-17") -> dict[str, object]:
    """A script's answer that used so many tokens."""
    usage = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": cached},
    }
    choice = {"index": 0, "message": {"role": "assistant", "content": "Nada."}, "finish_reason": "stop"}
    return {"status": 200, "body": {"id": "c", "object": "chat.completion", "model": model, "choices": [choice], "usage": usage}}


@pytest.fixture
async def house(data_dir: Path) -> AsyncIterator[House]:
    path = data_dir / "wtai.db"
    new_database(path)
    database = await SqliteDatabase.open(path)
    async with ScriptedModel(SystemClock()) as model:
        model.enqueue([says(100, 10)], repeat_last=True)
        opened = House(path, database, model, ManualClock(NOVEMBER))
        await opened.open()
        yield opened
        await database.close()


# --- Counting


@pytest.mark.parametrize("budgets", [Budgets(), Budgets(month=MICROS, user_day=MICROS)], ids=["no budget", "budgets"])
async def test_usage_adds_up_to_what_the_model_reported(house: House, budgets: Budgets) -> None:
    reported = [(100, 10, 0), (2_000, 30, 1_536), (7, 1, 0), (50, 5, 0)]
    house.model.enqueue([says(*tokens) for tokens in reported])
    async with house.meter() as meter:
        first, second, third = (
            meter.of(house.owner, user, feature, budgets)
            for user, feature in ((house.ana, "general"), (house.ana, "finance"), (house.bia, "general"))
        )
        for llm in (first, first, second, third):
            assert (await llm.reply(ASKED)).text == "Nada."
    costs = [300, 2 * 464 + 1_536 + 300, 24, 150]
    assert first.spent == Spent(costs[0] + costs[1], Usage(2_100, 40, 1_536, 2), calls=2, model="big")
    assert (second.spent.cost, third.spent.cost) == (costs[2], costs[3])
    assert house.books() == (sum(costs), 0, 4)
    by_feature = await house.database.read(house.owner, usage_of, "feature", "2026-11-20", "2026-11-20")
    assert [(total.key, total.cost, total.usage) for total in by_feature] == [
        ("finance", 24, Usage(7, 1, 0, 1)),
        ("general", sum(costs) - 24, Usage(2_150, 45, 1_536, 3)),
    ]
    (month,) = await house.database.read(house.owner, months, "2026-11", "2026-11")
    assert month.usage == Usage(*(sum(column) for column in zip(*reported, strict=True)), requests=4)


async def test_the_plausible_model_is_counted_by_its_own_report(house: House) -> None:
    house.model.forget_script()
    async with house.meter() as meter:
        llm = meter.of(house.owner, house.ana, "general", Budgets(month=MICROS))
        used = [(await llm.reply(replace(ASKED, model=model))).usage for model in ("big", "small", "unheard-of")]
    costs = [PRICES.price(model).cost(usage) for model, usage in zip(("big", "small", "unheard-of"), used, strict=True)]
    assert house.books() == (sum(costs), 0, 3)
    assert all(usage.prompt < PROMPT for usage in used)


@pytest.mark.parametrize(
    ("answered_by", "cost"),
    [("big-2026-03-17", 300), ("small", 140), ("gateway/any", 300), ("", 300)],
)
async def test_an_answer_costs_what_its_model_does_where_that_is_known(house: House, answered_by: str, cost: int) -> None:
    house.model.enqueue([says(100, 10, model=answered_by)])
    async with house.meter() as meter:
        await meter.of(house.owner, house.ana, "general", Budgets()).reply(ASKED)
    assert house.books() == (cost, 0, 1)


@pytest.mark.parametrize("budgets", [Budgets(), Budgets(month=MOST)], ids=["no budget", "budget"])
async def test_an_answer_that_counts_no_tokens_costs_the_most_it_can(house: House, budgets: Budgets) -> None:
    house.model.enqueue([says(0, 0)])
    async with house.meter() as meter:
        await meter.of(house.owner, house.ana, "general", budgets).reply(ASKED)
    assert house.books() == (MOST, 0, 1)


async def test_without_a_budget_nothing_is_written_before_the_call_nor_after_a_failure(house: House) -> None:
    house.model.latency_seconds = 0.2
    async with house.meter() as meter, asyncio.TaskGroup() as tasks:
        tasks.create_task(meter.of(house.owner, house.ana, "general", Budgets()).reply(ASKED))
        await until(lambda: house.model.counts.total() == 1)
        assert house.rows("SELECT 1 FROM usage") == []
    assert house.books() == (300, 0, 1)
    house.model.faults.arm(ModelFault.ERROR)
    async with house.meter() as meter:
        llm = meter.of(house.owner, house.ana, "general", Budgets())
        with pytest.raises(LlmUnavailable):
            await llm.reply(ASKED)
    assert house.books() == (300, 0, 1)
    assert llm.spent == Spent(calls=1, model="big")


# --- The ceiling


async def together(meter: Meter, house: House, budgets: Budgets, times: int) -> list[BaseException | None]:
    """So many turns that ask at once; their errors."""
    turns = (meter.of(house.owner, (house.ana, house.bia)[number % 2], "general", budgets) for number in range(times))
    outcomes = await asyncio.gather(*(turn.reply(ASKED) for turn in turns), return_exceptions=True)
    return [outcome if isinstance(outcome, BaseException) else None for outcome in outcomes]


def watch_peak(tx: OwnerTx) -> None:
    """Keep every sum that the month ever showed."""
    tx.run("CREATE TABLE peaks (booked INTEGER) STRICT")
    for event in ("INSERT", "UPDATE"):
        tx.run(f"CREATE TRIGGER peaks_{event} AFTER {event} ON usage_months BEGIN INSERT INTO peaks VALUES (NEW.booked); END")


def dearest(times: int) -> list[dict[str, object]]:
    """Answers that use all they may."""
    return [says(PROMPT, ASKED.max_output_tokens)] * times


async def test_of_a_hundred_calls_at_once_only_those_are_made_that_the_budget_can_pay(house: House) -> None:
    paid = 7
    house.model.enqueue(dearest(1), repeat_last=True)
    house.model.latency_seconds = 0.5
    await house.database.write(house.owner, watch_peak)
    async with house.meter(small="big") as meter:
        errors = await together(meter, house, Budgets(month=paid * MOST + 200), 100)
    assert house.model.counts.total() == paid
    assert sum(error is None for error in errors) == paid
    assert all(isinstance(error, BudgetReached) for error in errors if error)
    assert house.books() == (paid * MOST, 0, paid)
    assert house.rows("SELECT max(booked) AS peak FROM peaks") == [{"peak": paid * MOST}]
    assert [error.first for error in errors if isinstance(error, BudgetReached)].count(True) == 1


async def test_wave_after_wave_the_ceiling_holds_and_what_is_left_is_used(house: House) -> None:
    house.model.latency_seconds = 0.02
    await house.database.write(house.owner, watch_peak)
    budgets = Budgets(month=5 * MOST, user_day=3 * MOST)
    async with house.meter() as meter:
        for _ in range(6):
            await together(meter, house, budgets, 20)
    cost, held, answered = house.books()
    assert held == 0
    assert answered == house.model.counts.total() > 10
    assert cost <= 5 * MOST
    assert house.rows("SELECT max(booked) AS peak FROM peaks")[0]["peak"] <= 5 * MOST


async def test_without_the_guard_in_one_transaction_a_hundred_calls_pass_the_budget(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same promise with looking and holding apart: it has to break, or the test above proves nothing."""
    budget = 7 * MOST

    def booked(tx: OwnerTx) -> int:
        return int(tx.all("SELECT coalesce(sum(booked), 0) AS n FROM usage_months WHERE owner_id = :owner")[0]["n"])

    async def apart(self: Payer, purpose: Purpose, quotes: list[Quote], now: int) -> Quote:
        if await self.database.read(self.owner_id, booked) + quotes[0].most > budget:
            raise BudgetReached("", budget="month", resets_at=0, first=False)
        return await guarded(self, purpose, quotes, now)

    guarded = Payer.hold
    monkeypatch.setattr(Payer, "hold", apart)
    house.model.enqueue(dearest(1), repeat_last=True)
    house.model.latency_seconds = 0.5
    async with house.meter(small="big") as meter:
        await together(meter, house, Budgets(month=10**12), 100)
    assert house.books()[0] > budget


# --- Steps down


@pytest.mark.parametrize(
    ("room", "asked"),
    [
        (MOST, ("big", 1_000)),
        (MOST - 1, ("small", 1_000)),
        (MOST_SMALL, ("small", 1_000)),
        (MOST_SMALL - 1, ("small", 999)),
        (PROMPT + 4 * 256, ("small", 256)),
        (PROMPT + 4 * 256 - 1, None),
        (0, None),
    ],
)
@pytest.mark.parametrize("budget", Budget)
async def test_a_tight_budget_asks_the_small_model_then_for_less_then_not_at_all(
    house: House, budget: Budget, room: int, asked: tuple[str, int] | None
) -> None:
    async with house.meter() as meter:
        llm = meter.of(house.owner, house.ana, "general", Budgets(**{budget: room}))
        if asked is None:
            with pytest.raises(BudgetReached, match=f"budget_{budget}_usd leaves too little .* wait until 2026-1") as reached:
                await llm.reply(ASKED)
            assert reached.value.budget == budget
            assert (house.asked(), house.books(), llm.spent) == ([], (0, 0, 0), Spent())
        else:
            await llm.reply(ASKED)
            assert house.asked() == [asked]
            assert llm.spent.stepped_down is (asked != ("big", 1_000))


async def test_an_answer_that_was_to_be_short_anyway_is_not_refused_for_being_short(house: House) -> None:
    brief = replace(ASKED, max_output_tokens=50)
    async with house.meter() as meter:
        llm = meter.of(house.owner, house.ana, "router", Budgets(month=PROMPT + 4 * 50))
        await llm.reply(brief)
        with pytest.raises(BudgetReached):
            await llm.reply(brief)
    assert house.asked() == [("small", 50)]


async def test_a_small_model_that_is_no_cheaper_is_no_step_down(house: House) -> None:
    async with house.meter(small="unheard-of") as meter:
        await meter.of(house.owner, house.ana, "general", Budgets(month=MOST - 10)).reply(ASKED)
    assert house.asked() == [("big", 999)]


async def test_a_turn_that_stepped_down_stays_there_and_the_next_one_starts_anew(house: House) -> None:
    house.clock.advance(-DAY)
    async with house.meter() as meter:
        tight = meter.of(house.owner, house.ana, "general", Budgets(user_day=MOST - 1))
        await tight.reply(ASKED)
        house.clock.advance(DAY)  # a new day, with room for all
        roomy = replace(ASKED, max_output_tokens=900)
        await tight.reply(roomy)
        await meter.of(house.owner, house.ana, "general", Budgets(user_day=MOST)).reply(roomy)
    assert [model for model, _ in house.asked()] == ["small", "small", "big"]


async def test_the_small_model_gets_no_reasoning_that_another_model_sealed(house: House) -> None:
    called = Assistant(
        "", (ToolCall("call_1", "saldo", "{}"),), ('{"type": "reasoning", "id": "rs_1", "encrypted_content": "x"}',)
    )
    request = replace(ASKED, messages=(*ASKED.messages, called, ToolResult("call_1", "{}")))
    most = 2 * most_prompt_tokens(request) + 10 * 1_000
    async with house.meter(api="responses") as meter:
        await meter.of(house.owner, house.ana, "general", Budgets(month=most)).reply(request)
        await meter.of(house.owner, house.bia, "general", Budgets(month=most)).reply(request)
    first, second = (body["input"] for body in house.model.requests)  # type: ignore[index, call-overload]
    assert [item.get("type") for item in first] == [None, None, "reasoning", "function_call", "function_call_output"]
    assert [item.get("type") for item in second] == [None, None, "function_call", "function_call_output"]


# --- Failures


@pytest.mark.parametrize("fault", [ModelFault.THROTTLED, ModelFault.ERROR])
async def test_a_call_that_failed_for_certain_gives_back_what_it_held(house: House, fault: ModelFault) -> None:
    house.model.faults.arm(fault)
    async with house.meter() as meter:
        llm = meter.of(house.owner, house.ana, "general", Budgets(month=MOST))
        with pytest.raises(LlmUnavailable):
            await llm.reply(ASKED)
        assert house.books() == (0, 0, 0)
        await llm.reply(ASKED)
    assert house.asked() == [("big", 1_000)]
    assert llm.spent == Spent(300, Usage(100, 10, 0, 1), calls=2, model="big")


async def test_a_refused_call_gives_back_what_it_held(house: House) -> None:
    house.model.enqueue([{"status": 400, "body": {"error": {"message": "no", "type": "invalid_request_error"}}}])
    async with house.meter() as meter:
        with pytest.raises(LlmRefused):
            await meter.of(house.owner, house.ana, "general", Budgets(month=MOST)).reply(ASKED)
    assert house.books() == (0, 0, 0)


EMPTY = {"status": 200, "body": {"id": "c", "object": "chat.completion", "model": "big", "choices": []}}
GATEWAY = {"status": 504, "raw_body": "<html>504 Gateway Time-out</html>", "headers": {"content-type": "text/html"}}


@pytest.mark.parametrize(
    "entry",
    [{"status": "hang"}, {"status": "connection_reset"}, {"status": 200, "raw_body": '{"id": "chatcmpl'}, EMPTY, GATEWAY],
    ids=["time-out", "reset", "malformed", "empty", "gateway"],
)
async def test_a_call_that_may_have_been_answered_stays_held_at_its_most(house: House, entry: dict[str, object]) -> None:
    house.model.enqueue([entry])
    async with house.meter(seconds=1.5) as meter:
        with pytest.raises(LlmError):
            await meter.of(house.owner, house.ana, "general", Budgets(month=MOST)).reply(ASKED)
        assert house.books() == (0, MOST, 0)
        with pytest.raises(BudgetReached):
            await meter.of(house.owner, house.bia, "general", Budgets(month=MOST)).reply(ASKED)


async def test_a_call_that_was_cancelled_stays_held_at_its_most(house: House) -> None:
    house.model.latency_seconds = 5
    async with house.meter() as meter:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(2.0):
                await meter.of(house.owner, house.ana, "general", Budgets(month=MOST)).reply(ASKED)
    assert house.model.counts.total() == 1
    assert house.books() == (0, MOST, 0)


# --- Periods


@pytest.mark.parametrize(
    ("budget", "last_moment", "first_day"),
    [
        (Budget.USER_DAY, "2026-11-20T23:59:59.999+00:00", "2026-11-21"),
        (Budget.MONTH, "2026-11-30T23:59:59.999+00:00", "2026-12-01"),
    ],
)
async def test_a_budget_starts_anew_at_midnight_utc(house: House, budget: Budget, last_moment: str, first_day: str) -> None:
    house.clock.advance(round(datetime.fromisoformat(last_moment).timestamp() * 1000) - NOVEMBER)
    house.model.enqueue(dearest(2))
    async with house.meter(small="big") as meter:
        llm = meter.of(house.owner, house.ana, "general", Budgets(**{budget: MOST}))
        await llm.reply(ASKED)
        with pytest.raises(BudgetReached, match=first_day) as reached:
            await llm.reply(ASKED)
        assert reached.value.resets_at == house.clock.now() + 1
        house.clock.advance(1)
        await llm.reply(ASKED)
    days = await house.database.read(house.owner, usage_of, "day", "2026-11-01", "2026-12-31")
    assert [(total.key, total.cost) for total in days] == [(last_moment[:10], MOST), (first_day, MOST)]


async def test_a_call_over_midnight_is_settled_on_the_day_it_began(house: House) -> None:
    house.clock.advance(DAY // 2 - 1)
    house.model.latency_seconds = 0.2
    async with house.meter() as meter, asyncio.TaskGroup() as tasks:
        tasks.create_task(meter.of(house.owner, house.ana, "general", Budgets(month=MOST)).reply(ASKED))
        await until(lambda: house.model.counts.total() == 1)
        house.clock.advance(1)
    assert house.rows("SELECT day, cost, held FROM usage") == [{"day": "2026-11-20", "cost": 300, "held": 0}]


def lines(text: str) -> Iterable[str]:
    return (line for line in text.splitlines() if "budget.reached" in line)


async def test_that_a_budget_is_reached_is_logged_once(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    async with house.meter() as meter:
        for user in (house.ana, house.bia):
            with pytest.raises(BudgetReached) as reached:
                await meter.of(house.owner, user, "general", Budgets(month=10)).reply(ASKED)
            assert reached.value.first is (user == house.ana)
    assert len(list(lines("".join(capsys.readouterr())))) == 1
