"""Who answers, what they do, what they may say, and what it cost: whole turns through the program."""

import json
import re
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.program import World, open_world, person
from wtai.ai.features_store import Feature, set_feature
from wtai.ai.texts import apology
from wtai.app import Running
from wtai.conversation import handoff
from wtai.conversation import store as conversations
from wtai.conversation.texts import texts
from wtai.db.tx import OwnerTx
from wtai.identity.audit_store import OPERATOR
from wtai.identity.plans import PlanLimits
from wtai.identity.preferences import Preferences
from wtai.identity.store import choose

ANA, BIA = person(1), person(2)
PT = texts("pt-BR")
ALL = ("general", "finance", "relationship")
DOWN = {"status": 500, "body": {"error": {"message": "down"}}}


def says(text: str) -> dict[str, object]:
    return _replies({"role": "assistant", "content": text}, "stop")


def picks(agent: str) -> dict[str, object]:
    return says(json.dumps({"agent": agent}))


def calls(name: str, **arguments: object) -> dict[str, object]:
    call = {"id": f"c_{name}", "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
    return _replies({"role": "assistant", "content": None, "tool_calls": [call]}, "tool_calls")


def _replies(message: Mapping[str, object], finish: str) -> dict[str, object]:
    usage = {
        "prompt_tokens": 1_000,
        "completion_tokens": 100,
        "total_tokens": 1_100,
        "prompt_tokens_details": {"cached_tokens": 0},
    }
    body = {
        "id": "x",
        "model": "gpt-5.4-mini",
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": usage,
    }
    return {"status": 200, "body": body}


COFFEE = calls("add_expense", amount="10", description="café")


@pytest.fixture
async def world(data_dir: Path) -> AsyncIterator[World]:
    async with open_world(data_dir, specialists=ALL) as opened:
        yield opened


async def say(world: World, text: str, *answers: dict[str, object], who: str = ANA) -> str:
    """What the program answers when the model gives these answers."""
    world.model.enqueue(answers)
    known = len(world.sent_to(who))
    await world.say(who, text)
    return (await world.answers_to(who, known + 1))[known]


def entries(world: World) -> list[tuple[str, int, str]]:
    return [(row["kind"], row["amount"], row["description"]) for row in world.rows("SELECT * FROM ledger_entries ORDER BY id")]


def last_result(world: World) -> dict[str, Any]:
    return world.rows("SELECT * FROM ai_results ORDER BY id DESC LIMIT 1")[0]


async def test_the_first_message_is_routed_and_the_next_ones_stay_without_another_call(world: World) -> None:
    async with world.running():
        await say(world, "quanto gastei?", picks("finance"), says("Nada ainda."))
        await say(world, "e ontem?", says("Também nada."))
        assert len(world.model.requests) == 3
        route = json.loads(last_result(world)["route"])
    assert (route["agent"], route["how"]) == ("finance", "sticky")
    assert world.value("SELECT feature FROM conversations") == "finance"


async def test_the_router_is_told_of_the_owners_specialists_and_of_no_other(world: World) -> None:
    async with world.running() as program:
        await program.database.write(
            world.line.owner_id, set_feature, Feature("relationship", False, "{}"), actor=OPERATOR, now=0
        )
        own = json.dumps({"description": "bolos sob encomenda", "prompt": "Você vende bolos."})
        await program.database.write(world.line.owner_id, set_feature, Feature("bolos", True, own), actor=OPERATOR, now=0)
        await say(world, "quero um bolo", picks("bolos"), says("De que sabor?"))
    routed, answered = world.model.requests
    assert isinstance(routed, dict)
    assert isinstance(answered, dict)
    enum = routed["response_format"]["json_schema"]["schema"]["properties"]["agent"]["enum"]
    assert enum == ["general", "finance", "bolos"]
    assert "Você vende bolos." in answered["messages"][0]["content"]
    assert world.value("SELECT feature FROM conversations") == "bolos"


@pytest.mark.parametrize("name", ["cobrança", "a" * 60])
async def test_a_name_that_servers_refuse_keeps_nobody_from_answering(world: World, name: str) -> None:
    own = json.dumps({"description": "cobranças", "prompt": "Você cobra."})
    async with world.running() as program:
        await program.database.write(world.line.owner_id, set_feature, Feature(name, True, own), actor=OPERATOR, now=0)
        assert await say(world, "quanto gastei?", picks("finance"), says("Nada ainda.")) == "Nada ainda."
    answered: Any = world.model.requests[-1]
    offered = {tool["function"]["name"] for tool in answered["tools"]}
    assert {"transfer_to_general", "transfer_to_relationship"} <= offered
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,64}", tool) for tool in offered)


@pytest.mark.parametrize("nonsense", ["vendas", "relationship; drop", ""])
async def test_a_router_that_names_nobody_is_asked_once_more_and_then_the_default_answers(world: World, nonsense: str) -> None:
    async with world.running():
        assert await say(world, "meu saldo", picks(nonsense), says("Acho que dinheiro."), says("Oi!")) == "Oi!"
    assert json.loads(last_result(world)["route"])["how"] == "fallback"
    assert world.value("SELECT feature FROM conversations") is None, "the next message is routed again"


async def test_a_router_that_is_down_does_not_keep_the_answer_back(world: World) -> None:
    async with world.running():
        assert await say(world, "meu saldo", DOWN, says("Oi!")) == "Oi!"


async def test_a_greeting_needs_no_router_and_decides_nothing(world: World) -> None:
    async with world.running():
        await say(world, "Oi, bom dia!", says("Bom dia!"))
        assert world.value("SELECT feature FROM conversations") is None
        await say(world, "meu saldo", picks("finance"), says("Zero."))
    assert world.value("SELECT feature FROM conversations") == "finance"


async def test_a_specialist_hands_the_conversation_over(world: World) -> None:
    async with world.running():
        await say(world, "meu saldo", picks("finance"), says("Zero."))
        await say(world, "quando a Ana faz anos?", calls("transfer_to_relationship"), says("Não sei ainda."))
    assert world.value("SELECT feature FROM conversations") == "relationship"


async def test_a_new_conversation_is_routed_anew(world: World) -> None:
    async with world.running():
        await say(world, "meu saldo", picks("finance"), says("Zero."))
        await say(world, "era só isso, tchau!")
        await say(world, "quando a Ana faz anos?", picks("relationship"), says("Não sei."))
    assert [row["feature"] for row in world.rows("SELECT feature FROM conversations ORDER BY id")] == ["finance", "relationship"]


async def test_lunch_yesterday_is_booked_on_yesterday_for_the_one_who_said_it(world: World) -> None:
    yesterday = datetime.now(UTC).astimezone(ZoneInfo("America/Sao_Paulo")).date() - timedelta(days=1)
    lunch = calls("add_expense", amount="32.50", date="ontem", description="almoço", category="alimentação")
    async with world.running():
        await say(world, "gastei 32,50 no almoço ontem", picks("finance"), lunch, says("Lancei R$ 32,50 do almoço."))
        await say(world, "meu saldo?", picks("finance"), calls("get_balance"), says("Zero."), who=BIA)
    (row,) = world.rows("SELECT * FROM ledger_entries")
    ana = world.value("SELECT user_id FROM user_addresses WHERE address = :ana", ana=ANA)
    assert (row["kind"], row["amount"], row["entry_date"], row["user_id"]) == ("expense", 3_250, yesterday.isoformat(), ana)
    request: Any = world.model.requests[-1]
    said = json.dumps(request["messages"][1:], ensure_ascii=False)
    assert "almoço" not in said
    assert "32,50" not in said
    assert "32.50" not in said


async def test_what_was_asked_is_counted_and_priced(world: World) -> None:
    async with world.running():
        await say(world, "meu saldo", picks("finance"), calls("get_balance"), says("Zero."))
    usage = {row["feature"]: row for row in world.rows("SELECT * FROM usage")}
    assert {name: row["requests"] for name, row in usage.items()} == {"router": 1, "finance": 2}
    result = last_result(world)
    assert (result["requests"], result["prompt_tokens"], result["completion_tokens"]) == (3, 3_000, 300)
    assert result["cost"] == sum(row["cost"] for row in usage.values()) > 0
    (call,) = json.loads(result["calls"])
    assert (call["name"], call["failed"]) == ("get_balance", False)


async def test_what_cannot_be_undone_is_asked_for_and_done_after_a_yes(world: World) -> None:
    async with world.running():
        await say(
            world, "gastei 10 no café", picks("finance"), calls("add_expense", amount="10", description="café"), says("Lancei.")
        )
        entry = world.value("SELECT public_id FROM ledger_entries")
        asked = await say(world, "apaga isso", calls("delete_entry", id=entry), says("Só preciso que confirme."))
        assert asked.startswith("Só preciso que confirme.")
        assert "R$ 10,00" in asked
        assert "café" in asked
        assert len(entries(world)) == 1
        assert await say(world, "sim", says("Apaguei o café.")) == "Apaguei o café."
    assert entries(world) == []
    assert len(world.rows("SELECT * FROM tool_runs WHERE tool = 'delete_entry'")) == 1
    last: Any = world.model.requests[-1]
    assert [message["role"] for message in last["messages"][-3:]] == ["user", "assistant", "tool"]


@pytest.mark.parametrize("answer", ["não", "espera, quanto foi mesmo?"])
async def test_anything_but_a_yes_leaves_it_undone_for_good(world: World, answer: str) -> None:
    async with world.running():
        await say(
            world, "gastei 10 no café", picks("finance"), calls("add_expense", amount="10", description="café"), says("Lancei.")
        )
        entry = world.value("SELECT public_id FROM ledger_entries")
        await say(world, "apaga isso", calls("delete_entry", id=entry), says("Confirme."))
        await say(world, answer, says("Tudo bem, fica."))
        await say(world, "sim", says("Certo."))
    assert len(entries(world)) == 1


async def test_an_answer_may_not_claim_what_no_tool_did(world: World) -> None:
    lunch = calls("add_expense", amount="32.50", description="almoço")
    async with world.running():
        said = await say(
            world,
            "gastei 32,50 no almoço",
            picks("finance"),
            says("Registrei o gasto de R$ 32,50."),
            lunch,
            says("Registrei, sim."),
        )
    assert said == "Registrei, sim."
    assert entries(world) == [("expense", 3_250, "almoço")]
    reminded: Any = world.model.requests[2]
    assert "no tool did that in this turn" in reminded["messages"][-1]["content"]


async def test_a_model_that_insists_on_a_claim_is_not_heard(world: World) -> None:
    lie = says("Registrei o gasto de R$ 32,50.")
    async with world.running():
        assert await say(world, "gastei 32,50 no almoço", picks("finance"), lie, lie) == apology("pt-BR")
    assert last_result(world)["outcome"] == "unkept_promise"


async def test_a_budget_that_is_used_up_calls_a_person_and_keeps_taking_messages(world: World) -> None:
    async with world.running() as program:
        chosen = json.dumps({"budget_month_usd": str(Decimal("0.000001"))})
        await program.database.write(world.line.owner_id, choose, Preferences(), chosen)
        assert "pessoa da equipe" in await say(world, "meu saldo")
        await world.say(ANA, "tem alguém aí?")
        assert world.value("SELECT count(*) FROM messages WHERE direction = 'inbound'") == 2
    assert world.model.requests.maxlen
    assert not world.model.requests
    assert world.value("SELECT handoff_reason FROM conversations") == "budget reached: month"


def told_last(world: World) -> str:
    """All that the model was told in the last request."""
    return json.dumps(world.model.requests[-1])


async def test_what_tools_did_is_kept_counted_and_told_on_where_the_model_then_refuses(world: World) -> None:
    refused = {"status": 400, "body": {"error": {"message": "no", "code": "bad"}}}
    async with world.running():
        assert await say(world, "gastei 10 no café", picks("finance"), COFFEE, refused) == apology("pt-BR")
        result = last_result(world)
        assert [call["name"] for call in json.loads(result["calls"])] == ["add_expense"]
        assert (result["requests"], result["prompt_tokens"]) == (2, 2_000)
        assert result["cost"] == world.value("SELECT sum(cost) FROM usage")
        await say(world, "e aí, lançou?", picks("finance"), says("Sim, está lá."))
    assert '"name": "add_expense", "arguments"' in told_last(world)


async def test_what_tools_did_before_a_person_was_called_is_told_to_the_model_that_goes_on(world: World) -> None:
    async with world.running() as program:
        await say(world, "gastei 10 no café, e preciso de ajuda", picks("finance"), COFFEE, calls("call_person", reason="ajuda"))
        await hand_back(program, world)
        await say(world, "e aí, lançou?", says("Sim, está lá."))
    assert '"name": "add_expense", "arguments"' in told_last(world)


async def hand_back(program: Running, world: World) -> None:
    """The person of the team is done."""

    def work(tx: OwnerTx) -> None:
        conversation = conversations.conversation(tx, 1)
        assert conversation is not None
        handoff.resume(tx, conversation, Preferences(), now=0)

    await program.database.write(world.line.owner_id, work)


@pytest.mark.parametrize(
    ("at_limit", "state", "said"),
    [("handoff", "HANDOFF", PT.handoff), ("stop", "WAITING_USER", PT.at_limit), ("allow", "WAITING_USER", "Dois.")],
)
async def test_what_happens_at_a_plans_limit_is_the_plans_choice(world: World, at_limit: str, state: str, said: str) -> None:
    async with world.running() as program:
        await world.subscribe(program, PlanLimits(messages_per_month=1, at_limit=at_limit))
        assert await say(world, "meu saldo", picks("finance"), says("Um.")) == "Um."
        assert await say(world, "e agora?", says("Dois.")) == said
    assert world.value("SELECT state FROM conversations") == state


async def test_a_plan_has_the_specialists_it_has(world: World) -> None:
    async with world.running() as program:
        await world.subscribe(program, PlanLimits(features=("general",)))
        await say(world, "meu saldo", says("Não cuido disso."))
    (request,) = world.model.requests
    assert isinstance(request, dict)
    assert {tool["function"]["name"] for tool in request["tools"]}.isdisjoint({"get_balance", "transfer_to_finance"})


async def test_a_plans_money_is_a_ceiling_whatever_the_owner_chose(world: World) -> None:
    async with world.running() as program:
        await world.subscribe(program, PlanLimits(cost_usd_per_month=Decimal("0.000001")))
        assert await say(world, "meu saldo") == PT.handoff
    assert not world.model.requests


async def test_owners_who_speak_other_languages_have_specialists_who_do(world: World) -> None:
    async with world.running() as program:
        await program.database.write(world.line.owner_id, lambda tx: tx.run("UPDATE owners SET locale = 'en' WHERE id = :owner"))
        await say(world, "what did I spend?", picks("finance"), says("Nothing."))
    answered: Any = world.model.requests[-1]
    assert "You talk to people on WhatsApp" in answered["messages"][0]["content"]
