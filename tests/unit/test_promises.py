"""An answer's claims against what tools did: the words of another tool of the program, and a tool that an owner made."""

import pytest

from wtai.ai.agent import Agent
from wtai.ai.promises import unkept
from wtai.ai.toolbox import Call
from wtai.ai.tools.finance import FinanceConfig, finance_tools
from wtai.ai.tools.tool import Arguments, Effect, Tool, ToolContext

SAID = "Registrei a despesa de R$ 10,00."


async def _run(_context: ToolContext, _arguments: Arguments) -> object:
    return None


def _owners(effect: Effect) -> Tool[Arguments]:
    return Tool("place_order", "places an order", Arguments, run=_run, effect=effect, question=lambda *_: "Fazer o pedido?")


def _call(name: str, *, failed: bool = False) -> Call:
    return Call("c1", name, "{}", "{}", failed)


@pytest.mark.parametrize(
    ("call", "effect", "stands"),
    [
        (_call("add_expense"), Effect.READ, True),
        (_call("add_expense", failed=True), Effect.READ, False),
        (_call("get_balance"), Effect.READ, False),
        (_call("delete_entry"), Effect.READ, False),
        (_call("place_order"), Effect.REVERSIBLE, True),
        (_call("place_order"), Effect.IRREVERSIBLE, True),
        (_call("place_order", failed=True), Effect.REVERSIBLE, False),
        (_call("place_order"), Effect.READ, False),
    ],
)
def test_a_claim_stands_by_a_tool_that_makes_it_or_one_whose_effect_only_its_owner_knows(
    call: Call, effect: Effect, stands: bool
) -> None:
    agents = [Agent("finance", "", (*finance_tools(FinanceConfig()), _owners(effect)))]
    assert (unkept(SAID, agents, [call], looked_up=False) is None) is stands


def test_a_model_that_was_told_may_report_what_it_looked_up() -> None:
    agents = [Agent("finance", "", finance_tools(FinanceConfig()))]
    assert unkept(SAID, agents, [_call("get_balance")], looked_up=True) is None
    assert unkept(SAID, agents, [], looked_up=True) is not None
